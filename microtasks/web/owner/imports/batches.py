"""Uploads: received in one request, worked on in the background, watched here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, flash, jsonify, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import format_timedelta, ngettext
from flask_babel import gettext as _

from microtasks import tasktypes
from microtasks.core import tiling
from microtasks.core.errors import Conflict, InputError, NotFound, TooMany
from microtasks.core.parsing.columns import ROLES
from microtasks.core.parsing.rows import ENCODINGS, Choices
from microtasks.core.values import Column
from microtasks.engine.imports import chunked_upload, importing
from microtasks.engine.operations import jobs as job_runner
from microtasks.engine.site import Site
from microtasks.engine.tabular.csv_format import write_csv
from microtasks.engine.tabular.table import Table
from microtasks.store import jobs
from microtasks.store.imports import batches
from microtasks.store.operations import limits
from microtasks.store.tables import Batch, BatchFailure, Project, Restoration
from microtasks.web.owner.frame import PAGE, after, blueprint, mine, owner
from microtasks.web.owner.imports.uploads import UploadRequest
from microtasks.web.request import current_site, max_body, owner_required, read_json


@blueprint.record_once
def _receive_to_disk(state: Any) -> None:
    state.app.request_class = UploadRequest


@blueprint.get("/projects/<slug>/upload")
@owner_required
def upload(slug: str) -> ResponseReturnValue:
    """The form, and the uploads so far."""
    return _upload_page(mine(slug, "collaborator"))


@blueprint.post("/projects/<slug>/upload")
@owner_required
@max_body("max_upload_bytes")
def receive(slug: str) -> ResponseReturnValue:
    """Take the files as one batch; a worker makes the tasks."""
    project = mine(slug, "collaborator")
    try:
        if not limits.allow(current_site(), "upload", f"account {owner().id}"):
            raise TooMany(_("Too many uploads in one hour. Put more files into one."))
        files = [
            importing.Upload(part.filename or "", getattr(part.stream, "path", part.stream))
            for part in http.files.getlist("files")
            if part.filename
        ]
        if not files:
            raise InputError(_("Choose at least one file."))
        batch_id = importing.create_batch(
            current_site(),
            project.id,
            files,
            tile_px=_pixels("tile_px"),
            overlap_px=_pixels("overlap_px") or 0,
            is_staged="look" in http.form,
            by=owner().id,
        )
    except (InputError, TooMany) as error:
        return _upload_page(project, wrong=error.message), 429 if isinstance(error, TooMany) else 400
    return redirect(url_for("owner.batch", slug=slug, batch_id=batch_id), 303)


@blueprint.get("/projects/<slug>/batches/<int:batch_id>")
@owner_required
def batch(slug: str, batch_id: int) -> ResponseReturnValue:
    """One upload: how far it is, and the rows that failed with their reasons; or what it would become."""
    project = mine(slug, "researcher")
    found = _batch(project, batch_id)
    if found.state == "staged":
        return _look_page(project, found)
    with current_site().db.session() as session:
        rows = batches.failures(session, batch_id, after(), PAGE + 1)
    with current_site().db.connection() as connection:
        trouble = jobs.trouble(connection, "import", batch_id)
    shown = rows[:PAGE]
    return render_template(
        "owner/batch.html",
        project=project,
        batch=found,
        failures=shown,
        trouble=trouble,
        left=format_timedelta(timedelta(seconds=left)) if (left := seconds_left(found)) else "",
        next_after=shown[-1].id if len(rows) > PAGE else None,
    )


@blueprint.get("/projects/<slug>/batches/<int:batch_id>.json")
@owner_required
def batch_progress(slug: str, batch_id: int) -> ResponseReturnValue:
    """How far the upload is; 304 while nothing changed."""
    found = _batch(mine(slug, "researcher"), batch_id)
    with current_site().db.connection() as connection:
        trouble = jobs.trouble(connection, "import", batch_id)
    names = ("state", "phase", "n_rows", "rows_done", "n_tasks", "n_failed", "error")
    facts = {name: getattr(found, name) for name in names}
    response = jsonify(
        facts
        | {"is_looked_through": found.look is not None, "seconds_left": seconds_left(found)}
        | {"trouble": trouble.error if trouble else None}
    )
    response.add_etag()
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(http)


@blueprint.post("/projects/<slug>/batches/<int:batch_id>/look")
@owner_required
def decide_batch(slug: str, batch_id: int) -> ResponseReturnValue:
    """Look through a staged upload anew, make its tasks, or throw it away."""
    project = mine(slug, "collaborator")
    found = _batch(project, batch_id)
    site = current_site()
    try:
        match http.form.get("step", ""):
            case "again":
                _look_again(site, found)
            case "make" if _is_changed(project, found):
                _look_again(site, found)
                flash(_("You changed how it is read. This is what becomes of it now."), "warn")
            case "make":
                importing.confirm(site, batch_id)
            case "away":
                importing.throw_away(site, batch_id)
                return redirect(url_for("owner.upload", slug=slug), 303)
            case _:
                raise InputError(_("There is no such step."))
    except (InputError, Conflict) as error:
        flash(error.message, "warn")
    return redirect(url_for("owner.batch", slug=slug, batch_id=batch_id), 303)


@blueprint.post("/projects/<slug>/batches/<int:batch_id>/again")
@owner_required
def import_again(slug: str, batch_id: int) -> ResponseReturnValue:
    """Try an import again that pauses, or was given up."""
    project = mine(slug, "collaborator")
    _batch(project, batch_id)
    site = current_site()
    with site.db.connection() as connection:
        trouble = jobs.trouble(connection, "import", batch_id)
    try:
        if trouble is None:
            raise Conflict(_("There is nothing to try again."))
        job_runner.try_again(site, trouble.job_id)
    except Conflict as error:
        flash(error.message, "warn")
    return redirect(url_for("owner.batch", slug=slug, batch_id=batch_id), 303)


@blueprint.post("/projects/<slug>/batches/<int:batch_id>/undo")
@owner_required
def undo_batch(slug: str, batch_id: int) -> ResponseReturnValue:
    """Take back what an upload made."""
    project = mine(slug, "collaborator")
    _batch(project, batch_id)
    try:
        deleted, withdrawn = importing.undo(current_site(), batch_id, by=owner().id)
    except Conflict as error:
        flash(error.message, "warn")
    else:
        said = ngettext("%(num)s task is deleted.", "%(num)s tasks are deleted.", deleted)
        if withdrawn:
            said += " " + ngettext(
                "%(num)s that had answers is withdrawn: it is handed out no more, its answers stay.",
                "%(num)s that had answers are withdrawn: they are handed out no more, their answers stay.",
                withdrawn,
            )
        flash(said, "ok")
    return redirect(url_for("owner.batch", slug=slug, batch_id=batch_id), 303)


# -- in pieces --------------------------------------------------------------------------------------------


@blueprint.post("/projects/<slug>/sendings")
@owner_required
def begin_sending(slug: str) -> ResponseReturnValue:
    """Announce the files of an upload; answer with its id."""
    project = mine(slug, "collaborator")
    if not limits.allow(current_site(), "upload", f"account {owner().id}"):
        raise TooMany(_("Too many uploads in one hour. Put more files into one."))
    return chunked_upload.begin(current_site(), project.id, owner().id, announced()).to_json()


@blueprint.get("/projects/<slug>/sendings/<upload>")
@owner_required
def sending_state(slug: str, upload: str) -> ResponseReturnValue:
    """How much of each file is here: where to go on after a break."""
    project = mine(slug, "collaborator")
    return chunked_upload.find(current_site(), project.id, owner().id, upload).to_json()


@blueprint.post("/projects/<slug>/sendings/<upload>/<int:number>")
@owner_required
@max_body("max_piece_bytes")
def receive_piece(slug: str, upload: str, number: int) -> ResponseReturnValue:
    """Take the next piece of a file (`?offset=`)."""
    return {"received": take_piece(mine(slug, "collaborator").id, upload, number)}


@blueprint.post("/projects/<slug>/sendings/<upload>/finish")
@owner_required
def finish_sending(slug: str, upload: str) -> ResponseReturnValue:
    """All pieces are sent: look through the upload."""
    project = mine(slug, "collaborator")
    batch_id = chunked_upload.finish(current_site(), project.id, owner().id, upload)
    return {"location": url_for("owner.batch", slug=slug, batch_id=batch_id)}


def announced() -> list[tuple[str, int]]:
    """The files of an upload that the request announces: name and size in bytes. InputError."""
    given = read_json()
    match given:
        case {"files": [*files]} if all(
            isinstance(file, dict) and isinstance(file.get("name"), str) and type(file.get("size")) is int
            for file in files
        ):
            return [(file["name"], file["size"]) for file in files]
    raise InputError(_("Choose at least one file."))


def take_piece(project_id: int | None, upload: str, number: int) -> int:
    """Take the piece that the request brings; return how much of the file is here. InputError, and others."""
    offset = http.args.get("offset", "")
    if not offset.isascii() or not offset.isdigit() or len(offset) > 15:
        raise InputError(_("There is no such step."))
    content = http.get_data(cache=False)
    return chunked_upload.receive(
        current_site(), project_id, owner().id, upload, number, int(offset), content
    )


def seconds_left(found: Batch | Restoration) -> int | None:
    """How long an import will still take at its pace so far; None before that can be said."""
    if found.state != "running" or not (found.started_at and found.rows_done and found.n_rows):
        return None
    passed = (datetime.now(UTC) - found.started_at).total_seconds()
    return round(passed * max(0, found.n_rows - found.rows_done) / found.rows_done)


def _look_page(project: Project, found: Batch) -> str:
    """What would become of an upload: columns, the first tasks, rows that would fail."""
    tiles = None
    tile_px = found.options.get("tile_px")
    media = [image for task in (found.look or {}).get("tasks", ()) for image in task["media"]]
    if tile_px and media:
        cut = tiling.tiles(media[0]["width"], media[0]["height"], tile_px, found.options.get("overlap_px", 0))
        tiles = {"image": media[0], "cut": cut}
    return render_template(
        "owner/look.html",
        project=project,
        batch=found,
        look=found.look,
        roles=ROLES,
        encodings=ENCODINGS,
        fields=_fields(project),
        tiles=tiles,
    )


def _fields(project: Project) -> list[str]:
    """Names of what an answer consists of: a column may hold the known one."""
    kind = tasktypes.get(project.task_type)
    return [part.id for part in kind.parts(kind.parse_config(project.config))]


def _look_again(site: Site, found: Batch) -> None:
    """Look through a staged upload with what the form says."""
    choices, was = _choices(found), Choices.of(found.options)
    # Read in another way, the table has other columns: what was said of the old ones is kept by name.
    columns = _columns(found)
    if choices.header_line != was.header_line or choices.sheet != was.sheet:
        columns = None
    importing.look_again(site, found.id, columns, _pixels("tile_px"), _pixels("overlap_px") or 0, choices)


def _choices(found: Batch) -> Choices:
    """How the form says that the table is to be read; what it does not send is as it was."""
    was = Choices.of(found.options)
    line = http.form.get("header_line", str(was.header_line or "")).strip()
    if line and not (line.isascii() and line.isdigit() and 0 < int(line) <= 1000):
        raise InputError(_("The line with the names of the columns is a number from 1 to 1,000."))
    read_as = (found.look or {}).get("read_as") or {}
    if line == str(read_as.get("header_line")) and not was.header_line:
        line = ""  # as it was found
    sheet = http.form.get("sheet", was.sheet)
    if not was.sheet and sheet == read_as.get("sheet"):
        sheet = ""
    return Choices(http.form.get("encoding", was.encoding), int(line or 0), sheet).checked()


def _is_changed(project: Project, found: Batch) -> bool:
    """Does the form say something else than what was looked at? What it does not send is as it was."""
    if "tile_px" in http.form:
        tile_px = _pixels("tile_px")
        was = found.options.get("tile_px"), found.options.get("overlap_px", 0)
        if (tile_px, (_pixels("overlap_px") or 0) if tile_px else 0) != was:
            return True
    if _choices(found) != Choices.of(found.options):
        return True
    choices = (*ROLES, *(f"gold_{field}" for field in _fields(project)))
    for n, column in enumerate((found.look or {}).get("columns", ())):
        shown = column["role"] if column["role"] in choices else "as_named"
        if http.form.get(f"column.{n}", shown) != shown:
            return True
    return False


def _columns(found: Batch) -> dict[str, str] | None:
    """What the form says that each column is for; None when it has none."""
    names = [column["name"] for column in (found.look or {}).get("columns", ())]
    said = {name: http.form.get(f"column.{n}", "as_named") for n, name in enumerate(names)}
    return {name: role for name, role in said.items() if role != "as_named"} if names else None


@blueprint.get("/projects/<slug>/batches/<int:batch_id>/failures.csv")
@owner_required
def batch_failures(slug: str, batch_id: int) -> ResponseReturnValue:
    """All failed rows as a file, to mend them beside the original."""
    project = mine(slug, "researcher")
    _batch(project, batch_id)
    columns = (Column("row", "integer", ""), Column("name", "string", ""), Column("reason", "string", ""))
    rows = _all_failures(current_site(), batch_id)
    table = Table(columns, ((row.row_no, row.name, row.reason) for row in rows))
    response = Response(write_csv(table), content_type="text/csv; charset=utf-8")
    name = f"{project.slug}-failed-rows-{batch_id}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _all_failures(site: Site, batch_id: int) -> Iterator[BatchFailure]:
    last = 0
    while True:
        with site.db.session() as session:
            rows = batches.failures(session, batch_id, last, 1000)
        yield from rows
        if len(rows) < 1000:
            return
        last = rows[-1].id


def _batch(project: Project, batch_id: int) -> Batch:
    with current_site().db.session() as session:
        found = batches.get(session, batch_id)
    if found.project_id != project.id:
        raise NotFound(_("There is no such upload."))
    return found


def _upload_page(project: Project, wrong: str = "") -> str:
    with current_site().db.session() as session:
        found = batches.list_for_project(session, project.id)
    return render_template("owner/upload.html", project=project, batches=found, wrong=wrong)


def _pixels(name: str) -> int | None:
    given = http.form.get(name, "").strip()
    if not given:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 5:
        raise InputError(_("Sizes of tiles are whole numbers of pixels."))
    return int(given)
