"""Ways of answering that cannot be real work, and those that only look so."""

from __future__ import annotations

import pytest

from microtasks.core.suspicion import Record, at_least, habits


def test_always_the_same_answer_where_others_differ():
    assert habits(Record(30, same_share=1.0, others_same_share=0.5)) == ["always_the_same"]


def test_always_the_same_answer_is_right_where_everybody_says_so():
    assert habits(Record(200, same_share=1.0, others_same_share=0.99)) == []


def test_newcomers_are_not_judged():
    assert habits(Record(9, same_share=1.0, others_same_share=0.1, seconds=[0.1] * 9, others_seconds=9)) == []


@pytest.mark.parametrize(
    ("seconds", "others", "found"),
    [(0.4, 8.0, ["too_fast"]), (0.4, 1.0, []), (3.0, 20.0, []), (7.0, 8.0, [])],
)
def test_too_fast_is_far_below_the_others_and_below_two_seconds(seconds, others, found):
    assert habits(Record(20, seconds=[seconds] * 20, others_seconds=others)) == found


def test_far_too_many_marks_on_the_same_images():
    assert habits(Record(5, marks=[90, 80, 100], others_marks=[5, 6, 5])) == ["too_many_marks"]
    assert habits(Record(5, marks=[9, 8, 10], others_marks=[1, 1, 1])) == []


def test_marks_of_one_size_only_where_others_differ():
    assert habits(Record(5, n_sizes=40, one_size_share=1.0, others_one_size_share=0.1)) == ["one_size"]
    assert habits(Record(5, n_sizes=40, one_size_share=1.0, others_one_size_share=0.9)) == []


def test_the_binomial_tail_is_exact():
    assert at_least(2, 2, 0.5) == pytest.approx(0.25)
    assert at_least(0, 5, 0.3) == pytest.approx(1.0)
    assert (at_least(1, 5, 0.0), at_least(5, 5, 1.0)) == (0.0, 1.0)
