"""The real conda-store web UI in a real browser: log in, create by form and by YAML, edit, switch, open, delete.

Pictures of each step are kept in `.local/screenshots`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fixtures.system import ROOT, TOKEN, System

pytestmark = pytest.mark.system
SCREENSHOTS = ROOT / ".local" / "screenshots"
#: of one step; a build takes seconds, the UI asks every five
STEP_MILLISECONDS = 90_000
EDITED = "channels:\n  - conda-forge\ndependencies:\n  - python\n  - click\n  - rich\nvariables:\n  TRIED: yes please\n"
#: the UI's own: it gives its icons attributes that no browser knows
OWN_FAULTS = ("Error: <svg> attribute ",)
ARTIFACTS = ("Show lockfile", "Show yml file", "Show Docker image", "Download archive")


@dataclass
class Visit:
    """One person's browser window, and everything it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    pictures: int = 0

    def picture(self, name: str) -> None:
        self.pictures += 1
        self.page.screenshot(path=SCREENSHOTS / f"ui-{self.pictures:02d}-{name}.png", full_page=True)


@pytest.fixture
def visit(browser: Browser, system: System) -> Iterator[Visit]:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    context.set_default_timeout(STEP_MILLISECONDS)
    page = context.new_page()
    found = Visit(page)
    page.on(
        "console",
        lambda said: found.complaints.append(f"{said.text} {said.location['url']}") if said.type == "error" else None,
    )
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    yield found
    found.picture("end")
    context.close()


def test_an_environment_lives_its_whole_life_in_the_ui(visit: Visit, system: System) -> None:
    _log_in(visit, system)
    _create_by_form(visit, "by-form")
    _follow_to_completed(visit)
    _see_packages(visit, "click")
    first = _current_build(system, "by-form")
    _edit_as_yaml(visit)
    _follow_to_completed(visit)
    _see_packages(visit, "rich")
    second = _current_build(system, "by-form")
    assert second > first
    _switch_active_build(visit, system)
    assert _current_build(system, "by-form") == first
    _open_each_artifact(visit, first)
    _create_by_yaml(visit, "by-yaml")
    _follow_to_completed(visit)
    _delete(visit, "by-yaml")
    assert system.api.get("/api/v1/environment/default/by-yaml/").status_code == 404
    _log_out(visit)
    assert {said for said in visit.complaints if not said.startswith(OWN_FAULTS)} == set()


def _log_in(visit: Visit, system: System) -> None:
    page = visit.page
    page.goto(f"{system.url}/conda-store/ui/")
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("User name").fill("admin")
    page.get_by_label("token").fill(TOKEN)
    visit.picture("login")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()
    visit.picture("logged-in")


def _log_out(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Log in").wait_for()
    assert page.context.cookies() == []


def _new_environment(visit: Visit, name: str) -> None:
    page = visit.page
    page.get_by_role("link", name="New").first.click()
    page.get_by_label("Environment name").fill(name)
    # The UI takes the name over when typing rests for 300 ms.
    page.wait_for_timeout(400)


def _create_by_form(visit: Visit, name: str) -> None:
    page = visit.page
    _new_environment(visit, name)
    for package in ("python", "click"):
        page.get_by_role("button", name="+ Add Package").click()
        page.get_by_label("Enter package").fill(package)
        page.get_by_label("Enter package").press("Enter")
    page.get_by_role("button", name="Channels", exact=True).click()
    page.get_by_role("button", name="+ Add Channel").click()
    page.get_by_label("Enter channel").fill("conda-forge")
    page.get_by_label("Enter channel").press("Enter")
    visit.picture("form")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_text(f"The environment {name} is being created").wait_for()
    visit.picture("created")


def _create_by_yaml(visit: Visit, name: str) -> None:
    page = visit.page
    _new_environment(visit, name)
    _write_yaml(page, EDITED)
    visit.picture("yaml")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_text(f"The environment {name} is being created").wait_for()


def _write_yaml(page: Page, text: str) -> None:
    page.get_by_role("checkbox").click()
    editor = page.locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+A")
    # As a paste: the editor indents what is typed by itself.
    page.keyboard.insert_text(text)
    page.wait_for_timeout(400)


def _follow_to_completed(visit: Visit) -> None:
    visit.page.get_by_text("Completed", exact=False).first.wait_for()
    visit.picture("completed")


def _see_packages(visit: Visit, name: str) -> None:
    visit.page.get_by_role("cell", name=name, exact=True).first.wait_for()


def _edit_as_yaml(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Edit").click()
    _write_yaml(page, EDITED)
    visit.picture("edited")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("has been updated").wait_for()


def _switch_active_build(visit: Visit, system: System) -> None:
    page = visit.page
    # The UI keeps the active build that it read with its list of environments.
    page.reload()
    page.get_by_role("button", name="Edit").click()
    page.get_by_test_id("test-select").locator("xpath=..").get_by_role("combobox").click()
    page.get_by_role("option").filter(has_text="Available").last.click()
    visit.picture("chosen")
    page.get_by_role("button", name="Change environment version").click()
    page.get_by_text("has been updated with the selected build").wait_for()
    page.get_by_role("button", name="Cancel").click()


def _open_each_artifact(visit: Visit, build: int) -> None:
    page = visit.page
    page.get_by_role("link", name="Download archive").wait_for()
    visit.picture("artifacts")
    for name in (*ARTIFACTS, f"Show Conda environment {build} log"):
        address = page.get_by_role("link", name=name).get_attribute("href")
        assert address is not None
        reply = page.request.get(address)
        assert reply.status == 200, (name, reply.status, reply.text()[:300])
        assert reply.body()


def _delete(visit: Visit, name: str) -> None:
    page = visit.page
    page.get_by_role("button", name="Edit").click()
    page.get_by_text("Delete environment").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text(f"The environment {name} has been deleted").wait_for()
    expect(page.get_by_role("link", name=name)).to_have_count(0)
    visit.picture("deleted")


def _current_build(system: System, name: str) -> int:
    return int(system.api.get(f"/api/v1/environment/default/{name}/").json()["data"]["current_build_id"])
