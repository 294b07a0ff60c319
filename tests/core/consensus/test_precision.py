"""Numbers weighed by record: junk is left aside, the precise count for more, nobody's constant does."""

from __future__ import annotations

import numpy as np
import pytest

from microtasks.core.consensus import precision


def crowd(seed, sd, n_tasks=150, n_each=8, bias=0.0):
    """Answers of people with these standard deviations: task, person, value, and each task's truth."""
    rng = np.random.default_rng(seed)
    sd = np.asarray(sd, float)
    truth = rng.normal(50, 15, n_tasks)
    task = np.repeat(np.arange(n_tasks), n_each)
    person = np.concatenate([rng.permutation(len(sd))[:n_each] for _ in range(n_tasks)])
    return task, person, truth[task] + bias + rng.normal(0, 1, len(task)) * sd[person], truth


def mean_error(value, truth):
    return float(np.mean(np.abs(value - truth)))


def means(task, value):
    return np.bincount(task, value) / np.bincount(task)


@pytest.mark.parametrize("seed", range(3))
def test_those_who_are_precise_count_for_more(seed):
    sd = np.repeat([2.0, 20.0], 10)
    task, person, value, truth = crowd(seed, sd)
    fitted = precision.fit(task, person, value, len(truth), len(sd))
    assert fitted.weight[:10].min() > fitted.weight[10:].max()
    assert mean_error(fitted.value, truth) < 0.75 * mean_error(means(task, value), truth)


@pytest.mark.parametrize("seed", range(3))
def test_on_a_crowd_of_like_skill_it_is_as_good_as_the_mean(seed):
    task, person, value, truth = crowd(seed, np.full(20, 8.0))
    fitted = precision.fit(task, person, value, len(truth), 20)
    assert mean_error(fitted.value, truth) < 1.03 * mean_error(means(task, value), truth)


@pytest.mark.parametrize("junk", [999.0, -1e6, 0.0])
def test_a_tenth_of_junk_moves_the_values_little(junk):
    task, person, value, truth = crowd(1, np.full(20, 5.0), n_each=14)
    clean = precision.fit(task, person, value, len(truth), 20)
    value = np.where(np.random.default_rng(2).random(len(value)) < 0.1, junk, value)
    fitted = precision.fit(task, person, value, len(truth), 20)
    assert mean_error(fitted.value, truth) < 2 * mean_error(clean.value, truth)


def test_who_always_says_the_same_number_is_not_taken_for_precise():
    task, person, value, truth = crowd(3, np.full(20, 8.0))
    value = np.where(person < 3, 50.0, value)
    fitted = precision.fit(task, person, value, len(truth), 20)
    assert fitted.weight[:3].max() < fitted.weight[3:].min()
    assert mean_error(fitted.value, truth) < mean_error(means(task, value), truth)


def test_another_unit_and_order_scale_the_result_and_no_more():
    task, person, value, truth = crowd(4, np.full(12, 8.0))
    rows = np.random.default_rng(5).permutation(len(task))
    one = precision.fit(task, person, value, len(truth), 12)
    other = precision.fit(task[rows], person[rows], 1000 * value[rows], len(truth), 12)
    assert other.value == pytest.approx(1000 * one.value)
    assert other.sd == pytest.approx(1000 * one.sd)


def test_the_standard_error_says_how_far_off_the_values_are():
    task, person, value, truth = crowd(6, np.full(20, 8.0), n_tasks=400)
    fitted = precision.fit(task, person, value, len(truth), 20)
    assert 0.9 < np.mean(np.abs(fitted.value - truth) < 1.96 * fitted.sd) < 0.98


def test_known_values_tell_who_is_right_where_most_are_wrong():
    task, person, value, truth = crowd(7, np.r_[np.full(4, 2.0), np.full(12, 25.0)])
    gold = np.where(np.arange(len(truth)) % 3 == 0, truth, np.nan)
    fitted = precision.fit(task, person, value, len(truth), 16, gold)
    assert fitted.weight[:4].min() > fitted.weight[4:].max()


def test_a_large_value_among_small_ones_stands_when_its_own_answers_agree():
    task = np.repeat(np.arange(30), 5)
    value = np.where(task == 7, 5000.0, 5.0) + np.tile([-1.0, 0, 0, 1, 1], 30)
    fitted = precision.fit(task, np.tile(np.arange(5), 30), value, 30, 5)
    assert fitted.value[7] == pytest.approx(5000.2, abs=1)


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0, 0.0], [1.0, 2.0]])
def test_few_answers_give_their_middle(values):
    n = len(values)
    fitted = precision.fit(np.zeros(n, int), np.arange(n), np.array(values), 2, n)
    assert fitted.value[0] == pytest.approx(np.mean(values)) if values else np.isnan(fitted.value[0])
    assert np.isnan(fitted.value[1])
