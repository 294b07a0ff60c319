"""Marks with the picture that they lie on: what COCO and GeoJSON are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from microtasks.core.values import Part
from microtasks.engine.exports.format import Source
from microtasks.engine.exports.snapshots import View
from microtasks.store.exports import reads

if TYPE_CHECKING:
    from microtasks.engine.site import Site

#: Which tables can be written as marks on pictures.
TABLES = ("consensus", "marks", "sources")
#: Ids of marks: that of their task, answer or big image, and their number in it (answers hold at most 5,000).
MARKS_AN_OWNER = 100_000
#: Tasks that are read together with their answers.
TASKS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, tile or big image. x, y: where it begins in `source`, in px. own: the owner's columns.

    name: the owner's id. file_name: of the file as it was uploaded, of a tile the big image's.
    """

    id: int
    name: str
    sha256: str | None
    width: int | None
    height: int | None
    own: Mapping[str, Any]
    source: str | None = None
    x: int = 0
    y: int = 0
    file_name: str | None = None
    mime: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A mark, in pixels of its picture: `x`, `y` of the centre (of a box: top left), measures by name."""

    id: int
    x: float
    y: float
    measures: dict[str, float]
    mark_class: str | None
    facts: dict[str, Any] = field(default_factory=dict)


def asks_for_marks(parts: tuple[Part, ...]) -> bool:
    """Does the type ask for marks on an image?"""
    return any(part.kind == "marks" for part in parts)


def part_of(source: Source) -> Part:
    """The part that asks for marks."""
    return next(part for part in source.parts if part.kind == "marks")


def pictures(source: Source) -> Iterator[tuple[Picture, list[Placed]]]:
    """Each picture that was judged, with its marks: also those on which there is nothing."""
    if source.table == "sources":
        for row in source.view.walk(reads.source_items, "source"):
            picture = Picture(
                id=row["task_id"],
                name=row["source"],
                sha256=row["sha256"],
                width=row["width"],
                height=row["height"],
                own=own_columns(row),
                file_name=row["file_name"],
                mime=row["mime"],
            )
            yield picture, _consensus_marks(row["task_id"], row["detail"].get("marks", ()))
    elif source.table == "marks":
        for row, answers in with_answers(source.view):
            # Who answered in another way drew nothing, and has not said that there is nothing.
            part = part_of(source)
            given = [each for each in answers if each["value"] is not None]
            drawn = [each for each in given if part.answered(each["value"]) is not None]
            if drawn:
                yield picture_of(row), [mark for answer in drawn for mark in _given(source, answer)]
    else:
        for row in source.view.walk(reads.items, "task_id"):
            if row["detail"] is not None:
                yield picture_of(row), _consensus_marks(row["task_id"], row["detail"].get("marks", ()))


def with_answers(view: View) -> Iterator[tuple[reads.Row, list[reads.Row]]]:
    """Each task with everything about it, and its answers that count, oldest first."""
    for rows in view.chunks(reads.items, "task_id", TASKS_AT_ONCE):
        with view.site.db.connection() as connection:
            given = reads.answers_of(connection, view.snapshot.cut, [row["task_id"] for row in rows])
        for row in rows:
            yield row, given[row["task_id"]]


def picture_of(row: reads.Row) -> Picture:
    """The (first) image of a task."""
    return Picture(
        id=row["task_id"],
        name=row["external_id"],
        sha256=row["sha256"],
        width=row["width"],
        height=row["height"],
        own=own_columns(row),
        source=row["source"],
        x=row["source_x"] or 0,
        y=row["source_y"] or 0,
        file_name=row["file_name"],
        mime=row["mime"],
    )


def lacks_images(site: Site, project_id: int) -> str:
    """What the project lacks where a format is about images; "" if it has them."""
    with site.db.connection() as connection:
        has_images = any(row["media_ids"] for row in reads.first_items(connection, project_id, 1))
    return "" if has_images else "This format is about images, and the project's tasks have none."


def own_columns(row: reads.Row) -> dict[str, Any]:
    """The owner's own columns, hidden ones too, without the signs in front."""
    return {**row["payload"].get("metadata", {}), **row["after"], **row["hidden"]}


def _consensus_marks(owner: int, marks: Iterable[Mapping[str, Any]]) -> list[Placed]:
    """Marks of a consensus; agreement: the share of those who saw the place who marked it."""
    placed = []
    for number, mark in enumerate(marks, start=1):
        facts = {"agreement": round(mark["n_marked"] / mark["n_saw"], 6) if mark["n_saw"] else None}
        facts |= {key: mark[key] for key in ("probability", "n_marked", "n_saw", "x_sd", "y_sd")}
        facts |= {key: mark[key] for key in ("r_sd", "width_sd", "height_sd", "class_share") if key in mark}
        placed.append(_placed(owner * MARKS_AN_OWNER + number, mark, facts))
    return placed


def _given(source: Source, answer: reads.Row) -> Iterator[Placed]:
    """Marks of one volunteer."""
    facts = {"contributor": source.pseudonym(answer["contributor_id"]), "created_at": answer["created_at"]}
    for number, mark in enumerate(answer["value"]["marks"], start=1):
        yield _placed(answer["id"] * MARKS_AN_OWNER + number, mark, {**facts, "mark": number})


def _placed(mark_id: int, mark: Mapping[str, Any], facts: dict[str, Any]) -> Placed:
    measures = {key: mark[key] for key in ("r", "width", "height") if mark.get(key) is not None}
    return Placed(mark_id, mark["x"], mark["y"], measures, mark.get("class"), facts)
