"""Write the rows of a batch, a chunk a transaction: each becomes its tasks, or is listed with a reason, once.

The chunk's transaction also moves the batch's restart point, and begins by holding job, batch and project, in
this order: whoever lost the job writes nothing, and a killed import goes on after the last whole chunk.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from microtasks.core.errors import RowInvalid
from microtasks.core.parsing.rows import Failed, Item
from microtasks.engine.imports.task_builder import failed
from microtasks.engine.job_handle import JobLost, Running
from microtasks.engine.site import Site
from microtasks.store.db import Connection
from microtasks.store.imports import batches, tasks
from microtasks.store.imports.tasks import IdTaken, Lines, NewTask

log = logging.getLogger(__name__)

Rows = Sequence[Item | Failed]
#: What became of each row.
Made = Sequence[Sequence[NewTask] | Failed]


class Writer:
    """Writes one batch. is_by_image: a task is its image and no more, so none may come twice."""

    def __init__(self, site: Site, job: Running, order: batches.Order, is_by_image: bool) -> None:
        self._site, self._job, self._order, self._is_by_image = site, job, order, is_by_image
        #: Ask first which rows are there already? Else the table's own constraint is trusted to say so.
        self._asks_first = is_by_image

    def lines(self, made: Made) -> Lines | None:
        """Write a chunk as the database reads it, ahead of its transaction; None where that is no use.

        It holds if until then the project's redundancy stays, and nobody else adds tasks to it.
        """
        new = _tasks(made)
        if self._asks_first or not new:
            return None
        order = self._order
        with self._site.db.connection() as connection:
            ids = tasks.reserve(connection, len(new))
            redundancy = tasks.redundancy(connection, order.project_id)
        if redundancy is None:
            return None
        return tasks.lines(ids, order.project_id, order.id, redundancy, new)

    def write(self, rows: Rows, made: Made, rows_done: int, lines: Lines | None = None) -> None:
        """Write a chunk; if the database refuses a value, halve it until that row stands alone.

        lines: what `lines` gave for it.
        """
        try:
            try:
                self._commit(rows, made, rows_done, lines)
            except IdTaken:  # as in the same file again: then the next chunks are like that too
                self._asks_first = True
                self._commit(rows, made, rows_done)
        except RowInvalid as error:
            if half := len(rows) // 2:
                self.write(rows[:half], made[:half], rows_done)
                self.write(rows[half:], made[half:], rows_done + half)
                return
            log.warning("row_refused", extra={"batch": self._order.id, "row": rows[0].line})
            self._commit(rows, [failed(rows[0], error.message)], rows_done)

    def _commit(self, rows: Rows, made: Made, rows_done: int, lines: Lines | None = None) -> None:
        """1. Hold. 2. Tell tasks from failures. 3. See whether the lines hold. 4. Write, move on."""
        order = self._order
        with self._site.db.connection() as connection:
            self._job.hold(connection)
            if not batches.hold(connection, order.id, rows_done):
                raise JobLost
            redundancy = tasks.hold_project(connection, order.project_id)
            if self._asks_first:
                made, lines = self._without_known(connection, rows, made), None
            failures = [each for each in made if isinstance(each, Failed)]
            new = _tasks(made)
            if lines and (
                lines.redundancy != redundancy
                or tasks.is_overtaken(connection, order.project_id, lines.first_id)
            ):
                lines = None
            if new and lines is None:
                ids = tasks.reserve(connection, len(new))
                lines = tasks.lines(ids, order.project_id, order.id, redundancy, new)
            if lines:
                tasks.insert(connection, order.project_id, lines)
            if failures:
                batches.add_failures(connection, order.id, failures)
            batches.advance(connection, order.id, len(rows), len(new), len(failures))

    def _without_known(self, connection: Connection, rows: Rows, made: Made) -> Made:
        """List rows that are in the project already, or earlier in the chunk, as failures."""
        new = _tasks(made)
        known = tasks.known_ids(connection, self._order.project_id, (task.external_id for task in new))
        shown: dict[int, str] = {}
        if self._is_by_image:
            images = {task.media_ids[0] for task in new}
            shown = tasks.known_images(connection, self._order.project_id, images)
        told: list[Sequence[NewTask] | Failed] = []
        for row, each in zip(rows, made, strict=True):
            if not isinstance(each, Failed):
                if reason := _already(each, known, shown):
                    each = failed(row, reason)
                else:
                    known.update(task.external_id for task in each)
                    if self._is_by_image:
                        shown[each[0].media_ids[0]] = each[0].external_id
            told.append(each)
        self._asks_first = self._is_by_image or told != list(made)
        return told


def _tasks(made: Made) -> list[NewTask]:
    return [task for each in made if not isinstance(each, Failed) for task in each]


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
