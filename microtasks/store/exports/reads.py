"""Reads for exports: by key, a chunk each in its own short transaction (a long one slows everybody down).

All reads of one export see the same answers, those of its cut (`store.cuts`). The key bounds each joined
table that has it, or a merge join would read that one from its beginning. Each function returns at most
`limit` rows after a key, in the key's order, as dictionaries of plain values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

import orjson
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from microtasks.store.db import Connection, Database
from microtasks.store.exports.snapshots import EARLIER, IS_LATER, IS_SOURCE_LATER, IS_TASK_LATER, VERSION, Cut
from microtasks.store.redundancy import MOST

CHUNK = 5_000

Row = dict[str, Any]
Read = Callable[[Connection, Cut, Any, int], list[Row]]


def walk(db: Database, read: Read, cut: Cut, key: str, limit: int | None = None) -> Iterator[Row]:
    """Every row that `read` gives, from its first key to its last; memory holds one chunk."""
    for chunk in chunks(db, read, cut, key, limit):
        yield from chunk


def chunks(db: Database, read: Read, cut: Cut, key: str, limit: int | None = None) -> Iterator[list[Row]]:
    """The same, a chunk at a time."""
    after: Any = None
    size = limit or CHUNK
    while True:
        with db.connection() as connection:
            chunk = read(connection, cut, after, size)
        yield chunk
        if len(chunk) < size:
            return
        after = chunk[-1][key]


#: The rows that a line of a table is made of, and the times at which they are written.
_LAST_DECISION = (
    "(SELECT d.{column} FROM expert_decision d WHERE d.task_id = t.id ORDER BY d.id DESC LIMIT 1)"
)
RESULT_ROWS = ("t.xmin", "s.xmin", "p.xmin", _LAST_DECISION.format(column="xmin"))
RESULT_TIMES = ("s.updated_at", "t.retired_at", _LAST_DECISION.format(column="created_at"))
TASK_ROWS = ("t.xmin", "s.xmin")
TASK_TIMES = ("s.updated_at", "t.retired_at")
ITEM_ROWS = ("t.xmin", "s.xmin", RESULT_ROWS[-1])
ITEM_TIMES = RESULT_TIMES
#: The uploaded file that the tiles of a big image were cut from.
SOURCE_FILE = """(SELECT c.file_name FROM task_content c
                  WHERE c.project_id = s.project_id AND c.source = s.source ORDER BY c.task_id LIMIT 1)"""


def only(cut: Cut, xmins: Sequence[str], times: Sequence[str]) -> str:
    """Conditions for the rows of the cut's filter. xmins: of the rows that hold what is read."""
    conditions = []
    if cut.filter.changed_after:
        ages = ", ".join(f"age(coalesce({xmin}, '2'::xid))" for xmin in xmins)
        conditions.append(f"least({ages}) <= age(%(since_horizon)s::text::xid8::xid)")
    if cut.filter.since:
        conditions.append(f"greatest({', '.join(times)}) >= %(since)s")
    if cut.filter.state:
        conditions.append(f"t.retired_at IS {'NULL' if cut.filter.state == 'open' else 'NOT NULL'}")
    return "".join(f" AND {condition}" for condition in conditions)


def only_answers(cut: Cut) -> str:
    """The same for answers: new ones by their number, corrected ones by what their correction has left."""
    conditions = []
    if cut.filter.changed_after:
        conditions.append(
            """(a.id > %(since_answer)s OR a.id IN (
                    SELECT r.answer_id FROM answer_revision r
                    WHERE age(r.xmin) <= age(%(since_horizon)s::text::xid8::xid)))"""
        )
    if cut.filter.since:
        conditions.append("greatest(a.created_at, a.revised_at) >= %(since)s")
    return "".join(f" AND {condition}" for condition in conditions)


def _only_contributors(cut: Cut) -> str:
    """The same for contributors, by their answers and by what the last review found."""
    conditions = []
    if cut.filter.changed_after:
        conditions.append(
            """(max(a.id) > %(since_answer)s
                OR bool_or(a.id IN (SELECT r.answer_id FROM answer_revision r
                                    WHERE age(r.xmin) <= age(%(since_horizon)s::text::xid8::xid)))
                OR contributor_id IN (SELECT w.contributor_id FROM contributor_record w
                                      WHERE w.project_id = %(project)s
                                        AND age(w.xmin) <= age(%(since_horizon)s::text::xid8::xid)))"""
        )
    if cut.filter.since:
        conditions.append("max(greatest(a.created_at, a.revised_at)) >= %(since)s")
    return f"HAVING {' AND '.join(conditions)}" if conditions else ""


