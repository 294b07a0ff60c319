"""How wide a region must be to hold an expert's mark: learnt from marks whose right place is known."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from microtasks.core.marks.mark_types import Floats, Ints, Objects, Rows
from microtasks.core.marks.nearness import APART

#: From so many found marks of gold on, they are learnt from.
GOLD_MIN = 20
#: What is known beforehand weighs as much as this many marks of gold.
PRIOR_MARKS = 30.0
#: A mark of gold is looked for up to this part of the diameter from an object, and up to so many of its sds.
REACH_SHARE, REACH_SDS = 0.4, 6.0
#: Share of the gold that the regions shall hold: a little more than 95 %, for images that have none.
ENOUGH = 0.96
POSITION_RANGE, SIZE_RANGE = (0.01, 4.0), (1e-4, 0.25)
#: 95 % of the squares of a normal variable in two and in one dimension, in variances.
SQUARE_95_PLACE, SQUARE_95_SIZE = 5.991, 3.841


def fitted(objects: Objects, image: Ints, x: Floats, y: Floats, size: Floats) -> Objects:
    """Return the objects with regions as wide as 95 of 100 marks of gold need; gold: one row a mark.

    size: its columns as of marks. The floors of the scatter are fitted, each drawn to what it was; with fewer
    than GOLD_MIN marks found, nothing changes.
    """
    rows, gold = _pairs(objects, image, x, y)
    if len(rows) < GOLD_MIN:
        return objects
    share, scale = 1 / objects.n_effective[rows], objects.scale
    away = np.square(objects.x[rows] - x[gold]) + np.square(objects.y[rows] - y[gold])
    wanted = away / (SQUARE_95_PLACE * objects.position_var[rows]) - share
    position = _floor(wanted, scale.position_floor, POSITION_RANGE)
    size_floor = scale.size_floor
    if size.shape[1]:
        squares = np.square(np.log(objects.size[rows] / size[gold]))
        excess = squares / SQUARE_95_SIZE - objects.log_size_var[rows] * share[:, None]
        size_floor = _floor(excess.mean(axis=1), scale.size_floor, SIZE_RANGE)
    return objects.with_floors(position, size_floor)


def _floor(wanted: Floats, before: float, allowed: tuple[float, float]) -> float:
    """The floor that these need, drawn to what it was by how few they are."""
    needed = float(np.clip(np.quantile(wanted, ENOUGH), *allowed))
    part = len(wanted) / (len(wanted) + PRIOR_MARKS)
    return round(float(np.exp(part * np.log(needed) + (1 - part) * np.log(before))), 6)


def _pairs(objects: Objects, image: Ints, x: Floats, y: Floats) -> tuple[Rows, Rows]:
    """Accepted objects and marks of gold that are each other's nearest, and near: rows of both."""
    kept = np.flatnonzero(objects.is_accepted)
    if not len(kept) or not len(x):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    mine = np.column_stack([objects.x[kept], objects.y[kept], objects.image[kept] * APART])
    right = np.column_stack([x, y, image * APART])
    away, of_gold = cKDTree(right).query(mine)
    _, of_object = cKDTree(mine).query(right)
    reach = REACH_SDS * objects.position_sd[kept]
    if objects.size.shape[1]:
        reach = np.maximum(reach, REACH_SHARE * 2 * objects.radius[kept])
    near = np.flatnonzero((away < reach) & (of_object[of_gold] == np.arange(len(kept))))
    return kept[near], of_gold[near].astype(np.intp)
