"""Match specs, channels, virtual packages, pip lines, wheel tags: pure readings, with sentences for what is wrong."""

import pytest

from condarium.conda import matchspec, virtual
from condarium.conda.channels import ChannelSettings
from condarium.conda.pypi_names import provided
from condarium.conda.wheels import tags as wheel_tags
from condarium.domain.lock import Record
from condarium.domain.redaction import redact
from condarium.errors import InputFault

FORGE = "https://conda.anaconda.org/conda-forge"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("numpy", "numpy"),
        ("NumPy", "numpy"),
        ("numpy=1.2", "numpy 1.2.*"),
        ("numpy==1.2", "numpy ==1.2"),
        ("numpy>=1,<2", "numpy >=1,<2"),
        ("numpy >=1,<2", "numpy >=1,<2"),
        ("numpy~=1.2", "numpy ~=1.2"),
        ("numpy!=1.2", "numpy !=1.2"),
        ("numpy>1|<0.5", "numpy >1|<0.5"),
        ("conda-forge::numpy", "conda-forge::numpy"),
        ("conda-forge/linux-64::numpy=1.2", "conda-forge/linux-64::numpy 1.2.*"),
        ("numpy[version='>=1']", "numpy >=1"),
        ('numpy[build="py*"]', 'numpy[build="py*"]'),
        ("python=3.11=*cpython", "python ==3.11 *cpython"),
        ("numpy 1.2.* py311*", "numpy 1.2.* py311*"),
    ],
)
def test_every_form_of_a_match_spec_is_read(text: str, meaning: str) -> None:
    matchspec.check(text)
    assert matchspec.normalise(text) == meaning
    assert matchspec.name_of(text) in ("numpy", "python")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("numpy>=", "not a match spec"),
        ("numpy=>1", "not a match spec"),
        ("foo*", "glob"),
        ("numpy[colour=blue]", "colour"),
        ("numpy 1 2 3", "nothing more may follow"),
        ("numpy; python_version<'3'", "not a match spec"),
        ("-r requirements.txt", "'- pip:'"),
        ("git+https://host/x", "'- pip:'"),
        ("./local", "'- pip:'"),
        ("numpy[md5=zz]", "not a match spec"),
    ],
)
def test_what_is_no_match_spec_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        matchspec.check(text)
    assert words in str(caught.value)


def test_channels_become_canonical_urls_once_each() -> None:
    settings = ChannelSettings()
    assert settings.resolve(["conda-forge", "nodefaults", f"{FORGE}/", "https://host.example/a", "file:///srv/c"]) == (
        FORGE,
        "https://host.example/a",
        "file:///srv/c",
    )
    assert ChannelSettings(alias="https://mine.example/conda/").resolve(["x"]) == ("https://mine.example/conda/x",)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("defaults", "CONDARIUM_CHANNEL_MIRRORS"),
        ("https://user:pw@host.example/c", "CONDARIUM_CHANNEL_CREDENTIALS"),
        ("https://host.example/t/abcdef/c", "CONDARIUM_CHANNEL_CREDENTIALS"),
        ("oci://host.example/c", "oci:// is not supported"),
        ("/srv/channel", "file:// URL"),
    ],
)
def test_what_is_no_channel_is_said_without_the_secret(name: str, words: str) -> None:
    with pytest.raises(InputFault) as caught:
        ChannelSettings().resolve([name])
    assert words in str(caught.value)
    assert "abcdef" not in str(caught.value)
    assert "pw" not in str(caught.value)


def test_mirrors_say_where_bytes_are() -> None:
    settings = ChannelSettings(
        mirrors={"conda-forge": ("https://ali:secret@one.example/cf/", "file:///srv/cf")},
        labels={"conda-forge": "the sample channel"},
        credentials={"https://two.example/a": {"conda_token": "sesame"}},
    )
    assert settings.locations(FORGE) == ("https://one.example/cf", "file:///srv/cf")
    assert settings.package_urls(f"{FORGE}/noarch/a-1-0.conda")[1] == "file:///srv/cf/noarch/a-1-0.conda"
    assert settings.locations(f"{FORGE}-testing") == (f"{FORGE}-testing",)
    assert settings.package_urls(f"{FORGE}-testing/noarch/a.conda") == (f"{FORGE}-testing/noarch/a.conda",)
    assert settings.mirror_sentence([FORGE, "https://x.example"]) == "conda-forge is mirrored by the sample channel."
    assert settings.locations("https://two.example/a/b") == ("https://two.example/t/sesame/a/b",)
    assert settings.headers("https://one.example/cf/noarch") != {}
    assert settings.headers("https://one.example/cfx") == {}
    assert {"secret", "sesame"} <= set(settings.secrets())
    assert ChannelSettings.from_json(settings.to_json()) == settings


