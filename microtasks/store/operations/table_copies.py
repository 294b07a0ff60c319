"""Every table's rows as they are at one moment, by COPY, and back into a new schema that then takes over.

No client program of PostgreSQL is needed, so none can be of the wrong version: what one server wrote, any
other version reads.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import psycopg
from psycopg import sql
from sqlalchemy import Table

from microtasks.core.errors import Conflict, FileInvalid, Unavailable
from microtasks.store.db import plain_url
from microtasks.store.operations import migrate, schema
from microtasks.store.tables import metadata

log = logging.getLogger(__name__)

#: Where rows are brought back to before they take the place of the schema `public`.
_NEW_SCHEMA = "microtasks_restore"
_PIECE_BYTES = 1 << 18
#: Times as UTC and floats in full, whatever the server's settings are; a copy may take long.
_SESSION = """SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL extra_float_digits = 1;
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL lock_timeout = '20s'"""


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table in a backup: its columns in the order of the copy, and how many rows it had."""

    name: str
    columns: list[str]
    n_rows: int


@contextmanager
def snapshot(url: str) -> Iterator[psycopg.Connection]:
    """A connection that sees the database as it is at one moment. Errors: Unavailable."""
    try:
        with psycopg.connect(plain_url(url), connect_timeout=10) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            connection.execute(_SESSION)
            yield connection
    except psycopg.OperationalError as error:
        raise Unavailable(f"The database does not answer: {_first_line(error)}") from error


def server_version(connection: psycopg.Connection) -> str:
    """The server's version, as 18.1."""
    return str(connection.info.parameter_status("server_version") or "").split(" ")[0]


def tables() -> list[Table]:
    """Every table, those that others refer to first."""
    return list(metadata.sorted_tables)


def write(
    connection: psycopg.Connection, table: Table, write_bytes: Callable[[bytes], object]
) -> CopiedTable:
    """Hand on the table's rows, compressed (zlib), piece by piece."""
    columns = [column.name for column in table.columns if column.computed is None]
    packer = zlib.compressobj(level=1)
    with connection.cursor() as cursor:
        with cursor.copy(_copy("COPY {} ({}) TO STDOUT", table.name, columns)) as copy:
            for piece in copy:
                if packed := packer.compress(piece):
                    write_bytes(packed)
        write_bytes(packer.flush())
        return CopiedTable(table.name, columns, cursor.rowcount)


def sequences(connection: psycopg.Connection) -> dict[str, int]:
    """The last value of each sequence that was used. Read after the rows: it is never behind them."""
    rows = connection.execute(
        """SELECT sequencename, last_value FROM pg_sequences
           WHERE schemaname = current_schema() AND last_value IS NOT NULL"""
    )
    return dict(rows.fetchall())


def replace(
    url: str,
    revision: str,
    copied: Sequence[CopiedTable],
    last_values: Mapping[str, int],
    open_table: Callable[[str], IO[bytes]],
) -> None:
    """Replace everything in the database by the copied rows, and migrate them to this version.

    One transaction: who reads meanwhile sees what was there before; on any error it stays. Errors: Conflict
    when somebody keeps the tables in use, FileInvalid when rows do not fit, Unavailable.

    1. Make a new schema at the revision of the copy, without what is slow to keep while rows come in. 2. Copy
    the rows; each table must have as many as were written. 3. Migrate. 4. Put it in the place of `public`.
    """
    try:
        with migrate.connect(url) as outer, outer.begin():
            connection = migrate.raw_connection(outer)
            migrate.lock(connection)
            connection.execute(_SESSION)
            connection.execute(f"DROP SCHEMA IF EXISTS {_NEW_SCHEMA} CASCADE")
            connection.execute(f"CREATE SCHEMA {_NEW_SCHEMA}")
            connection.execute(f"SET LOCAL search_path = {_NEW_SCHEMA}")
            migrate.upgrade_within(outer, revision, functions=False)
            put_back = _take_apart(connection)
            for table in copied:
                _read(connection, table, open_table)
            for statement in put_back:
                connection.execute(statement.encode())
            migrate.upgrade_within(outer, "head")
            _set_sequences(connection, last_values)
            # A worker that still has a job of what was there before must not write to one of these.
            connection.execute("UPDATE job SET attempt = attempt + 1000")
            if differences := schema.differences(connection):
                raise FileInvalid(f"The backup's tables are not those of this version: {differences[0]}.")
            connection.execute("DROP SCHEMA IF EXISTS public CASCADE")
            connection.execute(f"ALTER SCHEMA {_NEW_SCHEMA} RENAME TO public")
            connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        raise Conflict(
            "The site that uses this database is busy. Nothing was changed: stop it, and try again."
        ) from error
    except (psycopg.DataError, psycopg.IntegrityError, zlib.error) as error:
        raise FileInvalid(f"The backup's rows do not fit together: {_first_line(error)}") from error
    except psycopg.OperationalError as error:
        raise Unavailable(f"The database did not take the backup: {_first_line(error)}") from error


def _take_apart(connection: psycopg.Connection) -> list[str]:
    """Drop foreign keys and indexes, which would be looked at for every row; return what makes them again."""
    keys = connection.execute(
        """SELECT format('ALTER TABLE %I DROP CONSTRAINT %I', relname, conname),
               format('ALTER TABLE %I ADD CONSTRAINT %I %s', relname, conname, pg_get_constraintdef(k.oid))
           FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid
           WHERE contype = 'f' AND connamespace = current_schema()::regnamespace"""
    ).fetchall()
    indexes = connection.execute(
        """SELECT format('DROP INDEX %I', c.relname), pg_get_indexdef(indexrelid)
           FROM pg_index JOIN pg_class c ON c.oid = indexrelid
           WHERE c.relnamespace = current_schema()::regnamespace
             AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"""
    ).fetchall()
    for drop, _ in (*keys, *indexes):
        connection.execute(drop)
    return [made for _, made in (*indexes, *keys)]


def _read(connection: psycopg.Connection, table: CopiedTable, open_table: Callable[[str], IO[bytes]]) -> None:
    unpacker = zlib.decompressobj()
    with open_table(table.name) as source, connection.cursor() as cursor:
        with cursor.copy(_copy("COPY {} ({}) FROM STDIN", table.name, table.columns)) as copy:
            while piece := source.read(_PIECE_BYTES):
                copy.write(unpacker.decompress(piece))
            copy.write(unpacker.flush())
        if cursor.rowcount != table.n_rows:
            raise FileInvalid(f"The backup has {cursor.rowcount} of {table.n_rows} rows of {table.name}.")


def _set_sequences(connection: psycopg.Connection, last_values: Mapping[str, int]) -> None:
    present = connection.execute(
        "SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema()"
    ).fetchall()
    for (name,) in present:
        if name in last_values:
            connection.execute("SELECT setval(quote_ident(%s)::regclass, %s)", (name, last_values[name]))


def _copy(statement: str, table: str, columns: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL(statement).format(sql.Identifier(table), names)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
