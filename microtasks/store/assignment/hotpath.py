"""The hot path's SQL: lease, answer, sweep, head of the walk. Plain values in and out, no rules, no ORM.

One ORM select costs ten bare Flask replies, one statement sent about one: hence functions (hotpath.sql) and
few messages. Lock order everywhere: cursor, task, lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import set_json_loads

from microtasks.core.values import Consensus
from microtasks.store.db import Connection, Database, Statement
from microtasks.store.tables import END_OF_ORDER

#: The whole transaction may be tried again after one of these.
RETRY = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)

set_json_loads(orjson.loads)


class Leased(NamedTuple):
    """What `hot_lease` says (hotpath.sql). project_id None: there is no such project.

    leases: [task id, expiry in seconds since 1970, payload, [[width, height, derivatives], ...]].
    """

    project_id: int | None
    task_type: str
    config_version: int
    state: str
    reason: str | None
    retry_after_s: int | None
    leases: list[list[Any]]


_LEASE = Statement(
    b"hot_lease",
    b"SELECT row_to_json(l) FROM hot_lease($1, $2, $3, decode($4, 'hex'), $5, false) AS l",
)
_SUBMIT = Statement(
    b"hot_submit", b"SELECT hot_submit($1, $2, $3, $4, $5, $6, $7, $8, decode($9, 'hex'), $10, $11)"
)
_SETTLE = Statement(
    b"hot_settle",
    b"SELECT hot_settle($1, $2, $3, $4, $5, $6, $7, $8, decode($9, 'hex'), $10, $11, $12, $13)",
)
_CONTENT = Statement(b"hot_content", b"SELECT hot_content($1)")


def lease(
    db: Database, slug: str, contributor: UUID, wanted: int, network: bytes | None, lease_seconds: int
) -> Leased:
    """Hand out tasks until the contributor holds `wanted`, held ones first.

    Not durable: a crash may forget the lease, row and counter together.
    """
    raw = db.call(
        _LEASE,
        slug.encode(),
        contributor.hex.encode(),
        b"%d" % wanted,
        network.hex().encode() if network else None,
        b"%d" % lease_seconds,
    )
    return Leased(*orjson.loads(raw or b"").values())


class Plain(NamedTuple):
    """An answer as `submit` takes it. value: None for `cant_tell`."""

    contributor: UUID
    project_id: int
    task_id: int
    kind: str
    value: dict[str, Any] | None
    seconds_spent: float | None
    config_version: int


class PendingConsensus(NamedTuple):
    """What making a consensus that is due needs (hot_pending). answers: of contributors not excluded."""

    redundancy: int
    n_answers: int
    answers_min: int
    stop_rule: str
    stop_threshold: float
    task_type: str
    config_version: int
    version: int
    answers: list[tuple[str, str, dict[str, Any] | None]]


class Stored(NamedTuple):
    """A contributor's answer as it is stored (hot_stored). is_same: as what they send now, in any version."""

    status: Literal["counted", "surplus"]
    is_same: bool
    kind: str
    value: dict[str, Any] | None


class SubmitResult(NamedTuple):
    """What became of a plain answer. leased: None when no task was wanted, or nothing was taken.

    status: counted; stored: there is an answer already, and which; hurried: too many at once; None: nothing
    was changed, it is not that plain. pending: because a consensus is due, and nothing else: make it and
    `settle`; None: engine/assignment/submit.py decides under locks.
    """

    status: Literal["counted", "stored", "hurried"] | None
    slug: str
    leased: Leased | None
    pending: PendingConsensus | None
    stored: Stored | None


def submit(
    db: Database,
    plain: Plain,
    wanted: int,
    network: bytes | None,
    lease_seconds: int,
    *,
    with_pending: bool,
) -> SubmitResult:
    """Store a plain answer to a held lease, durably, then do as `lease`. One message."""
    values = _submit_values(plain, wanted, network, lease_seconds)
    return _submit_result(db.call(_SUBMIT, *values, b"t" if with_pending else b"f") or b"")


def settle(
    db: Database,
    plain: Plain,
    wanted: int,
    network: bytes | None,
    lease_seconds: int,
    pending: PendingConsensus,
    retire_reason: str | None,
    consensus: Consensus,
) -> SubmitResult | None:
    """Store an answer with the consensus that it made due, then as `submit`. One message.

    None, with nothing changed: the task is no longer as `pending` says.
    """
    raw = db.call(
        _SETTLE,
        *_submit_values(plain, wanted, network, lease_seconds),
        b"%d" % pending.version,
        None if retire_reason is None else retire_reason.encode(),
        orjson.dumps(consensus),
    )
    return None if raw is None else _submit_result(raw)


