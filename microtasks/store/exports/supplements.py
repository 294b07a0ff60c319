"""Supplements to a project's answers: experts' decisions, reports, skips, answers as they first were.

Reads for exports, as those of `store.exports`: by key, of one cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from microtasks.store.db import Connection
from microtasks.store.exports.reads import Row, only, only_answers
from microtasks.store.exports.snapshots import EARLIER, VERSION, Cut

#: Whose decision it was, and as what; an expert who came with a package has a pseudonym from there.
_EXPERT = """e.account_id, e.expert,
             CASE WHEN e.account_id IS NULL THEN e.role
                  WHEN e.account_id = p.account_id THEN 'owner'
                  ELSE coalesce((SELECT m.role FROM project_member m
                                 WHERE m.project_id = p.id AND m.account_id = e.account_id), 'operator')
             END AS role"""
_DECISION = f"""SELECT e.id, e.task_id, {_EXPERT}, e.choice, e.value, e.note, e.created_at"""
_REPORT = """SELECT r.id, r.task_id, r.contributor_id, r.reason, r.note, r.created_at,
                    CASE WHEN r.closed_at <= %(at)s THEN r.closed_at END AS closed_at"""


def decisions(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """Every decision of an expert, by `id`."""
    return _rows(
        connection,
        f"""{_DECISION}, c.external_id, c.file_name
            FROM expert_decision e JOIN task_content c ON c.task_id = e.task_id
            JOIN project p ON p.id = c.project_id
            WHERE c.project_id = %(project)s AND e.id > %(after)s AND e.created_at <= %(at)s
              {only(cut, ("e.xmin",), ("e.created_at",))}
            ORDER BY e.id LIMIT %(limit)s""",
        cut,
        after=after or 0,
        limit=limit,
    )


def reports(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """What volunteers reported, by `id`."""
    return _rows(
        connection,
        f"""{_REPORT}, c.external_id, c.file_name FROM report r JOIN task_content c ON c.task_id = r.task_id
            WHERE r.project_id = %(project)s AND r.id > %(after)s AND r.created_at <= %(at)s
              {only(cut, ("r.xmin",), ("r.created_at", "r.closed_at"))}
            ORDER BY r.id LIMIT %(limit)s""",
        cut,
        after=after or 0,
        limit=limit,
    )


def skips(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """Tasks that somebody skipped, by `task_id`: `skipped` holds (contributor, time) each."""
    return _rows(
        connection,
        f"""SELECT s.task_id, c.external_id, c.file_name,
                  array_agg(s.contributor_id ORDER BY s.contributor_id) AS people,
                  array_agg(s.created_at ORDER BY s.contributor_id) AS times
           FROM skip s JOIN task_content c ON c.task_id = s.task_id
           WHERE s.project_id = %(project)s AND s.task_id > %(after)s AND s.created_at <= %(at)s
             {only(cut, ("s.xmin",), ("s.created_at",))}
           GROUP BY s.task_id, c.external_id, c.file_name ORDER BY s.task_id LIMIT %(limit)s""",  # noqa: S608
        cut,
        after=after or 0,
        limit=limit,
    )


def revisions(connection: Connection, cut: Cut, after: int | None, limit: int) -> list[Row]:
    """Answers that were corrected, by `id`: `earlier` holds the versions before the one that counts."""
    answers = _rows(
        connection,
        f"""SELECT a.id, a.task_id, c.external_id, c.file_name, a.contributor_id, {VERSION}
            FROM answer a JOIN task_content c ON c.task_id = a.task_id {EARLIER}
            WHERE a.project_id = %(project)s AND a.id > %(after)s AND a.id <= %(answer_max)s
              AND a.revision > 1 {only_answers(cut)}
            ORDER BY a.id LIMIT %(limit)s""",  # noqa: S608  (ours)
        cut,
        after=after or 0,
        limit=limit,
    )
    earlier = _earlier(connection, cut, [row["id"] for row in answers])
    for row in answers:
        row["earlier"] = [one for one in earlier.get(row["id"], ()) if one["revision"] < row["revision"]]
    return answers


def of_tasks(connection: Connection, cut: Cut, task_ids: Sequence[int]) -> dict[str, dict[int, list[Row]]]:
    """The supplements of these tasks: "decisions", "reports" and "skips", by task."""
    queries = {
        "decisions": f"""{_DECISION} FROM expert_decision e JOIN project p ON p.id = %(project)s
                         WHERE e.task_id = ANY(%(tasks)s) AND e.created_at <= %(at)s ORDER BY e.id""",
        "reports": f"""{_REPORT} FROM report r
                       WHERE r.task_id = ANY(%(tasks)s) AND r.created_at <= %(at)s ORDER BY r.id""",
        "skips": """SELECT s.task_id, s.contributor_id, s.created_at FROM skip s
                    WHERE s.project_id = %(project)s AND s.task_id = ANY(%(tasks)s)
                      AND s.created_at <= %(at)s ORDER BY s.task_id, s.contributor_id""",
    }
    by_name: dict[str, dict[int, list[Row]]] = {}
    for name, query in queries.items():
        by_task: dict[int, list[Row]] = {}
        for row in _rows(connection, query, cut, tasks=list(task_ids)):
            by_task.setdefault(row["task_id"], []).append(row)
        by_name[name] = by_task
    return by_name


def earlier(connection: Connection, cut: Cut, answers: Sequence[Row]) -> dict[int, list[Row]]:
    """The versions of these answers (`id`, `revision`) before the one that they are given in, by answer."""
    version = {row["id"]: row["revision"] for row in answers if row["revision"] > 1}
    versions = _earlier(connection, cut, list(version))
    return {key: [one for one in rows if one["revision"] < version[key]] for key, rows in versions.items()}


def filled(connection: Connection, cut: Cut) -> set[str]:
    """Which of "decisions", "reports", "revisions" and "skips" the project had any of."""
    row = connection.execute(
        """SELECT EXISTS (SELECT FROM expert_decision e JOIN task t ON t.id = e.task_id
                          WHERE t.project_id = %(project)s AND e.created_at <= %(at)s),
                  EXISTS (SELECT FROM report WHERE project_id = %(project)s AND created_at <= %(at)s),
                  EXISTS (SELECT FROM answer_revision v JOIN answer a ON a.id = v.answer_id
                          WHERE a.project_id = %(project)s
                            AND (a.revised_at <= %(at)s OR v.revision > 1 AND v.created_at <= %(at)s)),
                  EXISTS (SELECT FROM skip WHERE project_id = %(project)s AND created_at <= %(at)s)""",
        cut.parameters,
    ).fetchone()
    assert row is not None  # noqa: S101  (a SELECT without FROM)
    names = ("decisions", "reports", "revisions", "skips")
    return {name for name, is_filled in zip(names, row, strict=True) if is_filled}


def _earlier(connection: Connection, cut: Cut, answer_ids: list[int]) -> dict[int, list[Row]]:
    of: dict[int, list[Row]] = {}
    if not answer_ids:
        return of
    rows = _rows(
        connection,
        """SELECT answer_id, revision, kind, value, created_at FROM answer_revision
           WHERE answer_id = ANY(%(answers)s) AND created_at <= %(at)s ORDER BY answer_id, revision""",
        cut,
        answers=answer_ids,
    )
    for row in rows:
        of.setdefault(row["answer_id"], []).append(row)
    return of


def _rows(connection: Connection, query: str, cut: Cut, **more: Any) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        set_json_loads(orjson.loads, cursor)
        cursor.execute(query, {**cut.parameters, **more})
        return cursor.fetchall()
