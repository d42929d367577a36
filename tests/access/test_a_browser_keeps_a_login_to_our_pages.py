"""In Chromium: the form, the cookie with our own pages, and what pages of other origins get of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.fixtures.gateway import TOKEN, RunningGateway, running_gateway
from tests.fixtures.http_directory import serve_directory
from tests.fixtures.provider import RunningProvider

ASK = """async (base) => {
    const me = await (await fetch(base + '/api/v1/permission/', {credentials: 'include'})).json();
    const made = await fetch(base + '/api/v1/token/', {method: 'POST', credentials: 'include'});
    return [me.data.authenticated, made.status, (await made.json()).code || ''];
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def site(database_url: str, storage_dir: Path) -> Iterator[RunningGateway]:
    login = {"CONDARIUM_DEVELOPMENT_LOGIN": "true"}
    with running_gateway(database_url, storage_dir, login=login, external_url="{address}") as running:
        yield running


def log_in(page: Page, site: RunningGateway, name: str, place: str = "/") -> None:
    page.goto(f"{site.address}/login/?next={place}")
    page.fill("#username", name)
    page.fill("#password", TOKEN)
    page.click("button")


def test_a_login_works_on_our_pages_and_ends_with_the_logout(page: Page, site: RunningGateway) -> None:
    page.goto(f"{site.address}/login/")
    page.fill("#password", "wrong")
    page.click("button")
    assert "Invalid authentication credentials" in page.inner_text("[role=alert]")
    log_in(page, site, "alice")
    page.wait_for_url(f"{site.address}/")
    assert "alice" in page.inner_text("body")
    page.goto(f"{site.address}/healthz")
    assert page.evaluate(ASK, "") == [True, 200, ""]
    assert page.evaluate("document.cookie") == ""
    # Who follows a link to us is still logged in.
    page.goto("about:blank")
    page.goto(f"{site.address}/")
    assert "alice" in page.inner_text("body")
    page.goto(f"{site.address}/healthz")
    page.evaluate("async () => { await fetch('/logout/', {method: 'POST'}) }")
    assert page.evaluate(ASK, "") == [False, 403, "not-authorized"]


def test_a_page_of_another_port_gets_nothing_of_it(page: Page, site: RunningGateway, tmp_path: Path) -> None:
    """The same site for SameSite=strict, so the browser sends the cookie: another origin, so it does not count."""
    log_in(page, site, "alice")
    page.wait_for_url(f"{site.address}/")
    (tmp_path / "index.html").write_text("<!doctype html><title>another</title>")
    with serve_directory(tmp_path) as other:
        page.goto(f"{other.url}/index.html")
        assert page.evaluate(ASK, site.address) == [False, 403, "foreign-origin"]


def test_the_way_through_a_provider_ends_logged_in(
    page: Page, database_url: str, storage_dir: Path, provider: RunningProvider
) -> None:
    login = {
        "CONDARIUM_LOGIN_PROVIDER": "oidc",
        "CONDARIUM_LOGIN_ISSUER": provider.issuer,
        "CONDARIUM_LOGIN_CLIENT_ID": "condarium",
        "CONDARIUM_LOGIN_CLIENT_SECRET": "provider-client-secret",
    }
    with running_gateway(database_url, storage_dir, login=login, external_url="{address}") as site:
        provider.allow(f"{site.address}/oauth_callback/")
        page.goto(f"{site.address}/login/?next=/")
        page.wait_for_url(f"{site.address}/")
        # The first page after the journey has the login, strict as the cookie is.
        assert "alice" in page.inner_text("body")
