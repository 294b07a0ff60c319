"""Agreement statistics against worked examples from the literature, and their limits."""

from __future__ import annotations

import numpy as np
import pytest

from microtasks.core.consensus import agreement as core


def counts(rows, n):
    return np.array([[row.count(k) for k in range(n)] for row in rows], float)


#: Krippendorff 2011, section C: four observers, values 1 to 5; missing where not given.
KRIPPENDORFF = counts(
    [
        [0, 0, 0],
        [1, 1, 2, 1],
        [2, 2, 2, 2],
        [2, 2, 2, 2],
        [1, 1, 1, 1],
        [0, 1, 2, 3],
        [3, 3, 3, 3],
        [0, 0, 1, 0],
        [1, 1, 1, 1],
        [4, 4, 4],
        [0, 0],
        [2],
    ],
    5,
)


@pytest.mark.parametrize(
    ("metric", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_is_that_of_krippendorffs_own_example(metric, expected):
    assert core.alpha(KRIPPENDORFF, metric) == pytest.approx(expected, abs=0.0006)


def test_fleiss_kappa_is_that_of_fleiss_own_example():
    table = np.array(
        [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ],
        float,
    )
    assert core.fleiss(table) == pytest.approx(0.210, abs=0.001)


def test_full_agreement_is_1_and_chance_is_near_0():
    full = core.agreement(counts([[0, 0, 0], [1, 1, 1]] * 5, 2), rng=np.random.default_rng(1))
    assert (full.alpha, full.fleiss, full.pairwise) == (1.0, 1.0, 1.0)
    rng = np.random.default_rng(2)
    chance = core.agreement(counts(rng.integers(0, 3, (2000, 4)).tolist(), 3), rng=rng)
    assert abs(chance.alpha) < 0.05
    assert chance.alpha_low < chance.alpha < chance.alpha_high


def test_the_same_seed_gives_the_same_interval():
    one = core.agreement(KRIPPENDORFF, rng=np.random.default_rng(3))
    assert one == core.agreement(KRIPPENDORFF, rng=np.random.default_rng(3))
    assert one.alpha_low <= one.alpha <= one.alpha_high


def test_where_nobody_could_disagree_there_is_no_alpha():
    assert core.agreement(np.zeros((0, 2))).alpha is None
    assert core.agreement(counts([[0], [1]], 2)).alpha is None
    assert core.agreement(counts([[0, 0], [0, 0]], 2)).alpha is None


def test_entropy_is_0_for_one_voice_and_1_for_an_even_split():
    np.testing.assert_allclose(core.entropy(counts([[0, 0], [0, 1], []], 2)), [0, 1, 0], atol=1e-12)


def test_numbers_agree_as_far_as_the_table_of_their_values_says() -> None:
    rng = np.random.default_rng(5)
    task = np.repeat(np.arange(40), 4)
    value = rng.integers(0, 5, len(task)) + task % 7.0
    kept = rng.random(len(task)) < 0.8
    task, value = task[kept], value[kept]
    values, column = np.unique(value, return_inverse=True)
    table = np.zeros((40, len(values)))
    np.add.at(table, (task, column), 1)
    found = core.of_numbers(task, value + 1e6, 40, np.random.default_rng(1))
    expected = core.agreement(table, "interval", values)
    assert found.alpha == pytest.approx(expected.alpha)
    assert found.pairwise == pytest.approx(expected.pairwise)
    assert (found.n_tasks, found.n_answers) == (expected.n_tasks, expected.n_answers)
    assert found.alpha_low < found.alpha < found.alpha_high
    assert core.of_numbers(task, np.full(len(task), 3.0), 40).alpha is None
