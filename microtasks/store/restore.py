"""Write tasks with their answers as they were elsewhere: a chunk of them in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from microtasks.store.db import Connection


def batch(connection: Connection, project_id: int, label: str) -> int:
    """The upload that they belong to; return its id."""
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
    """Write tasks with content, gold and answers.

    rows: external_id, payload, hidden, after, redundancy, retired_at, retirement_reason, gold, source,
    source_x, source_y, source_media_id, media_ids, answers (contributor, kind, status, value, seconds_spent,
    revision, created_at, revised_at, config_version each).
    """
    packed = orjson.dumps([{**row, "nth": nth} for nth, row in enumerate(rows)]).decode()
    connection.execute(
        """WITH given AS MATERIALIZED (
               SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(
                   nth int, external_id text, payload jsonb, hidden jsonb, after jsonb, redundancy int,
                   n_answers int, retired_at timestamptz, retirement_reason text, gold jsonb, source text,
                   source_x int, source_y int, source_media_id bigint, media_ids jsonb, answers jsonb)),
           numbered AS MATERIALIZED (
               SELECT g.*, nextval(pg_get_serial_sequence('task', 'id')) AS id FROM given g ORDER BY nth),
           made AS (
               INSERT INTO task (id, project_id, pos, redundancy, n_answers, retired_at, retirement_reason)
               SELECT id, %(project)s, (random() * (1::bigint << 52))::bigint, redundancy, n_answers,
                      retired_at, retirement_reason FROM numbered ORDER BY id RETURNING id),
           content AS (
               INSERT INTO task_content (task_id, project_id, batch_id, external_id, payload, hidden, after,
                                         source, source_x, source_y, source_media_id, media_ids)
               SELECT n.id, %(project)s, %(batch)s, n.external_id, n.payload, n.hidden, n.after, n.source,
                      n.source_x, n.source_y, n.source_media_id,
                      ARRAY(SELECT i::bigint FROM jsonb_array_elements_text(n.media_ids) AS i)
               FROM numbered n JOIN made ON made.id = n.id RETURNING task_id),
           known AS (
               INSERT INTO task_gold (task_id, project_id, value)
               SELECT n.id, %(project)s, n.gold FROM numbered n JOIN made ON made.id = n.id
               WHERE n.gold IS NOT NULL AND n.gold <> 'null')
           INSERT INTO answer (project_id, task_id, contributor_id, kind, status, value, seconds_spent,
                               revision, created_at, revised_at, config_version)
           SELECT %(project)s, n.id, a.contributor, a.kind, a.status, nullif(a.value, 'null'),
                  a.seconds_spent, a.revision, a.created_at, a.revised_at, a.config_version
           FROM numbered n JOIN made ON made.id = n.id,
                LATERAL jsonb_to_recordset(n.answers) AS a(
                    contributor uuid, kind text, status text, value jsonb, seconds_spent float8, revision int,
                    created_at timestamptz, revised_at timestamptz, config_version int)
           ORDER BY n.id, a.created_at""",
        {"rows": packed, "project": project_id, "batch": batch_id},
    )
    connection.execute("UPDATE batch SET n_tasks = n_tasks + %s WHERE id = %s", (len(rows), batch_id))


def leave_out(connection: Connection, project_id: int, contributors: Sequence[Any]) -> None:
    """Contributors whose answers weigh nothing, as an owner decided elsewhere."""
    connection.execute(
        "INSERT INTO contributor_record (project_id, contributor_id, is_excluded, decided_by)"
        " SELECT %s, who, true, 'owner' FROM unnest(%s::uuid[]) AS who ON CONFLICT DO NOTHING",
        (project_id, list(contributors)),
    )


def has_rows(connection: Connection, project_id: int) -> bool:
    """Has the project tasks already?"""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM task WHERE project_id = %s)", (project_id,)
    ).fetchone()
    return bool(row and row[0])
