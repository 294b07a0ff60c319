"""A small time-limited cache, in this process, for expensive counts that may be a little out of date."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: A value is cached for this many times as long as it took to compute: at most a twentieth of the time goes
#: into computing.
TIMES = 20
SECONDS_MAX = 60.0
KEYS_MAX = 10_000


class Cache(Generic[K, V]):
    """Caches values, the expensive ones for longer: those of a small project are always fresh."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[K, tuple[float, V]] = {}

    def get(self, keys: Sequence[K], compute: Callable[[list[K]], dict[K, V]]) -> dict[K, V]:
        """The value of each key; `compute` gives those that are missing or too old."""
        begin = self._clock()
        values = {key: entry[1] for key in keys if (entry := self._entries.get(key)) and entry[0] > begin}
        missing = [key for key in keys if key not in values]
        if missing:
            computed = compute(missing)
            end = self._clock()
            until = end + min(SECONDS_MAX, TIMES * (end - begin))
            if len(self._entries) + len(computed) > KEYS_MAX:
                self._entries.clear()
            self._entries.update((key, (until, value)) for key, value in computed.items())
            values |= computed
        return values
