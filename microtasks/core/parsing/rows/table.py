"""A whole table of tasks: iterate over its Items and Failed lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, TextIO

from microtasks.core.errors import JsonInvalid, RowInvalid
from microtasks.core.parsing import jsonstrict
from microtasks.core.parsing.columns import Columns, unwrapped
from microtasks.core.parsing.rows.grid import Grid, read_text
from microtasks.core.parsing.rows.items import (
    MAX_COLUMNS,
    NOTHING,
    OBJECT_CHARACTERS,
    ROUNDED,
    Failed,
    Header,
    Item,
    as_text,
    json_item,
    object_item,
)

_AS_FLOAT: Final = re.compile(r"[0-9]+\.0")


class Table:
    """A whole table: iterate over its Items and Failed lines; blank lines are nothing.

    source: a Grid, or the stream of a text. separator: as in TABLE_ENDINGS. columns: what the owner said that
    columns are for, by name. notices: what the owner should know (complete once iterating has ended). Raises
    FileInvalid when the first line cannot be used, or nothing follows it.
    """

    def __init__(
        self,
        source: Grid | TextIO,
        separator: str | None = None,
        columns: Columns = NOTHING,
        header_line: int = 0,
    ) -> None:
        self.grid = source if isinstance(source, Grid) else read_text(source, separator, header_line)
        self._columns = columns
        self._header = Header(self.grid.names, columns) if self.grid.names is not None else None
        self.n_objects = self.grid.n_objects  # 0: it is no JSON document
        self.notices = [*self.grid.notices, *(self._header.notices if self._header else ())]

    def __iter__(self) -> Iterator[Item | Failed]:
        made = self._header.item if self._header else self._item
        n_rounded, n_floats, n_named, last = 0, 0, 0, ""
        for number, record in self.grid:
            try:
                if isinstance(record, RowInvalid):
                    raise record
                item = made(number, record)
            except RowInvalid as error:
                yield Failed(number, "", error.message)
                continue
            if item is None:
                continue
            if identity := item.id:
                n_named += 1
                if identity[-1] == "0" and identity.endswith(".0") and _AS_FLOAT.fullmatch(identity):
                    n_floats += 1
                elif "E+" in identity and ROUNDED.fullmatch(identity):
                    n_rounded, last = n_rounded + 1, identity
            yield item
        if n_rounded:
            self.notices.append(
                f"{n_rounded:,} ids such as {last} were rounded by a spreadsheet: different things may have "
                "got the same id. Format the column as text and save the table again."
            )
        if n_floats and n_floats == n_named:
            self.notices.append(
                "The ids end in .0, as programs write whole numbers of a column with gaps: they are kept so."
            )

    def _item(self, number: int, record: Any) -> Item | None:
        if isinstance(record, str):
            return json_item(number, record, self._columns)
        return object_item(number, record, OBJECT_CHARACTERS, self._columns)

    def sample(self, n: int) -> tuple[list[str], list[list[str]]]:
        """Read on: the names of all columns, and the cells of the next `n` rows that can be read."""
        if self.grid.names is not None:
            rows_read = (cells for _, cells in self.grid if isinstance(cells, list) and any(cells))
            width = len(self.grid.names)
            return self.grid.names, [(cells + [""] * width)[:width] for cells in islice(rows_read, n)]
        rows = list(islice(self._objects(), n))
        names = list(dict.fromkeys(name for row in rows for name in row))[:MAX_COLUMNS]
        return names, [[as_text(row[name]) if name in row else "" for name in names] for row in rows]

    def _objects(self) -> Iterator[dict[str, Any]]:
        for _, record in self.grid:
            try:
                if isinstance(record, RowInvalid) or (isinstance(record, str) and not record.strip()):
                    continue
                raw = jsonstrict.loads(record.lstrip("\ufeff")) if isinstance(record, str) else record
                yield unwrapped(raw)
            except (JsonInvalid, RowInvalid):
                continue

    def count(self, at_most: int) -> int:
        """Read on and count the records, up to `at_most`."""
        return sum(1 for _ in islice(self, at_most))
