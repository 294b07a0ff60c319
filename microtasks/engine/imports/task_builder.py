"""Make tasks of the rows of an upload, in memory: one a row, one a tile of its image, or why none."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from random import getrandbits
from typing import Any

import orjson

from microtasks import tasktypes
from microtasks.core import faults
from microtasks.core.errors import AnswerInvalid, InputError, RowInvalid
from microtasks.core.parsing.rows import Failed, Item
from microtasks.core.values import Media
from microtasks.engine.imports.images import Picture, Pictures
from microtasks.store.imports import tasks
from microtasks.store.imports.batches import Order
from microtasks.store.imports.tasks import NewTask, Source

log = logging.getLogger(__name__)

#: Characters of a file's name that are kept.
FILE_NAME_MAX = 500


class Maker:
    """Makes the tasks of one batch. is_tiled: the image of a row is cut, and a task is a tile of it."""

    def __init__(self, order: Order, pictures: Pictures, is_tiled: bool) -> None:
        self._batch_id, self._pictures, self._is_tiled = order.id, pictures, is_tiled
        self._type = tasktypes.get(order.task_type)
        self._config = self._type.parse_config(order.config)

    def make(self, row: Item | Failed) -> Sequence[NewTask] | Failed:
        """The tasks of one row; or why there is none. Raises nothing but Unavailable."""
        if isinstance(row, Failed):
            return row
        try:
            return self._tasks(row)
        except InputError as error:
            problems = error.details.get("problems", ())
            reason = " ".join([error.message, *(f"{item['where']}: {item['what']}." for item in problems)])
        except Exception as error:
            faults.raise_if_fault(error)
            log.exception("row_fault", extra={"batch": self._batch_id, "row": row.line})
            reason = "This row could not be read, because of a fault in the program. Please report it."
        return failed(row, reason)

    def _tasks(self, item: Item) -> Sequence[NewTask]:
        pictures: Sequence[Picture] = ()
        if item.images:
            pictures = self._pictures.of(item)
        else:
            if self._type.needs_image:
                raise RowInvalid("This type of task needs an image.")
            if not item.payload:
                raise RowInvalid("There is nothing to show in this row: no image and no text.")
        if self._is_tiled and len(pictures) != 1:
            raise RowInvalid("Only a row with exactly one image can be cut into tiles.")
        position = tasks.position(item.priority, getrandbits(tasks.RANDOM_BITS))
        task = NewTask(item.id, position, item.redundancy, _json(item.payload))
        if item.gold is not None or item.gold_fields:
            task = task._replace(gold=self._gold(item, pictures))
        if item.hidden or item.after or pictures:
            task = task._replace(
                hidden=_json(item.hidden),
                after=_json(item.after),
                media_ids=tuple(picture.media_id for picture in pictures),
                file_name=_file_name(item.images[0]) if item.images else None,
            )
        if not self._is_tiled:
            return (task,)
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

    def _gold(self, item: Item, pictures: Sequence[Picture]) -> bytes:
        if self._is_tiled:
            raise RowInvalid("A known answer cannot be given for an image that is cut into tiles.")
        raw: Any = item.gold
        if raw is None:
            try:
                raw = self._type.gold_from_columns(item.gold_fields, self._config)
            except AnswerInvalid:
                # A spreadsheet may have changed the case of the names.
                plain = {
                    name.strip().lower().replace(" ", "_"): cell for name, cell in item.gold_fields.items()
                }
                raw = self._type.gold_from_columns(plain, self._config)
        payload = self._type.Payload.model_validate(item.payload)
        shown = [Media(width=picture.width, height=picture.height) for picture in pictures]
        try:
            return _json(self._type.check_gold(raw, payload, self._config, shown))
        except AnswerInvalid as error:
            raise AnswerInvalid(f"Known answer: {error.message}", **error.details) from None


def failed(row: Item | Failed, reason: str) -> Failed:
    """The row as one that did not become a task."""
    return Failed(row.line, row.name if isinstance(row, Failed) else row.id, reason)


def _file_name(image: str) -> str:
    """The name of an image's file, with its folders; of an address its last part."""
    if "://" in image:
        image = image.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2] or image
    return image.replace("\\", "/")[:FILE_NAME_MAX]


def _json(value: Any) -> bytes:
    """JSON in no more memory than it takes: orjson keeps 4 KB for each value. (A copy is quicker, too.)"""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)[:-1]
