"""Agreement of a project and how its volunteers work, from stored answers."""

from __future__ import annotations

import random

import pytest
from builders import NO, YES, answers, contributor, media, project, tasks

from microtasks.core.errors import NotFound
from microtasks.engine.results.aggregate import aggregate
from microtasks.engine.results.quality import agreement, volunteers
from microtasks.engine.site import Site


def test_good_poor_and_spamming_volunteers_are_told_apart(site: Site) -> None:
    of = project(site, redundancy=6)
    rng = random.Random(1)
    good, poor, spam = [contributor() for _ in range(3)], contributor(), contributor()
    newcomer = contributor()
    for number, task in enumerate(tasks(site, of, 30)):
        right, wrong = (YES, NO) if number % 2 else (NO, YES)
        said = [right, right, right, right if rng.random() < 0.6 else wrong, YES]
        answers(site, of, task, said, contributors=[*good, poor, spam])
        if number == 0:
            answers(site, of, task, [right], contributors=[newcomer])
    aggregate(site, of.id)
    found = {one.contributor: one for one in volunteers(site, of.id)}
    assert found[good[0].hex].skill > 0.95
    assert found[good[0].hex].skill > found[newcomer.hex].skill > found[poor.hex].skill
    assert found[spam.hex].habits == ("always_the_same",)
    assert found[good[0].hex].habits == ()
    assert found[spam.hex].n_answers == 30
    assert volunteers(site, of.id) == list(found.values())


def test_a_gold_record_counts_checks_too(site: Site) -> None:
    of = project(site, gold_share=0.1)
    first, second = tasks(site, of, 2, gold=YES)
    who = contributor()
    answers(site, of, first, [YES], contributors=[who])
    answers(site, of, second, [NO], contributors=[who], status="check")
    (found,) = volunteers(site, of.id)
    assert found.n_gold == 2
    assert found.gold_score == pytest.approx((1 + 4 * 0.7) / 6, abs=1e-6)


def test_who_marks_everything_is_flagged(site: Site) -> None:
    of = project(site, "marking", config={"shape": "circle"}, redundancy=4)
    rng = random.Random(2)
    careful, wild = [contributor() for _ in range(3)], contributor()

    def circles(n: int) -> dict:
        return {
            "marks": [
                {"x": rng.random() * 400, "y": rng.random() * 300, "r": 9 + rng.random()} for _ in range(n)
            ]
        }

    for task in tasks(site, of, 4, media_ids=[media(site)]):
        answers(
            site, of, task, [circles(3), circles(4), circles(3), circles(60)], contributors=[*careful, wild]
        )
    aggregate(site, of.id)
    found = {one.contributor: one.habits for one in volunteers(site, of.id)}
    assert found[wild.hex] == ("too_many_marks",)
    assert not any(found[one.hex] for one in careful)


def test_agreement_is_by_field_and_by_tag(site: Site) -> None:
    of = project(site, redundancy=3)
    for number, task in enumerate(tasks(site, of, 10)):
        answers(site, of, task, [YES if number % 2 else NO] * 3)
    found = agreement(site, of.id)["answer"]
    assert (found.alpha, found.fleiss, found.pairwise, found.n_tasks) == (1.0, 1.0, 1.0, 10)
    tags = project(site, "tagging", redundancy=3)
    (task,) = tasks(site, tags)
    answers(site, tags, task, [{"tags": ["dunes"]}, {"tags": ["dunes"]}, {"tags": []}])
    found = agreement(site, tags.id)
    assert found["dunes"].pairwise == pytest.approx(1 / 3)
    assert found["crater"].pairwise == 1.0


def test_there_must_be_a_project(site: Site) -> None:
    for read in (agreement, volunteers):
        with pytest.raises(NotFound):
            read(site, 10**9)
