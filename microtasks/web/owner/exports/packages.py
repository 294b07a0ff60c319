"""A project from a package: brought, looked through, and made again. Nobody sees another's packages."""

from __future__ import annotations

from datetime import timedelta

from flask import flash, jsonify, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import format_timedelta
from flask_babel import gettext as _

from microtasks import tasktypes
from microtasks.core.errors import Conflict, InputError, TooMany
from microtasks.engine.exports import project_file, restore
from microtasks.engine.imports import chunked_upload, importing
from microtasks.store.operations import limits
from microtasks.store.projects import projects
from microtasks.store.tables import Restoration
from microtasks.web.owner.frame import blueprint, owner
from microtasks.web.owner.imports.batches import announced, seconds_left, take_piece
from microtasks.web.request import current_site, max_body, owner_required


@blueprint.get("/packages")
@owner_required
def choose_package() -> ResponseReturnValue:
    """The form."""
    return _form()


@blueprint.post("/packages")
@owner_required
@max_body("max_upload_bytes")
def bring_package() -> ResponseReturnValue:
    """Take a package in one request, as a browser without JavaScript sends it."""
    files = [
        importing.Upload(part.filename or "", getattr(part.stream, "path", part.stream))
        for part in http.files.getlist("files")
        if part.filename
    ]
    try:
        _count()
        if not files:
            raise InputError(_("Choose a file."))
        restoration = restore.receive(current_site(), owner().id, files)
    except (InputError, TooMany) as error:
        return _form(error.message), 429 if isinstance(error, TooMany) else 400
    return redirect(url_for("owner.package", restoration_id=restoration), 303)


@blueprint.get("/packages/<int:restoration_id>")
@owner_required
def package(restoration_id: int) -> ResponseReturnValue:
    """What is in a package; how far its project is; what it became."""
    restoration = _mine(restoration_id)
    made = None
    if restoration.state == "done" and restoration.project_id is not None:
        with current_site().db.session() as session:
            made = projects.get(session, restoration.project_id)
    left = seconds_left(restoration)
    return render_template(
        "owner/package.html",
        found=restoration,
        look=restoration.look,
        made=made,
        kind=tasktypes.get(restoration.look["task_type"])
        if restoration.look and "task_type" in restoration.look
        else None,
        left_behind=project_file.LEFT_BEHIND,
        left=format_timedelta(timedelta(seconds=left)) if left else "",
    )


@blueprint.get("/packages/<int:restoration_id>.json")
@owner_required
def package_progress(restoration_id: int) -> ResponseReturnValue:
    """How far it is; 304 while nothing changed."""
    restoration = _mine(restoration_id)
    facts = {name: getattr(restoration, name) for name in ("state", "n_rows", "rows_done", "error")}
    response = jsonify(
        facts | {"is_looked_through": restoration.look is not None, "seconds_left": seconds_left(restoration)}
    )
    response.add_etag()
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(http)


@blueprint.post("/packages/<int:restoration_id>")
@owner_required
def decide_package(restoration_id: int) -> ResponseReturnValue:
    """Make the project, or throw the package away."""
    site, who = current_site(), owner().id
    _mine(restoration_id)
    try:
        match http.form.get("step", ""):
            case "make":
                restore.confirm(
                    *(site, who, restoration_id),
                    name=http.form.get("name", ""),
                    with_answers="answers" in http.form,
                )
            case "away":
                restore.throw_away(site, who, restoration_id)
                flash(_("The package is thrown away. Nothing was made of it."), "ok")
                return redirect(url_for("owner.choose_package"), 303)
            case _:
                raise InputError(_("There is no such step."))
    except Conflict as error:
        flash(error.message, "warn")
    return redirect(url_for("owner.package", restoration_id=restoration_id), 303)


# -- in pieces ----------------------------------------------------------------------------------------


@blueprint.post("/packages/sendings")
@owner_required
def begin_package() -> ResponseReturnValue:
    """Announce a package; answer with the upload's id."""
    _count()
    files = announced()
    if len(files) > 1:
        raise InputError(_("Choose one package: the ZIP that an export gave you."))
    return chunked_upload.begin(current_site(), None, owner().id, files).to_json()


@blueprint.get("/packages/sendings/<upload>")
@owner_required
def package_sending(upload: str) -> ResponseReturnValue:
    """How much of it is here: where to go on after a break."""
    return chunked_upload.find(current_site(), None, owner().id, upload).to_json()


@blueprint.post("/packages/sendings/<upload>/<int:number>")
@owner_required
@max_body("max_piece_bytes")
def receive_package_piece(upload: str, number: int) -> ResponseReturnValue:
    """Take the next piece (`?offset=`)."""
    return {"received": take_piece(None, upload, number)}


@blueprint.post("/packages/sendings/<upload>/finish")
@owner_required
def finish_package(upload: str) -> ResponseReturnValue:
    """All of it is here: look through it."""
    restoration = restore.finish_sending(current_site(), owner().id, upload)
    return {"location": url_for("owner.package", restoration_id=restoration)}


def _mine(restoration_id: int) -> Restoration:
    return restore.get(current_site(), owner().id, restoration_id)


def _count() -> None:
    if not limits.allow(current_site(), "upload", f"account {owner().id}"):
        raise TooMany(_("Too many uploads in one hour. Please wait a little."))


def _form(wrong: str = "") -> str:
    megabytes = current_site().settings.max_upload_bytes >> 20
    return render_template("owner/packages.html", wrong=wrong, megabytes=megabytes)
