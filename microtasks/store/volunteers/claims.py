"""Who is whom: addresses that stand for a contributor, and devices that were joined to one person."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from microtasks.store.db import Connection

#: One joining at a time: two that cross would each wait for what the other holds.
JOINING = 0x6D746A6F


class LinkRequest(NamedTuple):
    """A one-time link that is still good: for which address, and who asked."""

    email: str
    contributor: UUID


def add_link(
    connection: Connection,
    token_hash: bytes,
    code_hash: bytes,
    email: str,
    contributor: UUID,
    lifetime: timedelta,
) -> None:
    """Keep a one-time link. Earlier ones of this contributor are void."""
    connection.execute("DELETE FROM claim_link WHERE contributor_id = %s AND used_at IS NULL", (contributor,))
    connection.execute(
        "INSERT INTO claim_link (token_hash, code_hash, email, contributor_id, expires_at)"
        " VALUES (%s, %s, %s, %s, now() + %s)",
        (token_hash, code_hash, email, contributor, lifetime),
    )


def link(connection: Connection, token_hash: bytes) -> LinkRequest | None:
    """The link, if it is good; changes nothing."""
    row = connection.execute(
        "SELECT email, contributor_id FROM claim_link"
        " WHERE token_hash = %s AND used_at IS NULL AND expires_at > now()",
        (token_hash,),
    ).fetchone()
    return LinkRequest(*row) if row else None


def use_link(connection: Connection, token_hash: bytes) -> LinkRequest | None:
    """Spend the link; None if it is not good (any more). Only one caller wins."""
    row = connection.execute(
        "UPDATE claim_link SET used_at = now()"
        " WHERE token_hash = %s AND used_at IS NULL AND expires_at > now() RETURNING email, contributor_id",
        (token_hash,),
    ).fetchone()
    return LinkRequest(*row) if row else None


def use_code(connection: Connection, code_hash: bytes, contributor: UUID) -> LinkRequest | None:
    """Spend the link by its code, which is good for who asked alone."""
    row = connection.execute(
        "UPDATE claim_link SET used_at = now() WHERE contributor_id = %s AND code_hash = %s"
        " AND used_at IS NULL AND expires_at > now() RETURNING email, contributor_id",
        (contributor, code_hash),
    ).fetchone()
    return LinkRequest(*row) if row else None


def claim(connection: Connection, email: str, contributor: UUID) -> UUID:
    """Let the address stand for this contributor, unless it stands for one already; return whom."""
    row = connection.execute(
        """INSERT INTO claim (email, contributor_id) VALUES (%s, %s)
           ON CONFLICT (lower(email)) DO UPDATE SET email = claim.email RETURNING contributor_id""",
        (email, contributor),
    ).fetchone()
    assert row is not None  # noqa: S101  (inserted or found)
    return row[0]  # type: ignore[no-any-return]


def emails(connection: Connection, contributor: UUID) -> list[str]:
    """The addresses that stand for this contributor."""
    rows = connection.execute(
        "SELECT email FROM claim WHERE contributor_id = %s ORDER BY id", (contributor,)
    ).fetchall()
    return [row[0] for row in rows]


def disconnect(connection: Connection, contributor: UUID) -> None:
    """Delete the contributor's addresses, their links, and letters that still lie here for them."""
    connection.execute(
        "DELETE FROM mail WHERE lower(recipient) IN (SELECT lower(email) FROM claim WHERE contributor_id = %s"
        " UNION SELECT lower(email) FROM claim_link WHERE contributor_id = %s)",
        (contributor, contributor),
    )
    connection.execute("DELETE FROM claim_link WHERE contributor_id = %s", (contributor,))
    connection.execute("DELETE FROM claim WHERE contributor_id = %s", (contributor,))


def person(connection: Connection, contributor: UUID) -> UUID:
    """Who this id was joined to; itself if it was not."""
    row = connection.execute(
        "SELECT contributor_id FROM contributor_alias WHERE old_id = %s", (contributor,)
    ).fetchone()
    return row[0] if row else contributor


