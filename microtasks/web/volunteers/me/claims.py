"""Keep my work by a link to an address, also on another device."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.core.errors import Forbidden, InputError, TooMany
from microtasks.engine.volunteers import claims
from microtasks.web.errors import status_of
from microtasks.web.request import become, contributor, current_site, known_person
from microtasks.web.requests.addresses import for_letter
from microtasks.web.sentences import translated
from microtasks.web.volunteers.me.frame import blueprint


@blueprint.get("/keep")
def keep() -> ResponseReturnValue:
    return _keep_page()


@blueprint.post("/keep")
def ask() -> ResponseReturnValue:
    """Send the link. The page is the same whether or not the address is known."""
    try:
        email = claims.request_link(
            current_site(), contributor(), http.form.get("email", ""), _letter, address=http.remote_addr or ""
        )
    except (InputError, TooMany) as error:
        return _keep_page(wrong=translated(error.message), email=http.form.get("email", "")), status_of(error)
    return _keep_page(sent_to=email)


@blueprint.post("/keep/code")
def keep_by_code() -> ResponseReturnValue:
    """The letter's code, typed on the device that asked for it."""
    try:
        kept = claims.keep_by_code(
            current_site(), http.form.get("code", ""), contributor(), address=http.remote_addr or ""
        )
    except Forbidden:
        wrong = _("This code is not right, or too old. Look at the last message, or ask for a new one.")
        return _keep_page(sent_to=http.form.get("email", ""), wrong_code=wrong), 403
    return _kept(kept)


@blueprint.get("/keep/<token>")
def link(token: str) -> ResponseReturnValue:
    """Ask before the link is spent."""
    link = claims.preview_link(current_site(), token, known_person())
    return render_template("volunteer/keep_link.html", link=link, token=token), 200 if link else 403


@blueprint.post("/keep/<token>")
def keep_by_link(token: str) -> ResponseReturnValue:
    try:
        kept = claims.keep_by_link(current_site(), token, contributor(), address=http.remote_addr or "")
    except Forbidden:
        return render_template("volunteer/keep_link.html", link=None, token=token), 403
    return _kept(kept)


def _keep_page(sent_to: str = "", wrong: str = "", wrong_code: str = "", email: str = "") -> str:
    who = known_person()
    return render_template(
        "volunteer/keep.html",
        emails=claims.contributions_of(current_site(), who).emails,
        sent_to=sent_to,
        wrong=wrong,
        wrong_code=wrong_code,
        email=email,
        hours=claims.LINK_HOURS,
    )


def _kept(kept: claims.KeptIdentity) -> ResponseReturnValue:
    become(kept.person)
    if kept.is_joined:
        flash(_("This device now belongs to your work. What you gave on each of them counts together."), "ok")
    else:
        flash(_("Your work is kept. To go on with it on another device, ask for a link there."), "ok")
    return redirect(url_for("me.mine"), 303)


def _letter(token: str, code: str) -> tuple[str, str]:
    """The letter with the link, in the reader's language."""
    text = _(
        "Hello,\n\n"
        "someone, probably you, asked to keep their volunteer work under this address.\n\n"
        "Open this link on the device whose work you want to keep, and press the button there:\n"
        "%(link)s\n\n"
        "Or type this code on the device on which you asked: %(code)s\n\n"
        "Both work once, for %(hours)s hours. If it was not you, do nothing: nothing happens then, "
        "and the address is deleted within a week.\n",
        link=for_letter(url_for("me.link", token=token)),
        code=code,
        hours=claims.LINK_HOURS,
    )
    return _("Keep your volunteer work"), text
