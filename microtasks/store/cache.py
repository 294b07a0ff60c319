"""Figures that are dear to count and good enough when a little old, kept in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: What was found is kept for so many times the time that finding it took: counting takes a twentieth at most.
TIMES = 20
SECONDS_MAX = 60.0
KEYS_MAX = 10_000


class Kept(Generic[K, V]):
    """Remembers values, each for as long as it was dear: a small project's are always fresh."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[K, tuple[float, V]] = {}

    def get(self, keys: Sequence[K], find: Callable[[list[K]], dict[K, V]]) -> dict[K, V]:
        """The value of each key; `find` gives those that are not known, or too old."""
        begin = self._clock()
        values = {key: kept[1] for key in keys if (kept := self._found.get(key)) and kept[0] > begin}
        missing = [key for key in keys if key not in values]
        if missing:
            found = find(missing)
            end = self._clock()
            until = end + min(SECONDS_MAX, TIMES * (end - begin))
            if len(self._found) + len(found) > KEYS_MAX:
                self._found.clear()
            self._found.update((key, (until, value)) for key, value in found.items())
            values |= found
        return values
