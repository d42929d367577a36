"""What wheels, Debian packages and Debian's patched library say is put into conda's terms."""

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from rattler import MatchSpec

from deploy.local.channel import upstream_layout, wheel_metadata
from deploy.local.channel.archive import File, Link
from deploy.local.channel.debian import DebianPackage
from deploy.local.channel.elf import needed
from deploy.local.channel.problem import ChannelError
from deploy.local.channel.relocate import patchelf
from deploy.local.channel.system_library import conda_name, is_glibc


@pytest.mark.parametrize(
    ("requirement", "spec"),
    [
        ("click", "click"),
        ("Jinja2>=3.1,<4", "jinja2 <4,>=3.1"),
        ("numpy~=1.26,!=1.26.1", "numpy !=1.26.1,1.*,>=1.26"),
        ("numpy~=1.26.2", "numpy 1.26.*,>=1.26.2"),
        ("typing_extensions==4.*", "typing_extensions 4.*"),
        ("tzdata===2025.3", "python-tzdata ==2025.3"),
        ("uvicorn[standard]>=0.1", "uvicorn >=0.1"),
    ],
)
def test_requirements_become_match_specs(requirement: str, spec: str) -> None:
    assert wheel_metadata.match_spec(Requirement(requirement)) == spec
    MatchSpec(spec)


def test_markers_are_those_of_linux_and_of_all_three_pythons() -> None:
    metadata = wheel_metadata.parse(
        "Name: x\nRequires-Python: >=3.9, !=3.9.7\n"
        'Requires-Dist: colorama; sys_platform == "win32"\n'
        'Requires-Dist: old; python_full_version < "3.11.3"\n'
        'Requires-Dist: typing-extensions; python_version < "3.12"\n'
        'Requires-Dist: extra-only; extra == "all"\n'
        "Requires-Dist: always\n"
    )
    assert wheel_metadata.requirements(metadata, ("3.11", "3.12", "3.13")) == {"always", "typing_extensions"}
    assert wheel_metadata.requirements(metadata, ("3.13",)) == {"always"}
    assert wheel_metadata.python_spec(metadata) == "python !=3.9.7,>=3.9"


@pytest.mark.parametrize(
    ("header", "licence"),
    [
        ("License-Expression: MIT AND BSD-3-Clause", "MIT AND BSD-3-Clause"),
        ("Classifier: License :: OSI Approved :: Apache Software License", "Apache-2.0"),
        ("License: BSD", "BSD"),
    ],
)
def test_licences(header: str, licence: str) -> None:
    assert wheel_metadata.licence(wheel_metadata.parse(header + "\n")) == licence


@pytest.mark.parametrize(
    ("debian", "name"),
    [
        ("libssl3:amd64", "openssl"),  # Debian 12
        ("libssl3t64:amd64", "openssl"),  # Debian 13, Ubuntu 24.04
        ("libreadline8t64", "readline"),
        ("zlib1g", "libzlib"),
        ("libkrb5-3", "libkrb5"),
        ("libdb5.3t64", "libdb"),
        ("libzstd1", "zstd"),
        ("libgpg-error0", "libgpg-error"),
        ("libgdbm-compat4t64", "libgdbm-compat"),
    ],
)
def test_names_of_debian_packages(debian: str, name: str) -> None:
    assert conda_name(debian)[0] == name


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("1:1.2.13.dfsg-1", "1.2.13"),
        ("3.0.19-1~deb12u2", "3.0.19"),
        ("1.3.3+ds-1", "1.3.3"),
        ("6.4-4", "6.4"),
        ("3.5.1-1+deb13u1", "3.5.1"),
        ("1:1.3.dfsg-3.1ubuntu2", "1.3"),
        ("5.3.28+dfsg2-7", "5.3.28"),
        ("14-20240412-0ubuntu1", "14.20240412"),
    ],
)
def test_versions_of_debian_packages(version: str, upstream: str) -> None:
    assert DebianPackage("x", version).upstream_version == upstream


def test_what_belongs_to_glibc() -> None:
    assert all(map(is_glibc, ["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libnsl.so.1", "libpthread.so.0"]))
    assert not any(map(is_glibc, ["libnsl.so.2", "libcrypt.so.1", "libz.so.1", "libstdc++.so.6"]))


