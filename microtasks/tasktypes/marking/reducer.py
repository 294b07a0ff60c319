"""From answers to arrays, through core.marks, and back: the expensive part of marking, with numpy.

Imported when first needed, by workers and the command line: the web process never gets here.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from microtasks.core.marks import objects as core
from microtasks.core.marks import regions
from microtasks.core.tiling import Edges, Seen
from microtasks.core.values import Answer, Consensus
from microtasks.tasktypes.marking import INTERVAL_95, REGION_95, centre_and_radius, class_vote, grid

if TYPE_CHECKING:
    from microtasks.tasktypes.marking import MarkingConfig


#: What people share of their error in points whose true place is known; see `core.Scale`.
POINT_FLOOR = 0.08
WHOLE: Edges = (-math.inf, -math.inf, math.inf, math.inf)


def scale_of(config: MarkingConfig) -> core.Scale:
    """The expected scatter of a project's marks."""
    if config.shape == "point":
        # A point has no rim to judge: nearly all of the error is each volunteer's own.
        return core.Scale(position_share=0.0, position_px=config.scatter_px, position_floor=POINT_FLOOR)
    return core.Scale()


def reduce(
    reducer: str,
    tasks: Iterable[tuple[int, Sequence[Answer]]],
    config: MarkingConfig,
    skills: Mapping[str, float] | None,
    gold: Mapping[int, Mapping[str, Any]] | None = None,
) -> Iterator[tuple[int, Consensus]]:
    """Fold all tasks together, and yield each task's consensus in the order given.

    gold: the right marks of some tasks; where they are enough, regions become as wide as they need.
    """
    task_ids: list[int] = []
    n_answers: list[int] = []
    squares: list[dict[str, Any] | None] = []
    table = _Table(config)
    for image, (task, answers) in enumerate(tasks):
        task_ids.append(task)
        n_answers.append(len(answers))
        squares.append(grid.shares(ticked for answer in answers if (ticked := _weighing(answer, skills))))
        table.add(image, answers, skills=skills)
    objects, given = table.fold()
    if gold:
        objects = _fitted(objects, {task: image for image, task in enumerate(task_ids)}, gold, config)
    starts = np.searchsorted(objects.image, np.arange(len(task_ids) + 1))
    n_viewers = Counter(table.image)
    for image, task in enumerate(task_ids):
        rows = range(starts[image], starts[image + 1])
        consensus = _consensus(reducer, objects, rows, given, n_answers[image], n_viewers[image], config)
        if squares[image] and not len(rows):  # nobody drew: no place and size, but a share of each square
            detail = {**consensus.detail, "cells": squares[image]}
            consensus = replace(consensus, value=None, agreement=0.0, confidence=None, detail=detail)
        yield task, consensus


def _fitted(
    objects: core.Objects,
    image_of: Mapping[int, int],
    gold: Mapping[int, Mapping[str, Any]],
    config: MarkingConfig,
) -> core.Objects:
    """The objects with regions as wide as the right marks need."""
    images, numbers = [], []
    for task, value in gold.items():
        for mark in value["marks"]:
            if task in image_of and all(name in mark for name in config.measures):
                x, y, _ = centre_and_radius(mark, config.shape)
                images.append(image_of[task])
                numbers.append((x, y, *(mark[name] for name in config.measures)))
    right = np.array(numbers, float).reshape(-1, 2 + len(config.measures))
    return regions.fitted(objects, np.array(images, np.int64), right[:, 0], right[:, 1], right[:, 2:])


def merge(reducer: str, tiles: Sequence[Seen], config: MarkingConfig) -> Consensus:
    """Fold the tiles of one big image, in its pixels."""
    table = _Table(config)
    for seen in tiles:
        table.add(0, seen.answers, seen.tile.x, seen.tile.y, seen.edges)
    objects, given = table.fold()
    n_answers = sum(len(seen.answers) for seen in tiles)
    return _consensus(reducer, objects, range(len(objects)), given, n_answers, len(set(table.viewer)), config)


def _weighing(answer: Answer, skills: Mapping[str, float] | None) -> Mapping[str, Any] | None:
    """What an answer says, if its contributor could tell and weighs anything."""
    return None if skills is not None and skills.get(answer.contributor, 1.0) <= 0 else answer.value


