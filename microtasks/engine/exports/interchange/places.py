"""Marks with the picture that they lie on: what COCO and GeoJSON are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from microtasks.core.values import Part
from microtasks.engine.tabular.formats import Source
from microtasks.store.exports import reads

#: Which tables can be told as marks on pictures.
WHATS = ("consensus", "marks", "sources")
#: Ids of marks: that of their task, answer or big image, and their number in it (answers hold at most 5,000).
MARKS_AN_OWNER = 100_000


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, tile or big image. x, y: where it begins in `source`, in px. own: the owner's columns."""

    id: int
    name: str
    sha256: str | None
    width: int | None
    height: int | None
    own: Mapping[str, Any]
    source: str | None = None
    x: int = 0
    y: int = 0


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
    if source.what == "sources":
        for row in source.view.walk(reads.source_items, "source"):
            size = row["sha256"], row["width"], row["height"]
            picture = Picture(row["task_id"], row["source"], *size, own_columns(row))
            yield picture, _objects(row["task_id"], row["detail"].get("marks", ()))
    elif source.what == "marks":
        for row, answers in reads.items_with_answers(source.site.db, source.view.snapshot.cut):
            # Who answered by squares drew nothing, and has not said that there is nothing.
            seen = [it for it in answers if it["value"] is not None and "cells" not in it["value"]]
            if seen:
                yield _picture(row), [mark for answer in seen for mark in _given(source, answer)]
    else:
        for row in source.view.walk(reads.items, "task_id"):
            if row["detail"] is not None:
                yield _picture(row), _objects(row["task_id"], row["detail"].get("marks", ()))


def _picture(row: reads.Row) -> Picture:
    return Picture(
        *(row["task_id"], row["external_id"], row["sha256"], row["width"], row["height"], own_columns(row)),
        *(row["source"], row["source_x"] or 0, row["source_y"] or 0),
    )


def own_columns(row: reads.Row) -> dict[str, Any]:
    """The owner's own columns, hidden ones too, without the signs in front."""
    return {**row["payload"].get("metadata", {}), **row["after"], **row["hidden"]}


def _objects(owner: int, marks: Iterable[Mapping[str, Any]]) -> list[Placed]:
    """Marks of a consensus; agreement: the share of those who saw the place who marked it."""
    found = []
    for number, mark in enumerate(marks, start=1):
        facts = {"agreement": round(mark["n_marked"] / mark["n_saw"], 6) if mark["n_saw"] else None}
        facts |= {key: mark[key] for key in ("probability", "n_marked", "n_saw", "x_sd", "y_sd")}
        facts |= {key: mark[key] for key in ("r_sd", "width_sd", "height_sd", "class_share") if key in mark}
        found.append(_placed(owner * MARKS_AN_OWNER + number, mark, facts))
    return found


def _given(source: Source, answer: reads.Row) -> Iterator[Placed]:
    """Marks of one volunteer."""
    facts = {"contributor": source.name(answer["contributor_id"]), "created_at": answer["created_at"]}
    for number, mark in enumerate(answer["value"]["marks"], start=1):
        yield _placed(answer["id"] * MARKS_AN_OWNER + number, mark, {**facts, "mark": number})


def _placed(mark_id: int, mark: Mapping[str, Any], facts: dict[str, Any]) -> Placed:
    measures = {key: mark[key] for key in ("r", "width", "height") if mark.get(key) is not None}
    return Placed(mark_id, mark["x"], mark["y"], measures, mark.get("class"), facts)
