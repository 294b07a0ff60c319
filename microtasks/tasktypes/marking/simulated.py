"""Volunteers of known skill for `simulate`: how people miss, shift and invent marks.

Scatter grows with the object's size, with a floor of about a pixel; small objects are missed oftener. Both
are what sixteen students did on images of Mars (Francis et al., Data 2020, 5(3), 70).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from microtasks.core.values import Media, Payload
from microtasks.tasktypes.marking import MarkingConfig

#: Median seconds that a simulated volunteer says to have spent.
SECONDS = 40.0

FLOOR_PX = 1.0
CENTRE_SHARE, SIZE_SHARE = 0.04, 0.06  # standard deviations as shares of the diameter, for perfect skill


def truth(
    payload: Payload, config: MarkingConfig, media: Sequence[Media], rng: random.Random
) -> dict[str, Any]:
    """A few made-up objects."""
    width, height = _size(media)
    return {"marks": [_stray(config, width, height, rng) for _ in range(rng.randint(0, 6))]}


def answer(
    right: Mapping[str, Any],
    payload: Payload,
    config: MarkingConfig,
    media: Sequence[Media],
    skill: float,
    rng: random.Random,
) -> dict[str, Any]:
    """The marks of a volunteer who finds a large, plain object with probability `skill`."""
    width, height = _size(media)
    smallest = max(config.min_diameter_px, 4.0)
    marks = []
    for mark in right["marks"]:
        diameter = _diameter(mark)
        chance = skill * (1 - 0.35 * math.exp(-1.5 * max(0.0, diameter / smallest - 1)))
        if rng.random() < chance:
            marks.append(_shifted(mark, diameter, config, skill, rng))
    marks += [_stray(config, width, height, rng) for _ in range(6) if rng.random() < (1 - skill) / 5]
    return {"marks": [mark for mark in marks if _fits(mark, config, width, height)][: config.max_marks]}


def _shifted(
    mark: Mapping[str, Any], diameter: float, config: MarkingConfig, skill: float, rng: random.Random
) -> dict[str, Any]:
    care = 1 + 2 * (1 - skill)
    shift = math.hypot(FLOOR_PX, CENTRE_SHARE * diameter) * care
    stretch = math.exp(rng.gauss(0, math.hypot(FLOOR_PX / max(diameter, 1), SIZE_SHARE) * care))
    moved = {
        "x": round(mark["x"] + rng.gauss(0, shift), 1),
        "y": round(mark["y"] + rng.gauss(0, shift), 1),
        **{name: round(mark[name] * stretch, 1) for name in config.measures},
    }
    classes = [item.id for item in config.classes]
    if classes:
        label = mark.get("class")
        place = classes.index(label) if label in classes else rng.randrange(len(classes))
        if rng.random() < (1 - skill) * 0.7:  # taken for a neighbour in the owner's order
            place = max(0, min(len(classes) - 1, place + rng.choice((-1, 1))))
        moved["class"] = classes[place]
    return moved


def _stray(config: MarkingConfig, width: int, height: int, rng: random.Random) -> dict[str, Any]:
    smallest = max(config.min_diameter_px, 6.0)
    diameter = min(smallest * (1 + rng.expovariate(1.0)), min(width, height) / 2)
    radius = diameter / 2
    x, y = rng.uniform(radius, width - radius), rng.uniform(radius, height - radius)
    mark: dict[str, Any] = {"x": round(x, 1), "y": round(y, 1)}
    if config.shape == "circle":
        mark["r"] = round(radius, 1)
    elif config.shape == "box":
        mark |= {"x": round(x - radius, 1), "y": round(y - radius, 1)}
        mark |= {"width": round(diameter, 1), "height": round(diameter * rng.uniform(0.6, 1.0), 1)}
    if config.classes:
        mark["class"] = rng.choice(config.classes).id
    return mark


def _fits(mark: Mapping[str, Any], config: MarkingConfig, width: int, height: int) -> bool:
    right, bottom = mark["x"] + mark.get("width", 0), mark["y"] + mark.get("height", 0)
    is_inside = min(mark["x"], mark["y"]) >= 0 and right <= width and bottom <= height
    return is_inside and (config.shape == "point" or _smallest_side(mark) >= config.min_diameter_px)


def _smallest_side(mark: Mapping[str, Any]) -> float:
    return float(2 * mark["r"] if "r" in mark else min(mark["width"], mark["height"]))


def _diameter(mark: Mapping[str, Any]) -> float:
    return float(2 * mark["r"] if "r" in mark else math.sqrt(mark.get("width", 16) * mark.get("height", 16)))


def _size(media: Sequence[Media]) -> tuple[int, int]:
    return (media[0].width, media[0].height) if media else (640, 640)
