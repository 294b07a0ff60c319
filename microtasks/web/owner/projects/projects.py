"""The owner's projects: list, settings, publish and pause, tasks, reports, preview. New ones: setup.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from microtasks import tasktypes
from microtasks.core.errors import ConfigInvalid, Conflict, InputError
from microtasks.engine.exports.columns import in_short
from microtasks.engine.projects import projects as engine
from microtasks.engine.projects import trials
from microtasks.store.exports import reads
from microtasks.store.projects import drafts, projects
from microtasks.store.tables import Project
from microtasks.web import forms, presenters
from microtasks.web.assets import asset
from microtasks.web.owner.frame import PAGE, after, blueprint, mine, owner
from microtasks.web.owner.projects.project_form import ProjectForm, base_of, estimate
from microtasks.web.request import current_site, owner_required
from microtasks.web.requests.headers import FRAMED_POLICY
from microtasks.web.volunteers.volunteer import REPORT_REASONS

#: Shown where a picture will be, until there is one.
STAND_IN: dict[str, Any] = {"width": 640, "height": 480, "srcset": ""}

#: The state buttons, and the use case of each.
MOVES: dict[str, Callable[..., Project]] = {
    "publish": engine.publish,
    "pause": engine.pause,
    "resume": engine.resume,
    "archive": engine.archive,
}


@blueprint.get("/")
@owner_required
def home() -> ResponseReturnValue:
    """My projects with state and progress."""
    who = owner()
    with current_site().db.session() as session:
        cards = projects.cards(session, projects.list_for_account(session, who.id, who.is_operator))
    return render_template("owner/projects.html", cards=cards)


@blueprint.get("/projects/<slug>")
@owner_required
def project(slug: str) -> ResponseReturnValue:
    """One project: progress, state, what to do next."""
    return render_template("owner/project.html", **_overview(mine(slug, "researcher")))


@blueprint.get("/projects/<slug>/progress.json")
@owner_required
def progress(slug: str) -> ResponseReturnValue:
    """The counts of the project's page, for its script."""
    project = mine(slug, "researcher")
    with current_site().db.session() as session:
        counts = projects.cached_progress(session, [project.id])[project.id]
    return {"state": project.state, **counts}


@blueprint.get("/projects/<slug>/edit")
@owner_required
def edit(slug: str) -> ResponseReturnValue:
    return _settings(slug).draw()


@blueprint.post("/projects/<slug>/edit")
@owner_required
def save(slug: str) -> ResponseReturnValue:
    form = _settings(slug)
    if "discard" in http.form:
        form.saved()
        return redirect(url_for("owner.edit", slug=slug), 303)
    if "save" not in http.form:
        return form.rows_changed()
    try:
        engine.update(current_site(), form.project_id, form.read(), by=owner().id)
    except (ValidationError, ConfigInvalid) as error:
        return form.refused(error)
    form.saved()
    flash(_("Saved."), "ok")
    return redirect(url_for("owner.project", slug=slug), 303)


@blueprint.post("/projects/<slug>/state")
@owner_required
def move(slug: str) -> ResponseReturnValue:
    """Publish, pause, resume or archive."""
    project = mine(slug, "collaborator")
    use_case = MOVES.get(http.form.get("move", ""))
    if use_case is None:
        raise InputError(_("There is no such step."))
    try:
        use_case(current_site(), project.id, by=owner().id)
    except Conflict as error:
        flash(error.message, "warn")
    return redirect(url_for("owner.project", slug=slug), 303)


@blueprint.get("/projects/<slug>/tasks")
@owner_required
def tasks(slug: str) -> ResponseReturnValue:
    """The project's tasks, a page at a time by key."""
    project = mine(slug, "researcher")
    with current_site().db.connection() as connection:
        rows = reads.page(connection, project.id, after(), PAGE + 1)
    page = rows[:PAGE]
    return render_template(
        "owner/tasks.html",
        project=project,
        rows=page,
        in_short=in_short,
        next_after=page[-1]["task_id"] if len(rows) > PAGE else None,
    )


@blueprint.get("/projects/<slug>/preview")
@owner_required
def preview(slug: str) -> ResponseReturnValue:
    """The volunteer's page with one of the project's tasks; answers go nowhere."""
    project = mine(slug, "researcher")
    task_type = tasktypes.get(project.task_type)
    if "draft" in http.args:
        project = _as_typed(project)
    task = engine.task_to_preview(current_site(), project, after())
    if task is None and not after():
        task = engine.example_task(project) | {"media": [STAND_IN | {"url": asset("img/stand-in.webp")}]}
    if task is None:
        return render_template("owner/no_preview.html", project=project)
    page = render_template(
        "owner/preview.html",
        project=project,
        **presenters.context(task_type, project, task_type.parse_config(project.config), task),
        lease={"lease": "", "expires_at": ""},
        value=None,
        error="",
        problems={},
        reasons=REPORT_REASONS,
        n_done=0,
        n_back=0,
        back=0,
        began=None,
        now=0,
    )
    # shown beside the form, in a frame of our own page
    return page, {"Content-Security-Policy": FRAMED_POLICY}


@blueprint.get("/projects/<slug>/reports")
@owner_required
def reports(slug: str) -> ResponseReturnValue:
    """What volunteers said is wrong with tasks."""
    project = mine(slug, "researcher")
    with current_site().db.connection() as connection:
        rows = projects.reports(connection, project.id, after(), PAGE + 1)
    page = rows[:PAGE]
    return render_template(
        "owner/reports.html",
        project=project,
        rows=page,
        next_after=page[-1]["id"] if len(rows) > PAGE else None,
    )


@blueprint.post("/projects/<slug>/reports/<int:report_id>")
@owner_required
def close_report(slug: str, report_id: int) -> ResponseReturnValue:
    """Tick a report off."""
    project = mine(slug, "reviewer")
    engine.close_report(current_site(), project.id, report_id, by=owner().id)
    return redirect(url_for("owner.reports", slug=slug), 303)


# -- the project's page -------------------------------------------------------------------------------


def _overview(project: Project) -> dict[str, Any]:
    site = current_site()
    with site.db.session() as session:
        (card,) = projects.cards(session, [project])
        troubles = projects.troubles(session, project.id)
    return {
        "project": project,
        "card": card,
        "troubles": troubles,
        "estimate": estimate(project),
        "trial": trials.state(site, project.id) if project.state == "draft" else None,
        "not_ready": engine.not_ready(project) if project.state == "draft" else [],
    }


def _as_typed(project: Project) -> Project:
    """The project with the task as it is in the form at this moment; as saved, while that cannot be."""
    page = f"{project.slug}/task"
    with current_site().db.connection() as connection:
        kept = drafts.find(connection, owner().id, page)
    if kept is None:
        return project
    form = ProjectForm(project.task_type, base_of(project), page, project, ("task",))
    config = forms.read(form.nodes, MultiDict(kept[0]), "config")
    try:
        form.kind.parse_config(config)
    except ConfigInvalid:
        return project
    return project.model_copy(update={"config": config})


def _settings(slug: str) -> ProjectForm:
    project = mine(slug, "collaborator")
    return ProjectForm(project.task_type, base_of(project), f"{slug}/edit", project)
