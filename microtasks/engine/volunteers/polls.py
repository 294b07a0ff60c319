"""Show who has answered a poll how everybody answers it: at once, and to nobody before the own answer.

From then on that answer cannot be corrected: it would no longer be their own word (feedback.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from microtasks import tasktypes
from microtasks.core.values import Part
from microtasks.engine.site import Site
from microtasks.store.db import raw
from microtasks.store.tables import Project
from microtasks.store.volunteers import polls

MOST = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer that could be chosen. share: of all votes, 0..1."""

    id: str
    label: str
    n: int
    share: float
    is_mine: bool


@dataclass(frozen=True, slots=True)
class Result:
    """How a poll stands. question: what was asked, or the text it was asked about."""

    task_id: int
    question: str
    n_votes: int
    choices: Sequence[Choice]


def part(project: Project) -> Part | None:
    """The question whose votes are shown; None for a project that is no poll."""
    task_type = tasktypes.get(project.task_type)
    return task_type.poll(task_type.parse_config(project.config))


def results(site: Site, project: Project, contributor: UUID, limit: int = 1) -> list[Result]:
    """How the polls stand that this contributor answered last (at most 3), newest first; [] for no poll.

    1. Find their last answers, without known tasks, and mark them as told.
    2. Count everybody's counted votes.
    """
    part_asked = part(project)
    if part_asked is None:
        return []
    with site.db.session() as session:
        connection = raw(session)
        mine = polls.last_answers(connection, contributor, project.id, part_asked.id, min(limit, MOST))
        votes = polls.votes(connection, [it.task_id for it in mine], part_asked.id)
        session.commit()
    return [_result(it, part_asked, votes[it.task_id]) for it in mine]


def _result(mine: polls.PollAnswer, part_asked: Part, votes: dict[str, int]) -> Result:
    n_votes = sum(votes.get(choice, 0) for choice, _ in part_asked.options)
    choices = [
        Choice(
            choice, label, votes.get(choice, 0), votes.get(choice, 0) / max(n_votes, 1), choice == mine.said
        )
        for choice, label in part_asked.options
    ]
    return Result(mine.task_id, mine.question or part_asked.label, n_votes, choices)
