"""The pages of /admin/ in Chromium: a live log, a cancel, a token, a setting, a role; without a complaint.

Pictures of each step, wide and bright, narrow and dark, are kept in `.local/screenshots`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from condarium.database import builds, logs
from condarium.domain.artifact import ArtifactType
from condarium.domain.build import Status
from tests.fixtures.gateway import TOKEN, RunningGateway, running_gateway
from tests.fixtures.served import make_lock

SCREENSHOTS = Path(__file__).parents[2] / ".local" / "screenshots"
HOSTILE = "<script>document.title = 'taken over'</script>\n"


@dataclass
class Visit:
    """One person's browser window, everything it complained about, and every address that it asked."""

    page: Page
    site: RunningGateway
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    pictures: int = 0

    def go(self, path: str) -> None:
        self.page.goto(f"{self.site.address}/conda-store{path}")

    def picture(self, name: str) -> None:
        """As it is, and at 320 px in the dark; that must not be wider than its window."""
        self.pictures += 1
        for suffix, width, scheme in (("", 1280, "light"), ("-narrow", 320, "dark")):
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            self.page.set_viewport_size({"width": width, "height": 900})
            path = SCREENSHOTS / f"admin-{self.pictures:02d}-{name}{suffix}.png"
            self.page.screenshot(path=path, full_page=True)
            assert self.page.evaluate("document.documentElement.scrollWidth") <= width, name
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.fixture
def visit(browser: Browser, database_url: str, storage_dir: Path) -> Iterator[Visit]:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with running_gateway(database_url, storage_dir, external_url="{address}") as site:
        context = browser.new_context()
        context.set_default_timeout(20_000)
        found = Visit(context.new_page(), site)
        found.page.on(
            "console", lambda said: found.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("request", lambda request: found.asked.append(request.url))
        prepare(site)
        yield found
        context.close()


def prepare(site: RunningGateway) -> None:
    """Build 1 is completed, 2 has failed, 3 runs, 4 waits."""
    first = site.submit("first").build_id
    site.solve(first, make_lock("zlib"))
    site.complete(first)
    site.make_image(first)
    for kind in (ArtifactType.LOCKFILE, ArtifactType.LOGS):
        site.make(first, kind, b"what was logged\n")
    site.fail_artifact(first, ArtifactType.CONDA_PACK, "conda-pack: the disk is full, and here is why: no bytes left")
    second = site.submit("an-environment-with-a-rather-long-name", package="no-such-package").build_id
    with site.database.transaction() as session:
        builds.move(session, builds.load(session, second, lock=True), Status.BUILDING)
    site.fail(second, "no package is called no-such-package in https://conda.anaconda.org/conda-forge")
    third = site.submit("first", package="python").build_id
    with site.database.transaction() as session:
        builds.move(session, builds.load(session, third, lock=True), Status.BUILDING)
    write(site, third, 0, "solving for linux-64\n")
    assert site.submit("second", namespace="team").build_id == 4


def write(site: RunningGateway, build: int, number: int, text: str) -> None:
    with site.database.transaction() as session:
        logs.append(session, build_id=build, attempt=1, number=number, text=text)


def test_an_administrator_does_the_rounds(visit: Visit) -> None:
    _log_in(visit)
    _follow_a_log(visit)
    _cancel(visit)
    _look_at_environments(visit)
    _make_and_revoke_a_token(visit)
    _change_a_setting(visit)
    _give_a_role(visit)
    _look_at_the_rest(visit)
    visit.page.get_by_role("button", name="Log out").click()
    visit.go("/admin/")
    expect(visit.page.get_by_label("User name")).to_be_visible()
    # The replies to wrong input are no fault of the pages; Chromium notes their codes all the same.
    assert [said for said in visit.complaints if "status of 4" not in said] == []
    assert {urlsplit(url).netloc for url in visit.asked} == {urlsplit(visit.site.address).netloc}


def _log_in(visit: Visit) -> None:
    page = visit.page
    visit.go("/admin/builds/?status=FAILED")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    # To where one wanted to go.
    expect(page.get_by_role("heading", name="Builds")).to_be_visible()
    assert page.url.endswith("/conda-store/admin/builds/?status=FAILED")
    expect(page.get_by_role("link", name="Build 2")).to_be_visible()
    expect(page.get_by_role("link", name="Build 1")).to_have_count(0)
    visit.picture("builds-failed")
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("link", name="Build 4")).to_be_visible()
    visit.picture("overview")


