"""Uploads: received in one request, worked on in the background, watched here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, jsonify, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.core.errors import InputError, NotFound, TooMany
from microtasks.core.tasktype import Column
from microtasks.engine import ingest
from microtasks.engine.formats import Table, write_csv
from microtasks.engine.site import Site
from microtasks.store import batches, limits
from microtasks.store.tables import Batch, BatchFailure, Project
from microtasks.web.owner.frame import PAGE, after, blueprint, id_of, mine, owner
from microtasks.web.owner.uploads import UploadRequest
from microtasks.web.request import current_site, max_body, owner_required


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
            ingest.Upload(part.filename or "", getattr(part.stream, "path", part.stream))
            for part in http.files.getlist("files")
            if part.filename
        ]
        if not files:
            raise InputError(_("Choose at least one file."))
        batch_id = ingest.create_batch(
            current_site(),
            id_of(project),
            files,
            tile_px=_pixels("tile_px"),
            overlap_px=_pixels("overlap_px") or 0,
            by=id_of(owner()),
        )
    except (InputError, TooMany) as error:
        return _upload_page(project, wrong=error.message), 429 if isinstance(error, TooMany) else 400
    return redirect(url_for("owner.batch", slug=slug, batch_id=batch_id), 303)


@blueprint.get("/projects/<slug>/batches/<int:batch_id>")
@owner_required
def batch(slug: str, batch_id: int) -> ResponseReturnValue:
    """One upload: how far it is, and the rows that failed with their reasons."""
    project = mine(slug, "researcher")
    found = _batch(project, batch_id)
    with current_site().db.session() as session:
        rows = batches.failures(session, batch_id, after(), PAGE + 1)
    shown = rows[:PAGE]
    return render_template(
        "owner/batch.html",
        project=project,
        batch=found,
        failures=shown,
        next_after=shown[-1].id if len(rows) > PAGE else None,
    )


@blueprint.get("/projects/<slug>/batches/<int:batch_id>.json")
@owner_required
def batch_progress(slug: str, batch_id: int) -> ResponseReturnValue:
    """How far the upload is; 304 while nothing changed."""
    found = _batch(mine(slug, "researcher"), batch_id)
    names = ("state", "phase", "n_rows", "rows_done", "n_tasks", "n_failed", "error")
    response = jsonify({name: getattr(found, name) for name in names})
    response.add_etag()
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(http)


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
        last = id_of(rows[-1])


def _batch(project: Project, batch_id: int) -> Batch:
    with current_site().db.session() as session:
        found = batches.get(session, batch_id)
    if found.project_id != project.id:
        raise NotFound(_("There is no such upload."))
    return found


def _upload_page(project: Project, wrong: str = "") -> str:
    with current_site().db.session() as session:
        found = batches.list_for_project(session, id_of(project))
    return render_template("owner/upload.html", project=project, batches=found, wrong=wrong)


def _pixels(name: str) -> int | None:
    given = http.form.get(name, "").strip()
    if not given:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 5:
        raise InputError(_("Sizes of tiles are whole numbers of pixels."))
    return int(given)
