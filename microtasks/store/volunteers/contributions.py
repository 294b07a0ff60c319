"""What people gave, all in all: answers and hours, of a contributor, a team, a project.

How time is counted: each answer counts with the time its device says was spent on it, at most five minutes.
That clock is not ours, so a sitting (answers less than half an hour apart) never counts for more than the
time between its first and last answer, and ten minutes. Answers without a time count for none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from microtasks.store.db import Connection

ANSWER_SECONDS_MAX = 300
SITTING_GAP_SECONDS = 1800
SITTING_GRACE_SECONDS = 600

#: Honest seconds of each sitting of a person in a part. `{answers}` gives person, part, at, seconds.
_SITTINGS = f"""
    WITH given AS ({{answers}}),
    gaps AS (SELECT *, coalesce(extract(epoch FROM at - lag(at) OVER w) > {SITTING_GAP_SECONDS}, true)
                    AS begins FROM given WINDOW w AS (PARTITION BY person, part ORDER BY at)),
    numbered AS (SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY person, part ORDER BY at
                                            ROWS UNBOUNDED PRECEDING) AS sitting FROM gaps),
    sittings AS (
        SELECT person, part, count(*) AS n, min(at) AS first, max(at) AS last,
               least(sum(least(coalesce(seconds, 0), {ANSWER_SECONDS_MAX})),
                     extract(epoch FROM max(at) - min(at)) + {SITTING_GRACE_SECONDS})::float8 AS seconds
        FROM numbered GROUP BY person, part, sitting)"""  # noqa: S608  (ours)

_MINE = (
    "SELECT contributor_id AS person, {part} AS part, created_at AS at, seconds_spent AS seconds"
    " FROM answer WHERE contributor_id = %(who)s"
)
_TEAM = """
    SELECT a.contributor_id AS person, {part} AS part, a.created_at AS at, a.seconds_spent AS seconds
    FROM answer a WHERE a.contributor_id IN (SELECT contributor_id FROM team_member WHERE team_id = %(team)s)
      AND EXISTS (SELECT 1 FROM team_member m WHERE m.team_id = %(team)s
                  AND m.contributor_id = a.contributor_id AND a.created_at >= m.joined_at
                  AND (m.left_at IS NULL OR a.created_at < m.left_at))"""


class Totals(NamedTuple):
    """Answers and honest seconds, and when the first and the last answer was given."""

    n_answers: int
    seconds: float
    first: datetime | None
    last: datetime | None


class Part(NamedTuple):
    """What was given to one project."""

    slug: str
    name: str
    n_answers: int
    seconds: float


def totals(connection: Connection, contributor: UUID) -> Totals:
    """Everything one contributor gave."""
    return _totals(connection, _MINE.format(part=0), {"who": contributor})


def parts(connection: Connection, contributor: UUID) -> list[Part]:
    """What one contributor gave to each project, the most first."""
    return _parts(connection, _MINE.format(part="project_id"), {"who": contributor})


def team_totals(connection: Connection, team_id: int) -> Totals:
    """What its members gave while they were in the team."""
    return _totals(connection, _TEAM.format(part=0), {"team": team_id})


def team_parts(connection: Connection, team_id: int) -> list[Part]:
    """What a team gave to each project, the most first."""
    return _parts(connection, _TEAM.format(part="a.project_id"), {"team": team_id})


def of_project(connection: Connection, project_id: int, last: int) -> tuple[int, float]:
    """How many people gave the last answers of a project, so many, and their honest seconds."""
    answers = (
        "SELECT contributor_id AS person, 0 AS part, created_at AS at, seconds_spent AS seconds FROM answer"
        " WHERE project_id = %(project)s ORDER BY id DESC LIMIT %(last)s"
    )
    row = connection.execute(
        _SITTINGS.format(answers=answers)  # noqa: S608  (ours)
        + " SELECT count(DISTINCT person), coalesce(sum(seconds), 0) FROM sittings",
        {"project": project_id, "last": last},
    ).fetchone()
    return (int(row[0]), float(row[1])) if row else (0, 0.0)


def _totals(connection: Connection, answers: str, values: dict[str, Any]) -> Totals:
    row = connection.execute(
        _SITTINGS.format(answers=answers)  # noqa: S608  (ours)
        + " SELECT coalesce(sum(n), 0)::bigint, coalesce(sum(seconds), 0), min(first), max(last)"
        " FROM sittings",
        values,
    ).fetchone()
    return Totals(*row) if row else Totals(0, 0.0, None, None)


def _parts(connection: Connection, answers: str, values: dict[str, Any]) -> list[Part]:
    rows = connection.execute(
        _SITTINGS.format(answers=answers)  # noqa: S608  (ours)
        + """ SELECT p.slug, p.name, sum(s.n)::bigint, sum(s.seconds)
              FROM sittings s JOIN project p ON p.id = s.part
              GROUP BY p.id ORDER BY 3 DESC, p.id LIMIT 100""",
        values,
    )
    return [Part(*row) for row in rows]
