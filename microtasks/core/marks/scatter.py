"""How far the marks of this crowd scatter, seen before anything is clustered.

Measured on clusters, the scatter comes out too small: what lies far from its object was cut off. So it is
measured on marks of two people that are each other's nearest, as a mixture of matches, which scatter around
one object, and of chance neighbours, which are spread evenly.
"""

from __future__ import annotations

import numpy as np

from microtasks.core.marks.mark_types import Floats, Marks, Scale
from microtasks.core.marks.nearness import near_pairs, squared_parts

#: Neighbours are looked for up to this scaled distance.
REACH = 12.0
#: More marks than this are not needed; the first images (or the top of one) stand for all.
ENOUGH_MARKS = 6_000
#: The expected scatter weighs as much as this many matches.
PRIOR_MATCHES = 30.0
#: For telling marks apart the scale is never made narrower; for the spread of an object it may be.
WIDEST, NARROWEST = 3.5, 0.4
ROUNDS = 60


def adapted(marks: Marks, scale: Scale) -> tuple[Scale, Scale]:
    """Return the scale widened to the scatter of these marks (sorted by image, y and x), and the scale at it.

    The first, never narrower than what was given, says which marks belong together; the second how far they
    are to be expected from their object.
    """
    marks = marks.take(np.arange(min(len(marks), ENOUGH_MARKS)))
    moved, grown = _neighbours(marks, scale)
    if len(moved) == 0:
        return scale, scale
    n_sizes = min(marks.size.shape[1], 1)
    position, size = _factors(moved, grown, n_sizes)
    return scale.widened(max(position, 1.0), max(size, 1.0)), scale.widened(position, size)


def _neighbours(marks: Marks, scale: Scale) -> tuple[Floats, Floats]:
    """Squared distances (position, size; in variances of a difference) of marks of two views of one image
    that are each other's nearest in these. All pairs of views: how people are numbered changes nothing.
    """
    pairs, distance = near_pairs(marks, scale, REACH)
    other = marks.view[pairs[:, 0]] != marks.view[pairs[:, 1]]
    pairs, distance = pairs[other], distance[other]
    if not len(pairs):
        return np.zeros(0), np.zeros(0)
    # For each mark its nearest in every other view; in both directions.
    both = np.concatenate([pairs, pairs[:, ::-1]])
    key = both[:, 0] * (int(marks.view.max()) + 1) + marks.view[both[:, 1]]
    order = np.lexsort((both[:, 1], np.r_[distance, distance], key))
    nearest = np.zeros(len(both), bool)
    nearest[order[np.r_[True, np.diff(key[order]) != 0]]] = True
    mutual = nearest[: len(pairs)] & nearest[len(pairs) :]
    moved, grown = squared_parts(marks, marks.radius, pairs[mutual], scale)
    return moved / 2, grown / 2


def _factors(moved: Floats, grown: Floats, n_sizes: int) -> tuple[float, float]:
    """Fit the mixture by EM; return the factors of the standard deviations of position and size."""
    distance = np.sqrt(moved + grown)
    dimensions = 2 + n_sizes
    # Chance neighbours: evenly spread in the space of the scaled distance, up to REACH.
    chance = dimensions * distance ** (dimensions - 1) / REACH**dimensions
    position = size = 1.0
    part = 0.5
    for _ in range(ROUNDS):
        inside = np.exp(-0.5 * (moved / position + grown / size))
        norm = position * (np.sqrt(size) if n_sizes else 1.0)
        # Density of the distance of a match (chi of 2 or 3 dimensions when both factors are alike).
        shell = distance ** (dimensions - 1) * (np.sqrt(2 / np.pi) if n_sizes else 1.0)
        match = part * shell * inside / norm
        gamma = match / (match + (1 - part) * chance + 1e-300)
        n = gamma.sum()
        part = float(np.clip((n + 1) / (len(distance) + 2), 0.05, 0.95))
        position = float((gamma @ moved / 2 + PRIOR_MATCHES) / (n + PRIOR_MATCHES))
        if n_sizes:
            size = float((gamma @ grown + PRIOR_MATCHES) / (n + PRIOR_MATCHES))
    return (
        float(np.clip(np.sqrt(position), NARROWEST, WIDEST)),
        float(np.clip(np.sqrt(size), NARROWEST, WIDEST)),
    )