def _submit_values(
    plain: Plain, wanted: int, network: bytes | None, lease_seconds: int
) -> tuple[bytes | None, ...]:
    return (
        plain.contributor.hex.encode(),
        b"%d" % plain.project_id,
        b"%d" % plain.task_id,
        plain.kind.encode(),
        None if plain.value is None else orjson.dumps(plain.value),
        None if plain.seconds_spent is None else repr(plain.seconds_spent).encode(),
        b"%d" % plain.config_version,
        b"%d" % wanted,
        network.hex().encode() if network else None,
        b"%d" % lease_seconds,
    )


def _submit_result(raw: bytes) -> SubmitResult:
    status, slug, leased, pending, stored = orjson.loads(raw)
    return SubmitResult(
        status,
        slug,
        Leased(*leased.values()) if leased else None,
        PendingConsensus(*pending) if pending else None,
        Stored(*stored) if stored else None,
    )


def content(db: Database, task_id: int) -> tuple[str, dict[str, Any], list[list[int]]] | None:
    """What never changes of a task: (task type, payload, [[width, height], ...]); None: no such task."""
    raw = db.call(_CONTENT, b"%d" % task_id)
    return None if raw is None else tuple(orjson.loads(raw))


class Facts(NamedTuple):
    """What is known of a task and of one contributor's part in it.

    holds_seat: of their lease; None: they hold none. is_hurried: they answer faster than anybody can.
    has_room: their network may have one more seat of it. sizes: [[width, height], ...] of its images.
    """

    task_id: int
    project_id: int
    redundancy: int
    n_answers: int
    is_open: bool
    retirement_reason: str | None
    slug: str
    task_type: str
    config_version: int
    answers_min: int
    stop_rule: str
    stop_threshold: float
    payload: dict[str, Any]
    sizes: list[tuple[int, int]]
    holds_seat: bool | None
    has_room: bool
    is_answered: bool
    is_skipped: bool
    is_hurried: bool


def facts(
    connection: Connection, contributor: UUID, task_ids: Sequence[int], network: bytes | None, *, lock: bool
) -> dict[int, Facts]:
    """What there is to know to judge answers to these tasks; a task that is gone is missing.

    lock: take the contributor's cursors and the tasks first, until the end of the transaction.
    """
    tasks = "{" + ",".join(map(str, task_ids)) + "}"  # dumping a list costs a fifth of the whole call
    rows = connection.execute(
        "SELECT * FROM hot_facts(%s, %s::bigint[], %s, %s)", (contributor, tasks, network, lock)
    )
    return {row[0]: Facts._make(row) for row in rows}


