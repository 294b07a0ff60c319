"""Who is asking, and what goes out with every response: identity, form tokens, security headers."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit
from uuid import UUID

from flask import Flask, Response, current_app, g
from flask import request as http

from microtasks.core.errors import Forbidden, SignInRequired
from microtasks.core.tokens import seal, unseal
from microtasks.engine.site import Site

View = TypeVar("View", bound=Callable[..., Any])

CONTRIBUTOR_SECONDS = 400 * 86400  # the longest that browsers keep a cookie
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def init_app(app: Flask) -> None:
    app.before_request(refuse_forgery)
    app.after_request(finish)
    app.jinja_env.globals.update(csrf_token=csrf_token, account=account)


def current_site() -> Site:
    return cast(Site, current_app.extensions["microtasks"])


# -- the anonymous contributor ------------------------------------------------------------------------


def contributor() -> UUID:
    """The random id in the signed cookie; a new one is made, and set with the response, on first use."""
    if "contributor" not in g:
        found = known_contributor()
        g.contributor = found or UUID(bytes=secrets.token_bytes(16))
        g.contributor_is_new = found is None
    return cast(UUID, g.contributor)


def known_contributor() -> UUID | None:
    """The contributor of the cookie, if there is a good one; never makes one."""
    raw = unseal(_key("contributor"), http.cookies.get(_cookie_name("mt"), ""))
    return UUID(bytes=raw) if raw is not None and len(raw) == 16 else None


def network() -> bytes | None:
    """Keyed hash of the asking network (/24 or /48) for the per-task cap; None where it is exempt."""
    from microtasks.store import limits

    site = current_site()
    with site.db.connection() as connection:
        return limits.network_key(connection, http.remote_addr or "", site.settings)


# -- the owner ----------------------------------------------------------------------------------------


def account() -> Any:
    """The signed-in account, or None."""
    if "account" not in g:
        token = http.cookies.get(_cookie_name("mt_owner"), "")
        g.account = None
        if token:
            from microtasks.engine import accounts

            g.account = accounts.who(current_site(), token)
    return g.account


def owner_required(view: View) -> View:
    """Only for a signed-in account; others are sent to sign in (SignInRequired)."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if account() is None:
            raise SignInRequired
        return view(*args, **kwargs)

    return cast(View, guarded)


def set_owner_cookie(response: Response, session_token: str) -> Response:
    site = current_site()
    response.set_cookie(
        _cookie_name("mt_owner"),
        session_token,
        max_age=site.settings.session_days * 86400,
        secure=site.settings.is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


def clear_owner_cookie(response: Response) -> Response:
    response.delete_cookie(
        _cookie_name("mt_owner"), secure=current_site().settings.is_https, httponly=True, samesite="Lax"
    )
    return response


# -- forgery ------------------------------------------------------------------------------------------


def csrf_token() -> str:
    """A token for unsafe forms, bound to this browser's owner session or contributor cookie."""
    return seal(_key("csrf"), _browser())


def refuse_forgery() -> None:
    """Unsafe requests must come from our own pages: same origin, and a form token or a JSON body."""
    if http.method in SAFE_METHODS:
        return
    origin = http.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != http.host:
        raise Forbidden("This request came from another site.")
    if http.is_json:
        return  # another site cannot send this type without asking first, and we never allow it
    given = http.form.get("csrf_token") or http.headers.get("X-CSRF-Token", "")
    if unseal(_key("csrf"), given) != _browser():
        raise Forbidden("This form is out of date. Go back, reload the page and try again.")


def _browser() -> bytes:
    token = http.cookies.get(_cookie_name("mt_owner"))
    return token.encode()[:512] if token else contributor().bytes


# -- the response -------------------------------------------------------------------------------------


def finish(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    site = current_site()
    if site.settings.is_https:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if g.get("contributor_is_new"):
        response.set_cookie(
            _cookie_name("mt"),
            seal(_key("contributor"), contributor().bytes),
            max_age=CONTRIBUTOR_SECONDS,
            secure=site.settings.is_https,
            httponly=True,
            samesite="Lax",
        )
    return response


def _cookie_name(name: str) -> str:
    return f"__Host-{name}" if current_site().settings.is_https else name


def _key(purpose: str) -> bytes:
    return current_site().settings.key(purpose)