def test_the_longest_prefix_has_the_credential_and_only_on_its_own_host() -> None:
    settings = ChannelSettings(
        credentials={"https://h.example": {"token": "outer"}, "https://h.example/in": {"token": "inner"}}
    )
    assert settings.headers("https://h.example/in/a") == {"Authorization": "Bearer inner"}
    assert settings.headers("https://h.example/inner") == {"Authorization": "Bearer outer"}
    assert settings.headers("http://h.example/in") == {}
    assert settings.headers("https://h.example.evil/in") == {}


def test_the_credential_of_an_index_holds_for_its_host() -> None:
    settings = ChannelSettings().with_index("https://ali:secret@pypi.example/simple")
    assert settings.headers("https://pypi.example/files/x.whl")["Authorization"].startswith("Basic ")
    assert "secret" in settings.secrets()


def test_virtual_packages_are_defaults_then_settings_then_overrides() -> None:
    assert "__glibc=2.28=0" in virtual.assumed("linux-64")
    found = virtual.assumed("linux-64", ["__glibc=2.36", "__cuda=12.0"], {"CONDA_OVERRIDE_CUDA": "12.4"})
    assert found == ("__archspec=1=x86_64", "__cuda=12.4=0", "__glibc=2.36=0", "__linux=5.10=0", "__unix=0=0")
    assert "__glibc=2.28=0" not in virtual.assumed("linux-64", (), {"CONDA_OVERRIDE_GLIBC": ""})
    assert virtual.version_of(found, "__cuda") == "12.4"
    assert len(virtual.to_rattler(found)) == 5
    for platform in virtual.PLATFORMS:
        assert virtual.to_rattler(virtual.assumed(platform))


@pytest.mark.parametrize("text", ["glibc=2.28", "__glibc=!", "__x=1=a b"])
def test_a_malformed_virtual_package_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="not a virtual package"):
        virtual.assumed("linux-64", [text])


def test_the_best_wheel_is_the_most_special_that_runs() -> None:
    files = [
        "x-1.0-py3-none-any.whl",
        "x-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "x-1.0-cp311-cp311-manylinux_2_34_x86_64.whl",
        "x-1.0-cp311-cp311-musllinux_1_2_x86_64.whl",
        "x-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
        "x-1.0-cp39-abi3-macosx_11_0_arm64.whl",
        "x-1.0-cp311-cp311-win_amd64.whl",
        "nonsense.whl",
    ]

    def best(platform: str, python: str, glibc: str | None = None, macos: str | None = None) -> str | None:
        tags = wheel_tags.tags_for(python, wheel_tags.platform_tags(platform, glibc, macos))
        return wheel_tags.best_wheel(files, tags)

    assert best("linux-64", "3.11.7", "2.28") == files[1]
    assert best("linux-64", "3.11.7", "2.36") == files[2]
    assert best("linux-64", "3.10", "2.36") == files[0]
    assert best("linux-aarch64", "3.11", "2.36") == files[0]
    assert best("osx-arm64", "3.12", macos="12.0") == files[5]
    assert best("osx-arm64", "3.12", macos="10.15") == files[0]
    assert best("win-64", "3.11") == files[6]
    assert wheel_tags.best_wheel(files[3:4], wheel_tags.tags_for("3.11", ["win_amd64"])) is None


def test_uv_is_told_the_nearest_glibc_that_is_not_newer() -> None:
    assert wheel_tags.uv_platform("linux-64", "2.36") == "x86_64-manylinux_2_36"
    assert wheel_tags.uv_platform("linux-64", "2.30") == "x86_64-manylinux_2_28"
    assert wheel_tags.uv_platform("linux-aarch64", "2.12") == "aarch64-manylinux_2_17"
    with pytest.raises(ValueError, match="ppc64le"):
        wheel_tags.uv_platform("linux-ppc64le", "2.28")


def test_conda_names_become_pypi_names() -> None:
    def record(name: str, version: str = "1.0", **more: object) -> Record:
        return Record({"name": name, "version": version, "depends": ["python >=3.9"], **more})

    records = [
        record("typing_extensions"),
        record("python-tzdata", "2026.1"),
        record("pytorch", "2.5"),
        record("tzdata", "2026b"),
        record("libzlib", depends=[]),
        record("odd", "1.0_custom!"),
        record("renamed", purls=["pkg:pypi/Real.Name@1.0"]),
        record("python", "3.11.7", depends=["python_abi 3.11.*"]),
    ]
    assert provided(records) == {
        "typing-extensions": "1.0",
        "tzdata": "2026.1",
        "torch": "2.5",
        "real-name": "1.0",
    }


def test_known_secrets_are_redacted_in_every_spelling() -> None:
    text = "p@ss/word p%40ss%2Fword cEBzcy93b3Jk https://u:other@h/x"
    assert redact(text, ["p@ss/word"]) == "*** *** *** https://***@h/x"
    assert redact("a cat sat", ["cat"]) == "a cat sat"
