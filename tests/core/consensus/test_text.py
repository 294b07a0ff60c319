"""Short texts: equal ones win, the nearest stands in, and no consensus is said."""

from __future__ import annotations

import random
import string

from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.consensus import text

words = st.lists(st.sampled_from(["river", "bend", "house", "Hill", "old"]), min_size=1, max_size=4).map(
    " ".join
)
texts = st.lists(words, min_size=1, max_size=8)


@given(texts, st.randoms(use_true_random=False))
def test_order_changes_nothing(given_texts, rng: random.Random):
    assert text.consensus(given_texts) == text.consensus(rng.sample(given_texts, len(given_texts)))


@given(words, st.integers(1, 6))
def test_unanimous_texts_agree_fully(one, n):
    result = text.consensus([one] * n)
    assert (result.value, result.agreement, result.detail["basis"]) == (one, 1.0, "same")


@given(texts)
def test_the_value_is_one_of_the_answers_or_a_tie(given_texts):
    result = text.consensus(given_texts)
    assert result.value in given_texts or len(result.tied) > 1


@given(words, words, words)
def test_two_the_same_of_three_always_win(same, other, third):
    result = text.consensus([same, same, other])
    assert result.value == same or text.normalise(same) == text.normalise(result.value)


@given(texts)
def test_an_agreeing_answer_never_lowers_the_confidence(given_texts):
    before = text.consensus(given_texts)
    if before.value is not None:
        after = text.consensus([*given_texts, before.value])
        assert text.normalise(after.value) == text.normalise(before.value)
        assert after.confidence >= before.confidence
        assert after.agreement >= before.agreement


def test_two_different_texts_alone_are_a_tie():
    result = text.consensus(["abc", "xyz"])
    assert (result.value, result.tied) == (None, ("abc", "xyz"))


def test_the_most_frequent_spelling_is_shown():
    assert text.consensus(["New York", "new york", "New York"]).value == "New York"


def test_the_nearest_stands_in_where_no_two_are_the_same():
    result = text.consensus(["the old mill", "the old mil", "the odd mill", "zzz"])
    assert result.value == "the old mill"
    assert result.detail["basis"] == "closest"


def test_texts_that_have_nothing_in_common_are_said_to_have_no_consensus():
    alphabet = string.ascii_lowercase
    result = text.consensus([alphabet[k : k + 4] for k in (0, 5, 10, 15, 20)] + ["abxy"])
    assert result.detail["basis"] == "none"


def test_words_that_others_read_too_are_counted():
    result = text.consensus(["the old mill", "the old hill", "the old mill"])
    assert result.detail["word_agreement"] == [1.0, 1.0, round(2 / 3, 6)]


def test_those_who_read_as_others_do_weigh_more():
    tasks = [[("a", "river bend"), ("b", "river bend"), ("c", "qqq")] for _ in range(5)]
    weight = text.weights(tasks)
    assert weight["a"] == weight["b"] > weight["c"]
    assert (
        text.consensus(["x y z", "qqq rrr", "x y q"], [weight["a"], weight["c"], weight["b"]]).value
        != "qqq rrr"
    )


def test_punctuation_alone_is_compared_as_it_is():
    assert text.normalise("?") != text.normalise("!")
    assert text.normalise("Ｈéllo,  World!") == "héllo world"
