"""Make tasks of what an owner uploads. `create_batch` keeps the files; the job `import` runs `run`.

Rows in = tasks made + rows listed as failed, each exactly once, however often the import is killed: a chunk
of rows is one transaction, which also moves the batch's restart point and is guarded by the job's claim.
"""

from __future__ import annotations

import gc
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from itertools import islice
from typing import Any, Final

import orjson

from microtasks.core.errors import Conflict, FileInvalid
from microtasks.core.parsing.columns import MAX_FIELD_CHARACTERS, ROLES
from microtasks.core.parsing.rows import Choices
from microtasks.engine import audit
from microtasks.engine.imports import staging
from microtasks.engine.imports.archives import Contents
from microtasks.engine.imports.decode_pool import Pool
from microtasks.engine.imports.images import Pictures
from microtasks.engine.imports.reader import Reading
from microtasks.engine.imports.staging import Upload
from microtasks.engine.imports.task_builder import Maker
from microtasks.engine.imports.task_writer import Writer
from microtasks.engine.job_handle import Running
from microtasks.engine.site import Site
from microtasks.store import jobs
from microtasks.store.db import Connection
from microtasks.store.imports import batches
from microtasks.store.projects import projects
from microtasks.store.switch_interval import short_turns

__all__ = ["GIVEN_UP", "Upload", "confirm", "create_batch", "look_again", "run", "throw_away", "undo"]

log = logging.getLogger(__name__)

GIVEN_UP: Final = (
    "The import stopped at the same place each time it was tried. What was imported before is kept."
)


def create_batch(
    site: Site,
    project_id: int,
    uploads: Sequence[Upload],
    *,
    tile_px: int | None = None,
    overlap_px: int = 0,
    choices: Choices = Choices(),  # noqa: B008 - frozen
    is_staged: bool = False,
    by: int | None = None,
) -> int:
    """Take in an upload and queue its import; return the batch's id.

    uploads: a ZIP, images, one table (CSV, TSV, JSON, JSONL, XLSX, ODS), folders, or a mix, as one whole.
    choices: how the table is to be read. is_staged: look through it first, and wait for `confirm`. by: the
    account.
    1. Check what was asked. 2. Copy the files, counted, to a folder with a random name; fsync.
    3. Insert the batch and its job, commit. 4. Ring.
    Errors: NotFound; Conflict for an archived project; FileInvalid for nothing, too much, or tiles that make
    no sense; Unavailable when the disk is nearly full.
    """
    options = _options(tile_px, overlap_px, choices)
    with site.db.session() as session:
        if projects.get(session, project_id).state == "archived":
            raise Conflict("This project is archived: nothing can be added to it.")
    upload = staging.receive(site, uploads)
    label = staging.label(uploads[0].name) + (f" and {len(uploads) - 1} more" if len(uploads) > 1 else "")
    return take(site, project_id, upload, label, options, is_staged=is_staged, by=by)


def take(
    site: Site,
    project_id: int,
    upload: str,
    label: str,
    options: Mapping[str, Any] = {},
    *,
    is_staged: bool,
    by: int | None,
) -> int:
    """Make a batch of an upload that is kept whole already; see `create_batch`."""
    try:
        with site.db.connection() as connection:
            state = "staged" if is_staged else "queued"
            written = orjson.dumps(dict(options)).decode()
            batch_id = batches.add(connection, project_id, label, upload, written, state)
            job_id = jobs.add(connection, "look" if is_staged else "import", batch_id)
            audit.note(connection, by, project_id, "batch.add", batch=batch_id, label=label)
    except BaseException:
        site.uploads.drop(upload)
        raise
    site.bell.ring(job_id)
    return batch_id


def look_again(
    site: Site,
    batch_id: int,
    columns: Mapping[str, str] | None = None,
    tile_px: int | None = None,
    overlap_px: int = 0,
    choices: Choices = Choices(),  # noqa: B008 - frozen
) -> None:
    """Look through a staged batch with other settings. Errors: Conflict when it is no longer staged.

    columns: what each column of the table is for, by its name (`columns.ROLES`, or gold_ and a field).
    """
    options = _options(tile_px, overlap_px, choices)
    if columns is not None:
        for name, said in columns.items():
            is_gold = said.startswith("gold_") and 5 < len(said) <= MAX_FIELD_CHARACTERS
            if said not in ROLES and not is_gold:
                raise FileInvalid(f"The column “{name}” cannot be used as “{said[:40]}”.")
        options["columns"] = dict(columns)
    with site.db.connection() as connection:
        _hold_staged(connection, batch_id)
        batches.set_options(connection, batch_id, orjson.dumps(options).decode())
        job_id = jobs.add(connection, "look", batch_id)
    site.bell.ring(job_id)


def confirm(site: Site, batch_id: int) -> None:
    """Make the tasks of a staged batch. Errors: Conflict when it is no longer staged."""
    with site.db.connection() as connection:
        _hold_staged(connection, batch_id)
        batches.set_state(connection, batch_id, "queued")
        job_id = jobs.add(connection, "import", batch_id)
    site.bell.ring(job_id)


