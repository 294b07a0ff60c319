"""When a task needs no more answers. Pure: counts and a consensus in, a reason out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from microtasks.core.values import Consensus

Reason = Literal["consensus", "redundancy"]

#: A task never stops early on one answer more than the other side: one slip must not decide it.
LEAD_MIN = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """A project's quality policy.

    redundancy: counted answers after which a task always retires. answers_min: never retire before.
    stop_rule: `redundancy` (only by count), `agreement` or `confidence` (as soon as the consensus' agreement
    or confidence reaches `stop_threshold`, 0..1).
    """

    redundancy: int
    answers_min: int
    stop_rule: str = "redundancy"
    stop_threshold: float = 0.8


def retirement_reason(policy: Policy, n_answers: int, consensus: Consensus | None) -> Reason | None:
    """Say whether the task retires now, and why; None keeps it open.

    consensus: of the counted answers; None where the task type reduces later (then only the count decides).
    A tie never retires early, nor does a task without a value.
    """
    if (
        consensus is not None
        and policy.stop_rule != "redundancy"
        and n_answers >= policy.answers_min
        and _is_sure(policy, consensus)
    ):
        return "consensus"
    return "redundancy" if n_answers >= policy.redundancy else None


def _is_sure(policy: Policy, consensus: Consensus) -> bool:
    if consensus.is_tied or consensus.value is None:
        return False
    if policy.stop_rule == "agreement":
        return consensus.agreement >= policy.stop_threshold
    if consensus.confidence is None or consensus.confidence < policy.stop_threshold:
        return False
    lead = consensus.detail.get("lead")
    return lead is None or lead >= LEAD_MIN
