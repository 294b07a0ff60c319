"""Lines of a table to records of cells: RFC 4180, and what R and plain tab-separated files do instead."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from microtasks.core.errors import RowInvalid
from microtasks.core.parsing.rows.text import MAX_LINE_CHARACTERS

MAX_RECORD_LINES: Final = 1000  # a text with more line breaks is rather a quotation mark left open
SEPARATORS: Final = ",;\t|"
_QUOTED = re.compile(r'(?:[^"]++|"")*+"')
_Lines = Iterable[tuple[int, str | RowInvalid]]


def records(
    numbered: _Lines, delimiter: str, n_cells: int | None = None, is_escaped: bool = False
) -> Iterator[tuple[int, list[str] | RowInvalid]]:
    r"""Split lines into cells by RFC 4180, with the line each record begins in.

    A quotation mark that is never closed fails the line where it opened; reading goes on after that line.
    n_cells: of each record, None when not known. In a table with tabs a quotation mark may also be a
    character like any other: so a record is read that fits only then. is_escaped: \" stands for a quotation
    mark inside a cell, as R's write.table writes it.
    """
    source, again = iter(numbered), deque[tuple[int, str | RowInvalid]]()
    while (first := again.popleft() if again else next(source, None)) is not None:
        number, text = first
        if isinstance(text, RowInvalid):
            yield number, text
            continue
        if '"' not in text:
            if text := text.rstrip("\r\n"):
                yield number, text.split(delimiter)
            continue
        escaped = is_escaped and '\\"' in text
        parts, opened, n_characters = [first], 0, len(text)
        is_open = _ends_open(_doubled(text) if escaped else text, delimiter)
        while is_open and (following := again.popleft() if again else next(source, None)):
            text = following[1]
            n_characters += MAX_LINE_CHARACTERS if isinstance(text, RowInvalid) else len(text)
            if len(parts) == MAX_RECORD_LINES or n_characters > MAX_LINE_CHARACTERS:
                again.appendleft(following)
                break
            parts.append(following)
            line = str(text)
            is_open, was_closed = _continues_open(_doubled(line) if is_escaped else line, delimiter)
            opened = len(parts) - 1 if is_open and was_closed else opened
        whole = "".join(str(part[1]) for part in parts)
        cells = None if is_open else _cells(_doubled(whole) if is_escaped else whole, delimiter)
        if delimiter == "\t" and (cells is None or (len(parts) > 1 and len(cells) != n_cells)):
            literal = str(first[1]).rstrip("\r\n").split(delimiter)
            if n_cells is None or len(literal) == n_cells:
                again.extendleft(reversed(parts[1:]))
                yield number, literal
                continue
        if cells is None and is_escaped and len(parts) == 1:
            cells = _cells(whole, delimiter)
        if cells is not None:
            yield number, cells
            continue
        again.extendleft(reversed(parts[opened + 1 :]))
        problem = "opened in line {} is never closed." if is_open else "in line {} stands inside a cell."
        advice = " Here it has a backslash before it; two of it would do." if '\\"' in whole else ""
        yield number, RowInvalid("A quotation mark " + problem.format(parts[opened][0]) + advice)


def dialect(sample: list[tuple[int, str | RowInvalid]], delimiter: str, n_cells: int) -> bool:
    r"""Are quotation marks written \" in these lines? Only if more of them can be read so."""
    if not any(isinstance(text, str) and '\\"' in text for _, text in sample):
        return False

    def n_bad(is_escaped: bool) -> int:
        read = records(sample, delimiter, n_cells, is_escaped)
        return sum(isinstance(cells, RowInvalid) or len(cells) != n_cells for _, cells in read)

    return n_bad(True) < n_bad(False)


def separator_of(line: str) -> str:
    """What separates the cells of a line; a tie, as of none, goes to the comma."""
    bare = re.sub(r'"[^"]*"', "", line)
    return max(SEPARATORS, key=bare.count)


def _doubled(text: str) -> str:
    return text.replace('\\"', '""')


def _ends_open(line: str, delimiter: str, at: int = 0) -> bool:
    """Does a quoted cell go on in the next line? `at` is where a cell begins."""
    while True:
        if line.startswith('"', at):
            closed = _QUOTED.match(line, at + 1)
            if closed is None:
                return True
            at = closed.end()
        at = line.find(delimiter, at)
        if at < 0:
            return False
        at += 1


def _continues_open(line: str, delimiter: str) -> tuple[bool, bool]:
    """The same for a line that begins inside a quoted cell, and whether that cell ended in it."""
    closed = _QUOTED.match(line)
    if closed is None:
        return True, False
    at = line.find(delimiter, closed.end())
    return at >= 0 and _ends_open(line, delimiter, at + 1), True


def _cells(record: str, delimiter: str) -> list[str] | None:
    csv.field_size_limit(MAX_LINE_CHARACTERS * MAX_RECORD_LINES)
    try:
        return next(csv.reader([record], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
