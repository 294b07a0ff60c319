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

#: A project with so few open tasks is ending; two thirds of it where they may have a consensus (hot_lease).
LAST = 24
#: The whole transaction may be tried again after one of these.
RETRY = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)

set_json_loads(orjson.loads)


class Leased(NamedTuple):
    """What `hot_lease` says (hotpath.sql). project_id None: there is no such project.

    leases: [task id, expiry in seconds since 1970, payload, [[width, height, derivatives], ...], is drawn].
    """

    project_id: int | None
    task_type: str
    config_version: int
    state: str
    gold_share: float
    n_served: int
    n_gold: int
    n_held: int
    is_undecided: bool
    reason: str | None
    retry_after_s: int | None
    leases: list[list[Any]]


_LEASE = Statement(
    b"hot_lease",
    b"SELECT row_to_json(l) FROM hot_lease($1, $2, $3, decode($4, 'hex'), $5, $6, false) AS l",
)
_TURN = Statement(
    b"hot_turn", b"SELECT hot_turn($1, $2, $3, $4, $5, $6, $7, $8, decode($9, 'hex'), $10, $11)"
)
_SETTLE = Statement(
    b"hot_settle",
    b"SELECT hot_settle($1, $2, $3, $4, $5, $6, $7, $8, decode($9, 'hex'), $10, $11, $12, $13)",
)
_CONTENT = Statement(b"hot_content", b"SELECT hot_content($1)")


def lease(
    db: Database,
    slug: str,
    contributor: UUID,
    wanted: int,
    network: bytes | None,
    lease_seconds: int,
    n_gold: int | None,
) -> Leased:
    """Hand out tasks until the contributor holds `wanted`, held ones first; `n_gold` of the new ones gold.

    n_gold None: where the project has a gold share nothing is handed out and `is_undecided` is True.
    Not durable: a crash may forget the lease, row and counter together.
    """
    raw = db.call(
        _LEASE,
        slug.encode(),
        contributor.hex.encode(),
        b"%d" % wanted,
        network.hex().encode() if network else None,
        b"%d" % lease_seconds,
        None if n_gold is None else b"%d" % n_gold,
    )
    return Leased(*orjson.loads(raw or b"").values())


class Plain(NamedTuple):
    """An answer as `turn` takes it. value: None for `cant_tell`."""

    contributor: UUID
    project_id: int
    task_id: int
    kind: str
    value: dict[str, Any] | None
    seconds_spent: float | None
    config_version: int


class Due(NamedTuple):
    """What making a due consensus needs (hot_due). said: [contributor, kind, value] of those that weigh."""

    redundancy: int
    n_answers: int
    answers_min: int
    stop_rule: str
    stop_threshold: float
    task_type: str
    config_version: int
    version: int
    said: list[tuple[str, str, dict[str, Any] | None]]


class Turn(NamedTuple):
    """What became of a plain answer. leased: None when no task was wanted, or nothing was taken.

    status: counted or duplicate; None: nothing was changed, it is not that plain. due: because a consensus is
    due, and nothing else: make it and `settle`; None: engine/assignment/submit.py decides under locks.
    """

    status: Literal["counted", "duplicate"] | None
    slug: str
    leased: Leased | None
    due: Due | None


def turn(
    db: Database, plain: Plain, wanted: int, network: bytes | None, lease_seconds: int, *, with_due: bool
) -> Turn:
    """Store a plain answer to a held lease, durably, then do as `lease` with n_gold None. One message."""
    raw = db.call(_TURN, *_turn_values(plain, wanted, network, lease_seconds), b"t" if with_due else b"f")
    return _turn(raw or b"")


def settle(
    db: Database,
    plain: Plain,
    wanted: int,
    network: bytes | None,
    lease_seconds: int,
    due: Due,
    retire_reason: str | None,
    consensus: Consensus,
) -> Turn | None:
    """Store an answer with the consensus that it made due, then as `turn`. One message.

    None, with nothing changed: the task is no longer as `due` says.
    """
    raw = db.call(
        _SETTLE,
        *_turn_values(plain, wanted, network, lease_seconds),
        b"%d" % due.version,
        None if retire_reason is None else retire_reason.encode(),
        orjson.dumps(consensus),
    )
    return None if raw is None else _turn(raw)


def _turn_values(
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


def _turn(raw: bytes) -> Turn:
    status, slug, leased, due = orjson.loads(raw)
    return Turn(status, slug, Leased(*leased.values()) if leased else None, Due(*due) if due else None)


def content(db: Database, task_id: int) -> tuple[str, dict[str, Any], list[list[int]]] | None:
    """What never changes of a task: (task type, payload, [[width, height], ...]); None: no such task."""
    raw = db.call(_CONTENT, b"%d" % task_id)
    return None if raw is None else tuple(orjson.loads(raw))


class Facts(NamedTuple):
    """What is known of a task and of one contributor's part in it.

    holds_seat: of their lease; None: they hold none. answer_status: of their answer; None: they gave none.
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
    gold_share: float
    payload: dict[str, Any]
    sizes: list[tuple[int, int]]
    holds_seat: bool | None
    has_room: bool
    answer_status: str | None
    is_skipped: bool


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


@dataclass(frozen=True, slots=True)
class Written:
    """One decided answer or skip. status: counted, surplus, check, skipped. retire: why the task ends."""

    task: int
    status: str
    kind: str | None = None
    value: dict[str, Any] | None = None
    seconds: float | None = None
    version: int = 1
    retire: str | None = None


def write(connection: Connection, contributor: UUID, network: bytes | None, items: Sequence[Written]) -> None:
    """Write what was decided under the locks of `facts`: rows, counters, retirement, freed seats."""
    connection.execute(
        "SELECT hot_write(%s, %s, %s::jsonb)", (contributor, network, orjson.dumps(list(items)).decode())
    )


def retire(connection: Connection, task_id: int, reason: str) -> None:
    """Retire the task, if it is not yet; its lock must be held."""
    connection.execute(
        "UPDATE task SET retired_at = now(), retirement_reason = %s WHERE id = %s AND retired_at IS NULL",
        (reason, task_id),
    )


def sweep(connection: Connection, limit: int = 500) -> int:
    """Take back up to `limit` expired leases; return how many. Several at once are safe: none waits.

    A task that was full goes to the end of the order, so that every contributor's walk meets it again.
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
               RETURNING task_id, holds_seat),
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
               SELECT count(*) <= CASE WHEN p.stop_rule = 'redundancy' AND p.answers_min = p.redundancy
                                       THEN %(last)s ELSE %(last)s * 2 / 3 END AS is_few
               FROM (SELECT 1 FROM task WHERE project_id = p.id AND open AND (pos > p.head_pos OR pos < 0)
                     LIMIT %(last)s + 1) AS found) AS left_over
           WHERE project.id = p.id AND p.id = ANY(%(ids)s) AND p.is_ending <> left_over.is_few""",
        {"ids": ids, "last": LAST},
    )
    return moved


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
