"""Types of what this project uses of Flask-Babel, which brings none."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from babel import Locale
from babel.support import NullTranslations
from flask import Flask

class Domain:
    cache: dict[str, NullTranslations]
    def get_translations(self) -> NullTranslations: ...

class Babel:
    domain_instance: Domain
    def __init__(
        self,
        app: Flask | None = ...,
        *,
        locale_selector: Callable[[], str] | None = ...,
        default_locale: str = ...,
    ) -> None: ...

def gettext(string: str, **variables: Any) -> str: ...
def ngettext(singular: str, plural: str, num: int, **variables: Any) -> str: ...
def get_locale() -> Locale: ...
def force_locale(locale: str) -> AbstractContextManager[None]: ...
def format_date(date: date | datetime | None = ..., format: str | None = ..., rebase: bool = ...) -> str: ...
def format_time(time: time | datetime | None = ..., format: str | None = ..., rebase: bool = ...) -> str: ...
def format_decimal(number: float | Decimal, format: str | None = ...) -> str: ...
def format_timedelta(
    datetime_or_timedelta: datetime | timedelta,
    granularity: str = ...,
    add_direction: bool = ...,
    threshold: float = ...,
) -> str: ...
