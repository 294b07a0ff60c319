"""Read the rows of an upload: of its table, or one for each image; each with an id, in bounded chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from io import TextIOWrapper
from typing import Final

from microtasks.core import faults, rows
from microtasks.core.columns import Columns, suggested
from microtasks.core.errors import FileInvalid, RowInvalid
from microtasks.core.rows import JSON, NOTHING, TABLE_ENDINGS, Failed, Item, Table
from microtasks.engine.imports.archives import (
    ADVICE,
    DAMAGE,
    IMAGE_ENDINGS,
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
WORDS: Final = {"image": "the names of images", "text": "the text"}


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
        self._open_files = ExitStack()
        self._times_named: Counter[str] = Counter()  # image names, for rows without an id

    def close(self) -> None:
        self._open_files.close()

    def rows(self) -> tuple[Iterator[Item | Failed], int]:
        """Every row with its id, and about how many there are. Raises FileInvalid."""
        read, n_rows = self._from_table(self._table) if self._table else self._from_images()
        return map(self._identified, read), n_rows

    def _from_table(self, member: Member) -> tuple[Iterator[Item | Failed], int]:
        separator = TABLE_ENDINGS[member.ending]
        try:
            with member.open() as stream:
                survey = rows.survey(stream)
        except (RowInvalid, *DAMAGE) as error:
            faults.raise_if_fault(error)
            raise FileInvalid(
                f"The table {member.name} is damaged, or cannot be read from the ZIP."
            ) from None
        if survey.notice:
            self.notices.append(survey.notice)

        def opened(columns: Columns = NOTHING) -> Table:
            lines = TextIOWrapper(member.open(), encoding=survey.encoding, errors=survey.errors, newline="")
            return Table(self._open_files.enter_context(lines), separator, columns)

        self.sample = opened().sample(SAMPLE_ROWS)
        limit = self._site.settings.max_batch_rows
        n_lines = survey.n_lines - (separator not in ("", JSON))  # without the names of the columns
        if n_lines > limit and opened().count(limit + 1) > limit:
            raise FileInvalid(f"This table has more than {limit:,} rows. Split it into several.")
        self.columns = self._order.options.get("columns")
        if self.columns is None:
            self.columns = suggested(*self.sample, self._is_image)
            self.notices += [
                f"The column “{name}” was taken for {WORDS[said]}."
                for name, said in self.columns.items()
                if said
            ]
        table = opened(self.columns)
        self.notices += table.notices
        return iter(table), max(table.n_objects or n_lines, 1)

    def _is_image(self, name: str) -> bool:
        try:
            return self._contents.find(name, self._table.name if self._table else "").ending in IMAGE_ENDINGS
        except RowInvalid:
            return False

    def _from_images(self) -> tuple[Iterator[Item | Failed], int]:
        members = self._contents.members
        if not members:
            raise FileInvalid("There is no file in this upload.")
        for member in members:
            if member.ending in MEANT_AS_TABLES or (len(members) == 1 and member.ending not in IMAGE_ENDINGS):
                raise FileInvalid(f"{member.name}: {ADVICE.get(member.ending, OTHERWISE)}")
        times = Counter(member.name.rpartition("/")[2] for member in members)

        def read() -> Iterator[Item | Failed]:
            for member in members:
                bare = member.name.rpartition("/")[2]
                if member.ending in IMAGE_ENDINGS:
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
