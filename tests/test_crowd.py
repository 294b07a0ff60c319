"""The whole way: volunteers of known skill through the HTTP API, and what comes out against what is true."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from microtasks.engine.site import Site


def test_a_crowd_of_known_skill_gives_what_the_model_promises(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    crowd = importlib.import_module("benchmarks.crowd")
    found = crowd.run(site, 80, 3, is_adaptive=True)
    assert found.lost == 0
    assert found.broken == []
    assert found.per_task < 6  # of at most ten
    assert found.vote > 0.85
    assert found.model > 0.88
    given = {kind: pair[1] for kind, pair in found.skills.items()}
    assert given["good"] > given["average"] > given["poor"] > given["same answer"]
    assert found.skill_error < 0.12
    assert found.left_out["good"] == found.left_out["average"] == 0
    assert found.stops.n_sure > 60
