"""Reliability: bins, the gap, and intervals that hold what they say."""

from __future__ import annotations

import pytest

from microtasks.core.consensus.reliability import calibration_error, diagram, wilson


def test_results_are_gathered_by_tenths_and_empty_tenths_are_left_out():
    bins = diagram([(0.55, True), (0.58, False), (0.99, True), (1.0, True)])
    assert [(one.low, one.high, one.n, one.right) for one in bins] == [(0.5, 0.6, 2, 0.5), (0.9, 1.0, 2, 1.0)]
    assert bins[0].stated == pytest.approx(0.565)


def test_the_error_is_the_gap_between_stated_and_right_by_number_of_results():
    honest = [(0.8, k < 8) for k in range(10)]
    boastful = [(0.95, k < 5) for k in range(10)]
    assert calibration_error(diagram(honest)) == pytest.approx(0)
    assert calibration_error(diagram(honest + boastful)) == pytest.approx(0.225)
    assert calibration_error(()) == 0


@pytest.mark.parametrize(
    ("n_right", "n", "low", "high"), [(0, 10, 0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1)]
)
def test_intervals_are_those_of_wilson(n_right, n, low, high):
    assert wilson(n_right, n) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