def _follow_a_log(visit: Visit) -> None:
    page, site = visit.page, visit.site
    page.get_by_role("link", name="Build 3").click()
    log = page.get_by_role("log")
    expect(log).to_contain_text("solving for linux-64")
    write(site, 3, 1, HOSTILE)
    write(site, 3, 2, "linking 12 packages\n")
    expect(log).to_contain_text("linking 12 packages")
    expect(log).to_contain_text("<script>document.title")
    assert page.title() == "Build 3 – Condarium"
    visit.picture("build-running")
    site.solve(3, make_lock("zlib"))
    site.complete(3)
    write(site, 3, 3, "done\n")
    # The page shows by itself what has changed with the end.
    expect(page.get_by_role("link", name="Delete…")).to_be_visible()
    expect(page.get_by_role("link", name="Cancel…")).to_have_count(0)
    expect(page.locator("#log-state")).to_have_text("The build has ended; this is the whole log.")
    expect(page.get_by_role("log")).to_contain_text("done")
    visit.go("/admin/builds/1/")
    expect(page.get_by_text("the disk is full")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("what was logged")
    visit.picture("build-completed")


def _cancel(visit: Visit) -> None:
    page = visit.page
    visit.go("/admin/builds/4/")
    # By the keyboard alone.
    page.get_by_role("link", name="Cancel…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Cancel build 4?")).to_be_visible()
    visit.picture("confirm")
    page.get_by_role("button", name="Cancel the build").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("asked to stop")
    expect(page.locator("#status")).to_have_text("CANCELED")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#status")).to_have_text("QUEUED")


def _look_at_environments(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Environments", exact=True).click()
    visit.picture("environments")
    page.get_by_role("link", name="default/first").click()
    visit.picture("environment")
    page.get_by_role("button", name="Make build 1 the current one").click()
    expect(page.get_by_role("status")).to_contain_text("another current build")
    expect(page.get_by_role("button", name="Make build 3 the current one")).to_be_visible()


def _make_and_revoke_a_token(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Tokens").click()
    page.get_by_label("Name, to know it again").fill("for the notebook")
    page.get_by_label("Roles, a line each").fill("team/*: king")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("alert")).to_be_in_viewport()
    expect(page.get_by_label("Name, to know it again")).to_have_value("for the notebook")
    visit.picture("token-refused")
    page.get_by_label("Roles, a line each").fill("team/*: viewer, developer\ndefault/*: viewer")
    page.get_by_role("button", name="Make the token").click()
    text = page.get_by_label("The new token").input_value()
    visit.picture("token-made")
    with_it = {"Authorization": f"Bearer {text}"}
    assert visit.site.http.get("/api/v1/namespace/team/", headers=with_it).status_code == 200
    # It is not there again, and no second one is made by loading the page again.
    page.reload()
    assert text not in page.content()
    expect(page.get_by_text("for the notebook")).to_have_count(1)
    page.get_by_role("row", name="for the notebook").get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke the token").click()
    expect(page.get_by_role("row", name="for the notebook")).to_contain_text("revoked")
    assert visit.site.http.get("/api/v1/namespace/team/", headers=with_it).status_code == 403


def _change_a_setting(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Settings").click()
    visit.picture("settings")
    page.get_by_label("Settings of the namespace").fill("team")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Change conda_default_channels").click()
    page.get_by_label("Value at the level namespace").fill("conda-forge\nnot a channel")
    page.get_by_role("button", name="Set it here").click()
    expect(page.get_by_role("alert")).to_contain_text("conda_default_channels")
    expect(page.get_by_label("Value at the level namespace")).to_have_value("conda-forge\nnot a channel")
    visit.picture("setting-refused")
    page.get_by_label("Value at the level namespace").fill("conda-forge\nbioconda")
    page.get_by_role("button", name="Set it here").click()
    expect(page.get_by_role("status")).to_contain_text("The setting is changed")
    row = page.get_by_role("row", name="Change conda_default_channels")
    expect(row).to_contain_text('["conda-forge", "bioconda"]')
    expect(row).to_contain_text("namespace")
    visit.picture("setting-changed")


def _give_a_role(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Namespaces").click()
    visit.picture("namespaces")
    page.get_by_role("link", name="team", exact=True).click()
    visit.picture("namespace-empty")
    mappings = page.get_by_role("form", name="Give a role to members")
    mappings.get_by_label("Role").select_option("developer")
    mappings.get_by_role("button", name="Give").click()
    expect(page.get_by_role("row", name="team/* developer")).to_be_visible()
    others = page.get_by_role("form", name="Give a role to another namespace")
    others.get_by_label("Members of the namespace").fill("default")
    others.get_by_label("Role").select_option("admin")
    others.get_by_role("button", name="Give").click()
    expect(page.get_by_label("Role of default", exact=True)).to_have_value("admin")
    visit.picture("namespace")


def _look_at_the_rest(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Usage", exact=True).first.click()
    visit.picture("usage")
    page.get_by_role("link", name="team").click()
    page.get_by_label("Builds", exact=True).fill("5")
    page.get_by_role("button", name="Set the limits").click()
    expect(page.get_by_role("status")).to_contain_text("quota")
    visit.picture("quota")
    page.get_by_role("link", name="Audit").click()
    page.get_by_label("Namespace").fill("team")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("cell", name="build::cancel")).to_be_visible()
    visit.picture("audit")
