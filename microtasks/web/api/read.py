"""The API for owners' and researchers' programs: with an API token, under /api/v1/my.

Everything is what the pages show and the exports hold: rows come from the exports' own row makers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, cast
from uuid import UUID

from flask import Blueprint, Response, g
from flask import request as http

from microtasks.core.errors import Forbidden, InputError, NotFound, TokenRequired, TooMany
from microtasks.core.tokens import hide, reveal
from microtasks.engine.accounts import tokens
from microtasks.engine.accounts.tokens import Bearer, Scope
from microtasks.engine.exports import requests, tables
from microtasks.engine.exports.tables import FORMATS, WHATS
from microtasks.engine.imports import importing
from microtasks.engine.projects import dashboard
from microtasks.engine.projects import projects as engine
from microtasks.engine.tabular.formats import to_json
from microtasks.store.accounts import members
from microtasks.store.accounts.members import Role
from microtasks.store.imports import batches
from microtasks.store.operations import limits
from microtasks.store.projects import projects
from microtasks.store.tables import Batch, Project
from microtasks.web.api import token_models as models
from microtasks.web.api.views import _read
from microtasks.web.exports.tables import table_file
from microtasks.web.request import current_site, max_body

blueprint = Blueprint("token", __name__, url_prefix="/api/v1/my")

LIMIT, LIMIT_MAX = 100, 1000
#: The steps of a project's state, and the use case of each.
MOVES: dict[str, Callable[..., Project]] = {
    "publish": engine.publish,
    "pause": engine.pause,
    "resume": engine.resume,
    "archive": engine.archive,
}


@blueprint.get("/projects")
def list_my_projects() -> Response:
    who = bearer("read")
    with current_site().db.session() as session:
        found = projects.list_for_account(session, who.account_id, who.is_operator)
        after, limit = _number(http.args.get("after", "")), _limit()
        chosen = [
            one for one in found if who.project_id in (None, one.id) and (after is None or one.id < after)
        ]
        shown = chosen[:limit]
        progress = projects.progress_of(session, [one.id for one in shown])
        roles = members.roles(session, who.account_id, who.is_operator, shown)
    return _page(
        "projects",
        [_facts(one, roles[one.id], progress[one.id]) for one in shown],
        str(shown[-1].id) if len(chosen) > limit else None,
    )


@blueprint.get("/projects/<slug>")
def get_my_project(slug: str) -> Response:
    project = _project(slug, "researcher")
    with current_site().db.session() as session:
        progress = projects.progress(session, project.id)
    return _reply(_facts(project, g.role, progress))


@blueprint.get("/projects/<slug>/tables/<table>")
def read_table(slug: str, table: str) -> Response:
    """A page of a table; keys of its rows are the columns of the export."""
    project = _project(slug, "researcher")
    if table not in {what.name for what in tables.whats(current_site(), project)}:
        raise NotFound(f"There is no table called {table!r} in this project.")
    page = tables.page(current_site(), project, table, _key(table, http.args.get("after")), _limit())
    names = [column.name for column in page.columns]
    rows = [dict(zip(names, row, strict=True)) for row in page.rows]
    next, last = (None if key is None else _key_text(key) for key in (page.next, page.last))
    return _page("rows", rows, next, last=last)


@blueprint.get("/projects/<slug>/tables/<table>.<format>")
def stream_table(slug: str, table: str, format: str) -> Response:
    """A whole table as one file, as the results page gives it."""
    project = _project(slug, "researcher")
    if table not in WHATS or format not in FORMATS:
        raise NotFound("There is no such table or format.")
    return table_file(project, table, format, bearer("read").account_id)


@blueprint.get("/projects/<slug>/code-book")
def read_code_book(slug: str) -> Response:
    project = _project(slug, "researcher")
    book = tables.code_book(current_site(), project)
    return _reply({"tables": {name: [asdict(column) for column in found] for name, found in book.items()}})


@blueprint.get("/projects/<slug>/figures")
def read_figures(slug: str) -> Response:
    found = dashboard.dashboard(current_site(), _project(slug, "researcher"))
    names = ("made_at", "n_tasks", "n_done", "n_answers", "n_saved", "n_tied", "n_given", "n_cant_tell")
    return _reply(
        {name: getattr(found, name) for name in (*names, "n_skipped", "n_reported")}
        | {
            "tasks": [asdict(one) for one in found.tasks],
            "forecast": asdict(found.forecast) if found.forecast else None,
            "answers_per_hour": [{"at": hour, "n": n} for hour, n in found.hours],
            "answers_per_day": [{"at": day.isoformat(), "n": n} for day, n in found.days],
            "contributors_per_day": [{"at": day.isoformat(), "n": n} for day, n in found.contributors],
            "agreement": found.agreement,
            "gold_scores": found.gold,
            "slow_tasks": [
                {"task": task, "external_id": name, "median_seconds": median, "n": n}
                for task, name, median, n in found.slow
            ],
        }
    )


# -- uploads ------------------------------------------------------------------------------------------


@blueprint.get("/projects/<slug>/batches")
def list_batches(slug: str) -> Response:
    project, limit = _project(slug, "researcher"), _limit()
    with current_site().db.session() as session:
        before = _number(http.args.get("after", ""))
        found = batches.list_for_project(session, project.id, before, limit + 1)
    following = str(found[limit - 1].id) if len(found) > limit else None
    return _page("batches", [_batch(one) for one in found[:limit]], following)


@blueprint.post("/projects/<slug>/batches")
@max_body("max_upload_bytes")
def add_batch(slug: str) -> Response:
    """Take files as one batch; a worker makes the tasks."""
    who = bearer("import")
    project = _project(slug, "collaborator", "import")
    if not limits.allow(current_site(), "upload", f"account {who.account_id}"):
        raise TooMany("Too many uploads in one hour. Put more files into one.")
    files = [
        importing.Upload(part.filename or "", getattr(part.stream, "path", part.stream))
        for part in http.files.getlist("files")
        if part.filename
    ]
    if not files:
        raise InputError("Send at least one file, as the part `files` of a multipart/form-data body.")
    batch_id = importing.create_batch(
        current_site(),
        project.id,
        files,
        tile_px=_number(http.form.get("tile_px", "")),
        overlap_px=_number(http.form.get("overlap_px", "")) or 0,
        by=who.account_id,
    )
    with current_site().db.session() as session:
        return _reply(_batch(batches.get(session, batch_id)), 202)


@blueprint.get("/projects/<slug>/batches/<int:batch_id>")
def get_batch(slug: str, batch_id: int) -> Response:
    return _reply(_batch(_batch_of(_project(slug, "researcher"), batch_id)))


@blueprint.get("/projects/<slug>/batches/<int:batch_id>/failures")
def list_failures(slug: str, batch_id: int) -> Response:
    _batch_of(_project(slug, "researcher"), batch_id)
    limit = _limit()
    with current_site().db.session() as session:
        found = batches.failures(session, batch_id, _number(http.args.get("after", "")) or 0, limit + 1)
    rows = [{"row": one.row_no, "name": one.name, "reason": one.reason} for one in found[:limit]]
    return _page("failures", rows, str(found[limit - 1].id) if len(found) > limit else None)


# -- exports ------------------------------------------------------------------------------------------


@blueprint.get("/projects/<slug>/exports")
def list_exports(slug: str) -> Response:
    project, limit = _project(slug, "researcher"), _limit()
    found = requests.listed(current_site(), project, _number(http.args.get("after", "")), limit + 1)
    following = str(found[limit - 1].id) if len(found) > limit else None
    return _page("exports", [requests.facts(one) for one in found[:limit]], following)


@blueprint.post("/projects/<slug>/exports")
def request_export(slug: str) -> Response:
    who, project = bearer("read"), _project(slug, "researcher")
    body = _read(models.ExportIn)
    made = requests.request(current_site(), project, account_id=who.account_id, **body.model_dump())
    return _reply(requests.facts(made), 202)


@blueprint.get("/projects/<slug>/exports/<int:export_id>")
def get_export(slug: str, export_id: int) -> Response:
    return _reply(requests.facts(requests.get(current_site(), _project(slug, "researcher"), export_id)))


@blueprint.get("/projects/<slug>/exports/<int:export_id>/file")
def get_export_file(slug: str, export_id: int) -> Response:
    who, project = bearer("read"), _project(slug, "researcher")
    found = requests.open(current_site(), project, export_id, by=who.account_id)
    response = Response(found.chunks, content_type=found.mime)
    response.content_length = found.n_bytes
    response.headers["Content-Disposition"] = f'attachment; filename="{found.name}"'
    response.set_etag(found.sha256)
    return response


# -- state --------------------------------------------------------------------------------------------


@blueprint.post("/projects/<slug>/state")
def move_project(slug: str) -> Response:
    who = bearer("manage")
    project = _project(slug, "collaborator", "manage")
    use_case = MOVES[_read(models.MoveIn).move]
    return _reply({"state": use_case(current_site(), project.id, by=who.account_id).state})


# -- who is asking ------------------------------------------------------------------------------------


def bearer(scope: Scope) -> Bearer:
    """Whom the request's token acts for. TokenRequired, TooMany; Forbidden: its scope is too small."""
    if "bearer" not in g:
        site = current_site()
        kind, _, token = http.headers.get("Authorization", "").partition(" ")
        found = tokens.who(site, token.strip()) if kind.lower() == "bearer" else None
        if found is None:
            if not limits.allow(site, "token_wrong", http.remote_addr or ""):
                raise TooMany("Too many tries with wrong tokens. Please wait five minutes.")
            raise TokenRequired
        if not tokens.allow(site, found):
            raise TooMany("Too many requests in one minute with your tokens. Please wait a moment.")
        g.bearer = found
    who = cast(Bearer, g.bearer)
    if not who.may(scope):
        raise Forbidden(f"This token may {who.scope}; for this it needs the scope {scope}.")
    return who


