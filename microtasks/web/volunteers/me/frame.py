"""The blueprint of a volunteer's own pages, and what all of them share."""

from __future__ import annotations

from flask import Blueprint, Response
from flask_babel import format_decimal, ngettext
from flask_babel import gettext as _

blueprint = Blueprint("me", __name__)


@blueprint.app_template_global()
def duration(seconds: float) -> str:
    """An honest length of time: minutes below an hour and a half, then hours."""
    if seconds < 30:
        return _("less than a minute") if seconds else ngettext("%(num)s minute", "%(num)s minutes", 0)
    if seconds < 5400:
        return ngettext("%(num)s minute", "%(num)s minutes", round(seconds / 60))
    n = format_decimal(round(seconds / 3600, 1))
    return _("%(n)s hours", n=n)


@blueprint.app_template_global()
def isolated(text: str) -> str:
    """A text inside a sentence of another direction: neither takes the other's full stop (FSI, PDI)."""
    return f"\u2068{text}\u2069"


@blueprint.after_request
def private(response: Response) -> Response:
    """Keep own pages out of caches and search engines."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Robots-Tag"] = "noindex"
    return response
