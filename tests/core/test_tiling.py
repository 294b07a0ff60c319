"""Tiles cover an image, overlap as asked, and know where their image goes on."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.errors import InputError
from microtasks.core.tiling import Tile, edges, tiles

sizes = st.integers(1, 700)


@given(sizes, sizes, st.integers(20, 300), st.integers(0, 150))
def test_every_pixel_is_in_a_tile_and_every_tile_in_the_image(width, height, tile_px, overlap):
    overlap = min(overlap, tile_px // 2)
    made = tiles(width, height, tile_px, overlap)
    assert len(set(made)) == len(made)
    for tile in made:
        assert 0 <= tile.x <= tile.x + tile.width <= width
        assert 0 <= tile.y <= tile.y + tile.height <= height
        assert (tile.width, tile.height) == (min(tile_px, width), min(tile_px, height))
    columns = sorted({tile.x for tile in made})
    assert columns[0] == 0 and columns[-1] + min(tile_px, width) == width
    for one, other in pairwise(columns):
        assert one + tile_px - other >= overlap


def test_a_small_image_is_one_tile():
    assert tiles(100, 80, 500, 50) == [Tile(0, 0, 100, 80)]


@pytest.mark.parametrize("sizes", [(0, 10, 5, 0), (10, 10, 0, 0), (10, 10, 4, 3), (10, 10, 4, -1)])
def test_sizes_that_make_no_sense_are_refused(sizes):
    with pytest.raises(InputError):
        tiles(*sizes)


def test_edges_are_infinite_where_the_big_image_ends():
    assert edges(Tile(0, 0, 100, 100), 250, 100) == (-math.inf, -math.inf, 100, math.inf)
    assert edges(Tile(150, 0, 100, 100), 250, 100) == (150, -math.inf, math.inf, math.inf)
