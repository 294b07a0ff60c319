"""A poll's result as it stands, for who has answered: beside the next task, and with the thanks."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from microtasks.engine import polls
from microtasks.store import projects
from microtasks.store.tables import Project
from microtasks.web.request import current_site, known_contributor

blueprint = Blueprint("polls", __name__)


@blueprint.get("/p/<slug>/poll")
def result(slug: str) -> ResponseReturnValue:
    """The result of the poll that this person answered last, as a piece of a page: for poll.js."""
    with current_site().db.session() as database:
        found = projects.visible_by_slug(database, slug)
    page = render_template("volunteer/_poll.html", project=found, polls=poll_results(found))
    return page, {"Cache-Control": "no-store"}


@blueprint.app_template_global()
def poll_results(project: Project) -> list[polls.Result]:
    """How the poll stands that this person answered last; [] before, and for projects that are no poll."""
    who = known_contributor()
    return [] if who is None else polls.results(current_site(), project, who)


@blueprint.app_template_global()
def is_poll(project: Project) -> bool:
    return polls.part(project) is not None
