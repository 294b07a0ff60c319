"""Write tables as CSV, for programs and for Excel, and undo what was done for the sake of spreadsheets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any

from microtasks.core.parsing.formulas import escape_formulas
from microtasks.engine.tabular.table import Table, flat, utc
from microtasks.engine.tabular.vectors import Block, Moments, Same, Vector, are_plain, number_texts

MIME = "text/csv; charset=utf-8"

#: Languages whose countries write 0,5 and part cells by semicolons.
COMMA_LANGUAGES = frozenset(
    (
        *(
            "af",
            "az",
            "be",
            "bg",
            "bs",
            "ca",
            "cs",
            "da",
            "de",
            "el",
            "es",
            "et",
            "eu",
            "fi",
            "fo",
            "fr",
            "gl",
        ),
        *(
            "hr",
            "hu",
            "hy",
            "id",
            "is",
            "it",
            "ka",
            "kk",
            "kl",
            "ky",
            "lb",
            "lt",
            "lv",
            "mk",
            "nb",
            "nl",
            "nn",
        ),
        *("no", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "tr", "uk", "uz", "vi"),
    )
)
#: Countries that write 0.5 though their language elsewhere does not.
POINT_COUNTRIES = frozenset(
    (
        "de-ch",
        "de-li",
        "es-mx",
        "es-us",
        "es-pr",
        "es-gt",
        "es-hn",
        "es-ni",
        "es-pa",
        "es-pe",
        "es-sv",
        "es-do",
    )
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to write CSV. decimal: the sign in numbers. has_mark: a byte order mark comes first.

    dates: strftime's form of times; "" for ISO 8601. raw: texts as they are, formulas too.
    """

    separator: str = ","
    decimal: str = "."
    has_mark: bool = False
    dates: str = ""
    raw: bool = False


PROGRAMS = Dialect()


def excel(language: str) -> Dialect:
    """The CSV that an Excel of this language (BCP 47) opens rightly by a double click."""
    tag = language.lower().replace("_", "-")
    is_comma = tag.split("-")[0] in COMMA_LANGUAGES and tag not in POINT_COUNTRIES
    separator, decimal = (";", ",") if is_comma else (",", ".")
    return Dialect(separator, decimal, has_mark=True, dates="%Y-%m-%d %H:%M:%S")


def write_csv(table: Table, dialect: Dialect = PROGRAMS) -> Iterator[bytes]:
    """Write UTF-8 CSV (RFC 4180: lines end in CR LF), a header first. Times are ISO 8601 in UTC."""
    guard: Callable[[str], str] = str if dialect.raw else escape_formulas
    written = _Written(dialect, guard)
    header = _block([[column.name] for column in table.columns], written, dialect.separator)
    yield (("\ufeff" if dialect.has_mark else "") + header).encode()
    for block in table.in_blocks():
        yield _block(block, written, dialect.separator).encode()


class _Written:
    """How one value stands in a cell, before it is quoted."""

    def __init__(self, dialect: Dialect, guard: Callable[[str], str]) -> None:
        self.dates, self.decimal, self.guard = dialect.dates, dialect.decimal, guard
        #: Are numbers and times as they are made a column at a time?
        self.is_usual = dialect.decimal == "." and not dialect.dates

    def __call__(self, value: Any) -> str:
        if isinstance(value, str):
            return self.guard(value)
        if value is None:
            return ""
        if isinstance(value, datetime) and self.dates:
            return utc(value).strftime(self.dates)
        if isinstance(value, float) and self.decimal != ".":
            return repr(value).replace(".", self.decimal)
        cell = flat(value)
        return self.guard(cell) if isinstance(cell, str) else str(cell)


#: A cell that must be quoted (RFC 4180), or that another country's spreadsheet would part.
_QUOTED = re.compile('[",;\t\r\n]')


def _block(block: Block, written: _Written, separator: str) -> str:
    """The block's rows as CSV."""
    columns = [_column(vector, written) for vector in block]
    return "\r\n".join([*map(separator.join, zip(*columns, strict=True)), ""])


def _column(vector: Vector, written: _Written) -> Iterable[str]:
    def quoted(value: Any) -> str:
        text = written(value)
        return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text

    if isinstance(vector, Same):
        return repeat(quoted(vector.value), vector.n)
    if isinstance(vector, Moments):
        return vector.texts() if written.is_usual else map(quoted, vector.plain())
    kinds = set(map(type, vector))
    if kinds == {float} and written.is_usual:
        return number_texts(vector)
    if kinds == {str} and are_plain(vector):
        return vector
    if kinds <= {str, type(None), int}:
        different = set(vector)
        if kinds == {int} and len(different) > len(vector) / 10:
            return number_texts(vector)
        texts = {value: quoted(value) for value in different}
        return map(texts.__getitem__, vector)
    return map(quoted, vector)
