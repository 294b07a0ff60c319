"""`simulate`: volunteers of known skill who err as people do, and a whole project worked through."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable
from typing import Any

import builders
import pytest
from builders import CONFIGS
from hypothesis import given, settings
from hypothesis import strategies as st

from microtasks import tasktypes
from microtasks.core.values import Media
from microtasks.engine.operations import invariants, samples, simulate
from microtasks.engine.site import Site

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


# -- whole projects -----------------------------------------------------------------------------------


def summary(result: Any) -> dict[str, str]:
    assert result.exit_code == 0, result.stderr
    return dict(line.split(": ") for line in result.stdout.splitlines())


def test_P02_forty_at_once_answer_each_task_five_times_and_not_once_more(
    site: Site, cli: Callable[..., Any]
) -> None:
    made = builders.project(site, redundancy=5)
    rng = random.Random(4)
    truth = [{"answer": rng.choice(["yes", "no"])} for _ in range(200)]
    builders.tasks(site, made, 200, gold=truth)
    said = summary(cli("simulate", made.slug, "--volunteers", 40, "--accuracy", 0.9, "--seed", 3))
    assert said["counted"] == "1000"
    assert {said[name] for name in ("surplus", "duplicate", "rejected", "errors")} == {"0"}
    with site.db.connection() as connection:

        def one(query: str) -> Any:
            row = connection.execute(query).fetchone()
            assert row is not None
            return row[0]

        assert one("SELECT count(*) FROM answer WHERE status = 'counted'") == 1000
        assert (
            one("SELECT count(*) FROM task WHERE n_answers <> 5 OR n_leases <> 0 OR retired_at IS NULL") == 0
        )
        assert one("SELECT count(*) FROM (SELECT DISTINCT task_id, contributor_id FROM answer) a") == 1000
        assert one("SELECT count(DISTINCT contributor_id) FROM answer") <= 40
        assert one("SELECT count(*) FROM lease") == 0
    assert said["consensus"] == "200"
    assert float(said["consensus_accuracy"]) > 0.95
    assert invariants.check(site) == []
    again = cli("simulate", made.slug, "--volunteers", 2)
    assert again.exit_code == 1
    assert "nothing to do" in again.stderr


def test_consensus_of_the_samples_agrees_with_their_truth(site: Site, cli: Callable[..., Any]) -> None:
    samples.seed(site)
    for sample in samples.SAMPLES:
        said = summary(cli("simulate", sample.slug, "--volunteers", 8, "--accuracy", 0.9))
        accuracy = float(said["consensus_accuracy"])
        assert accuracy > {"marking": 0.8, "tagging": 0.9, "question": 0.9}[sample.form["task_type"]], (
            sample.slug
        )
        assert said["rejected"] == said["errors"] == "0"
    assert invariants.check(site) == []


def test_a_project_that_is_not_there_is_said_plainly(site: Site, cli: Callable[..., Any]) -> None:
    result = cli("simulate", "none-such", "--volunteers", 2)
    assert result.exit_code == 1
    assert "none-such" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_site_that_does_not_answer_is_said_plainly(
    site: Site, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = builders.project(site)
    monkeypatch.setattr("microtasks.cli.simulate.TRIES", 1)
    result = cli("simulate", made.slug, "--volunteers", 2, "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "does not answer" in result.stderr
