"""Learning: the tutorial before the work, and how one did after it. Nothing here needs JavaScript."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, session, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks import tasktypes
from microtasks.core.errors import AnswerInvalid, InputError, LeaseInvalid, NotFound
from microtasks.core.parsing import jsonstrict
from microtasks.engine.volunteers import feedback, tutorial
from microtasks.engine.volunteers.tutorial import Step, Tutorial
from microtasks.store.tables import Project
from microtasks.web import localized, presenters, sentences
from microtasks.web.request import contributor, current_site, known_contributor
from microtasks.web.volunteers.volunteer import LAST

blueprint = Blueprint("tutorial", __name__)

#: The projects whose tutorial this device has seen: their ids, newest first.
COOKIE = "mt_learnt"
COOKIE_SECONDS = 365 * 86400
COOKIE_MOST = 60
VALUE = "_value"


@blueprint.get("/p/<slug>/learn")
def learn(slug: str) -> ResponseReturnValue:
    """One step of the tutorial (`?step=`, from 1)."""
    project = localized.visible(slug)
    lesson = tutorial.read(project)
    return _step(project, lesson, _number(lesson))


@blueprint.post("/p/<slug>/learn")
def attempt(slug: str) -> ResponseReturnValue:
    """Say how a try went. Nothing of it is stored."""
    project = localized.visible(slug)
    lesson = tutorial.read(project)
    number = _number(lesson)
    step = lesson.steps[number - 1]
    if not step.is_try:
        raise InputError("There is nothing to try here.")
    kind = "cant_tell" if http.form.get("_kind") == "cant_tell" else "value"
    try:
        made = tutorial.attempt(current_site(), project, step, kind, _value(project))
    except AnswerInvalid as error:
        return _step(project, lesson, number, error=sentences.translated(error.message))
    return render_template(
        "volunteer/tried.html",
        **_common(project, lesson, number),
        attempt=made,
        was_shown=kind == "cant_tell",
    )


@blueprint.get("/p/<slug>/learn/leave")
def leave(slug: str) -> ResponseReturnValue:
    """On to the work, from the last step or from any: this device will not be asked again."""
    project = localized.visible(slug)
    learnt = [str(project.id), *(it for it in _learnt() if it != str(project.id))]
    response = redirect(url_for("volunteer.work", slug=slug), 303)
    response.set_cookie(
        COOKIE,
        ".".join(learnt[:COOKIE_MOST]),
        max_age=COOKIE_SECONDS,
        secure=current_site().settings.is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


@blueprint.post("/p/<slug>/told")
def told(slug: str) -> ResponseReturnValue:
    """How the last answers turned out, as a piece of a page: for the task page's script."""
    project = localized.visible(slug)
    return render_template(
        "volunteer/_told.html", project=project, told=_how_it_went(http.form.getlist("lease"), project)
    )


def _how_it_went(leases: list[str], project: Project) -> list[feedback.Feedback]:
    """What there is to tell of these own answers, in the words of the project as it is read."""
    return feedback.feedback_on(current_site(), contributor(), leases, project)


def tells(project: Project) -> bool:
    """Does the owner let volunteers know how they did?"""
    return project.tells_known or project.tells_consensus


def last_told(project: Project) -> list[feedback.Feedback]:
    """What there is to tell of the answer that the page before took in: where no script does it."""
    lease = session.pop(LAST, None)
    if not lease or not tells(project):
        return []
    try:
        return _how_it_went([lease], project)
    except LeaseInvalid:
        return []  # this browser has become someone else meanwhile


def is_newcomer(project: Project) -> bool:
    """Is there a tutorial that this device has not seen, and nobody has answered here with it?"""
    if not (project.tutorial or {}).get("steps") or str(project.id) in _learnt():
        return False
    return tutorial.is_newcomer(current_site(), project, known_contributor())


def guide(project: Project) -> list[dict[str, Any]]:
    """The field guide: {"label", "text", "image"} an entry."""
    entries = tutorial.read(project).guide
    if not entries:
        return []
    labels = dict(tutorial.options(project))
    images = tutorial.pictures(current_site(), entries)
    return [
        {
            "label": labels.get(it.option, it.option),
            "text": it.text,
            "image": images.get(it.media_id) if it.media_id else None,
        }
        for it in entries
    ]


blueprint.add_app_template_global(is_newcomer)
blueprint.add_app_template_global(guide, "field_guide")
blueprint.add_app_template_global(last_told)
blueprint.add_app_template_global(tells)


def _learnt() -> list[str]:
    return [it for it in http.cookies.get(COOKIE, "").split(".") if it.isdecimal()][:COOKIE_MOST]


def _number(lesson: Tutorial) -> int:
    """The step asked for; NotFound for one that is not there."""
    step = http.args.get("step", "1")
    number = int(step) if step.isdecimal() and len(step) < 3 else 0
    if not 1 <= number <= len(lesson.steps):
        raise NotFound("There is nothing here.")
    return number


def _value(project: Project) -> Any:
    """What was tried: JSON that the script put into the form, or the plain fields; "nothing here"."""
    task_type = tasktypes.get(project.task_type)
    config = task_type.parse_config(project.config)
    if http.form.get("_kind") == "empty":
        return task_type.from_form({}, config)
    if written := http.form.get(VALUE):
        return jsonstrict.loads(written.encode())
    value: dict[str, Any] = task_type.from_form(
        http.form.to_dict(flat=False), config, presenters.decimal_mark()
    )
    is_nothing = value == task_type.from_form({}, config) or task_type.is_empty(value)
    if http.form.get("_kind") != "cant_tell" and is_nothing:
        raise AnswerInvalid(
            _("Nothing is chosen yet. If there is nothing to choose, say so with its button.")
        )
    return value


def _step(project: Project, lesson: Tutorial, number: int, error: str = "") -> ResponseReturnValue:
    step: Step = lesson.steps[number - 1]
    common = _common(project, lesson, number)
    if not step.is_try:
        image = tutorial.pictures(current_site(), [step]).get(step.media_id or 0)
        return render_template("volunteer/learn.html", **common, image=image)
    task = tutorial.task_to_try(current_site(), project, step)
    task_type = tasktypes.get(project.task_type)
    config = task_type.parse_config(project.config)
    page = render_template(
        "volunteer/try.html",
        **common,
        **presenters.context(task_type, common["project"], config, task),
        value=None,
        error=error,
        problems={},
    )
    return page, 422 if error else 200


def _common(project: Project, lesson: Tutorial, number: int) -> dict[str, Any]:
    steps = lesson.steps
    return {
        "project": project,
        "step": steps[number - 1],
        "number": number,
        "n_steps": len(steps),
        "is_last": number == len(steps),
    }
