"""The database: one pool, two ways in. `connection()` for the hot path's own SQL, `session()` otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
from psycopg.rows import TupleRow, tuple_row
from psycopg_pool import ConnectionPool
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlmodel import Session as Session  # engine names the type and may not import sqlmodel

from microtasks.core.errors import Unavailable

Connection = psycopg.Connection[TupleRow]

#: PostgreSQL has no limits of its own: a statement, a lock or a forgotten transaction could wait for ever.
TIMEOUTS = (
    "-c statement_timeout=15s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s -c timezone=UTC"
)

#: SQLSTATE of what ends a connection: lost, shut down, too many. None: psycopg or its pool noticed it.
CONNECTION_STATES = ("08", "57P", "53300")


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
        self.pool: ConnectionPool[Connection] = ConnectionPool(
            self.url,
            min_size=0,
            max_size=size,
            timeout=10,
            open=False,
            close_returns=True,
            kwargs={"options": TIMEOUTS, "row_factory": tuple_row},
        )
        # SQLAlchemy keeps no connections of its own: closing one puts it back (`close_returns`).
        self.engine = create_engine("postgresql+psycopg://", creator=self._borrow, poolclass=NullPool)

    def _borrow(self) -> Connection:
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

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A SQLModel session that the caller (engine) commits; rolled back if it does not."""
        with _unavailable_when_away(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        self.engine.dispose()
        self.pool.close()


@contextmanager
def _unavailable_when_away() -> Iterator[None]:
    """Say in our own words that the connection failed; errors of a statement pass as they are."""
    try:
        yield
    except (psycopg.OperationalError, DBAPIError) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, psycopg.OperationalError) and (
            original.sqlstate is None or original.sqlstate.startswith(CONNECTION_STATES)
        ):
            raise Unavailable("The database does not answer at the moment. Please try again.") from error
        raise


def now() -> datetime:
    """Aware UTC, for what is not a lease. Lease times are the database's clock alone."""
    return datetime.now(UTC)


def raw(session: Session) -> Connection:
    """The psycopg connection below a session, in the same transaction, for what speaks SQL."""
    connection: Connection = session.connection().connection.driver_connection  # type: ignore[assignment]
    return connection