def n_devices(connection: Connection, contributor: UUID) -> int:
    """How many devices are this person."""
    row = connection.execute(
        "SELECT count(*) FROM contributor_alias WHERE contributor_id = %s", (contributor,)
    ).fetchone()
    return 1 + (int(row[0]) if row else 0)


def stragglers(connection: Connection) -> list[tuple[UUID, UUID]]:
    """(old id, person) of devices that worked on under an id that was joined meanwhile."""
    return connection.execute(
        """SELECT a.old_id, a.contributor_id FROM contributor_alias a
           WHERE EXISTS (SELECT 1 FROM cursor c WHERE c.contributor_id = a.old_id)"""
    ).fetchall()


# -- joining ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Joined:
    """What joining changed. projects: where the old id had answers; twice: tasks that lost an answer."""

    projects: list[int]
    twice: list[int]


def join(connection: Connection, old: UUID, new: UUID, *, keep_alias: bool = True) -> Joined:
    """Make all that `old` did the work of `new`. Safe to run again: it then takes what came since.

    Of two answers to one task the counted one stays, of two counted ones the earlier. The other keeps its
    row under the old id as surplus, and its seat is free again; the task is neither reopened nor reduced
    here. Lock order: cursors, tasks, leases.
    """
    ids = {"old": old, "new": new}
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (JOINING,))
    # A cursor that does not exist cannot be locked, and whoever makes it would then hold what we wait for.
    connection.execute(
        """INSERT INTO cursor (contributor_id, project_id, pos)
           SELECT %(new)s, project_id, pos FROM cursor WHERE contributor_id = %(old)s
           ORDER BY project_id ON CONFLICT DO NOTHING""",
        ids,
    )
    connection.execute(
        "SELECT 1 FROM cursor WHERE contributor_id IN (%(old)s, %(new)s)"
        " ORDER BY project_id, contributor_id FOR UPDATE",
        ids,
    )
    connection.execute(
        """SELECT 1 FROM task WHERE id IN (
               SELECT o.task_id FROM answer o JOIN answer n ON n.task_id = o.task_id
               WHERE o.contributor_id = %(old)s AND n.contributor_id = %(new)s
               UNION SELECT task_id FROM lease WHERE contributor_id IN (%(old)s, %(new)s))
           ORDER BY id FOR NO KEY UPDATE""",
        ids,
    )
    twice = _keep_one_answer(connection, old, new)
    rows = connection.execute(
        """WITH moved AS (
               UPDATE answer a SET contributor_id = %(new)s WHERE contributor_id = %(old)s
                 AND NOT EXISTS (SELECT 1 FROM answer b WHERE b.task_id = a.task_id
                                 AND b.contributor_id = %(new)s)
               RETURNING project_id)
           SELECT project_id FROM moved
           UNION SELECT project_id FROM task WHERE id = ANY(%(twice)s) ORDER BY 1""",
        {**ids, "twice": twice},
    ).fetchall()
    for statement in _MOVES:
        connection.execute(statement, ids)
    if keep_alias:
        connection.execute(
            """INSERT INTO contributor_alias (old_id, contributor_id) VALUES (%(old)s, %(new)s)
               ON CONFLICT (old_id) DO UPDATE SET contributor_id = excluded.contributor_id""",
            ids,
        )
    return Joined([row[0] for row in rows], twice)


