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

from microtasks.core.errors import SettingsInvalid
from microtasks.store.db import plain_url
from microtasks.store.operations import schema
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
def connect(url: str) -> Iterator[Connection]:
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


def revisions() -> list[str]:
    """Every revision this version of the code knows, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def upgrade(url: str, *, functions: bool = True, verify: bool = True) -> None:
    """Bring tables and functions to this version. Safe in several processes at once, and again.

    Errors: SettingsInvalid for a database of a newer version, and, unless `verify` is off, for one whose
    tables are not those of this version although it went through every migration.
    """
    with connect(url) as connection:
        # The lock ends with the connection.
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.commit()
        with connection.begin():
            upgrade_within(connection, "head", functions=functions)
    if verify and (sentence := problem(url)):
        raise SettingsInvalid(sentence)


def upgrade_within(connection: Connection, revision: str, *, functions: bool = True) -> None:
    """Bring the connection's schema to a revision, in its transaction. Errors: SettingsInvalid if newer."""
    present = _revision(connection)
    if is_newer(present):
        raise SettingsInvalid(newer_sentence(present))
    command.upgrade(_config(connection), revision)
    if functions:
        install_hotpath(metadata, connection)


def lock(connection: psycopg.Connection) -> None:
    """Hold off everybody else who would migrate, until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def stamp(url: str) -> None:
    """Note that the database, made from the tables in code, is at this version."""
    with connect(url) as connection:
        command.stamp(_config(connection), "head")
        connection.commit()


def is_current(url: str) -> bool:
    """Whether the database has the schema this version needs: the number, and every part of it."""
    return problem(url) is None


def problem(url: str) -> str | None:
    """Why this version cannot work with the database's schema, and what to do about it; None: it can."""
    with connect(url) as connection:
        revision = _revision(connection)
        if is_newer(revision):
            return newer_sentence(revision)
        if revision != head():
            return "The database is not up to date. Run: microtasks db upgrade"
        differences = schema.differences(raw_connection(connection))
    if not differences:
        return None
    if all(each.startswith("function") for each in differences):
        return (
            f"The database's functions are not those of this version ({_short(differences)})."
            " Run: microtasks db upgrade"
        )
    return (
        f"The database says that it has schema {revision}, but it has not: {_short(differences)}."
        " A development version made it. Use it with that version, or begin with an empty database and bring"
        " the projects over as packages."
    )


def is_newer(revision: str | None) -> bool:
    """Whether a schema's number is none that this version of the code knows."""
    return revision is not None and revision not in revisions()


def newer_sentence(revision: str | None) -> str:
    """What to say about a schema of a newer version."""
    return (
        f"The database was made by a newer version of microtasks (schema {revision}; this version knows those"
        f" up to {head()}). Nothing was changed. Install that version, or use another database."
    )


def _short(differences: list[str]) -> str:
    rest = len(differences) - 3
    return ", ".join(differences[:3]) + (f" and {rest} more" if rest > 0 else "")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def raw_connection(connection: Connection) -> psycopg.Connection:
    """The psycopg connection below one of SQLAlchemy's."""
    plain: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return plain


def is_empty(url: str) -> bool:
    """Whether the database holds no accounts and no projects, or no tables at all."""
    with connect(url) as connection:
        for table in ("account", "project"):
            exists = connection.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": table})
            if exists and connection.scalar(text(f"SELECT EXISTS (SELECT FROM {table})")):  # noqa: S608
                return False
    return True


def differences(url: str) -> list[Any]:
    """How the database differs from the tables in code, as alembic sees it, for the next migration."""
    with connect(url) as connection:
        return list(
            compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
        )


def write_revision(url: str, message: str, revision_id: str) -> Path:
    """Write a revision file with what the tables in code have and the database has not; return its path."""
    with connect(url) as connection:
        script = command.revision(_config(connection), message, autogenerate=True, rev_id=revision_id)
    return Path(script.path)  # type: ignore[union-attr]
