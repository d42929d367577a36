"""More than 120 packages as an image of at most 40 layers, and a second one that shares them."""

from pathlib import Path

import pytest

from tests.fixtures.system import ROOT, System

ACCEPT = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "tests" / "data" / "large.yml").read_text()


def manifest(system: System, name: str) -> dict[str, list[dict[str, str]]]:
    reply = system.api.get(f"http://{system.registry}/v2/{name}/manifests/latest", headers={"Accept": ACCEPT})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_a_large_environment_fits_the_layer_budget(system: System, text: str, tmp_path: Path) -> None:
    build = system.wait_build(system.submit(text), seconds=120)
    count = system.api.get(f"/api/v1/build/{build['id']}/packages/").json()["count"]
    assert count >= 120
    layers = [layer["digest"] for layer in manifest(system, "large")["layers"]]
    assert len(layers) <= 40
    # one small package less: only its group and the top layer differ
    less = text.replace("name: large", "name: lesser").replace("  - tabulate\n", "")
    assert less.count("\n") == text.count("\n") - 1
    system.wait_build(system.submit(less), seconds=120)
    shared = set(layers) & {layer["digest"] for layer in manifest(system, "lesser")["layers"]}
    assert len(shared) >= len(layers) - 2
