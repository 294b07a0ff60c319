"""Make tasks of what an owner uploads. `create_batch` keeps the files; the job `import` runs `run`.

Rows in = tasks made + rows listed as failed, each exactly once, however often the import is killed: a chunk
of rows is one transaction, which also moves the batch's restart point and is guarded by the job's claim.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from random import getrandbits
from typing import Any, Final

import orjson

from microtasks import tasktypes
from microtasks.core import rows
from microtasks.core.errors import AnswerInvalid, Conflict, FileInvalid, InputError, RowInvalid
from microtasks.core.rows import TABLE_ENDINGS, Failed, Item, Table
from microtasks.core.tasktype import Media
from microtasks.engine import audit, images, intake
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
from microtasks.engine.intake import Upload
from microtasks.engine.running import JobLost, Running
from microtasks.engine.site import Site
from microtasks.store import batches, jobs, media, projects, tasks
from microtasks.store.tasks import NewTask, Source

__all__ = ["GIVEN_UP", "Upload", "create_batch", "run"]

log = logging.getLogger(__name__)

GIVEN_UP: Final = (
    "The import stopped at the same place each time it was tried. What was imported before is kept."
)
ROWS_A_CHUNK: Final = 5_000
IMAGES_A_CHUNK: Final = 64
TILED_IMAGES_A_CHUNK: Final = 4
CHARACTERS_A_CHUNK: Final = 8 << 20
MAX_IMAGE_BYTES: Final = 100 << 20


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


@dataclass(frozen=True, slots=True)
class _Picture:
    """An image of the upload, stored: its media row and size; of a tiled one also its tiles (x, y, row)."""

    media_id: int
    width: int
    height: int
    tiles: tuple[tuple[int, int, int], ...] = ()


class _Import:
    """One run of one batch's import."""

    def __init__(
        self, site: Site, job: Running, order: batches.Order, contents: Contents, pool: Pool
    ) -> None:
        self.site, self.job, self.order, self.contents, self.pool = site, job, order, contents, pool
        self.task_type = tasktypes.get(order.task_type)
        self.config = self.task_type.parse_config(order.config)
        self.tile_px: int | None = order.options.get("tile_px")
        self.overlap_px: int = order.options.get("overlap_px", 0)
        self.table = contents.table()
        self.notices: list[str] = []
        self.open_files = ExitStack()
        self.pictures: dict[int, _Picture | RowInvalid] = {}  # by the member's number
        self.used: set[int] = set()
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
        with ThreadPoolExecutor(self.pool.n_processes) as threads, ThreadPoolExecutor(1) as writer:
            for chunk in self._chunks(read):
                self.job.check_stop()
                self._derive(chunk, threads)
                made = [self._tasks(row) for row in chunk]
                if written:
                    written.result()
                written = writer.submit(self._write, chunk, made, rows_done)
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
        for name in row.images:
            try:
                self.used.add(self._member(name).number)
            except RowInvalid:
                continue
        if row.id:
            return row
        if not row.images:
            return row._replace(id=f"{self.order.id}-{row.line}")
        name = row.images[0].replace("\\", "/").rpartition("/")[2][: rows.MAX_ID_CHARACTERS - 20]
        self.times_named[name] += 1
        return row._replace(id=name if self.times_named[name] == 1 else f"{name}:{row.line}")

    def _chunks(self, read: Iterable[Item | Failed]) -> Iterator[list[Item | Failed]]:
        """So many rows that neither memory nor the time until the next restart point grows with the file."""
        most_images = TILED_IMAGES_A_CHUNK if self.tile_px else IMAGES_A_CHUNK
        chunk: list[Item | Failed] = []
        n_characters, n_used = 0, len(self.used)
        for row in map(self._identified, read):
            chunk.append(row)
            n_characters += row.n_characters if isinstance(row, Item) else 0
            n_images = len(self.used) - n_used
            if len(chunk) >= ROWS_A_CHUNK or n_images >= most_images or n_characters >= CHARACTERS_A_CHUNK:
                yield chunk
                chunk, n_characters, n_used = [], 0, len(self.used)
        if chunk:
            yield chunk

    # 2. images

    def _member(self, name: str) -> Member:
        return self.contents.find(name, self.table.name if self.table else "")

    def _derive(self, chunk: Sequence[Item | Failed], threads: ThreadPoolExecutor) -> None:
        """See to it that every image named in the chunk is in `pictures`."""
        wanted: dict[int, Member] = {}
        for row in chunk:
            for name in row.images if isinstance(row, Item) else ():
                try:
                    member = self._member(name)
                except RowInvalid:
                    continue  # said when the row is made
                if member.number not in self.pictures:
                    wanted[member.number] = member
        self.pictures |= zip(wanted, threads.map(self._picture, wanted.values()), strict=True)

    def _picture(self, member: Member) -> _Picture | RowInvalid:
        """Derive one image unless its content is known; in a thread. Repeating it changes nothing."""
        try:
            content = member.read(MAX_IMAGE_BYTES)
            if self.tile_px is None:
                with self.site.db.connection() as connection:
                    known = media.by_sha256(connection, images.sha256(content))
                if known and not self.site.files.missing([("originals", known.sha256)]):
                    return _Picture(known.id, known.width, known.height)
            derived = self.pool.derive(content, member.ending, self.tile_px, self.overlap_px)
        except RowInvalid as error:
            return error
        for each in derived:
            self.site.files.publish(
                [("originals", each.sha256), *(("derived", copy["sha256"]) for copy in each.derivatives)]
            )
        with self.site.db.connection() as connection:
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
        return _Picture(
            by_hash[whole.sha256],
            whole.width,
            whole.height,
            tuple((each.x, each.y, by_hash[each.sha256]) for each in parts),
        )

    # 3. tasks

    def _write(
        self, chunk: Sequence[Item | Failed], made: Sequence[list[NewTask] | Failed], rows_done: int
    ) -> None:
        """Write a chunk as one transaction; if the database refuses a value, row by row."""
        try:
            self._commit(chunk, made, rows_done)
        except RowInvalid as error:
            if len(chunk) > 1:
                for index, row in enumerate(chunk):
                    self._write([row], [made[index]], rows_done + index)
                return
            log.warning("row_refused", extra={"batch": self.order.id, "row": chunk[0].line})
            self._commit(chunk, [Failed(chunk[0].line, _name(chunk[0]), error.message)], rows_done)

    def _commit(
        self, chunk: Sequence[Item | Failed], made: Sequence[list[NewTask] | Failed], rows_done: int
    ) -> None:
        """1. Hold job, batch and project, in this order. 2. Drop what is there already. 3. Write, move on."""
        project_id = self.order.project_id
        with self.site.db.connection() as connection:
            self.job.hold(connection)
            if not batches.hold(connection, self.order.id, rows_done):
                raise JobLost
            redundancy = tasks.hold_project(connection, project_id)
            candidates = [task for each in made if not isinstance(each, Failed) for task in each]
            known = tasks.known_ids(connection, project_id, (task.external_id for task in candidates))
            shown: dict[int, str] = {}
            if self.table is None and self.tile_px is None:
                shown = tasks.known_images(connection, project_id, {task.media_ids[0] for task in candidates})
            accepted: list[NewTask] = []
            failed: list[Failed] = []
            for row, each in zip(chunk, made, strict=True):
                if not isinstance(each, Failed):
                    reason = _already(each, known, shown)
                    if not reason:
                        accepted += each
                        known.update(task.external_id for task in each)
                        if self.table is None and self.tile_px is None:
                            shown[each[0].media_ids[0]] = each[0].external_id
                        continue
                    each = Failed(row.line, _name(row), reason)
                failed.append(each)
            tasks.insert(connection, project_id, self.order.id, redundancy, accepted)
            batches.add_failures(connection, self.order.id, failed)
            batches.advance(connection, self.order.id, len(chunk), len(accepted), len(failed))

    def _tasks(self, row: Item | Failed) -> list[NewTask] | Failed:
        """The tasks of one row: one, or one a tile; or why there is none."""
        if isinstance(row, Failed):
            return row
        try:
            return self._tasks_of(row)
        except InputError as error:
            problems = error.details.get("problems", ())
            reason = " ".join([error.message, *(f"{item['where']}: {item['what']}." for item in problems)])
        except Exception:
            log.exception("row_fault", extra={"batch": self.order.id, "row": row.line})
            reason = "This row could not be read, because of a fault in the program. Please report it."
        return Failed(row.line, _name(row), reason)

    def _tasks_of(self, item: Item) -> list[NewTask]:
        pictures: list[_Picture] = []
        for name in item.images:
            picture = self.pictures[self._member(name).number]
            if isinstance(picture, RowInvalid):
                raise RowInvalid(
                    picture.message
                    if name == item.id or self.table is None
                    else f"Image “{name}”: {picture.message}"
                )
            pictures.append(picture)
        if not pictures:
            if self.task_type.needs_image:
                raise RowInvalid("This type of task needs an image.")
            if not item.payload:
                raise RowInvalid("There is nothing to show in this row: no image and no text.")
        if self.tile_px and len(pictures) != 1:
            raise RowInvalid("Only a row with exactly one image can be cut into tiles.")
        task = NewTask(
            item.id,
            tasks.position(item.priority, getrandbits(tasks.RANDOM_BITS)),
            item.redundancy,
            orjson.dumps(item.payload),
            orjson.dumps(item.hidden) if item.hidden else b"{}",
            orjson.dumps(item.after) if item.after else b"{}",
            tuple(picture.media_id for picture in pictures),
            gold=self._gold(item, pictures),
        )
        if not self.tile_px:
            return [task]
        (picture,) = pictures
        return [
            task._replace(
                external_id=f"{item.id}@{x},{y}",
                position=tasks.position(item.priority, getrandbits(tasks.RANDOM_BITS)),
                media_ids=(tile_id,),
                source=Source(item.id, x, y, picture.media_id),
            )
            for x, y, tile_id in picture.tiles
        ]

    def _gold(self, item: Item, pictures: Sequence[_Picture]) -> bytes | None:
        if item.gold is None and not item.gold_fields:
            return None
        if self.tile_px:
            raise RowInvalid("A known answer cannot be given for an image that is cut into tiles.")
        raw: Any = item.gold
        if raw is None:
            try:
                raw = self.task_type.gold_from_columns(item.gold_fields, self.config)
            except AnswerInvalid:
                # A spreadsheet may have changed the case of the names.
                plain = {
                    name.strip().lower().replace(" ", "_"): cell for name, cell in item.gold_fields.items()
                }
                raw = self.task_type.gold_from_columns(plain, self.config)
        payload = self.task_type.Payload.model_validate(item.payload)
        shown = [Media(width=picture.width, height=picture.height) for picture in pictures]
        try:
            return orjson.dumps(self.task_type.check_gold(raw, payload, self.config, shown))
        except AnswerInvalid as error:
            raise AnswerInvalid(f"Known answer: {error.message}", **error.details) from None

    # 4. the end

    def _note_unused(self) -> None:
        if self.table is None:
            return
        unused = [
            member.name
            for member in self.contents.members
            if member.number not in self.used and member.number != self.table.number
        ]
        if unused:
            named = ", ".join(unused[:5]) + (", ..." if len(unused) > 5 else "")
            self.notices.append(
                f"Files of the upload that no row of the table names: {len(unused):,} ({named})."
            )


def _name(row: Item | Failed) -> str:
    return row.name if isinstance(row, Failed) else row.id


def _already(made: Sequence[NewTask], known: set[str], shown: dict[int, str]) -> str:
    """Why these tasks of one row are there already, or ""."""
    twice = next((task for task in made if task.external_id in known), None)
    if twice is not None:
        what = "This image" if twice.source else "A task"
        return (
            f"{what} with the id “{twice.source.id if twice.source else twice.external_id}” is there already."
        )
    if len(made) == 1 and made[0].media_ids and made[0].media_ids[0] in shown:
        return f"This is the same image as “{shown[made[0].media_ids[0]]}”."
    return ""
