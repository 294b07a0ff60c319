"""Write tables as JSON lines: one object a row, every text exactly as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import orjson

from microtasks.engine.tabular.table import Table, plain_json
from microtasks.engine.tabular.vectors import Block, Moments, Same, Vector, are_plain

MIME = "application/x-ndjson"


def write_jsonl(table: Table) -> Iterator[bytes]:
    """Write one JSON object a line, keys as the CSV's columns; texts exactly as they are."""
    names = [column.name for column in table.columns]
    for block in table.in_blocks():
        yield _block(block, names)


def _block(block: Block, names: Sequence[str]) -> bytes:
    """The block's rows as JSON, one object a line."""
    pieces: list[Iterable[bytes]] = []
    before = b"{"
    for name, vector in zip(names, block, strict=True):
        pieces += [repeat(before + orjson.dumps(name) + b":"), _column(vector)]
        before = b","
    return b"".join(map(b"".join, zip(*pieces, repeat(b"}\n"), strict=False)))


def _column(vector: Vector) -> Iterable[bytes]:
    def written(value: Any) -> bytes:
        return orjson.dumps(value, default=plain_json, option=orjson.OPT_PASSTHROUGH_DATETIME)

    if isinstance(vector, Same):
        return repeat(written(vector.value), vector.n)
    if isinstance(vector, Moments):
        return [b'"%b"' % text.encode() if text else b"null" for text in vector.texts()]
    kinds = set(map(type, vector))
    if kinds <= {int, float, type(None)}:
        return written(vector)[1:-1].split(b",")
    if kinds == {str} and are_plain(vector):
        return ('"' + '"\n"'.join(vector) + '"').encode().split(b"\n")
    if kinds <= {str, type(None)}:
        known = {value: written(value) for value in set(vector)}
        return map(known.__getitem__, vector)
    return map(written, vector)
