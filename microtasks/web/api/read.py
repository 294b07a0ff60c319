"""The API for owners' and researchers' programs: with an API token, under /api/v1/my.

Everything is what the pages show and the exports hold: rows come from the exports' own row makers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from flask import Blueprint, Response, g
from flask import request as http

from microtasks.core.errors import Forbidden, InputError, NotFound, TokenRequired, TooMany
from microtasks.core.parsing.rows import Choices
from microtasks.engine.accounts import tokens
from microtasks.engine.accounts.tokens import Bearer, Scope
from microtasks.engine.exports import download, registry, requests
from microtasks.engine.imports import importing
from microtasks.engine.projects import dashboard
from microtasks.engine.projects import projects as engine
from microtasks.engine.tabular.table import to_json
from microtasks.store.accounts import members
from microtasks.store.accounts.members import Role
from microtasks.store.exports import reads
from microtasks.store.imports import batches
from microtasks.store.operations import limits
from microtasks.store.projects import projects
from microtasks.store.tables import Batch, Project
from microtasks.web import media
from microtasks.web.api import cursors
from microtasks.web.api import token_models as models
from microtasks.web.api.token_operations import TOKEN
from microtasks.web.api.views import _read
from microtasks.web.exports.download import table_file
from microtasks.web.request import current_site, max_body

blueprint = Blueprint("token", __name__, url_prefix="/api/v1/my")

LIMIT, LIMIT_MAX = 100, 1000
#: The query parameters of each route, as the API describes itself.
PARAMETERS = {(operation.method, operation.path): frozenset(operation.query) for operation in TOKEN}
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
        mine = projects.list_for_account(session, who.account_id, who.is_operator)
        after, limit = _number(http.args.get("after", "")), _limit()
        chosen = [
            one for one in mine if who.project_id in (None, one.id) and (after is None or one.id < after)
        ]
        page = chosen[:limit]
        progress = projects.progress_of(session, [one.id for one in page])
        roles = members.roles(session, who.account_id, who.is_operator, page)
    return _page(
        "projects",
        [_facts(one, roles[one.id], progress[one.id]) for one in page],
        str(page[-1].id) if len(chosen) > limit else None,
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
    project, site = _project(slug, "researcher"), current_site()
    if table not in {spec.name for spec in registry.tables_of(registry.now(site, project))}:
        raise NotFound(f"There is no table called {table!r} in this project.")
    page = download.page(
        site,
        project,
        table,
        cursors.read(site, table, http.args.get("after")),
        _limit(),
        state=_state(),
        since=_since(),
    )
    names = [column.name for column in page.columns]
    rows = [dict(zip(names, row, strict=True)) for row in page.rows]
    following = None if page.next is None else cursors.write(site, table, page.next)
    return _page("rows", rows, following, last=following or cursors.write(site, table, page.last))


@blueprint.get("/projects/<slug>/tables/<table>.<format>")
def stream_table(slug: str, table: str, format: str) -> Response:
    """A whole table as one file, as the results page gives it."""
    return table_file(_project(slug, "researcher"), table, format, bearer("read").account_id)


@blueprint.get("/projects/<slug>/tasks/<int:task_id>/image")
def get_image(slug: str, task_id: int) -> Response:
    """The file of a task's (first) image as it was uploaded, with all that the camera wrote into it."""
    project, site = _project(slug, "researcher"), current_site()
    with site.db.connection() as connection:
        image = reads.image_of(connection, project.id, task_id)
    if image is None:
        raise NotFound("There is no such task in this project, or it has no image.")
    try:
        content = site.files.read("originals", image["sha256"])
    except FileNotFoundError:
        raise NotFound("The file of this image is no longer kept.") from None
    response = Response(content, content_type=image["mime"])
    response.headers.update(media.HEADERS)
    response.headers["Cache-Control"] = "private, no-cache"
    name = (image["file_name"] or image["external_id"]).replace("\\", "/").rpartition("/")[2]
    response.headers.set("Content-Disposition", "attachment", filename=f"image-{task_id}", **_encoded(name))
    response.set_etag(image["sha256"])
    response.make_conditional(http)
    return response


def _encoded(name: str) -> dict[str, str]:
    """A file's name of any script, as a header holds it (RFC 5987)."""
    return {"filename*": f"UTF-8''{quote(name, safe='')}"}


@blueprint.get("/projects/<slug>/code-book")
def read_code_book(slug: str) -> Response:
    project = _project(slug, "researcher")
    book = registry.code_book(current_site(), project)
    return _reply(
        {"tables": {name: [asdict(column) for column in columns] for name, columns in book.items()}}
    )


@blueprint.get("/projects/<slug>/figures")
def read_figures(slug: str) -> Response:
    figures = dashboard.dashboard(current_site(), _project(slug, "researcher"))
    names = ("made_at", "n_tasks", "n_done", "n_answers", "n_saved", "n_tied", "n_given", "n_cant_tell")
    return _reply(
        {name: getattr(figures, name) for name in (*names, "n_skipped", "n_reported")}
        | {
            "tasks": [asdict(one) for one in figures.tasks],
            "forecast": asdict(figures.forecast) if figures.forecast else None,
            "answers_per_hour": [{"at": hour, "n": n} for hour, n in figures.hours],
            "answers_per_day": [{"at": day.isoformat(), "n": n} for day, n in figures.days],
            "contributors_per_day": [{"at": day.isoformat(), "n": n} for day, n in figures.contributors],
            "agreement": figures.agreement,
            "gold_scores": figures.gold,
            "slow_tasks": [
                {"task": task, "external_id": name, "median_seconds": median, "n": n}
                for task, name, median, n in figures.slow
            ],
        }
    )


