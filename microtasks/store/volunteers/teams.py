"""Teams, who is in them, and how people liked helping."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from microtasks.store.db import Connection


class Team(NamedTuple):
    """A team; n_members: those in it now."""

    id: int
    code: str
    name: str
    n_members: int
    created_at: datetime


_TEAM = """SELECT t.id, t.code, t.name,
    (SELECT count(*) FROM team_member m WHERE m.team_id = t.id AND m.left_at IS NULL), t.created_at
    FROM team t"""


def add(
    connection: Connection, code: str, name: str, contributor: UUID | None, account_id: int | None
) -> bool:
    """Add a team; False when the code is taken."""
    return (
        connection.execute(
            "INSERT INTO team (code, name, contributor_id, account_id) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (code) DO NOTHING",
            (code, name, contributor, account_id),
        ).rowcount
        == 1
    )


def by_code(connection: Connection, code: str) -> Team | None:
    row = connection.execute(_TEAM + " WHERE t.code = %s", (code,)).fetchone()
    return Team(*row) if row else None


def of(connection: Connection, contributor: UUID) -> list[Team]:
    """The teams that somebody is in, the latest first."""
    rows = connection.execute(
        _TEAM + " JOIN team_member mine ON mine.team_id = t.id"
        " WHERE mine.contributor_id = %s AND mine.left_at IS NULL ORDER BY mine.id DESC",
        (contributor,),
    )
    return [Team(*row) for row in rows]


def made_by(connection: Connection, contributor: UUID | None, account_id: int | None) -> list[Team]:
    """The teams that a volunteer or an owner made."""
    rows = connection.execute(
        _TEAM + " WHERE t.contributor_id = %s OR t.account_id = %s ORDER BY t.id DESC LIMIT 100",
        (contributor, account_id),
    )
    return [Team(*row) for row in rows]


def join(connection: Connection, team_id: int, contributor: UUID) -> None:
    """Begin a stay, unless one lasts."""
    connection.execute(
        "INSERT INTO team_member (team_id, contributor_id) VALUES (%s, %s)"
        " ON CONFLICT (team_id, contributor_id) WHERE left_at IS NULL DO NOTHING",
        (team_id, contributor),
    )


def leave(connection: Connection, team_id: int, contributor: UUID) -> bool:
    """End the stay; what was answered until now goes on counting. False: there was none."""
    return (
        connection.execute(
            "UPDATE team_member SET left_at = now()"
            " WHERE team_id = %s AND contributor_id = %s AND left_at IS NULL",
            (team_id, contributor),
        ).rowcount
        == 1
    )


def in_project(connection: Connection, project_id: int, limit: int = 20) -> list[tuple[str, int]]:
    """Teams by what their members answered in a project while they were in: name and answers."""
    return connection.execute(
        """SELECT t.name, count(DISTINCT a.id) FROM team t
           JOIN team_member m ON m.team_id = t.id
           JOIN answer a ON a.contributor_id = m.contributor_id AND a.project_id = %s
                AND a.created_at >= m.joined_at AND (m.left_at IS NULL OR a.created_at < m.left_at)
           GROUP BY t.id ORDER BY 2 DESC, t.id LIMIT %s""",
        (project_id, limit),
    ).fetchall()


def show(connection: Connection, project_id: int, is_shown: bool) -> None:
    """Let the totals of teams be seen on the project's page, or not."""
    connection.execute("UPDATE project SET shows_teams = %s WHERE id = %s", (is_shown, project_id))


# -- ratings ------------------------------------------------------------------------------------------


def rate(connection: Connection, project_id: int, contributor: UUID, score: int) -> None:
    """Store how somebody liked helping, in place of what they said before."""
    connection.execute(
        """INSERT INTO rating (project_id, contributor_id, score) VALUES (%s, %s, %s)
           ON CONFLICT (project_id, contributor_id) DO UPDATE
           SET score = excluded.score, created_at = now()""",
        (project_id, contributor, score),
    )


def rating(connection: Connection, project_id: int, contributor: UUID) -> int | None:
    row = connection.execute(
        "SELECT score FROM rating WHERE project_id = %s AND contributor_id = %s", (project_id, contributor)
    ).fetchone()
    return int(row[0]) if row else None


def ratings(connection: Connection, project_id: int) -> dict[int, int]:
    """How many people gave each score."""
    rows = connection.execute(
        "SELECT score, count(*) FROM rating WHERE project_id = %s GROUP BY score", (project_id,)
    )
    return {1: 0, 2: 0, 3: 0} | {row[0]: row[1] for row in rows}
