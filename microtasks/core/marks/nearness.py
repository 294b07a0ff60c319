"""Which marks are near for their size: the scaled distance, and all pairs below one, in linear time."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from microtasks.core.marks.mark_types import Floats, Marks, Rows, Scale

#: Images lie this far apart in the search tree, in pixels.
APART = 1e6


def near_pairs(marks: Marks, scale: Scale, cut: float) -> tuple[Rows, Floats]:
    """Return all pairs of rows of one image nearer than `cut`, (n, 2), and their scaled distances.

    One search tree an octave of size, each against itself and the next: marks more than an octave
    apart in size are never near.
    """
    radius = marks.radius
    place = np.column_stack([marks.x, marks.y, marks.image * APART])
    octave = np.floor(np.log2(radius)).astype(np.int64)
    rows = {int(o): np.flatnonzero(octave == o) for o in np.unique(octave)}
    trees = {o: cKDTree(place[members]) for o, members in rows.items()}
    found = [np.empty((0, 2), np.intp)]
    for o, tree in trees.items():
        for other in (o, o + 1):
            if other not in trees:
                continue
            # The scatter is read at the mean size of the two: at most the upper end of the larger octave.
            reach = cut * float(np.sqrt(2 * scale.position_var(np.array([2.0 ** (other + 1)])))[0])
            if other == o:
                found.append(rows[o][tree.query_pairs(reach, output_type="ndarray")])
            else:
                close = tree.sparse_distance_matrix(trees[other], reach, output_type="ndarray")
                found.append(np.column_stack([rows[o][close["i"]], rows[other][close["j"]]]))
    pairs = np.concatenate(found)
    pairs.sort(axis=1)
    moved, grown = squared_parts(marks, radius, pairs, scale)
    distance = np.sqrt((moved + grown) / 2)
    near = np.flatnonzero(distance < cut)
    pairs, distance = pairs[near], distance[near]
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], distance[order]


def squared_parts(marks: Marks, radius: Floats, pairs: Rows, scale: Scale) -> tuple[Floats, Floats]:
    """Squared distance of each pair in position and in size, in variances of one mark."""
    i, j = pairs[:, 0], pairs[:, 1]
    mean_radius = np.sqrt(radius[i] * radius[j])
    moved = np.square(marks.x[i] - marks.x[j]) + np.square(marks.y[i] - marks.y[j])
    moved /= scale.position_var(mean_radius)
    if not marks.size.shape[1]:
        return moved, np.zeros(len(pairs))
    grown = np.square(np.log(marks.size[i] / marks.size[j])).mean(axis=1) / scale.size_var(mean_radius)
    return moved, grown
