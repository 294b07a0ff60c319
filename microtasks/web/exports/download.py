"""The researcher's pages: results, exports, code book."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue

from microtasks.core.errors import InputError, NotFound
from microtasks.engine.exports import descriptions, registry, snapshots
from microtasks.engine.exports import download as exports
from microtasks.engine.exports import package as export_package
from microtasks.engine.exports import requests as export_requests
from microtasks.engine.exports.columns import in_short
from microtasks.engine.exports.download import Cursor
from microtasks.engine.exports.format import Options
from microtasks.engine.exports.registry import FORMATS
from microtasks.engine.tabular.archive import gzipped, zipped
from microtasks.engine.tabular.csv_format import MIME
from microtasks.engine.tabular.table import flat_text
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
    project, site = mine(slug, "researcher"), current_site()
    with site.db.connection() as connection:
        rows = reads.page(connection, project.id, after(), PAGE + 1, only_reduced=True)
    return render_template(
        "research/results.html",
        project=project,
        tables=registry.tables_of(registry.now(site, project)),
        formats=registry.formats_of(site, project),
        parts_asked=registry.parts_of(project),
        licences=descriptions.LICENCES,
        rows=rows[:PAGE],
        in_short=in_short,
        exports=export_requests.listed(site, project, limit=EXPORTS, may_know_gold=may("owner")),
        export_days=site.settings.export_days,
        next_after=rows[PAGE - 1]["task_id"] if len(rows) > PAGE else None,
    )


@blueprint.get("/<slug>/export/<what>.<format>")
@owner_required
def download(slug: str, what: str, format: str) -> ResponseReturnValue:
    """One table in one format, streamed; compressed where the client takes it."""
    project = mine(slug, "researcher")
    return table_file(project, what, format, owner().id)


def table_file(project: Project, table: str, format: str, account_id: int) -> Response:
    """One table in one format as a response, streamed; that account took it.

    Errors: NotFound for what there is not; InputError for what this project cannot be given in.
    """
    is_workbook = table == "all" and format == "xlsx"
    if format not in FORMATS or (table not in registry.TABLES and not is_workbook):
        raise NotFound("There is no such table or format.")
    options = Options(images=http.args.get("images") == "1", language=_language())
    if options.images and not FORMATS[format].takes_images:
        raise InputError(f"The format {format} holds no images.")
    site = current_site()
    file = exports.one_file(site, project, table, format, options=options)
    export_requests.note_download(site, project, account_id, table, format)
    chunks = file.chunks
    response = Response(content_type=file.mime)
    if not FORMATS[format].packs(options) and "gzip" in http.headers.get("Accept-Encoding", ""):
        chunks = gzipped(chunks)
        response.headers["Content-Encoding"] = "gzip"
    response.response = chunks
    response.headers["Vary"] = (
        "Accept-Encoding, Accept-Language" if format == "excel-csv" else "Accept-Encoding"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response


def _language() -> str:
    """Whose Excel it is for: as asked, else the browser's own language, whatever the page's is."""
    return http.args.get("language") or next(iter(http.accept_languages.values()), "en")


@blueprint.get("/<slug>/package.zip")
@owner_required
def package(slug: str) -> ResponseReturnValue:
    """Every table as CSV, with what a stranger needs to use, check and cite them: one ZIP, streamed."""
    project, site = mine(slug, "researcher"), current_site()
    snapshot = snapshots.take(site, project)
    tables = export_package.whole(site, project, snapshot=snapshot)
    files = export_package.package(site, project, tables, http.args.get("licence"), snapshot=snapshot)
    export_requests.note_download(site, project, owner().id, "all", "csv")
    response = Response(zipped(files, snapshot.cut.at), content_type="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}.zip"'
    return response


@blueprint.get("/<slug>/preview/<what>")
@owner_required
def preview(slug: str, what: str) -> ResponseReturnValue:
    """The first rows of a table, to see before it is downloaded."""
    project, site = mine(slug, "researcher"), current_site()
    if what not in {spec.name for spec in registry.tables_of(registry.now(site, project))}:
        raise NotFound("There is no such table.")
    page = exports.page(site, project, what, Cursor(), PREVIEW_ROWS)
    return render_template(
        "research/preview.html",
        project=project,
        table=registry.TABLES[what],
        columns=page.columns,
        rows=[[flat_text(value) for value in row] for row in page.rows[:PREVIEW_ROWS]],
    )


@blueprint.post("/<slug>/exports")
@owner_required
def request_export(slug: str) -> ResponseReturnValue:
    """Ask for a file that is written in the background."""
    project = mine(slug, "researcher")
    format = http.form.get("format", "csv")
    takes_images = format in FORMATS and FORMATS[format].takes_images
    export = export_requests.request(
        current_site(),
        project,
        what=http.form.get("what", "all"),
        format=format,
        licence=http.form.get("licence", ""),
        compress=http.form.get("compress", ""),
        images="images" in http.form and takes_images,
        language=_language() if format == "excel-csv" else "",
        same_names="same_names" in http.form,
        gold=may("owner") and "gold" in http.form,
        account_id=owner().id,
    )
    return redirect(url_for("research.results", slug=slug, _anchor=f"export-{export.id}"), 303)


@blueprint.get("/<slug>/exports/<int:export_id>.json")
@owner_required
def export_progress(slug: str, export_id: int) -> ResponseReturnValue:
    """How far an export is; 304 while nothing changed."""
    project = mine(slug, "researcher")
    export = export_requests.get(current_site(), project, export_id, may_know_gold=may("owner"))
    response = jsonify({name: getattr(export, name) for name in ("state", "n_rows", "rows_done")})
    response.add_etag()
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(http)


@blueprint.get("/<slug>/exports/<int:export_id>/file")
@owner_required
def export_file(slug: str, export_id: int) -> ResponseReturnValue:
    """The file of an export that is done."""
    project = mine(slug, "researcher")
    file = export_requests.open(current_site(), project, export_id, may_know_gold=may("owner"), by=owner().id)
    response = Response(file.chunks, content_type=file.mime)
    response.content_length = file.n_bytes
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response


@blueprint.get("/<slug>/code-book")
@owner_required
def code_book(slug: str) -> ResponseReturnValue:
    """What each column of each download means."""
    project = mine(slug, "researcher")
    tables = registry.code_book(current_site(), project)
    return render_template("research/code_book.html", project=project, tables=tables)


@blueprint.get("/<slug>/code-book.csv")
@owner_required
def code_book_file(slug: str) -> ResponseReturnValue:
    """The same as a file."""
    project = mine(slug, "researcher")
    content = registry.code_book_csv(registry.now(current_site(), project))
    response = Response(content, content_type=MIME)
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}-columns.csv"'
    return response
