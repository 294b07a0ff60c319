"""Answers as columns, for exports of very many: the database packs each column of a chunk into one value.

A row as a Python object costs more than all else that an export needs. What a chunk's tasks are called is
read once a task, in the order of their index: one walk through it in place of a search for each answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from microtasks.store.db import Database
from microtasks.store.exports import reads
from microtasks.store.exports.snapshots import Cut
from microtasks.store.switch_interval import short_turns

#: Answers in a chunk, and with their whole values; fewer where the values are long.
CHUNK = 20_000
CHUNK_WHOLE = 5_000
BYTES_MAX = 8 << 20
#: Microseconds from 1970 to 2000, where PostgreSQL counts from.
_EPOCH = 946_684_800_000_000
#: No time: numpy's NaT.
NO_TIME = np.iinfo(np.int64).min
_WHOLE = "coalesce(a.value, 'null')::text"


@dataclass(slots=True)
class Answers:
    """A chunk of answers by id, each attribute a column. Times: microseconds of Unix time, or NO_TIME.

    seconds: NaN where not known. contributors: 16 bytes each. keys: of an answer's value, a column each in
    `picked`; None: that is one column of whole values. own_values: what a task type makes of them, once made.
    """

    n: int
    tasks: list[int]
    external_ids: list[str]
    contributors: list[bytes]
    kinds: list[str]
    statuses: list[str]
    created: NDArray[np.int64]
    seconds: NDArray[np.float64]
    revisions: list[int]
    picked: list[list[Any]]
    revised: NDArray[np.int64]
    config_versions: list[int]
    file_names: list[str | None]
    keys: Sequence[str] | None
    own_values: list[Any] | None = None


def walk(db: Database, cut: Cut, picks: Sequence[str] | None, limit: int | None = None) -> Iterator[Answers]:
    """All answers of the cut, a chunk at a time; the database makes the next one meanwhile.

    picks: keys of an answer's value; None: the whole value.
    """
    size = limit or (CHUNK_WHOLE if picks is None else CHUNK)
    with short_turns(), ThreadPoolExecutor(1, "export") as ahead:
        coming = ahead.submit(_read, db, cut, picks, 0, size)
        while True:
            last, n_bytes, unpacked, is_last = coming.result()
            if n_bytes > BYTES_MAX:
                size = max(100, size // 2)
            if not is_last:  # asked for before this one is unpacked: the database is never kept waiting
                coming = ahead.submit(_read, db, cut, picks, last, size)
            if unpacked:
                yield unpacked()
            if is_last:
                return


def _read(
    db: Database, cut: Cut, picks: Sequence[str] | None, after: int, limit: int
) -> tuple[int, int, Callable[[], Answers] | None, bool]:
    """Ask for the next chunk: the id of its last answer, its bytes, what unpacks it, and is it the last."""
    values = [f"coalesce((a.value -> %(key{place})s)::text, 'null')" for place in range(len(picks or ()))]
    keys = {f"key{place}": key for place, key in enumerate(picks or ())}
    columns = values if picks is not None else [_WHOLE]
    packed = ", ".join(f"string_agg({column}, ',')" for column in columns)
    with db.connection() as connection, connection.cursor(binary=True) as cursor:
        row = cursor.execute(
            f"""WITH a AS MATERIALIZED (
                    SELECT id, task_id, contributor_id, kind, status, value, seconds_spent, created_at,
                           revised_at, revision, config_version
                    FROM answer WHERE project_id = %(project)s AND id > %(after)s AND id <= %(answer_max)s
                    ORDER BY id LIMIT %(limit)s),
                t AS (
                    SELECT string_agg(int8send(c.task_id), '') AS ids,
                           string_agg(to_json(c.external_id)::text, ',') AS names,
                           string_agg(coalesce(to_json(c.file_name)::text, 'null'), ',') AS files
                    FROM task_content c WHERE c.task_id = ANY(ARRAY(SELECT DISTINCT a.task_id FROM a)))
                SELECT count(*), max(a.id), coalesce(max(a.revised_at) > %(at)s, false),
                       (SELECT ids FROM t), (SELECT names FROM t), (SELECT files FROM t),
                       string_agg(int8send(a.task_id), ''), string_agg(uuid_send(a.contributor_id), ''),
                       string_agg(a.kind, ','), string_agg(a.status, ','),
                       string_agg(timestamptz_send(a.created_at), ''),
                       string_agg(float8send(coalesce(a.seconds_spent, 'NaN')), ''),
                       string_agg(int2send(a.revision), ''),
                       string_agg(timestamptz_send(coalesce(a.revised_at, '-infinity')), ''),
                       string_agg(int4send(a.config_version), '')
                       {", " + packed if packed else ""}
                FROM a""",  # noqa: S608  (ours; keys are parameters)
            {**cut.parameters, "after": after, "limit": limit, **keys},
        ).fetchone()
        assert row is not None  # noqa: S101  (an aggregate)
        n, last, is_later, *values = row
        if n == 0:
            return after, 0, None, True
        if is_later:
            rows = reads.answers(connection, cut, after, limit)
            return rows[-1]["id"], 0, partial(of_rows, rows, picks), len(rows) < limit
    return last, sum(map(len, values)), partial(_unpacked, n, values, cut, picks), n < limit


def _unpacked(n: int, values: Sequence[Any], cut: Cut, picks: Sequence[str] | None) -> Answers:
    """Columns of what the database packed."""
    ids, packed_names, packed_files, packed_tasks, people, *values = values
    numbers = _numbers(ids, ">i8").tolist()
    names = dict(zip(numbers, orjson.loads(f"[{packed_names}]"), strict=True))
    files = dict(zip(numbers, orjson.loads(f"[{packed_files}]"), strict=True))
    tasks = _numbers(packed_tasks, ">i8").tolist()
    kinds, statuses, created, seconds, revisions, revised, config_versions, *picked = values
    statuses = statuses.split(",")
    contributors: list[bytes] = np.frombuffer(people, "V16").tolist()
    if cut.excluded:
        excluded = {contributor.bytes for contributor in cut.excluded}
        statuses = [
            "excluded" if status == "counted" and contributor in excluded else status
            for status, contributor in zip(statuses, contributors, strict=True)
        ]
    return Answers(
        n=n,
        tasks=tasks,
        external_ids=list(map(names.__getitem__, tasks)),
        contributors=contributors,
        kinds=kinds.split(","),
        statuses=statuses,
        created=_times(created),
        seconds=_numbers(seconds, ">f8").astype(np.float64),
        revisions=_numbers(revisions, ">i2").tolist(),
        picked=[orjson.loads(f"[{column}]") for column in picked],
        revised=_times(revised),
        config_versions=_numbers(config_versions, ">i4").tolist(),
        file_names=list(map(files.__getitem__, tasks)),
        keys=picks,
    )


def _numbers(packed: bytes, kind: str) -> NDArray[Any]:
    return np.frombuffer(packed, kind)


def _times(packed: bytes) -> NDArray[np.int64]:
    """PostgreSQL's times as Unix time; its -infinity is the smallest number, as numpy's NaT is."""
    since_2000 = _numbers(packed, ">i8").astype(np.int64)
    return np.where(since_2000 == NO_TIME, NO_TIME, since_2000 + _EPOCH)


def of_rows(rows: list[reads.Row], picks: Sequence[str] | None) -> Answers:
    """The same from rows: of one page, or where an answer has a version later than the cut."""

    def column(name: str) -> list[Any]:
        return [row[name] for row in rows]

    def times(name: str) -> NDArray[np.int64]:
        return np.array(
            [NO_TIME if row[name] is None else _microseconds(row[name]) for row in rows], np.int64
        )

    values = column("value")
    picked = (
        [values]
        if picks is None
        else [[None if value is None else value.get(key) for value in values] for key in picks]
    )
    return Answers(
        n=len(rows),
        tasks=column("task_id"),
        external_ids=column("external_id"),
        contributors=[row["contributor_id"].bytes for row in rows],
        kinds=column("kind"),
        statuses=column("status"),
        created=times("created_at"),
        seconds=np.array([np.nan if s is None else s for s in column("seconds_spent")], np.float64),
        revisions=column("revision"),
        picked=picked,
        revised=times("revised_at"),
        config_versions=column("config_version"),
        file_names=column("file_name"),
        keys=picks,
    )


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
