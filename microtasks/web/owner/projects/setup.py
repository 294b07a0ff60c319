"""A new project in steps: purpose, task, data, quality, launch. Each step is saved; nothing typed is lost."""

from __future__ import annotations

import re
from typing import Any, Final

from flask import abort, flash, jsonify, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import format_time, get_locale
from flask_babel import gettext as _
from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from microtasks import tasktypes
from microtasks.core.errors import ConfigInvalid, Conflict, InputError, NotFound
from microtasks.engine.projects import projects as engine
from microtasks.engine.projects import templates, trials
from microtasks.engine.projects.projects import ProjectIn
from microtasks.store.projects import drafts
from microtasks.web.owner.frame import blueprint, mine, owner
from microtasks.web.owner.projects.project_form import ANSWERS_MAX, SECTIONS, ProjectForm, advise, base_of
from microtasks.web.request import current_site, owner_required

#: The order of the steps; data is the page of uploads, launch the project's own page.
STEPS: Final = ("purpose", "task", "data", "quality", "launch")
#: What is kept of a form: names of pages that are ours.
PAGE_NAME: Final = re.compile(r"[a-z0-9-]{1,80}(/[a-z0-9-]{1,80}){1,2}", re.ASCII)


@blueprint.get("/new")
@owner_required
def choose_type() -> ResponseReturnValue:
    """What should volunteers do? Templates, and each type to start from nothing."""
    return render_template(
        "owner/choose.html",
        types=tasktypes.all_types(),
        templates=templates.all_templates(),
        examples={name: engine.examples(name) for name in tasktypes.all_types()},
    )


@blueprint.get("/new/<task_type>")
@owner_required
def new(task_type: str) -> ResponseReturnValue:
    """The first step, from a template (`?template=`) or from nothing, all on one page."""
    return _new(task_type).draw()


@blueprint.post("/new/<task_type>")
@owner_required
def create(task_type: str) -> ResponseReturnValue:
    form = _new(task_type)
    if "discard" in http.form:
        form.saved()
        return redirect(http.full_path, 303)
    if "save" not in http.form:
        return form.rows_changed()
    try:
        made = engine.create(current_site(), owner().id, form.read())
    except (ValidationError, ConfigInvalid) as error:
        return form.refused(error)
    form.saved()
    flash(_("Your project is saved as a draft. You can stop at any time and go on later."), "ok")
    return redirect(step_address(made.slug, "data" if len(form.sections) > 1 else "task"), 303)


@blueprint.get("/projects/<slug>/setup/<step>")
@owner_required
def setup(slug: str, step: str) -> ResponseReturnValue:
    """One step of a project that is there."""
    return _step(slug, step).draw()


@blueprint.post("/projects/<slug>/setup/<step>")
@owner_required
def save_step(slug: str, step: str) -> ResponseReturnValue:
    form = _step(slug, step)
    if "discard" in http.form:
        form.saved()
        return redirect(step_address(slug, step), 303)
    if "save" not in http.form:
        return form.rows_changed()
    try:
        engine.update(current_site(), form.project_id, form.read(), by=owner().id)
    except (ValidationError, ConfigInvalid) as error:
        return form.refused(error)
    form.saved()
    return redirect(step_address(slug, STEPS[STEPS.index(step) + 1]), 303)


@blueprint.post("/drafts")
@owner_required
def keep_draft() -> ResponseReturnValue:
    """Keep what was typed so far (`page` says where); answer with the time, and advice on the wording."""
    page = http.form.get("page", "")
    if not PAGE_NAME.fullmatch(page):
        raise InputError(_("There is no such page."))
    entered = [(n, v) for n, v in http.form.items(multi=True) if n not in ("csrf_token", "page")]
    with current_site().db.connection() as connection:
        at = drafts.keep(connection, owner().id, page, entered)
    try:
        kind = tasktypes.get(http.args.get("task_type", ""))
    except NotFound:
        return jsonify({"saved": _("Draft kept, %(time)s", time=format_time(at, "short")), "advice": {}})
    form = ProjectForm(kind.name, {}, page)
    return jsonify(
        {
            "saved": _("Draft kept, %(time)s", time=format_time(at, "short")),
            "advice": advise(form.entered(MultiDict(entered))),
        }
    )


@blueprint.post("/projects/<slug>/trial")
@owner_required
def try_out(slug: str) -> ResponseReturnValue:
    """Make a copy to try the project on, and go there as a volunteer would."""
    project = mine(slug, "collaborator")
    try:
        copy = trials.begin(current_site(), project.id)
    except Conflict as error:
        flash(error.message, "warn")
        return redirect(url_for("owner.project", slug=slug), 303)
    return redirect(url_for("volunteer.project", slug=copy.slug), 303)


@blueprint.post("/projects/<slug>/duplicate")
@owner_required
def duplicate(slug: str) -> ResponseReturnValue:
    """A new draft with the same settings and wording, without its tasks."""
    project = mine(slug, "collaborator")
    made = engine.duplicate(current_site(), project.id, owner().id)
    flash(_("This is a copy of the settings, without tasks and answers. Give it a name of its own."), "ok")
    return redirect(step_address(made.slug, "purpose"), 303)


def step_address(slug: str, step: str) -> str:
    """Where a step is done."""
    if step == "data":
        return url_for("owner.upload", slug=slug)
    if step == "launch":
        return url_for("owner.project", slug=slug)
    return url_for("owner.setup", slug=slug, step=step)


def _new(task_type: str) -> ProjectForm:
    kind = tasktypes.get(task_type)
    name, number = http.args.get("template", ""), http.args.get("example", "")
    values: dict[str, Any] = {"language": str(get_locale() or "en").replace("_", "-")}
    if kind.inline:
        values |= {"stop_rule": "confidence", "redundancy": ANSWERS_MAX}
    if number:
        examples = engine.examples(task_type)
        values |= next(({"config": it["config"]} for n, it in enumerate(examples) if str(n) == number), {})
    if name:
        values |= templates.find(task_type, name).values
    base = ProjectIn.model_validate(
        {"name": "-", "config": {}, **values, "task_type": kind.name}
    ).model_dump()
    is_short = bool(name)
    return ProjectForm(
        kind.name,
        base | {"name": values.get("name", "")},
        f"new/{kind.name}/{name or f'example-{number}'}",
        sections=("purpose",) if is_short else SECTIONS,
        step="purpose" if is_short else "",
    )


def _step(slug: str, step: str) -> ProjectForm:
    if step not in SECTIONS:
        abort(404)
    project = mine(slug, "collaborator")
    return ProjectForm(project.task_type, base_of(project), f"{slug}/{step}", project, (step,), step)


@blueprint.app_context_processor
def _steps() -> dict[str, Any]:
    return {"step_address": step_address}
