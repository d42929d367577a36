"""Bills of materials as CycloneDX 1.6 in JSON."""

from typing import Any

from condarium.domain.canonical import canonical_json
from condarium.domain.referrers.bill import FIXED_TIME, Bill, Component

_ROOT = "environment"


def render_cyclonedx(bill: Bill) -> bytes:
    """The same bytes for the same locks."""
    return canonical_json(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{bill.serial}",
            "version": 1,
            "metadata": {
                "timestamp": FIXED_TIME,
                "tools": {"components": [{"type": "application", "name": "condarium"}]},
                "component": {
                    "type": "container",
                    "bom-ref": _ROOT,
                    "name": bill.name,
                    "version": bill.identity,
                    "properties": [{"name": "condarium:platform", "value": name} for name in bill.platforms],
                },
            },
            "components": [_component(one) for one in bill.components],
            "dependencies": [
                {"ref": _ROOT, "dependsOn": list(bill.top)},
                *({"ref": one.purl, "dependsOn": list(one.depends_on)} for one in bill.components),
            ],
        }
    )


def _component(one: Component) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": one.sha256}]
    if one.md5:
        hashes.append({"alg": "MD5", "content": one.md5})
    shown: dict[str, Any] = {
        "type": "library",
        "bom-ref": one.purl,
        "name": one.name,
        "version": one.version,
        "purl": one.purl,
        "hashes": hashes,
        "externalReferences": [{"type": "distribution", "url": one.url}],
    }
    if one.licence and one.licence.named:
        shown["licenses"] = [{"license": {"name": one.licence.named}}]
    elif one.licence:
        shown["licenses"] = [{"expression": one.licence.expression}]
    return shown
