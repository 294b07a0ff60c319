"""Every error the engine raises on purpose. The message defaults to the docstring; data is in attributes.

MicrotasksError
├── InputError              what was sent cannot be used
│   ├── ConfigInvalid       a project's settings do not fit its task type
│   ├── AnswerInvalid       an answer does not fit its task
│   ├── JsonInvalid         not acceptable JSON
│   ├── FileInvalid         an uploaded file cannot be used at all
│   ├── RowInvalid          one row or one file of a batch cannot become a task
│   └── LeaseInvalid        the lease token is not one that was given to this contributor
├── NotFound                there is nothing by that name, or it is not yours
├── Forbidden               you may not do this
├── SignInRequired          sign in first
│   └── TokenRequired       send a good API token
├── Conflict                it is already so, or something else is in the way
│   └── ProjectNotReady     the project cannot be published yet
├── TooMany                 slow down
├── Unavailable             a server we depend on does not answer
└── SettingsInvalid         the settings cannot work, or are not safe
"""

from __future__ import annotations

from typing import Any, ClassVar


class MicrotasksError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.details = details
        super().__init__(self.message)


class InputError(MicrotasksError):
    """What was sent cannot be used."""

    code = "invalid"


class ConfigInvalid(InputError):
    """These settings do not fit the type of task."""

    code = "config_invalid"


class AnswerInvalid(InputError):
    """This answer does not fit its task."""

    code = "answer_invalid"


class JsonInvalid(InputError):
    """This is not acceptable JSON."""

    code = "json_invalid"


class FileInvalid(InputError):
    """This file cannot be used."""

    code = "file_invalid"


class RowInvalid(InputError):
    """This row cannot become a task."""

    code = "row_invalid"


class LeaseInvalid(InputError):
    """This task was not handed out to you."""

    code = "lease_invalid"


class NotFound(MicrotasksError):
    """There is nothing here."""

    code = "not_found"


class Forbidden(MicrotasksError):
    """You may not do this."""

    code = "forbidden"


class SignInRequired(MicrotasksError):
    """Please sign in first."""

    code = "sign_in_required"


class TokenRequired(SignInRequired):
    """Send an API token, as Authorization: Bearer mt_... This one is missing, wrong, too old or revoked."""

    code = "token_required"


class Conflict(MicrotasksError):
    """Something else is in the way."""

    code = "conflict"


class AlreadyAnswered(Conflict):
    """You have given another answer to this task, and that one stands."""

    code = "already_answered"


class ProjectNotReady(Conflict):
    """This project cannot be published yet."""

    code = "project_not_ready"


class TooMany(MicrotasksError):
    """Too many at once. Please wait a moment."""

    code = "too_many"


class Unavailable(MicrotasksError):
    """A service we need does not answer at the moment. Please try again shortly."""

    code = "unavailable"


class SettingsInvalid(MicrotasksError):
    """The settings cannot work."""

    code = "settings_invalid"
