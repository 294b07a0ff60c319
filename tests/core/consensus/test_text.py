"""Short texts: equal ones win, the nearest stands in, and no consensus is said."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.consensus import text
from microtasks.core.parsing.spelling import key

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
    assert result.value == same or key(same) == key(result.value)


@given(texts)
def test_an_agreeing_answer_never_lowers_the_confidence(given_texts):
    before = text.consensus(given_texts)
    if before.value is not None:
        after = text.consensus([*given_texts, before.value])
        assert key(after.value) == key(before.value)
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


#: (texts, value, tied, agreement): what several people wrote in many scripts.
CROWDS = [
    (["नदी", "नदी", "नाद", "नाद", "नद"], None, ("नदी", "नाद"), 0.4),
    (["குளம்", "குளம்", "களம்"], "குளம்", (), 2 / 3),
    (["น้ำ", "นา", "น้ำ"], "น้ำ", (), 2 / 3),
    (["བོད", "བོད་", "བད"], "བོད", (), 2 / 3),
    (["كتب", "كتاب", "كتاب."], "كتاب", (), 2 / 3),
    (["१२.५", "12.5", "125"], "12.5", (), 2 / 3),
    (["北京", "北平", "北京。"], "北京", (), 2 / 3),
    (["がっこう", "かっこう", "がっこう"], "がっこう", (), 2 / 3),
    (["학교", "하교", "학교"], "학교", (), 2 / 3),
    (["Ἀθῆναι", "ΑΘΗΝΑΙ", "Ἀθῆναι"], "Ἀθῆναι", (), 2 / 3),
    (["Київ", "Кіїв", "київ"], "Київ", (), 2 / 3),
    (["ሀገር", "ሁገር", "ሀገር።"], "ሀገር", (), 2 / 3),
    (["-3", "3", "-3"], "-3", (), 2 / 3),
    (["12.5", "125", "12.5", "125"], None, ("12.5", "125"), 0.5),
]


@pytest.mark.parametrize(
    ("texts", "value", "tied", "agreement"), CROWDS, ids=[crowd[0][0] for crowd in CROWDS]
)
def test_texts_in_every_script_are_counted_as_a_reader_would(texts, value, tied, agreement):
    result = text.consensus(texts)
    assert (result.value, result.tied, result.agreement) == (value, tied, pytest.approx(agreement))


@pytest.mark.parametrize("comparison", ["exact", "spacing_and_case", "loose"])
@given(one=words, other=words)
def test_the_known_answer_is_compared_as_the_answers_are(comparison, one, other):
    is_one_group = text.consensus([one, other], comparison=comparison).agreement == 1
    assert (text.score(one, other, comparison) == 1) is is_one_group


@pytest.mark.parametrize(
    ("answer", "right", "comparison", "low", "high"),
    [
        ("125", "12.5", "loose", 0, 0),
        ("-3", "3", "loose", 0, 0),
        ("१२.५", "12.5", "loose", 1, 1),
        ("नाद", "नदी", "loose", 0, 0.5),
        ("the old mil by the river", "the old mill by the river", "loose", text.NEARLY_RIGHT, 0.99),
        ("the old mil by the river", "the old mill by the river", "exact", 0.5, text.BELOW_NEARLY_RIGHT),
        ("built here in the year 1958", "built here in the year 1985", "loose", 0.5, text.BELOW_NEARLY_RIGHT),
    ],
)
def test_a_slip_of_the_pen_is_nearly_right_and_another_number_is_not(answer, right, comparison, low, high):
    assert low <= text.score(answer, right, comparison) <= high


def test_agreement_about_words_is_known_in_scripts_without_blanks():
    result = text.consensus(["我来了", "我去了", "我来了"])
    assert result.detail["words"] == ["我", "来", "了"]
    assert result.detail["word_agreement"] == [1.0, round(2 / 3, 6), 1.0]


def test_a_crowd_of_like_skill_is_the_plain_vote():
    tasks = [[("a", f"river bend {n}"), ("b", f"river band {n}"), ("c", f"river bend {n}")] for n in range(9)]
    assert set(text.weights(tasks).values()) == {1.0}
