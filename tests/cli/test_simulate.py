"""`simulate`: volunteers of known skill who err as people do, and a whole project worked through."""

from __future__ import annotations

import json
import random
import statistics
from typing import Any

import pytest
from builders import CONFIGS
from hypothesis import given, settings
from hypothesis import strategies as st

from microtasks import tasktypes
from microtasks.core.tasktype import Media
from microtasks.engine import simulate

IMAGE = {"url": "/media/x.webp", "width": 640, "height": 480, "srcset": ""}


def examples() -> list[Any]:
    found = []
    for name in tasktypes.all_types():
        folder = tasktypes.__path__[0]
        with open(f"{folder}/{name}/examples.json", encoding="utf-8") as file:
            found += [
                pytest.param(name, example, id=f"{name}: {example['title']}") for example in json.load(file)
            ]
    return found


def task_of(name: str, example: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {
        "id": number,
        "type": name,
        "config": example["config"],
        "payload": example["payload"],
        "media": [IMAGE],
    }


@pytest.mark.parametrize(("name", "example"), examples())
@given(seed=st.integers(0, 10_000), skill=st.sampled_from([0.0, 0.3, 0.7, 0.95, 1.0]), is_known=st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_a_simulated_volunteer_says_is_always_a_valid_answer(
    name: str, example: dict[str, Any], seed: int, skill: float, is_known: bool
) -> None:
    kind = tasktypes.get(name)
    config = kind.parse_config(example["config"])
    payload = kind.Payload.model_validate(example["payload"])
    person = simulate.Volunteer(1, skill, random.Random(seed), seed)
    value = person.answer(task_of(name, example, seed), example["value"] if is_known else None)
    kind.parse_value(value, payload, config, [Media(width=640, height=480)])


@pytest.mark.parametrize("name", sorted(tasktypes.all_types()))
def test_the_more_skilled_are_righter(name: str) -> None:
    right = {
        "question": {"answer": "yes"},
        "tagging": {"tags": ["dunes", "crater"]},
        "marking": {"marks": [{"x": 100.0, "y": 120.0, "r": 30.0, "class": "fresh"}]},
    }[name]
    kind = tasktypes.get(name)
    config = kind.parse_config(CONFIGS[name])
    task = {"id": 1, "type": name, "config": CONFIGS[name], "payload": {}, "media": [IMAGE]}

    def score(skill: float) -> float:
        person = simulate.Volunteer(1, skill, random.Random(7), 7)
        return statistics.mean(kind.score(person.answer(task, right), right, config) for _ in range(300))

    bad, fair, good = score(0.3), score(0.7), score(1.0)
    assert bad + 0.1 < fair < good - 0.1
    assert good > 0.6


def test_volunteers_without_a_known_truth_believe_in_the_same_one() -> None:
    task = {"id": 5, "type": "question", "config": CONFIGS["question"], "payload": {}, "media": []}
    people = [simulate.Volunteer(n, 1.0, random.Random(n), 3) for n in range(10)]
    assert len({json.dumps(person.answer(task, None)) for person in people}) == 1
    others = [simulate.Volunteer(1, 1.0, random.Random(1), seed) for seed in range(30)]
    assert len({json.dumps(person.answer(task, None)) for person in others}) == 2


def test_skills_scatter_around_the_accuracy_asked_for() -> None:
    skills = [person.skill for person in simulate.volunteers(2000, 0.8, 1)]
    assert abs(statistics.mean(skills) - 0.8) < 0.01
    assert 0.05 < statistics.stdev(skills) < 0.2
    assert {person.skill for person in simulate.volunteers(10, 1.0, 1)} == {1.0}
