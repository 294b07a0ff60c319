"""What volunteers of a project learn from: tutorial, field guide, and whether they are told how they did."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import ValidationError

from microtasks.core.errors import InputError, RowInvalid, TooMany
from microtasks.core.tasktype import problems
from microtasks.engine.volunteers import tutorial as engine
from microtasks.engine.volunteers.tutorial import STEPS_MAX, Example, Step, Tutorial
from microtasks.store.operations import limits
from microtasks.store.tables import Project
from microtasks.web.owner.frame import blueprint, mine, owner
from microtasks.web.request import current_site, max_body, owner_required

#: Rows of the field guide beside those for what volunteers choose from.
OWN_EXAMPLES = 2


@blueprint.get("/projects/<slug>/tutorial")
@owner_required
def tutorial_page(slug: str) -> ResponseReturnValue:
    """The steps, the field guide, and what volunteers are told."""
    project = mine(slug, "collaborator")
    return _page(project, engine.read(project))


@blueprint.post("/projects/<slug>/tutorial")
@owner_required
@max_body("max_upload_bytes")
def change_tutorial(slug: str) -> ResponseReturnValue:
    """Take the whole form; what is wrong is said above it, and what was written stays."""
    project = mine(slug, "collaborator")
    before = engine.read(project)
    wrong = ""
    try:
        steps = [_picture(project, f"step.{n}", row) for n, row in enumerate(_steps(before))]
        guide = [_picture(project, f"guide.{n}", row) for n, row in enumerate(_examples(project, before))]
        made = Tutorial(
            steps=tuple(Step(**row) for row in steps if any(row.values())),
            guide=tuple(Example(**row) for row in guide if row["text"] or row["media_id"]),
        )
        engine.change(
            current_site(),
            project.id,
            made,
            tells_known="tells_known" in http.form,
            tells_consensus="tells_consensus" in http.form,
            by=owner().id,
        )
    except (InputError, RowInvalid, TooMany) as error:
        wrong = error.message
    except ValidationError as error:
        first = problems(error)[0]
        wrong = f"{first['where']}: {first['what']}"
    if wrong:
        return _page(project, before, wrong=wrong), 400
    flash(_("Saved."), "ok")
    return redirect(url_for("owner.tutorial_page", slug=slug), 303)


def _page(project: Project, lesson: Tutorial, wrong: str = "") -> str:
    return render_template(
        "owner/tutorial.html",
        project=project,
        steps=_steps(lesson),
        guide=_examples(project, lesson),
        labels=dict(engine.options(project)),
        images=engine.pictures(current_site(), [*lesson.steps, *lesson.guide]),
        known_tasks=engine.known_tasks(current_site(), project.id),
        wrong=wrong,
        form=http.form,
    )


def _steps(before: Tutorial) -> list[dict[str, Any]]:
    """The rows of the form for steps: as stored, with what was just written over it."""
    rows = []
    for n in range(STEPS_MAX):
        row = before.steps[n].model_dump() if n < len(before.steps) else Step().model_dump()
        for name in ("text", "right", "wrong"):
            row[name] = http.form.get(f"step.{n}.{name}", row[name]).strip()
        chosen = http.form.get(f"step.{n}.task", str(row["task_id"] or ""))
        row["task_id"] = int(chosen) if chosen.isdecimal() and len(chosen) < 19 else None
        rows.append(row)
    return rows


def _examples(project: Project, before: Tutorial) -> list[dict[str, Any]]:
    """The rows of the form for the field guide: each choice, then some of the owner's own."""
    options = [name for name, _label in engine.options(project)]
    stored = {it.option: it.model_dump() for it in before.guide if it.option in options}
    own = [it.model_dump() for it in before.guide if it.option not in options]
    rows = [stored.get(name, Example(option=name).model_dump()) for name in options]
    rows += own + [Example().model_dump() for _ in range(OWN_EXAMPLES)]
    for n, row in enumerate(rows):
        row["text"] = http.form.get(f"guide.{n}.text", row["text"]).strip()
        if row["option"] not in options:
            row["option"] = http.form.get(f"guide.{n}.option", row["option"]).strip()
    return rows


def _picture(project: Project, name: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row with the picture that was uploaded or named; without one where that was asked."""
    upload, of = http.files.get(f"{name}.picture"), http.form.get(f"{name}.of", "").strip()
    if upload and upload.filename:
        if not limits.allow(current_site(), "upload", f"account {owner().id}"):
            raise TooMany(_("Too many uploads in one hour."))
        row["media_id"] = engine.add_pictures(current_site(), [(upload.stream.read(), upload.filename)])[0]
    elif of:
        row["media_id"] = engine.picture_of(current_site(), project.id, of)
    elif f"{name}.drop" in http.form:
        row["media_id"] = None
    return row
