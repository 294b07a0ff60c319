"""Make tasks of what an owner uploads. `create_batch` keeps the files; the job `import` runs `run`.

Rows in = tasks made + rows listed as failed, each exactly once, however often the import is killed: a chunk
of rows is one transaction, which also moves the batch's restart point and is guarded by the job's claim.
"""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from io import TextIOWrapper
from itertools import islice
from typing import Final

import orjson

from microtasks.core import rows
from microtasks.core.errors import Conflict, FileInvalid, RowInvalid
from microtasks.core.rows import TABLE_ENDINGS, Failed, Item, Table
from microtasks.engine import audit, intake
from microtasks.engine.archives import (
    ADVICE,
    DAMAGE,
    IMAGE_ENDINGS,
    MEANT_AS_TABLES,
    OTHERWISE,
    Contents,
    Member,
)
from microtasks.engine.imagepool import Pool
from microtasks.engine.inserting import Writer
from microtasks.engine.intake import Upload
from microtasks.engine.making import Maker
from microtasks.engine.pictures import Pictures
from microtasks.engine.running import Running
from microtasks.engine.site import Site
from microtasks.store import batches, jobs, projects

__all__ = ["GIVEN_UP", "Upload", "create_batch", "run"]

log = logging.getLogger(__name__)

GIVEN_UP: Final = (
    "The import stopped at the same place each time it was tried. What was imported before is kept."
)
ROWS_A_CHUNK: Final = 5_000
IMAGES_A_CHUNK: Final = 64
TILED_IMAGES_A_CHUNK: Final = 4
CHARACTERS_A_CHUNK: Final = 8 << 20


