"""Alive and ready."""

from __future__ import annotations

from dataclasses import replace

import pytest

from microtasks.engine.site import Site
from microtasks.settings import Settings
from microtasks.store.db import Database
from microtasks.store.operations import heartbeat, migrate
from microtasks.web import create_app, health

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1"


@pytest.fixture
def migrated(site: Site) -> Site:
    with site.db.connection() as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    migrate.upgrade(site.db.url)
    return site


def test_ready_when_everything_answers(migrated: Site) -> None:
    with migrated.db.connection() as connection:
        heartbeat.beat(connection, "clock")
    answer = create_app(site=migrated).test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "checks": {"database": "ok", "data": "ok", "clock": "ok"}}


def test_a_clock_that_stands_still_is_told_but_the_site_stays(migrated: Site) -> None:
    client = create_app(site=migrated).test_client()
    assert client.get("/readyz").json["checks"]["clock"] == "The clock has not run yet."
    with migrated.db.connection() as connection:
        connection.execute("INSERT INTO heartbeat VALUES ('clock', now() - interval '10 minutes')")
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json["checks"]["clock"] == "The clock last ran 600 seconds ago."


def test_not_ready_before_the_migrations(migrated: Site) -> None:
    with migrated.db.connection() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    answer = create_app(site=migrated).test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["database"] == "The database is not up to date. Run: microtasks db upgrade"


def test_alive_but_not_ready_without_a_database(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Database(NOWHERE)
    away.pool.timeout = 0.2
    client = create_app(site=replace(site, db=away)).test_client()
    assert client.get("/healthz").json == {"status": "ok"}
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "does not answer" in answer.json["checks"]["database"]
    away.close()


def test_not_ready_when_the_disk_is_full(migrated: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_FREE_BYTES", 1 << 60)
    answer = create_app(site=migrated).test_client().get("/readyz")
    assert answer.status_code == 503
    assert "are free on the disk" in answer.json["checks"]["data"]


def test_not_ready_when_the_data_folder_is_a_file(migrated: Site, settings: Settings) -> None:
    path = settings.data
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("not a folder")
    answer = create_app(site=migrated).test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["data"] == "The data folder cannot be written."
