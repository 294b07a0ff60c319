"""The owner's projects: list, new, edit, publish and pause, tasks, reports, preview."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from microtasks import tasktypes
from microtasks.core.errors import ConfigInvalid, Conflict, InputError
from microtasks.core.tasktype import problems as problems_of
from microtasks.engine import projects as engine
from microtasks.engine.exporting import in_short
from microtasks.engine.projects import ProjectIn
from microtasks.store import exports, projects
from microtasks.store.tables import Project
from microtasks.web import forms
from microtasks.web.owner.frame import PAGE, after, blueprint, id_of, mine, owner
from microtasks.web.request import current_site, owner_required
from microtasks.web.volunteer import REPORT_REASONS

#: Fields of the project form besides the type's own (`config.*`) and the buttons.
TEXTS = ("name", "purpose", "instructions", "thanks", "topic", "language")
NUMBERS = ("redundancy", "answers_min", "stop_percent", "gold_percent", "lease_minutes")
BUTTONS = ("csrf_token", "add", "remove", "save", "stop_early", "weigh")

#: Where a new project stops when sure: answers a task may get, where people do not agree.
ANSWERS_MAX = 10

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
        cards = projects.cards(session, projects.list_for_account(session, id_of(who), who.is_operator))
    return render_template("owner/projects.html", cards=cards)


@blueprint.get("/new")
@owner_required
def choose_type() -> ResponseReturnValue:
    """What kind of task? A card for each type, and examples to start from."""
    examples = {name: engine.examples(name) for name in tasktypes.all_types()}
    return render_template("owner/choose.html", types=tasktypes.all_types(), examples=examples)


@blueprint.get("/new/<task_type>")
@owner_required
def new(task_type: str) -> ResponseReturnValue:
    found = engine.examples(task_type)
    number = http.args.get("example", "")
    example = next((it for n, it in enumerate(found) if str(n) == number), None)
    stops: dict[str, Any] = {}
    if tasktypes.get(task_type).inline:
        stops = {"stop_rule": "confidence", "redundancy": ANSWERS_MAX}
    values = ProjectIn(
        name="-",
        task_type=task_type,
        config=example["config"] if example else {},
        language=_language(),
        **stops,
    ).model_dump()
    return _form(task_type, values | {"name": ""})


@blueprint.post("/new/<task_type>")
@owner_required
def create(task_type: str) -> ResponseReturnValue:
    tasktypes.get(task_type)
    if "save" not in http.form:
        return _rows_changed(task_type, None)
    try:
        made = engine.create(current_site(), id_of(owner()), _read(task_type))
    except (ValidationError, ConfigInvalid) as error:
        return _refused(task_type, error, None)
    flash(_("Your project is saved as a draft. Next: its tasks."), "ok")
    return redirect(url_for("owner.upload", slug=made.slug), 303)


@blueprint.get("/projects/<slug>")
@owner_required
def project(slug: str) -> ResponseReturnValue:
    """One project: progress, state, what to do next."""
    return render_template("owner/project.html", **_overview(mine(slug, "researcher")))


@blueprint.get("/projects/<slug>/progress.json")
@owner_required
def progress(slug: str) -> ResponseReturnValue:
    """The counts of the project's page, for its script."""
    found = mine(slug, "researcher")
    with current_site().db.session() as session:
        counts = projects.progress(session, id_of(found))
    return {"state": found.state, **counts}


@blueprint.get("/projects/<slug>/edit")
@owner_required
def edit(slug: str) -> ResponseReturnValue:
    found = mine(slug, "collaborator")
    return _form(found.task_type, found.model_dump(), found)


@blueprint.post("/projects/<slug>/edit")
@owner_required
def save(slug: str) -> ResponseReturnValue:
    found = mine(slug, "collaborator")
    if "save" not in http.form:
        return _rows_changed(found.task_type, found)
    try:
        engine.update(current_site(), id_of(found), _read(found.task_type, found), by=id_of(owner()))
    except (ValidationError, ConfigInvalid) as error:
        return _refused(found.task_type, error, found)
    flash(_("Saved."), "ok")
    return redirect(url_for("owner.project", slug=slug), 303)


