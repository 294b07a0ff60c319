"""Lists in one cell: values joined by |, those that hold a | or a quotation mark in quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ITEM = re.compile(r'"((?:[^"]|"")*)"(?:\||$)|([^|]*)(?:\||$)')


def join_list(values: Iterable[object]) -> str:
    """Join values by |, so that `split_list` gives them back.

    >>> join_list(["cat", "a|b"])
    'cat|"a|b"'
    """
    return "|".join(map(_quoted, map(str, values)))


def split_list(cell: str) -> list[str]:
    """The values of a cell that `join_list` or a person wrote; [] for an empty one.

    >>> split_list('cat|"a|b"')
    ['cat', 'a|b']
    """
    values: list[str] = []
    place = 0
    while place < len(cell):
        item = _ITEM.match(cell, place)
        assert item is not None  # noqa: S101  (its second half matches anything)
        quoted, plain = item.groups()
        values.append(plain if quoted is None else quoted.replace('""', '"'))
        place = item.end()
    return [*values, ""] if cell.endswith("|") and not cell.endswith('"|"') else values


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if "|" in text or text.startswith('"') else text
