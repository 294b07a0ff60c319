"""When a task needs no more answers."""

from __future__ import annotations

import pytest

from microtasks.core.retirement import Policy, retirement_reason
from microtasks.core.values import Consensus


def consensus(agreement=1.0, *, tied=False, value=True, sure=None, lead=3.0):
    return Consensus({"a": "yes"} if value and not tied else None, agreement, sure, 3, tied, {"lead": lead})


def test_by_redundancy_only_the_count_decides():
    policy = Policy(5, 2)
    assert retirement_reason(policy, 4, consensus()) is None
    assert retirement_reason(policy, 5, consensus(0.4)) == "redundancy"
    assert retirement_reason(policy, 5, None) == "redundancy"


@pytest.mark.parametrize(
    ("n", "found", "expected"),
    [
        (2, consensus(1.0), None),
        (3, consensus(0.8), "consensus"),
        (3, consensus(0.79), None),
        (4, consensus(0.9, tied=True), None),
        (4, consensus(1.0, value=False), None),
        (5, consensus(0.5, tied=True), "redundancy"),
        (5, consensus(0.9), "consensus"),
        (3, None, None),
    ],
)
def test_by_agreement_from_the_least_number_on_once_they_agree_and_never_on_a_tie(n, found, expected):
    assert retirement_reason(Policy(5, 3, "agreement", 0.8), n, found) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (consensus(sure=0.96), "consensus"),
        (consensus(sure=0.94), None),
        (consensus(sure=None), None),
        (consensus(sure=0.99, lead=1.0), None),
        (consensus(sure=0.99, tied=True), None),
    ],
)
def test_by_confidence_once_it_is_reached_with_a_lead_of_two(found, expected):
    assert retirement_reason(Policy(9, 2, "confidence", 0.95), 3, found) == expected