# -- uploads ------------------------------------------------------------------------------------------


@blueprint.get("/projects/<slug>/batches")
def list_batches(slug: str) -> Response:
    project, limit = _project(slug, "researcher"), _limit()
    with current_site().db.session() as session:
        before = _number(http.args.get("after", ""))
        rows = batches.list_for_project(session, project.id, before, limit + 1)
    following = str(rows[limit - 1].id) if len(rows) > limit else None
    return _page("batches", [_batch(one) for one in rows[:limit]], following)


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
        choices=Choices(
            http.form.get("encoding", ""),
            _number(http.form.get("header_line", "")) or 0,
            http.form.get("sheet", ""),
        ),
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
    before = _number(http.args.get("after", ""))
    rows = requests.listed(current_site(), project, before, limit + 1, may_know_gold=_may_know_gold())
    following = str(rows[limit - 1].id) if len(rows) > limit else None
    return _page("exports", [requests.facts(one) for one in rows[:limit]], following)


@blueprint.post("/projects/<slug>/exports")
def request_export(slug: str) -> Response:
    who, project = bearer("read"), _project(slug, "researcher")
    body = _read(models.ExportIn)
    made = requests.request(current_site(), project, account_id=who.account_id, **body.model_dump())
    return _reply(requests.facts(made), 202)


@blueprint.get("/projects/<slug>/exports/<int:export_id>")
def get_export(slug: str, export_id: int) -> Response:
    project = _project(slug, "researcher")
    export = requests.get(current_site(), project, export_id, may_know_gold=_may_know_gold())
    return _reply(requests.facts(export))


@blueprint.get("/projects/<slug>/exports/<int:export_id>/file")
def get_export_file(slug: str, export_id: int) -> Response:
    who, project = bearer("read"), _project(slug, "researcher")
    file = requests.open(
        current_site(), project, export_id, may_know_gold=_may_know_gold(), by=who.account_id
    )
    response = Response(file.chunks, content_type=file.mime)
    response.content_length = file.n_bytes
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    response.set_etag(file.sha256)
    return response


# -- state --------------------------------------------------------------------------------------------


@blueprint.post("/projects/<slug>/state")
def move_project(slug: str) -> Response:
    who = bearer("manage")
    project = _project(slug, "collaborator", "manage")
    use_case = MOVES[_read(models.MoveIn).move]
    return _reply({"state": use_case(current_site(), project.id, by=who.account_id).state})


# -- what is asked ------------------------------------------------------------------------------------


@blueprint.before_request
def refuse_unknown_parameters() -> None:
    """A filter that is misspelt would give everything, and nobody would notice."""
    if http.url_rule is None or not http.args:
        return
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", http.url_rule.rule.removeprefix("/api/v1"))
    known = PARAMETERS.get((http.method.lower(), path), frozenset())
    unknown = sorted(set(http.args) - known)
    if unknown:
        there_are = f"There are: {', '.join(sorted(known))}." if known else "This address takes none."
        raise InputError(f"There is no parameter {unknown[0]!r} here. {there_are}", unknown=unknown)


# -- who is asking ------------------------------------------------------------------------------------


def bearer(scope: Scope) -> Bearer:
    """Whom the request's token acts for. TokenRequired, TooMany; Forbidden: its scope is too small."""
    if "bearer" not in g:
        site = current_site()
        kind, _, token = http.headers.get("Authorization", "").partition(" ")
        identity = tokens.who(site, token.strip()) if kind.lower() == "bearer" else None
        if identity is None:
            if not limits.allow(site, "token_wrong", http.remote_addr or ""):
                raise TooMany("Too many tries with wrong tokens. Please wait five minutes.")
            raise TokenRequired
        if not tokens.allow(site, identity):
            raise TooMany("Too many requests in one minute with your tokens. Please wait a moment.")
        g.bearer = identity
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
        raise cursors.Unknown
    return int(given)


def _state() -> str:
    given = http.args.get("state", "")
    if given not in ("", "open", "retired"):
        raise InputError("state is open or retired.")
    return given


def _since() -> datetime | None:
    given = http.args.get("since", "")
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise InputError("since is a time in ISO 8601, such as 2026-05-01T12:00:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _may_know_gold() -> bool:
    """May who asks know the right answers of known tasks? Ask after `_project`."""
    return members.is_enough(g.role, "owner")


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


def _batch(batch: Batch) -> dict[str, Any]:
    return {name: getattr(batch, name) for name in models.BatchOut.model_fields}


def _batch_of(project: Project, batch_id: int) -> Batch:
    with current_site().db.session() as session:
        batch = batches.get(session, batch_id)
    if batch.project_id != project.id:
        raise NotFound("There is no such batch.")
    return batch
