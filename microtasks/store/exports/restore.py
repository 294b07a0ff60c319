"""Write tasks with their answers as they were elsewhere: a chunk of them in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from psycopg.errors import DataError, UniqueViolation

from microtasks.core.errors import FileInvalid
from microtasks.store.db import Connection


def batch(connection: Connection, project_id: int, label: str) -> int:
    """The upload that they belong to, made unless it is there; return its id."""
    row = connection.execute("SELECT min(id) FROM batch WHERE project_id = %s", (project_id,)).fetchone()
    if row is not None and row[0] is not None:
        return int(row[0])
    row = connection.execute(
        "INSERT INTO batch (project_id, state, phase, label, upload, finished_at)"
        " VALUES (%s, 'done', 'ready', %s, '', now()) RETURNING id",
        (project_id, label),
    ).fetchone()
    assert row is not None  # noqa: S101  (RETURNING)
    return int(row[0])


def config(connection: Connection, project_id: int, version: int, value: Mapping[str, Any]) -> None:
    """Keep an earlier version of the project's config, and make its own the one after."""
    connection.execute(
        "INSERT INTO project_config (project_id, version, config) VALUES (%s, %s, %s::jsonb)"
        " ON CONFLICT (project_id, version) DO UPDATE SET config = excluded.config",
        (project_id, version, orjson.dumps(value).decode()),
    )
    connection.execute(
        "UPDATE project SET config_version = greatest(config_version, %s) WHERE id = %s",
        (version, project_id),
    )


def media(connection: Connection, digests: Sequence[str]) -> dict[str, int]:
    """The ids of the images that this site has, by SHA-256."""
    return dict(
        connection.execute("SELECT sha256, id FROM media WHERE sha256 = ANY(%s)", (list(digests),)).fetchall()
    )


def tasks(connection: Connection, project_id: int, batch_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write tasks with content, gold, answers in every version, and supplements.

    rows: external_id, payload, hidden, after, pos, redundancy, own_redundancy, retired_at, retirement_reason,
    gold, source, source_x, source_y, source_media_id, media_ids, n_answers; `stopped` (outcome, is_audit,
    n_answers, value, n_reopened, decided_at) or None; `answers` (contributor, kind, status, value,
    seconds_spent, revision, created_at, revised_at, config_version, `earlier` each), `decisions` (expert,
    role, choice, value, note, created_at), `reports` and `skips`. FileInvalid where two have the same id.
    """
    packed = orjson.dumps([{**row, "nth": nth} for nth, row in enumerate(rows)]).decode()
    parameters = {"rows": packed, "project": project_id, "batch": batch_id}
    try:
        ids = [row[0] for row in connection.execute(_TASKS, parameters)]
        connection.execute(_ANSWERS, {"rows": packed, "project": project_id, "ids": ids})
    except UniqueViolation:
        raise FileInvalid("Two tasks of this package have the same id.") from None
    except DataError as error:
        raise FileInvalid(
            f"A value of this package cannot be stored: {error.diag.message_primary}."
        ) from None
    connection.execute("UPDATE batch SET n_tasks = n_tasks + %s WHERE id = %s", (len(rows), batch_id))


#: Tasks get their numbers first, so that all but their answers is written by one statement.
_TASKS = """
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(
        nth int, external_id text, payload jsonb, hidden jsonb, after jsonb, pos bigint, redundancy int,
        own_redundancy int, n_answers int, retired_at timestamptz, retirement_reason text, gold jsonb,
        source text, source_x int, source_y int, source_media_id bigint, file_name text, media_ids jsonb,
        stopped jsonb, answers jsonb, decisions jsonb, reports jsonb, skips jsonb)),
numbered AS MATERIALIZED (
    SELECT g.*, nextval(pg_get_serial_sequence('task', 'id')) AS id FROM given g ORDER BY nth),
made AS (
    INSERT INTO task (id, project_id, pos, redundancy, own_redundancy, n_answers, retired_at,
                      retirement_reason)
    SELECT id, %(project)s, pos, redundancy, own_redundancy, n_answers, retired_at, retirement_reason
    FROM numbered ORDER BY id),