#: The last decision of an expert about a task, at the cut, unless it was taken back; whose role it was is
#: what it is now.
DECISION = """LEFT JOIN LATERAL (
                  SELECT d.choice, d.value, d.created_at,
                         CASE WHEN d.account_id IS NULL THEN d.role
                              WHEN d.account_id = q.account_id THEN 'owner'
                              ELSE coalesce((SELECT m.role FROM project_member m
                                             WHERE m.project_id = q.id AND m.account_id = d.account_id),
                                            'operator') END AS role
                  FROM expert_decision d JOIN project q ON q.id = %(project)s
                  WHERE d.task_id = t.id AND d.created_at <= %(at)s
                  ORDER BY d.id DESC LIMIT 1) AS e ON e.choice <> 'taken_back'"""


def answers(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """Answers by `id`, with the facts of their task."""
    return _rows(
        connection,
        f"""SELECT a.id, a.task_id, c.external_id, c.source, c.source_x, c.source_y, a.contributor_id,
                  CASE WHEN a.status = 'counted' AND a.contributor_id = ANY(%(excluded)s) THEN 'excluded'
                       ELSE a.status END AS status,
                  a.seconds_spent, a.created_at, a.config_version, {VERSION}, c.file_name
           FROM answer a JOIN task_content c ON c.task_id = a.task_id {EARLIER}
           WHERE a.project_id = %(project)s AND a.id > %(after)s AND a.id <= %(answer_max)s
             {only_answers(cut)}
           ORDER BY a.id LIMIT %(limit)s""",  # noqa: S608  (ours)
        cut,
        after or 0,
        limit,
    )


def consensus(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """Consensus by `task_id`, with the state of its task."""
    return _rows(
        connection,
        f"""SELECT t.id AS task_id, c.external_id, c.source, c.source_x, c.source_y, s.value, s.agreement,
                  s.confidence, s.n_answers AS n_reduced, s.is_tied, s.detail, s.reducer, s.parameters,
                  t.retired_at, t.retirement_reason, p.outcome AS stopped, p.is_audit,
                  {IS_LATER} AS is_later, e.choice AS decision, e.value AS decided, e.role AS decided_by_role,
                  e.created_at AS decided_at, c.file_name
           FROM task t JOIN task_content c ON c.task_id = t.id
           JOIN consensus s ON s.task_id = t.id AND s.task_id > %(after)s
           LEFT JOIN stopping p ON p.task_id = t.id AND p.task_id > %(after)s
           {DECISION}
           WHERE t.project_id = %(project)s AND t.id > %(after)s AND c.task_id > %(after)s
             AND t.id <= %(task_max)s {only(cut, RESULT_ROWS, RESULT_TIMES)}
           ORDER BY t.id LIMIT %(limit)s""",  # noqa: S608  (ours)
        cut,
        after or 0,
        limit,
    )


def tasks(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """Tasks by `task_id`, with content, first image, consensus in short, and whether they are gold."""
    return _rows(
        connection,
        f"""SELECT t.id AS task_id, c.external_id, c.batch_id, {MOST} AS redundancy, t.n_answers,
                  t.retired_at, t.retirement_reason, s.agreement, s.confidence,
                  g.task_id IS NOT NULL AS is_gold,
                  m.sha256 AS image_sha256, m.width, m.height, c.source, c.source_x, c.source_y,
                  c.payload, c.hidden, c.after, s.task_id IS NOT NULL AS has_consensus, c.file_name,
                  {IS_LATER} AS is_later
           FROM task t JOIN task_content c ON c.task_id = t.id JOIN project o ON o.id = t.project_id
           LEFT JOIN consensus s ON s.task_id = t.id AND s.task_id > %(after)s
           LEFT JOIN task_gold g ON g.task_id = t.id AND g.task_id > %(after)s
           LEFT JOIN media m ON m.id = c.media_ids[1]
           WHERE t.project_id = %(project)s AND t.id > %(after)s AND c.task_id > %(after)s
             AND t.id <= %(task_max)s {only(cut, TASK_ROWS, TASK_TIMES)}
           ORDER BY t.id LIMIT %(limit)s""",  # noqa: S608  (ours)
        cut,
        after or 0,
        limit,
    )


def contributors(connection: Connection, cut: Cut, after: UUID | None, limit: int) -> list[Row]:
    """What each contributor gave, by `contributor_id`."""
    return _rows(
        connection,
        f"""SELECT contributor_id, given.n_answers, n_counted, n_cant_tell, seconds_spent, first_at, last_at,
                  r.skill, r.gold_score, r.habits,
                  contributor_id = ANY(%(excluded)s) AS is_excluded
           FROM (SELECT contributor_id, count(*) AS n_answers,
                        count(*) FILTER (WHERE status = 'counted') AS n_counted,
                        count(*) FILTER (WHERE CASE WHEN a.revised_at > %(at)s THEN o.kind ELSE a.kind END
                                                 = 'cant_tell') AS n_cant_tell,
                        round(sum(a.seconds_spent)::numeric, 3)::float8 AS seconds_spent,
                        min(a.created_at) AS first_at, max(a.created_at) AS last_at
                 FROM answer a {EARLIER}
                 WHERE a.project_id = %(project)s AND a.contributor_id > %(after)s AND a.id <= %(answer_max)s
                 GROUP BY contributor_id {_only_contributors(cut)}
                 ORDER BY contributor_id LIMIT %(limit)s) AS given
           LEFT JOIN (SELECT contributor_id, skill, gold_score, habits
                      FROM contributor_record WHERE project_id = %(project)s) AS r
               USING (contributor_id)
           ORDER BY contributor_id""",  # noqa: S608  (ours)
        cut,
        after or UUID(int=0),
        limit,
    )


def sources(connection: Connection, cut: Cut, after: str | None, limit: int) -> list[Row]:
    """Merged consensus of tiled big images, by `source`."""
    return _rows(
        connection,
        f"""SELECT source, detail, reducer, parameters, {IS_SOURCE_LATER} AS is_later
                   , {SOURCE_FILE} AS file_name
            FROM source_consensus s
            WHERE project_id = %(project)s AND source > %(after)s {only(cut, ("s.xmin",), ("s.updated_at",))}
            ORDER BY source LIMIT %(limit)s""",  # noqa: S608  (ours)
        cut,
        after or "",
        limit,
    )


def classifications(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """Answers that count (nobody's who is excluded) by `id`, with their task's facts.

    These are all that it shows and hides, its state, and its first image's size.
    """
    return _rows(
        connection,
        f"""SELECT a.id, a.task_id, c.external_id, c.payload, c.hidden, c.after, a.contributor_id,
                  a.seconds_spent, a.created_at, a.config_version, {VERSION}, t.retired_at,
                  t.retirement_reason, t.n_answers, m.width, m.height, c.file_name,
                  {IS_TASK_LATER} AS is_later
           FROM answer a JOIN task_content c ON c.task_id = a.task_id JOIN task t ON t.id = a.task_id
           LEFT JOIN media m ON m.id = c.media_ids[1] {EARLIER}
           WHERE a.project_id = %(project)s AND a.id > %(after)s AND a.id <= %(answer_max)s
             AND a.status = 'counted' AND a.contributor_id <> ALL(%(excluded)s)
           ORDER BY a.id LIMIT %(limit)s""",  # noqa: S608  (ours)
        cut,
        after or 0,
        limit,
    )


def items(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """Tasks by `task_id` with everything about them: content, upload, first image, consensus."""
    return _rows(
        connection,
        f"""SELECT t.id AS task_id, c.external_id, c.batch_id, b.created_at, t.n_answers, t.retired_at,
                  t.retirement_reason, c.payload, c.hidden, c.after, c.source, c.source_x, c.source_y,
                  m.sha256, m.mime, m.width, m.height, m.derivatives, s.value, s.detail, s.agreement,
                  s.confidence, s.is_tied, s.n_answers AS n_reduced, s.reducer, c.file_name,
                  e.choice AS decision, e.value AS decided, {IS_LATER} AS is_later
           FROM task t JOIN task_content c ON c.task_id = t.id JOIN batch b ON b.id = c.batch_id
           LEFT JOIN consensus s ON s.task_id = t.id AND s.task_id > %(after)s
           LEFT JOIN media m ON m.id = c.media_ids[1]
           {DECISION}
           WHERE t.project_id = %(project)s AND t.id > %(after)s AND c.task_id > %(after)s
             AND t.id <= %(task_max)s {only(cut, ITEM_ROWS, ITEM_TIMES)}
           ORDER BY t.id LIMIT %(limit)s""",  # noqa: S608  (ours)
        cut,
        after or 0,
        limit,
    )


def answers_of(connection: Connection, cut: Cut, task_ids: list[int]) -> dict[int, list[Row]]:
    """The answers to these tasks that count, oldest first; every task has an entry."""
    rows = _rows(
        connection,
        f"""SELECT a.id, a.task_id, a.contributor_id, a.seconds_spent, a.created_at, a.config_version,
                  {VERSION}
           FROM answer a {EARLIER}
           WHERE a.task_id = ANY(%(tasks)s) AND a.id <= %(answer_max)s AND a.status = 'counted'
             AND a.contributor_id <> ALL(%(excluded)s)
           ORDER BY a.id""",  # noqa: S608  (ours)
        cut,
        None,
        0,
        tasks=task_ids,
    )
    by_task: dict[int, list[Row]] = {task_id: [] for task_id in task_ids}
    for answer in rows:
        by_task[answer["task_id"]].append(answer)
    return by_task


def states(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """Tasks by `task_id` with their state alone: answers, and whether they need no more."""
    return _rows(
        connection,
        f"""SELECT t.id AS task_id, t.n_answers, t.retired_at, t.retirement_reason,
                  {IS_TASK_LATER} AS is_later
           FROM task t WHERE t.project_id = %(project)s AND t.id > %(after)s AND t.id <= %(task_max)s
           ORDER BY t.id LIMIT %(limit)s""",  # noqa: S608  (ours)
        cut,
        after or 0,
        limit,
    )


def kept_tasks(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """Tasks by `task_id` with all that makes them, images by SHA-256: to make them anew elsewhere."""
    return _rows(
        connection,
        f"""SELECT t.id AS task_id, c.external_id, c.payload, c.hidden, c.after, t.redundancy,
                   t.own_redundancy, t.n_answers,
                   t.retired_at, t.retirement_reason, g.value AS gold, c.source, c.source_x, c.source_y,
                   o.sha256 AS source_image, {IS_LATER} AS is_later, t.pos, p.outcome AS stopped, p.is_audit,
                   c.file_name, p.n_answers AS n_when_stopped,
                   p.value AS value_when_stopped, p.n_reopened, p.decided_at,
                   ARRAY(SELECT m.sha256 FROM unnest(c.media_ids) WITH ORDINALITY AS i(id, nth)
                         JOIN media m ON m.id = i.id ORDER BY i.nth) AS images
            FROM task t JOIN task_content c ON c.task_id = t.id
            LEFT JOIN consensus s ON s.task_id = t.id AND s.task_id > %(after)s
            LEFT JOIN task_gold g ON g.task_id = t.id AND g.task_id > %(after)s
            LEFT JOIN stopping p ON p.task_id = t.id AND p.task_id > %(after)s
            LEFT JOIN media o ON o.id = c.source_media_id
            WHERE t.project_id = %(project)s AND t.id > %(after)s AND c.task_id > %(after)s
              AND t.id <= %(task_max)s
            ORDER BY t.id LIMIT %(limit)s""",  # noqa: S608  (ours)
        cut,
        after or 0,
        limit,
    )


def kept_answers(connection: Connection, cut: Cut, task_ids: list[int]) -> list[Row]:
    """Every answer to these tasks, the surplus ones and checks too, oldest first."""
    return _rows(
        connection,
        f"""SELECT a.id, a.task_id, a.contributor_id, a.status, a.seconds_spent, a.created_at,
                   a.config_version, {VERSION}
            FROM answer a {EARLIER}
            WHERE a.task_id = ANY(%(tasks)s) AND a.id <= %(answer_max)s ORDER BY a.id""",  # noqa: S608  (ours)
        cut,
        None,
        0,
        tasks=task_ids,
    )


def source_items(connection: Connection, cut: Cut, after: str | None, limit: int) -> list[Row]:
    """Big images by `source`: merged consensus, size, and content of the first of their tiles (`task_id`)."""
    return _rows(
        connection,
        f"""SELECT s.source, s.detail, s.reducer, c.task_id, c.payload, c.hidden, c.after,
                  m.sha256, m.mime, m.width, m.height, c.file_name, {IS_SOURCE_LATER} AS is_later
           FROM source_consensus s
           JOIN (SELECT DISTINCT ON (source) source, task_id, payload, hidden, after, source_media_id,
                        file_name
                 FROM task_content WHERE project_id = %(project)s AND source > %(after)s
                 ORDER BY source, task_id) AS c ON c.source = s.source
           LEFT JOIN media m ON m.id = c.source_media_id
           WHERE s.project_id = %(project)s AND s.source > %(after)s ORDER BY s.source
           LIMIT %(limit)s""",  # noqa: S608  (ours)
        cut,
        after or "",
        limit,
    )


def first_items(connection: Connection, project_id: int, limit: int = 100) -> list[Row]:
    """Content of the first tasks of each upload: an upload's rows have the same columns."""
    return _rows(
        connection,
        """SELECT c.task_id, c.payload, c.hidden, c.after, c.media_ids
           FROM batch b, LATERAL (SELECT * FROM task_content WHERE batch_id = b.id
                                  ORDER BY task_id LIMIT %(limit)s) AS c
           WHERE b.project_id = %(project)s ORDER BY c.task_id""",
        project_id,
        None,
        limit,
    )


def image_of(connection: Connection, project_id: int, task_id: int) -> Row | None:
    """The (first) image of a task of the project: sha256, mime, file_name; None if it has none."""
    rows = _rows(
        connection,
        """SELECT m.sha256, m.mime, c.external_id, c.file_name
           FROM task_content c JOIN media m ON m.id = c.media_ids[1]
           WHERE c.project_id = %(project)s AND c.task_id = %(task)s""",
        project_id,
        None,
        1,
        task=task_id,
    )
    return rows[0] if rows else None


def configs(connection: Connection, project_id: int) -> list[tuple[int, dict[str, Any]]]:
    """Every version of the project's config, oldest first."""
    return connection.execute(
        "SELECT version, config FROM project_config WHERE project_id = %s ORDER BY version", (project_id,)
    ).fetchall()


def page(
    connection: Connection, project_id: int, after: int, limit: int, *, only_reduced: bool = False
) -> list[Row]:
    """Tasks by `task_id` for a page: first image (`width`, `height`, `derivatives`), state, consensus.

    only_reduced: those that have a consensus.
    """
    join = "JOIN" if only_reduced else "LEFT JOIN"
    return _rows(
        connection,
        f"""SELECT t.id AS task_id, c.external_id, c.payload, t.redundancy, t.n_answers, t.n_leases,
                  t.retired_at, t.retirement_reason, s.value, s.agreement, s.confidence, s.is_tied,
                  g.task_id IS NOT NULL AS is_gold, m.width, m.height, m.derivatives, c.source
           FROM task t JOIN task_content c ON c.task_id = t.id
           {join} consensus s ON s.task_id = t.id AND s.task_id > %(after)s
           LEFT JOIN task_gold g ON g.task_id = t.id AND g.task_id > %(after)s
           LEFT JOIN media m ON m.id = c.media_ids[1]
           WHERE t.project_id = %(project)s AND t.id > %(after)s AND c.task_id > %(after)s
           ORDER BY t.id LIMIT %(limit)s""",  # noqa: S608  (ours)
        project_id,
        after,
        limit,
    )


def has_tiles(connection: Connection, cut: Cut) -> bool:
    """Was any image of the project cut into tiles?"""
    row = connection.execute(
        """SELECT EXISTS (SELECT 1 FROM task_content WHERE project_id = %(project)s AND source IS NOT NULL
                                                       AND task_id <= %(task_max)s)""",
        cut.parameters,
    ).fetchone()
    return bool(row and row[0])


def has_sources(connection: Connection, project_id: int) -> bool:
    """Are there merged marks of big images, or tiles from which there will be?"""
    row = connection.execute(
        """SELECT EXISTS (SELECT 1 FROM source_consensus WHERE project_id = %(project)s)
               OR EXISTS (SELECT 1 FROM task_content
                          WHERE project_id = %(project)s AND source IS NOT NULL)""",
        {"project": project_id},
    ).fetchone()
    return bool(row and row[0])


def metadata_names(connection: Connection, cut: Cut, limit: int = 500) -> dict[str, list[str]]:
    """Names of the owner's own columns, each at most `limit`: "metadata" (shown), "hidden", "after"."""
    return {
        kind: [
            str(name)
            for (name,) in connection.execute(
                f"""SELECT DISTINCT name FROM task_content c, jsonb_object_keys({expression}) AS name
                    WHERE c.project_id = %s AND c.task_id <= %s ORDER BY name LIMIT %s""",  # noqa: S608  (ours)
                (cut.project_id, cut.task_max, limit),
            )
        ]
        for kind, expression in (
            ("metadata", "coalesce(c.payload -> 'metadata', '{}')"),
            ("hidden", "c.hidden"),
            ("after", "c.after"),
        )
    }


def _rows(
    connection: Connection, query: str, of: Cut | int, after: Any, limit: int, **more: Any
) -> list[Row]:
    """of: a cut, or for what needs none a project's id."""
    known = of.parameters if isinstance(of, Cut) else {"project": of}
    with connection.cursor(row_factory=dict_row) as cursor:
        set_json_loads(orjson.loads, cursor)
        cursor.execute(query, {**known, "after": after, "limit": limit, **more})
        return cursor.fetchall()
