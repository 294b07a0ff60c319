"""What a gold record says."""

from __future__ import annotations

import pytest

from microtasks.core.gold import score


def test_a_score_is_shrunk_to_the_average_volunteer():
    assert score(0.0, 0) == pytest.approx(0.7)
    assert 0.7 < score(3.0, 3) < 1.0
    assert score(100.0, 100) > 0.98
    assert score(0.0, 20) < 0.13
