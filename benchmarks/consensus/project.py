"""A whole project's consensus anew, on PostgreSQL: seconds and memory, for a million answers or ten.

    python -m benchmarks.consensus.project [--answers 1000000] [--review]

Four choices, ten answers a task, 5,000 volunteers of different skill, made by SQL. Vote and model are both
made and stored side by side. --review: also what a review adds (records of volunteers, agreement, tables).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable

from benchmarks.hotpath import fresh_site, make_project, say
from microtasks.engine.results import aggregate, review
from microtasks.engine.site import Site

A_TASK, PEOPLE, CHOICES = 10, 5_000, 4
CONFIG = {"fields": [{"id": "answer", "choices": [{"id": f"c{k}"} for k in range(CHOICES)]}]}


def fill(site: Site, n_answers: int) -> int:
    """Make the project; return its id."""
    slug = make_project(site, n_answers // A_TASK, redundancy=A_TASK)
    with site.db.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        found = connection.execute(
            "UPDATE project SET config = %s WHERE slug = %s RETURNING id", (json.dumps(CONFIG), slug)
        ).fetchone()
        assert found is not None  # noqa: S101  (just made)
        connection.execute(
            """INSERT INTO answer (project_id, task_id, contributor_id, kind, status, config_version, value,
                                   seconds_spent)
               SELECT t.project_id, t.id, md5(w.who::text)::uuid, 'value', 'counted', 1,
                      jsonb_build_object('answer', 'c' || (t.id + CASE
                          WHEN random() < 0.5 + w.who %% 10 * 0.05 THEN 0
                          ELSE 1 + floor(random() * %(others)s)::int END) %% %(choices)s),
                      2 + random() * 5
               FROM task t, generate_series(0, %(a_task)s - 1) AS n,
                    LATERAL (SELECT (t.id * 7 + n * 37) %% %(people)s AS who) AS w
               WHERE t.project_id = %(project)s""",
            {
                "project": found[0],
                "choices": CHOICES,
                "others": CHOICES - 1,
                "people": PEOPLE,
                "a_task": A_TASK,
            },
        )
        connection.execute(
            "UPDATE task SET n_answers = %s, retired_at = now(), retirement_reason = 'redundancy'"
            " WHERE project_id = %s",
            (A_TASK, found[0]),
        )
    with site.db.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        for table in ("task", "answer"):
            connection.execute(f"ANALYZE {table}")
    return int(found[0])


def measure(name: str, act: Callable[[], object]) -> None:
    """Print seconds by the clock and of this process, and what its memory has grown to."""
    begin, own = time.monotonic(), time.process_time()
    act()
    clock, own = time.monotonic() - begin, time.process_time() - own
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(name, f"{clock:.1f} s (own {own:.1f} s), peak {peak:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--review", action="store_true")
    options = parser.parse_args()
    with fresh_site() as site:
        project = fill(site, options.answers)
        measure(f"{options.answers:,} answers read", lambda: aggregate.read(site, project))
        measure("consensus made and stored", lambda: aggregate.aggregate(site, project))
        measure("made again, nothing new", lambda: aggregate.aggregate(site, project))
        if options.review:
            measure("review", lambda: review.review(site, project))


if __name__ == "__main__":
    main()
