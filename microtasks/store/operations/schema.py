"""Compare the database's schema with the tables and functions in code: what is missing, what is changed."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from sqlalchemy import CheckConstraint, Dialect, Index
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import ColumnCollectionConstraint

from microtasks.store.db import Connection
from microtasks.store.tables import DELETION, HOTPATH, metadata

#: What PostgreSQL calls the types that SQLAlchemy writes otherwise.
_TYPE_NAMES = {
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "FLOAT": "double precision",
    "DOUBLE PRECISION": "double precision",
    "VARCHAR": "character varying",
}
_FUNCTION = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION (\w+)\s*\(.*?AS \$\$(.*?)\$\$", re.DOTALL)
_TRIGGER = re.compile(r"CREATE TRIGGER (\w+)")
#: PostgreSQL keeps so many bytes of a name.
_NAME_BYTES = 63


@cache
def expected() -> dict[str, str]:
    """What the code needs, from its tables and SQL files: each part in plain words, and its definition."""
    parts: dict[str, str] = {}
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in metadata.sorted_tables:
        parts[f"table {table.name}"] = ""
        for column in table.columns:
            written = column.type.compile(dialect)
            type_name = _TYPE_NAMES.get(written, written.lower())
            parts[f"column {table.name}.{column.name}"] = type_name + ("" if column.nullable else " not null")
        for constraint in table.constraints:
            is_empty_key = isinstance(constraint, ColumnCollectionConstraint) and not constraint.columns
            if isinstance(constraint, CheckConstraint) or not is_empty_key:
                parts[f"constraint {_name(dialect, constraint)} of {table.name}"] = ""
        for index in table.indexes:
            parts[f"index {_name(dialect, index)} of {table.name}"] = ""
    for sql in (HOTPATH.read_text(), DELETION.read_text()):
        parts |= {f"function {name}": body for name, body in _FUNCTION.findall(sql)}
        parts |= {f"trigger {name}": "" for name in _TRIGGER.findall(sql)}
    return parts


def _name(dialect: Dialect, thing: Any) -> str:
    preparer = dialect.identifier_preparer
    shortened = (
        preparer.format_index(thing) if isinstance(thing, Index) else preparer.format_constraint(thing)
    )
    return str(shortened).strip('"')[:_NAME_BYTES]


def actual(connection: Connection) -> dict[str, str]:
    """The same of the database's own schema."""
    rows = connection.execute(
        """WITH ours AS (SELECT c.oid, c.relname FROM pg_class c
                         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p'))
           SELECT 'table ' || relname, '' FROM ours
           UNION ALL
           SELECT 'column ' || relname || '.' || attname,
               format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END
           FROM ours JOIN pg_attribute ON attrelid = ours.oid WHERE attnum > 0 AND NOT attisdropped
           UNION ALL
           SELECT 'constraint ' || conname || ' of ' || relname, ''
           FROM ours JOIN pg_constraint ON conrelid = ours.oid WHERE contype IN ('p', 'u', 'c', 'f')
           UNION ALL
           SELECT 'index ' || i.relname || ' of ' || ours.relname, ''
           FROM ours JOIN pg_index ON indrelid = ours.oid JOIN pg_class i ON i.oid = indexrelid
           WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid AND contype IN ('p', 'u'))
           UNION ALL
           SELECT 'function ' || proname, prosrc FROM pg_proc
           WHERE pronamespace = current_schema()::regnamespace
           UNION ALL
           SELECT 'trigger ' || tgname, '' FROM ours JOIN pg_trigger ON tgrelid = ours.oid
           WHERE NOT tgisinternal"""
    )
    return dict(rows.fetchall())


def differences(connection: Connection) -> list[str]:
    """What the database lacks or has otherwise than the code needs. More than that does no harm."""
    present = actual(connection)
    return [
        f"{part} is {'different' if part in present else 'missing'}"
        for part, definition in expected().items()
        if present.get(part) != definition
    ]
