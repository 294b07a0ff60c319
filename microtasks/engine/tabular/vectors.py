"""Tables in blocks: a chunk of rows as columns of plain values, to be written a column at a time.

Each column is written by the rule of what it holds, so most values are never looked at one by one.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, Final

import orjson

if (
    TYPE_CHECKING
):  # numpy is loaded where an array is in hand: the web process has none until somebody exports
    import numpy as np
    from numpy.typing import NDArray

NO_TIME: Final = -(2**63)
_1970 = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def _ends() -> list[str]:
    """The seconds of a time, for each millisecond of a minute."""
    return [f":{second:02}.{rest:03}Z" for second in range(60) for rest in range(1000)]


@dataclass(frozen=True, slots=True)
class Same:
    """A column of one value."""

    value: Any
    n: int


@dataclass(frozen=True, slots=True)
class Moments:
    """A column of times: microseconds of Unix time; NO_TIME where there is none."""

    values: NDArray[np.int64]

    def texts(self) -> list[str]:
        """ISO 8601 in UTC to the millisecond, as 2026-01-02T03:04:05.678Z; empty where there is none."""
        import numpy as np

        if self.values.size and (self.values == NO_TIME).all():
            return [""] * self.values.size
        minutes, rest = np.divmod(np.floor_divide(self.values, 1000), 60_000)
        different, which = np.unique(minutes, return_inverse=True)
        names: list[str] = np.datetime_as_string(different.astype("datetime64[m]")).tolist()
        beginnings, ends = map(names.__getitem__, which.tolist()), map(_ends().__getitem__, rest.tolist())
        texts = list(map(operator.add, beginnings, ends))
        for place in np.flatnonzero(self.values == NO_TIME):
            texts[place] = ""
        return texts

    def plain(self) -> list[datetime | None]:
        return [
            None if value == NO_TIME else _1970 + timedelta(microseconds=value)
            for value in self.values.tolist()
        ]


Vector = list[Any] | Same | Moments
Block = Sequence[Vector]


def plain(vector: Vector) -> Iterable[Any]:
    """The values of a column, one by one."""
    if isinstance(vector, Same):
        return repeat(vector.value, vector.n)
    return vector.plain() if isinstance(vector, Moments) else vector


def rows(blocks: Iterable[Block]) -> Iterator[tuple[Any, ...]]:
    """The rows of all blocks."""
    for block in blocks:
        yield from zip(*map(plain, block), strict=True)


def in_blocks(rows: Iterable[tuple[Any, ...]], n: int = 20_000) -> Iterator[Block]:
    """Rows as blocks of at most `n`."""
    rows = iter(rows)
    while chunk := list(islice(rows, n)):
        yield [list(column) for column in zip(*chunk, strict=True)]


def number_texts(vector: list[Any]) -> list[str]:
    """Numbers as Python writes them. orjson is faster, and differs only where there is an exponent."""
    texts = orjson.dumps(vector)[1:-1].decode()
    if "e" in texts or "0.0000" in texts:
        return repr(vector)[1:-1].split(", ")
    return texts.split(",")


#: What a text may hold that is written as it is, wherever it stands; - is a formula at the beginning alone.
_PLAIN = (
    bytes(range(ord("0"), ord("9") + 1)) + b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_./:() -"
)


def are_plain(texts: list[str]) -> bool:
    """Do all of these need neither quotes nor a guard, as ids and names of files do? False: look at each."""
    packed = "\n".join(["", *texts]).encode()
    if packed.translate(None, _PLAIN + b"\n") or b"\n-" in packed:
        return False
    return packed.count(b"\n") == len(texts)  # no text of two lines
