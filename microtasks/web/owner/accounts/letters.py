"""Letters about owners' accounts, in the language of who asks for them."""

from __future__ import annotations

from flask import url_for
from flask_babel import gettext as _

from microtasks.web.addresses import for_letter
from microtasks.web.request import current_site


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
