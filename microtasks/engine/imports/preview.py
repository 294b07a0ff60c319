"""Preview an upload before any task is made of it: its columns, and what would become of each row.

The same steps as an import, without its two expensive and lasting ones: images are only recognised, and
nothing is written but the report. The five first tasks are shown with their images, so these are derived.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

import orjson

from microtasks.core import tiling
from microtasks.core.errors import FileInvalid, RowInvalid
from microtasks.core.parsing.columns import role
from microtasks.core.parsing.rows import Failed, Item
from microtasks.engine.imports.archives import Contents, Member
from microtasks.engine.imports.decode_pool import Pool
from microtasks.engine.imports.images import MAX_IMAGE_BYTES, Picture, Pictures
from microtasks.engine.imports.reader import SAMPLE_ROWS, Reading
from microtasks.engine.imports.task_builder import Maker
from microtasks.engine.job_handle import Running
from microtasks.engine.site import Site
from microtasks.store.imports import batches, media, tasks
from microtasks.store.imports.batches import Order

#: Failed rows that the report lists; all are counted.
LISTED: Final = 200
GIVEN_UP: Final = '{"error": "This upload could not be looked through. Please report it."}'


class Recognised(Pictures):
    """The images of an upload by their headers: nothing is stored, a number stands for a content."""

    def _stored(self, member: Member) -> Picture | RowInvalid:
        try:
            (found,) = self._pool.derive(member.read(MAX_IMAGE_BYTES), member.ending, is_look=True)
        except RowInvalid as error:
            return error
        number = int(found.sha256[:15], 16)
        tiles = (
            tiling.tiles(found.width, found.height, self._tile_px, self._overlap_px) if self._tile_px else []
        )
        return Picture(number, found.width, found.height, tuple((tile.x, tile.y, number) for tile in tiles))


def look(site: Site, batch_id: int, job: Running) -> None:
    """Write the report on a staged batch; see `Batch.look` in store/tables.py. Raises JobLost, JobStopped.

    The report: {"columns": [{"name", "cells", "role", "named"}], "read_as": see _read_as, "n_rows",
    "n_tasks", "n_failed", "failures": [{"line", "name", "reason"}], "notices", "unused", "tasks": [{"id",
    "payload", "hidden", "after", "has_gold", "media"}]}; or {"error"} alone when the upload cannot be used at
    all.
    """
    with site.db.connection() as connection:
        order = batches.order(connection, batch_id)
    if order is None or order.state != "staged":
        return
    try:
        try:
            folder = site.uploads.fetch(order.upload)
        except FileNotFoundError:
            raise FileInvalid("The uploaded files are gone. Please upload them again.") from None
        with (
            Contents(folder, site.settings) as contents,
            Pool(site.files.root, site.settings.max_image_pixels) as pool,
        ):
            report = _report(site, order, contents, pool, job)
    except FileInvalid as error:
        report = {"error": error.message}
    with site.db.connection() as connection:
        job.hold(connection)
        batches.set_look(connection, batch_id, orjson.dumps(report).decode())


def _report(site: Site, order: Order, contents: Contents, pool: Pool, job: Running) -> dict[str, Any]:
    tile_px, overlap_px = order.options.get("tile_px"), order.options.get("overlap_px", 0)
    pictures = Recognised(site, contents, pool, contents.table(), tile_px, overlap_px)
    maker = Maker(order, pictures, is_tiled=tile_px is not None)
    tally = _Tally(site, order, is_by_image=contents.table() is None and tile_px is None)
    with (
        closing(Reading(site, order, contents, pictures)) as reading,
        ThreadPoolExecutor(pool.n_processes) as threads,
    ):
        read, _ = reading.rows()
        first: list[Item] = []
        for chunk in reading.chunks(read):
            job.check_stop()
            pictures.derive(chunk, threads)
            tally.add(chunk, [maker.make(row) for row in chunk])
            first += islice((row for row in chunk if isinstance(row, Item)), SAMPLE_ROWS - len(first))
        reading.note_late()
        if reading.is_carried_over:
            with site.db.connection() as connection:
                options = {**order.options, "columns": reading.columns}
                batches.set_options(connection, order.id, orjson.dumps(options).decode())
        shown = _shown(site, Pictures(site, contents, pool, contents.table(), None, 0), first, threads)
        names, rows = reading.sample
        columns = reading.columns or {}
        return {
            "columns": [
                {
                    "name": name,
                    "cells": [row[at][:200] for row in rows],
                    "role": columns.get(name),
                    "named": role(name)[0],
                }
                for at, name in enumerate(names)
            ],
            "read_as": _read_as(reading),
            "n_rows": tally.n_rows,
            "n_tasks": tally.n_tasks,
            "n_failed": tally.n_failed,
            "failures": tally.failures,
            "notices": reading.notices,
            "unused": pictures.unused()[:LISTED],
            "tasks": shown,
        }


def _read_as(reading: Reading) -> dict[str, Any] | None:
    """How the table was read: {"encoding", "is_guessed", "header_line", "sheet", "sheets"}; None without."""
    if reading.table_file is None:
        return None
    survey, sheets = reading.table_file.survey, reading.table_file.sheets
    return {
        "encoding": survey.encoding.removesuffix("-sig") if survey else None,
        "is_guessed": bool(survey and survey.is_guessed),
        "header_line": reading.header_line,
        "sheet": reading.table_file.choices.sheet or (sheets[0] if sheets else None),
        "sheets": sheets,
    }


class _Tally:
    """Counts what would become of the rows. is_by_image: the same image may not come twice."""

    def __init__(self, site: Site, order: Order, is_by_image: bool) -> None:
        self._site, self._order, self._is_by_image = site, order, is_by_image
        self.n_rows = self.n_tasks = self.n_failed = 0
        self.failures: list[dict[str, Any]] = []
        self._seen: set[bytes] = set()  # hashes of ids and images: a million ids would be large

    def add(self, rows: Sequence[Item | Failed], made: Sequence[Any]) -> None:
        new = [task for each in made if not isinstance(each, Failed) for task in each]
        with self._site.db.connection() as connection:
            known = tasks.known_ids(connection, self._order.project_id, (task.external_id for task in new))
        for row, each in zip(rows, made, strict=True):
            self.n_rows += 1
            if isinstance(each, Failed):
                self._fail(each.line, each.name, each.reason)
                continue
            keys = [_hash(f"id {task.external_id}") for task in each]
            if self._is_by_image:
                keys.append(_hash(f"image {each[0].media_ids[0]}"))
            if any(task.external_id in known for task in each):
                self._fail(row.line, each[0].external_id, "A task with this id is in the project already.")
            elif self._seen.intersection(keys):
                self._fail(
                    row.line,
                    each[0].external_id,
                    "The same id, or the same image, comes earlier in this upload.",
                )
            else:
                self._seen.update(keys)
                self.n_tasks += len(each)

    def _fail(self, line: int, name: str, reason: str) -> None:
        self.n_failed += 1
        if len(self.failures) < LISTED:
            self.failures.append({"line": line, "name": name, "reason": reason})


def _hash(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=8).digest()


def _shown(
    site: Site, pictures: Pictures, items: Sequence[Item], threads: ThreadPoolExecutor
) -> list[dict[str, Any]]:
    """The first tasks as the owner is shown them, with real images."""
    pictures.derive(items, threads)
    found = []
    for item in items:
        try:
            ids = [picture.media_id for picture in pictures.of(item)]
        except (RowInvalid, KeyError):
            ids = []
        with site.db.connection() as connection:
            images = media.by_ids(connection, ids)
        found.append(
            {
                "id": item.id,
                "payload": dict(item.payload),
                "hidden": dict(item.hidden),
                "after": dict(item.after),
                "has_gold": item.gold is not None or bool(item.gold_fields),
                "media": [media.wire(images[each]) for each in ids],
            }
        )
    return found
