"""Reads for exports: by key, a chunk each in its own short transaction (a long one slows everybody down).

The key bounds each joined table that has it, or a merge join would read that one from its beginning.
Each function returns at most `limit` rows after a key, in the key's order, as dictionaries of plain values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import orjson
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from microtasks.store.db import Connection, Database

CHUNK = 5_000

Row = dict[str, Any]
Read = Callable[[Connection, int, Any, int], list[Row]]


def walk(db: Database, read: Read, project_id: int, key: str, limit: int = CHUNK) -> Iterator[Row]:
    """Every row that `read` gives, from its first key to its last; memory holds one chunk."""
    after: Any = None
    while True:
        with db.connection() as connection:
            chunk = read(connection, project_id, after, limit)
        yield from chunk
        if len(chunk) < limit:
            return
        after = chunk[-1][key]


def answers(connection: Connection, project_id: int, after: int | None, limit: int) -> list[Row]:
    """Answers by `id`, with the facts of their task."""
    return _rows(
        connection,
        """SELECT a.id, a.task_id, c.external_id, c.source, c.source_x, c.source_y, a.contributor_id, a.kind,
                  CASE WHEN r.is_excluded AND a.status = 'counted' THEN 'excluded' ELSE a.status END
                      AS status,
                  a.value, a.seconds_spent, a.created_at, a.revised_at, a.revision, a.config_version
           FROM answer a JOIN task_content c ON c.task_id = a.task_id
           LEFT JOIN contributor_record r
               ON r.project_id = %(project)s AND r.contributor_id = a.contributor_id AND r.is_excluded
           WHERE a.project_id = %(project)s AND a.id > %(after)s ORDER BY a.id LIMIT %(limit)s""",
        project_id,
        after or 0,
        limit,
    )


def consensus(connection: Connection, project_id: int, after: int | None, limit: int) -> list[Row]:
    """Consensus by `task_id`, with the state of its task."""
    return _rows(
        connection,
        """SELECT t.id AS task_id, c.external_id, c.source, c.source_x, c.source_y, s.value, s.agreement,
                  s.confidence, s.n_answers, s.is_tied, s.detail, s.method, s.reducer, s.parameters,
                  t.retired_at, t.retirement_reason, p.outcome AS stopped, p.is_audit
           FROM task t JOIN task_content c ON c.task_id = t.id
           JOIN consensus s ON s.task_id = t.id AND s.task_id > %(after)s
           LEFT JOIN stopping p ON p.task_id = t.id AND p.task_id > %(after)s
           WHERE t.project_id = %(project)s AND t.id > %(after)s AND c.task_id > %(after)s
           ORDER BY t.id LIMIT %(limit)s""",
        project_id,
        after or 0,
        limit,
    )


def tasks(connection: Connection, project_id: int, after: int | None, limit: int) -> list[Row]:
    """Tasks by `task_id`, with content, first image, consensus in short, and whether they are gold."""
    return _rows(
        connection,
        """SELECT t.id AS task_id, c.external_id, c.batch_id, t.redundancy, t.n_answers, t.retired_at,
                  t.retirement_reason, s.agreement, s.confidence, g.task_id IS NOT NULL AS is_gold,
                  m.sha256 AS image_sha256, m.width, m.height, c.source, c.source_x, c.source_y,
                  c.payload, c.hidden, c.after
           FROM task t JOIN task_content c ON c.task_id = t.id
           LEFT JOIN consensus s ON s.task_id = t.id AND s.task_id > %(after)s
           LEFT JOIN task_gold g ON g.task_id = t.id AND g.task_id > %(after)s
           LEFT JOIN media m ON m.id = c.media_ids[1]
           WHERE t.project_id = %(project)s AND t.id > %(after)s AND c.task_id > %(after)s
           ORDER BY t.id LIMIT %(limit)s""",
        project_id,
        after or 0,
        limit,
    )


def contributors(connection: Connection, project_id: int, after: UUID | None, limit: int) -> list[Row]:
    """What each contributor gave, by `contributor_id`."""
    return _rows(
        connection,
        """SELECT contributor_id, given.n_answers, n_counted, n_cant_tell, seconds_spent, first_at, last_at,
                  r.skill, r.gold_score, r.habits, r.is_excluded
           FROM (SELECT contributor_id, count(*) AS n_answers,
                        count(*) FILTER (WHERE status = 'counted') AS n_counted,
                        count(*) FILTER (WHERE kind = 'cant_tell') AS n_cant_tell,
                        sum(seconds_spent) AS seconds_spent, min(created_at) AS first_at,
                        max(created_at) AS last_at
                 FROM answer WHERE project_id = %(project)s AND contributor_id > %(after)s
                 GROUP BY contributor_id ORDER BY contributor_id LIMIT %(limit)s) AS given
           LEFT JOIN (SELECT contributor_id, skill, gold_score, habits, is_excluded
                      FROM contributor_record WHERE project_id = %(project)s) AS r
               USING (contributor_id)
           ORDER BY contributor_id""",
        project_id,
        after or UUID(int=0),
        limit,
    )


def sources(connection: Connection, project_id: int, after: str | None, limit: int) -> list[Row]:
    """Merged consensus of tiled big images, by `source`."""
    return _rows(
        connection,
        """SELECT source, detail, reducer, parameters, updated_at FROM source_consensus
           WHERE project_id = %(project)s AND source > %(after)s ORDER BY source LIMIT %(limit)s""",
        project_id,
        after or "",
        limit,
    )


def classifications(connection: Connection, project_id: int, after: int | None, limit: int) -> list[Row]:
    """Answers that weigh (counted, nobody's who was left out) by `id`, with their task's facts.

    These are all that it shows and hides, its state, and its first image's size.
    """
    return _rows(
        connection,
        """SELECT a.id, a.task_id, c.external_id, c.payload, c.hidden, c.after, a.contributor_id, a.kind,
                  a.value, a.seconds_spent, a.created_at, a.revision, a.config_version, t.retired_at,
                  t.retirement_reason, t.n_answers, m.width, m.height
           FROM answer a JOIN task_content c ON c.task_id = a.task_id JOIN task t ON t.id = a.task_id
           LEFT JOIN media m ON m.id = c.media_ids[1]
           WHERE a.project_id = %(project)s AND a.id > %(after)s AND a.status = 'counted'
             AND NOT EXISTS (SELECT 1 FROM contributor_record r WHERE r.project_id = %(project)s
                             AND r.contributor_id = a.contributor_id AND r.is_excluded)
           ORDER BY a.id LIMIT %(limit)s""",
        project_id,
        after or 0,
        limit,
    )


def items(connection: Connection, project_id: int, after: int | None, limit: int) -> list[Row]:
    """Tasks by `task_id` with everything about them: content, upload, first image, consensus."""
    return _rows(
        connection,
        """SELECT t.id AS task_id, c.external_id, c.batch_id, b.created_at, t.n_answers, t.retired_at,
                  t.retirement_reason, c.payload, c.hidden, c.after, c.source, c.source_x, c.source_y,
                  m.sha256, m.width, m.height, m.derivatives, s.value, s.detail, s.agreement, s.confidence,
                  s.n_answers AS n_reduced, s.reducer, s.updated_at
           FROM task t JOIN task_content c ON c.task_id = t.id JOIN batch b ON b.id = c.batch_id
           LEFT JOIN consensus s ON s.task_id = t.id AND s.task_id > %(after)s
           LEFT JOIN media m ON m.id = c.media_ids[1]
           WHERE t.project_id = %(project)s AND t.id > %(after)s AND c.task_id > %(after)s
           ORDER BY t.id LIMIT %(limit)s""",
        project_id,
        after or 0,
        limit,
    )


def items_with_answers(db: Database, project_id: int, limit: int = 500) -> Iterator[tuple[Row, list[Row]]]:
    """Each of `items` with its answers that weigh, oldest first; memory holds one chunk of tasks."""
    after = 0
    while True:
        with db.connection() as connection:
            chunk = items(connection, project_id, after, limit)
            said = _rows(
                connection,
                """SELECT id, task_id, contributor_id, kind, value, seconds_spent, created_at, revision,
                          revised_at, config_version
                   FROM answer a WHERE task_id = ANY(%(tasks)s) AND status = 'counted'
                     AND NOT EXISTS (SELECT 1 FROM contributor_record r WHERE r.project_id = %(project)s
                                     AND r.contributor_id = a.contributor_id AND r.is_excluded)
                   ORDER BY id""",
                project_id,
                after,
                limit,
                tasks=[row["task_id"] for row in chunk],
            )
        of: dict[int, list[Row]] = {row["task_id"]: [] for row in chunk}
        for answer in said:
            of[answer["task_id"]].append(answer)
        for row in chunk:
            yield row, of[row["task_id"]]
        if len(chunk) < limit:
            return
        after = chunk[-1]["task_id"]


def source_items(connection: Connection, project_id: int, after: str | None, limit: int) -> list[Row]:
    """Big images by `source`: merged consensus, size, and content of the first of their tiles (`task_id`)."""
    return _rows(
        connection,
        """SELECT s.source, s.detail, s.reducer, s.updated_at, c.task_id, c.payload, c.hidden, c.after,
                  m.sha256, m.width, m.height
           FROM source_consensus s
           JOIN (SELECT DISTINCT ON (source) source, task_id, payload, hidden, after, source_media_id
                 FROM task_content WHERE project_id = %(project)s AND source > %(after)s
                 ORDER BY source, task_id) AS c ON c.source = s.source
           LEFT JOIN media m ON m.id = c.source_media_id
           WHERE s.project_id = %(project)s AND s.source > %(after)s ORDER BY s.source LIMIT %(limit)s""",
        project_id,
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


def has_tiles(connection: Connection, project_id: int) -> bool:
    """Was any image of the project cut into tiles?"""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM task_content WHERE project_id = %(project)s AND source IS NOT NULL)",
        {"project": project_id},
    ).fetchone()
    return bool(row and row[0])


def metadata_names(connection: Connection, project_id: int, limit: int = 500) -> dict[str, list[str]]:
    """Names of the owner's own columns, each at most `limit`: "metadata" (shown), "hidden", "after"."""
    return {
        kind: [
            str(name)
            for (name,) in connection.execute(
                f"""SELECT DISTINCT name FROM task_content c, jsonb_object_keys({expression}) AS name
                    WHERE c.project_id = %s ORDER BY name LIMIT %s""",  # noqa: S608  (ours)
                (project_id, limit),
            )
        ]
        for kind, expression in (
            ("metadata", "coalesce(c.payload -> 'metadata', '{}')"),
            ("hidden", "c.hidden"),
            ("after", "c.after"),
        )
    }


def _rows(
    connection: Connection, query: str, project_id: int, after: Any, limit: int, **more: Any
) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        set_json_loads(orjson.loads, cursor)
        cursor.execute(query, {"project": project_id, "after": after, "limit": limit, **more})
        return cursor.fetchall()
