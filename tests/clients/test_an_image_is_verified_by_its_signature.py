"""`condarium verify` against a gateway, a registry and the packager's own signatures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from condarium.domain.referrers.envelope import SigningKey
from tests.clients.conftest import CommandLine
from tests.fixtures.gateway import TOKEN, RunningGateway, running_gateway
from tests.fixtures.referrers import publish, referring, wait_until_made
from tests.fixtures.registry import running_registry
from tests.fixtures.served import make_lock


@pytest.fixture
def gateway(database_url: str, storage_dir: Path, tmp_path: Path) -> Iterator[RunningGateway]:
    with (
        running_registry(database_url, storage_dir, admin_token=TOKEN) as registry,
        running_gateway(database_url, storage_dir, registry_external=registry.address) as running,
        referring(registry, tmp_path / "cache"),
    ):
        for namespace in ("default", "secret"):
            build_id, _ = publish(running, "first", make_lock(f"of-{namespace}"), namespace=namespace)
            wait_until_made(running, build_id)
        yield running


def test_the_signature_of_an_image_is_checked(gateway: RunningGateway, command_line: object, tmp_path: Path) -> None:
    run: CommandLine = command_line(gateway.address, TOKEN)  # type: ignore[operator]
    found = run.json("verify", "first")
    assert found["digest"] in found["image"]
    assert run.json("verify", "secret/first:g1")["keys"] == found["keys"]
    (tmp_path / "condarium.pub").write_text(run.ok("signing-key", "show"))
    assert "is signed by" in run.ok("verify", "first", "--key", str(tmp_path / "condarium.pub"))
    (tmp_path / "other.pub").write_text(SigningKey.generate().public_pem)
    refused = run("verify", "first", "--key", str(tmp_path / "other.pub"))
    assert refused.returncode == 1
    assert "is not signed by" in refused.stderr
    (tmp_path / "none.pub").write_text("no key")
    assert run("verify", "first", "--key", str(tmp_path / "none.pub")).returncode == 2
    assert run("verify", "nope").returncode == 4
