"""Signing in and out, and the owner's account."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.core.errors import Conflict, Forbidden, InputError, TooMany
from microtasks.engine.accounts import accounts
from microtasks.web.owner.frame import blueprint, owner, safe_next
from microtasks.web.request import (
    account,
    clear_owner_cookie,
    current_site,
    owner_required,
    owner_token,
    set_owner_cookie,
)


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
        token = accounts.set_password(current_site(), owner_token(), password, http.form.get("current", ""))
    except (InputError, Forbidden) as error:
        return _account_page(wrong=error.message), 400
    flash(_("Your password is set. Other browsers were signed out."), "ok")
    return set_owner_cookie(redirect(url_for("owner.account_page"), 303), token)  # type: ignore[arg-type]


@blueprint.post("/account/email")
@owner_required
def set_email() -> ResponseReturnValue:
    form = http.form
    try:
        accounts.set_email(current_site(), owner_token(), form.get("email", ""), form.get("current", ""))
    except (InputError, Forbidden, Conflict) as error:
        return _account_page(wrong_email=error.message), 400
    flash(_("Your address is changed. Sign in with it from now on."), "ok")
    return redirect(url_for("owner.account_page"), 303)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    accounts.sign_out(current_site(), owner_token())
    return clear_owner_cookie(redirect("/", 303))  # type: ignore[arg-type]


@blueprint.post("/account/sign-out-everywhere")
@owner_required
def sign_out_everywhere() -> ResponseReturnValue:
    accounts.sign_out_everywhere(current_site(), owner().id)
    return clear_owner_cookie(redirect(url_for("owner.sign_in"), 303))  # type: ignore[arg-type]


def _account_page(wrong: str = "", wrong_email: str = "") -> str:
    needs_current = accounts.needs_current_password(current_site(), owner_token())
    return render_template(
        "owner/account.html",
        needs_current=needs_current,
        wrong=wrong,
        wrong_email=wrong_email,
        password_min=accounts.PASSWORD_MIN,
    )
