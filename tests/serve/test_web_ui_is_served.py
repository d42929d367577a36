"""The files and the page of the web UI, as a browser and as a curious caller ask for them."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from tests.fixtures.gateway import TOKEN, RunningGateway, running_gateway
from tests.fixtures.http_directory import serve_directory


@pytest.fixture
def served_ui(database_url: str, storage_dir: Path, ui_directory: Path) -> Iterator[RunningGateway]:
    with running_gateway(database_url, storage_dir) as running:
        object.__setattr__(running.gateway, "settings", replace(running.gateway.settings, ui=ui_directory))
        yield running


@pytest.mark.parametrize("prefix", ["", "/conda-store"])
def test_every_address_of_the_ui_is_its_page(served_ui: RunningGateway, prefix: str) -> None:
    for path in ("/ui/", "/ui/default/first", "/ui/default/new-environment"):
        reply = served_ui.http.get(prefix + path)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert f'REACT_APP_URL_BASENAME: "{prefix}" + "/ui"' in reply.text
        script = re.search(r'src="([^"]+main\.js\?v=[0-9a-f]+)"', reply.text)
        assert script is not None
        assert served_ui.http.get(script[1]).status_code == 200
    assert served_ui.http.get(f"{prefix}/ui/not-found").status_code == 404


def test_the_prefix_leads_to_the_ui_and_the_root_to_the_first_steps(served_ui: RunningGateway) -> None:
    for path in ("/conda-store", "/conda-store/"):
        reply = served_ui.http.get(path)
        assert (reply.status_code, reply.headers["location"]) == (307, "/conda-store/ui/")
    assert "Write an environment.yml" in served_ui.http.get("/").text


def test_its_files_are_small_on_the_wire_and_asked_for_once(served_ui: RunningGateway, ui_directory: Path) -> None:
    whole = (ui_directory / "main.js").read_bytes()
    with served_ui.http.stream("GET", "/static/conda-store-ui/main.js?v=1", headers={"accept-encoding": "gzip"}) as r:
        packed = b"".join(r.iter_raw())
        assert r.headers["content-encoding"] == "gzip"
        assert "immutable" in r.headers["cache-control"]
    assert gzip.decompress(packed) == whole
    assert len(packed) < len(whole) / 3
    plain = served_ui.http.get("/static/conda-store-ui/main.js", headers={"accept-encoding": "identity"})
    assert plain.content == whole
    again = served_ui.http.get("/static/conda-store-ui/main.js", headers={"if-none-match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["main.js.LICENSE.txt", "..%2f..%2fetc%2fpasswd", "nope.js", "%00"])
def test_nothing_but_its_two_files_is_served(served_ui: RunningGateway, name: str) -> None:
    assert served_ui.http.get(f"/static/conda-store-ui/{name}").status_code in (404, 422)


def test_without_its_files_the_page_says_how_to_get_them(quiet_gateway: RunningGateway) -> None:
    reply = quiet_gateway.http.get("/ui/")
    assert reply.status_code == 503
    assert "python -m deploy.ui DIRECTORY" in reply.text


def test_nothing_is_fetched_from_elsewhere(served_ui: RunningGateway, browser: Browser) -> None:
    served_ui.post("first")
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{served_ui.address}/conda-store/ui/")
    page.get_by_role("button", name="Log in").wait_for()
    page.get_by_role("button", name="default", exact=True).or_(page.get_by_text("default")).first.click()
    page.get_by_role("link", name="first").wait_for()
    assert {httpx.URL(url).host for url in asked if url.startswith("http")} == {"127.0.0.1"}
    # The UI's own: it gives its icons attributes that no browser knows.
    assert [said for said in complaints if not said.startswith("Error: <svg> attribute ")] == []
    page.close()


def test_it_works_embedded_in_another_page_with_a_token(
    served_ui: RunningGateway, ui_directory: Path, tmp_path: Path, browser: Browser
) -> None:
    """As the JupyterLab extension has it: another origin, a token, no addresses of its own."""
    served_ui.post("first")
    (tmp_path / "main.js").symlink_to(ui_directory / "main.js")
    config = {
        "REACT_APP_AUTH_METHOD": "token",
        "REACT_APP_AUTH_TOKEN": TOKEN,
        "REACT_APP_API_URL": f"{served_ui.address}/conda-store/",
        "REACT_APP_ROUTER_TYPE": "memory",
        "REACT_APP_SHOW_AUTH_BUTTON": "false",
    }
    scripts = f"<script>condaStoreConfig = {json.dumps(config)}</script><script src=main.js></script>"
    (tmp_path / "index.html").write_text(f"<!doctype html><meta charset=utf-8><body>{scripts}")
    with serve_directory(tmp_path) as other:
        page = browser.new_page()
        page.goto(f"{other.url}/index.html")
        page.get_by_role("link", name="New").click()
        page.get_by_label("Environment name").fill("embedded")
        page.wait_for_timeout(400)  # the UI takes the name over when typing rests for 300 ms
        page.get_by_role("button", name="+ Add Package").click()
        page.get_by_label("Enter package").fill("zlib")
        page.get_by_label("Enter package").press("Enter")
        page.get_by_role("button", name="Create", exact=True).click()
        page.get_by_text("The environment embedded is being created").wait_for()
        page.close()
    made = served_ui.admin.get("/api/v1/environment/default/embedded/")
    assert made.status_code == 200, made.text