def create_batch(
    site: Site,
    project_id: int,
    uploads: Sequence[Upload],
    *,
    tile_px: int | None = None,
    overlap_px: int = 0,
    by: int | None = None,
) -> int:
    """Take in an upload and queue its import; return the batch's id.

    uploads: a ZIP, images, one table (CSV, TSV, JSONL), folders, or a mix, as one whole. by: the account.
    1. Check what was asked. 2. Copy the files, counted, to a folder with a random name; fsync.
    3. Insert the batch and its job, commit. 4. Ring.
    Errors: NotFound; Conflict for an archived project; FileInvalid for nothing, too much, or tiles that make
    no sense; Unavailable when the disk is nearly full.
    """
    if tile_px is not None and not (16 <= tile_px <= 20_000 and 0 <= overlap_px <= tile_px // 2):
        raise FileInvalid("Tiles have 16 to 20,000 pixels a side and overlap by at most half of that.")
    with site.db.session() as session:
        if projects.get(session, project_id).state == "archived":
            raise Conflict("This project is archived: nothing can be added to it.")
    upload = intake.receive(site, uploads)
    label = intake.label(uploads[0].name) + (f" and {len(uploads) - 1} more" if len(uploads) > 1 else "")
    options = {"tile_px": tile_px, "overlap_px": overlap_px} if tile_px else {}
    try:
        with site.db.connection() as connection:
            batch_id = batches.add(connection, project_id, label, upload, orjson.dumps(options).decode())
            job_id = jobs.add(connection, "import", batch_id)
            audit.note(connection, by, project_id, "batch.add", batch=batch_id, label=label)
    except BaseException:
        site.uploads.drop(upload)
        raise
    site.bell.ring(job_id)
    return batch_id


def run(site: Site, batch_id: int, job: Running) -> None:
    """Import a batch, from where an earlier run came to. Raises JobLost, JobStopped.

    1. Look through the upload: encoding, number of rows. 2. Chunk by chunk: derive the images, then write
    tasks and failures. 3. Done; the upload folder goes. A file that cannot be used at all fails the batch.
    """
    with site.db.connection() as connection:
        order = batches.order(connection, batch_id)
    if order is None or order.state in ("done", "failed"):
        return
    try:
        try:
            folder = site.uploads.fetch(order.upload)
        except FileNotFoundError:
            raise FileInvalid("The uploaded files are gone. Please upload them again.") from None
        with (
            Contents(folder, site.settings) as contents,
            Pool(site.files.root, site.settings.max_image_pixels) as pool,
            closing(_Import(site, job, order, contents, pool)) as work,
        ):
            work.run()
    except FileInvalid as error:
        with site.db.connection() as connection:
            job.hold(connection)
            batches.fail(connection, batch_id, error.message)
    site.uploads.drop(order.upload)
    intake.clean(site)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cycles of garbage a hundred times less often: rows make none; it took a third of all time."""
    usual = gc.get_threshold()
    gc.set_threshold(100 * usual[0], *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class _Import:
    """One run of one batch's import."""

    def __init__(
        self, site: Site, job: Running, order: batches.Order, contents: Contents, pool: Pool
    ) -> None:
        self.site, self.job, self.order, self.contents, self.pool = site, job, order, contents, pool
        tile_px: int | None = order.options.get("tile_px")
        self.table = contents.table()
        self.pictures = Pictures(
            site, contents, pool, self.table, tile_px, order.options.get("overlap_px", 0)
        )
        self.maker = Maker(order, self.pictures, is_tiled=tile_px is not None)
        self.writer = Writer(site, job, order, is_by_image=self.table is None and tile_px is None)
        self.images_a_chunk = TILED_IMAGES_A_CHUNK if tile_px else IMAGES_A_CHUNK
        self.notices: list[str] = []
        self.open_files = ExitStack()
        self.times_named: Counter[str] = Counter()  # image names, for rows without an id

    def close(self) -> None:
        self.open_files.close()

    def run(self) -> None:
        read, n_rows = self._from_table(self.table) if self.table else self._from_images()
        with self.site.db.connection() as connection:
            self.job.hold(connection)
            batches.start(connection, self.order.id, n_rows, orjson.dumps(self.notices).decode())
        self.notices.clear()
        rows_done = self.order.rows_done
        for row in islice(read, rows_done):
            self._identified(row)
        written: Future[None] | None = None  # the database works on one chunk while the next is read
        with (
            ThreadPoolExecutor(self.pool.n_processes) as threads,
            ThreadPoolExecutor(1) as database,
            _rare_collections(),
        ):
            for chunk in self._chunks(read):
                self.job.check_stop()
                self.pictures.derive(chunk, threads)
                made = list(map(self.maker.make, chunk))
                if written:
                    written.result()
                written = database.submit(self.writer.write, chunk, made, rows_done)
                rows_done += len(chunk)
            if written:
                written.result()
        if rows_done == 0:
            raise FileInvalid("The table names its columns, but no row follows.")
        self._note_unused()
        with self.site.db.connection() as connection:
            self.job.hold(connection)
            batches.finish(connection, self.order.id, orjson.dumps(self.notices).decode())

    # 1. rows

    def _from_table(self, member: Member) -> tuple[Iterator[Item | Failed], int]:
        separator = TABLE_ENDINGS[member.ending]
        try:
            with member.open() as stream:
                survey = rows.survey(stream)
        except (RowInvalid, *DAMAGE):
            raise FileInvalid(
                f"The table {member.name} is damaged, or cannot be read from the ZIP."
            ) from None
        if survey.notice:
            self.notices.append(survey.notice)

        def opened() -> Table:
            lines = TextIOWrapper(member.open(), encoding=survey.encoding, errors=survey.errors, newline="")
            return Table(self.open_files.enter_context(lines), separator)

        limit = self.site.settings.max_batch_rows
        if survey.n_lines > limit and opened().count(limit + 1) > limit:
            raise FileInvalid(f"This table has more than {limit:,} rows. Split it into several.")
        table = opened()
        self.notices += table.notices
        return iter(table), survey.n_lines if separator == "" else max(survey.n_lines - 1, 1)

    def _from_images(self) -> tuple[Iterator[Item | Failed], int]:
        members = self.contents.members
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
            self.pictures.note(row)
        if row.id:
            return row
        if not row.images:
            return row._replace(id=f"{self.order.id}-{row.line}")
        name = row.images[0].replace("\\", "/").rpartition("/")[2][: rows.MAX_ID_CHARACTERS - 20]
        self.times_named[name] += 1
        return row._replace(id=name if self.times_named[name] == 1 else f"{name}:{row.line}")

    def _chunks(self, read: Iterable[Item | Failed]) -> Iterator[list[Item | Failed]]:
        """So many rows that neither memory nor the time until the next restart point grows with the file."""
        chunk: list[Item | Failed] = []
        n_characters, n_used = 0, self.pictures.n_used
        for row in map(self._identified, read):
            chunk.append(row)
            n_characters += row.n_characters if isinstance(row, Item) else 0
            n_images = self.pictures.n_used - n_used
            if (
                len(chunk) >= ROWS_A_CHUNK
                or n_images >= self.images_a_chunk
                or n_characters >= CHARACTERS_A_CHUNK
            ):
                yield chunk
                chunk, n_characters, n_used = [], 0, self.pictures.n_used
        if chunk:
            yield chunk

    def _note_unused(self) -> None:
        if unused := self.pictures.unused():
            named = ", ".join(unused[:5]) + (", ..." if len(unused) > 5 else "")
            self.notices.append(
                f"Files of the upload that no row of the table names: {len(unused):,} ({named})."
            )
