"""Signing in and out, and the owner's account."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from microtasks.core.errors import Conflict, Forbidden, InputError, TooMany
from microtasks.engine.accounts import accounts, tokens
from microtasks.web.errors import status_of
from microtasks.web.owner.accounts import letters
from microtasks.web.owner.frame import blueprint, owner
from microtasks.web.request import (
    account,
    clear_owner_cookie,
    current_site,
    owner_required,
    owner_token,
    set_owner_cookie,
)
from microtasks.web.requests.next_page import safe_next


@blueprint.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """The form for email and password."""
    target = safe_next(http.args.get("next"), url_for("owner.home"))
    if account() is not None:
        return redirect(target, 303)
    return render_template("owner/sign_in.html", next=target)


@blueprint.post("/sign-in")
def sign_in_by_password() -> ResponseReturnValue:
    target = safe_next(http.form.get("next"), url_for("owner.home"))
    email = http.form.get("email", "")
    try:
        token = accounts.sign_in_by_password(
            current_site(), email, http.form.get("password", ""), address=http.remote_addr or ""
        )
    except (Forbidden, TooMany) as error:
        page = render_template("owner/sign_in.html", next=target, email=email, wrong=error.message)
        return page, 429 if isinstance(error, TooMany) else 403
    return set_owner_cookie(redirect(target, 303), token)  # type: ignore[arg-type]


@blueprint.get("/sign-in/<token>")
def link(token: str) -> ResponseReturnValue:
    """Ask before the link is spent: mail programs and chats open links to show a preview."""
    is_good = accounts.link_is_good(current_site(), token)
    return render_template("owner/link.html", token=token, is_good=is_good), 200 if is_good else 403


@blueprint.post("/sign-in/<token>")
def sign_in_by_link(token: str) -> ResponseReturnValue:
    try:
        session = accounts.sign_in_by_link(current_site(), token, address=http.remote_addr or "")
    except Forbidden:
        return render_template("owner/link.html", token=token, is_good=False), 403
    return set_owner_cookie(redirect(url_for("owner.home"), 303), session)  # type: ignore[arg-type]


@blueprint.get("/forgotten")
def forgotten() -> ResponseReturnValue:
    """The form of who has forgotten their password."""
    return _forgotten_page()


@blueprint.post("/forgotten")
def send_link() -> ResponseReturnValue:
    """Send a sign-in link. The page is the same whether or not the address is known."""
    email = http.form.get("email", "")
    try:
        accounts.send_link(current_site(), email, letters.forgotten, address=http.remote_addr or "")
    except (InputError, TooMany) as error:
        return _forgotten_page(wrong=error.message, email=email), status_of(error)
    return _forgotten_page(is_asked=True)


def _forgotten_page(*, is_asked: bool = False, wrong: str = "", email: str = "") -> str:
    settings = current_site().settings
    return render_template(
        "owner/forgotten.html",
        is_asked=is_asked,
        wrong=wrong,
        email=email,
        minutes=settings.signin_link_minutes,
        has_server=bool(settings.smtp_url.get_secret_value()),
    )


@blueprint.get("/account")
@owner_required
def account_page() -> ResponseReturnValue:
    return _account_page()


@blueprint.post("/account/password")
@owner_required
def set_password() -> ResponseReturnValue:
    password = http.form.get("password", "")
    try:
        if password != http.form.get("again", ""):
            raise InputError(_("The two entries are not the same."))
        token = accounts.set_password(
            current_site(),
            owner_token(),
            password,
            http.form.get("current", ""),
            revoke_tokens=bool(http.form.get("revoke_tokens")),
        )
    except (InputError, Forbidden) as error:
        return _account_page(wrong=error.message), 400
    except TooMany as error:
        return _account_page(wrong=error.message), 429
    flash(_("Your password is set. Other browsers were signed out."), "ok")
    _tell_of_tokens(owner().id)
    return set_owner_cookie(redirect(url_for("owner.account_page"), 303), token)  # type: ignore[arg-type]


@blueprint.post("/account/email")
@owner_required
def set_email() -> ResponseReturnValue:
    """Ask both addresses; nothing changes before both have said yes."""
    form = http.form
    try:
        accounts.ask_new_address(
            current_site(),
            owner_token(),
            form.get("email", ""),
            letters.new_address,
            form.get("current", ""),
            address=http.remote_addr or "",
        )
    except (InputError, Forbidden, Conflict) as error:
        return _account_page(wrong_email=error.message), 400
    except TooMany as error:
        return _account_page(wrong_email=error.message), 429
    flash(_("Messages are on their way to both addresses. It changes once both have said yes."), "ok")
    return redirect(url_for("owner.account_page"), 303)


@blueprint.get("/address/<token>")
def address_link(token: str) -> ResponseReturnValue:
    """Ask before the link is spent, as for signing in."""
    new = accounts.address_change(current_site(), token)
    state = "over" if new is None else "asked"
    page = render_template("owner/address.html", token=token, new=new, state=state)
    return page, 403 if new is None else 200


@blueprint.post("/address/<token>")
def confirm_address(token: str) -> ResponseReturnValue:
    try:
        is_whole = accounts.confirm_address(current_site(), token)
    except (Forbidden, Conflict) as error:
        page = render_template("owner/address.html", state="over", wrong=error.message)
        return page, status_of(error)
    return render_template("owner/address.html", state="whole" if is_whole else "half")


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    accounts.sign_out(current_site(), owner_token())
    return clear_owner_cookie(redirect("/", 303))  # type: ignore[arg-type]


@blueprint.post("/account/sign-out-everywhere")
@owner_required
def sign_out_everywhere() -> ResponseReturnValue:
    revoke_tokens = bool(http.form.get("revoke_tokens"))
    who = owner().id
    accounts.sign_out_everywhere(current_site(), who, revoke_tokens=revoke_tokens)
    _tell_of_tokens(who)
    return clear_owner_cookie(redirect(url_for("owner.sign_in"), 303))  # type: ignore[arg-type]


def _tell_of_tokens(account_id: int) -> None:
    """Say which keys still open the account after all doors were closed."""
    n = len(tokens.listed(current_site(), account_id))
    if n:
        text = ngettext(
            "%(num)s API token still works: programs go on with it.",
            "%(num)s API tokens still work: programs go on with them.",
            n,
        )
        flash(text, "warn")


def _account_page(wrong: str = "", wrong_email: str = "") -> str:
    needs_current = accounts.needs_current_password(current_site(), owner_token())
    return render_template(
        "owner/account.html",
        needs_current=needs_current,
        wrong=wrong,
        wrong_email=wrong_email,
        n_tokens=len(tokens.listed(current_site(), owner().id)),
        password_min=accounts.PASSWORD_MIN,
    )
