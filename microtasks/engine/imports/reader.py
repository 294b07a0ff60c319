"""Read the rows of an upload: of its table, or one for each image; each with an id, in bounded chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from typing import Final

from microtasks.core import faults
from microtasks.core.errors import FileInvalid, JsonInvalid, RowInvalid
from microtasks.core.parsing import jsonstrict, rows
from microtasks.core.parsing.columns import suggested
from microtasks.core.parsing.rows import Choices, Failed, Item, Table, TableFile, hold_back, hold_back_object
from microtasks.core.parsing.rows.foreign import is_private
from microtasks.engine.imports.archives import (
    ADVICE,
    DAMAGE,
    MEANT_AS_TABLES,
    OTHERWISE,
    Contents,
    Member,
)
from microtasks.engine.imports.images import Pictures
from microtasks.engine.site import Site
from microtasks.store.imports import batches

ROWS_A_CHUNK: Final = 10_000
IMAGES_A_CHUNK: Final = 64
TILED_IMAGES_A_CHUNK: Final = 4
CHARACTERS_A_CHUNK: Final = 8 << 20
#: Rows that show what a table is like.
SAMPLE_ROWS: Final = 5
#: Objects of a JSON file that are looked at for other tools' answers.
HELD_BACK_ROWS: Final = 200
WORDS: Final = {"image": "the names of images", "text": "the text", "id": "the id"}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)


class Reading:
    """The rows of one upload. notices: what the owner should know of it."""

    def __init__(self, site: Site, order: batches.Order, contents: Contents, pictures: Pictures) -> None:
        self._site, self._order, self._contents, self._pictures = site, order, contents, pictures
        self._table = contents.table()
        self._images_a_chunk = TILED_IMAGES_A_CHUNK if order.options.get("tile_px") else IMAGES_A_CHUNK
        self.notices: list[str] = []
        #: Of a table: names and cells of its first rows; what columns are taken for, besides their names.
        self.sample: tuple[list[str], list[list[str]]] = ([], [])
        self.columns: dict[str, str] | None = None
        self.table: Table | None = None
        self.table_file: TableFile | None = None
        self.header_line = 0
        #: Were choices of an earlier upload taken over?
        self.is_carried_over = False
        self._n_notices = 0
        self._open_files = ExitStack()
        self._times_named: Counter[str] = Counter()  # image names, for rows without an id

    def close(self) -> None:
        self._open_files.close()

    def rows(self) -> tuple[Iterator[Item | Failed], int]:
        """Every row with its id, and about how many there are. Raises FileInvalid."""
        self.notices += self._contents.notices
        read, n_rows = self._from_table(self._table) if self._table else self._from_images()
        return map(self._identified, read), n_rows

    def _from_table(self, member: Member) -> tuple[Iterator[Item | Failed], int]:
        """1. Survey the bytes. 2. Hold back what is no table of tasks. 3. Say what the columns are for."""
        try:
            table_file = TableFile.survey_of(member.name, member.open, Choices.of(self._order.options))
        except (RowInvalid, *DAMAGE) as error:
            faults.raise_if_fault(error)
            raise FileInvalid(
                f"The table {member.name} is damaged, or cannot be read from the ZIP."
            ) from None
        self._open_files.callback(table_file.close)
        self.table_file = table_file
        if table_file.survey and table_file.survey.notice:
            self.notices.append(table_file.survey.notice)
        first = Table(table_file.grid())
        self.sample = first.sample(SAMPLE_ROWS)
        self.header_line = first.grid.header_line
        self._hold_back()
        limit = self._site.settings.max_batch_rows
        n_lines = table_file.survey.n_lines - (not table_file.is_json) if table_file.survey else limit + 1
        if n_lines > limit and (n_lines := Table(table_file.grid()).count(limit + 1)) > limit:
            raise FileInvalid(f"This table has more than {limit:,} rows. Split it into several.")
        self.columns = self._columns()
        self.table = Table(table_file.grid(), columns=self.columns)
        self.notices += self.table.notices
        self._n_notices = len(self.table.notices)
        return iter(self.table), max(self.table.n_objects or n_lines, 1)

    def _hold_back(self) -> None:
        """Raise FileInvalid for another tool's file of results."""
        assert self.table_file is not None  # noqa: S101
        grid = self.table_file.grid()
        if grid.names is not None:
            hold_back(grid.names)
            return
        for _, record in islice(grid, HELD_BACK_ROWS):
            if isinstance(record, str):
                with suppress(JsonInvalid):
                    record = jsonstrict.loads(record)
            hold_back_object(record)

    def _columns(self) -> dict[str, str]:
        """What the columns are for: as the owner said, as for the upload before, or as they look."""
        given: dict[str, str] | None = self._order.options.get("columns")
        if given is not None:
            return given
        names, cells = self.sample
        with self._site.db.connection() as connection:
            before = batches.last_columns(connection, self._order.project_id, self._order.id)
        roles = {name: role for name, role in before.items() if name in names}
        if roles:
            self.notices.append("The columns are used as in the upload before: " + _listed(roles) + ".")
            self.is_carried_over = True
        new = {
            name: role
            for name, role in suggested(names, cells, self._is_image, is_private).items()
            if name not in roles and (role not in ("id", "text") or role not in roles.values())
        }
        self.notices += [
            f"The column “{name}” was taken for {WORDS[role]}." for name, role in new.items() if role in WORDS
        ]
        if hidden := [name for name, role in new.items() if role == "hidden"]:
            self.notices.append(
                f"Never shown to volunteers, unless you say so: {_listed(hidden)}. "
                "They look like people, answers or data for programs."
            )
        return roles | new

    def note_late(self) -> None:
        """Add what only the whole table tells, once it is read."""
        if self.table:
            self.notices += self.table.notices[self._n_notices :]

    def _is_image(self, name: str) -> bool:
        try:
            return self._contents.find(name, self._table.name if self._table else "").is_image
        except RowInvalid:
            return False

    def _from_images(self) -> tuple[Iterator[Item | Failed], int]:
        members = self._contents.members
        if not members:
            raise FileInvalid("There is no file in this upload.")
        for member in members:
            if member.ending in MEANT_AS_TABLES or (len(members) == 1 and not member.is_image):
                raise FileInvalid(f"{member.name}: {ADVICE.get(member.ending, OTHERWISE)}")
        times = Counter(member.name.rpartition("/")[2] for member in members)

        def read() -> Iterator[Item | Failed]:
            for member in members:
                bare = member.name.rpartition("/")[2]
                if member.is_image:
                    name = bare if times[bare] == 1 else member.name
                    yield Item(member.number, name[: rows.MAX_ID_CHARACTERS], (member.name,))
                else:
                    yield Failed(member.number, member.name, ADVICE.get(member.ending, OTHERWISE))

        return read(), len(members)

    def _identified(self, row: Item | Failed) -> Item | Failed:
        """Give a row without an id one: the name of its image (if that is new), or its line."""
        if isinstance(row, Failed):
            return row
        if row.images:
            self._pictures.note(row)
        if row.id:
            return row
        if not row.images:
            return row._replace(id=f"{self._order.id}-{row.line}")
        name = row.images[0].replace("\\", "/").rpartition("/")[2][: rows.MAX_ID_CHARACTERS - 20]
        self._times_named[name] += 1
        return row._replace(id=name if self._times_named[name] == 1 else f"{name}:{row.line}")

    def chunks(self, read: Iterable[Item | Failed]) -> Iterator[list[Item | Failed]]:
        """So many rows that neither memory nor the time until the next restart point grows with the file."""
        chunk: list[Item | Failed] = []
        n_characters = n_images = 0
        n_used = self._pictures.n_used
        for row in read:
            chunk.append(row)
            if isinstance(row, Item):
                n_characters += row.n_characters
                if row.images:
                    n_images = self._pictures.n_used - n_used
            if (
                len(chunk) >= ROWS_A_CHUNK
                or n_images >= self._images_a_chunk
                or n_characters >= CHARACTERS_A_CHUNK
            ):
                yield chunk
                chunk, n_characters, n_images, n_used = [], 0, 0, self._pictures.n_used
        if chunk:
            yield chunk

    def note_unused(self) -> None:
        if unused := self._pictures.unused():
            named = ", ".join(unused[:5]) + (", ..." if len(unused) > 5 else "")
            self.notices.append(
                f"Files of the upload that no row of the table names: {len(unused):,} ({named})."
            )