def _keep_one_answer(connection: Connection, old: UUID, new: UUID) -> list[int]:
    """Let one answer to each task be the person's; return the tasks of which two had counted."""
    twice, swapped = [], []
    for task_id, old_id, new_id, old_counts, new_counts in connection.execute(
        """SELECT o.task_id, o.id, n.id, o.status = 'counted', n.status = 'counted'
           FROM answer o JOIN answer n ON n.task_id = o.task_id AND n.contributor_id = %s
           WHERE o.contributor_id = %s ORDER BY o.task_id""",
        (new, old),
    ).fetchall():
        is_old_kept = old_id < new_id if old_counts == new_counts else old_counts
        if is_old_kept:
            swapped.append((old_id, new_id))
        if old_counts and new_counts:
            twice.append(task_id)
            connection.execute(
                "UPDATE answer SET status = 'surplus' WHERE id = %s", (new_id if is_old_kept else old_id,)
            )
    for kept, other in swapped:
        # One answer a task and contributor holds at every moment: the second steps aside first.
        for answer_id, owner in ((kept, uuid.uuid4()), (other, old), (kept, new)):
            connection.execute("UPDATE answer SET contributor_id = %s WHERE id = %s", (owner, answer_id))
    connection.execute(
        """UPDATE task SET n_answers = n_answers - 1,
               pos = CASE WHEN NOT open AND retired_at IS NULL THEN nextval('task_pos') ELSE pos END
           WHERE id = ANY(%s)""",
        (twice,),
    )
    return twice


#: What follows the answers, in this order.
_MOVES = (
    # A lease on what the person has answered, or holds already, gives its seat back.
    """WITH gone AS (
           DELETE FROM lease l WHERE l.contributor_id IN (%(old)s, %(new)s) AND EXISTS (
                   SELECT 1 FROM answer a WHERE a.task_id = l.task_id AND a.contributor_id = %(new)s)
              OR l.contributor_id = %(old)s AND EXISTS (
                   SELECT 1 FROM lease m WHERE m.task_id = l.task_id AND m.contributor_id = %(new)s)
           RETURNING task_id, holds_seat),
       freed AS (SELECT task_id, count(*) AS n FROM gone WHERE holds_seat GROUP BY task_id)
       UPDATE task t SET n_leases = t.n_leases - f.n,
           pos = CASE WHEN NOT t.open AND t.retired_at IS NULL THEN nextval('task_pos') ELSE t.pos END
       FROM freed f WHERE t.id = f.task_id""",
    "UPDATE lease SET contributor_id = %(new)s WHERE contributor_id = %(old)s",
    """INSERT INTO skip (contributor_id, task_id, project_id, created_at)
       SELECT %(new)s, task_id, project_id, created_at FROM skip WHERE contributor_id = %(old)s
       ON CONFLICT DO NOTHING""",
    """DELETE FROM skip s WHERE contributor_id = %(old)s OR contributor_id = %(new)s AND EXISTS (
           SELECT 1 FROM answer a WHERE a.task_id = s.task_id AND a.contributor_id = %(new)s)""",
    """UPDATE report r SET contributor_id = %(new)s WHERE contributor_id = %(old)s AND NOT EXISTS (
           SELECT 1 FROM report q WHERE q.task_id = r.task_id AND q.contributor_id = %(new)s)""",
    """UPDATE cursor n SET n_served = n.n_served + o.n_served, n_lapsed = n.n_lapsed + o.n_lapsed,
           worked_until = greatest(n.worked_until, o.worked_until),
           paced_until = greatest(n.paced_until, o.paced_until), rest_until = NULL
       FROM cursor o WHERE n.contributor_id = %(new)s AND o.contributor_id = %(old)s
         AND o.project_id = n.project_id""",
    "DELETE FROM cursor WHERE contributor_id = %(old)s",
    # Who was left out stays so: joining a fresh device washes nobody clean. An owner's word goes first, and
    # of two the stricter.
    """UPDATE contributor_record n SET
           is_excluded = CASE
               WHEN n.decided_by = o.decided_by THEN n.is_excluded OR o.is_excluded
               WHEN n.decided_by = 'owner' THEN n.is_excluded ELSE o.is_excluded END,
           decided_by = CASE WHEN 'owner' IN (n.decided_by, o.decided_by) THEN 'owner' ELSE 'rule' END,
           habits = CASE WHEN o.is_excluded THEN o.habits ELSE n.habits END,
           n_answers = n.n_answers + o.n_answers, updated_at = now()
       FROM contributor_record o WHERE n.contributor_id = %(new)s AND o.contributor_id = %(old)s
         AND o.project_id = n.project_id""",
    """UPDATE contributor_record o SET contributor_id = %(new)s
       WHERE contributor_id = %(old)s AND NOT EXISTS (
           SELECT 1 FROM contributor_record n
           WHERE n.contributor_id = %(new)s AND n.project_id = o.project_id)""",
    "DELETE FROM contributor_record WHERE contributor_id = %(old)s",
    """INSERT INTO rating (project_id, contributor_id, score, created_at)
       SELECT project_id, %(new)s, score, created_at FROM rating WHERE contributor_id = %(old)s
       ON CONFLICT (project_id, contributor_id) DO UPDATE
       SET score = excluded.score, created_at = excluded.created_at
       WHERE rating.created_at < excluded.created_at""",
    "DELETE FROM rating WHERE contributor_id = %(old)s",
    # A stay in a team that both began: the earlier one goes on.
    """UPDATE team_member n SET joined_at = least(n.joined_at, o.joined_at)
       FROM team_member o WHERE n.contributor_id = %(new)s AND o.contributor_id = %(old)s
         AND o.team_id = n.team_id AND o.left_at IS NULL AND n.left_at IS NULL""",
    """DELETE FROM team_member o WHERE contributor_id = %(old)s AND left_at IS NULL AND EXISTS (
           SELECT 1 FROM team_member n WHERE n.contributor_id = %(new)s AND n.team_id = o.team_id
             AND n.left_at IS NULL)""",
    "UPDATE team_member SET contributor_id = %(new)s WHERE contributor_id = %(old)s",
    "UPDATE team SET contributor_id = %(new)s WHERE contributor_id = %(old)s",
    "UPDATE certificate SET contributor_id = %(new)s WHERE contributor_id = %(old)s",
    "UPDATE claim SET contributor_id = %(new)s WHERE contributor_id = %(old)s",
    "UPDATE claim_link SET contributor_id = %(new)s WHERE contributor_id = %(old)s",
    "UPDATE contributor_alias SET contributor_id = %(new)s WHERE contributor_id = %(old)s",
)


