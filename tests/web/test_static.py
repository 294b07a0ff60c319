"""Scripts and styles: named by their content, cached for ever, compressed once; nothing from elsewhere."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

import microtasks
from microtasks import tasktypes
from microtasks.core.errors import SettingsInvalid
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
    for name in tasktypes.all_types():
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
    source = assets.joined(PACKAGE / "web/static/js/runner.js").decode()
    assert "// The task page" in source and "// The task page" not in script
    assert len(re.findall(r"\bfunction\b", script)) == len(re.findall(r"\bfunction\b(?!.*//)", source))
    assert 'store.set("told",null);' in script  # a comment stood behind it
    sent = read["tasktypes/marking/presenter.js"].content.decode()
    assert '"http://www.w3.org/2000/svg"' in sent  # no comment, though it looks like one
    assert "/*" not in read["css/app.css"].content.decode()


def test_a_script_is_sent_with_all_that_it_imports_and_each_part_once() -> None:
    read = assets.read_all()
    for name, it in read.items():
        if name.endswith(".js"):
            assert not re.search(r"(?m)^import\b(?!\()", it.content.decode()), name
    runner = read["js/runner.js"].content.decode()
    assert runner.count("function outboxOf(") == runner.count("const store=") == 1
    assert "export function mount(" in read["tasktypes/question/presenter.js"].content.decode()
    assert not [name for name in read if name.startswith(assets.PARTS)]


def test_a_text_keeps_its_blanks_when_the_script_around_it_loses_them(tmp_path: Path) -> None:
    (tmp_path / "entry.js").write_text("const a = `one\n  two // three`;  // a comment\n")
    assert (
        assets._made(assets.joined(tmp_path / "entry.js"), ".js").content == b"const a=`one\n  two // three`;"
    )


@pytest.mark.parametrize(
    ("entry", "part", "what"),
    [
        (
            'import {a} from "./part.js";\nconst b = 1;\n',
            "const b = 2;\n",
            "both define b",
        ),
        ('import {a} from "./nothing.js";\n', "", "cannot be joined"),
        ('import {a as b} from "./part.js";\n', "export const a = 1;\n", "cannot be joined"),
        ('import a from "./part.js";\n', "export default 1;\n", "can be joined"),
    ],
)
def test_what_cannot_be_joined_stops_the_start(tmp_path: Path, entry: str, part: str, what: str) -> None:
    (tmp_path / "entry.js").write_text(entry)
    (tmp_path / "part.js").write_text(part)
    with pytest.raises(SettingsInvalid, match=what):
        assets.joined(tmp_path / "entry.js")
