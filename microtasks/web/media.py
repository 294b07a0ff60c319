"""Images by the hash of their content: kept for ever, of one fixed type, and never anything but an image."""

from __future__ import annotations

from flask import Blueprint, Response, abort
from flask import request as http

from microtasks.web.request import current_site

blueprint = Blueprint("media", __name__)

HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # Opened by itself, the file may do nothing at all (ASVS 3.2.1).
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@blueprint.get("/media/<digest>.webp")
def derived(digest: str) -> Response:
    """Send one derivative. The name is its SHA-256, so what it holds never changes."""
    files = current_site().files
    try:
        if digest in http.if_none_match and files.path("derived", digest):
            response = Response(status=304)
        else:
            response = Response(files.read("derived", digest), mimetype="image/webp")
    except (ValueError, FileNotFoundError):
        abort(404)
    response.headers.update(HEADERS)
    response.set_etag(digest)
    return response