class _Table:
    """Answers as columns: views (who saw which part of which image) and the marks made in them.

    Who can't tell is no viewer.
    """

    def __init__(self, config: MarkingConfig) -> None:
        self.config = config
        self.image = array("q")
        self.viewer: list[str] = []
        self.edges: list[Edges] = []
        self.checked = array("d")  # view, left, top, right, bottom: a row a square
        self.view = array("q")
        self.numbers = array("d")  # x, y, then the measures; a row a mark
        self.classes: list[str | None] = []

    def add(
        self,
        image: int,
        answers: Sequence[Answer],
        x: float = 0.0,
        y: float = 0.0,
        edges: Edges = WHOLE,
        skills: Mapping[str, float] | None = None,
    ) -> None:
        """Add the answers to one image, or to a part of it that begins at x, y."""
        measures = self.config.measures
        for answer in answers:
            value = _weighing(answer, skills)
            if value is None:
                continue
            for mark in value["marks"]:
                if not all(name in mark for name in measures):
                    continue  # made when the project asked for another shape
                centre_x, centre_y, _ = centre_and_radius(mark, self.config.shape)
                self.view.append(len(self.viewer))
                self.numbers.extend((centre_x + x, centre_y + y, *(mark[name] for name in measures)))
                self.classes.append(mark.get("class"))
            if cells := value.get("cells"):
                for square in cells["checked"]:
                    left, top, right, bottom = grid.box(square, cells)
                    self.checked.extend((len(self.viewer), left + x, top + y, right + x, bottom + y))
            self.image.append(image)
            self.viewer.append(answer.contributor)
            self.edges.append(edges)

    def fold(self) -> tuple[core.Objects, list[list[str]]]:
        """Return the objects, and the classes that were given to each."""
        # Sorted names, so that the numbers (and the last digits of sums) do not depend on who came first.
        people = {name: number for number, name in enumerate(sorted(set(self.viewer)))}
        views = core.Views(
            np.array(self.image, np.int64),
            np.array([people[name] for name in self.viewer], np.int64),
            np.array(self.edges, float).reshape(-1, 4),
            np.array(self.checked).reshape(-1, 5) if self.checked else None,
        )
        numbers = np.array(self.numbers).reshape(-1, 2 + len(self.config.measures))
        view = np.array(self.view, np.int64)
        marks = core.Marks(views.image[view], view, numbers[:, 0], numbers[:, 1], numbers[:, 2:])
        objects = core.consensus(marks, views, scale_of(self.config))
        given: list[list[str]] = [[] for _ in range(len(objects))]
        for member, name in zip(objects.member.tolist(), self.classes, strict=True):
            if name is not None:
                given[member].append(name)
        return objects, given


def _consensus(
    reducer: str,
    objects: core.Objects,
    rows: range,
    given: Sequence[list[str]],
    n_answers: int,
    n_viewers: int,
    config: MarkingConfig,
) -> Consensus:
    """Say what the objects in these rows are. One viewer's marks, or nobody who could tell: no consensus."""
    accepted, possible, agreed, sure = [], [], [], []
    for row in rows:
        is_accepted = bool(objects.is_accepted[row])
        share = float(objects.n_marked[row] / objects.n_saw[row])
        probability = float(objects.probability[row])
        agreed.append(share if is_accepted else 1 - share)
        sure.append(probability if is_accepted else 1 - probability)
        if is_accepted:
            accepted.append(_mark(objects, row, given[row], config))
        elif objects.is_possible[row]:
            possible.append(_mark(objects, row, given[row], config))
    keys = ("x", "y", *config.measures, "class")
    is_known = n_viewers > 1 or (n_viewers > 0 and not agreed)
    value = {"marks": [{k: mark[k] for k in keys if mark[k] is not None} for mark in accepted]}
    return Consensus(
        value=value if is_known else None,
        agreement=round(sum(agreed) / len(agreed), 6) if agreed else float(n_viewers > 0),
        confidence=round(sum(sure) / len(sure), 6) if sure and is_known else None,
        n_answers=n_answers,
        detail={"marks": accepted, "possible": possible},
        reducer=reducer,
        parameters={"scale": {name: round(getattr(objects.scale, name), 6) for name in core.Scale.__slots__}},
    )


def _mark(objects: core.Objects, row: int, given: Sequence[str], config: MarkingConfig) -> dict[str, Any]:
    """One object as plain JSON: lengths in px to a thousandth, probability to four places.

    regions: "estimated", or "gold" where right marks say how wide they must be.
    """
    sizes = dict(zip(config.measures, objects.size[row].tolist(), strict=True))
    log_sds = dict(zip(config.measures, objects.log_size_sd[row].tolist(), strict=True))
    x, y = float(objects.x[row]), float(objects.y[row])
    if config.shape == "box":
        x, y = x - sizes["width"] / 2, y - sizes["height"] / 2
    name, share = class_vote(given, len(config.classes))
    sd = float(objects.position_sd[row])
    mark = {
        "x": round(x, 3),
        "y": round(y, 3),
        **{measure: round(size, 3) for measure, size in sizes.items()},
        "class": name,
        "class_share": share,
        "probability": round(float(objects.probability[row]), 4),
        "n_marked": int(objects.n_marked[row]),
        "n_saw": int(objects.n_saw[row]),
        "x_sd": round(sd, 3),
        "y_sd": round(sd, 3),
        "region_95": round(REGION_95 * sd, 3),
        "regions": "estimated" if objects.scale.is_estimated else "gold",
    }
    for measure, size in sizes.items():
        factor = float(np.exp(INTERVAL_95 * log_sds[measure]))
        mark[f"{measure}_sd"] = round(size * log_sds[measure], 3)
        mark[f"{measure}_low"], mark[f"{measure}_high"] = round(size / factor, 3), round(size * factor, 3)
    return mark
