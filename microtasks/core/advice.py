"""Advice on the wording of a task, for an owner who writes one for the first time. Advice, never a rule.

Reading ease by LIX (Björnsson 1968): words a sentence plus the share of words with more than six letters, in
percent. It needs no dictionary and holds for many European languages: under 30 very easy, 40 as in a
newspaper, over 50 hard. Scripts without spaces or without long words get no reading advice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LONG_WORD: Final = 6
#: Below so many words a score says nothing.
WORDS_MIN: Final = 12
HARD_LIX: Final = 45.0
#: A question is read at each task, on a phone: about two lines.
QUESTION_CHARACTERS: Final = 90
CHOICE_CHARACTERS: Final = 40
#: More instructions than that are not read by somebody with ten minutes.
INSTRUCTIONS_WORDS: Final = 200
CHOICES_MAX: Final = 7
FIELDS_MAX: Final = 4

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?:;؟。]+(?:\s|$)")
_QUESTION_MARKS = re.compile(r"[?؟？]")
_AND_OR = re.compile(r"\b(and/or|and also|as well as|et/ou|y/o|und/oder)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Advice:
    """where: what it is about, as the form names it. what: one of the keys below. n: the figure in it.

    what: long_question, several_questions, hard_words, long_choice, many_choices, many_fields,
    long_instructions.
    """

    where: str
    what: str
    n: int | None = None


def lix(text: str) -> float | None:
    """How hard a text is to read, about 20 (very easy) to 70; None for one too short to say."""
    words = _WORD.findall(text)
    if len(words) < WORDS_MIN:
        return None
    sentences = max(1, len(_SENTENCE_END.findall(text)))
    return len(words) / sentences + 100 * sum(len(word) > LONG_WORD for word in words) / len(words)


def of_question(where: str, text: str) -> list[Advice]:
    """What to think about in a question that volunteers read at each task."""
    advice = []
    if len(text) > QUESTION_CHARACTERS:
        advice.append(Advice(where, "long_question", len(text)))
    if len(_QUESTION_MARKS.findall(text)) > 1 or _AND_OR.search(text):
        advice.append(Advice(where, "several_questions"))
    return advice + _hard(where, text)


def of_choices(where: str, labels: list[str]) -> list[Advice]:
    """What to think about in a list to choose from: tags, choices, classes."""
    advice = [Advice(where, "long_choice", len(label)) for label in labels if len(label) > CHOICE_CHARACTERS]
    if len(labels) > CHOICES_MAX:
        advice.append(Advice(where, "many_choices", len(labels)))
    return advice[:2]


def of_text(where: str, text: str) -> list[Advice]:
    """What to think about in instructions and other longer texts."""
    advice = []
    if (n := len(_WORD.findall(text))) > INSTRUCTIONS_WORDS:
        advice.append(Advice(where, "long_instructions", n))
    return advice + _hard(where, text)


def _hard(where: str, text: str) -> list[Advice]:
    score = lix(text)
    return [Advice(where, "hard_words", round(score))] if score is not None and score > HARD_LIX else []
