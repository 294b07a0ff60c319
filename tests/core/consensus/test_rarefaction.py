"""Rarefaction: what fewer answers would have said."""

from __future__ import annotations

import numpy as np
import pytest

from microtasks.core.consensus.rarefaction import curve


def answers(right: float, n_tasks: int = 300, n_each: int = 9):
    rng = np.random.default_rng(1)
    truth, task = rng.integers(0, 3, n_tasks), np.repeat(np.arange(n_tasks), n_each)
    label = np.where(rng.random(len(task)) < right, truth[task], rng.integers(0, 3, len(task)))
    return task, label, n_tasks, 3


def test_more_answers_say_more_often_what_all_say_and_all_say_it_always():
    found = curve(*answers(0.7), np.random.default_rng(0))
    assert [point.n for point in found.points] == list(range(1, 10))
    same = [point.same for point in found.points]
    assert same[0] < same[2] < same[4] < same[8]
    assert same[8] > 0.97  # but for ties
    assert all(point.low <= point.same <= point.high for point in found.points)
    assert found.n_tasks == 300


def test_one_answer_is_enough_where_all_agree():
    found = curve(*answers(1.0), np.random.default_rng(0))
    assert found.points[0].same == 1


def test_intervals_shrink_with_the_number_of_tasks():
    few, many = (curve(*answers(0.6, n), np.random.default_rng(0)).points[2] for n in (40, 1000))
    assert many.high - many.low < (few.high - few.low) / 3


@pytest.mark.parametrize("n_each", [1, 2])
def test_tasks_with_hardly_any_answers_do_not_fail(n_each):
    found = curve(*answers(0.8, 50, n_each), np.random.default_rng(0))
    assert (found is None) == (n_each == 1)


def test_tasks_with_fewer_answers_than_most_take_no_part():
    task, label, n_tasks, n_labels = answers(0.8, 100, 5)
    rows = ~((task < 20) & (np.arange(len(task)) % 5 >= 2))
    found = curve(task[rows], label[rows], n_tasks, n_labels, np.random.default_rng(0))
    assert (found.n_tasks, found.points[-1].n) == (80, 5)
