"""Exports as jobs: asked for, written in the background as one file, downloaded when ready, kept for days.

Streamed downloads, written while they are read, are in `exporting`; packages in `packaging`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from microtasks.engine.running import Running
from microtasks.engine.site import Site
from microtasks.store.tables import Export, Project


@dataclass(frozen=True, slots=True)
class Download:
    """The file of an export that is done. chunks: its bytes, as they are stored."""

    name: str
    mime: str
    n_bytes: int
    sha256: str
    chunks: Iterator[bytes]


def request(
    site: Site,
    project: Project,
    *,
    what: str = "all",
    format: str = "csv",
    licence: str = "",
    compress: str = "",
    raw: bool = False,
    same_names: bool = False,
    account_id: int | None = None,
) -> Export:
    """Ask for an export; a worker writes it. Return its row, with its id.

    what: a table (`exporting.WHATS`), or "all": a package of every table. compress: "", "gzip" or "zstd".
    same_names: contributors have the names that they have in every export made so; otherwise they have new
    ones in each. Errors: InputError for what cannot be given.
    """
    raise NotImplementedError


def get(site: Site, project: Project, export_id: int) -> Export:
    """One export of this project. Errors: NotFound, for another project's too."""
    raise NotImplementedError


def listed(site: Site, project: Project, before: int | None = None, limit: int = 20) -> Sequence[Export]:
    """The project's exports, newest first; before: only those with a smaller id (the next page)."""
    raise NotImplementedError


def open(site: Site, project: Project, export_id: int) -> Download:
    """Open the file of an export. Errors: NotFound; Conflict while it is not ready, or is no longer kept."""
    raise NotImplementedError


def facts(export: Export) -> dict[str, Any]:
    """What an export's row says, as plain JSON for the page's script, the API and the command line.

    id, state, what, format, parameters, snapshot, software, progress (0..1, None: not known), rows, name,
    bytes, sha256, error, created_at, finished_at (ISO 8601, UTC).
    """
    raise NotImplementedError


def run(site: Site, export_id: int, job: Running) -> None:
    """Write the file (job `export`)."""
    raise NotImplementedError


def drop_old(site: Site) -> int:
    """Throw away files that are older than the setting `export_days` (clock); return how many."""
    raise NotImplementedError
