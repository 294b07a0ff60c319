"""Marking: circles, points or boxes on an image, each with a class if the project has classes.

The crater template is one config of it: circles of at least so many pixels, fresh, degraded or ghost. Who
cannot draw checks squares of a grid instead: see `grid.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from microtasks.core.consensus import voting
from microtasks.core.errors import AnswerInvalid
from microtasks.core.tasktype import TaskType
from microtasks.core.tiling import Seen
from microtasks.core.values import Answer, Column, Compared, Consensus, Frozen, Media, Method, Outcome, Part
from microtasks.core.values import Payload as TaskPayload
from microtasks.tasktypes.marking import grid
from microtasks.tasktypes.marking.grid import Cells

Shape = Literal["circle", "point", "box"]
#: The measures of each shape, besides x and y.
MEASURES: dict[Shape, tuple[str, ...]] = {"circle": ("r",), "point": (), "box": ("width", "height")}
#: A mark of gold is found by one whose scaled distance is below this (both within a few standard deviations).
SCORE_CENTRE_SHARE, SCORE_CENTRE_PX, SCORE_SIZE_RATIO = 0.25, 3.0, 1.6
#: So many viewers who mark nothing make a blank image.
BLANK_VIEWERS = 3
#: 95 % of a two-dimensional bell curve lies within this many standard deviations (square root of chi² 5.99).
REGION_95 = 2.4477
INTERVAL_95 = 1.96


class MarkClass(Frozen):
    """One class that a mark can have."""

    id: str = Field(
        title="Id",
        description="Short name in the results, as fresh.",
        min_length=1,
        max_length=100,
        pattern=r"^[^|\x00-\x1f]+$",
    )
    label: str = Field("", title="Label", description="What volunteers read.", max_length=300)
    help: str = Field("", title="Help", description="How to recognise it.", max_length=500)


class MarkingConfig(Frozen):
    """What is marked, and how."""

    shape: Shape = Field("circle", title="Shape", description="circle, point or box.")
    classes: tuple[MarkClass, ...] = Field(
        (), title="Classes", description="Kinds of things to mark; none if all are alike.", max_length=50
    )
    min_diameter_px: float = Field(
        0,
        title="Smallest diameter (pixels)",
        description="Smaller circles and boxes are not taken. 0: any size.",
        ge=0,
    )
    max_marks: int = Field(
        500, title="Most marks", description="On one image, by one volunteer.", ge=1, le=5000
    )
    scatter_px: float = Field(
        2.0,
        title="Scatter of points (pixels)",
        description="How far from the true place careful people put a point. For points only.",
        gt=0,
        le=1000,
    )

    @model_validator(mode="after")
    def _whole(self) -> MarkingConfig:
        if len({item.id for item in self.classes}) < len(self.classes):
            raise ValueError("Two classes have the same id.")
        return self

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of a mark's measures besides x and y."""
        return MEASURES[self.shape]


