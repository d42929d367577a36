"""Signing keys and bills of materials over REST, by both clients and by the command line."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from condarium.client import Client, Refused, Wrong
from condarium.database import referrer_sets
from condarium.database.tables import Audit
from condarium.domain.lock import Lock
from tests.clients.conftest import CommandLine
from tests.fixtures.gateway import TOKEN, RunningGateway
from tests.fixtures.referrers import rich_lock
from tests.fixtures.served import make_lock


def completed(gateway: RunningGateway, *locks: Lock) -> int:
    build_id = gateway.post("first")
    gateway.solve(build_id, *locks)
    gateway.complete(build_id)
    return build_id


def test_everybody_gets_the_keys_and_administrators_rotate_them(gateway: RunningGateway) -> None:
    with Client(gateway.address, token=TOKEN) as admin, Client(gateway.address) as anybody:
        first = admin.rotate_signing_key()
        assert [row.fingerprint for row in anybody.signing_keys()] == [first.fingerprint]
        assert anybody.public_key() == first.public_key
        key = serialization.load_pem_public_key(first.public_key.encode())
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
        with pytest.raises(Refused):
            anybody.rotate_signing_key()
        with pytest.raises(Refused):
            anybody.sign_again()
        second = admin.rotate_signing_key()
        rows = anybody.signing_keys()
        assert [(row.fingerprint, row.state) for row in rows] == [
            (second.fingerprint, "ACTIVE"),
            (first.fingerprint, "RETIRED"),
        ]
        assert rows[1].retired_by == "admin"
        assert anybody.public_key() == second.public_key
        assert "PRIVATE" not in str([row.to_json() for row in rows])
    with gateway.database.transaction() as session:
        noted = [row for row in session.query(Audit) if row.details.get("operation") == "rotate_signing_key"]
        assert [row.details["fingerprint"] for row in noted] == [first.fingerprint, second.fingerprint]


def test_signing_again_asks_for_what_another_key_has_signed(gateway: RunningGateway) -> None:
    build_id = completed(gateway, make_lock("zlib"))
    with Client(gateway.address, token=TOKEN) as admin:
        assert admin.sign_again() == 0
        with gateway.database.transaction() as session:
            referrer_sets.request(session, build_id)
            row = referrer_sets.state_of(session, build_id)
            assert row is not None
            row.state, row.fingerprint = "READY", "0" * 64
        assert admin.sign_again() == 1
    with gateway.database.transaction() as session:
        row = referrer_sets.state_of(session, build_id)
        assert row is not None
        assert row.state == "REQUESTED"


def test_a_bill_of_materials_needs_no_image(gateway: RunningGateway) -> None:
    build_id = completed(gateway, rich_lock(), make_lock("a", "linux-aarch64"))
    with Client(gateway.address, token=TOKEN) as client:
        spdx = json.loads(client.sbom(build_id))
        assert spdx["spdxVersion"] == "SPDX-2.3"
        names = {package["name"] for package in spdx["packages"]}
        assert {"numpy", "a"} <= names
        one = json.loads(client.sbom(build_id, format="cyclonedx", platform="linux-aarch64"))
        assert [component["name"] for component in one["components"]] == ["a"]
        with pytest.raises(Wrong, match="it is for linux-64, linux-aarch64"):
            client.sbom(build_id, platform="osx-64")
    with Client(gateway.address) as anybody, pytest.raises(Refused):
        anybody.sbom(gateway.post("hidden", namespace="secret"))


def test_the_command_line_shows_keys_and_bills(gateway: RunningGateway, command_line: object, tmp_path: Path) -> None:
    run: CommandLine = command_line(gateway.address, TOKEN)  # type: ignore[operator]
    completed(gateway, rich_lock())
    made = run.json("signing-key", "rotate", "--yes")
    assert [row["fingerprint"] for row in run.json("signing-key", "list")] == [made["fingerprint"]]
    assert "ACTIVE" in run.ok("signing-key", "list")
    assert run.ok("signing-key", "show") == made["public_key"]
    assert run.json("signing-key", "sign")["builds"] == 0
    assert run("signing-key", "show", "zz").returncode == 2
    assert json.loads(run.ok("env", "sbom", "default/first"))["spdxVersion"] == "SPDX-2.3"
    run.ok("env", "sbom", "first:g1", "--format", "cyclonedx", "-o", str(tmp_path / "bom.json"))
    assert json.loads((tmp_path / "bom.json").read_text())["bomFormat"] == "CycloneDX"
    wrong = run("env", "sbom", "first:g7")
    assert wrong.returncode == 4
