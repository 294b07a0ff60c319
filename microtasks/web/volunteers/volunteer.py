"""The volunteer's pages: home, a project, its tasks, own last answers, thank-you. Works without JavaScript.

With JavaScript `static/js/runner.js` takes over the task page and speaks the volunteer API; every form here
is what it falls back to.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from babel import Locale, UnknownLocaleError
from flask import Blueprint, abort, flash, redirect, render_template, session, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from markupsafe import Markup

from microtasks import tasktypes
from microtasks.core.errors import AnswerInvalid
from microtasks.core.tasktype import TaskType
from microtasks.engine.assignment import serve, submit
from microtasks.engine.projects import translations
from microtasks.engine.volunteers import feed, thanks
from microtasks.store.imports import media
from microtasks.store.projects import projects
from microtasks.store.projects.projects import Card
from microtasks.store.tables import Project
from microtasks.store.volunteers import visits
from microtasks.web import localized, markdown, presenters, sentences, texts
from microtasks.web.request import contributor, current_site, known_contributor, network
from microtasks.web.requests.next_page import safe_next

blueprint = Blueprint("volunteer", __name__)

MINUTES = (2, 5, 10)
FILTERS = ("q", "topic", "language", "light", "thumb")
FILTERS_FROM = 7  # fewer projects are seen at a glance
VISIT_SECONDS = 3 * 3600  # who comes back after so long begins a new visit
LONGEST_ANSWER_SECONDS = 3600
REPORT_REASONS = ("broken", "unclear", "offensive", "other")
#: Our own fields in the form of a task. No field of a question can be called so: its id begins with a letter.
LEASE, KIND, STARTED, SURE = "_lease", "_kind", "_started", "_sure"
#: In the session: the lease of the answer just given, for the next page to tell how it turned out.
LAST = "last"
#: In the session: the project that the visit has just been led to from another one.
SWITCHED = "switched"
SLUG = re.compile(r"[\w-]{1,100}")


@blueprint.record_once
def _name_globals(state: Any) -> None:
    """What the templates of volunteers' pages call."""
    state.app.jinja_env.globals.update(
        wire=media.wire, markdown=markdown.render, arrow=arrow, language_name=language_name, is_drawn=is_drawn
    )


def arrow() -> Markup:
    """Onward, in the direction that the language is read."""
    sign = "←" if get_locale().text_direction == "rtl" else "→"
    return Markup(' <span aria-hidden="true">{}</span>').format(sign)


def language_name(code: str) -> str:
    """The name of an owner's language in the reader's; the code itself if nobody knows it."""
    try:
        return Locale.parse(code, sep="-").get_display_name(get_locale()) or code
    except (ValueError, UnknownLocaleError):
        return code


# -- home and project ---------------------------------------------------------------------------------


@blueprint.get("/")
def home() -> ResponseReturnValue:
    with current_site().db.session() as database:
        cards = by_need(localized.cards(projects.cards(database)))
    wanted = {name: http.args.get(name, "").strip()[:100] for name in FILTERS}
    return render_template(
        "volunteer/home.html",
        cards=[card for card in cards if fits(card, **wanted)],
        n_projects=len(cards),
        wanted=wanted,
        topics=sorted({card.project.topic for card in cards if card.project.topic}, key=str.casefold),
        spoken=sorted({language for card in cards for language in card.languages}),
        may_filter=len(cards) >= FILTERS_FROM or any(wanted.values()),
        minutes=MINUTES,
        chosen=_minutes() or 5,
    )


@blueprint.get("/start")
def start() -> ResponseReturnValue:
    """Begin a visit of so many minutes with a task of whatever project needs help, or go on with another one.

    Such a visit goes through the projects in runs; `after` is the one whose run is over.
    """
    site, who, after = current_site(), contributor(), http.args.get("after", "")
    if visit() is None or _minutes() or not after:
        begin_visit(_minutes())
    with site.db.session() as database:
        project = projects.find_public(database, after) if after else None
    saves_data = http.headers.get("Save-Data", "").lower() == "on"
    for low_data in (True, False) if saves_data else (False,):
        want = feed.Want(texts.choose(), low_data=low_data)
        served = feed.lease(
            site, who, want, after=project.id if project else None, network=network(), ends=True
        )
        if served.leases:
            slug = (served.leases[0].project or {})["slug"]
            is_alone = feed.is_alone(site, want)  # then there is nothing to change to
            session["visit"] = session["visit"] | {"feed": "" if is_alone else slug, "left": feed.RUN}
            if after and after != slug:
                session[SWITCHED] = slug
            return redirect(url_for("volunteer.work", slug=slug), 303)
    if project and _n_done():
        return redirect(url_for("volunteer.thank", slug=project.slug, why=served.reason), 303)
    return render_template("volunteer/rest.html", project=None, reason="none_for_you", others=[])


