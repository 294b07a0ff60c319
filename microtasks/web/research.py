"""The researcher's pages: results, downloads, code book. For now they are the owner's to see."""

from __future__ import annotations

from flask import Blueprint, Response, render_template
from flask import request as http
from flask.typing import ResponseReturnValue

from microtasks.core.errors import NotFound
from microtasks.engine import exporting, packaging
from microtasks.engine.exporting import FORMATS
from microtasks.engine.formats import gzipped, zipped
from microtasks.store import exports
from microtasks.store.tables import Project
from microtasks.web.owner.frame import PAGE, after, id_of, mine, private
from microtasks.web.request import current_site, owner_required

blueprint = Blueprint("research", __name__, url_prefix="/research")
blueprint.after_request(private)


@blueprint.get("/<slug>")
@owner_required
def results(slug: str) -> ResponseReturnValue:
    """Downloads, and the consensus of each task, a page at a time by key."""
    project = mine(slug, "researcher")
    with current_site().db.connection() as connection:
        rows = exports.page(connection, id_of(project), after(), PAGE + 1, only_reduced=True)
    shown = rows[:PAGE]
    return render_template(
        "research/results.html",
        project=project,
        whats=exporting.whats(current_site(), project),
        formats=exporting.formats(current_site(), project),
        licences=packaging.LICENCES,
        rows=shown,
        in_short=exporting.in_short,
        next_after=shown[-1]["task_id"] if len(rows) > PAGE else None,
    )


@blueprint.get("/<slug>/export/<what>.<format>")
@owner_required
def download(slug: str, what: str, format: str) -> ResponseReturnValue:
    """One table in one format, streamed; compressed where the client takes it."""
    project = mine(slug, "researcher")
    if what not in exporting.WHATS or format not in FORMATS:
        raise NotFound("There is no such download.")
    return table_file(project, what, format)


def table_file(project: Project, what: str, format: str) -> Response:
    """One table in one format as a response, streamed. InputError for what cannot be given."""
    found = exporting.files(current_site(), project, what, format)
    chunks = zipped(found) if FORMATS[format].is_archive else found[0].chunks
    response = Response(content_type=FORMATS[format].mime)
    is_packed = format == "parquet" or FORMATS[format].is_archive
    if not is_packed and "gzip" in http.headers.get("Accept-Encoding", ""):
        chunks = gzipped(chunks)
        response.headers["Content-Encoding"] = "gzip"
    response.response = chunks
    response.headers["Vary"] = "Accept-Encoding"
    name = exporting.file_name(project, what, format)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@blueprint.get("/<slug>/package.zip")
@owner_required
def package(slug: str) -> ResponseReturnValue:
    """Every table as CSV, with what a stranger needs to use, check and cite them: one ZIP, streamed."""
    project, site = mine(slug, "researcher"), current_site()
    files = packaging.package(site, project, packaging.whole(site, project), http.args.get("licence"))
    response = Response(zipped(files), content_type="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}.zip"'
    return response


@blueprint.get("/<slug>/code-book")
@owner_required
def code_book(slug: str) -> ResponseReturnValue:
    """What each column of each download means."""
    project = mine(slug, "researcher")
    tables = exporting.code_book(current_site(), project)
    return render_template("research/code_book.html", project=project, tables=tables)


@blueprint.get("/<slug>/code-book.csv")
@owner_required
def code_book_file(slug: str) -> ResponseReturnValue:
    project = mine(slug, "researcher")
    response = Response(
        exporting.code_book_csv(current_site(), project), content_type="text/csv; charset=utf-8"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}-columns.csv"'
    return response
