"""Projects as this reader reads them: in the page's language where the owner has it, else as they are."""

from __future__ import annotations

from dataclasses import replace

from flask import g
from flask_babel import get_locale

from microtasks.engine.projects import translations as project_translations
from microtasks.engine.projects.translations import Texts
from microtasks.store.projects import projects, translations
from microtasks.store.projects.projects import Card
from microtasks.store.projects.translations import Translated
from microtasks.store.tables import Project
from microtasks.web.request import current_site


def project(original: Project) -> Project:
    """The project in the page's language, if it is wholly translated into it."""
    texts = texts_of(original)
    return project_translations.in_language(original, _language(), texts) if texts else original


def visible(slug: str) -> Project:
    """A project that volunteers may see, in the page's language; NotFound."""
    with current_site().db.session() as database:
        stored = projects.visible_by_slug(database, slug)
    return project(stored)


def cards(originals: list[Card]) -> list[Card]:
    """Cards with their projects in the page's language, and the languages that each has."""
    known = _read([card.project for card in originals])
    return [
        replace(
            card,
            project=project(card.project),
            languages=(
                card.project.language,
                *project_translations.languages(card.project, known[card.project.id]),
            ),
        )
        for card in originals
    ]


def texts_of(project: Project) -> Texts:
    """Its texts in the page's language; {} where they are not all there, or where it is the project's own."""
    language = _language()
    if project_translations.base(project.language) == language:
        return {}
    texts = _read([project])[project.id].get(language, {})
    return texts if texts and project_translations.is_whole(project, texts) else {}


def _language() -> str:
    return str(get_locale()).split("_")[0]


def _read(projects: list[Project]) -> dict[int, Translated]:
    """What is translated of these projects, asked for once a request."""
    known: dict[int, Translated] = g.setdefault("translated", {})
    ids = [it.id for it in projects if it.id not in known]
    if ids:
        with current_site().db.connection() as connection:
            read = translations.of(connection, ids)
        known |= {project_id: read.get(project_id, {}) for project_id in ids}
    return known
