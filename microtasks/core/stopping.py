"""Stop asking when sure: what each answer adds to what is known of a task, in plain Python.

The same formula as the confusion model's (`skill.py`), one answer at a time: adding an answer costs as
many additions as there are choices, cheap enough for the submit transaction. The tables come from the last
fit, made in the background; until there is one, everybody counts as the average volunteer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

#: log P(label | truth) for each truth, of one label.
Row = tuple[float, ...]
Outcome = Literal["sure", "disputed", "full"]

#: Until a project has this many answers and tasks, its tables say little.
COLD_ANSWERS, COLD_TASKS = 200, 20
COLD_ACCURACY = 0.7
COLD_LEAD = 3
#: From this level on the winner leads by two votes: one slip must not decide.
CAREFUL_FROM = 0.9


@dataclass(frozen=True, slots=True)
class Adaptive:
    """When a task has been asked often enough.

    answers_min, answers_max: at least and at most so many. sure: posterior to reach, 0..1: choose it by gold
    or by what you can afford, it is no error rate. lead_min: votes that the winner leads by. correlation: n
    answers count as n / (1 + correlation (n - 1)), since people err together.
    """

    answers_min: int = 2
    answers_max: int = 10
    sure: float = 0.95
    lead_min: int = 2
    correlation: float = 0.03

    @classmethod
    def at_level(cls, answers_min: int, answers_max: int, sure: float) -> Adaptive:
        """The policy of a project that stops when this sure.

        Who asks for less than CAREFUL_FROM wants to save answers: two against one is enough.
        """
        return cls(answers_min, answers_max, sure, lead_min=2 if sure >= CAREFUL_FROM else 1)


@dataclass(frozen=True, slots=True)
class Tables:
    """What the last fit knew. crowd[label], people[name][label]: a Row; log_prior: log share of each truth.

    n_answers, n_tasks: what it was fitted on; a small fit is a cold start.
    """

    crowd: tuple[Row, ...]
    log_prior: Row
    people: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    n_answers: int = 0
    n_tasks: int = 0

    @property
    def is_cold(self) -> bool:
        """Too little known for a posterior to decide?"""
        return self.n_answers < COLD_ANSWERS or self.n_tasks < COLD_TASKS

    def row(self, contributor: str, label: int) -> Row:
        """What this contributor's label says; the crowd's where they are new."""
        return self.people.get(contributor, self.crowd)[label]


def cold_tables(n_choices: int) -> Tables:
    """Tables for a project that has just begun: right 7 times in 10, errors spread evenly."""
    right = math.log(COLD_ACCURACY)
    wrong = math.log((1 - COLD_ACCURACY) / max(n_choices - 1, 1))
    crowd = tuple(
        tuple(right if k == label else wrong for k in range(n_choices)) for label in range(n_choices)
    )
    return Tables(crowd, (math.log(1 / n_choices),) * n_choices)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one task: log likelihood of each truth, votes for each label, and answers.

    n_answers counts "I can't tell" too, which adds nothing else.
    """

    log_likelihood: tuple[float, ...]
    votes: tuple[int, ...]
    n_answers: int = 0

    def plus(self, row: Row, label: int) -> Evidence:
        """With one more answer. As many additions as there are choices."""
        return Evidence(
            tuple(old + new for old, new in zip(self.log_likelihood, row, strict=True)),
            tuple(n + (k == label) for k, n in enumerate(self.votes)),
            self.n_answers + 1,
        )

    def plus_cant_tell(self) -> Evidence:
        """With one more answer that names nothing."""
        return Evidence(self.log_likelihood, self.votes, self.n_answers + 1)

    @property
    def lead(self) -> int:
        """Votes of the first over the second."""
        first, *rest = sorted(self.votes, reverse=True)
        return first - (rest[0] if rest else 0)


def no_evidence(n_choices: int) -> Evidence:
    """Of a task that nobody answered."""
    return Evidence((0.0,) * n_choices, (0,) * n_choices)


def posterior(evidence: Evidence, log_prior: Row, correlation: float) -> list[float]:
    """Return the probability of each truth; they sum to 1."""
    n_votes = sum(evidence.votes)
    scale = 1 / (1 + correlation * max(n_votes - 1, 0))
    scores = [scale * e + p for e, p in zip(evidence.log_likelihood, log_prior, strict=True)]
    top = max(scores)
    parts = [math.exp(score - top) for score in scores]
    total = math.fsum(parts)
    return [part / total for part in parts]


def outcome(policy: Adaptive, evidence: Evidence, tables: Tables) -> Outcome | None:
    """Say whether the task has been asked often enough; None keeps asking.

    sure: the leading choice is sure, by posterior and by lead. disputed: all answers are in and it is not: a
    case for a reviewer. full: all answers are in. On a cold start a longer lead stands in for the posterior.
    A tie, or "I can't tell" from half of those asked, never stops early.
    """
    n = evidence.n_answers
    n_votes = sum(evidence.votes)
    p = posterior(evidence, tables.log_prior, policy.correlation)
    top = max(range(len(p)), key=lambda k: p[k])
    leads = evidence.votes[top] == max(evidence.votes) and evidence.lead >= policy.lead_min
    if tables.is_cold:
        is_sure = leads and evidence.lead >= max(COLD_LEAD, policy.lead_min)
    else:
        is_sure = leads and p[top] >= policy.sure
    if n >= policy.answers_min and is_sure and 2 * n_votes > n:
        return "sure"
    if n >= policy.answers_max:
        return "full" if p[top] >= policy.sure and evidence.lead > 0 and 2 * n_votes > n else "disputed"
    return None


@dataclass(frozen=True, slots=True)
class ScaleEvidence:
    """One thing that was asked of a task. wanted: number of the label that the consensus has.

    n_lost: answers of volunteers who are no better than chance here; they do not count towards the fewest.
    """

    evidence: Evidence
    tables: Tables
    wanted: int
    n_lost: int = 0


def outcome_of_all(
    policy: Adaptive, asked: Sequence[ScaleEvidence], n_answers: int, confidences: Sequence[float] = ()
) -> Outcome | None:
    """Say of a task with several fields whether it has been asked often enough: all of them must be sure.

    n_answers: of the task. confidences: 0..1, of the fields that have no evidence of this kind. With nothing
    asked (no consensus, a tie) the task goes to the maximum and is disputed.
    """
    outcomes = [
        outcome(replace(policy, answers_min=policy.answers_min + each.n_lost), each.evidence, each.tables)
        for each in asked
    ]
    follows = all(each.evidence.votes[each.wanted] == max(each.evidence.votes) for each in asked)
    rest = all(confidence >= policy.sure for confidence in confidences)
    if (asked or confidences) and n_answers >= policy.answers_min and follows and rest:
        if all(outcome == "sure" for outcome in outcomes):
            return "sure"
        if n_answers >= policy.answers_max and "disputed" not in outcomes:
            return "full"
    return "disputed" if n_answers >= policy.answers_max else None


def is_audited(draw: float, share: float = 0.02) -> bool:
    """Say whether a task that is sure goes on to full redundancy all the same, as an audit.

    draw: 0..1, evenly spread and fixed for the task. How often the audit overturns "sure" is the error rate
    to publish: a posterior is not one.
    """
    return draw < share


def flip_rate(early: Sequence[object], final: Sequence[object]) -> float | None:
    """Return the share of audited tasks whose value with all answers differs from the early one."""
    if not early:
        return None
    return sum(a != b for a, b in zip(early, final, strict=True)) / len(early)
