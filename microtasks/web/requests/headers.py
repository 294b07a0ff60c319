"""Security headers on every response, whoever made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HSTS = "max-age=31536000"
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
#: For a page that another page of ours shows within it.
FRAMED_POLICY = POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
SECURITY_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def init_app(app: Flask) -> None:
    """Add them around what the app is so far."""
    is_https = app.extensions["microtasks"].settings.is_https
    headers = SECURITY_HEADERS | ({"Strict-Transport-Security": HSTS} if is_https else {})
    app.wsgi_app = secured(app.wsgi_app, headers)  # type: ignore[method-assign,assignment]


def secured(app: WSGIApplication, headers: Mapping[str, str]) -> WSGIApplication:
    """Send these headers with every response that does not say otherwise, whoever made it.

    Below Flask, where a header is a pair in a list: its own objects would take a third of a request for it.
    """
    ours = [(name.lower(), name, value) for name, value in headers.items()]

    def secured_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, given: list[tuple[str, str]], exc_info: Any = None) -> Any:
            names = {name.lower() for name, _ in given}
            given += [(name, value) for lower, name, value in ours if lower not in names]
            return start_response(status, given, exc_info)

        return app(environ, start)

    return secured_app
