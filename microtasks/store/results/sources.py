"""Big images that were cut into tiles: their tiles, and the merged consensus of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from psycopg.types.json import Jsonb

from microtasks.core.values import Consensus
from microtasks.store.db import Connection, Database
from microtasks.store.results.counted_answers import CHUNK


class TileRow(NamedTuple):
    """One tile of a big image, in the big image's pixels; source sizes are None where they are not known."""

    task_id: int
    x: int
    y: int
    width: int
    height: int
    source_width: int | None
    source_height: int | None


def sources(db: Database, project_id: int, chunk: int = CHUNK) -> Iterator[str]:
    """The big images of a project, by name."""
    after = ""
    while True:
        with db.connection() as connection:
            names = [
                row[0]
                for row in connection.execute(
                    "SELECT DISTINCT source FROM task_content WHERE project_id = %s AND source > %s"
                    " ORDER BY source LIMIT %s",
                    (project_id, after, chunk),
                )
            ]
        yield from names
        if len(names) < chunk:
            return
        after = names[-1]


def tiles(connection: Connection, project_id: int, source: str) -> list[TileRow]:
    """The tiles of one big image, by task."""
    return [
        TileRow(*row)
        for row in connection.execute(
            "SELECT c.task_id, c.source_x, c.source_y, m.width, m.height, s.width, s.height"
            " FROM task_content c JOIN media m ON m.id = c.media_ids[1]"
            " LEFT JOIN media s ON s.id = c.source_media_id"
            " WHERE c.project_id = %s AND c.source = %s"
            " AND c.source_x IS NOT NULL AND c.source_y IS NOT NULL ORDER BY c.task_id",
            (project_id, source),
        )
    ]


def put(connection: Connection, project_id: int, source: str, consensus: Consensus) -> None:
    """Store the merged consensus of a big image in place of an earlier one."""
    connection.execute(
        """INSERT INTO source_consensus (project_id, source, detail, reducer, parameters)
           VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (project_id, source) DO UPDATE SET detail = EXCLUDED.detail,
               reducer = EXCLUDED.reducer, parameters = EXCLUDED.parameters, updated_at = now()""",
        (project_id, source, Jsonb(consensus.detail), consensus.reducer, Jsonb(consensus.parameters)),
    )
