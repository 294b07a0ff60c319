"""What a volunteer has done: the facts of the thank-you page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from microtasks import tasktypes
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.store.tables import Project
from microtasks.store.volunteers import claims, teams, visits

#: From this score on (TaskType.score against the consensus) an answer is said to agree with the others.
AGREES_FROM = 0.6


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay, in one project or several.

    n_answers: since it began. projects: (project, answers) of each, the last one first. values: what was
    answered, by task type, newest first, at most 500 a project. n_agree of n_compared: own answers on retired
    tasks of these projects that agree with the consensus, ever. rating: how they liked the last project, 1 to
    3; is_kept: an address stands for them; teams: names of those they are in.
    """

    n_answers: int
    projects: list[tuple[Project, int]]
    values: dict[str, list[dict[str, Any]]]
    n_agree: int
    n_compared: int
    rating: int | None
    is_kept: bool
    teams: list[tuple[str, str]]  # name, code


def visit(site: Site, slug: str, contributor: UUID, since: datetime) -> Visit:
    """Sum up what this contributor did since then, whatever the project; slug: where it ends. NotFound."""
    with site.db.session() as session:
        last = projects.visible_by_slug(session, slug)
    with site.db.connection() as connection:
        counts = dict(visits.projects_since(connection, contributor, since))
    with site.db.session() as session:
        seen = [(projects.get(session, project_id), n) for project_id, n in counts.items()]
    values: dict[str, list[dict[str, Any]]] = {}
    scores: list[float] = []
    with site.db.connection() as connection:
        for project in [last, *(it for it, _ in seen if it.id != last.id)]:
            task_type = tasktypes.get(project.task_type)
            config = task_type.parse_config(project.config)
            given = visits.values_since(connection, contributor, project.id, since)
            values.setdefault(project.task_type, []).extend(given)
            scores += [
                task_type.score(mine, theirs, config)
                for mine, theirs in visits.beside_consensus(connection, contributor, project.id)
            ]
        rating = teams.rating(connection, last.id, contributor)
        is_kept = bool(claims.emails(connection, contributor))
        joined = [(team.name, team.code) for team in teams.of(connection, contributor)]
    return Visit(
        sum(counts.values()),
        seen,
        values,
        sum(score >= AGREES_FROM for score in scores),
        len(scores),
        rating,
        is_kept,
        joined,
    )
