"""Advice on wording: what it speaks up about, and what it lets pass."""

from __future__ import annotations

import pytest

from microtasks.core import advice

EASY = "Look at the picture. Is there a crater in it? A crater is a round hole. Say yes if you see one."
HARD = (
    "Characterise the predominant geomorphological manifestations of periglacial degradation, considering "
    "particularly thermokarstic subsidence alongside polygonal patterning throughout equatorward slopes."
)


def test_an_easy_text_scores_low_and_a_hard_one_high():
    easy, hard = advice.lix(EASY), advice.lix(HARD)
    assert easy is not None and easy < 30
    assert hard is not None and hard > 60


def test_too_few_words_have_no_score_and_no_digit_or_mark_is_a_word():
    assert advice.lix("Is there a crater?") is None
    assert advice.lix("1 2 3 4 5 6 7 8 9 10 11 12 13 14") is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Is there a crater?", []),
        ("Is there a crater? Is it fresh?", ["several_questions"]),
        ("هل ترى فوهة؟ هل هي حديثة؟", ["several_questions"]),
        ("Mark craters and/or dunes", ["several_questions"]),
        ("x" * 91, ["long_question"]),
        (HARD, ["long_question", "hard_words"]),
    ],
)
def test_a_question_is_one_short_question(text: str, what: list[str]):
    assert [found.what for found in advice.of_question("label", text)] == what


def test_lists_are_short_and_their_labels_too():
    assert advice.of_choices("tags", ["Dunes", "Craters"]) == []
    assert [(a.what, a.n) for a in advice.of_choices("tags", [f"t{n}" for n in range(9)])] == [
        ("many_choices", 9)
    ]
    assert [(a.what, a.n) for a in advice.of_choices("tags", ["y" * 41])] == [("long_choice", 41)]


def test_long_instructions_are_not_read():
    assert advice.of_text("instructions", EASY) == []
    assert [found.what for found in advice.of_text("instructions", "go on. " * 101)] == ["long_instructions"]