class Mark(Frozen):
    """One mark, in pixels of the oriented original. x, y: centre; of a box the top left corner."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    x: float
    y: float
    r: float | None = Field(None, gt=0)
    width: float | None = Field(None, gt=0)
    height: float | None = Field(None, gt=0)
    mark_class: str | None = Field(None, alias="class")


class MarkingValue(Frozen):
    """The marks of one answer, or the squares in which things are; neither says "nothing here"."""

    marks: list[Mark] = Field(max_length=5000)
    cells: Cells | None = None

    @model_validator(mode="after")
    def _either(self) -> MarkingValue:
        if self.marks and self.cells:
            raise ValueError("Give marks or squares, not both.")
        return self


_SD_MEANS = "Standard deviation of the place, each axis: how far a careful expert's mark may lie from it."


class Marking(TaskType[MarkingConfig, TaskPayload, MarkingValue]):
    """Marks on an image."""

    name = "marking"
    version = 1
    label = "Marking"
    summary = "Ask volunteers to mark things on an image: circles around craters, points, or boxes."
    inline = False
    needs_image = True
    is_drawn = True
    object_lists = ("marks", "possible")
    row_key = None
    Config = MarkingConfig
    Payload = TaskPayload
    Value = MarkingValue

    def check(
        self, value: MarkingValue, payload: TaskPayload, config: MarkingConfig, media: Sequence[Media]
    ) -> None:
        """Refuse marks of another shape, outside the image, too small, too many, or of an unknown class."""
        problems = []
        if len(value.marks) > config.max_marks:
            problems.append({"where": "marks", "what": f"Please make at most {config.max_marks} marks."})
        classes = {item.id for item in config.classes}
        for place, mark in enumerate(value.marks):
            what = _problem(mark, config, classes, media[0] if media else None)
            if what:
                problems.append({"where": f"marks.{place}", "what": what})
        if problems:
            raise AnswerInvalid(problems[0]["what"], problems=problems)

    squares = staticmethod(grid.rows_for)

    def parse_value(
        self, raw: object, payload: TaskPayload, config: MarkingConfig, media: Sequence[Media] = ()
    ) -> dict[str, Any]:
        """As everywhere; squares get the size of the picture, and none checked is "nothing here"."""
        value = super().parse_value(raw, payload, config, media)
        if cells := value.get("cells"):
            if not cells["checked"]:
                return {"marks": []}
            if media:
                cells |= {"width": float(media[0].width), "height": float(media[0].height)}
            elif "width" not in cells or "height" not in cells:
                raise AnswerInvalid("The size of the picture is not known.")
            cells["checked"] = grid.in_order(cells["checked"])
        return value

    def check_gold(
        self, raw: object, payload: TaskPayload, config: MarkingConfig, media: Sequence[Media] = ()
    ) -> dict[str, Any]:
        """What is known is known as marks."""
        value = self.parse_value(raw, payload, config, media)
        if "cells" in value:
            raise AnswerInvalid("A known answer is given as marks, not as squares.")
        return value

    def is_empty(self, value: Mapping[str, Any]) -> bool:
        """No mark and no square: "nothing here"."""
        return not value["marks"] and not (value.get("cells") or {}).get("checked")

    def from_form(
        self, form: Mapping[str, Sequence[str]], config: MarkingConfig, decimal: str = "."
    ) -> dict[str, Any]:
        """Without a script one checks squares: `cells` are their names, `grid` is columns x rows."""
        size = re.fullmatch(r"([0-9]{1,2})x([0-9]{1,2})", "".join(form.get("grid", ())))
        if not size or not form.get("cells"):
            return {"marks": []}
        cells = {"columns": int(size[1]), "rows": int(size[2]), "checked": list(form["cells"])}
        return {"marks": [], "cells": cells}

    def reduce(
        self, answers: Sequence[Answer], config: MarkingConfig, skills: Mapping[str, float] | None = None
    ) -> Consensus:
        """Fold the marks on one image into objects (core.marks).

        Whoever saw the image and did not mark an object votes against it; who can't tell is no viewer.
        agreement: mean, over the objects that anybody marked, of the share of viewers on the winning side
        (marked it if it is accepted, did not if not); 1 when nobody marked anything. confidence: likewise of
        the probability. Value None and agreement 0 when nobody could tell, or when one
        viewer alone marked something. A weight of 0 leaves a volunteer's marks and views out.

        Who checked squares is a viewer, too: they marked the objects whose middle lies in a square that they
        checked, and not the others; place and size are of those who drew. Where nobody drew, the value is
        None, and `detail["cells"]` has the share of viewers for each square.
        """
        return next(self._reduce([(0, answers)], config, skills))[1]

    def glance(self, answers: Sequence[Answer], config: MarkingConfig) -> Consensus | None:
        """An image on which three viewers or more marked nothing at all is blank."""
        n_viewers = sum(answer.value is not None for answer in answers)
        if n_viewers < BLANK_VIEWERS or any(a.value and not self.is_empty(a.value) for a in answers):
            return None
        return Consensus(
            value={"marks": []},
            agreement=1.0,
            confidence=None,
            n_answers=len(answers),
            detail={"marks": [], "possible": []},
            reducer=self.reducer,
        )

    def reduce_project(
        self,
        tasks: Iterable[tuple[int, Sequence[Answer]]],
        config: MarkingConfig,
        method: Method = "majority",
        gold: Mapping[int, Mapping[str, Any]] | None = None,
        compare: bool = False,
    ) -> Iterator[tuple[int, Consensus]]:
        """Fold all images at once: how well each volunteer finds things is learnt from all of them.

        The same for every method: marks have no plain vote. Where gold is enough, the 95 % regions become as
        wide as its marks need.
        """
        return self._reduce(tasks, config, None, gold)

    def merge_tiles(self, tiles: Sequence[Seen], config: MarkingConfig) -> Consensus | None:
        """Fold the marks on all tiles of a big image, in its pixels.

        A thing in the overlap of two tiles is one; those who were shown it whole vote on it; a mark cut
        off by a tile's edge hardly moves it, and makes nothing of its own where another tile shows the place.
        """
        from microtasks.tasktypes.marking import reducer

        return reducer.merge(self.reducer, tiles, config)

    def _reduce(
        self,
        tasks: Iterable[tuple[int, Sequence[Answer]]],
        config: MarkingConfig,
        skills: Mapping[str, float] | None,
        gold: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> Iterator[tuple[int, Consensus]]:
        from microtasks.tasktypes.marking import reducer

        return reducer.reduce(self.reducer, tasks, config, skills, gold)

    def parts(self, config: MarkingConfig) -> tuple[Part, ...]:
        """The marks."""
        options = tuple((item.id, item.label or item.id) for item in config.classes)
        ask = "Mark everything that you see."
        return (Part("marks", "marks", ask, options=options, shape=config.shape, unless="cells"),)

    def score(self, value: Mapping[str, Any], gold: Mapping[str, Any], config: MarkingConfig) -> float:
        """Return the F1 of the marks against gold's: each found by one near it and of like size.

        Of squares: the F1 against those in which the middle of one of gold's marks lies.
        """
        if cells := value.get("cells"):
            mine, right = set(cells["checked"]), _squares_of(gold["marks"], cells, config)
            return 2 * len(mine & right) / (len(mine) + len(right))
        n_all = len(value["marks"]) + len(gold["marks"])
        return 2 * len(_pairs(value["marks"], gold["marks"], config)) / n_all if n_all else 1.0

    def compare(
        self, value: Mapping[str, Any], right: Mapping[str, Any], config: MarkingConfig
    ) -> list[Compared]:
        """Each mark that is there, matched or missed, then those that are not; or so with squares."""
        if cells := value.get("cells"):
            mine, there = set(cells["checked"]), _squares_of(right["marks"], cells, config)
            return [
                Compared(
                    "extra" if name not in there else "matched" if name in mine else "missed",
                    name,
                    label=name,
                    cell=grid.box(name, cells),
                )
                for name in grid.in_order(mine | there)
            ]
        labels = {item.id: item.label or item.id for item in config.classes}
        matches = {k: i for i, k in _pairs(value["marks"], right["marks"], config)}
        compared = []
        for k, target in enumerate(right["marks"]):
            own = value["marks"][matches[k]] if k in matches else None
            given_class = labels.get((own or {}).get("class", "")), labels.get(target.get("class", ""))
            outcome: Outcome = "missed" if own is None else "matched"
            compared.append(
                Compared(outcome, str(k), said=given_class[0], right=given_class[1], mark=own, target=target)
            )
        taken = set(matches.values())
        return compared + [
            Compared("extra", "", said=labels.get(mark.get("class", "")), mark=mark)
            for i, mark in enumerate(value["marks"])
            if i not in taken
        ]

    def answer_columns(self, config: MarkingConfig) -> tuple[Column, ...]:
        """The marks themselves are in the marks export."""
        return (
            Column(
                "n_marks",
                "integer",
                "Marks in this answer; 0 says: nothing here. Empty for an answer by squares.",
            ),
            Column(
                "cells",
                "string",
                "Squares checked by who answered by squares, joined by |: B3 is in the second column from "
                "the left, third row from the top.",
            ),
            Column("grid", "string", "Columns x rows of these squares over the whole image, as 6x6."),
        )

    def answer_row(self, value: Mapping[str, Any] | None, config: MarkingConfig) -> tuple[Any, ...]:
        """The number of marks, or the squares; all None for "I can't tell"."""
        if value is None:
            return (None, None, None)
        if cells := value.get("cells"):
            return (None, "|".join(cells["checked"]), f"{cells['columns']}x{cells['rows']}")
        return (len(value["marks"]), None, None)

    def columns(self, config: MarkingConfig) -> tuple[Column, ...]:
        """One row an accepted object."""
        is_box = config.shape == "box"
        corner = "of the top left corner" if is_box else "of the centre"
        names = config.measures or ("r",)
        meanings = {"r": "Radius (empty for points).", "width": "Width.", "height": "Height."}
        return (
            Column("x", "number", f"Consensus position {corner}, from the left.", "px"),
            Column("y", "number", f"Consensus position {corner}, from the top.", "px"),
            *(Column(name, "number", meanings[name], "px") for name in names),
            Column(
                "class",
                "string",
                "Class that most of those who marked it gave; empty on a tie or without classes.",
            ),
            Column("probability", "number", "Probability that the object exists.", "0..1"),
            Column("n_marked", "integer", "Viewers who marked it."),
            Column("n_saw", "integer", "Viewers of the image: answers other than 'I can't tell'."),
            Column("x_sd", "number", _SD_MEANS, "px"),
            Column("y_sd", "number", _SD_MEANS, "px"),
            *(Column(f"{name}_sd", "number", f"Standard deviation of {name}.", "px") for name in names),
            Column(
                "class_share",
                "number",
                "Share of those who marked it and gave a class who gave this one.",
                "0..1",
            ),
            Column(
                "region_95",
                "number",
                "A careful expert's centre lies within this radius in 95 of 100 cases.",
                "px",
            ),
            *(
                Column(
                    f"{name}_{end}",
                    "number",
                    f"A careful expert's {name} is {end_means} this in 95 of 100.",
                    "px",
                )
                for name in names
                for end, end_means in (("low", "between"), ("high", "and"))
            ),
            Column(
                "regions",
                "string",
                "estimated: as wide as experts' marks elsewhere needed. gold: as the right marks here need.",
            ),
        )

    def rows(self, consensus: Consensus, config: MarkingConfig) -> Iterable[tuple[Any, ...]]:
        """One row an accepted object; none for an image on which there is nothing."""
        names = config.measures or ("r",)
        for mark in consensus.detail.get("marks", ()):
            yield (
                mark["x"],
                mark["y"],
                *(mark.get(name) for name in names),
                mark["class"],
                mark["probability"],
                mark["n_marked"],
                mark["n_saw"],
                mark["x_sd"],
                mark["y_sd"],
                *(mark.get(f"{name}_sd") for name in names),
                mark["class_share"],
                mark["region_95"],
                *(mark.get(f"{name}_{end}") for name in names for end in ("low", "high")),
                mark.get("regions"),
            )

    def mark_columns(self, config: MarkingConfig) -> tuple[Column, ...]:
        """One row a mark of an answer."""
        corner = "top left corner" if config.shape == "box" else "centre"
        meanings = {"r": "Radius; empty for points.", "width": "Width.", "height": "Height."}
        return (
            Column("mark", "integer", "Number of the mark in its answer, from 1."),
            Column("class", "string", "Class the volunteer gave."),
            Column("x", "number", f"The {corner}, from the left edge of the oriented image.", "px"),
            Column("y", "number", f"The {corner}, from the top edge of the oriented image.", "px"),
            *(Column(name, "number", meanings[name], "px") for name in config.measures or ("r",)),
        )

    def mark_rows(self, value: Mapping[str, Any] | None, config: MarkingConfig) -> Iterable[tuple[Any, ...]]:
        """One row a mark; none for "nothing here" and "I can't tell"."""
        for number, mark in enumerate(value["marks"] if value else (), start=1):
            yield (
                number,
                mark.get("class"),
                mark["x"],
                mark["y"],
                *(mark.get(name) for name in config.measures or ("r",)),
            )


def _problem(mark: Mark, config: MarkingConfig, classes: set[str], media: Media | None) -> str | None:
    """What is wrong with a mark, for a person."""
    given = {name for name in ("r", "width", "height") if getattr(mark, name) is not None}
    if given != set(config.measures):
        wanted = " and ".join(["x", "y", *config.measures])
        return f"A {config.shape} is given by {wanted}, no more and no less."
    if mark.mark_class is not None and mark.mark_class not in classes:
        return "Please choose one of the classes offered."
    diameter = min(
        (2 * mark.r,) if mark.r else (mark.width, mark.height) if mark.width and mark.height else (math.inf,)
    )
    if diameter < config.min_diameter_px:
        return f"Things smaller than {config.min_diameter_px:g} pixels are not marked here."
    if media is not None:
        x = mark.x + (mark.width or 0) / 2
        y = mark.y + (mark.height or 0) / 2
        if not (0 <= x <= media.width and 0 <= y <= media.height):
            return "The middle of a mark must lie inside the image."
        if mark.r and mark.r > math.hypot(media.width, media.height):
            return "This circle is larger than the image."
        if max(mark.width or 0, mark.height or 0) > 2 * max(media.width, media.height):
            return "This box is larger than the image."
    return None


def centre_and_radius(mark: Mapping[str, Any], shape: Shape) -> tuple[float, float, float]:
    """Centre and half the mean diameter of a plain mark, in px (radius 0 for a point)."""
    if shape == "box":
        half = math.sqrt(mark["width"] * mark["height"]) / 2
        return mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2, half
    return mark["x"], mark["y"], mark.get("r") or 0.0


def _squares_of(
    marks: Iterable[Mapping[str, Any]], cells: Mapping[str, Any], config: MarkingConfig
) -> set[str]:
    """The squares in which the middles of these marks lie."""
    middles = (centre_and_radius(mark, config.shape) for mark in marks)
    return {grid.square_at(x, y, cells) for x, y, _ in middles}


def _pairs(
    marks: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]], config: MarkingConfig
) -> list[tuple[int, int]]:
    """(mark, target) of those that find each other: each target takes the nearest mark that is left."""
    left, pairs = list(range(len(marks))), []
    for k, target in enumerate(right):
        near = [(d, i) for i in left if (d := _miss(marks[i], target, config)) is not None]
        if near:
            pairs.append((min(near)[1], k))
            left.remove(min(near)[1])
    return pairs


def _miss(mark: Mapping[str, Any], target: Mapping[str, Any], config: MarkingConfig) -> float | None:
    """How far a mark is from a target, 0..; None when it does not find it."""
    x, y, r = centre_and_radius(mark, config.shape)
    target_x, target_y, target_r = centre_and_radius(target, config.shape)
    reach = max(SCORE_CENTRE_SHARE * 2 * target_r, SCORE_CENTRE_PX, 2 * config.scatter_px * (not target_r))
    away = math.hypot(x - target_x, y - target_y) / reach
    if away > 1 or (target_r and not 1 / SCORE_SIZE_RATIO <= r / target_r <= SCORE_SIZE_RATIO):
        return None
    return away + (abs(math.log(r / target_r)) if target_r else 0.0)


def class_vote(classes: Sequence[str], n_classes: int) -> tuple[str | None, float | None]:
    """The class most gave and its share; (None, share) on a tie, (None, None) when nobody gave one."""
    verdict = voting.plurality(voting.tally((name, 1.0) for name in classes), n_classes)
    return (verdict.value, round(verdict.agreement, 6)) if classes else (None, None)


TYPE = Marking()
