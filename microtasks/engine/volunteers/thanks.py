"""What a volunteer has done: the facts of the thank-you page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from microtasks import tasktypes
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.store.volunteers import claims, teams, visits

#: From this score on (TaskType.score against the consensus) an answer is said to agree with the others.
AGREES_FROM = 0.6


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay in a project.

    n_answers, seconds: since the visit began. values: what was answered, newest first, at most 500.
    n_agree of n_compared: own answers on retired tasks that agree with the consensus, ever. rating: how they
    liked it, 1 to 3; is_kept: an address stands for them; teams: names of those they are in.
    """

    n_answers: int
    seconds: float
    values: list[dict[str, Any]]
    n_agree: int
    n_compared: int
    rating: int | None
    is_kept: bool
    teams: list[tuple[str, str]]  # name, code


def visit(site: Site, slug: str, contributor: UUID, since: datetime) -> Visit:
    """Sum up what this contributor did in the project since then; NotFound."""
    with site.db.session() as session:
        project = projects.visible_by_slug(session, slug)
    task_type = tasktypes.get(project.task_type)
    config = task_type.parse_config(project.config)
    with site.db.connection() as connection:
        n_answers, seconds = visits.count_since(connection, contributor, project.id, since)
        values = visits.values_since(connection, contributor, project.id, since)
        scores = [
            task_type.score(mine, theirs, config)
            for mine, theirs in visits.beside_consensus(connection, contributor, project.id)
        ]
        rating = teams.rating(connection, project.id, contributor)
        is_kept = bool(claims.emails(connection, contributor))
        joined = [(team.name, team.code) for team in teams.of(connection, contributor)]
    return Visit(
        n_answers,
        seconds,
        values,
        sum(score >= AGREES_FROM for score in scores),
        len(scores),
        rating,
        is_kept,
        joined,
    )
