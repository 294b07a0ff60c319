"""The results explorer: tasks by agreement, one task with everybody's answer, whole big images."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from flask import Blueprint, flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks import tasktypes
from microtasks.core.errors import AnswerInvalid, Conflict, InputError, NotFound
from microtasks.core.parsing import jsonstrict
from microtasks.core.values import Part
from microtasks.engine.results import decisions
from microtasks.engine.results import explorer as engine
from microtasks.store.results import explorer as stored
from microtasks.store.results.explorer import Filter, Key
from microtasks.store.tables import Project
from microtasks.web import presenters, sentences
from microtasks.web.owner.frame import mine, owner, private
from microtasks.web.request import current_site, owner_required

blueprint = Blueprint("explorer", __name__, url_prefix="/research")
blueprint.after_request(private)

#: Tasks on one page of the grid.
PAGE = 24
#: Contributors with a switch of their own; the style sheet has a rule for each.
SWITCHES = 24
#: Parameters of the filter in the address.
NAMES = (
    *("from", "to", "sure_from", "sure_to", "tied", "disputed", "state", "batch", "value", "tag", "decided"),
    *("unseen", "order"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The filter of a request, and the parameters that say it again in a link."""

    filter: Filter
    link: dict[str, str]


@blueprint.get("/<slug>/tasks")
@owner_required
def tasks(slug: str) -> ResponseReturnValue:
    """The project's tasks with their consensus, a page at a time by key."""
    project = mine(slug, "researcher")
    parts = engine.parts(project)
    parts_asked = _asked(parts)
    with current_site().db.connection() as connection:
        rows = stored.page(connection, project.id, parts_asked.filter, _after(), PAGE + 1)
        batches = stored.batches(connection, project.id)
        n_decided = stored.n_decided(connection, project.id)
    page = rows[:PAGE]
    key = stored.key_of(page[-1], parts_asked.filter) if len(rows) > PAGE else None
    return render_template(
        "research/explorer.html",
        project=project,
        rows=page,
        words={row["task_id"]: engine.describe(row["value"], parts) for row in page},
        has_marks=any(part.kind == "marks" for part in parts),
        options=[(part, option) for part in parts for option in part.options],
        is_open=any(part.is_open for part in parts),
        batches=batches,
        n_decided=n_decided,
        link=parts_asked.link,
        wanted=parts_asked.filter,
        next_after=f"{key.agreement!r}~{key.task_id}" if key else None,
    )


@blueprint.get("/<slug>/tasks/<int:task_id>")
@owner_required
def task(slug: str, task_id: int) -> ResponseReturnValue:
    """One task: the image with everybody's marks and the consensus, answers side by side."""
    project = mine(slug, "researcher")
    parts_asked = _asked(engine.parts(project))
    view = engine.view_task(current_site(), project, task_id, parts_asked.filter)
    return render_template(
        "research/task.html",
        project=project,
        view=view,
        link=parts_asked.link,
        switches=SWITCHES,
        most_more=engine.MOST_MORE,
    )


@blueprint.post("/<slug>/tasks/<int:task_id>/looked")
@owner_required
def looked(slug: str, task_id: int) -> ResponseReturnValue:
    """Remember that I have looked at it; the page's script says so by itself."""
    project = mine(slug, "researcher")
    link = _asked(engine.parts(project)).link
    engine.record_view(current_site(), project, task_id, owner().id)
    return redirect(url_for("explorer.task", slug=slug, task_id=task_id, **cast(Any, link)), 303)


@blueprint.post("/<slug>/tasks/<int:task_id>/decision")
@owner_required
def decide(slug: str, task_id: int) -> ResponseReturnValue:
    """Keep an expert's decision."""
    project = mine(slug, "reviewer")
    link = _asked(engine.parts(project)).link
    form = http.form
    try:
        decisions.record(
            current_site(), project, task_id, owner().id, form.get("choice", ""), form.get("note", "")
        )
        flash(_("Your decision is kept beside the consensus."), "ok")
    except (Conflict, InputError) as error:
        flash(error.message, "warn")
    return redirect(url_for("explorer.task", slug=slug, task_id=task_id, **cast(Any, link)), 303)