@blueprint.get("/p/<slug>")
def project(slug: str) -> ResponseReturnValue:
    with current_site().db.session() as database:
        project = projects.visible_by_slug(database, slug)
        [card] = localized.cards(projects.cards(database, [project]))
    return render_template("volunteer/project.html", card=card, project=card.project)


@blueprint.get("/language/<code>")
def set_language(code: str) -> ResponseReturnValue:
    """Keep the language chosen for this browser, and go back to the page it was chosen on."""
    if code not in texts.LANGUAGES:
        abort(404)
    response = redirect(safe_next(http.args.get("next"), "/"), 303)
    response.set_cookie(
        texts.LANGUAGE_COOKIE,
        code,
        max_age=365 * 86400,
        secure=current_site().settings.is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


@blueprint.get("/offline")
def offline() -> ResponseReturnValue:
    """What the device keeps to show when a page cannot be fetched."""
    return render_template("volunteer/offline.html")


def fits(card: Card, q: str, topic: str, language: str, light: str, thumb: str) -> bool:
    """Whether a project is of that topic and language, has every word of q, and is light or done by taps."""
    project = card.project
    text = f"{project.name} {project.purpose} {project.topic}".casefold()
    return (
        all(word in text for word in q.casefold().split())
        and topic in ("", project.topic)
        and (not language or language in card.languages)
        and not (light and card.cover)
        and not (thumb and is_drawn(project))
    )


def is_drawn(project: Project) -> bool:
    """Is it a project of drawing, easier on a large screen?"""
    return tasktypes.get(project.task_type).is_drawn


def by_need(cards: list[Card]) -> list[Card]:
    """Projects with work left first: light ones for who saves data, in the reader's language, least done."""
    language = texts.choose()
    saves_data = http.headers.get("Save-Data", "").lower() == "on"
    return sorted(
        cards,
        key=lambda card: (
            share_done(card) >= 1,
            saves_data and card.cover is not None,
            card.project.language.split("-")[0] != language,
            share_done(card),
        ),
    )


def share_done(card: Card) -> float:
    """Answers given over answers wanted; 1 for a project without tasks."""
    wanted = card.progress["answers_wanted"]
    return card.progress["answers"] / wanted if wanted else 1.0


# -- the task page ------------------------------------------------------------------------------------


@blueprint.get("/p/<slug>/work")
def work(slug: str) -> ResponseReturnValue:
    """A task at once, without signing up; or why there is none."""
    project = _project(slug)
    if visit() is None or _minutes():
        begin_visit(_minutes())
    served = serve.lease(current_site(), slug, contributor(), network=network())
    if served.leases:
        return _task_page(project, served.leases[0].to_json())
    if _left_of_run(slug) is not None:
        return redirect(url_for("volunteer.start", after=slug), 303)
    if _n_done():
        return redirect(url_for("volunteer.thank", slug=slug, why=served.reason), 303)
    return _rest(project, served.reason, served.retry_after_s)


@blueprint.post("/p/<slug>/work")
def answer(slug: str) -> ResponseReturnValue:
    """Take an answer, a skip or "I can't tell" from the plain form, and go on to the next task."""
    project = _project(slug)
    task_type = tasktypes.get(project.task_type)
    given = submit.AnswerIn(
        lease=http.form.get(LEASE, ""), kind=_kind(), value=None, seconds_spent=_seconds_spent()
    )
    if _loses_work(project):
        return _again_with(project, given, _still_sure(), {}, is_asked=True)
    try:
        if given.kind == "value":
            given = replace(given, value=_value_from_form(task_type, project))
        result = submit.submit(current_site(), contributor(), [given], network=network())
    except AnswerInvalid as error:
        return _again_with(project, given, error.message, error.details)
    receipt = result.receipts[0]
    if receipt.error:
        return _again_with(project, given, receipt.error["message"], receipt.error["details"])
    if receipt.status == "surplus":
        flash(_("Others had finished that task meanwhile. Your answer is kept all the same."))
    session[LAST] = given.lease
    left = _left_of_run(slug)
    if left is not None:
        session["visit"] = session["visit"] | {"left": left - 1}
        if left <= 1:
            return redirect(url_for("volunteer.start", after=slug), 303)
    return redirect(url_for("volunteer.work", slug=slug), 303)


@blueprint.post("/p/<slug>/report")
def report(slug: str) -> ResponseReturnValue:
    """Tell the owner that something is wrong with this item, and leave it for the next one."""
    _project(slug)
    reason = http.form.get("reason", "other")
    lease = http.form.get(LEASE, "")
    submit.report(
        current_site(),
        contributor(),
        lease,
        reason if reason in REPORT_REASONS else "other",
        http.form.get("note", "")[:1000],
    )
    submit.submit(current_site(), contributor(), [submit.AnswerIn(lease, "skip", None, None)])
    flash(_("Thank you. The project's owner will look at it."), "ok")
    return redirect(url_for("volunteer.work", slug=slug), 303)


@blueprint.get("/last/<int:back>")
def last_of_visit(back: int) -> ResponseReturnValue:
    """On to an own recent answer, whatever its project (1: the last one); `came_from` is gone back to."""
    came_from = http.args.get("came_from", "")
    with current_site().db.connection() as connection:
        slugs = visits.slugs_of_recent(connection, contributor(), submit.REVISABLE)
    if not 1 <= back <= len(slugs):
        flash(_("There is no earlier answer of yours to change."))
        return redirect(_work_of(came_from), 303)
    slug = slugs[back - 1]
    place = slugs[:back].count(slug)
    before = back + 1 if back < len(slugs) else None
    return redirect(url_for("volunteer.last", slug=slug, back=place, came_from=came_from, before=before), 303)


def _work_of(slug: str) -> str:
    return url_for("volunteer.work", slug=slug) if SLUG.fullmatch(slug) else "/"


@blueprint.route("/p/<slug>/last/<int:back>", methods=["GET", "POST"])
def last(slug: str, back: int) -> ResponseReturnValue:
    """Show an own recent answer again (1: the last one) and let it be corrected."""
    project = _project(slug)
    recent = submit.recent(current_site(), contributor(), slug)
    if not 1 <= back <= len(recent):
        flash(_("There is no earlier answer of yours to change."))
        return redirect(url_for("volunteer.work", slug=slug), 303)
    if http.method == "GET":
        task = recent[back - 1]
        return _task_page(project, task, value=task["value"], back=back, n_back=len(recent))
    kind, value = _kind(), None
    try:
        if _loses_work(project):
            raise AnswerInvalid(_still_sure())
        if kind == "value":
            value = _value_from_form(tasktypes.get(project.task_type), project)
        submit.revise(current_site(), contributor(), http.form.get(LEASE, ""), kind, value)
    except AnswerInvalid as error:
        task = {**recent[back - 1], "value": value or _raw_form(project)}
        return _task_page(
            project,
            task,
            value=task["value"],
            back=back,
            n_back=len(recent),
            is_asked=_loses_work(project),
            error=sentences.translated(error.message),
        )
    flash(_("Your answer is corrected."), "ok")
    return redirect(_work_of(http.args.get("came_from", slug)), 303)


@blueprint.get("/p/<slug>/thanks")
def thank(slug: str) -> ResponseReturnValue:
    """What was done in this visit, what it is for, and how to go on or stop."""
    project = _project(slug)
    began = visit()
    since = began["since"] if began else time.time()
    done = thanks.visit(current_site(), slug, contributor(), datetime.fromtimestamp(since, UTC))
    visited = [(localized.project(it), n) for it, n in done.projects]
    with current_site().db.session() as database:
        [card] = localized.cards(projects.cards(database, [project]))
        others = [
            c
            for c in by_need(localized.cards(projects.cards(database)))
            if c.project.slug != slug and share_done(c) < 1
        ]
    minutes = max(1, round((time.time() - since) / 60))
    return render_template(
        "volunteer/thanks.html",
        project=card.project,
        card=card,
        done=done,
        visited=visited,
        minutes=minutes,
        others=others[:3],
        why=http.args.get("why", ""),
    )


def _project(slug: str) -> Project:
    with current_site().db.session() as database:
        return projects.visible_by_slug(database, slug)


def _task_page(
    project: Project,
    lease: Mapping[str, Any],
    *,
    value: Mapping[str, Any] | None = None,
    error: str = "",
    problems: Mapping[str, str] | None = None,
    back: int = 0,
    n_back: int = 0,
    is_asked: bool = False,
) -> ResponseReturnValue:
    """Render one task. back > 0: an own earlier answer, shown with its value to be corrected.

    is_asked: it was asked whether what is filled in is to be lost, so pressing again does it.
    """
    task = lease["task"]
    task_type = tasktypes.get(task["type"])
    words = localized.texts_of(project)
    config_shown = translations.localized(task["config"], "config", words) if words else None
    config = task_type.parse_config(config_shown or task["config"])
    if value and task_type.is_empty(value):
        value = None
    began = visit()
    shown_project = localized.project(project)
    came_from = http.args.get("came_from", project.slug) if back else project.slug
    page = render_template(
        "volunteer/work.html",
        **presenters.context(task_type, shown_project, config, task),
        project=shown_project,
        shown_config=config_shown,
        item_language=project.language,
        lease=lease,
        value=value,
        error=error,
        problems=problems or {},
        reasons=REPORT_REASONS,
        n_done=_n_done(),
        began=began,
        now=int(time.time()),
        back=back,
        n_back=n_back,
        left_of_run=_left_of_run(project.slug),
        is_asked=is_asked,
        came_from=came_from,
        onwards=_work_of(came_from),
        before=http.args.get("before", "") if back else "",
        is_switched=session.pop(SWITCHED, None) == project.slug and not back,
    )
    # The page holds a lease: a copy from the browser's store would show a task that is long done.
    return page, 422 if error else 200, {"Cache-Control": "no-store"}


def _still_sure() -> str:
    return _("What you have put in here would be lost. Press it once more if you mean it.")


def _again_with(
    project: Project,
    given: submit.AnswerIn,
    message: str,
    details: Mapping[str, Any],
    is_asked: bool = False,
) -> ResponseReturnValue:
    """Show the same task again with what was filled in and what is wrong with it."""
    served = serve.lease(current_site(), project.slug, contributor(), limit=20, network=network())
    message = sentences.translated(message)
    held = [lease.to_json() for lease in served.leases]
    same = [lease for lease in held if lease["lease"] == given.lease]
    if not same:
        flash(message or _("That task is no longer yours. Here is another one."), "warn")
        return redirect(url_for("volunteer.work", slug=project.slug), 303)
    problems = {
        item["where"].split(".")[0]: sentences.translated(item["what"])
        for item in details.get("problems", [])
    }
    value = given.value or _raw_form(project)
    return _task_page(project, same[0], value=value, error=message, problems=problems, is_asked=is_asked)


def _kind() -> str:
    """The answer's kind as the use case takes it: "nothing here" is a value, given on purpose."""
    kind = http.form.get(KIND, "value")
    return kind if kind in ("cant_tell", "skip") else "value"


def _value_from_form(task_type: TaskType[Any, Any, Any], project: Project) -> dict[str, Any]:
    """What was answered: the fields, or "nothing here" by its button. Nothing chosen is no answer."""
    config = task_type.parse_config(project.config)
    raw = _raw_form(project)
    if http.form.get(KIND) == "empty":
        return task_type.from_form({}, config)
    if raw == task_type.from_form({}, config) or task_type.is_empty(raw):
        raise AnswerInvalid(
            _("Nothing is chosen yet. If there is nothing to choose, say so with its button.")
        )
    return raw


def _loses_work(project: Project) -> bool:
    """Is this a way out that throws away what is filled in, pressed for the first time?"""
    if http.form.get(KIND, "value") not in ("empty", "cant_tell", "skip") or http.form.get(SURE):
        return False
    task_type = tasktypes.get(project.task_type)
    return _raw_form(project) != task_type.from_form({}, task_type.parse_config(project.config))


def _raw_form(project: Project) -> dict[str, Any]:
    task_type = tasktypes.get(project.task_type)
    config = task_type.parse_config(project.config)
    return task_type.from_form(http.form.to_dict(flat=False), config, presenters.decimal_mark())


def _seconds_spent() -> float | None:
    started = http.form.get(STARTED, "")
    spent = time.time() - int(started) if started.isdecimal() and len(started) < 12 else -1
    return float(spent) if 0 <= spent <= LONGEST_ANSWER_SECONDS else None


def _rest(project: Project, reason: str | None, retry_after_s: float | None) -> ResponseReturnValue:
    """No task now: say why, and offer another project."""
    with current_site().db.session() as database:
        others = [
            c
            for c in by_need(localized.cards(projects.cards(database)))
            if c.project.id != project.id and share_done(c) < 1
        ]
    return render_template(
        "volunteer/rest.html",
        project=localized.project(project),
        reason=reason,
        retry_after_s=retry_after_s,
        others=others[:3],
    )


# -- the visit ----------------------------------------------------------------------------------------


def visit() -> dict[str, Any] | None:
    """{"since": epoch seconds, "minutes": int or None} of the present visit."""
    began = session.get("visit")
    is_fresh = isinstance(began, dict) and 0 <= time.time() - began.get("since", 0) < VISIT_SECONDS
    return began if is_fresh else None


def begin_visit(minutes: int | None) -> None:
    session["visit"] = {"since": int(time.time()), "minutes": minutes}


def _left_of_run(slug: str) -> int | None:
    """How many tasks before another project comes; None: this one was chosen by the volunteer."""
    began = visit()
    return int(began.get("left", feed.RUN)) if began and began.get("feed") == slug else None


def _minutes() -> int | None:
    """The minutes asked for, if they are ones we offer."""
    minutes = http.args.get("minutes", "")
    return int(minutes) if minutes.isdecimal() and len(minutes) < 3 and int(minutes) in MINUTES else None


def _n_done() -> int:
    """How many answers this visit has given, in whatever projects."""
    began, known = visit(), known_contributor()
    if began is None or known is None:
        return 0
    with current_site().db.connection() as connection:
        since = datetime.fromtimestamp(began["since"], UTC)
        return sum(n for _, n in visits.projects_since(connection, known, since))
