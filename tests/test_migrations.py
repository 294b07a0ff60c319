"""Migrations: the same schema as the tables in code, whoever runs them, however often."""

from __future__ import annotations

import hashlib
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import builders
import psycopg
import pytest
from alembic import command
from psycopg import sql
from psycopg.conninfo import make_conninfo

from microtasks.core.errors import SettingsInvalid
from microtasks.local import servers as local
from microtasks.store import tables
from microtasks.store.db import Database
from microtasks.store.operations import migrate


@pytest.fixture
def empty_url(servers: tuple[str, str]) -> Iterator[str]:
    """A database without any table."""
    with psycopg.connect(servers[0], autocommit=True) as connection:
        connection.execute("CREATE DATABASE t_migrations TEMPLATE template0")
    yield make_conninfo(servers[0], dbname="t_migrations")
    with psycopg.connect(servers[0], autocommit=True) as connection:
        connection.execute("DROP DATABASE t_migrations WITH (FORCE)")


def schema(url: str) -> list[str]:
    """The lines of a schema dump, without order: columns added later stand last."""
    (program, *_) = local.postgres_program("pg_dump")
    dump = subprocess.run(
        [program, "--schema-only", "--no-owner", f"--dbname={url}"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.strip().rstrip(",") for line in dump.stdout.splitlines())
    return sorted(line for line in lines if line and not line.startswith(("--", "\\", "SET")))


def test_migrations_make_the_tables_in_code(empty_url: str, db: Database):
    migrate.upgrade(empty_url)
    assert migrate.differences(empty_url) == []
    with db.connection() as connection:
        connection.execute("DROP TABLE IF EXISTS alembic_version")
    with psycopg.connect(empty_url, autocommit=True) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (migrate.head(),)
        connection.execute("DROP TABLE alembic_version")
    migrated, fresh = schema(empty_url), schema(db.url)
    assert list((Counter(migrated) - Counter(fresh)).elements()) == []
    assert list((Counter(fresh) - Counter(migrated)).elements()) == []


def test_two_that_start_at_once_migrate_once(empty_url: str):
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(migrate.upgrade, empty_url) for _ in range(3)]:
            done.result()
    assert migrate.is_current(empty_url)


def test_an_empty_database_is_not_current(empty_url: str):
    assert not migrate.is_current(empty_url)
    assert migrate.is_empty(empty_url)


def test_constraint_names_follow_one_convention():
    """Errors are told apart by the constraint's name, so each must have one."""
    for table in tables.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints), table.name


def test_a_site_that_has_been_used_migrates_with_all_its_rows(empty_url: str):
    """Every table of the first schema has a row: a new column that wants a value and has none would fail."""
    with migrate.connect(empty_url) as connection:
        command.upgrade(migrate._config(connection), "0001")
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # in any order
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        tables = [table for (table,) in found if table != "alembic_version"]
        for table in tables:
            builders.fill(connection, table)
        counts = {table: count(connection, table) for table in tables}
    assert set(counts.values()) == {1}
    migrate.upgrade(empty_url)
    assert migrate.is_current(empty_url) and migrate.differences(empty_url) == []
    with psycopg.connect(empty_url) as connection:
        assert {table: count(connection, table) for table in tables} == counts


def count(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


#: Migrations that are released: databases went through them. A mistake in one is mended by a new one.
FROZEN = {
    "0001_the_first_schema.py": "03ab51a983937483215b83b193dd71a44d92011b88a92de510bf17e9e051dfb8",
    "0002_people_feedback_exports_and_more.py": (
        "490212b1193202dc080f5689ab59e294a9a6fd5dc609ac4c705b656362ba048f"
    ),
}


def test_a_released_migration_is_never_edited():
    """Edited in place, it leaves databases that count as current with tables missing."""
    for name, checksum in FROZEN.items():
        content = (migrate.FOLDER / "versions" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == checksum, f"{name} is frozen: write a new migration"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("DROP TABLE certificate", "table certificate is missing"),
        ("ALTER TABLE job DROP COLUMN error", "column job.error is missing"),
        ("ALTER TABLE job ALTER target_id TYPE int", "column job.target_id is different"),
        ("ALTER TABLE job ALTER target_id DROP NOT NULL", "column job.target_id is different"),
        ("ALTER TABLE export DROP CONSTRAINT ck_export_done_has_file", "ck_export_done_has_file of export"),
        ("DROP INDEX uq_job_waiting", "index uq_job_waiting of job is missing"),
    ],
)
def test_the_right_number_with_other_tables_is_not_current(empty_url: str, change: str, named: str):
    migrate.upgrade(empty_url)
    with psycopg.connect(empty_url) as connection:
        connection.execute(change)
    assert not migrate.is_current(empty_url)
    sentence = migrate.problem(empty_url)
    assert sentence is not None and named in sentence and "begin with an empty database" in sentence
    with pytest.raises(SettingsInvalid, match="but it has not"):
        migrate.upgrade(empty_url)


@pytest.mark.parametrize(
    "change",
    [
        "DROP FUNCTION hot_again",
        "CREATE OR REPLACE FUNCTION hot_again(in_pos bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_other_functions_are_not_current_either_and_an_upgrade_mends_them(empty_url: str, change: str):
    migrate.upgrade(empty_url)
    with psycopg.connect(empty_url) as connection:
        connection.execute(change)
    sentence = migrate.problem(empty_url)
    assert sentence is not None and "Run: microtasks db upgrade" in sentence
    migrate.upgrade(empty_url)
    assert migrate.is_current(empty_url)


def test_an_old_program_on_a_newer_schema_says_so_and_changes_nothing(empty_url: str):
    migrate.upgrade(empty_url)
    with psycopg.connect(empty_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    before = schema(empty_url)
    with pytest.raises(SettingsInvalid, match=r"newer version of microtasks \(schema 0999") as refusal:
        migrate.upgrade(empty_url)
    assert str(refusal.value.message) == migrate.problem(empty_url)
    assert schema(empty_url) == before


def test_each_migration_follows_the_one_before_and_has_its_number():
    """Two that were written side by side must not both be the next."""
    names = sorted(path.name for path in (migrate.FOLDER / "versions").glob("[0-9]*.py"))
    assert [name[:4] for name in names] == [f"{n:04d}" for n in range(1, len(names) + 1)]
    assert [name[:4] for name in reversed(names)] == migrate.revisions()
