"""The database: one pool, two ways in. `connection()` for the hot path's own SQL, `session()` otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import RowFactory, TupleRow, tuple_row
from psycopg_pool import ConnectionPool
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlmodel import Session as Session  # engine names the type and may not import sqlmodel

from microtasks.core.errors import Unavailable

Connection = psycopg.Connection[TupleRow]
T = TypeVar("T")

#: PostgreSQL has no limits of its own: a statement, a lock or a forgotten transaction could wait for ever.
TIMEOUTS = (
    "-c statement_timeout=15s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s -c timezone=UTC"
)

#: SQLSTATE of what ends a connection: lost, shut down, too many. None: psycopg or its pool noticed it.
CONNECTION_STATES = ("08", "57P", "53300")


class Statement(NamedTuple):
    """A statement that each connection prepares once, under this name. It gives one row of one column."""

    name: bytes
    sql: bytes


class _Connection(psycopg.Connection[TupleRow]):
    """A connection that knows which Statements it has prepared."""

    prepared: set[bytes]

    def __init__(self, pgconn: PGconn, row_factory: RowFactory[TupleRow] = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        self.prepared = set()


def plain_url(url: str) -> str:
    """The URL as psycopg reads it (SQLAlchemy's `+psycopg` and Heroku's `postgres:` removed)."""
    scheme, separator, rest = url.partition("://")
    return "postgresql" + separator + rest if scheme.split("+")[0] in ("postgres", "postgresql") else url


class Database:
    """A pool of psycopg connections; SQLModel sessions borrow from the same pool.

    Errors: Unavailable when the server is away, or goes away in the middle.
    """

    def __init__(self, url: str, size: int = 8) -> None:
        self.url = plain_url(url)
        self.pool: ConnectionPool[_Connection] = ConnectionPool(
            self.url,
            min_size=0,
            max_size=size,
            timeout=3,  # seconds a visitor waits when the server is away
            open=False,
            close_returns=True,
            connection_class=_Connection,
            kwargs={"options": TIMEOUTS, "row_factory": tuple_row},
        )
        # SQLAlchemy keeps no connections of its own: closing one puts it back (`close_returns`).
        self.engine = create_engine("postgresql+psycopg://", creator=self._borrow, poolclass=NullPool)

    def _borrow(self) -> _Connection:
        self._open()
        return self.pool.getconn()

    def _open(self) -> None:
        if self.pool.closed:
            self.pool.open()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A transaction on a pooled connection: committed when the block ends, rolled back on an error."""
        self._open()
        with _unavailable_when_away(), self.pool.connection() as connection:
            yield connection

    def call(self, statement: Statement, *values: bytes | None) -> bytes | None:
        """The one value that the statement gives, as text; a transaction of its own.

        values: its parameters as text, $1 first; None: null. Straight to libpq: a cursor, its adapters and
        its waiting loop cost the web process more than all else that an answer needs.
        """
        try:
            connection = self._borrow()
            try:
                return _call(connection, statement, values)
            finally:
                self.pool.putconn(connection)
        except psycopg.OperationalError as error:  # not by the context manager: it costs more than it does
            _raise_if_away(error)
            raise

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A SQLModel session that the caller (engine) commits; rolled back if it does not."""
        with _unavailable_when_away(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        self.engine.dispose()
        self.pool.close()


def _call(connection: _Connection, statement: Statement, values: Sequence[Any]) -> bytes | None:
    pgconn, name = connection.pgconn, statement.name
    if name in connection.prepared:
        result = pgconn.exec_prepared(name, values)
        # psycopg drops every prepared statement of a connection when a transaction on it fails.
        if result.status == ExecStatus.TUPLES_OK or result.error_field(DiagnosticField.SQLSTATE) != b"26000":
            return _checked(connection, result, ExecStatus.TUPLES_OK).get_value(0, 0)
        connection.prepared.discard(name)  # this one alone: others may have been prepared again since
    _checked(connection, pgconn.prepare(name, statement.sql), ExecStatus.COMMAND_OK)
    connection.prepared.add(name)
    return _checked(connection, pgconn.exec_prepared(name, values), ExecStatus.TUPLES_OK).get_value(0, 0)


def _checked(connection: _Connection, result: PGresult, wanted: ExecStatus) -> PGresult:
    if result.status == wanted:
        return result
    if connection.pgconn.status != ConnStatus.OK:
        raise psycopg.OperationalError("the connection is lost")
    raise error_from_result(result)


@contextmanager
def _unavailable_when_away() -> Iterator[None]:
    """Say in our own words that the connection failed; errors of a statement pass as they are."""
    try:
        yield
    except (psycopg.OperationalError, DBAPIError) as error:
        _raise_if_away(error)
        raise


def _raise_if_away(error: psycopg.OperationalError | DBAPIError) -> None:
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, psycopg.OperationalError) and (
        original.sqlstate is None or original.sqlstate.startswith(CONNECTION_STATES)
    ):
        raise Unavailable("The database does not answer at the moment. Please try again.") from error


def retried(work: Callable[[], T], times: int = 3) -> T:
    """Do a transaction once more where PostgreSQL ended it to undo a deadlock: nothing of it has happened."""
    for _ in range(times - 1):
        try:
            return work()
        except (psycopg.errors.DeadlockDetected, DBAPIError) as error:
            original = error.orig if isinstance(error, DBAPIError) else error
            if not isinstance(original, psycopg.errors.DeadlockDetected):
                raise
    return work()


def now() -> datetime:
    """Aware UTC, for what is not a lease. Lease times are the database's clock alone."""
    return datetime.now(UTC)


def raw(session: Session) -> Connection:
    """The psycopg connection below a session, in the same transaction, for what speaks SQL."""
    connection: Connection = session.connection().connection.driver_connection  # type: ignore[assignment]
    return connection
