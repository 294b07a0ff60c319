"""Reads of an owner's dashboard: counts only, never who. Each is one statement, and bounded.

Of the answers, which are most, only the last ones are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
from psycopg.types.json import set_json_loads

from microtasks.store.db import Connection
from microtasks.store.redundancy import MOST

#: The last answers, so many: for hours, days and people; for medians; for gold scores.
LAST_READ, LAST_TIMED, LAST_GOLD = 200_000, 50_000, 5_000
#: Days back for which contributors are counted.
DAYS = 60
#: A task is slow by the median of at least so many answers.
SLOW_ANSWERS, SLOW_TASKS = 3, 10
BINS = 10


@dataclass(frozen=True, slots=True)
class Tasks:
    """Tasks that ended alike. n_left: answers they may still take; n_saved: never asked for."""

    reason: str | None  # None: open
    n_tasks: int
    n_answers: int
    n_left: int
    n_saved: int


@dataclass(frozen=True, slots=True)
class Hour:
    """Answers of one hour, UTC. n_plain: those counted; n_cant_tell is a part of n_answers."""

    hour: datetime
    n_answers: int
    n_counted: int
    n_cant_tell: int


def clock(connection: Connection) -> datetime:
    """Now, by the database."""
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None  # noqa: S101  (the query always yields a row)
    return row[0]  # type: ignore[no-any-return]


def tasks(connection: Connection, project_id: int) -> list[Tasks]:
    """All tasks of the project, by how they ended."""
    rows = connection.execute(
        f"""SELECT retirement_reason, count(*), sum(n_answers),
                  coalesce(sum(most - n_answers) FILTER (WHERE retired_at IS NULL), 0),
                  coalesce(sum(most - n_answers) FILTER (WHERE retirement_reason = 'consensus'), 0)
           FROM (SELECT t.retirement_reason, t.retired_at, t.n_answers,
                        {MOST} AS most
                 FROM task t JOIN project o ON o.id = t.project_id WHERE t.project_id = %s) AS each
           GROUP BY retirement_reason ORDER BY retirement_reason""",  # noqa: S608  (ours)
        (project_id,),
    )
    return [Tasks(*row) for row in rows]


def hours(connection: Connection, project_id: int) -> list[Hour]:
    """Every hour of the last answers, oldest first."""
    rows = connection.execute(
        """SELECT date_trunc('hour', created_at, 'UTC') AS hour, count(*),
                  count(*) FILTER (WHERE status = 'counted'), count(*) FILTER (WHERE kind = 'cant_tell')
           FROM (SELECT created_at, status, kind FROM answer WHERE project_id = %s
                 ORDER BY id DESC LIMIT %s) AS last
           GROUP BY hour ORDER BY hour""",
        (project_id, LAST_READ),
    )
    return [Hour(*row) for row in rows]


def contributors(connection: Connection, project_id: int) -> list[tuple[date, int]]:
    """How many people gave the last answers, by day (UTC); nothing says who."""
    rows = connection.execute(
        """SELECT day, count(*) FROM (
               SELECT DISTINCT (created_at AT TIME ZONE 'UTC')::date AS day, contributor_id
               FROM (SELECT created_at, contributor_id FROM answer WHERE project_id = %s
                     ORDER BY id DESC LIMIT %s) AS last) AS seen
           GROUP BY day ORDER BY day""",
        (project_id, LAST_READ),
    )
    return [(row[0], row[1]) for row in rows]


def agreement(connection: Connection, project_id: int) -> tuple[list[int], int]:
    """Tasks in each tenth of agreement (1 is in the last), and how many are tied."""
    bins = [0] * BINS
    n_tied = 0
    for place, n, tied in connection.execute(
        """SELECT least(floor(agreement * %(bins)s)::int, %(bins)s - 1) AS place, count(*),
                  count(*) FILTER (WHERE is_tied)
           FROM consensus WHERE project_id = %(project)s GROUP BY place""",
        {"project": project_id, "bins": BINS},
    ):
        bins[max(0, place)] += n
        n_tied += tied
    return bins, n_tied


def skips_and_reports(connection: Connection, project_id: int) -> tuple[int, int]:
    """How often a task was skipped, and reported."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM skip WHERE project_id = %(project)s),"
        " (SELECT count(*) FROM report WHERE project_id = %(project)s)",
        {"project": project_id},
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def slow(connection: Connection, project_id: int) -> list[tuple[int, str, float, int]]:
    """The slowest tasks of the last timed answers: id, external id, median seconds, answers."""
    return [
        (row[0], row[1], row[2], row[3])
        for row in connection.execute(
            """WITH slow AS (
                   SELECT task_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds_spent) AS median,
                          count(*) AS n
                   FROM (SELECT task_id, seconds_spent FROM answer WHERE project_id = %(project)s
                         ORDER BY id DESC LIMIT %(last)s) AS a
                   WHERE seconds_spent IS NOT NULL
                   GROUP BY task_id HAVING count(*) >= %(answers)s
                   ORDER BY median DESC, task_id LIMIT %(tasks)s)
               SELECT s.task_id, c.external_id, s.median, s.n FROM slow s
               JOIN task_content c USING (task_id) ORDER BY s.median DESC, s.task_id""",
            {
                "project": project_id,
                "last": LAST_TIMED,
                "answers": SLOW_ANSWERS,
                "tasks": SLOW_TASKS,
            },
        )
    ]


def on_gold(connection: Connection, project_id: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The last answers to tasks whose right answer is known: what was said, and what is right."""
    with connection.cursor() as cursor:
        set_json_loads(orjson.loads, cursor)
        return cursor.execute(
            """SELECT a.value, g.value FROM task_gold g JOIN answer a ON a.task_id = g.task_id
               WHERE g.project_id = %s AND a.value IS NOT NULL ORDER BY a.id DESC LIMIT %s""",
            (project_id, LAST_GOLD),
        ).fetchall()
