"""What is forgotten, and when."""

from __future__ import annotations

from uuid import uuid4

import builders
import pytest

from microtasks.engine.operations import housekeeping
from microtasks.engine.site import Site

DAY = 86400


def period_of(site: Site, days_ago: int) -> int:
    with site.db.connection() as connection:
        row = connection.execute(
            "SELECT floor((extract(epoch FROM now()) - %s) / %s)::int", (days_ago * DAY, 30 * DAY)
        ).fetchone()
    assert row is not None
    return int(row[0])


def answer(site: Site, days_ago: int) -> int:
    """An answer of that age, with its network's hash. Written raw: no use case writes into the past."""
    project = builders.project(site)
    (task,) = builders.tasks(site, project, 1)
    with site.db.connection() as connection:
        row = connection.execute(
            """INSERT INTO answer (project_id, task_id, contributor_id, kind, status, config_version, network,
                                   created_at)
               VALUES (%s, %s, %s, 'cant_tell', 'counted', 1, 'hash', now() - make_interval(days => %s))
               RETURNING id""",
            (project.id, task, uuid4(), days_ago),
        ).fetchone()
    assert row is not None
    return int(row[0])


def key(site: Site, period: int) -> None:
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO network_key (period, key) VALUES (%s, 'k') ON CONFLICT DO NOTHING", (period,)
        )


def test_networks_are_forgotten_thirty_days_after_their_period(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(housekeeping, "CHUNK", 2)
    now, ended = period_of(site, 0), period_of(site, 0) - 2
    old = [answer(site, 95) for _ in range(5)]
    new = [answer(site, 1), answer(site, 0)]
    for period in (now, now - 1, ended, ended - 1):
        key(site, period)
    housekeeping.clean(site)
    with site.db.connection() as connection:
        kept = [
            row[0]
            for row in connection.execute("SELECT id FROM answer WHERE network IS NOT NULL ORDER BY id")
        ]
        keys = [row[0] for row in connection.execute("SELECT period FROM network_key ORDER BY period")]
    assert kept == new and not set(kept) & set(old)
    assert keys == [now - 1, now]


def test_expired_links_sessions_and_old_done_jobs_go(site: Site):
    with site.db.connection() as connection:
        connection.execute(
            """WITH one AS (INSERT INTO account (email) VALUES ('ada@example.org') RETURNING id),
                    link AS (INSERT INTO signin_link (token_hash, account_id, expires_at)
                             SELECT v.hash::bytea, id, now() + v.age::interval FROM one,
                             (VALUES ('old', '-2 days'), ('new', '1 hour')) v (hash, age))
               INSERT INTO owner_session (token_hash, account_id, expires_at)
               SELECT v.hash::bytea, id, now() + v.age::interval FROM one,
               (VALUES ('old', '-1 minute'), ('new', '1 day')) v (hash, age)"""
        )
        connection.execute(
            """INSERT INTO job (name, target_id, state, finished_at) VALUES
               ('import', 1, 'done', now() - interval '8 days'), ('import', 2, 'done', now()),
               ('import', 3, 'failed', now() - interval '8 days'), ('import', 4, 'queued', NULL)"""
        )
    housekeeping.clean(site)
    with site.db.connection() as connection:
        links = connection.execute("SELECT token_hash FROM signin_link").fetchall()
        sessions = connection.execute("SELECT token_hash FROM owner_session").fetchall()
        jobs = connection.execute("SELECT target_id FROM job ORDER BY target_id").fetchall()
    assert links == sessions == [(b"new",)]
    assert jobs == [(2,), (3,), (4,)]
