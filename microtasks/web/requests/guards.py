"""What is refused before anything else looks at a request: one place for Flask and for the fast lane.

A WSGI layer around both: a guard that is added here cannot be forgotten on either of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask

from microtasks.core.errors import Forbidden, InputError, MicrotasksError, TooMany
from microtasks.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
#: Asked by load balancers and container platforms by whatever address they know.
HEALTH_PATHS = {"/healthz", "/readyz", "/metrics"}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}

#: Set by bodies.py: so many requests of this address are on their way that this one was not read.
IS_CROWDED = "microtasks.is_crowded"
CROWDED = "Too many requests from your network are being sent at once."
OTHER_HOST = "This site is not known by the name in this request."
OTHER_SITE = (
    "This request came from another site, or the proxy in front of it did not pass on the header Host."
)


def init_app(app: Flask) -> None:
    """Put the guards around the app. Call after the fast lane is in it."""
    app.wsgi_app = Guarded(app)  # type: ignore[method-assign]


class Guarded:
    """A WSGI app that passes on what `refusal` has nothing against."""

    def __init__(self, app: Flask) -> None:
        self.flask = app
        self.app: WSGIApplication = app.wsgi_app
        self.settings: Settings = app.extensions["microtasks"].settings

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        error = refusal(environ, self.settings)
        if error is None:
            return self.app(environ, start_response)
        environ = environ | {"HTTP_HOST": urlsplit(self.settings.base_url).netloc or "localhost"}
        with self.flask.request_context(environ):  # for the language of the page
            response = self.flask.finalize_request(self.flask.handle_user_exception(error))
            return response(environ, start_response)


def refusal(environ: WSGIEnvironment, settings: Settings) -> MicrotasksError | None:
    """Why this request is refused; None: it may pass."""
    if environ.get("PATH_INFO") in HEALTH_PATHS:
        return None
    if IS_CROWDED in environ:
        return TooMany(CROWDED)
    host = environ.get("HTTP_HOST")
    if host is None and environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
        return InputError(OTHER_HOST)
    name = host_name(environ.get("SERVER_NAME", "") if host is None else host)
    trusted = settings.trusted_hosts
    if name is None or (trusted and name not in trusted):
        return InputError(OTHER_HOST)
    if environ["REQUEST_METHOD"] not in SAFE_METHODS:
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and not is_own_origin(origin, host or "", settings.base_url):
            return Forbidden(OTHER_SITE)
    return None


def host_name(host: str) -> str | None:
    """The name in a Host header, in lower case, without brackets, port and final dot; None: it is no name."""
    match = _HOST.fullmatch(host.lower())
    return match[1].strip("[]").rstrip(".") if match else None


def is_own_origin(origin: str, host: str, base_url: str) -> bool:
    """Is the origin this site, by the request's own Host or by its public address?"""
    if origin == base_url or origin.partition("://")[2] == host:
        return True  # nearly always: no need to look closer
    scheme, separator, place = origin.lower().partition("://")
    if not separator:
        return False
    base = urlsplit(base_url)
    ours = {_place(host, scheme), _place(base.netloc, base.scheme)} - {None}
    return _place(place, scheme) in ours


def _place(netloc: str, scheme: str) -> tuple[str, str] | None:
    """(name, port) of a Host or of what stands in an origin, for comparing; None: it is neither."""
    match = _HOST.fullmatch(netloc.lower())
    if match is None:
        return None
    return match[1].strip("[]").rstrip("."), match[2] or _DEFAULT_PORTS.get(scheme, "")
