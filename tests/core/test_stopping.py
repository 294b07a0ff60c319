"""Stopping when sure: the same as the fitted model, one answer at a time; when it must not stop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.consensus import skill
from microtasks.core.stopping import (
    Adaptive,
    ScaleEvidence,
    Tables,
    cold_tables,
    flip_rate,
    is_audited,
    no_evidence,
    outcome_of_all,
    posterior,
)
from microtasks.core.stopping import outcome as decide


def tables_of(fitted: skill.Confusion, n_answers: int = 10_000, n_tasks: int = 1_000) -> Tables:
    def rows(table):
        return tuple(tuple(table[:, label]) for label in range(table.shape[1]))

    people = {str(k): rows(table) for k, table in enumerate(fitted.log_table)}
    return Tables(rows(fitted.log_crowd), tuple(fitted.log_prior), people, n_answers, n_tasks)


WARM = Tables(cold_tables(2).crowd, cold_tables(2).log_prior, {}, 1000, 100)


def after(labels, tables=WARM, n=2):
    evidence = no_evidence(n)
    for label in labels:
        evidence = (
            evidence.plus_cant_tell() if label is None else evidence.plus(tables.row("new", label), label)
        )
    return evidence


def test_one_answer_at_a_time_gives_what_the_fitted_model_gives():
    rng = np.random.default_rng(1)
    task, person = np.repeat(np.arange(60), 4), rng.integers(0, 8, 240)
    key = np.unique(task * 8 + person)
    task, person = key // 8, key % 8
    votes = skill.sort(task, person, rng.integers(0, 3, len(task)), 60, 8, 3)
    fitted = skill.confusion(votes, rho=0.03)
    tables = tables_of(fitted)
    for number in range(60):
        evidence = no_evidence(3)
        for row in np.flatnonzero(votes.task == number):
            label = int(votes.label[row])
            evidence = evidence.plus(tables.row(str(votes.person[row]), label), label)
        np.testing.assert_allclose(
            posterior(evidence, tables.log_prior, 0.03), fitted.posterior[number], atol=1e-9
        )


@given(st.lists(st.sampled_from([0, 1, None]), max_size=12))
def test_a_tie_never_stops_early(labels):
    evidence = after(labels)
    if evidence.votes[0] == evidence.votes[1] and len(labels) < 10:
        assert decide(Adaptive(), evidence, WARM) is None


@given(st.lists(st.sampled_from([0, 1]), min_size=1, max_size=9))
def test_an_agreeing_answer_never_lowers_the_posterior(labels):
    evidence = after(labels)
    p = posterior(evidence, WARM.log_prior, 0.03)
    top = max((0, 1), key=lambda k: (evidence.votes[k], k))
    assert posterior(after([*labels, top]), WARM.log_prior, 0.03)[top] >= p[top] - 1e-12


@given(st.lists(st.sampled_from([0, 1]), min_size=3, max_size=9))
def test_one_answer_of_average_weight_never_turns_a_decided_task_around(labels):
    evidence = after(labels)
    if decide(Adaptive(answers_min=3), evidence, WARM) == "sure":
        top = evidence.votes.index(max(evidence.votes))
        p = posterior(after([*labels, 1 - top]), WARM.log_prior, 0.03)
        assert p[top] > 0.5


def test_never_before_the_least_number_and_always_at_the_greatest():
    policy = Adaptive(answers_min=4, answers_max=6, sure=0.5)
    assert decide(policy, after([0] * 3), WARM) is None
    assert decide(policy, after([0] * 4), WARM) == "sure"
    assert decide(policy, after([0, 1, 0, 1, 0, 1]), WARM) == "disputed"


def test_all_answers_in_and_sure_enough_is_full_not_disputed():
    policy = Adaptive(answers_min=6, answers_max=6, sure=0.9, lead_min=7)
    assert decide(policy, after([0] * 6), WARM) == "full"


def test_a_cold_start_asks_for_a_longer_lead():
    cold = cold_tables(2)
    assert cold.is_cold
    assert decide(Adaptive(sure=0.5), after([0, 0], cold), cold) is None
    assert decide(Adaptive(sure=0.5), after([0, 0, 0], cold), cold) == "sure"


def test_cant_tell_from_half_of_them_keeps_a_task_open():
    assert decide(Adaptive(sure=0.5), after([0, 0, None, None]), WARM) is None
    assert decide(Adaptive(sure=0.5), after([0, 0, None]), WARM) == "sure"


@pytest.mark.parametrize(("draw", "expected"), [(0.0, True), (0.019, True), (0.02, False), (0.9, False)])
def test_two_of_a_hundred_sure_tasks_are_audited(draw, expected):
    assert is_audited(draw) is expected


def test_the_flip_rate_is_what_the_audit_overturned():
    assert flip_rate(["a", "b", "a", "a"], ["a", "b", "b", "a"]) == 0.25
    assert flip_rate([], []) is None


def asked(votes: tuple[int, int], wanted: int = 0, n_lost: int = 0) -> ScaleEvidence:
    """One field of two choices with so many votes each, in a project that has just begun."""
    tables, evidence = cold_tables(2), no_evidence(2)
    for label, n in enumerate(votes):
        for _ in range(n):
            evidence = evidence.plus(tables.row("x", label), label)
    return ScaleEvidence(evidence, tables, wanted, n_lost)


@pytest.mark.parametrize(
    ("fields", "n_answers", "confidences", "outcome"),
    [
        ([asked((3, 0)), asked((3, 0))], 3, (), "sure"),
        ([asked((3, 0)), asked((2, 1))], 3, (), None),
        ([asked((3, 0))], 3, (0.9,), None),  # a number that is not sure
        ([asked((3, 0))], 3, (0.96,), "sure"),
        ([], 3, (), None),  # no consensus
        ([], 10, (), "disputed"),
        ([asked((3, 0), wanted=1)], 3, (), None),  # the consensus says otherwise
        ([asked((3, 0), n_lost=2)], 3, (), None),  # two of them no better than chance
        ([asked((5, 5))], 10, (), "disputed"),
    ],
)
def test_a_task_with_several_fields_stops_when_all_are_sure(
    fields: list[ScaleEvidence], n_answers: int, confidences: tuple[float, ...], outcome: str | None
) -> None:
    assert outcome_of_all(Adaptive(), fields, n_answers, confidences) == outcome


@pytest.mark.parametrize(("sure", "lead"), [(0.95, 2), (0.9, 2), (0.8, 1)])
def test_two_against_one_is_enough_for_those_who_want_to_save_answers(sure, lead):
    assert Adaptive.at_level(2, 10, sure).lead_min == lead
