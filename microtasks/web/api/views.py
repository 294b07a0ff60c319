"""The routes: read strictly, call one use case, answer in bytes. No ORM where tasks and answers pass."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

import orjson
from flask import Blueprint, Response
from flask import request as http
from pydantic import ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from microtasks.core.errors import InputError, TooMany
from microtasks.core.tasktype import problems
from microtasks.engine.assignment import serve, submit
from microtasks.engine.volunteers import feed, feedback
from microtasks.store.imports import media
from microtasks.store.operations import limits
from microtasks.store.projects import projects
from microtasks.web import sentences
from microtasks.web.api import models, openapi
from microtasks.web.request import contributor, current_site, network, read_json

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")

Body = TypeVar("Body", bound=models.In)


@blueprint.get("/projects")
def list_projects() -> Response:
    with current_site().db.session() as session:
        cards = projects.cards(session)
    return _cacheable({"projects": [_facts(card) for card in cards]})


@blueprint.get("/projects/<slug>")
def get_project(slug: str) -> Response:
    with current_site().db.session() as session:
        [card] = projects.cards(session, [projects.visible_by_slug(session, slug)])
    return _cacheable(_facts(card))


@blueprint.post("/projects/<slug>/leases")
def lease_tasks(slug: str) -> Response:
    body = _read(models.LeasesIn)
    served = serve.lease(current_site(), slug, contributor(), limit=body.limit, network=network())
    return _reply(served.to_json())


@blueprint.post("/leases")
def lease_any_tasks() -> Response:
    body = _read(models.AnyLeasesIn)
    site = current_site()
    with site.db.session() as session:
        last = projects.find_public(session, body.after) if body.after else None
    served = feed.lease(
        site,
        contributor(),
        _want(body),
        limit=body.limit,
        after=last.id if last else None,
        ends=last is not None,
        network=network(),
    )
    return _reply(served.to_json())


@blueprint.post("/answers")
def send_answers() -> Response:
    body = _read(models.AnswersIn)
    site, who = current_site(), contributor()
    if body.feed is None or not body.next:
        return submitted(submit.submit(site, who, answers_in(body), next_limit=body.next, network=network()))
    done = submit.submit(site, who, answers_in(body), network=network())
    after = submit.project_of(site, who, [answer.lease for answer in body.answers])
    served = feed.lease(site, who, _want(body.feed), limit=body.next, after=after, network=network())
    return submitted(
        replace(done, leases=served.leases, reason=served.reason, retry_after_s=served.retry_after_s)
    )


def _want(body: models.FeedIn) -> feed.Want:
    return feed.Want(body.language, None if body.types is None else frozenset(body.types), body.low_data)


def answers_in(body: models.AnswersIn) -> list[submit.AnswerIn]:
    """The answers as the engine takes them."""
    return [
        submit.AnswerIn(answer.lease, answer.kind, answer.value, answer.seconds_spent)
        for answer in body.answers
    ]


def submitted(done: submit.Submitted) -> Response:
    """The receipts, errors in the reader's language, and what comes next."""
    document = done.to_json()
    for receipt in document["receipts"]:
        if receipt["error"]:
            receipt["error"] = sentences.translated_error(receipt["error"])
    return _reply(document)


@blueprint.post("/reports")
def report_task() -> Response:
    body = _read(models.ReportIn)
    site, who = current_site(), contributor()
    if network() is not None and not limits.allow(site, "report", f"contributor {who.hex}"):
        raise TooMany("You have reported very many items. Please go on in an hour.")
    submit.report(site, who, body.lease, body.reason, body.note)
    return _reply({"status": "reported"})


@blueprint.post("/revisions")
def revise_answer() -> Response:
    body = _read(models.RevisionIn)
    receipt = submit.revise(current_site(), contributor(), body.lease, body.kind, body.value)
    return _reply(receipt.to_json())


@blueprint.post("/feedback")
def tell_feedback() -> Response:
    body = _read(models.FeedbackIn)
    feedback_items = feedback.feedback_on(current_site(), contributor(), body.leases)
    return _reply({"feedback": [it.to_json() for it in feedback_items]})


@blueprint.get("/projects/<slug>/recent")
def recent_answers(slug: str) -> Response:
    limit = http.args.get("limit", "3")
    if limit not in _LIMITS:
        raise _unusable([{"where": "limit", "what": f"must be a whole number from 1 to {models.MAX_LEASES}"}])
    response = _reply({"answers": submit.recent(current_site(), contributor(), slug, limit=int(limit))})
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/openapi.json")
def openapi_document() -> Response:
    return _conditional(Response(_document(), content_type="application/json"))


@cache
def _document() -> bytes:
    return orjson.dumps(openapi.document())


_LIMITS = {str(number) for number in range(1, models.MAX_LEASES + 1)}


# -- reading ------------------------------------------------------------------------------------------


def _read(model: type[Body]) -> Body:
    """The body as that model. Errors: 415, 413, JsonInvalid, InputError with `details["problems"]`."""
    if not http.is_json:
        raise UnsupportedMediaType("Send the body as Content-Type: application/json.")
    try:
        return model.model_validate(read_json())
    except ValidationError as error:
        raise _unusable(problems(error)) from None


def _unusable(problems: list[dict[str, str]]) -> InputError:
    first = problems[0]
    where = f"{first['where']}: " if first["where"] else ""
    return InputError(f"This request cannot be used. {where}{first['what']}.", problems=problems)


# -- answering ----------------------------------------------------------------------------------------


def _reply(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), content_type="application/json")


def _cacheable(value: dict[str, Any]) -> Response:
    return _conditional(_reply(value))


def _conditional(response: Response) -> Response:
    """Let a client that has this very reply keep it (ETag); it has to ask each time."""
    response.add_etag()
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(http)
    return response


def _facts(card: projects.Card) -> dict[str, Any]:
    project = card.project
    return {
        "slug": project.slug,
        "name": project.name,
        "purpose": project.purpose,
        "instructions": project.instructions,
        "thanks": project.thanks,
        "topic": project.topic,
        "language": project.language,
        "type": project.task_type,
        "config": project.config,
        "state": project.state,
        "redundancy": project.redundancy,
        "seconds_per_task": card.median_seconds,
        "cover": media.wire(card.cover) if card.cover else None,
        "published_at": project.published_at,
        "progress": card.progress,
    }
