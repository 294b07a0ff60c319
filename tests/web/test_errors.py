"""Errors: a plain sentence on a page of the site's look, or the one JSON shape; never a stack trace."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from microtasks.core import errors as core
from microtasks.engine.site import Site
from microtasks.store.db import Database
from microtasks.web import create_app, errors

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1"


@pytest.fixture
def app(site: Site) -> Flask:
    app = create_app(site=site)

    @app.get("/break/<name>")
    def broken(name: str) -> str:
        raise {
            "bug": ZeroDivisionError("secret detail"),
            "config": core.ConfigInvalid(problems=[{"where": "fields.0", "what": "<b>no choices</b>"}]),
            "busy": core.TooMany(),
            "away": core.Unavailable(),
            "taken": core.Conflict(),
        }[name]

    return app


def test_a_bug_is_not_told_to_a_visitor(app: Flask) -> None:
    page = app.test_client().get("/break/bug")
    assert page.status_code == 500
    assert "secret detail" not in page.text and "Traceback" not in page.text
    assert "Something went wrong on our side" in page.text and "app.css" in page.text
    answer = app.test_client().get("/break/bug", headers={"Accept": "application/json"})
    assert answer.json == {
        "error": "error",
        "message": "It is not your fault. Please try again.",
        "details": {},
    }


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/break/config", 400, "That did not work"),
        ("/break/busy", 429, "One moment, please"),
        ("/break/away", 503, "Back in a moment"),
        ("/break/taken", 409, "That did not work"),
        ("/nothing", 404, "Page not found"),
    ],
)
def test_each_error_has_its_status_and_page(app: Flask, path: str, status: int, said: str) -> None:
    page = app.test_client().get(path)
    assert page.status_code == status
    assert said in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in page.headers) == (status in (429, 503))


def test_T14_what_an_error_says_is_text(app: Flask) -> None:
    page = app.test_client().get("/break/config").text
    assert "&lt;b&gt;no choices&lt;/b&gt;" in page and "<b>no choices" not in page


def test_error_pages_speak_the_readers_language(app: Flask) -> None:
    page = app.test_client().get("/nothing", headers={"Accept-Language": "ar,en;q=0.5"})
    assert 'dir="rtl"' in page.text and "الصفحة غير موجودة" in page.text


def test_every_error_of_the_tree_has_a_status() -> None:
    def below(kind: type[core.MicrotasksError]) -> list[type[core.MicrotasksError]]:
        return [kind, *(it for child in kind.__subclasses__() for it in below(child))]

    for kind in below(core.MicrotasksError)[1:]:
        assert 400 <= errors.status_of(kind()) <= 503, kind
        assert set(errors.shape(kind())) == {"error", "message", "details"}


def test_a_database_that_is_away_gives_503_and_a_time_to_come_back(site: Site) -> None:
    away = Database(NOWHERE)
    away.pool.timeout = 0.2
    client = create_app(site=replace(site, db=away)).test_client()
    for path in ("/", "/p/x/work", "/api/v1/projects"):
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert answer.headers["Retry-After"] == "5"
        assert "does not answer" in answer.text
    away.close()


def test_a_database_that_goes_away_in_the_middle_gives_503(site: Site) -> None:
    app = create_app(site=site)

    @app.get("/cut")
    def cut() -> str:
        with site.db.connection() as connection:
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return "reached"

    assert app.test_client().get("/cut").status_code == 503
    assert app.test_client().get("/").status_code == 200  # the pool has made a new connection


def test_unknown_statuses_of_werkzeug_keep_the_shape(app: Flask) -> None:
    class Teapot(HTTPException):
        code = 418
        description = "short and stout"

    @app.get("/tea")
    def tea() -> str:
        raise Teapot

    answer = app.test_client().get("/tea", headers={"Accept": "application/json"})
    assert answer.status_code == 418
    assert answer.json == {"error": "invalid", "message": "short and stout", "details": {}}
