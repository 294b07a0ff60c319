"""Projects in other languages: the owner writes them, volunteers read them once they are whole; ids stay."""

from __future__ import annotations

import re
from typing import Any

import builders
import pytest
from flask import Flask
from flask.testing import FlaskClient
from people import owner

from microtasks.core.errors import InputError
from microtasks.engine.projects import translations
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.store.tables import Project

FRENCH = {
    "name": "Cratères",
    "purpose": "Comptons-les.",
    "config/fields/answer/label": "Y a-t-il un cratère ?",
    "config/fields/answer/choices/yes/label": "Oui",
    "config/fields/answer/choices/no/label": "Non",
}


@pytest.fixture
def made(site: Site) -> builders.ProjectRow:
    fields: dict[str, Any] = {"name": "Craters", "purpose": "Count them.", "slug": "craters"}
    made = builders.project(site, published_at="2026-01-01T00:00:00Z", **fields)
    builders.tasks(site, made, 3)
    return made


def stored(site: Site) -> Project:
    with site.db.session() as session:
        return projects.by_slug(session, "craters")


def read(app: Flask, path: str, language: str = "fr", client: FlaskClient | None = None) -> str:
    return (client or app.test_client()).get(path, headers={"Accept-Language": language}).text


def test_every_text_is_found_and_nothing_else(site: Site, made: builders.ProjectRow) -> None:
    assert set(translations.originals(stored(site))) == set(FRENCH)


@pytest.mark.parametrize("path", ["/", "/p/craters", "/p/craters/work", "/p/craters/thanks"])
def test_a_whole_translation_is_read_and_others_read_the_owners_texts(
    site: Site, app: Flask, made: builders.ProjectRow, path: str
) -> None:
    translations.save(site, stored(site), "fr", FRENCH)
    french, spanish = read(app, path), read(app, path, "es")
    assert "Cratères" in french and "Craters" not in french
    assert "Craters" in spanish and 'lang="en"' in spanish and "Cratères" not in spanish


def test_a_translation_that_lacks_a_text_is_not_shown(
    site: Site, app: Flask, made: builders.ProjectRow
) -> None:
    translations.save(site, stored(site), "fr", FRENCH | {"config/fields/answer/choices/no/label": " "})
    assert "Cratères" not in read(app, "/p/craters/work")
    translations.save(site, stored(site), "fr", FRENCH)
    assert "Cratères" in read(app, "/p/craters/work")
    with site.db.connection() as connection:  # the owner changes a text: its translation is of another one
        connection.execute("UPDATE project SET purpose = 'Count them all.'")
    assert "Cratères" not in read(app, "/p/craters/work")
    [line] = [
        it
        for it in translations.lines(stored(site), translations.read(site, stored(site))["fr"])
        if it.is_stale
    ]
    assert (line.path, line.text) == ("purpose", "Comptons-les.")


def test_answers_have_the_same_ids_in_every_language_and_the_api_says_what_the_owner_wrote(
    site: Site, app: Flask, made: builders.ProjectRow
) -> None:
    translations.save(site, stored(site), "fr", FRENCH)
    cy = app.test_client()
    page = read(app, "/p/craters/work", client=cy)
    assert re.search(r'name="answer" value="yes"[^>]*>\s*Oui', page)
    assert re.search(r'<h1 id="ask"[^>]* lang="fr"', page)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))
    cy.post("/p/craters/work", data={**hidden, "answer": "yes"}, headers={"Accept-Language": "fr"})
    with site.db.connection() as connection:
        assert connection.execute("SELECT value FROM answer").fetchall() == [({"answer": "yes"},)]
    said = cy.post("/api/v1/projects/craters/leases", json={"limit": 1}, headers={"Accept-Language": "fr"})
    [lease] = said.get_json()["leases"]
    assert lease["task"]["config"]["fields"][0]["label"] == "Is there a crater?"


def test_the_home_page_finds_a_project_by_each_of_its_languages(
    site: Site, app: Flask, made: builders.ProjectRow
) -> None:
    translations.save(site, stored(site), "fr", FRENCH)
    for language, is_found in (("fr", True), ("en", True), ("es", False)):
        assert ("/p/craters" in read(app, f"/?language={language}", "en")) is is_found


def test_an_owner_writes_them_one_beside_the_other(site: Site, app: Flask, made: builders.ProjectRow) -> None:
    ada, account = owner(app, site, "ada@example.org")
    with site.db.connection() as connection:
        connection.execute("UPDATE project SET account_id = %s", (account,))
    address = "/owner/projects/craters/translations"
    page = ada.get(f"{address}?language=fr").text
    assert "0/5" in page and "Is there a crater?" in page
    form = {"language": "fr"} | {f"text:{path}": text for path, text in FRENCH.items()}
    assert ada.post(address, form | {"text:made/up": "x"}).status_code == 303
    assert "5/5" in ada.get(f"{address}?language=fr").text
    assert "made/up" not in translations.read(site, stored(site))["fr"]
    assert ada.get(f"{address}?language=en").status_code == 404  # the project's own
    with pytest.raises(InputError):
        translations.save(site, stored(site), "en", FRENCH)
