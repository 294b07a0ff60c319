"""What the layers below say to volunteers when something does not fit, in the reader's language.

Those layers speak English and know no reader. `translated` finds what they said in the list below; what is
not in it (an owner's error, a rare one) stays English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from flask_babel import get_locale, gettext


def N_(text: str) -> str:
    """Mark a text for the catalogues."""
    return text


#: %(name)s stands for what the sentence is filled with.
SENTENCES = (
    # an answer does not fit
    N_("This answer does not fit its task."),
    N_("Please answer this one."),
    N_("Please choose one of the answers offered."),
    N_("Please choose among the answers offered."),
    N_("Please choose from %(low)s to %(high)s."),
    N_("Please write a text."),
    N_("Please write at most %(n)s characters."),
    N_("Please give a number."),
    N_("The smallest number possible is %(n)s."),
    N_("The greatest number possible is %(n)s."),
    N_("This number is too great."),
    N_("Please choose tags of the list."),
    N_("Please choose at least %(n)s."),
    N_("Please choose at most %(n)s."),
    N_("Custom tags are short: at most %(n)s characters, no |."),
    N_("Please make at most %(n)s marks."),
    N_("Please choose one of the classes offered."),
    N_("Things smaller than %(n)s pixels are not marked here."),
    N_("The middle of a mark must lie inside the image."),
    N_("This circle is larger than the image."),
    N_("This box is larger than the image."),
    N_("This answer holds characters that cannot be stored."),
    N_("Only your last %(n)s answers can be changed."),
    N_("An answer that was given cannot be skipped any more."),
    N_("You have not answered this task."),
    N_("You have given another answer to this task, and that one stands."),
    N_("You have answered very many tasks in a short time. Please go on in a minute."),
    N_("You were told what is right here, so this answer stays as it is."),
    # a task or a project is not there
    N_("This task was not handed out to you."),
    N_("This task was handed out to someone else."),
    N_("This task no longer exists."),
    N_("This version of the project is gone."),
    N_("There is no project called %(name)s."),
    N_("There is nothing here."),
    # not now
    N_("Please give a reason, and a note of at most 1000 characters."),
    N_("You have reported very many items. Please go on in an hour."),
    N_("Very many people are starting from your network. Please try again in a little while."),
    N_("Too many at once. Please wait a moment."),
    N_("The database does not answer at the moment. Please try again."),
    N_("A service we need does not answer at the moment. Please try again shortly."),
    N_("Several messages were asked for already. Please check your mail, or wait an hour."),
    N_("Too many tries. Please wait five minutes."),
    N_("You have made many certificates. Please wait an hour."),
    N_("You have made several teams already. Please wait an hour."),
    # keeping work, certificates, teams
    N_("This is not an e-mail address."),
    N_("This link does not work any more. Ask for a new one."),
    N_("This browser was joined to another one meanwhile. Reload the page and try again."),
    N_("Please write the name as it should stand there, in at most 80 characters."),
    N_("There is nothing to certify yet."),
    N_("There is no such certificate. It may have been deleted by the person it was about."),
    N_("There is no such certificate."),
    N_("Please give the team a name of at most 80 characters."),
    N_("Keep your work first: then you can make a team."),
    N_("There is no team with this code."),
    N_("You are not in this team."),
    N_("Please choose one of the faces."),
    # another site
    N_("This request came from another site, or the proxy in front of it did not pass on the header Host."),
    N_("This site is not known by the name in this request."),
    N_("This form is out of date. Go back, reload the page and try again."),
)


def translated(message: str) -> str:
    """The sentence in the reader's language."""
    locale = get_locale()  # None outside a request
    if locale is None or locale.language == "en":
        return message
    for sentence, pattern in _patterns():
        if match := pattern.fullmatch(message):
            return str(gettext(sentence, **match.groupdict()))
    return message


def translated_error(error: Mapping[str, Any]) -> dict[str, Any]:
    """An error in its JSON shape (`error`, `message`, `details`) with its sentences translated."""
    details = dict(error.get("details") or {})
    if isinstance(details.get("problems"), list | tuple):
        details["problems"] = [{**item, "what": translated(item["what"])} for item in details["problems"]]
    return {**error, "message": translated(error["message"]), "details": details}


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    def pattern(sentence: str) -> re.Pattern[str]:
        return re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.{1,200})", re.escape(sentence)), re.DOTALL)

    return tuple((sentence, pattern(sentence)) for sentence in SENTENCES)
