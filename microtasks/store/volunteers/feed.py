"""Which projects need help now, for who has time and no project in mind."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from microtasks.store.db import Connection


class Needy(NamedTuple):
    """A project that takes answers.

    languages: BCP 47, what it can be read in, the owner's first.
    need: share of the answers wanted that is missing, above 0, up to 1.
    """

    project_id: int
    slug: str
    name: str
    task_type: str
    languages: tuple[str, ...]
    has_images: bool
    need: float


def needy(connection: Connection) -> list[Needy]:
    """Published projects that lack answers, each with the owner's own language alone."""
    rows = connection.execute(
        """SELECT p.id, p.slug, p.name, p.task_type, ARRAY[p.language],
                  EXISTS (SELECT 1 FROM (SELECT id FROM task WHERE project_id = p.id
                                         ORDER BY id LIMIT 20) AS first
                          JOIN task_content c ON c.task_id = first.id
                          WHERE cardinality(c.media_ids) > 0),
                  count.missing::float8 / count.wanted
           FROM project p, LATERAL (
               SELECT sum(redundancy - n_answers) FILTER (WHERE retired_at IS NULL) AS missing,
                      sum(CASE WHEN retired_at IS NULL THEN redundancy ELSE n_answers END) AS wanted
               FROM task WHERE project_id = p.id) AS count
           WHERE p.state = 'published' AND p.trial_of IS NULL AND count.missing > 0"""
    )
    return [Needy._make(row) for row in rows]


def held(connection: Connection, contributor: UUID) -> list[int]:
    """Projects of which the contributor holds leases, those that end first before others."""
    return [
        row[0]
        for row in connection.execute(
            """SELECT project_id FROM lease WHERE contributor_id = %s AND expires_at > clock_timestamp()
               GROUP BY project_id ORDER BY min(expires_at), project_id""",
            (contributor,),
        )
    ]


def n_served(connection: Connection, contributor: UUID, project_id: int) -> int:
    """How many tasks of the project the contributor was handed so far."""
    row = connection.execute(
        "SELECT n_served FROM cursor WHERE contributor_id = %s AND project_id = %s", (contributor, project_id)
    ).fetchone()
    return int(row[0]) if row else 0