@blueprint.post("/projects/<slug>/state")
@owner_required
def move(slug: str) -> ResponseReturnValue:
    """Publish, pause, resume or archive."""
    found = mine(slug, "collaborator")
    use_case = MOVES.get(http.form.get("move", ""))
    if use_case is None:
        raise InputError(_("There is no such step."))
    try:
        use_case(current_site(), id_of(found), by=id_of(owner()))
    except Conflict as error:
        flash(error.message, "warn")
    return redirect(url_for("owner.project", slug=slug), 303)


@blueprint.get("/projects/<slug>/tasks")
@owner_required
def tasks(slug: str) -> ResponseReturnValue:
    """The project's tasks, a page at a time by key."""
    found = mine(slug, "researcher")
    with current_site().db.connection() as connection:
        rows = exports.page(connection, id_of(found), after(), PAGE + 1)
    shown = rows[:PAGE]
    return render_template(
        "owner/tasks.html",
        project=found,
        rows=shown,
        in_short=in_short,
        next_after=shown[-1]["task_id"] if len(rows) > PAGE else None,
    )


@blueprint.get("/projects/<slug>/preview")
@owner_required
def preview(slug: str) -> ResponseReturnValue:
    """The volunteer's page with one of the project's tasks; answers go nowhere."""
    found = mine(slug, "researcher")
    task_type = tasktypes.get(found.task_type)
    task = engine.task_to_preview(current_site(), found, after())
    if task is None:
        return render_template("owner/no_preview.html", project=found)
    return render_template(
        "owner/preview.html",
        project=found,
        task_type=task_type,
        presenter=f"tasktypes/{task_type.name}/presenter",
        lease={"lease": "", "expires_at": ""},
        task=task,
        config=task_type.parse_config(found.config),
        payload=task["payload"],
        media=task["media"],
        value=None,
        error="",
        problems={},
        may_be_empty=task_type.needs_image,
        reasons=REPORT_REASONS,
        n_done=0,
        n_back=0,
        back=0,
        began=None,
        now=0,
    )


@blueprint.get("/projects/<slug>/reports")
@owner_required
def reports(slug: str) -> ResponseReturnValue:
    """What volunteers said is wrong with tasks."""
    found = mine(slug, "researcher")
    with current_site().db.connection() as connection:
        rows = projects.reports(connection, id_of(found), after(), PAGE + 1)
    shown = rows[:PAGE]
    return render_template(
        "owner/reports.html",
        project=found,
        rows=shown,
        next_after=shown[-1]["id"] if len(rows) > PAGE else None,
    )


@blueprint.post("/projects/<slug>/reports/<int:report_id>")
@owner_required
def close_report(slug: str, report_id: int) -> ResponseReturnValue:
    """Tick a report off."""
    found = mine(slug, "reviewer")
    engine.close_report(current_site(), id_of(found), report_id, by=id_of(owner()))
    return redirect(url_for("owner.reports", slug=slug), 303)


# -- the form -----------------------------------------------------------------------------------------


def _form(
    task_type: str,
    values: dict[str, Any],
    project: Project | None = None,
    *,
    problems: list[dict[str, str]] | None = None,
    added: str = "",
    status: int = 200,
) -> ResponseReturnValue:
    """Draw the form. problems: {"where", "what"}; added: path of the list that gets one more spare row."""
    kind = tasktypes.get(task_type)
    wrong: dict[str, list[str]] = {}
    for problem in problems or ():
        wrong.setdefault(problem["where"], []).append(problem["what"])
    page = render_template(
        "owner/form.html",
        project=project,
        kind=kind,
        nodes=forms.nodes(kind.Config.model_json_schema()),
        values=values,
        early=_early(task_type, project),
        wrong=wrong,
        added=added,
        estimate=_estimate(project) if project else None,
    )
    return page, status


def _rows_changed(task_type: str, project: Project | None) -> ResponseReturnValue:
    """Draw the form again with a row more or less: the "add" and "remove" buttons without JavaScript."""
    posted: MultiDict[str, str] = http.form
    if removed := http.form.get("remove"):
        posted = forms.remove_row(posted, removed)
    return _form(task_type, _draft(task_type, posted), project, added=http.form.get("add", ""))