content AS (
    INSERT INTO task_content (task_id, project_id, batch_id, external_id, payload, hidden, after,
                              source, source_x, source_y, source_media_id, file_name, media_ids)
    SELECT n.id, %(project)s, %(batch)s, n.external_id, n.payload, n.hidden, n.after, n.source,
           n.source_x, n.source_y, n.source_media_id, n.file_name,
           ARRAY(SELECT i::bigint FROM jsonb_array_elements_text(n.media_ids) AS i)
    FROM numbered n),
known AS (
    INSERT INTO task_gold (task_id, project_id, value)
    SELECT n.id, %(project)s, n.gold FROM numbered n WHERE n.gold IS NOT NULL AND n.gold <> 'null'),
stops AS (
    INSERT INTO stopping (task_id, project_id, outcome, is_audit, n_answers, value, n_reopened, decided_at)
    SELECT n.id, %(project)s, s.outcome, s.is_audit, s.n_answers, nullif(s.value, 'null'), s.n_reopened,
           s.decided_at
    FROM numbered n, LATERAL jsonb_to_record(n.stopped) AS s(
        outcome text, is_audit boolean, n_answers int, value jsonb, n_reopened int, decided_at timestamptz)
    WHERE jsonb_typeof(n.stopped) = 'object'),
decided AS (
    INSERT INTO expert_decision (task_id, expert, role, choice, value, note, created_at)
    SELECT n.id, d.expert, d.role, d.choice, nullif(d.value, 'null'), d.note, d.created_at
    FROM numbered n, LATERAL jsonb_array_elements(n.decisions) WITH ORDINALITY AS o(one, nth),
         LATERAL jsonb_to_record(o.one) AS d(
             expert text, role text, choice text, value jsonb, note text, created_at timestamptz)
    ORDER BY n.id, o.nth),
reported AS (
    INSERT INTO report (project_id, task_id, contributor_id, reason, note, created_at, closed_at)
    SELECT %(project)s, n.id, r.contributor, r.reason, r.note, r.created_at, r.closed_at
    FROM numbered n, LATERAL jsonb_to_recordset(n.reports) AS r(
        contributor uuid, reason text, note text, created_at timestamptz, closed_at timestamptz)
    ORDER BY n.id, r.created_at),
skipped AS (
    INSERT INTO skip (contributor_id, task_id, project_id, created_at)
    SELECT s.contributor, n.id, %(project)s, s.created_at
    FROM numbered n, LATERAL jsonb_to_recordset(n.skips) AS s(contributor uuid, created_at timestamptz))
SELECT id, nth FROM numbered ORDER BY nth
"""

#: Answers get their numbers first, so that earlier versions can name them.
_ANSWERS = """
WITH said AS MATERIALIZED (
    SELECT o.*, nextval(pg_get_serial_sequence('answer', 'id')) AS id FROM (
        SELECT t.id AS task_id, a.* FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(nth int, answers jsonb)
        JOIN unnest(%(ids)s::bigint[]) WITH ORDINALITY AS t(id, nth) ON t.nth = g.nth + 1,
        LATERAL jsonb_to_recordset(g.answers) AS a(
            contributor uuid, kind text, status text, value jsonb, seconds_spent float8, revision int,
            created_at timestamptz, revised_at timestamptz, config_version int, earlier jsonb)
        ORDER BY t.id, a.created_at) AS o),
stored AS MATERIALIZED (
    SELECT s.id, s.earlier, answer_put(
        s.id, %(project)s, s.task_id, s.contributor, s.kind, s.status, nullif(s.value, 'null'),
        s.seconds_spent, NULL, s.config_version, NULL, s.revision, s.created_at, s.revised_at)
    FROM said s ORDER BY s.id)
INSERT INTO answer_revision (answer_id, revision, kind, value, created_at)
SELECT a.id, v.revision, v.kind, nullif(v.value, 'null'), v.created_at
FROM stored a, LATERAL jsonb_to_recordset(a.earlier) AS v(
    revision int, kind text, value jsonb, created_at timestamptz)
"""


def leave_out(connection: Connection, project_id: int, contributors: Sequence[Any]) -> None:
    """Contributors who are excluded, as an owner decided elsewhere."""
    connection.execute(
        "INSERT INTO contributor_record (project_id, contributor_id, is_excluded, decided_by)"
        " SELECT %s, who, true, 'owner' FROM unnest(%s::uuid[]) AS who ON CONFLICT DO NOTHING",
        (project_id, list(contributors)),
    )
