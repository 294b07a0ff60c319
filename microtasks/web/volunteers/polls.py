"""What others said, where it can sway nobody: a poll's result after the own answer; tags in common use."""

from __future__ import annotations

from flask import Blueprint, abort, jsonify, render_template
from flask.typing import ResponseReturnValue

from microtasks import tasktypes
from microtasks.engine.volunteers import polls
from microtasks.store.db import raw
from microtasks.store.projects import projects
from microtasks.store.tables import Project
from microtasks.store.volunteers import vocabulary
from microtasks.web import localized
from microtasks.web.request import current_site, known_contributor

blueprint = Blueprint("polls", __name__)


@blueprint.get("/p/<slug>/poll")
def result(slug: str) -> ResponseReturnValue:
    """The result of the poll that this person answered last, as a piece of a page: for poll.js."""
    project = localized.visible(slug)
    page = render_template("volunteer/_poll.html", project=project, polls=poll_results(project))
    return page, {"Cache-Control": "no-store"}


@blueprint.get("/p/<slug>/tags")
def tags(slug: str) -> ResponseReturnValue:
    """Custom tags to choose from while one is typed: used by many, or by this person before."""
    with current_site().db.session() as database:
        project = projects.visible_by_slug(database, slug)
        task_type = tasktypes.get(project.task_type)
        parts = task_type.parts(task_type.parse_config(project.config))
        part = next((it for it in parts if it.is_open), None)
        if part is None:
            abort(404)
        listed = [option for option, _ in part.options]
        used = vocabulary.used_tags(raw(database), project.id, part.id, listed, known_contributor())
    return jsonify(tags=used), {"Cache-Control": "private, max-age=300"}


@blueprint.app_template_global()
def poll_results(project: Project) -> list[polls.Result]:
    """How the poll stands that this person answered last; [] before, and for projects that are no poll."""
    who = known_contributor()
    return [] if who is None else polls.results(current_site(), project, who)


@blueprint.app_template_global()
def is_poll(project: Project) -> bool:
    return polls.part(project) is not None