def _refused(task_type: str, error: ValidationError | ConfigInvalid, project: Project | None) -> Any:
    if isinstance(error, ConfigInvalid):
        found = [
            {"where": f"config.{item['where']}".rstrip("."), "what": item["what"]}
            for item in error.details.get("problems", [])
        ]
    else:
        found = problems_of(error)
    for item in found:
        item["what"] = item["what"].removeprefix("Value error, ")
    nodes = forms.nodes(tasktypes.get(task_type).Config.model_json_schema())
    values = _draft(task_type, http.form) | {"config": forms.read(nodes, http.form, "config")}
    return _form(task_type, values, project, problems=found, status=400)


def _draft(task_type: str, posted: MultiDict[str, str]) -> dict[str, Any]:
    """What was entered, as values to draw the form with: blank rows keep their places."""
    nodes = forms.nodes(tasktypes.get(task_type).Config.model_json_schema())
    values: dict[str, Any] = {name: posted.get(name, "") for name in (*TEXTS, *NUMBERS)}
    values["stop_rule"] = _early(task_type, None) if "stop_early" in posted else "redundancy"
    values["method"] = "model" if "weigh" in posted else "majority"
    return values | {"config": forms.read(nodes, posted, "config", is_draft=True)}


def _read(task_type: str, project: Project | None = None) -> ProjectIn:
    """The posted form as a ProjectIn: ValidationError; InputError for fields that the form does not have."""
    unknown = [
        name
        for name in http.form
        if name not in (*TEXTS, *NUMBERS, *BUTTONS) and not name.startswith("config.")
    ]
    if unknown:
        raise InputError(f"This form has no field {unknown[0]!r}.")
    given = {name: http.form[name] for name in TEXTS if name in http.form}
    nodes = forms.nodes(tasktypes.get(task_type).Config.model_json_schema())
    given |= {"task_type": task_type, "config": forms.read(nodes, http.form, "config")}
    number = {name: http.form[name].strip() for name in NUMBERS if http.form.get(name, "").strip()}
    if "redundancy" in number:
        given["redundancy"] = number["redundancy"]
    if "stop_early" in http.form:
        given["stop_rule"] = _early(task_type, project)
        given["answers_min"] = number.get("answers_min", 0)
    for name, source, scale in (
        ("stop_threshold", "stop_percent", 0.01),
        ("gold_share", "gold_percent", 0.01),
        ("lease_seconds", "lease_minutes", 60),
    ):
        if source in number:
            try:
                given[name] = round(float(number[source].replace(",", ".")) * scale, 6)
            except ValueError:
                given[name] = number[source]
    given["method"] = "model" if "weigh" in http.form else "majority"
    if project is not None and project.method == "committee" and "weigh" not in http.form:
        given["method"] = "committee"  # set on the command line; the form has no word for it
    return ProjectIn.model_validate(given)


def _early(task_type: str, project: Project | None) -> str:
    """What "stop early" means here: labels by confidence; marks, and projects that began so, by agreement."""
    has_begun_otherwise = project is not None and project.stop_rule == "agreement"
    return "confidence" if tasktypes.get(task_type).inline and not has_begun_otherwise else "agreement"


def _language() -> str:
    return str(get_locale() or "en").replace("_", "-")


# -- the project's page -------------------------------------------------------------------------------


def _overview(found: Project) -> dict[str, Any]:
    site = current_site()
    with site.db.session() as session:
        (card,) = projects.cards(session, [found])
        troubles = projects.troubles(session, id_of(found))
    return {
        "project": found,
        "card": card,
        "troubles": troubles,
        "estimate": _estimate(found),
        "not_ready": engine.not_ready(found) if found.state == "draft" else [],
    }


def _estimate(found: Project) -> dict[str, float] | None:
    with current_site().db.session() as session:
        (card,) = projects.cards(session, [found])
    if not card.progress["tasks"]:
        return None
    work = engine.estimate(card.progress["tasks"], found.redundancy, card.median_seconds)
    return work | {"is_most": found.stop_rule != "redundancy"}
