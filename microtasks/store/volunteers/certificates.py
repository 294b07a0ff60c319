"""Certificates as they were issued. The id is the secret of the link."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from microtasks.store.db import Connection


class Row(NamedTuple):
    """One certificate."""

    id: str
    name: str
    language: str
    facts: dict[str, Any]
    created_at: datetime


_ROW = "SELECT id, name, language, facts, created_at FROM certificate"


def add(
    connection: Connection,
    certificate_id: str,
    contributor: UUID,
    name: str,
    language: str,
    facts: Mapping[str, Any],
) -> None:
    connection.execute(
        "INSERT INTO certificate (id, contributor_id, name, language, facts) VALUES (%s, %s, %s, %s, %s)",
        (certificate_id, contributor, name, language, Jsonb(facts)),
    )


def get(connection: Connection, certificate_id: str) -> Row | None:
    row = connection.execute(_ROW + " WHERE id = %s", (certificate_id,)).fetchone()
    return Row(*row) if row else None


def of(connection: Connection, contributor: UUID) -> list[Row]:
    """A contributor's certificates, the latest first."""
    rows = connection.execute(
        _ROW + " WHERE contributor_id = %s ORDER BY created_at DESC, id LIMIT 100", (contributor,)
    )
    return [Row(*row) for row in rows]


def delete(connection: Connection, contributor: UUID, certificate_id: str) -> bool:
    """False: there is none of theirs."""
    return (
        connection.execute(
            "DELETE FROM certificate WHERE id = %s AND contributor_id = %s", (certificate_id, contributor)
        ).rowcount
        == 1
    )
