"""SPDX and CycloneDX out of locks: held to their schemas by the libraries of the two, and the same bytes every time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from condarium.domain.lock import Lock
from condarium.domain.referrers.bill import bill_of, licence_of, purl_of
from condarium.domain.referrers.cyclonedx import render_cyclonedx
from condarium.domain.referrers.spdx import render_spdx
from tests.fixtures.referrers import record, rich_lock
from tests.fixtures.served import make_lock

LOCKS = {
    "rich": [rich_lock()],
    "two platforms": [rich_lock(), make_lock("a", "linux-aarch64")],
    "empty": [Lock("linux-64", (), (), (), ())],
    "odd": [
        Lock(
            "linux-64",
            ("https://example.org/some channel",),
            (),
            ("_x264 >1",),
            (
                record(
                    "_x264", licence="GPL-2.0-or-later", url="https://example.org/x.tar.bz2", version="1!2.0+cuda_11"
                ),
                record("r-base", licence="GPL-2 | GPL-3", channel="https://example.org/some channel/"),
                record("weird", licence="(c) Jemand <x@y.z> – alle Rechte"),
                record("loop", depends=("loop", "missing", "conda-forge::r-base >=4")),
                record("local", url="file:///data/local-1.0-0.conda"),
            ),
        )
    ],
}


@pytest.mark.parametrize("case", LOCKS)
def test_spdx_is_valid(case: str) -> None:
    bill = bill_of(LOCKS[case])
    document = JsonLikeDictParser().parse(json.loads(render_spdx(bill)))
    assert [message.validation_message for message in validate_full_spdx_document(document)] == []
    assert len(document.packages) == len(bill.components) + 1


@pytest.mark.parametrize("case", LOCKS)
def test_cyclonedx_is_valid(case: str) -> None:
    text = render_cyclonedx(bill_of(LOCKS[case])).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert OutputFormat.JSON  # the schema of 1.6 came with the library


def test_packages_are_named_by_purls_that_parse() -> None:
    lock = rich_lock()
    purl = PackageURL.from_string(purl_of(lock.conda[2]))
    assert (purl.type, purl.name, purl.version) == ("conda", "numpy", "2.0.0")
    assert purl.qualifiers == {"build": "0", "channel": "conda-forge", "subdir": "linux-64", "type": "conda"}
    wheel = PackageURL.from_string(purl_of(lock.pypi[0]))
    assert (wheel.type, wheel.name, wheel.version) == ("pypi", "flask-login", "0.6.3")
    odd = PackageURL.from_string(purl_of(LOCKS["odd"][0].conda[0]))
    assert odd.version == "1!2.0+cuda_11"
    assert odd.qualifiers["type"] == "tar.bz2"
    elsewhere = PackageURL.from_string(purl_of(LOCKS["odd"][0].conda[1]))
    assert elsewhere.qualifiers["channel"] == "https://example.org/some channel"


def test_licences_are_spdx_or_say_their_name() -> None:
    assert licence_of("bsd-3-clause").expression == "BSD-3-Clause"
    assert licence_of("MIT OR Apache-2.0").named == ""
    assert licence_of("BSD 3-Clause").expression == "LicenseRef-BSD-3-Clause"
    assert licence_of("BSD 3-Clause").named == "BSD 3-Clause"
    document = json.loads(render_spdx(bill_of([rich_lock()])))
    declared = {one["name"]: one.get("licenseDeclared") for one in document["packages"]}
    assert declared["python"] == "PSF-2.0"
    assert declared["numpy"] == "LicenseRef-BSD-3-Clause"
    assert declared["Flask_Login"] == "NOASSERTION"
    (named,) = document["hasExtractedLicensingInfos"]
    assert named == {"licenseId": "LicenseRef-BSD-3-Clause", "name": "BSD 3-Clause", "extractedText": "BSD 3-Clause"}


def test_dependencies_and_hashes_are_those_of_the_lock() -> None:
    lock = rich_lock()
    document = json.loads(render_cyclonedx(bill_of([lock])))
    names = {one["bom-ref"]: one["name"] for one in document["components"]}
    depends = {
        names.get(one["ref"], "environment"): sorted(names[each] for each in one["dependsOn"])
        for one in document["dependencies"]
    }
    assert depends == {
        "environment": ["Flask_Login", "numpy", "odd"],
        "python": ["openssl"],
        "openssl": [],
        "numpy": ["python"],
        "odd": [],
        "Flask_Login": ["python"],
    }
    hashes = {one["name"]: {each["alg"]: each["content"] for each in one["hashes"]} for one in document["components"]}
    assert hashes["numpy"] == {"SHA-256": lock.conda[2].sha256, "MD5": "0" * 32}
    assert hashes["Flask_Login"] == {"SHA-256": "ab" * 32}
    spdx = json.loads(render_spdx(bill_of([lock])))
    ids = {one["SPDXID"]: one["name"] for one in spdx["packages"]}
    needs = {
        (ids.get(one["spdxElementId"]), ids.get(one["relatedSpdxElement"]))
        for one in spdx["relationships"]
        if one["relationshipType"] == "DEPENDS_ON"
    }
    assert {("numpy", "python"), ("python", "openssl")} <= needs


def test_the_same_locks_give_the_same_bytes_in_any_order_and_process() -> None:
    locks = LOCKS["two platforms"]
    bill = bill_of(locks)
    assert render_spdx(bill) == render_spdx(bill_of(locks[::-1]))
    script = (
        "import sys; from condarium.domain.referrers.bill import bill_of\n"
        "from condarium.domain.referrers.cyclonedx import render_cyclonedx\n"
        "from tests.fixtures.referrers import rich_lock\n"
        "sys.stdout.buffer.write(render_cyclonedx(bill_of([rich_lock()])))"
    )
    root = Path(__file__).parents[2]
    environ = {"PYTHONPATH": f"{root / 'shared'}:{root}", "PYTHONHASHSEED": "7", "PATH": "/usr/bin:/bin"}
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environ, check=True, cwd="/")
    assert other.stdout == render_cyclonedx(bill_of([rich_lock()]))
    assert b"urn:uuid:" in other.stdout
