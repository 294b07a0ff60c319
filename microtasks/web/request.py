"""Who is asking: volunteers and owners, their cookies and form tokens, how much they may send."""

from __future__ import annotations

import functools
import hashlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from flask import Flask, Request, Response, current_app, g
from flask import request as http
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from microtasks.core.errors import Forbidden, SignInRequired, TooMany
from microtasks.core.parsing import jsonstrict
from microtasks.core.tokens import seal, unseal
from microtasks.engine.site import Site
from microtasks.store.operations import limits
from microtasks.web.requests import compression, headers
from microtasks.web.requests.guards import SAFE_METHODS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

View = TypeVar("View", bound=Callable[..., Any])

CONTRIBUTOR_SECONDS = 400 * 86400  # the longest that browsers keep a cookie
CSRF_SALT_BYTES = 9


class PageSessions(SecureCookieSessionInterface):
    """Flask's signed cookie, for messages on pages. The API has none: opening one costs half a request."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return None if request.path.startswith("/api/") else super().open_session(app, request)


def init_app(app: Flask) -> None:
    site: Site = app.extensions["microtasks"]
    settings = site.settings
    app.session_interface = PageSessions()
    app.ensure_sync = lambda view: view  # type: ignore[method-assign,assignment]  # no view is async: do not ask each time
    app.extensions["networks"] = limits.Networks(site.db, settings)
    headers.init_app(app)
    app.before_request(limit_body)
    app.before_request(refuse_forgery)
    app.after_request(finish)
    app.jinja_env.globals.update(csrf_token=csrf_token, account=account)


def current_site() -> Site:
    return cast(Site, current_app.extensions["microtasks"])


# -- the anonymous contributor ------------------------------------------------------------------------


def contributor() -> UUID:
    """The random id in the signed cookie; a new one is made, and set with the response, on first use.

    Errors: TooMany when one network makes new ones without end.
    """
    if "contributor" not in g:
        cookie = known_contributor()
        person = _person(cookie) if cookie is not None else None
        if person is None and not limits.allow(current_site(), "identity", http.remote_addr or ""):
            raise TooMany(
                "Very many people are starting from your network. Please try again in a little while."
            )
        g.contributor = person or UUID(bytes=secrets.token_bytes(16))
        g.contributor_is_new = g.contributor != cookie
    return cast(UUID, g.contributor)


def _person(contributor: UUID) -> UUID:
    """Who that id was joined to on another device. Pages alone ask: the API goes by the cookie they set."""
    if _is_api():
        return contributor
    from microtasks.engine.volunteers import claims

    return claims.person(current_site(), contributor)


def known_person() -> UUID | None:
    """Who is asking, if they have a cookie; never makes one."""
    return None if known_contributor() is None else contributor()


def become(person: UUID | None) -> None:
    """Let this browser be that contributor from now on; None: nobody yet."""
    g.contributor = person or UUID(bytes=secrets.token_bytes(16))
    g.contributor_is_new = True


def known_contributor() -> UUID | None:
    """The contributor of the cookie, if there is a good one; never makes one."""
    return contributor_of(http.environ, current_site())


def contributor_of(environ: WSGIEnvironment, site: Site) -> UUID | None:
    """`known_contributor` without Flask."""
    raw = unseal(site.settings.key("contributor"), _cookie(environ, _cookie_name("mt", site)))
    return UUID(bytes=raw) if raw is not None and len(raw) == 16 else None


def network() -> bytes | None:
    """Keyed hash of the asking network (/24 or /48) for the per-task cap; None where it is exempt."""
    hashed: bytes | None = current_app.extensions["networks"](http.remote_addr or "")
    return hashed


# -- the owner ----------------------------------------------------------------------------------------


def owner_token() -> str:
    """The token of the owner's session that this browser sent; empty without one."""
    return http.cookies.get(_cookie_name("mt_owner"), "")


