"""`make up` takes the caller's settings, and says in a sentence what is wrong with them."""

import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from condarium.config import REGISTER, check_all
from deploy.local import allotment, checks, environment, infrastructure, ports, settings, state
from deploy.local.problem import LocalProblem

CHECKOUT = Path("/somewhere/condarium")


def read(data: Path, **given: str) -> settings.Settings:
    return settings.read({"CONDARIUM_DATA_DIR": str(data), **given}, CHECKOUT)


def plan(data: Path, kept: state.State, **given: str) -> dict[str, str]:
    """The values that a call with these variables writes to the environment file."""
    chosen_settings = read(data, **given)
    chosen = environment.chosen(chosen_settings, kept)
    allotment.allot(chosen_settings, kept, chosen, ours=nothing_runs)
    servers = infrastructure.of(chosen_settings.layout, kept, chosen)
    derived = environment.derived(chosen_settings, kept, chosen, servers)
    values = {**derived, **chosen}
    kept.derived = {name: value for name, value in values.items() if name not in chosen}
    return values


def nothing_runs(name: str, port: int) -> bool:
    return False


@pytest.fixture
def kept() -> state.State:
    return state.State(checkout=str(CHECKOUT))


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"CONDARIUM_STORAGE_UR": "x"}, "CONDARIUM_STORAGE_UR is not a setting of Condarium; did you mean"),
        ({"CONDARIUM_API_PORT": "eighty"}, "CONDARIUM_API_PORT: 'eighty' is not allowed"),
        ({"CONDARIUM_DATABASE_URL": "mysql://x"}, "CONDARIUM_DATABASE_URL: its value is not allowed"),
        ({"BUILDERS": "many"}, "BUILDERS=many is not a number of copies from 0 to 32"),
        ({"BUILDERS": "-1"}, "BUILDERS=-1 is not a number"),
        ({"CONDARIUM_DATA_DIR": "/somewhere"}, "contains the checkout"),
        ({"CONDARIUM_DATA_DIR": "/" + "x" * 99}, "longer than 70 bytes"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(LocalProblem) as problem:
        settings.read(given, CHECKOUT)
    assert sentence in str(problem.value)


def test_two_checkouts_have_two_data_directories_outside_of_them() -> None:
    here = settings.default_data_directory({"HOME": "/home/me"}, Path("/a/condarium"))
    there = settings.default_data_directory({"HOME": "/home/me"}, Path("/b/condarium"))
    assert here != there
    assert not here.is_relative_to("/a/condarium")


def test_what_is_written_is_known_to_every_service(tmp_path: Path, kept: state.State) -> None:
    values = plan(tmp_path, kept, BUILDERS="2", CONDARIUM_STORAGE="s3")
    assert set(values) <= set(REGISTER)
    check_all(values)
    assert values["CONDARIUM_STORAGE_URL"].startswith("s3://")


def test_a_sourced_environment_file_is_no_choice_of_the_caller(tmp_path: Path, kept: state.State) -> None:
    first = plan(tmp_path, kept)
    assert plan(tmp_path, kept, **first) == first
    again = environment.chosen(read(tmp_path, **first), kept)
    assert "CONDARIUM_DATABASE_URL" not in again


def test_the_users_own_servers_replace_the_private_ones(tmp_path: Path, kept: state.State) -> None:
    own = {
        "CONDARIUM_DATABASE_URL": "postgresql://me:pw@db.example/condarium",
        "CONDARIUM_AMQP_URL": "amqp://me:pw@mq.example/condarium",
        "CONDARIUM_STORAGE_URL": "s3://k:s@s3.example/bucket",
        "CONDARIUM_EXTERNAL_URL": "https://conda.example",
        "CONDARIUM_REGISTRY_EXTERNAL": "images.example:443",
    }
    values = plan(tmp_path, kept, **own)
    assert own.items() <= values.items()
    assert values["CONDARIUM_API_URL"] == "https://conda.example"
    assert values["CONDARIUM_REGISTRY"] == "images.example:443"
    chosen = read(tmp_path, **own)
    assert list(infrastructure.of(chosen.layout, kept, own).servers()) == []


def test_a_taken_port_leads_to_the_next_one_which_is_kept(
    tmp_path: Path, kept: state.State, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(allotment.PUBLIC, "api", (listener, "CONDARIUM_API_PORT"))
    # Not the usual one: a run of the user's may have it.
    monkeypatch.setitem(allotment.PUBLIC, "registry", (ports.next_free(listener + 100), "CONDARIUM_REGISTRY_PORT"))
    chosen = read(tmp_path)
    notices = allotment.allot(chosen, kept, {}, ours=nothing_runs)
    port = kept.ports["api"]
    assert port > listener
    assert notices == [f"port {listener} is taken by another program; api gets {port} and keeps it"]
    state.save(kept, tmp_path / "state.json")
    monkeypatch.setitem(allotment.PUBLIC, "api", (port + 1, "CONDARIUM_API_PORT"))
    later = state.load(tmp_path / "state.json", CHECKOUT)
    assert allotment.allot(chosen, later, {}, ours=nothing_runs) == []
    assert later.ports == kept.ports
    assert len(set(kept.ports.values())) == len(kept.ports)


def test_a_port_that_the_user_insists_on_is_not_replaced(tmp_path: Path, kept: state.State, listener: int) -> None:
    forced = {"CONDARIUM_API_PORT": str(listener)}
    with pytest.raises(LocalProblem, match=f"CONDARIUM_API_PORT={listener}: another program listens on that port"):
        allotment.allot(read(tmp_path, **forced), kept, forced, ours=nothing_runs)


def test_private_ports_are_not_those_of_outgoing_connections() -> None:
    found = ports.private_ports(5, seed="x")
    assert len(set(found)) == 5
    assert all(ports.PRIVATE_FIRST <= port <= ports.PRIVATE_LAST for port in found)


def test_another_storage_for_the_same_database_is_refused(tmp_path: Path, kept: state.State) -> None:
    checks.check_storage(kept, plan(tmp_path, kept), moved=False)
    in_s3 = plan(tmp_path, kept, CONDARIUM_STORAGE="s3")
    with pytest.raises(LocalProblem, match=r"stored in file://.*, and would be looked for in s3://this machine/"):
        checks.check_storage(kept, in_s3, moved=False)
    checks.check_storage(kept, in_s3, moved=True)
    checks.check_storage(kept, in_s3, moved=False)
    own = {"CONDARIUM_DATABASE_URL": "postgresql://me:pw@db.example/other", "CONDARIUM_STORAGE_URL": "memory://"}
    checks.check_storage(kept, own, moved=False)
    assert "pw" not in str(kept.database)


def test_a_schema_from_the_future_and_a_database_that_is_away_are_refused(empty_database_url: str) -> None:
    assert checks.check_or_make_schema(empty_database_url) == "made"
    assert checks.check_or_make_schema(empty_database_url) == "is current"
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
    with pytest.raises(LocalProblem, match="newer than this release"):
        checks.check_or_make_schema(empty_database_url)
    elsewhere = empty_database_url.rpartition("@")[0] + "@127.0.0.1:1/none"
    with pytest.raises(LocalProblem, match=r"(?s)127.0.0.1:1/none does not answer.*unset it"):
        checks.check_or_make_schema(elsewhere)


def test_a_state_of_another_format_is_refused(tmp_path: Path, kept: state.State) -> None:
    kept.format = 99
    state.save(kept, tmp_path / "state.json")
    with pytest.raises(LocalProblem, match="has format 99, this release works with format 1"):
        state.load(tmp_path / "state.json", CHECKOUT)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(LocalProblem, match="cannot be read"):
        state.load(tmp_path / "state.json", CHECKOUT)
