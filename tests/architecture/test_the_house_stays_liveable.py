"""The shape of the tree: the same five files in each service, no drawers, small files, what the cards say."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("api", "builder", "packager", "registry", "watcher")
FIVE = {"__init__.py", "__main__.py", "config.py", "service.py", "handlers.py"}
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core"}
SOURCES = sorted(p for top in ("services", "shared", "deploy") for p in (ROOT / top).rglob("*.py"))


def own_sources() -> list[Path]:
    return [path for path in SOURCES if "migrations/versions" not in path.as_posix()]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_five_files_and_its_card_names_the_others(service: str) -> None:
    folder = ROOT / "services" / service
    files = {path.name for path in folder.glob("*.py")}
    assert files >= FIVE
    card = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    for word in ("Wakes on", "Emits", "Reads", "Writes"):
        assert word in card, f"the card of {service} does not say «{word}»"
    for extra in sorted(files - FIVE):
        assert f"`{extra.removesuffix('.py')}`" in card, f"{extra} is not in the card of {service}"


def test_no_module_is_a_drawer() -> None:
    assert [path for path in SOURCES if path.stem in DRAWERS or path.parent.name in DRAWERS] == []


def test_no_file_is_a_crowd() -> None:
    crowded = {path.relative_to(ROOT): n for path in own_sources() if (n := len(path.read_text().splitlines())) > 400}
    assert crowded == {}


def test_every_module_says_what_it_is() -> None:
    mute = [
        path.relative_to(ROOT)
        for path in own_sources()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert mute == []


def test_nobody_but_the_entry_reads_the_environment() -> None:
    allowed = re.compile(
        r"/__main__\.py$|^deploy/|/messaging/bootstrap\.py$|/cli/|condarium/work/(child|parent|nursery)\.py$|/builder/engine\.py$|/conda/uv\.py$"
    )
    readers = [
        str(path.relative_to(ROOT))
        for path in own_sources()
        if re.search(r"os\.environ|os\.getenv", path.read_text())
        and not allowed.search(str(path.relative_to(ROOT)))
        and "migrations" not in path.parts
    ]
    assert readers == []


def test_the_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, env={"PYTHONPATH": "shared:."}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
