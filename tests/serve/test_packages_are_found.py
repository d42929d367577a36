"""/package/ and /channel/ answer what the indexed channels have, in conda's order, as conda-store's clients ask."""

from pathlib import Path
from typing import Any

import pytest
from rattler import Version
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.http_directory import serve_directory
from tests.fixtures.repodata import CHANNEL, Index, plan, record, write_json, write_repodata
from tests.fixtures.served import make_lock

OTHER = "https://conda.anaconda.org/bioconda"
VERSIONS = ("1.9", "1.10", "1.10.0rc1", "2.0.post1", "2.0", "2.0.dev3")
DISTINCT = ("channel", "name", "version", "channel name", "name version", "channel version", "name version channel")
RECORDS = (
    *(record("numpy", version, build=f"py3{minor}_0") for version in VERSIONS for minor in (11, 12)),
    record("numpy-base", "1.10"),
    record("libnum_py", "3"),
    record("zlib", "1.2.13", license="Zlib"),
)


@pytest.fixture(scope="module")
def found(quiet_gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> RunningGateway:
    """A gateway whose database has two indexed channels, and a third that is dead."""
    directory = tmp_path_factory.mktemp("channels")
    write_repodata(directory / "conda-forge", *RECORDS)
    packages = {"numpy": {"summary": "Arrays of numbers"}}
    write_json(directory / "conda-forge" / "channeldata.json", {"packages": packages})
    write_repodata(directory / "bioconda", record("numpy", "1.10", build="other_0"), record("samtools", "1.20"))
    with serve_directory(directory) as served:
        more = {"bioconda": f"{served.url}/bioconda", "dead": "http://127.0.0.1:9"}
        names = ("conda-forge", *more)
        Index(quiet_gateway.database, plan(f"{served.url}/conda-forge", names=names, **more)).sync()
    return quiet_gateway


def page(gateway: RunningGateway, query: str, path: str = "package/") -> dict[str, Any]:
    reply = gateway.admin.get(f"/api/v1/{path}?{query}")
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert body["count"] >= len(body["data"])
    return dict(body)


def shown(gateway: RunningGateway, query: str) -> list[tuple[str, str, str]]:
    return [
        (row["channel"]["name"].rpartition("/")[2], row["name"], row["version"]) for row in page(gateway, query)["data"]
    ]


def test_a_row_has_what_the_clients_read(found: RunningGateway) -> None:
    body = page(found, "search=numpy&exact=true&channel=" + CHANNEL)
    assert (body["page"], body["size"], body["count"], body["message"]) == (1, 100, 6, None)
    row = body["data"][0]
    assert row.keys() == {"id", "channel", "license", "name", "version", "summary"}
    assert row["channel"]["name"] == CHANNEL
    assert row["channel"]["last_update"].count(":") == 2
    assert (row["license"], row["summary"]) == ("MIT", "Arrays of numbers")


def test_everything_is_sorted_by_channel_name_and_condas_versions(found: RunningGateway) -> None:
    rows = shown(found, "")
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    versions = [version for channel, name, version in rows if (channel, name) == ("conda-forge", "numpy")]
    assert versions == sorted(VERSIONS, key=Version)
    assert shown(found, "order=desc") == rows[::-1]


def test_the_ui_suggests_names_once(found: RunningGateway) -> None:
    assert [row[1] for row in shown(found, "search=num&page=1&size=100&distinct_on=name")] == [
        "libnum_py", "numpy", "numpy-base",
    ]  # fmt: skip
    assert page(found, "search=num&distinct_on=name")["count"] == 3


def test_the_ui_lists_versions_newest_first_and_once(found: RunningGateway) -> None:
    query = "search=numpy&exact=true&distinct_on=version&order=desc&sort_by=version"
    body = page(found, query)
    assert [row["version"] for row in body["data"]] == sorted(VERSIONS, key=Version, reverse=True)
    assert body["count"] == len(VERSIONS)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("search=num", {"numpy", "numpy-base", "libnum_py"}),
        ("search=NumPy", {"numpy", "numpy-base"}),
        ("search=num_", {"libnum_py"}),
        ("search=%25", set()),
        ("search=num&exact=true", set()),
        ("search=zlib&exact=1", {"zlib"}),
        ("search=numpy&exact=false", {"numpy", "numpy-base"}),
        ("build=py311", {"numpy"}),
        ("build=py311&search=zlib", set()),
        ("build=other&distinct_on=name", {"numpy"}),
        ("channel=" + OTHER, {"numpy", "samtools"}),
        ("search=%5C", set()),
    ],
)
def test_filters(found: RunningGateway, query: str, names: set[str]) -> None:
    body = page(found, query)
    assert {row["name"] for row in body["data"]} == names
    assert body["count"] == len(body["data"])


