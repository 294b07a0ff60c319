"""What another setting would have needed and changed, from a project's own answers in their order."""

from __future__ import annotations

import random
from typing import Any

import pytest
from builders import NO, YES, answers, contributor, media, project, tasks

from microtasks.core.errors import NotFound
from microtasks.engine.results import replay, review
from microtasks.engine.results.replay import Setting
from microtasks.engine.site import Site


def of_two_camps(site: Site) -> Any:
    """40 tasks of five answers; on one in ten the first three mislead: two of them say no."""
    of = project(site, redundancy=5)
    people = [contributor() for _ in range(5)]
    for number, task in enumerate(tasks(site, of, 40)):
        said = [NO, NO, YES, YES, YES] if number % 10 == 0 else [YES] * 5
        answers(site, of, task, said, contributors=people)
    return of


def test_a_fixed_number_of_answers_is_replayed_in_their_order(site: Site) -> None:
    of = of_two_camps(site)
    three, five, seven = replay.replay(site, of.id, [Setting(3), Setting(5), Setting(7)])
    assert (three.n_tasks, three.n_had, three.n_needed, three.n_changed, three.n_short) == (
        40,
        200,
        120,
        4,
        0,
    )
    assert three.saved == pytest.approx(0.4)
    assert (five.n_needed, five.n_changed, five.n_short) == (200, 0, 0)
    assert (seven.n_needed, seven.n_changed, seven.n_short) == (200, 0, 40)


def test_stopping_when_sure_is_replayed_as_it_would_have_decided(site: Site) -> None:
    of = of_two_camps(site)
    cold = replay.replay(site, of.id, [Setting(5, 0.95)])[0]
    # A project of 200 answers knows its people: two who agree are enough; the misled ones go on.
    assert cold.n_needed < 40 * 3
    assert cold.n_changed == 4  # two said no, and were believed
    (careful,) = replay.replay(site, of.id, [Setting(5, 0.95, answers_min=5)])
    assert (careful.n_needed, careful.n_changed) == (200, 0)


def test_the_sample_of_a_large_project_is_bounded_and_the_same_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = of_two_camps(site)
    monkeypatch.setattr(replay, "MOST_TASKS", 25)
    one, other = (replay.replay(site, of.id, [Setting(3)]) for _ in range(2))
    assert one == other
    assert one[0].n_tasks == 25


def test_marks_are_replayed_too(site: Site) -> None:
    of = project(site, "marking", config={"shape": "circle"}, redundancy=4)
    rng = random.Random(1)
    for number, task in enumerate(tasks(site, of, 24, media_ids=[media(site)])):
        marks = [
            {"marks": [{"x": 50 + rng.random(), "y": 50 + rng.random(), "r": 20}]}
            if k or number
            else {"marks": []}
            for k in range(4)
        ]
        answers(site, of, task, marks)
    (two,) = replay.replay(site, of.id, [Setting(2)])
    assert (two.n_tasks, two.n_needed, two.n_changed) == (24, 48, 0 if two.n_changed == 0 else 1)


def test_a_review_keeps_what_is_worth_a_comparison(site: Site) -> None:
    of = of_two_camps(site)
    review.review(site, of.id)
    found = review.overview(site, of.id).quality
    assert found is not None
    settings = [(one["redundancy"], one["sure"]) for one in found.replay["settings"]]
    assert settings == [(2, None), (3, None), (5, 0.8), (5, 0.9), (5, 0.95), (5, 0.99)]
    assert not replay.is_due(found.replay)
    few = project(site, redundancy=2)
    (task,) = tasks(site, few)
    answers(site, few, task, [YES, NO])
    assert replay.replay(site, few.id) == []
    with pytest.raises(NotFound):
        replay.replay(site, 10**9)
