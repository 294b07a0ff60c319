"""Letters about owners' accounts, in the language of who asks for them."""

from __future__ import annotations

from flask import url_for
from flask_babel import gettext as _

from microtasks.engine.accounts import accounts
from microtasks.web.request import current_site
from microtasks.web.requests.addresses import for_letter


def forgotten(token: str) -> tuple[str, str]:
    """Subject and text for who has forgotten their password."""
    text = _(
        "Hello,\n\n"
        "someone, probably you, asked for a way back into the account with this address.\n\n"
        "Open this link, press the button there, and set a new password:\n"
        "%(link)s\n\n"
        "It works once, for %(minutes)s minutes. If it was not you, do nothing: nothing has changed.\n",
        link=for_letter(url_for("owner.link", token=token)),
        minutes=current_site().settings.signin_link_minutes,
    )
    return _("Sign in and set a new password"), text


def join(proof: str) -> tuple[str, str]:
    """Subject and text for who wants to join a project with a new account."""
    text = _(
        "Hello,\n\n"
        "someone, probably you, was invited to a project and gave this address.\n\n"
        "Open this link, set a password there, and you are in:\n"
        "%(link)s\n\n"
        "It works once, for %(hours)s hours. If it was not you, do nothing: there is no account then.\n",
        link=for_letter(url_for("owner.join", proof=proof)),
        hours=accounts.PROOF_HOURS,
    )
    return _("Join the project"), text


def new_address(token: str, old: str, new: str) -> tuple[str, str]:
    """Subject and text for both addresses of an account that is to change from one to the other."""
    text = _(
        "Hello,\n\n"
        "the account %(old)s is to have another address: %(new)s.\n\n"
        "Both addresses are asked. To say yes for this one, open this link and press the button there:\n"
        "%(link)s\n\n"
        "It works once, for %(hours)s hours. If you did not ask for it, do nothing, so that nothing "
        "changes, and set a new password.\n",
        link=for_letter(url_for("owner.address_link", token=token)),
        old=old,
        new=new,
        hours=accounts.PROOF_HOURS,
    )
    return _("Change the address of your account"), text


def welcome(token: str) -> tuple[str, str]:
    """Subject and text for who was given an account."""
    text = _(
        "Hello,\n\n"
        "you have an account on this site, to run projects with volunteers.\n\n"
        "Open this link, press the button there, and set a password:\n"
        "%(link)s\n\n"
        "It works once, for %(minutes)s minutes. Later, ask for another one at:\n"
        "%(again)s\n",
        link=for_letter(url_for("owner.link", token=token)),
        minutes=current_site().settings.signin_link_minutes,
        again=for_letter(url_for("owner.forgotten")),
    )
    return _("Your account"), text