def test_needed_libraries_are_read_as_patchelf_reads_them() -> None:
    program = Path(sys.executable).resolve()
    said = subprocess.run([patchelf(), "--print-needed", program], capture_output=True, text=True, check=True)
    assert needed(program.read_bytes()) == said.stdout.split()
    assert needed(b"\x7fELF\x02\x01 cut short") == []


# How Debian and Ubuntu patch 3.12 and 3.13, cut down to the parts that matter.
_SITE = '''import sys, os
PREFIXES = [sys.prefix]

def getsitepackages(prefixes=None):
    """Debian's."""
    return [os.path.join(sys.prefix, "lib", "python3", "dist-packages")]

def addsitepackages(known_paths, prefixes=None):
    return known_paths
'''
_SYSCONFIG = """import os
_INSTALL_SCHEMES = {
    'posix_prefix': {
        'purelib': '{base}/lib/python{py_version_short}/site-packages',
        },
    'deb_system': {
        'purelib': '{base}/lib/python3/dist-packages',
        },
    'posix_local': {
        'purelib': '{base}/local/lib/python{py_version_short}/dist-packages',
        },
    'nt': {
        'purelib': '{base}/Lib/site-packages',
        },
    }

def _get_preferred_schemes():
    return {'prefix': os.environ.get('DEB_PYTHON_INSTALL_LAYOUT', 'posix_local')}
"""
_DATA = """# system configuration generated
build_time_vars = {'BINDIR': '/usr/bin', 'INSTALL': '/usr/bin/install -c', 'LIBDIR': '/usr/lib/x86_64-linux-gnu',
 'TZPATH': '/usr/share/zoneinfo', 'prefix': '/usr', 'Py_DEBUG': 0}
"""


def _debian_files(stdlib: str) -> dict[str, File | Link]:
    texts = {
        "site.py": _SITE,
        "sysconfig/__init__.py": _SYSCONFIG,  # a package since 3.13
        "_sysconfigdata__x86_64-linux-gnu.py": _DATA,
        "EXTERNALLY-MANAGED": "[externally-managed]",
        "ensurepip/__init__.py": "def _ensurepip_is_disabled_in_debian_for_system():\n    raise SystemExit(1)\n",
    }
    files: dict[str, File | Link] = {f"{stdlib}/{name}": File(text.encode()) for name, text in texts.items()}
    return files | {f"{stdlib}/sitecustomize.py": Link("/etc/python3.13/sitecustomize.py")}


def test_debians_layout_is_undone_in_newer_pythons_too() -> None:
    stdlib = "lib/python3.13"
    restored = upstream_layout.restore(_debian_files(stdlib), stdlib, "x86_64-linux-gnu")
    assert f"{stdlib}/EXTERNALLY-MANAGED" not in restored
    schemes: dict[str, object] = {}
    exec(_text(restored, f"{stdlib}/sysconfig/__init__.py"), schemes)
    assert list(schemes["_INSTALL_SCHEMES"]) == ["posix_prefix", "nt"]  # type: ignore[call-overload]
    assert schemes["_get_preferred_schemes"]()["prefix"] == "posix_prefix"  # type: ignore[operator]
    site: dict[str, object] = {}
    exec(_text(restored, f"{stdlib}/site.py"), site)
    assert "dist-packages" not in str(site["getsitepackages"](["/env"]))  # type: ignore[operator]
    variables: dict[str, dict[str, object]] = {}
    exec(_text(restored, f"{stdlib}/_sysconfigdata__x86_64-linux-gnu.py"), variables)
    built = variables["build_time_vars"]
    assert built["prefix"] == upstream_layout.PLACEHOLDER
    assert built["LIBDIR"] == f"{upstream_layout.PLACEHOLDER}/lib"
    assert built["INSTALL"] == "/usr/bin/install -c"
    assert built["Py_DEBUG"] == 0


def test_an_unknown_layout_is_refused_by_name() -> None:
    files = _debian_files("lib/python3.13")
    files["lib/python3.13/site.py"] = File(b"import sys\n")
    with pytest.raises(
        ChannelError, match=r"lib/python3\.13/site\.py: there is no function getsitepackages to restore"
    ):
        upstream_layout.restore(files, "lib/python3.13", "x86_64-linux-gnu")


def _text(files: dict[str, File | Link], path: str) -> str:
    content = files[path]
    assert isinstance(content, File)
    return content.data.decode()
