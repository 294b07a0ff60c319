"""Cached values: the more expensive to compute, the older they may be, and no older."""

from __future__ import annotations

from microtasks.store.cache import SECONDS_MAX, TIMES, Cache


class Counting:
    """A clock that stands, and a count that takes `cost_s`."""

    def __init__(self, cost_s: float) -> None:
        self.now, self.cost_s = 0.0, cost_s
        self.asked: list[list[str]] = []
        self.kept: Cache[str, int] = Cache(lambda: self.now)

    def find(self, keys: list[str]) -> dict[str, int]:
        self.asked.append(keys)
        self.now += self.cost_s
        return dict.fromkeys(keys, len(self.asked))

    def get(self, *keys: str) -> dict[str, int]:
        return self.kept.get(keys, self.find)


def test_what_costs_nothing_is_never_old() -> None:
    count = Counting(0)
    assert [count.get("a"), count.get("a")] == [{"a": 1}, {"a": 2}]


def test_what_took_a_second_is_kept_for_twenty() -> None:
    count = Counting(1)
    count.get("a")
    count.now += TIMES - 0.1
    assert count.get("a") == {"a": 1} and len(count.asked) == 1
    count.now += 0.1
    assert count.get("a") == {"a": 2}


def test_only_what_is_not_known_is_asked_for() -> None:
    count = Counting(1)
    count.get("a")
    assert count.get("a", "b") == {"a": 1, "b": 2} and count.asked == [["a"], ["b"]]


def test_nothing_is_kept_for_more_than_a_minute() -> None:
    count = Counting(100)
    count.get("a")
    count.now += SECONDS_MAX
    assert count.get("a") == {"a": 2}