def account() -> Any:
    """The signed-in account, or None."""
    if "account" not in g:
        token = owner_token()
        g.account = None
        if token:
            from microtasks.engine.accounts import accounts

            g.account = accounts.who(current_site(), token)
    return g.account


def owner_required(view: View) -> View:
    """Only for a signed-in account; others are sent to sign in (SignInRequired)."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if account() is None:
            raise SignInRequired
        return view(*args, **kwargs)

    guarded.needs_owner = True  # type: ignore[attr-defined]
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


# -- how much may be sent -----------------------------------------------------------------------------


def max_body(setting: str) -> Callable[[View], View]:
    """Let a view take a body as large as that setting says (`@max_body("max_upload_bytes")`)."""

    def mark(view: View) -> View:
        view.max_body_setting = setting  # type: ignore[attr-defined]
        return view

    return mark


def limit_body() -> None:
    """Set this request's limit, and turn strangers away from an owner's route before reading theirs."""
    view = current_app.view_functions.get(http.endpoint or "")
    if _is_api():
        setting = getattr(view, "max_body_setting", "max_answer_bytes")
        http.max_content_length = getattr(current_site().settings, setting)
        return
    setting = getattr(view, "max_body_setting", "max_form_bytes")
    http.max_content_length = getattr(current_site().settings, setting)
    if http.method not in SAFE_METHODS and getattr(view, "needs_owner", False) and account() is None:
        raise SignInRequired


def _is_api() -> bool:
    return http.path.startswith("/api/")


def read_json() -> Any:
    """The request's JSON body, read strictly. Errors: 413, JsonInvalid."""
    return jsonstrict.loads(http.get_data(cache=False))


# -- forgery ------------------------------------------------------------------------------------------


def csrf_token() -> str:
    """A token for unsafe forms, bound to this browser's owner session or contributor cookie.

    Different in every page, so that the size of a compressed page tells nothing about it (BREACH).
    """
    return seal(_key("csrf"), secrets.token_bytes(CSRF_SALT_BYTES) + _browser())


def refuse_forgery() -> None:
    """Unsafe requests must come from our own pages (guards.py: same origin), by form token or JSON body."""
    if http.method in SAFE_METHODS:
        return
    if _is_api() or http.is_json:  # the API reads JSON alone, and says so itself
        return  # another site cannot send this type without asking first, and we never allow it
    given = http.form.get("csrf_token") or http.headers.get("X-CSRF-Token", "")
    unsealed = unseal(_key("csrf"), given)
    if unsealed is None or not _is_of_this_browser(unsealed[CSRF_SALT_BYTES:]):
        raise Forbidden("This form is out of date. Go back, reload the page and try again.")


def _is_of_this_browser(raw: bytes) -> bool:
    """Also what it was before it was joined to another device: pages in its other tabs say that."""
    ours = _browser()
    return raw == ours or (len(raw) == 16 and ours == contributor().bytes == _person(UUID(bytes=raw)).bytes)


def _browser() -> bytes:
    token = http.cookies.get(_cookie_name("mt_owner"))
    # Its hash: what is sealed can be read, and the page must not hold what the cookie hides from scripts.
    return hashlib.blake2b(token.encode(), digest_size=16).digest() if token else contributor().bytes


# -- the response -------------------------------------------------------------------------------------


def finish(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers.setdefault("Cache-Control", "private, no-cache")
        response.vary.update(["Cookie", "Accept-Language"])
    compression.compress(response)
    site = current_site()
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


def _cookie(environ: WSGIEnvironment, name: str) -> str:
    """One cookie's value, without parsing all of them: ours are URL-safe text, never quoted."""
    for pair in environ.get("HTTP_COOKIE", "").split(";"):
        key, _, value = pair.partition("=")
        if key.strip() == name:
            return str(value.strip())
    return ""


def _cookie_name(name: str, site: Site | None = None) -> str:
    return f"__Host-{name}" if (site or current_site()).settings.is_https else name


def _key(purpose: str) -> bytes:
    return current_site().settings.key(purpose)
