"""The images that an upload's rows name: found, derived a chunk at a time, and told apart by content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from microtasks.core.errors import RowInvalid
from microtasks.core.parsing.rows import Failed, Item
from microtasks.engine.imports import decode
from microtasks.engine.imports.archives import Contents, Member
from microtasks.engine.imports.decode_pool import Pool
from microtasks.engine.site import Site
from microtasks.store.imports import media

MAX_IMAGE_BYTES: Final = 100 << 20


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of the upload, stored: its media row and size; of a tiled one also its tiles (x, y, row)."""

    media_id: int
    width: int
    height: int
    tiles: tuple[tuple[int, int, int], ...] = ()


class Pictures:
    """The images of one upload. `tile_px` None: whole. table: the table that names them, None without one."""

    def __init__(
        self,
        site: Site,
        contents: Contents,
        pool: Pool,
        table: Member | None,
        tile_px: int | None,
        overlap_px: int,
    ) -> None:
        self._site, self._contents, self._pool, self._table = site, contents, pool, table
        self._tile_px, self._overlap_px = tile_px, overlap_px
        self._found: dict[int, Picture | RowInvalid] = {}  # by the member's number
        self._used: set[int] = set()

    @property
    def n_used(self) -> int:
        """How many images have been named so far."""
        return len(self._used)

    def note(self, item: Item) -> None:
        """Remember which images a row names."""
        for name in item.images:
            try:
                self._used.add(self._member(name).number)
            except RowInvalid:
                continue  # said when the row is made

    def unused(self) -> list[str]:
        """Names of the upload's files that no row has named; none where there is no table."""
        if self._table is None:
            return []
        used = {*self._used, self._table.number}
        return [member.name for member in self._contents.members if member.number not in used]

    def derive(self, rows: Iterable[Item | Failed], threads: ThreadPoolExecutor) -> None:
        """See to it that every image named in the rows is there for `of`. Repeating it changes nothing."""
        wanted: dict[int, Member] = {}
        for row in rows:
            for name in row.images if isinstance(row, Item) else ():
                try:
                    member = self._member(name)
                except RowInvalid:
                    continue
                if member.number not in self._found:
                    wanted[member.number] = member
        self._found |= zip(wanted, threads.map(self._stored, wanted.values()), strict=True)

    def of(self, item: Item) -> Sequence[Picture]:
        """The images of a row, in its order. Raises RowInvalid."""
        pictures: list[Picture] = []
        for name in item.images:
            picture = self._found[self._member(name).number]
            if isinstance(picture, RowInvalid):
                is_named = name == item.id or self._table is None
                raise RowInvalid(picture.message if is_named else f"Image “{name}”: {picture.message}")
            pictures.append(picture)
        return pictures

    def _member(self, name: str) -> Member:
        return self._contents.find(name, self._table.name if self._table else "")

    def _stored(self, member: Member) -> Picture | RowInvalid:
        """Derive one image unless its content is known; in a thread. Repeating it changes nothing."""
        try:
            content = member.read(MAX_IMAGE_BYTES)
            if self._tile_px is None:
                with self._site.db.connection() as connection:
                    known = media.by_sha256(connection, decode.sha256(content))
                if known and not self._site.files.missing([("originals", known.sha256)]):
                    return Picture(known.id, known.width, known.height)
            derived = self._pool.derive(content, member.ending, self._tile_px, self._overlap_px)
        except RowInvalid as error:
            return error
        for each in derived:
            self._site.files.publish(
                [("originals", each.sha256), *(("derived", copy["sha256"]) for copy in each.derivatives)]
            )
        with self._site.db.connection() as connection:
            stored = [
                media.add(
                    connection,
                    sha256=each.sha256,
                    mime=each.mime,
                    width=each.width,
                    height=each.height,
                    n_bytes=each.n_bytes,
                    derivatives=each.derivatives,
                )
                for each in sorted(
                    derived, key=lambda each: each.sha256
                )  # one order of locks for all imports
            ]
        by_hash = {image.sha256: image.id for image in stored}
        whole, *parts = derived
        return Picture(
            by_hash[whole.sha256],
            whole.width,
            whole.height,
            tuple((each.x, each.y, by_hash[each.sha256]) for each in parts),
        )