def reopen(connection: Connection, task_id: int, reason: str | None) -> None:
    """Say why a task that lost an answer is retired now; None: it is not, and every walk meets it again."""
    connection.execute(
        """UPDATE task SET retirement_reason = %(reason)s,
               retired_at = CASE WHEN %(reason)s::text IS NULL THEN NULL ELSE coalesce(retired_at, now()) END,
               pos = CASE WHEN %(reason)s::text IS NULL AND NOT open THEN nextval('task_pos') ELSE pos END
           WHERE id = %(task)s""",
        {"reason": reason, "task": task_id},
    )


def drop_consensus(connection: Connection, task_id: int) -> None:
    """Take back the consensus of a task that no longer has enough answers for one."""
    connection.execute("DELETE FROM consensus WHERE task_id = %s", (task_id,))
    connection.execute("DELETE FROM stopping WHERE task_id = %s", (task_id,))


def forget(connection: Connection, contributor: UUID) -> None:
    """Delete what says who a contributor is: address, certificates, teams, ratings, words in reports."""
    disconnect(connection, contributor)
    for statement in (
        "DELETE FROM certificate WHERE contributor_id = %s",
        "DELETE FROM team_member WHERE contributor_id = %s",
        "UPDATE team SET contributor_id = NULL WHERE contributor_id = %s",
        "DELETE FROM rating WHERE contributor_id = %s",
        "DELETE FROM contributor_alias WHERE contributor_id = %s",
        "UPDATE report SET note = '' WHERE contributor_id = %s",
        "UPDATE answer SET network = NULL WHERE contributor_id = %s",
        "UPDATE lease SET network = NULL WHERE contributor_id = %s",
    ):
        connection.execute(statement, (contributor,))
