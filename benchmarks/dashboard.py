"""An owner's pages over a million answers beside the same over a small project, in one run.

    python -m benchmarks.dashboard [--answers 1000000] [--part 100]

Rows are made in the database: five answers and one consensus a task. Each page is asked for several times;
what is kept between two views is thrown away before, so that the time is that of counting.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import psycopg
from flask.testing import FlaskClient

from benchmarks.scene import fresh_site, make_project, say
from benchmarks.uploads import CSRF
from microtasks.engine.accounts import accounts
from microtasks.engine.projects import dashboard, impact
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.web import create_app

ROUNDS = 3
PAGES = {
    "the dashboard, counted": "/owner/projects/{slug}/dashboard",
    "the dashboard, seen again": "/owner/projects/{slug}/dashboard",
    "progress of the project's page, seen again": "/owner/projects/{slug}/progress.json",
    "the project's page, seen again": "/p/{slug}",
    "the explorer's first page": "/research/{slug}/tasks",
    "the explorer, not looked at yet": "/research/{slug}/tasks?unseen=1&order=number",
}


def fill(site: Site, n_answers: int, account: int) -> str:
    """A project with that many answers, five a task, all tasks done; returns its slug."""
    slug = make_project(site, n_answers // 5)
    with site.db.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        [(project,)] = connection.execute(
            "UPDATE project SET account_id = %s WHERE slug = %s RETURNING id", (account, slug)
        )
        connection.execute(
            """INSERT INTO answer (project_id, task_id, contributor_id, kind, status, value, seconds_spent,
                                   config_version, created_at)
               SELECT project_id, id, md5((id %% 997 * 5 + n)::text)::uuid, 'value', 'counted',
                      '{"answer": "yes"}', 5 + random() * 20, 1, now() - random() * interval '20 days'
               FROM task, generate_series(1, 5) AS n WHERE project_id = %s""",
            (project,),
        )
        connection.execute(
            """INSERT INTO consensus (task_id, project_id, value, agreement, confidence, n_answers, is_tied,
                                      detail, reducer)
               SELECT id, project_id, '{"answer": "yes"}', round(random()::numeric, 2), random(), 5, false,
                      '{}', 'question/1' FROM task WHERE project_id = %s""",
            (project,),
        )
        connection.execute(
            "UPDATE task SET n_answers = 5, retired_at = now(), retirement_reason = 'redundancy'"
            " WHERE project_id = %s",
            (project,),
        )
    with psycopg.connect(site.settings.database_url, autocommit=True) as own:
        own.execute("VACUUM ANALYZE task, task_content, answer, consensus")
    return slug


class Count:
    """Statements that this process has sent."""

    def __init__(self) -> None:
        self.n = 0
        for kind in (psycopg.Cursor, psycopg.Connection):
            self._watch(kind)

    def _watch(self, kind: Any) -> None:
        execute = kind.execute

        def counted(this: Any, *given: Any, **named: Any) -> Any:
            self.n += kind is psycopg.Cursor  # a connection's goes through a cursor
            return execute(this, *given, **named)

        kind.execute = counted


def forget() -> None:
    """Throw away what is kept between two views."""
    dashboard._cache._entries.clear()
    impact._cache._entries.clear()
    projects._progress._entries.clear()


def view(browser: FlaskClient, path: str, count: Count, *, is_first: bool) -> tuple[float, int]:
    """(milliseconds, statements) of a page, the median of a few views."""
    times, sent = [], 0
    if not is_first:
        forget()
        browser.get(path)
    for _ in range(ROUNDS):
        if is_first:
            forget()
        before, begin = count.n, time.perf_counter()
        answer = browser.get(path)
        times.append((time.perf_counter() - begin) * 1e3)
        sent = count.n - before
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code}")
    return statistics.median(times), sent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--part", type=int, default=100, help="the small project is one part of so many")
    options = parser.parse_args()
    say("WHAT", "MEASURED", "TARGET")
    say("load of the machine before, processors", f"{os.getloadavg()[0]:.1f}, {os.cpu_count()}")
    with fresh_site() as site:
        browser = create_app(site=site).test_client()
        link = f"/owner/sign-in/{accounts.create_owner(site, 'owner@example.org')}"
        found = CSRF.search(browser.get(link).text)
        browser.post(link, data={"csrf_token": found[1] if found else ""})
        with site.db.connection() as connection:
            [(account,)] = connection.execute("SELECT id FROM account")
        small = fill(site, options.answers // options.part, account)
        large = fill(site, options.answers, account)
        count = Count()
        for name, path in PAGES.items():
            is_first = "again" not in name
            a, n_small = view(browser, path.format(slug=small), count, is_first=is_first)
            b, n_large = view(browser, path.format(slug=large), count, is_first=is_first)
            say(f"{name}: {options.answers // options.part:,} -> {options.answers:,} answers",
                f"{a:,.0f} -> {b:,.0f} ms ({b / a:.1f}x)")  # fmt: skip
            say("  statements", f"{n_small} -> {n_large}", "the same or fewer")


if __name__ == "__main__":
    main()