@pytest.mark.parametrize(
    "distinct", ["", "channel", "name", "version", "channel name", "name version", "channel version"]
)
@pytest.mark.parametrize("sort", ["", "channel", "name", "version", "version name", "name version", "bogus"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_of_any_list_give_the_list(found: RunningGateway, distinct: str, sort: str, order: str) -> None:
    """Whatever way the database takes: the same rows, in the same order, as a plain sort of all rows gives."""
    columns = [*distinct.split(), *(name for name in sort.split() if name != "bogus"), "channel", "name", "version"]
    place = {"channel": 0, "name": 1, "version": 2}

    def key(row: tuple[str, str, str]) -> list[Any]:
        return [(Version(row[2]), row[2]) if name == "version" else row[place[name]] for name in columns]

    expected: dict[Any, tuple[str, str, str]] = {}
    for row in sorted(shown(found, ""), key=key, reverse=order == "desc"):
        expected.setdefault(tuple(row[place[name]] for name in distinct.split() or place), row)
    unique = "".join(f"&distinct_on={name}" for name in distinct.split())
    asked = f"order={order}{unique}" + "".join(f"&sort_by={name}" for name in sort.split())
    got: list[tuple[str, str, str]] = []
    for number in range(1, 12):
        rows = shown(found, f"{asked}&page={number}&size=2")
        got += rows
        if not rows:
            break
    assert got == list(expected.values())
    assert page(found, f"{asked}&page=1&size=1")["count"] == len(expected)


def test_a_page_behind_the_last_is_empty_and_counts_right(found: RunningGateway) -> None:
    body = page(found, "page=900")
    assert (body["data"], body["page"], body["count"]) == ([], 900, 11)


def test_a_page_takes_few_statements(found: RunningGateway) -> None:
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if "package" in statement:
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for query in ("", "distinct_on=name", "sort_by=version", "search=numpy&exact=true&distinct_on=version"):
            statements.clear()
            page(found, query)
            assert len(statements) <= 3, query
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_a_slash_glued_to_the_last_value_is_not_part_of_it(found: RunningGateway) -> None:
    assert found.admin.get("/api/v1/package?search=numpy&exact=true/").json()["count"] == 7
    assert found.admin.get("/api/v1/package?search=zlib/").json()["count"] == 1


def test_records_say_what_repodata_says(found: RunningGateway) -> None:
    body = page(found, "name=numpy&version=2.0", "package/record/")
    assert [row["build"] for row in body["data"]] == ["py311_0", "py312_0"]
    row = body["data"][0]
    assert (row["channel"], row["subdir"], row["depends"], row["size"]) == (
        CHANNEL,
        "linux-64",
        ["python >=3.11"],
        1000,
    )
    assert page(found, "name=numpy&build=other&channel=" + OTHER, "package/record/")["count"] == 1
    newest = page(found, "name=numpy&order=desc&size=1", "package/record/")["data"][0]
    assert newest["version"] == "2.0.post1"
    assert found.admin.get("/api/v1/package/record/").status_code == 422


def test_channels_say_how_current_they_are_and_what_is_wrong(found: RunningGateway) -> None:
    body = page(found, "", "channel/")
    assert [row["name"] for row in body["data"]] == [OTHER, CHANNEL, "https://conda.anaconda.org/dead"]
    assert body["count"] == 3
    bioconda, forge, dead = body["data"]
    assert forge["last_update"] is not None
    assert (forge["condarium"]["packages"], forge["condarium"]["error"]) == (4, None)
    linux, data = sorted(forge["condarium"]["parts"], key=lambda part: -part["records"])
    assert (linux["part"], linux["records"], linux["state"], data["records"]) == (
        "linux-64",
        len(RECORDS),
        "waiting",
        1,
    )
    assert {part["part"]: part["state"] for part in bioconda["condarium"]["parts"]}["channeldata.json"] == "absent"
    assert dead["last_update"] is None
    assert "Connection refused" in dead["condarium"]["error"]
    assert {part["state"] for part in dead["condarium"]["parts"]} == {"failing"}
    assert [row["name"] for row in page(found, "order=desc&size=1", "channel/")["data"]] == [dead["name"]]


@pytest.mark.parametrize(
    "query", ["page=0", "size=0", "page=x", "search=%00", "distinct_on=%00", "page=99999999999999999999"]
)
def test_bad_input_is_422(found: RunningGateway, query: str) -> None:
    assert found.admin.get(f"/api/v1/package/?{query}").status_code == 422


def test_packages_of_a_build_sort_by_version_and_know_their_channel(found: RunningGateway, tmp_path: Path) -> None:
    build_id = found.submit("sorted").build_id
    base = make_lock("numpy")
    records = [
        type(base.conda[0])({**base.conda[0].raw, "version": version, "name": name, "license": "BSD"})
        for name, version in (("numpy", "1.10"), ("a-tool", "1.9"), ("zlib", "1.9.post1"))
    ]
    found.solve(build_id, type(base)(**{**base.__dict__, "conda": tuple(records)}))
    path = f"build/{build_id}/packages/"
    rows = page(found, "sort_by=version", path)["data"]
    assert [row["version"] for row in rows] == ["1.9", "1.9.post1", "1.10"]
    assert [row["version"] for row in page(found, "sort_by=version&order=desc&size=1&page=2", path)["data"]] == [
        "1.9.post1"
    ]
    assert [row["name"] for row in page(found, "", path)["data"]] == ["a-tool", "numpy", "zlib"]
    numpy = page(found, "search=numpy&exact=true", path)["data"][0]
    assert (numpy["summary"], numpy["license"]) == ("Arrays of numbers", "BSD")
    listed = {row["name"]: row for row in page(found, "", "channel/")["data"]}
    assert numpy["channel"]["id"] == listed[CHANNEL]["id"]
    assert numpy["channel"]["last_update"] is not None