def _project(slug: str, role: Role, scope: Scope = "read") -> Project:
    """The project, if token and account reach it so far. NotFound, Forbidden, and those of `bearer`."""
    project, g.role = tokens.reached(current_site(), bearer(scope), slug, role)
    return project


@blueprint.after_request
def say_how_to_sign_in(response: Response) -> Response:
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="microtasks"'
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.vary.add("Authorization")
    return response


# -- pages of rows ------------------------------------------------------------------------------------


def _limit() -> int:
    given = http.args.get("limit", str(LIMIT))
    if not re.fullmatch("[0-9]{1,4}", given, re.ASCII) or not 1 <= int(given) <= LIMIT_MAX:
        raise InputError(f"limit is a whole number from 1 to {LIMIT_MAX}.")
    return int(given)


def _number(given: str) -> int | None:
    if not given:
        return None
    if not re.fullmatch("[0-9]{1,18}", given, re.ASCII):
        raise _unknown()
    return int(given)


def _key(table: str, given: str | None) -> Any:
    """The key to read on behind, as `_key_text` wrote it."""
    if not given:
        return None
    if table == "sources":
        if "\x00" in given:
            raise _unknown()
        return given
    if table == "contributors":
        raw = reveal(current_site().settings.key("cursor"), given)
        if raw is None or len(raw) != 16:
            raise _unknown()
        return UUID(bytes=raw)
    return _number(given)


