"""Empty databases for tests: cloned from a template, used again where nothing but rows was changed.

Cloning and dropping one costs many times what emptying it does, and on a busy machine seconds.
"""

from __future__ import annotations

import re
import uuid

import psycopg
from psycopg import sql

TEMPLATE = "template_microtasks"
#: A database that grew by more is not used again: its pages would be full of dead rows.
GROWTH_MAX_BYTES = 2_000_000
TERMINATE_MS = 5_000

#: Everything that a test may change besides rows, in one text: definitions, settings of the database, and
#: statistics, by which the next test's queries would be planned. And which version the schema says it is.
_STATE = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT format('%s %s %s %s', c.relname, c.relkind, c.reloptions, c.relpersistence) AS line
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT format('%s.%s %s %s %s %s', a.attrelid::regclass, a.attname, a.atttypid, a.attnotnull,
                            a.attisdropped, pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
    UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT format('%s %s %s', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger
    WHERE NOT tgisinternal
    UNION ALL SELECT format('%s %s', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT format('index %s %s', indexrelid::regclass, indisvalid) FROM pg_index
    JOIN pg_class c ON c.oid = indrelid WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT format('statistics of %s', starelid::regclass) FROM pg_statistic
    JOIN pg_class c ON c.oid = starelid WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT format('setting %s', setconfig) FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT format('schema %s', nspname) FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast_temp)'
    UNION ALL SELECT format('extension %s', extname) FROM pg_extension
    UNION ALL SELECT format('version %s', version_num) FROM alembic_version
) AS everything
"""
_TABLES = """
SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
  AND c.relname <> 'alembic_version' ORDER BY 1
"""
_SEQUENCES = "SELECT schemaname, sequencename FROM pg_sequences WHERE last_value IS NOT NULL"


def database_url(url: str, name: str) -> str:
    """The same server, another database."""
    return re.sub(r"^(\w+://[^/]*)/[^?]*", rf"\1/{name}", url)


class Databases:
    """The databases of one test process on the server at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.server = psycopg.connect(url, autocommit=True)
        self.clean: list[str] = []
        with psycopg.connect(database_url(url, TEMPLATE), autocommit=True) as connection:
            self.state = self._state(connection)
            self.size_max = self._size(TEMPLATE) + GROWTH_MAX_BYTES
            self.tables = [name for (name,) in connection.execute(_TABLES)]

    def take(self) -> str:
        """The name of an empty database with the schema, under which nobody has known one before."""
        name = f"t_{uuid.uuid4().hex}"
        if self.clean:  # renamed, so that what an earlier test left running cannot find it
            self._run("ALTER DATABASE {} RENAME TO {}", self.clean.pop(), name)
        else:
            self._run("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, TEMPLATE)
        return name

    def give_back(self, name: str) -> None:
        """Empty it for the next test, or drop it if more than rows was changed."""
        if self._is_emptied(name):
            self.clean.append(name)
        else:
            self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def close(self) -> None:
        for name in self.clean:
            self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self.server.close()

    def _is_emptied(self, name: str) -> bool:
        ended = self.server.execute(
            "SELECT coalesce(bool_and(pg_terminate_backend(pid, %s)), true) FROM pg_stat_activity"
            " WHERE datname = %s",
            (TERMINATE_MS, name),
        ).fetchone()
        try:
            if ended != (True,) or self._size(name) > self.size_max:
                return False
            with psycopg.connect(database_url(self.url, name), autocommit=True) as connection:
                if self._state(connection) != self.state:
                    return False
                self._empty(connection)
        except psycopg.Error:
            return False
        return True

    def _empty(self, connection: psycopg.Connection) -> None:
        # Without triggers and foreign keys: everything goes, in whatever order.
        statements = ["SET session_replication_role = replica"]
        statements += [f'DELETE FROM public."{table}"' for table in self.tables]  # noqa: S608
        connection.execute(";".join(statements))
        for schema, sequence in connection.execute(_SEQUENCES).fetchall():
            connection.execute(
                sql.SQL("ALTER SEQUENCE {}.{} RESTART").format(
                    sql.Identifier(schema), sql.Identifier(sequence)
                )
            )

    def _state(self, connection: psycopg.Connection) -> str:
        row = connection.execute(_STATE).fetchone()
        assert row is not None
        return str(row[0])

    def _size(self, name: str) -> int:
        row = self.server.execute("SELECT pg_database_size(%s)", (name,)).fetchone()
        assert row is not None
        return int(row[0])

    def _run(self, statement: str, *names: str) -> None:
        self.server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]
