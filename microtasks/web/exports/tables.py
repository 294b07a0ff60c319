"""The researcher's pages: results, exports, code book."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue

from microtasks.core.errors import NotFound
from microtasks.engine.exports import package as export_package
from microtasks.engine.exports import requests as asked
from microtasks.engine.exports import snapshots
from microtasks.engine.exports import tables as export_tables
from microtasks.engine.exports.codebook import in_short
from microtasks.engine.exports.tables import FORMATS
from microtasks.engine.tabular import formats
from microtasks.engine.tabular.formats import gzipped, zipped
from microtasks.store.exports import reads
from microtasks.store.tables import Project
from microtasks.web.owner.frame import PAGE, after, may, mine, owner, private
from microtasks.web.request import current_site, owner_required

#: Rows of a preview, and former exports that the page shows.
PREVIEW_ROWS = 10
EXPORTS = 10

blueprint = Blueprint("research", __name__, url_prefix="/research")
blueprint.after_request(private)


@blueprint.get("/<slug>")
@owner_required
def results(slug: str) -> ResponseReturnValue:
    """Downloads, and the consensus of each task, a page at a time by key."""
    project = mine(slug, "researcher")
    with current_site().db.connection() as connection:
        rows = reads.page(connection, project.id, after(), PAGE + 1, only_reduced=True)
    shown = rows[:PAGE]
    return render_template(
        "research/results.html",
        project=project,
        whats=export_tables.whats(current_site(), project),
        formats=export_tables.formats(current_site(), project),
        licences=export_package.LICENCES,
        rows=shown,
        in_short=in_short,
        asked=asked.listed(current_site(), project, limit=EXPORTS),
        export_days=current_site().settings.export_days,
        next_after=shown[-1]["task_id"] if len(rows) > PAGE else None,
    )


@blueprint.get("/<slug>/export/<what>.<format>")
@owner_required
def download(slug: str, what: str, format: str) -> ResponseReturnValue:
    """One table in one format, streamed; compressed where the client takes it."""
    project = mine(slug, "researcher")
    if what not in export_tables.WHATS or format not in FORMATS:
        raise NotFound("There is no such download.")
    return table_file(project, what, format, owner().id)


def table_file(project: Project, what: str, format: str, by: int) -> Response:
    """One table in one format as a response, streamed; `by` took it. InputError for what cannot be given."""
    found = export_tables.files(current_site(), project, what, format)
    asked.note_download(current_site(), project, by, what, format)
    chunks = zipped(found) if FORMATS[format].is_archive else found[0].chunks
    response = Response(content_type=FORMATS[format].mime)
    if not FORMATS[format].is_packed and "gzip" in http.headers.get("Accept-Encoding", ""):
        chunks = gzipped(chunks)
        response.headers["Content-Encoding"] = "gzip"
    response.response = chunks
    response.headers["Vary"] = "Accept-Encoding"
    name = export_tables.file_name(project, what, format)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@blueprint.get("/<slug>/package.zip")
@owner_required
def package(slug: str) -> ResponseReturnValue:
    """Every table as CSV, with what a stranger needs to use, check and cite them: one ZIP, streamed."""
    project, site = mine(slug, "researcher"), current_site()
    snapshot = snapshots.take(site, project)
    files = export_package.package(
        *(site, project, export_package.whole(site, project, snapshot=snapshot), http.args.get("licence")),
        snapshot=snapshot,
    )
    asked.note_download(site, project, owner().id, "all", "csv")
    response = Response(zipped(files), content_type="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}.zip"'
    return response


@blueprint.get("/<slug>/preview/<what>")
@owner_required
def preview(slug: str, what: str) -> ResponseReturnValue:
    """The first rows of a table, to see before it is downloaded."""
    project, site = mine(slug, "researcher"), current_site()
    if what not in {one.name for one in export_tables.whats(site, project)}:
        raise NotFound("There is no such table.")
    found = export_tables.page(site, project, what, None, PREVIEW_ROWS)
    return render_template(
        "research/preview.html",
        project=project,
        what=export_tables.WHATS[what],
        columns=found.columns,
        rows=[[formats.shown(value) for value in row] for row in found.rows[:PREVIEW_ROWS]],
    )


@blueprint.post("/<slug>/exports")
@owner_required
def request_export(slug: str) -> ResponseReturnValue:
    """Ask for a file that is written in the background."""
    project = mine(slug, "researcher")
    made = asked.request(
        *(current_site(), project),
        what=http.form.get("what", "all"),
        format=http.form.get("format", "csv"),
        licence=http.form.get("licence", ""),
        compress=http.form.get("compress", ""),
        same_names="same_names" in http.form,
        gold=may("owner") and "gold" in http.form,
        account_id=owner().id,
    )
    address = url_for("research.results", slug=slug, _anchor=f"export-{made.id}")
    return redirect(address, 303)


@blueprint.get("/<slug>/exports/<int:export_id>.json")
@owner_required
def export_progress(slug: str, export_id: int) -> ResponseReturnValue:
    """How far an export is; 304 while nothing changed."""
    found = asked.get(current_site(), mine(slug, "researcher"), export_id)
    names = ("state", "n_rows", "rows_done")
    response = jsonify({name: getattr(found, name) for name in names})
    response.add_etag()
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(http)


@blueprint.get("/<slug>/exports/<int:export_id>/file")
@owner_required
def export_file(slug: str, export_id: int) -> ResponseReturnValue:
    """The file of an export that is done."""
    project = mine(slug, "researcher")
    found = asked.open(current_site(), project, export_id, by=owner().id)
    response = Response(found.chunks, content_type=found.mime)
    response.content_length = found.n_bytes
    response.headers["Content-Disposition"] = f'attachment; filename="{found.name}"'
    return response


@blueprint.get("/<slug>/code-book")
@owner_required
def code_book(slug: str) -> ResponseReturnValue:
    """What each column of each download means."""
    project = mine(slug, "researcher")
    tables = export_tables.code_book(current_site(), project)
    return render_template("research/code_book.html", project=project, tables=tables)


@blueprint.get("/<slug>/code-book.csv")
@owner_required
def code_book_file(slug: str) -> ResponseReturnValue:
    project = mine(slug, "researcher")
    response = Response(
        export_tables.code_book_csv(current_site(), project), content_type="text/csv; charset=utf-8"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}-columns.csv"'
    return response
