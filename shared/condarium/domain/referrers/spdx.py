"""Bills of materials as SPDX 2.3 in JSON."""

import re
from typing import Any

from condarium.domain.canonical import canonical_json
from condarium.domain.referrers.bill import FIXED_TIME, Bill, Component

_ROOT = "SPDXRef-Environment"
_UNFIT = re.compile(r"[^A-Za-z0-9.-]+")


def render_spdx(bill: Bill) -> bytes:
    """The same bytes for the same locks."""
    ids = {one.purl: _id(one) for one in bill.components}
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", _ROOT)]
    relations += [(_ROOT, "CONTAINS", ids[one.purl]) for one in bill.components]
    relations += [(_ROOT, "DEPENDS_ON", ids[purl]) for purl in bill.top]
    relations += [(ids[one.purl], "DEPENDS_ON", ids[purl]) for one in bill.components for purl in one.depends_on]
    document: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": bill.name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{bill.name}-{bill.serial}",
        "creationInfo": {"created": FIXED_TIME, "creators": ["Tool: condarium"]},
        "packages": [_root(bill), *(_package(one, ids[one.purl]) for one in bill.components)],
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
            for one, kind, other in relations
        ],
    }
    named = {one.licence.expression: one.licence.named for one in bill.components if one.licence and one.licence.named}
    if named:
        document["hasExtractedLicensingInfos"] = [
            {"licenseId": reference, "name": text, "extractedText": text} for reference, text in sorted(named.items())
        ]
    return canonical_json(document)


def _root(bill: Bill) -> dict[str, Any]:
    return {
        "SPDXID": _ROOT,
        "name": bill.name,
        "versionInfo": bill.identity,
        "summary": f"the conda environment of an image, for {', '.join(bill.platforms)}",
        "primaryPackagePurpose": "CONTAINER",
        "filesAnalyzed": False,
        **_unknown("downloadLocation", "licenseConcluded", "licenseDeclared", "copyrightText"),
    }


def _package(one: Component, reference: str) -> dict[str, Any]:
    checksums = [{"algorithm": "SHA256", "checksumValue": one.sha256}]
    if one.md5:
        checksums.append({"algorithm": "MD5", "checksumValue": one.md5})
    return {
        "SPDXID": reference,
        "name": one.name,
        "versionInfo": one.version,
        "packageFileName": one.filename,
        **_unknown("licenseConcluded", "copyrightText"),
        "downloadLocation": one.url if one.url.startswith(("https://", "http://")) else "NOASSERTION",
        "licenseDeclared": one.licence.expression if one.licence else "NOASSERTION",
        "filesAnalyzed": False,
        "checksums": checksums,
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": one.purl}
        ],
    }


def _unknown(*keys: str) -> dict[str, str]:
    return dict.fromkeys(keys, "NOASSERTION")


def _id(one: Component) -> str:
    kind = "Wheel" if one.purl.startswith("pkg:pypi/") else "Conda"
    return f"SPDXRef-{kind}-{_UNFIT.sub('-', one.name)}-{one.sha256[:16]}"
