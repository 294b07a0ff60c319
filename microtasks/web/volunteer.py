"""The volunteer's pages: home, a project, its tasks, thank-you."""

from __future__ import annotations

from flask import Blueprint, abort, redirect
from flask import request as http
from flask.typing import ResponseReturnValue

from microtasks.web import texts
from microtasks.web.request import current_site

blueprint = Blueprint("volunteer", __name__)


@blueprint.get("/language/<code>")
def set_language(code: str) -> ResponseReturnValue:
    """Keep the language chosen for this browser, and go back to the page it was chosen on."""
    if code not in texts.LANGUAGES:
        abort(404)
    back = http.args.get("next", "/")
    if not back.startswith("/") or back.startswith(("//", "/\\")):
        back = "/"
    response = redirect(back, 303)
    response.set_cookie(
        texts.LANGUAGE_COOKIE,
        code,
        max_age=365 * 86400,
        secure=current_site().settings.is_https,
        httponly=True,
        samesite="Lax",
    )
    return response
