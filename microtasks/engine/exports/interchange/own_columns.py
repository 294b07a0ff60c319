"""The owner's own columns by the names that other communities give them, whatever their case and signs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from microtasks.store.exports import reads

if TYPE_CHECKING:
    from microtasks.engine.site import Site

#: What the id of a IIIF canvas may be called.
CANVAS = ("canvas", "canvas_id", "iiif_canvas", "iiif_canvas_id")
#: A taxon behind its everyday name: "Red fox (Vulpes vulpes)".
_IN_BRACKETS = re.compile(r"\(([^()]+)\)\s*$")


class OwnColumns:
    """The columns of one task: shown, hidden and shown after answering, found by any of several names."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        columns = {**row["payload"].get("metadata", {}), **row["after"], **row["hidden"]}
        self._by_name = {_plain(name): str(text) for name, text in columns.items() if text not in (None, "")}

    def get(self, *names: str) -> str:
        """The first of these columns that is filled; "" if none is."""
        return next((self._by_name[name] for name in map(_plain, names) if name in self._by_name), "")


def has_columns(site: Site, project_id: int, wanted: Iterable[Iterable[str]]) -> bool:
    """Has one of the first tasks of an upload all of these columns, each by one of its names?"""
    with site.db.connection() as connection:
        rows = reads.first_items(connection, project_id)
    wanted = [tuple(names) for names in wanted]
    return any(all(OwnColumns(row).get(*names) for names in wanted) for row in rows)


def taxon(label: str) -> str:
    """The scientific name in a label: what stands in brackets behind an everyday name, else all of it."""
    in_brackets = _IN_BRACKETS.search(label)
    return in_brackets[1].strip() if in_brackets else label.strip()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
