"""/admin/garbage/: what sweeps freed, why one failed, and a button that asks what one would free; for operators."""

import re
from typing import Any

from condarium.database.garbage import sweeps
from tests.fixtures.gateway import RunningGateway, token_of

PAGE = "/admin/garbage/"


def finish(gateway: RunningGateway, part: str, report: dict[str, Any], failed: str | None = None) -> None:
    with gateway.database.transaction() as session:
        claimed = sweeps.claim(session, part, owner="test", lease_seconds=60)
        assert claimed is not None
        sweeps.finish(session, claimed.held, report, failed=failed)


def rows(text: str) -> list[list[str]]:
    """The cells of the table, without marks."""
    found = re.findall(r"<tr><td.*?</tr>", text, re.S)
    return [
        [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)]
        for row in found
    ]


def test_what_was_freed_and_what_failed_is_shown(gateway: RunningGateway) -> None:
    assert "There was no sweep yet" in gateway.admin.get(PAGE).text
    asked = gateway.admin.post(PAGE, data={"do": "rehearse"}, follow_redirects=False)
    assert (asked.status_code, asked.headers["location"]) == (303, f"{PAGE}?said=sweep-asked")
    page = gateway.admin.get(asked.headers["location"]).text
    assert "It is asked for" in page
    assert [row[0::3] for row in rows(page)] == [["1 rehearsal", "REQUESTED", "–"]] * 2

    report = {
        "freed": {"blobs": {"count": 3, "bytes": 2048}},
        "waiting": {"blob": {"count": 1, "bytes": 5}},
        "kept": {"current": 1},
    }
    finish(gateway, sweeps.STORAGE, report)
    finish(gateway, sweeps.STORE, {}, failed="the disk <is> away")
    shown = rows(gateway.admin.get(PAGE).text)
    assert [row[2:] for row in shown] == [
        ["storage", "DONE", "blobs", "3", "2.0 KiB"],
        ["storage", "DONE", "blob waits for the grace period", "1", "5 B"],
        ["store", "FAILED the disk &lt;is&gt; away", "–", "–", "–"],
    ]


def test_a_sweep_and_a_verification_are_told_from_a_rehearsal(gateway: RunningGateway) -> None:
    gateway.admin.post(PAGE, data={"do": "sweep"}, follow_redirects=False)
    gateway.admin.post("/api/v1/store/verify/", json={})
    for part in sweeps.PARTS:
        finish(gateway, part, {"freed": {}})
        finish(gateway, part, {"checked": 7, "bad": [], "bad_count": 2, "repaired": 0})
    shown = rows(gateway.admin.get(PAGE).text)
    assert [[row[0], *row[4:]] for row in shown] == [
        *[["2 verification", "damaged", "2", "–"]] * 2,
        *[["1 sweep", "–", "–", "–"]] * 2,
    ]


def test_the_audit_log_tells_of_it_as_of_rest(gateway: RunningGateway) -> None:
    gateway.admin.post(PAGE, data={"do": "rehearse"})
    gateway.admin.post("/api/v1/gc/", json={"dry_run": True})
    said = gateway.admin.get("/api/v1/audit/", params={"limit": 10}).json()["data"]
    by_rest, by_page = [
        {name: row[name] for name in ("principal", "action", "resource", "outcome")}
        | {"details": {**row["details"], "id": 0}}
        for row in said
        if "options" in row["details"]
    ]
    assert by_page == by_rest


def test_it_is_for_operators_and_says_what_it_does_not_know(gateway: RunningGateway) -> None:
    mark = 'href="/admin/garbage/"'
    assert mark in gateway.admin.get("/admin/").text.replace("/conda-store", "")
    viewer = token_of("viewer")
    assert mark not in gateway.http.get("/admin/", headers=viewer).text
    assert gateway.http.get(PAGE, headers=viewer).status_code == 403
    wrong = gateway.admin.post(PAGE, data={"do": "everything"})
    assert wrong.status_code == 400
    assert "do: write rehearse or sweep" in wrong.text
