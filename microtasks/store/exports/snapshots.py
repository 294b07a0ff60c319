"""One state of a project's answers, read in many short statements while more answers come in.

A cut is a number and a moment: the answers up to that number, each in the version that it had at that moment.
Both are read at once; then we wait, without a lock or a transaction of our own, until every transaction that
was writing answers then has ended. From there on nothing that belongs to the cut can still appear: an answer
takes its number, and a revision its time (`clock_timestamp()`), only while its transaction holds the table's
write lock, which `pg_locks` shows. An answer that somebody gave knowing another one has a larger number, so
the cut never holds a later word without the earlier one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from microtasks.core.errors import Unavailable
from microtasks.store.db import Connection, Database

#: How long a transaction that writes answers may keep us waiting. Ours take milliseconds.
WAIT_SECONDS = 20.0
POLL_SECONDS = 0.01
#: Records of contributors: bytes held in memory, and how many are read together.
RECORDS_BYTES = 4 << 20
RECORDS_AT_ONCE = 10_000


#: More than any task's number.
NO_TASK_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Mark:
    """How far somebody has read: all that was written by transactions before the horizon, and these answers.

    system: which database server's numbers these are; another one's say nothing.
    """

    system: str
    horizon: str
    answer_max: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows of a table are read. changed_after: those that are new or changed since that mark, and maybe
    a few that are not. state: of their tasks, "open" or "retired". since: written at that time or later.
    """

    changed_after: Mark | None = None
    state: str = ""
    since: datetime | None = None