@blueprint.post("/<slug>/tasks/<int:task_id>/decision/back")
@owner_required
def take_back(slug: str, task_id: int) -> ResponseReturnValue:
    """Let a task be as if nobody had decided it."""
    project = mine(slug, "reviewer")
    link = _asked(engine.parts(project)).link
    try:
        decisions.take_back(current_site(), project, task_id, owner().id)
        flash(_("The decision is taken back."), "ok")
    except Conflict as error:
        flash(error.message, "warn")
    return redirect(url_for("explorer.task", slug=slug, task_id=task_id, **cast(Any, link)), 303)


@blueprint.get("/<slug>/tasks/<int:task_id>/own")
@owner_required
def own(slug: str, task_id: int) -> ResponseReturnValue:
    """The task as volunteers answer it, for the expert's own answer (`?begin=`: what is filled in)."""
    project = mine(slug, "reviewer")
    form = decisions.form(current_site(), project, task_id, http.args.get("begin", ""))
    return _own_page(project, form, form.value, form.value, form.note)


@blueprint.post("/<slug>/tasks/<int:task_id>/own")
@owner_required
def keep_own(slug: str, task_id: int) -> ResponseReturnValue:
    """Keep the expert's own answer as the decision; what does not fit is shown again with what is wrong."""
    project = mine(slug, "reviewer")
    link = _asked(engine.parts(project)).link
    note = http.form.get("note", "")
    typed = tasktypes.get(project.task_type).from_form(
        http.form.to_dict(flat=False), engine.config(project), presenters.decimal_mark()
    )
    given: Any = typed
    try:
        given = _given(project, typed)
        decisions.record_own(current_site(), project, task_id, owner().id, given, note)
    except (AnswerInvalid, InputError) as error:
        form = decisions.form(current_site(), project, task_id)
        draft = given if isinstance(given, dict) else None
        problems = {
            item["where"].split(".")[0]: sentences.translated(item["what"])
            for item in error.details.get("problems", [])
        }
        page = _own_page(project, form, typed, draft, note, sentences.translated(error.message), problems)
        return page, 422
    flash(_("Your answer is kept beside the consensus."), "ok")
    return redirect(url_for("explorer.task", slug=slug, task_id=task_id, **cast(Any, link)), 303)


def _given(project: Project, typed: dict[str, Any]) -> Any:
    """What was answered: JSON that the page's script put into the form, or its fields; "nothing here"."""
    task_type, config = tasktypes.get(project.task_type), engine.config(project)
    if http.form.get("_kind") == "empty":
        return task_type.from_form({}, config)
    if written := http.form.get("_value"):
        return jsonstrict.loads(written.encode())
    if task_type.is_empty(typed):
        raise AnswerInvalid(
            _("Nothing is chosen yet. If there is nothing to choose, say so with its button.")
        )
    return typed


def _own_page(
    project: Project,
    form: decisions.Form,
    value: Mapping[str, Any] | None,
    draft: Mapping[str, Any] | None,
    note: str,
    error: str = "",
    problems: Mapping[str, str] | None = None,
) -> str:
    """value: what the plain form holds; draft: what the page's script puts in its place."""
    task_type, config = tasktypes.get(project.task_type), engine.config(project)
    return render_template(
        "research/own.html",
        project=project,
        form=form,
        link=_asked(engine.parts(project)).link,
        **presenters.context(task_type, project, config, form.task),
        value=value,
        draft=draft,
        note=note,
        error=error,
        problems=problems or {},
    )


