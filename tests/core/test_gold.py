"""When gold is served, and what a gold record says."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.gold import is_due, score


def walk(share: float, n: int, seed: int) -> list[bool]:
    rng, seen, served = random.Random(seed), 0, []
    for k in range(n):
        served.append(is_due(k, seen, share, rng))
        seen += served[-1]
    return served


def test_no_gold_where_the_project_wants_none():
    assert not any(walk(0.0, 100, 1))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_newcomers_meet_twice_the_share_and_later_the_share(share):
    walks = [walk(share, 200, seed) for seed in range(40)]
    first = sum(sum(one[:20]) for one in walks) / (20 * 40)
    later = sum(sum(one[20:]) for one in walks) / (180 * 40)
    assert first == pytest.approx(min(0.5, 2 * share), rel=0.25)
    assert later == pytest.approx(share, rel=0.2)


@given(st.floats(0.01, 0.5), st.integers(0, 1000))
def test_never_far_behind_the_share_and_never_far_ahead(share, seed):
    seen = 0
    for k, gold in enumerate(walk(share, 120, seed)):
        seen += gold
        n_new = min(k + 1, 20)
        expected = min(0.5, 2 * share) * n_new + share * (k + 1 - n_new)
        assert expected - 2.01 <= seen <= expected + 2.01


def test_a_score_is_shrunk_to_the_average_volunteer():
    assert score(0.0, 0) == pytest.approx(0.7)
    assert 0.7 < score(3.0, 3) < 1.0
    assert score(100.0, 100) > 0.98
    assert score(0.0, 20) < 0.13