class Records:
    """What the last review had found of each contributor, kept on disk where it is much, by contributor."""

    def __init__(self, db: Database, project_id: int) -> None:
        self._lines = tempfile.SpooledTemporaryFile(max_size=RECORDS_BYTES)  # noqa: SIM115  (as long as the cut)
        after = UUID(int=0)
        while True:
            with db.connection() as connection:
                chunk = connection.execute(
                    """SELECT contributor_id, skill, gold_score, habits FROM contributor_record
                       WHERE project_id = %s AND contributor_id > %s ORDER BY contributor_id LIMIT %s""",
                    (project_id, after, RECORDS_AT_ONCE),
                ).fetchall()
            for contributor, skill, gold_score, habits in chunk:
                line = {"skill": skill, "gold_score": gold_score, "habits": habits}
                self._lines.write(orjson.dumps([contributor.hex, line]) + b"\n")
            if len(chunk) < RECORDS_AT_ONCE:
                return
            after = chunk[-1][0]

    def __del__(self) -> None:
        self._lines.close()

    def put_into(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The same rows, by contributor, with what was found of each."""
        self._lines.seek(0)
        name, record = "", {}
        for row in rows:
            wanted = row["contributor_id"].hex
            while name < wanted and (line := self._lines.readline()):
                name, record = orjson.loads(line)
            yield row | (record if name == wanted else dict.fromkeys(("skill", "gold_score", "habits")))


@dataclass(frozen=True, slots=True)
class Cut:
    """One state of a project's answers.

    answer_max, task_max: the largest number of an answer and of a task in it. at: the moment, by the
    database's clock. horizon: every row that a later transaction wrote has a transaction number from here on.
    excluded: whose answers the consensus leaves out. system: the database server. filter: which rows of
    this state are read. records: of contributors; None: those of the moment when they are read.
    """

    project_id: int
    answer_max: int
    at: datetime
    horizon: str
    excluded: tuple[UUID, ...] = ()
    task_max: int = NO_TASK_MAX
    system: str = ""
    filter: Filter = Filter()
    records: Records | None = field(default=None, repr=False, compare=False)

    @property
    def mark(self) -> Mark:
        """What has been read by whoever reads this state to its end."""
        return Mark(self.system, self.horizon, self.answer_max)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the statements of an export call it."""
        return {
            "project": self.project_id,
            "answer_max": self.answer_max,
            "at": self.at,
            "horizon": self.horizon,
            "excluded": list(self.excluded),
            "task_max": self.task_max,
            "since": self.filter.since,
            **self._changed_after(),
        }

    def _changed_after(self) -> dict[str, Any]:
        mark = self.filter.changed_after
        return {"since_horizon": mark.horizon, "since_answer": mark.answer_max} if mark else {}


def take(
    db: Database, project_id: int, wait_seconds: float = WAIT_SECONDS, *, with_records: bool = False
) -> Cut:
    """The state of the project's answers now. Errors: Unavailable when somebody writes answers for too long.

    1. Read horizon, numbers and moment, in this order (a project's tasks are committed in the order of their
    numbers). 2. Wait for whoever writes answers, decisions, reports or skips. 3. Read what then stands: the
    project's own largest number below, and who is excluded; with_records: what the last review had found of
    each contributor, too.
    """
    with db.connection() as connection:
        horizon, highest, at, system, task_max = connection.execute(
            """SELECT pg_snapshot_xmin(pg_current_snapshot())::text,
                      coalesce(pg_sequence_last_value(pg_get_serial_sequence('answer', 'id')), 0),
                      clock_timestamp(), (SELECT system_identifier::text FROM pg_control_system()),
                      coalesce((SELECT max(id) FROM task WHERE project_id = %s), 0)""",
            (project_id,),
        ).fetchone() or ("", 0, None, "", 0)
    until = time.monotonic() + wait_seconds
    with db.connection() as connection:
        writers = _writers(connection)
    while writers:
        if time.monotonic() > until:
            raise Unavailable("Another process is writing answers. Please try the export again later.")
        time.sleep(POLL_SECONDS)
        with db.connection() as connection:
            writers &= _writers(connection)
    with db.connection() as connection:
        row = connection.execute(
            "SELECT coalesce(max(id), 0) FROM answer WHERE project_id = %s AND id <= %s",
            (project_id, highest),
        ).fetchone()
        excluded = connection.execute(
            "SELECT contributor_id FROM contributor_record WHERE project_id = %s AND is_excluded ORDER BY 1",
            (project_id,),
        ).fetchall()
    return Cut(
        project_id,
        row[0] if row else 0,
        at,
        horizon,
        tuple(contributor for (contributor,) in excluded),
        task_max,
        system,
        records=Records(db, project_id) if with_records else None,
    )


def _writers(connection: Connection) -> set[str]:
    """The transactions of others that may be writing answers."""
    return {
        str(name)
        for (name,) in connection.execute(
            """SELECT virtualtransaction FROM pg_locks
               WHERE locktype = 'relation' AND granted
                 AND relation IN ('answer'::regclass, 'skip'::regclass, 'report'::regclass,
                                  'expert_decision'::regclass)
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                              'AccessExclusiveLock')
                 AND pid IS DISTINCT FROM pg_backend_pid()"""
        )
    }


#: An answer's earlier version, where the present one is later than the cut. Joined to `answer a` as `o`.
EARLIER = """LEFT JOIN LATERAL (
                 SELECT r.kind, r.value, r.revision, r.created_at FROM answer_revision r
                 WHERE a.revised_at > %(at)s AND r.answer_id = a.id AND r.created_at <= %(at)s
                 ORDER BY r.revision DESC LIMIT 1) AS o ON true"""
#: What changes with a revision, as it was at the cut. A version's time is in `answer_revision.created_at`.
VERSION = """CASE WHEN a.revised_at > %(at)s THEN o.kind ELSE a.kind END AS kind,
             CASE WHEN a.revised_at > %(at)s THEN o.value ELSE a.value END AS value,
             CASE WHEN a.revised_at > %(at)s THEN o.revision ELSE a.revision END AS revision,
             CASE WHEN a.revised_at > %(at)s
                  THEN CASE WHEN o.revision > 1 THEN o.created_at END ELSE a.revised_at END AS revised_at"""
#: May what these rows of `task t` and `consensus s` say be later than the cut? Tells no change from a change
#: that does not matter, but never misses one.
IS_LATER = """least(age(t.xmin), age(coalesce(s.xmin, '2'::xid)))
              <= age(%(horizon)s::text::xid8::xid)"""
#: The same of a row of `task t` alone.
IS_TASK_LATER = "age(t.xmin) <= age(%(horizon)s::text::xid8::xid)"
#: The same of a row of `source_consensus s`.
IS_SOURCE_LATER = "age(s.xmin) <= age(%(horizon)s::text::xid8::xid)"


@dataclass(frozen=True, slots=True)
class Then:
    """What a task's answers were at the cut. counted: (contributor, kind, value) of those that count.

    n_counted: with those of contributors who are excluded. is_changed: there are later answers or versions.
    later: when the answers that are later arrived.
    """

    counted: list[tuple[str, str, Any]]
    n_counted: int
    is_changed: bool
    later: list[datetime]


def then(connection: Connection, cut: Cut, task_ids: Sequence[int]) -> dict[int, Then]:
    """What the answers of these tasks were at the cut; every task has an entry."""
    states = {task_id: Then([], 0, False, []) for task_id in task_ids}
    with connection.cursor(row_factory=dict_row) as cursor:
        set_json_loads(orjson.loads, cursor)
        rows = cursor.execute(
            f"""SELECT a.task_id, a.contributor_id, {VERSION}, a.created_at, a.status,
                       a.id > %(answer_max)s AS is_new,
                       coalesce(a.revised_at > %(at)s, false) AS is_revised,
                       a.contributor_id = ANY(%(excluded)s) AS is_excluded
                FROM answer a {EARLIER} WHERE a.task_id = ANY(%(tasks)s) ORDER BY a.id""",  # noqa: S608  (ours)
            {**cut.parameters, "tasks": list(task_ids)},
        ).fetchall()
    for row in rows:
        state = states[row["task_id"]]
        if row["is_new"]:
            state.later.append(row["created_at"])
        is_in = not row["is_new"] and row["status"] == "counted"
        if is_in and not row["is_excluded"]:
            state.counted.append((row["contributor_id"].hex, row["kind"], row["value"]))
        states[row["task_id"]] = Then(
            state.counted,
            state.n_counted + is_in,
            state.is_changed or row["is_new"] or row["is_revised"],
            state.later,
        )
    return states
