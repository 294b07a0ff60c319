"""Everybody's accounts, for operators alone: listed, made, disabled, deleted, and who else is an operator."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.core.errors import Conflict, Forbidden, InputError
from microtasks.engine.accounts import accounts
from microtasks.web.errors import status_of
from microtasks.web.owner.accounts import letters
from microtasks.web.owner.frame import blueprint, operator_only
from microtasks.web.request import current_site, owner_required
from microtasks.web.requests.addresses import absolute

#: What an operator may do with an account, by the name of the button.
STEPS = ("disable", "enable", "make_operator", "end_operator", "reset", "delete")


@blueprint.get("/accounts")
@owner_required
def directory() -> ResponseReturnValue:
    """Every account, and a form to make one."""
    operator_only()
    return _page()


@blueprint.post("/accounts")
@owner_required
def add_account() -> ResponseReturnValue:
    """Make an account. Its link goes out by mail, and is on this page, this once."""
    operator_only()
    email, site = http.form.get("email", ""), current_site()
    try:
        token = accounts.invite(site, email, letters.welcome, is_operator=bool(http.form.get("operator")))
    except (InputError, Conflict) as error:
        return _page(wrong=error.message, email=email), status_of(error)
    return _page(link=absolute(url_for("owner.link", token=token)), link_for=email.strip())


@blueprint.post("/accounts/<int:account_id>")
@owner_required
def change_account(account_id: int) -> ResponseReturnValue:
    """One step with one account; deleting asks for its address once more."""
    me, site, step = operator_only(), current_site(), http.form.get("step", "")
    email = accounts.address_of(site, account_id)
    if step not in STEPS:
        raise InputError(_("There is no such step."))
    if account_id == me.id and step in ("disable", "reset", "delete"):
        return _page(wrong=_("This is your own account. Let another operator do it.")), 409
    try:
        if step == "disable":
            accounts.disable(site, email)
            flash(_("%(who)s is shut out, at once.", who=email), "ok")
        elif step == "enable":
            accounts.enable(site, email)
            flash(_("%(who)s may sign in again.", who=email), "ok")
        elif step == "reset":
            token = accounts.give(site, email).token
            return _page(link=absolute(url_for("owner.link", token=token)), link_for=email)
        elif step == "delete":
            if http.form.get("address", "").strip().lower() != email.lower():
                raise InputError(_("Type the address of the account that is to be deleted."))
            accounts.delete(site, email)
            flash(_("The account %(who)s is deleted.", who=email), "ok")
        else:
            accounts.set_operator(site, email, is_operator=step == "make_operator")
            flash(_("Done: %(who)s.", who=email), "ok")
    except (InputError, Conflict, Forbidden) as error:
        return _page(wrong=error.message), status_of(error)
    return redirect(url_for("owner.directory"), 303)


def _page(*, link: str = "", link_for: str = "", wrong: str = "", email: str = "") -> str:
    settings = current_site().settings
    return render_template(
        "owner/accounts.html",
        rows=accounts.listed(current_site()),
        link=link,
        link_for=link_for,
        wrong=wrong,
        email=email,
        minutes=settings.signin_link_minutes,
        has_server=bool(settings.smtp_url.get_secret_value()),
    )