@blueprint.post("/<slug>/tasks/<int:task_id>/more")
@owner_required
def ask_more(slug: str, task_id: int) -> ResponseReturnValue:
    """Send a task back for more answers."""
    project = mine(slug, "reviewer")
    link = _asked(engine.parts(project)).link
    given = http.form.get("n", "").strip()
    try:
        engine.ask_more(
            current_site(),
            project,
            task_id,
            int(given) if re.fullmatch("[0-9]{1,4}", given) else 0,
            by=owner().id,
        )
        flash(_("The task is open for more answers."), "ok")
    except (Conflict, InputError) as error:
        flash(error.message, "warn")
    return redirect(url_for("explorer.task", slug=slug, task_id=task_id, **cast(Any, link)), 303)


@blueprint.get("/<slug>/sources/<path:source>")
@owner_required
def source(slug: str, source: str) -> ResponseReturnValue:
    """A whole big image with the merged consensus of its tiles."""
    project = mine(slug, "researcher")
    if "\x00" in source:
        raise NotFound(_("There is no such image."))
    whole = engine.whole_image(current_site(), project, source)
    return render_template("research/source.html", project=project, whole=whole, switches=SWITCHES)


def _asked(parts: tuple[Part, ...]) -> Asked:
    """The filter in the address; InputError for what cannot be read."""
    given = {name: http.args[name] for name in NAMES if http.args.get(name)}
    state, order = given.get("state", ""), given.get("order", "least")
    decided = given.get("decided", "")
    if decided not in ("", "no", "yes", *get_args(stored.Choice)):
        raise InputError(_("There is no such filter."))
    if state not in ("", "open", "retired") or order not in ("least", "number"):
        raise InputError(_("There is no such filter."))
    return Asked(
        Filter(
            at_least=_share(given.get("from")),
            at_most=_share(given.get("to")),
            sure_at_least=_share(given.get("sure_from")),
            sure_at_most=_share(given.get("sure_to")),
            is_tied="tied" in given,
            is_disputed="disputed" in given,
            state=cast(Any, state),
            batch_id=_number(given.get("batch")),
            contains=_contains(parts, given.get("value")) or _own_tag(parts, given.get("tag")),
            decided=cast(Any, decided),
            not_seen_by=owner().id if "unseen" in given else None,
            order=cast(Any, order),
        ),
        given,
    )


def _share(percent: str | None) -> float | None:
    number = _number(percent)
    return None if number is None else min(number, 100) / 100


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", text.strip(), re.ASCII):
        raise InputError(_("There is no such filter."))
    return int(text)


def _contains(parts: tuple[Part, ...], chosen: str | None) -> dict[str, Any] | None:
    """A choice of the form, "part:option", as what the consensus must hold."""
    if chosen is None:
        return None
    part_id, _colon, option = chosen.partition(":")
    part = next((one for one in parts if one.id == part_id and option in dict(one.options)), None)
    if part is None:
        raise InputError(_("There is no such filter."))
    if part.kind == "marks":
        return {part.id: [{"class": option}]}
    return {part.id: [option] if part.kind == "choices" else option}


def _own_tag(parts: tuple[Part, ...], text: str | None) -> dict[str, Any] | None:
    """A tag that volunteers added, in the spelling in which such are kept; of one on the list, its id."""
    part = next((one for one in parts if one.is_open), None)
    if text is None:
        return None
    if part is None or "\x00" in text:
        raise InputError(_("There is no such filter."))
    wanted = _spelling(text)
    listed = {_spelling(label): option for option, label in part.options}
    return {part.id: [listed.get(wanted, wanted)]}


def _spelling(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _after() -> Key | None:
    """The key that the page begins behind: agreement~task."""
    given = http.args.get("after")
    if not given:
        return None
    match = re.fullmatch(r"([0-9]\.[0-9]{1,20}(?:e-[0-9]{1,3})?)~([0-9]{1,18})", given, re.ASCII)
    if match is None:
        raise InputError(_("The page asked for does not exist."))
    return Key(float(match[1]), int(match[2]))