def stored(
    connection: Connection, contributor: UUID, task_id: int, kind: str, value: dict[str, Any] | None
) -> Stored | None:
    """What is stored of the contributor's answer to the task, beside what they send now; None: no answer."""
    row = connection.execute(
        "SELECT hot_stored(%s, %s, %s, %s::jsonb)",
        (contributor, task_id, kind, None if value is None else orjson.dumps(value).decode()),
    ).fetchone()
    return Stored(*row[0]) if row and row[0] else None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of one answer or skip.

    status: counted, surplus, check, skipped. retire: why the task ends.
    """

    task: int
    status: str
    kind: str | None = None
    value: dict[str, Any] | None = None
    seconds: float | None = None
    version: int = 1
    retire: str | None = None


def write(
    connection: Connection, contributor: UUID, network: bytes | None, decisions: Sequence[Decision]
) -> None:
    """Write what was decided under the locks of `facts`: rows, counters, retirement, freed seats."""
    connection.execute(
        "SELECT hot_write(%s, %s, %s::jsonb)", (contributor, network, orjson.dumps(list(decisions)).decode())
    )


def retire(connection: Connection, task_id: int, reason: str) -> None:
    """Retire the task, if it is not yet; its lock must be held."""
    connection.execute(
        "UPDATE task SET retired_at = now(), retirement_reason = %s WHERE id = %s AND retired_at IS NULL",
        (reason, task_id),
    )


def sweep(connection: Connection, limit: int = 500) -> int:
    """Take back up to `limit` expired leases; return how many. Several at once are safe: none waits.

    A task that was full goes to the end of the order, so that every contributor's walk meets it again. Whose
    leases they were gets one task at a time for a while (hot_lease); a cursor that is in use is passed by,
    since cursors are locked before tasks.
    """
    connection.execute("SET LOCAL synchronous_commit = off")
    connection.execute("SET LOCAL enable_seqscan = off")
    row = connection.execute(
        """SELECT coalesce(array_agg(id), '{}') FROM (
               SELECT id FROM task WHERE id IN (
                   SELECT task_id FROM lease WHERE expires_at < clock_timestamp()
                   ORDER BY expires_at LIMIT %s)
               ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS locked""",
        (limit,),
    ).fetchone()
    tasks: list[int] = row[0] if row else []
    if not tasks:
        return 0
    # A second statement: it sees what was committed before the locks were ours.
    row = connection.execute(
        """WITH gone AS (
               DELETE FROM lease WHERE task_id = ANY(%(tasks)s) AND expires_at < clock_timestamp()
               RETURNING task_id, project_id, contributor_id, holds_seat),
           lapsed AS (
               UPDATE cursor c SET n_lapsed = c.n_lapsed + l.n
               FROM (SELECT k.contributor_id, k.project_id, n.n
                     FROM (SELECT contributor_id, project_id, count(*) AS n FROM gone GROUP BY 1, 2) AS n
                     JOIN cursor k USING (contributor_id, project_id)
                     FOR NO KEY UPDATE OF k SKIP LOCKED) AS l
               WHERE c.contributor_id = l.contributor_id AND c.project_id = l.project_id),
           seats AS (SELECT task_id, count(*) AS n FROM gone WHERE holds_seat GROUP BY task_id),
           freed AS (
               UPDATE task SET n_leases = n_leases - seats.n,
                      pos = CASE WHEN open OR retired_at IS NOT NULL THEN pos ELSE hot_again(pos) END
               FROM seats WHERE task.id = seats.task_id)
           SELECT count(*) FROM gone""",
        {"tasks": tasks},
    ).fetchone()
    return int(row[0]) if row else 0


def advance_heads(connection: Connection) -> int:
    """Move each project's head up to its first open task, where newcomers start; return how many moved.

    Notes also which projects are ending: then the few tasks that are left go out by need (hot_lease).
    The projects are locked first and the tasks read by a later statement, so that an import under way is
    either seen or sees this. The head stays before the end of the order: positions there are not committed
    in order.
    """
    connection.execute("SET LOCAL enable_seqscan = off")
    rows = connection.execute(
        "SELECT id FROM project WHERE state IN ('published', 'paused') ORDER BY id"
        " FOR NO KEY UPDATE SKIP LOCKED"
    ).fetchall()
    ids = [row[0] for row in rows]
    moved = connection.execute(
        """UPDATE project SET head_pos = first.pos - 1
           FROM project AS p, LATERAL (
               SELECT least(pos, %s) AS pos FROM task
               WHERE project_id = p.id AND open AND pos > p.head_pos ORDER BY pos LIMIT 1) AS first
           WHERE project.id = p.id AND p.id = ANY(%s) AND first.pos - 1 > p.head_pos""",
        (END_OF_ORDER, ids),
    ).rowcount
    connection.execute(
        """UPDATE project SET is_ending = left_over.is_few
           FROM project AS p, LATERAL (
               SELECT (SELECT count(*)
                       FROM (SELECT 1 FROM task
                             WHERE project_id = p.id AND open AND (pos > p.head_pos OR pos < 0)
                             LIMIT last.n + 1) AS one) <= last.n AS is_few
               FROM (SELECT hot_last(p.stop_rule <> 'redundancy' OR p.answers_min < p.redundancy) AS n)
                    AS last) AS left_over
           WHERE project.id = p.id AND p.id = ANY(%(ids)s) AND p.is_ending <> left_over.is_few""",
        {"ids": ids},
    )
    return moved


def place_gold(connection: Connection) -> int:
    """Place new known tasks in the order of their projects (hot_place_gold); return of how many projects."""
    rows = connection.execute(
        """SELECT hot_place_gold(p.id) FROM (
               SELECT id FROM project WHERE gold_share > 0 AND state <> 'archived'
               AND EXISTS (SELECT 1 FROM task_gold WHERE project_id = project.id AND draw >= 0)
               ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS p"""
    ).fetchall()
    return len(rows)


def displace_gold(connection: Connection, project_id: int) -> None:
    """Let `place_gold` place the project's known tasks anew."""
    connection.execute("UPDATE task_gold SET draw = random() WHERE project_id = %s", (project_id,))


def lower_head(connection: Connection, project_id: int) -> None:
    """Make sure that new contributors start before every open task.

    Call in the transaction that added or reopened tasks, after it did.
    """
    connection.execute("SELECT 1 FROM project WHERE id = %s FOR NO KEY UPDATE", (project_id,))
    connection.execute(
        """UPDATE project SET head_pos = first.pos - 1
           FROM (SELECT pos FROM task
                 WHERE project_id = %(project)s AND open AND pos >= 0 ORDER BY pos LIMIT 1) AS first
           WHERE id = %(project)s AND first.pos - 1 < head_pos""",
        {"project": project_id},
    )
