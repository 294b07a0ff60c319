"""Volunteers of known skill for `simulate`: how people get a question wrong."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from microtasks.core.values import Media, Payload
from microtasks.tasktypes.question import QuestionConfig, QuestionField

#: Median seconds that a simulated volunteer says to have spent.
SECONDS = 5.0

WORDS = ("river", "station", "garden", "letter", "winter", "harbour", "family", "bridge", "morning")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def truth(
    payload: Payload, config: QuestionConfig, media: Sequence[Media], rng: random.Random
) -> dict[str, Any]:
    """A made-up right answer."""
    return _fill(config, lambda item: _random(item, rng))


def answer(
    right: Mapping[str, Any],
    payload: Payload,
    config: QuestionConfig,
    media: Sequence[Media],
    skill: float,
    rng: random.Random,
) -> dict[str, Any]:
    """What one says who is right with probability `skill`. Fields the truth leaves out are guessed."""
    return _fill(
        config,
        lambda item: _said(item, right[item.id], skill, rng) if item.id in right else _random(item, rng),
    )


def _fill(config: QuestionConfig, say: Any) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for item in config.fields:
        if item.show_if is not None:
            above = value.get(item.show_if.field)
            chosen = above if isinstance(above, list) else [above]
            if str(item.show_if.equals) not in map(str, chosen):
                continue
        value[item.id] = say(item)
    return value


def _random(item: QuestionField, rng: random.Random) -> Any:
    if item.kind == "choice":
        return rng.choice(item.choice_ids)
    if item.kind == "choices":
        return rng.sample(item.choice_ids, rng.randint(1, min(2, len(item.choice_ids))))
    if item.kind == "scale":
        return rng.randint(int(item.low), int(item.high))
    if item.kind == "number":
        low = 0 if item.min is None else item.min
        return rng.randint(int(low), int(low + 100 if item.max is None else item.max))
    return " ".join(rng.choices(WORDS, k=3))[: item.max_length]


def _said(item: QuestionField, right: Any, skill: float, rng: random.Random) -> Any:
    is_right = rng.random() < skill
    if item.kind == "choice":
        others = [choice for choice in item.choice_ids if choice != right]
        return right if is_right or not others else rng.choice(others)
    if item.kind == "choices":  # rather one forgotten than one too many
        values = [
            choice
            for choice in item.choice_ids
            if rng.random() < (skill if choice in right else (1 - skill) / 3)
        ]
        return values or list(right)
    if item.kind == "scale":
        step = 0 if is_right else rng.choice((-1, 1)) * (1 if rng.random() < 0.8 else 2)
        return max(int(item.low), min(int(item.high), int(right) + step))
    if item.kind == "number":
        off = rng.gauss(0, 0.02) if is_right else rng.choice((-0.5, -0.2, 0.25, 1.0))
        number = right * (1 + off) if right else (0 if is_right else 1)
        number = round(number) if float(right).is_integer() else round(number, 3)
        low, high = item.min, item.max
        return max(number if low is None else low, min(number if high is None else high, number))
    return right if is_right else _misspelt(str(right), rng)[: item.max_length]


def _misspelt(text: str, rng: random.Random) -> str:
    """One or two slips of the finger: a letter wrong, left out, doubled or swapped."""
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(text)) if text else 0
        slip = rng.randrange(4)
        if slip == 0:
            text = text[:at] + rng.choice(LETTERS) + text[at + 1 :]
        elif slip == 1 and len(text) > 1:
            text = text[:at] + text[at + 1 :]
        elif slip == 2:
            text = text[:at] + text[at : at + 1] + text[at:]
        else:
            text = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
    return text.strip() or rng.choice(LETTERS)
