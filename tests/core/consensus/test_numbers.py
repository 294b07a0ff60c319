"""Numbers: the median and its interval, for any values."""

from __future__ import annotations

import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.consensus import numbers

values = st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=1, max_size=30)


@given(values, st.randoms(use_true_random=False))
def test_order_changes_nothing(given_values, rng: random.Random):
    assert numbers.consensus(given_values) == numbers.consensus(rng.sample(given_values, len(given_values)))


@given(values)
def test_the_value_is_the_median_and_lies_in_its_interval(given_values):
    result = numbers.consensus(given_values)
    assert result.value == median(given_values)
    assert result.detail["interval_low"] <= result.value <= result.detail["interval_high"]
    assert 0 <= result.agreement <= 1


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=20), st.integers(1, 50))
def test_another_unit_scales_the_result(whole, factor):
    one, other = numbers.consensus(whole), numbers.consensus([factor * v for v in whole])
    assert other.value == factor * one.value
    assert other.agreement == pytest.approx(one.agreement)
    assert other.detail["huber"] == pytest.approx(factor * one.detail["huber"], abs=1e-6)


@given(st.floats(-1e6, 1e6), st.integers(1, 12))
def test_unanimous_numbers_agree_fully(value, n):
    result = numbers.consensus([value] * n)
    assert (result.value, result.agreement) == (value, 1.0)


@given(values)
def test_an_agreeing_answer_lowers_neither_agreement_nor_confidence(given_values):
    before = numbers.consensus(given_values)
    after = numbers.consensus([*given_values, before.value])
    assert after.value == before.value
    assert after.agreement >= before.agreement
    assert after.confidence >= before.confidence


def test_the_interval_is_binomial():
    # Eight sorted values: the 1st to the 8th cover the median in 99.2 %, the 2nd to the 7th in 93 %.
    assert numbers.interval([1, 2, 3, 4, 5, 6, 7, 8]) == (1, 8)
    assert numbers.interval([1, 2, 3, 4, 5, 6, 7, 8, 9]) == (2, 8)
    assert numbers.interval([3, 4]) == (3, 4)


def test_junk_answers_do_not_move_the_median_far():
    assert numbers.consensus([20, 21, 19, 22, 20, 999, 0]).value == 20


@pytest.mark.parametrize(
    ("given_values", "has"),
    [([1, 1, 2, 2, 3, 3], False), ([1, 1, 1, 9, 9, 9], True), ([1, 1, 1, 1, 1, 99], False), ([1, 9], False)],
)
def test_two_camps_are_two_groups_of_a_quarter_with_a_wide_gap(given_values, has):
    assert numbers.has_two_camps(given_values) is has
