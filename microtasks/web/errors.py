"""The one table from error to status, the one JSON shape, and the one error page."""

from __future__ import annotations

import logging

import flask
from flask import Flask, render_template
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.exceptions import HTTPException

from microtasks.core import errors as core
from microtasks.web.sentences import translated_error

log = logging.getLogger(__name__)

STATUS: dict[type[core.MicrotasksError], int] = {
    core.InputError: 400,
    core.SignInRequired: 401,
    core.Forbidden: 403,
    core.NotFound: 404,
    core.Conflict: 409,
    core.TooMany: 429,
    core.Unavailable: 503,
    core.SettingsInvalid: 500,
}


def status_of(error: core.MicrotasksError) -> int:
    """The nearest ancestor's status."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def shape(error: core.MicrotasksError) -> dict[str, object]:
    """The one JSON shape of an error, in the reader's language where volunteers can meet it."""
    return translated_error({"error": error.code, "message": error.message, "details": error.details})


def init_app(app: Flask) -> None:
    app.register_error_handler(core.MicrotasksError, expected)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(Exception, unexpected)


def expected(error: core.MicrotasksError) -> ResponseReturnValue:
    if isinstance(error, core.SignInRequired) and not _wants_json():
        return flask.redirect(flask.url_for("owner.sign_in", next=http.full_path.rstrip("?")))
    return _answer(status_of(error), shape(error))


def from_http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error
    code = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 429: "too_many"}
    return _answer(
        error.code,
        {
            "error": code.get(error.code, "invalid" if error.code < 500 else "error"),
            "message": _message(error),
            "details": {},
        },
    )


def _message(error: HTTPException) -> str:
    known = {
        404: _("There is nothing here. The address may be misspelt, or the page has moved."),
        405: _("This page cannot be used in that way."),
        413: _("What you sent is too large."),
    }
    return known.get(error.code or 500) or error.description or error.name


def _heading(status: int) -> str:
    known = {
        403: _("That is not allowed"),
        404: _("Page not found"),
        413: _("Too large"),
        429: _("One moment, please"),
        503: _("Back in a moment"),
    }
    return known.get(status) or (
        _("That did not work") if status < 500 else _("Something went wrong on our side")
    )


def unexpected(error: Exception) -> ResponseReturnValue:
    log.exception("unexpected_error", extra={"path": http.path})
    return _answer(
        500,
        {"error": "error", "message": _("It is not your fault. Please try again."), "details": {}},
    )


def _wants_json() -> bool:
    return http.path.startswith("/api/") or http.is_json or http.accept_mimetypes.best == "application/json"


def _answer(status: int, body: dict[str, object]) -> ResponseReturnValue:
    headers = {"Retry-After": "5"} if status in (429, 503) else {}
    headers["Cache-Control"] = "no-store"
    if _wants_json():
        return flask.jsonify(body), status, headers
    return render_template("error.html", status=status, heading=_heading(status), error=body), status, headers
