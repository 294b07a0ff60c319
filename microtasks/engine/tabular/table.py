"""What is written: a table of plain values, a file that is made while it is read, values as text and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from microtasks.core.parsing.lists import join_list
from microtasks.core.values import Column
from microtasks.engine.tabular.vectors import Block, in_blocks

#: Bytes gathered before they are passed on.
BUFFER = 1 << 16
#: Rows of a table that are written together where its reader gives them one by one.
BLOCK_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, and rows that have one plain value for each; blocks: the same rows, many at a time.

    Either is read, once, not both.
    """

    columns: tuple[Column, ...]
    rows: Iterator[tuple[Any, ...]]
    blocks: Iterator[Block] | None = None

    def in_blocks(self) -> Iterator[Block]:
        """The rows, a column at a time: as the table's reader has them, or gathered."""
        return self.blocks if self.blocks is not None else in_blocks(self.rows, BLOCK_ROWS)


@dataclass(frozen=True, slots=True)
class File:
    """One file of an export. chunks: its bytes, made while they are read. columns: of a table, its own.

    is_listed: a package describes it by itself; not so images, of which there are very many.
    """

    name: str
    mime: str
    chunks: Iterator[bytes]
    table: str = ""
    columns: tuple[Column, ...] = ()
    is_listed: bool = True


def utc(moment: datetime) -> datetime:
    """The same moment in UTC."""
    return moment.astimezone(UTC)


def iso(moment: datetime) -> str:
    """A moment as ISO 8601 in UTC, to the millisecond: 2026-01-02T03:04:05.678Z."""
    return utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(moment: datetime | None) -> str | None:
    """The same; None where there is none."""
    return None if moment is None else iso(moment)


def flat(value: Any) -> Any:
    """A value as one cell holds it: a list of plain values joined by |, other structures as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, float)) for item in value):
        return join_list(value)
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False)
    return value


def flat_text(value: Any) -> str:
    """A value as text, as a page shows it; nothing is escaped."""
    cell = flat(value)
    return "" if cell is None else str(cell)


def plain_json(value: Any) -> Any:
    """What orjson does not know by itself: times, in UTC."""
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(type(value).__name__)


def to_json(value: Any) -> bytes:
    """One value as compact JSON, times in UTC."""
    return orjson.dumps(value, default=plain_json, option=orjson.OPT_PASSTHROUGH_DATETIME)


def json_list(items: Iterable[Any], head: bytes = b"[", tail: bytes = b"]") -> Iterator[bytes]:
    """Write a JSON list one item at a time; `head` and `tail` may put it inside an object."""
    gathered, size, comma = [head], 0, b"\n"
    for item in items:
        gathered.append(comma + to_json(item))
        comma = b",\n"
        size += len(gathered[-1])
        if size >= BUFFER:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join((*gathered, b"\n", tail, b"\n"))
