"""The vote: properties that hold for any votes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.consensus import voting

votes = st.lists(st.sampled_from("abcd"), min_size=1, max_size=25)


def fold(labels: list[str], n_choices: int = 4) -> voting.Verdict:
    return voting.plurality(voting.tally((label, 1.0) for label in labels), n_choices)


@given(votes, st.randoms(use_true_random=False))
def test_order_changes_nothing(labels, rng: random.Random):
    assert fold(labels) == fold(rng.sample(labels, len(labels)))


@given(votes, st.permutations("abcd"))
def test_renaming_the_choices_renames_the_result(labels, names):
    rename = dict(zip("abcd", names, strict=True))
    one, other = fold(labels), fold([rename[label] for label in labels])
    assert (one.agreement, one.confidence, one.lead) == (other.agreement, other.confidence, other.lead)
    assert (rename[one.value] if one.value else None) == other.value
    assert {rename[label] for label in one.tied} == set(other.tied)


@given(votes, st.integers(2, 5))
def test_every_answer_given_k_times_changes_no_value(labels, k):
    one, other = fold(labels), fold(labels * k)
    assert (one.value, set(one.tied)) == (other.value, set(other.tied))
    assert abs(one.agreement - other.agreement) < 1e-12


@given(votes)
def test_an_agreeing_answer_lowers_neither_agreement_nor_confidence(labels):
    before = fold(labels)
    for value in [before.value] if before.value else before.tied:
        after = fold([*labels, value])
        assert after.agreement >= before.agreement
        assert after.confidence >= before.confidence


@given(votes)
def test_a_tie_has_no_value_and_names_all_that_tie(labels):
    result = fold(labels)
    top = max(labels.count(label) for label in labels)
    best = {label for label in labels if labels.count(label) == top}
    if len(best) == 1:
        assert ({result.value}, result.tied) == (best, ())
    else:
        assert (result.value, set(result.tied)) == (None, best)


@given(votes)
def test_shares_and_probabilities_are_between_0_and_1(labels):
    result = fold(labels)
    assert 0 < result.agreement <= 1
    assert 0 < result.confidence < 1 or result.confidence == 1.0


@given(st.lists(st.sampled_from("ab"), min_size=3, max_size=3))
def test_one_of_three_never_decides_against_the_other_two(labels):
    for k in range(3):
        others = labels[:k] + labels[k + 1 :]
        if others[0] == others[1]:
            assert fold(labels).value == others[0]


@given(st.dictionaries(st.sampled_from("abc"), st.floats(0.1, 9), min_size=1), st.floats(0.1, 9))
def test_an_agreeing_answer_of_any_weight_never_lowers_the_confidence(support, weight):
    value = max(support, key=lambda label: support[label])
    more = support | {value: support[value] + weight}
    assert voting.confidence(more, value, 4) >= voting.confidence(support, value, 4)


def test_cant_tell_counts_against():
    result = voting.plurality({"a": 2.0}, 2, against=2.0)
    assert (result.value, result.agreement) == ("a", 0.5)


def test_five_alike_of_two_choices_are_surer_than_three():
    assert fold(["a"] * 3, 2).confidence < fold(["a"] * 5, 2).confidence < 0.97


@given(st.integers(1, 9), st.integers(0, 9))
def test_each_choice_is_in_by_more_than_half_and_tied_at_half(yes, no):
    result = voting.each({"x": float(yes)}, float(yes + no))
    if yes > no:
        assert result.value == ["x"]
    elif yes < no:
        assert result.value == []
    else:
        assert (result.value, result.tied) == (None, ("x",))


def test_a_threshold_below_half_is_reached_at_equality():
    assert voting.each({"x": 1.0}, 3.0, threshold=1 / 3).value == ["x"]
    assert voting.each({"x": 1.0}, 4.0, threshold=1 / 3).value == []


def test_entropy_is_nothing_when_all_agree_and_one_when_evenly_spread():
    assert voting.entropy({"a": 5}, 3) == 0.0
    assert voting.entropy({}, 3) == 0.0
    assert voting.entropy({"a": 2, "b": 2, "c": 2}, 3) == 1.0
    assert voting.entropy({"a": 2, "b": 2}, 2) == 1.0
    assert 0 < voting.entropy({"a": 4, "b": 1}, 2) < voting.entropy({"a": 3, "b": 2}, 2) < 1
    assert voting.entropy({"a": 1, "b": 2}, 2) == voting.entropy({"b": 2, "a": 1}, 2)
