"""The two routes of a volunteer's work, below Flask: the plain request of each, and no other.

Flask's contexts, routing and objects cost more than taking an answer does. What is unusual in any way (a
first visit, a bad body) goes on to Flask as it came, to the same views; errors are told by Flask's handlers.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

import orjson
from flask import Flask
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from microtasks.core.errors import JsonInvalid
from microtasks.core.parsing import jsonstrict
from microtasks.engine.assignment import serve, submit
from microtasks.engine.site import Site
from microtasks.web.api import models, views
from microtasks.web.request import contributor_of
from microtasks.web.requests.compression import GZIP_FROM_BYTES, compressed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ANSWERS = "/api/v1/answers"
LEASES_OF = "/api/v1/projects/"
LEASES = "/leases"
KNOWN_MAX = 5_000
COOKIES_LENGTH_MAX = 1_000


def init_app(app: Flask) -> None:
    """Put the lane in front of the app. Call before what is added to every response."""
    app.wsgi_app = FastLane(app)  # type: ignore[method-assign]


class FastLane:
    """A WSGI app that answers plain requests and passes on the rest; what guards.py refuses never comes."""

    def __init__(self, app: Flask) -> None:
        self.flask = app
        self.app: WSGIApplication = app.wsgi_app
        self.site: Site = app.extensions["microtasks"]
        self.known: dict[str, UUID] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == ANSWERS:
            slug = None
        elif path.startswith(LEASES_OF) and path.endswith(LEASES):
            slug = path[len(LEASES_OF) : -len(LEASES)]
        else:
            return self.app(environ, start_response)
        try:
            raw = self._plain_body(environ) if slug is None or _is_plain_slug(slug) else None
        except HTTPException as error:  # it came too slowly
            return self._failed(error, environ, start_response)
        who = self._who(environ) if raw else None
        if raw is None or who is None:
            return self.app(environ, start_response)
        model = models.AnswersIn if slug is None else models.LeasesIn
        try:
            body = model.model_validate(jsonstrict.loads(raw))
        except (JsonInvalid, ValidationError):
            return self.app(environ, start_response)
        if isinstance(body, models.AnswersIn) and body.feed is not None:
            return self.app(environ, start_response)
        try:
            network = self.flask.extensions["networks"](environ.get("REMOTE_ADDR") or "")
            if isinstance(body, models.LeasesIn):
                said = serve.lease(self.site, slug or "", who, limit=body.limit, network=network).to_json()
            else:
                done = submit.submit(
                    self.site, who, views.answers_in(body), next_limit=body.next, network=network
                )
                if any(receipt.error for receipt in done.receipts):
                    with self.flask.request_context(environ):  # for the language of their sentences
                        response = self.flask.finalize_request(views.submitted(done))
                    return response(environ, start_response)
                said = done.to_json()
        except Exception as error:
            return self._failed(error, environ, start_response)
        reply = orjson.dumps(said)
        headers = [("Content-Type", "application/json")]
        if len(reply) >= GZIP_FROM_BYTES and "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            reply = compressed(reply)
            headers.append(("Content-Encoding", "gzip"))
        headers.append(("Content-Length", str(len(reply))))
        start_response("200 OK", headers)
        return [reply]

    def _failed(
        self, error: Exception, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """What Flask's handlers say of it."""
        with self.flask.request_context(environ):
            response = self.flask.finalize_request(self.flask.handle_user_exception(error))
        return response(environ, start_response)

    def _who(self, environ: WSGIEnvironment) -> UUID | None:
        """The contributor of the cookies; those that were good before are not unsealed again."""
        cookies = environ.get("HTTP_COOKIE", "")
        who = self.known.get(cookies)
        if who is None:
            who = contributor_of(environ, self.site)
            if who is not None and len(cookies) < COOKIES_LENGTH_MAX:
                if len(self.known) >= KNOWN_MAX:
                    self.known.clear()
                self.known[cookies] = who
        return who

    def _plain_body(self, environ: WSGIEnvironment) -> bytes | None:
        """The body of a plain JSON POST that can be read again."""
        length = environ.get("CONTENT_LENGTH", "")
        if (
            environ["REQUEST_METHOD"] != "POST"
            or environ.get("CONTENT_TYPE") != "application/json"
            or not (length.isascii() and length.isdigit())
            or int(length) > self.site.settings.max_answer_bytes
        ):
            return None
        raw: bytes = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(raw)
        return raw


def _is_plain_slug(slug: str) -> bool:
    return slug.isascii() and 0 < len(slug) <= 100 and slug.replace("-", "").isalnum()
