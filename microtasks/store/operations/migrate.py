"""Bring a database to the schema of this version: alembic, under an advisory lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from microtasks.store.db import plain_url
from microtasks.store.tables import install_hotpath, metadata

#: Two processes that start at once must not both migrate.
_LOCK = 0x6D696372

FOLDER = Path(__file__).parents[2] / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    """A connection without the time limits of the site: a migration may take long."""
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(plain_url(url)), poolclass=NullPool
    )
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@cache
def head() -> str | None:
    """The revision this version of the code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def upgrade(url: str, *, functions: bool = True) -> None:
    """Bring tables and functions to this version. Safe in several processes at once, and again."""
    with _connect(url) as connection:
        # The lock ends with the connection.
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.commit()
        with connection.begin():
            command.upgrade(_config(connection), "head")
            if functions:
                install_hotpath(metadata, connection)


def stamp(url: str) -> None:
    """Note that the database, made from the tables in code, is at this version."""
    with _connect(url) as connection:
        command.stamp(_config(connection), "head")
        connection.commit()


def is_current(url: str) -> bool:
    """Whether the database has the schema this version needs."""
    with _connect(url) as connection:
        return MigrationContext.configure(connection).get_current_revision() == head()


def is_empty(url: str) -> bool:
    """Whether the database holds no accounts and no projects, or no tables at all."""
    with _connect(url) as connection:
        for table in ("account", "project"):
            exists = connection.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": table})
            if exists and connection.scalar(text(f"SELECT EXISTS (SELECT FROM {table})")):  # noqa: S608
                return False
    return True


def differences(url: str) -> list[Any]:
    """How the database differs from the tables in code, as alembic sees it. Empty: not at all."""
    with _connect(url) as connection:
        return list(
            compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
        )


def write_revision(url: str, message: str, revision_id: str) -> Path:
    """Write a revision file with what the tables in code have and the database has not; return its path."""
    with _connect(url) as connection:
        script = command.revision(_config(connection), message, autogenerate=True, rev_id=revision_id)
    return Path(script.path)  # type: ignore[union-attr]
