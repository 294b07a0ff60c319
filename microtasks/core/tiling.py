"""A big image as tiles with overlap, and what was seen in the tiles back in the big image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from microtasks.core.errors import InputError
from microtasks.core.values import Answer


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of the big image, in its oriented pixels."""

    x: int
    y: int
    width: int
    height: int


#: Left, top, right, bottom, in the big image's pixels; infinite where the big image itself ends.
Edges = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """One tile of a big image with its counted answers, whose marks are in the tile's pixels."""

    tile: Tile
    edges: Edges
    answers: Sequence[Answer]


def edges(tile: Tile, width: int, height: int) -> Edges:
    """Return the edges of a tile at which its image goes on: what reaches over them was shown cut off."""
    return (
        tile.x if tile.x > 0 else -math.inf,
        tile.y if tile.y > 0 else -math.inf,
        tile.x + tile.width if tile.x + tile.width < width else math.inf,
        tile.y + tile.height if tile.y + tile.height < height else math.inf,
    )


def tiles(width: int, height: int, tile_px: int, overlap_px: int = 0) -> list[Tile]:
    """Cut an image into tiles of at most tile_px a side that overlap by at least overlap_px, row by row.

    Every tile has the full size where the image allows it: the last one of a row is moved back
    instead of being a sliver (then it overlaps more). Raises InputError when the sizes make no sense.
    """
    if width < 1 or height < 1 or tile_px < 1:
        raise InputError("An image and its tiles need at least one pixel.")
    if not 0 <= overlap_px <= tile_px // 2:
        raise InputError("Tiles may overlap by at most half their size.")
    return [
        Tile(x, y, min(tile_px, width), min(tile_px, height))
        for y in _starts(height, tile_px, overlap_px)
        for x in _starts(width, tile_px, overlap_px)
    ]


def _starts(length: int, tile_px: int, overlap_px: int) -> list[int]:
    if length <= tile_px:
        return [0]
    last = length - tile_px
    starts = list(range(0, last, tile_px - overlap_px))
    return [*starts, last]