def throw_away(site: Site, batch_id: int) -> None:
    """Delete a staged batch with its files. Errors: Conflict when it is no longer staged."""
    with site.db.connection() as connection:
        upload = _hold_staged(connection, batch_id)
        batches.delete(connection, batch_id)
    site.uploads.drop(upload)


def undo(site: Site, batch_id: int, *, by: int | None = None) -> tuple[int, int]:
    """Take back what a batch made. Return (tasks deleted, tasks withdrawn).

    A task that somebody has answered or holds is withdrawn: nobody gets it any more, its answers stay, and
    exports say so. All others are deleted. Errors: Conflict while the import runs, and when it is undone.
    """
    with site.db.connection() as connection:
        project_id, state = batches.locked(connection, batch_id)
        if state not in ("done", "failed"):
            raise Conflict("Only an upload that is done can be undone.")
        n_deleted, n_withdrawn = batches.undo(connection, batch_id)
        facts = {"batch": batch_id, "deleted": n_deleted, "withdrawn": n_withdrawn}
        audit.note(connection, by, project_id, "batch.undo", **facts)
    return n_deleted, n_withdrawn


def _hold_staged(connection: Connection, batch_id: int) -> str:
    upload = batches.hold_staged(connection, batch_id)
    if upload is None:
        raise Conflict("This upload does not wait any more.")
    return upload


def _options(tile_px: int | None, overlap_px: int, choices: Choices) -> dict[str, Any]:
    options = {name: value for name, value in asdict(choices.checked()).items() if value}
    if tile_px is None:
        return options
    if not (16 <= tile_px <= 20_000 and 0 <= overlap_px <= tile_px // 2):
        raise FileInvalid("Tiles have 16 to 20,000 pixels a side and overlap by at most half of that.")
    return {**options, "tile_px": tile_px, "overlap_px": overlap_px}


def run(site: Site, batch_id: int, job: Running) -> None:
    """Import a batch, from where an earlier run came to. Raises JobLost, JobStopped.

    1. Look through the upload: encoding, number of rows. 2. Chunk by chunk: derive the images, then write
    tasks and failures. 3. Done; the upload folder goes. A file that cannot be used at all fails the batch.
    """
    with site.db.connection() as connection:
        order = batches.order(connection, batch_id)
    if order is None or order.state not in ("queued", "running"):
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
    staging.clean(site)


@contextmanager
def _hurry() -> Iterator[None]:
    """Look for cycles of garbage a hundred times less often: rows make none; it took a third of all time."""
    usual = gc.get_threshold()
    gc.set_threshold(100 * usual[0], *usual[1:])
    try:
        with short_turns():
            yield
    finally:
        gc.set_threshold(*usual)


class _Import:
    """One run of one batch's import."""

    def __init__(
        self, site: Site, job: Running, order: batches.Order, contents: Contents, pool: Pool
    ) -> None:
        self.site, self.job, self.order, self.pool = site, job, order, pool
        tile_px: int | None = order.options.get("tile_px")
        table = contents.table()
        self.pictures = Pictures(site, contents, pool, table, tile_px, order.options.get("overlap_px", 0))
        self.reading = Reading(site, order, contents, self.pictures)
        self.maker = Maker(order, self.pictures, is_tiled=tile_px is not None)
        self.writer = Writer(site, job, order, is_by_image=table is None and tile_px is None)

    def close(self) -> None:
        self.reading.close()

    def run(self) -> None:
        read, n_rows = self.reading.rows()
        notices = self.reading.notices
        with self.site.db.connection() as connection:
            self.job.hold(connection)
            batches.start(connection, self.order.id, n_rows, orjson.dumps(notices).decode())
        notices.clear()
        rows_done = self.order.rows_done
        for _ in islice(read, rows_done):
            pass
        written: Future[None] | None = None  # the database works on one chunk while the next is read
        # That chunk and the next: so one is freed here, while the database is busy with another, and not by
        # the writing thread between two of them.
        in_hand = deque[object](maxlen=2)
        with (
            ThreadPoolExecutor(self.pool.n_processes) as threads,
            ThreadPoolExecutor(1) as database,
            _hurry(),
        ):
            for chunk in self.reading.chunks(read):
                self.job.check_stop()
                self.pictures.derive(chunk, threads)
                made = list(map(self.maker.make, chunk))
                lines = self.writer.lines(made)
                in_hand.append((chunk, made, lines))
                if written:
                    written.result()
                written = database.submit(self.writer.write, chunk, made, rows_done, lines)
                rows_done += len(chunk)
            with self.site.db.connection() as connection:
                self.job.hold(connection)
                batches.set_phase(connection, self.order.id, "derived")
            if written:
                written.result()
        if rows_done == 0:
            raise FileInvalid("The table names its columns, but no row follows.")
        self.reading.note_late()
        self.reading.note_unused()
        with self.site.db.connection() as connection:
            self.job.hold(connection)
            batches.finish(connection, self.order.id, orjson.dumps(notices).decode())