def _key_text(key: Any) -> str:
    """The key as text. Who a contributor is stays hidden: exports know pseudonyms alone."""
    if isinstance(key, UUID):
        return hide(current_site().settings.key("cursor"), key.bytes)
    return str(key)


def _unknown() -> InputError:
    return InputError("There is no such page: send as `after` what the page before gave as `next`.")


def _page(name: str, rows: Sequence[Any], following: str | None, **more: str | None) -> Response:
    return _reply({name: rows, "next": following, **more})


def _reply(value: dict[str, Any], status: int = 200) -> Response:
    response = Response(to_json(value), status, content_type="application/json")
    if http.method == "GET":  # who has this very reply need not be sent it again
        response.add_etag()
        response.make_conditional(http)
    return response


def _facts(project: Project, role: Role, progress: projects.Progress) -> dict[str, Any]:
    own = ("slug", "name", "purpose", "topic", "language", "state", "config", "config_version", "redundancy")
    rule = ("answers_min", "stop_rule", "stop_threshold", "method", "created_at", "published_at")
    return {
        **{name: getattr(project, name) for name in (*own, *rule)},
        **{"type": project.task_type, "role": role, "progress": progress},
    }


def _batch(found: Batch) -> dict[str, Any]:
    return {name: getattr(found, name) for name in models.BatchOut.model_fields}


def _batch_of(project: Project, batch_id: int) -> Batch:
    with current_site().db.session() as session:
        found = batches.get(session, batch_id)
    if found.project_id != project.id:
        raise NotFound("There is no such batch.")
    return found
