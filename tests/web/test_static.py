"""Scripts and styles: named by their content, cached for ever, compressed once; nothing from elsewhere."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

import microtasks
from microtasks.web import assets

PACKAGE = Path(microtasks.__file__).parent
TEMPLATES = [*PACKAGE.rglob("*.html")]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def url(app: Flask, name: str) -> str:
    with app.test_request_context():
        return assets.asset(name)


def test_an_asset_is_cached_for_ever_under_its_hash(app: Flask, client: FlaskClient) -> None:
    answer = client.get(url(app, "css/app.css"))
    assert answer.content_type == "text/css; charset=utf-8"
    assert answer.headers["Cache-Control"] == assets.FOR_EVER
    packed = client.get(url(app, "css/app.css"), headers={"Accept-Encoding": "gzip, br"})
    assert gzip.decompress(packed.data) == answer.data
    assert packed.headers["ETag"] != answer.headers["ETag"]
    again = client.get(url(app, "css/app.css"), headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_each_task_types_script_is_served(app: Flask, client: FlaskClient) -> None:
    for name in ("question", "tagging", "marking"):
        answer = client.get(url(app, f"tasktypes/{name}/presenter.js"))
        assert answer.status_code == 200 and "export function mount" in answer.text


def test_a_page_from_before_an_update_still_gets_its_scripts(client: FlaskClient) -> None:
    answer = client.get("/static/000000000000/js/runner.js")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["../volunteer.py", "js/nothing.js", "tasktypes/question/__init__.py", "css/"]
)
def test_nothing_else_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/000000000000/{name}").status_code == 404


def test_T37_templates_hold_no_inline_scripts_styles_or_handlers() -> None:
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", text), path
        for tag in re.findall(r"<script[^>]*>", text):
            assert "src=" in tag or "application/json" in tag, (path, tag)


def test_nothing_is_fetched_from_elsewhere() -> None:
    for path in [*TEMPLATES, *(PACKAGE / "web/static").rglob("*.*"), *PACKAGE.glob("tasktypes/*/*.js")]:
        text = path.read_text(encoding="utf-8", errors="ignore").replace("http://www.w3.org/", "")
        assert not re.search(r"(src|href|url|import|fetch)[\s=(\"']+(https?:)?//", text), path


def test_comments_are_not_sent_and_code_is_whole() -> None:
    read = assets.read_all()
    script = read["js/runner.js"].content.decode()
    source = (PACKAGE / "web/static/js/runner.js").read_text()
    assert "// The task page" in source and "// The task page" not in script
    assert script.count("\n") == source.count("\n")
    assert 'store.set("told", null);\n' in script  # a comment stood behind it
    sent = read["tasktypes/marking/presenter.js"].content.decode()
    assert '"http://www.w3.org/2000/svg"' in sent  # no comment, though it looks like one
    assert "/*" not in read["css/app.css"].content.decode()
