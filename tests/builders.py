"""Things that exist, valid by default: say only what a test is about.

`project(site, redundancy=2)`, `tasks(site, made, 40)`, `contributor()`, `answers(site, made, task, [...])`.
Rows are written by SQL, not by the use cases under test; counters agree with the rows.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from microtasks.engine.site import Site

#: One config of each task type, as in the contracts.
CONFIGS: dict[str, dict[str, Any]] = {
    "question": {
        "fields": [
            {
                "id": "answer",
                "kind": "choice",
                "label": "Is there a crater?",
                "choices": [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}],
            }
        ]
    },
    "tagging": {"tags": [{"id": "dunes", "label": "Dunes"}, {"id": "crater", "label": "Crater"}]},
    "marking": {"shape": "circle", "classes": [{"id": "fresh", "label": "Fresh"}], "min_diameter_px": 10},
}
YES: dict[str, Any] = {"answer": "yes"}
NO: dict[str, Any] = {"answer": "no"}


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """What a test needs to know of a project."""

    id: int
    slug: str
    batch_id: int


def contributor() -> uuid.UUID:
    """A new volunteer."""
    return uuid.uuid4()


def account(site: Site, email: str = "ada@example.org") -> int:
    """An owner; returns the id."""
    with site.db.connection() as connection:
        row = connection.execute(
            "INSERT INTO account (email) VALUES (%s)"
            " ON CONFLICT (lower(email)) DO UPDATE SET email = excluded.email RETURNING id",
            (email,),
        ).fetchone()
    assert row is not None
    return int(row[0])


def member(site: Site, of: ProjectRow, account_id: int, role: str) -> None:
    """Give that account a role in the project."""
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO project_member (project_id, account_id, role) VALUES (%s, %s, %s)",
            (of.id, account_id, role),
        )


def project(
    site: Site,
    task_type: str = "question",
    *,
    config: Mapping[str, Any] | None = None,
    redundancy: int = 3,
    answers_min: int | None = None,
    state: str = "published",
    slug: str | None = None,
    **fields: Any,
) -> ProjectRow:
    """A project with one empty batch; `fields` are other columns of `project`."""
    slug = slug or f"p-{uuid.uuid4().hex[:12]}"
    values = {
        "slug": slug,
        "name": f"Project {slug}",
        "purpose": "Find craters",
        "instructions": "",
        "thanks": "",
        "topic": "",
        "task_type": task_type,
        "config": json.dumps(CONFIGS[task_type] if config is None else config),
        "redundancy": redundancy,
        "answers_min": redundancy if answers_min is None else answers_min,
        "state": state,
        "published_at": None if state == "draft" else datetime.now(UTC),
        **fields,
    }
    columns = ", ".join(values)
    with site.db.connection() as connection:
        row = connection.execute(
            f"INSERT INTO project ({columns}) VALUES ({', '.join(['%s'] * len(values))}) RETURNING id",  # noqa: S608
            list(values.values()),
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO project_config (project_id, version, config)"
            " SELECT id, config_version, config FROM project WHERE id = %s",
            row,
        )
        batch = connection.execute(
            "INSERT INTO batch (project_id, state, phase, label, upload)"
            " VALUES (%s, 'done', 'ready', 'test', '') RETURNING id",
            row,
        ).fetchone()
        assert batch is not None
    return ProjectRow(int(row[0]), slug, int(batch[0]))


def media(site: Site, width: int = 400, height: int = 300) -> int:
    """A media row with one derivative and both files (not real images); returns the id."""
    original = site.files.put("originals", b"original " + uuid.uuid4().bytes)
    derived = site.files.put("derived", b"derived " + uuid.uuid4().bytes)
    with site.db.connection() as connection:
        row = connection.execute(
            "INSERT INTO media (sha256, mime, width, height, n_bytes, derivatives)"
            " VALUES (%s, 'image/png', %s, %s, 25, %s) RETURNING id",
            (
                original,
                width,
                height,
                json.dumps([{"width": 320, "height": round(320 * height / width), "sha256": derived}]),
            ),
        ).fetchone()
    assert row is not None
    return int(row[0])


def tasks(
    site: Site,
    of: ProjectRow,
    n: int = 1,
    *,
    redundancy: int | None = None,
    own_redundancy: int | None = None,
    gold: Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None = None,
    media_ids: Sequence[int] = (),
    text: str = "Item",
) -> list[int]:
    """`n` open tasks; returns their ids in the order of the walk (small positions first).

    redundancy: seats that they have now. own_redundancy: a number of answers of their own.

    gold: one value for all, or one (or None) for each.
    """
    golds = list(gold) if isinstance(gold, Sequence) else [gold] * n
    made: list[int] = []
    with site.db.connection() as connection:
        row = connection.execute(
            "SELECT coalesce(max(pos), 0) FROM task WHERE project_id = %s AND pos < %s", (of.id, 1 << 62)
        ).fetchone()
        assert row is not None
        for i in range(n):
            task = connection.execute(
                "INSERT INTO task (project_id, pos, redundancy, own_redundancy)"
                " SELECT id, %s, coalesce(%s, redundancy), %s FROM project WHERE id = %s RETURNING id",
                (row[0] + 1000 * (i + 1), redundancy or own_redundancy, own_redundancy, of.id),
            ).fetchone()
            assert task is not None
            connection.execute(
                "INSERT INTO task_content (task_id, project_id, batch_id, external_id, payload, media_ids)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (
                    task[0],
                    of.id,
                    of.batch_id,
                    f"item-{task[0]}",
                    json.dumps({"text": f"{text} {i}"}),
                    list(media_ids),
                ),
            )
            if golds[i] is not None:
                connection.execute(
                    "INSERT INTO task_gold (task_id, project_id, value, draw) VALUES (%s, %s, %s, %s)",
                    (task[0], of.id, json.dumps(golds[i]), (row[0] + 1000 * (i + 1)) * 0.000618034 % 1),
                )
            made.append(int(task[0]))
        connection.execute("UPDATE batch SET n_tasks = n_tasks + %s WHERE id = %s", (n, of.batch_id))
    return made


def bulk_tasks(site: Site, of: ProjectRow, n: int, *, redundancy: int = 3, seed: int = 1) -> None:
    """Very many open tasks at random positions, by one statement each table; then ANALYZE."""
    with site.db.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SELECT setseed(%s)", (random.Random(seed).random(),))
        connection.execute(
            "WITH made AS (INSERT INTO task (project_id, pos, redundancy)"
            "  SELECT %(project)s, (random() * (1::bigint << 52))::bigint, %(redundancy)s"
            "  FROM generate_series(1, %(n)s) RETURNING id)"
            " INSERT INTO task_content (task_id, project_id, batch_id, external_id, payload)"
            " SELECT id, %(project)s, %(batch)s, 'item-' || id, '{\"text\": \"Item\"}' FROM made",
            {"project": of.id, "batch": of.batch_id, "n": n, "redundancy": redundancy},
        )
        connection.execute("UPDATE batch SET n_tasks = n_tasks + %s WHERE id = %s", (n, of.batch_id))
    with site.db.connection() as connection:
        for table in ("task", "task_content", "answer", "lease", "cursor", "project", "skip"):
            connection.execute(f"ANALYZE {table}")


def answers(
    site: Site,
    of: ProjectRow,
    task_id: int,
    values: Sequence[Mapping[str, Any] | None],
    *,
    contributors: Sequence[uuid.UUID] | None = None,
    status: str = "counted",
) -> list[uuid.UUID]:
    """One answer per value (None: cant_tell) by new contributors or the ones given; returns who answered."""
    people = list(contributors) if contributors is not None else [contributor() for _ in values]
    with site.db.connection() as connection:
        for who, value in zip(people, values, strict=True):
            connection.execute(
                "INSERT INTO answer"
                " (project_id, task_id, contributor_id, kind, status, value, seconds_spent, config_version)"
                " VALUES (%s, %s, %s, %s, %s, %s, 3.5, 1)",
                (
                    of.id,
                    task_id,
                    who,
                    "cant_tell" if value is None else "value",
                    status,
                    None if value is None else json.dumps(value),
                ),
            )
        if status == "counted":
            connection.execute(
                "UPDATE task SET n_answers = n_answers + %(n)s,"
                " retired_at = CASE WHEN n_answers + %(n)s >= redundancy THEN now() END,"
                " retirement_reason = CASE WHEN n_answers + %(n)s >= redundancy THEN 'redundancy' END"
                " WHERE id = %(task)s",
                {"n": len(values), "task": task_id},
            )
    return people


def network(name: str) -> bytes:
    """The keyed hash of a network, as `store.limits.network_key` would give."""
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


#: Values of columns whose checks allow only some.
ALLOWED = {
    "state": "done", "stop_rule": "redundancy", "method": "majority", "kind": "cant_tell",
    "status": "counted", "choice": "none", "decided_by": "rule", "outcome": "sure", "redundancy": "3",
    "answers_min": "3", "role": "reviewer", "scope": "read", "project_id": "1",
}  # fmt: skip
BY_KIND = {"text": "x", "bytea": "x", "uuid": "0" * 32, "jsonb": "{}", "boolean": "f"}


def fill(connection: psycopg.Connection, table: str) -> None:
    """Insert one row with a value in every column that wants one; it belongs to whatever has the number 1."""
    columns = connection.execute(
        """SELECT column_name, data_type FROM information_schema.columns
           WHERE table_schema = 'public' AND table_name = %s AND is_nullable = 'NO' AND column_default IS NULL
             AND is_identity = 'NO' AND is_generated = 'NEVER'""",
        (table,),
    ).fetchall()
    if table == "project":
        columns += [("state", "text"), ("stop_rule", "text"), ("redundancy", ""), ("answers_min", "")]
    names = dict(columns)
    if table == "expert_decision" and "account_id" not in names:
        names["expert"] = "text"
    if table == "address_link":
        names["invitation_id"] = "bigint"
    own = {"project": {"state": "draft"}, "mail": {"state": "sent"}, "address_link": {"purpose": "join"}}
    allowed = ALLOWED | own.get(table, {})
    values = [
        allowed.get(name) or ("now" if kind.startswith("timestamp") else BY_KIND.get(kind, "1"))
        for name, kind in names.items()
    ]
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join([sql.Placeholder()] * len(values)),
        ),
        values,
    )
