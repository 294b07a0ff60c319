"""Marks of many people on images become objects: circles, points and boxes, with their uncertainty.

The method, in arrays (one row a mark):

1. Two marks of one person in almost the same place are one (a double click).
2. Two marks are near when their distance is small *for their size*: position and size each scatter by a
   share of the diameter plus a floor in pixels (`Scale`), as measured on marks of untrained people, and by
   more where this crowd is seen to scatter more (`scatter.py`).
3. Marks joined by near pairs of different people are split by average linkage in which two marks of one
   view may never meet: an object holds at most one mark of a person.
4. An object's place and size are a robust (Huber) mean; its standard deviation is the scatter that was
   seen, shrunk to the scatter to be expected, over the effective number of marks, and a part that no
   number of marks makes smaller (`Scale`): it says where a careful expert's mark would lie.
5. An object exists with a probability that counts those who marked it and those who saw the place and
   did not (`existence.py`).

Sources: agglomerative clustering with constraints (Davidson and Ravi 2005); Huber 1964; Dawid and Skene
1979 for existence; scatter as in Robbins et al. 2014 (doi:10.1016/j.icarus.2014.02.022). Parameters were
settled on real sets of marks; all are wide plateaus.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from microtasks.core.marks.existence import existence
from microtasks.core.marks.mark_types import (
    Bools,
    Floats,
    Found,
    Ints,
    Marks,
    Objects,
    Rows,
    Scale,
    Views,
    is_cut_off,
    radius_of,
)
from microtasks.core.marks.nearness import near_pairs
from microtasks.core.marks.scatter import adapted

__all__ = ["Marks", "Objects", "Scale", "Views", "consensus"]

#: Marks nearer than this many standard deviations may be one object.
CUT = 4.0
#: Marks of one view nearer than this are one mark.
DOUBLE_CUT = 1.5
#: Distance of two marks of one view in the linkage: they never meet.
NEVER = 1e4
#: Huber's constant and the number of reweighting rounds.
HUBER_K, HUBER_ROUNDS = 1.8, 4
#: The expected scatter weighs as much as this many marks.
SCATTER_PRIOR_MARKS = 20.0
#: A mark cut off by the edge of its view counts so little that whole ones decide where the object is.
CUT_OFF_WEIGHT = 1e-6


def consensus(marks: Marks, views: Views, scale: Scale | None = None, adapts: bool = True) -> Objects:
    """Fold the marks of any number of images into objects.

    scale: the scatter to expect; `adapts`: widen it where these marks are seen to scatter more.
    The same for any order of the rows. Linear in the number of marks.
    """
    scale = Scale() if scale is None else scale
    order = np.lexsort((views.person[marks.view], *marks.size.T[::-1], marks.x, marks.y, marks.image))
    ordered = marks.take(order)
    expected = scale
    if adapts:
        scale, expected = adapted(ordered, scale)
    single, group = _without_doubles(ordered, scale)
    label = _clusters(single, scale)
    found = _describe(single, views, label, expected)
    n_marked, n_saw, probability = existence(found, single, label, views)
    rows = np.lexsort((found.x, found.y, found.image))
    rank = np.empty(len(rows), np.int64)
    rank[rows] = np.arange(len(rows))
    member = np.empty(len(marks), np.int64)
    member[order] = rank[label[group]]
    return Objects(
        found.image[rows],
        found.x[rows],
        found.y[rows],
        found.size[rows],
        found.position_var[rows],
        found.log_size_var[rows],
        found.n_effective[rows],
        n_marked[rows],
        n_saw[rows],
        probability[rows],
        member,
        scale,
    )


def _components(n: int, pairs: Rows) -> Ints:
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    label: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return label


def _without_doubles(marks: Marks, scale: Scale) -> tuple[Marks, Ints]:
    """Merge marks of one view in one place into their mean; also return the new row of each old one."""
    pairs, _ = near_pairs(marks, scale, DOUBLE_CUT)
    pairs = pairs[marks.view[pairs[:, 0]] == marks.view[pairs[:, 1]]]
    if not len(pairs):
        return marks, np.arange(len(marks))
    group = _components(len(marks), pairs)
    n = np.bincount(group)
    first = np.unique(group, return_index=True)[1]

    def mean(values: Floats) -> Floats:
        return np.bincount(group, weights=values) / n

    sizes = [np.exp(mean(np.log(column))) for column in marks.size.T]
    merged = replace(
        marks.take(first),
        x=mean(marks.x),
        y=mean(marks.y),
        size=np.column_stack(sizes) if sizes else np.empty((len(n), 0)),
    )
    return merged, group


def _clusters(marks: Marks, scale: Scale) -> Ints:
    """Return the object of each mark: at most one mark of a view in each."""
    far = 2 * CUT
    pairs, distance = near_pairs(marks, scale, far)
    other = marks.view[pairs[:, 0]] != marks.view[pairs[:, 1]]
    pairs, distance = pairs[other], distance[other]
    link = distance < CUT
    component = _components(len(marks), pairs[link])
    n_members = np.bincount(component)
    n_links = np.bincount(component[pairs[link, 0]], minlength=len(n_members))
    # Where every two marks are near and of different views there is nothing to split. Most are so.
    is_hard = n_links != n_members * (n_members - 1) // 2
    label = component.copy()
    if is_hard.any():
        _split(marks, pairs, distance, component, is_hard, label, far)
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def _split(
    marks: Marks,
    pairs: Rows,
    distance: Floats,
    component: Ints,
    is_hard: Bools,
    label: Ints,
    far: float,
) -> None:
    """Cut each hard component by constrained average linkage, writing new labels into `label`."""
    rows = np.flatnonzero(is_hard[component])
    rows = rows[np.argsort(component[rows], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(component[rows]) != 0])
    place = np.full(len(marks), -1)
    place[rows] = np.arange(len(rows))
    inside = (component[pairs[:, 0]] == component[pairs[:, 1]]) & is_hard[component[pairs[:, 0]]]
    pairs, distance = pairs[inside], distance[inside]
    order = np.argsort(component[pairs[:, 0]], kind="stable")
    pairs, distance = pairs[order], distance[order]
    pair_component = component[pairs[:, 0]]
    begins = np.searchsorted(pair_component, component[rows[starts]], "left")
    ends = np.searchsorted(pair_component, component[rows[starts]], "right")
    next_label = len(is_hard)
    for start, stop, begin, end in zip(starts, [*starts[1:], len(rows)], begins, ends, strict=True):
        members = rows[start:stop]
        matrix = np.full((len(members), len(members)), far)
        i, j = place[pairs[begin:end, 0]] - start, place[pairs[begin:end, 1]] - start
        matrix[i, j] = matrix[j, i] = distance[begin:end]
        view = marks.view[members]
        matrix[view[:, None] == view] = NEVER
        tree = linkage(matrix[np.triu_indices(len(members), 1)], "average")
        parts = fcluster(tree, CUT, "distance") - 1
        label[members] = next_label + parts
        next_label += int(parts.max()) + 1


def _describe(marks: Marks, views: Views, label: Ints, scale: Scale) -> Found:
    """Robust mean and standard deviation of each object."""
    n_objects = int(label.max(initial=-1)) + 1
    logs = np.log(marks.size)
    n_sizes = logs.shape[1]
    cut_off = is_cut_off(marks.x, marks.y, marks.radius, views.edges[marks.view])
    base = np.where(cut_off & bool(n_sizes), CUT_OFF_WEIGHT, 1.0)
    weight = base

    def mean(values: Floats) -> Floats:
        total = np.bincount(label, weights=weight, minlength=n_objects)
        return np.bincount(label, weights=values * weight, minlength=n_objects) / total

    def centre() -> tuple[Floats, Floats, Floats]:
        sizes = [mean(logs[:, k]) for k in range(n_sizes)]
        return mean(marks.x), mean(marks.y), np.column_stack(sizes) if sizes else np.empty((n_objects, 0))

    for _ in range(HUBER_ROUNDS):
        x, y, log_size = centre()
        r = radius_of(np.exp(log_size))[label]
        squared = np.square(marks.x - x[label]) + np.square(marks.y - y[label])
        squared /= scale.position_var(r)
        if n_sizes:
            squared += np.square(logs - log_size[label]).mean(axis=1) / scale.size_var(r)
        weight = base * np.minimum(1.0, HUBER_K / np.maximum(np.sqrt(squared), 1e-9))
    x, y, log_size = centre()
    r = radius_of(np.exp(log_size))

    total = np.bincount(label, weights=weight, minlength=n_objects)
    n_effective = np.square(total) / np.bincount(label, weights=weight * weight, minlength=n_objects)

    def one_mark(squares: Floats, expected: Floats) -> Floats:
        seen = np.bincount(label, weights=weight * squares, minlength=n_objects)
        variance: Floats = seen + SCATTER_PRIOR_MARKS * expected
        variance /= np.maximum(total - 1, 0) + SCATTER_PRIOR_MARKS
        return variance

    moved = np.square(marks.x - x[label]) + np.square(marks.y - y[label])
    size_vars = [
        one_mark(np.square(logs[:, k] - log_size[label, k]), scale.size_var(r)) for k in range(n_sizes)
    ]
    first = np.unique(label, return_index=True)[1]
    return Found(
        marks.image[first],
        x,
        y,
        np.exp(log_size),
        one_mark(moved / 2, scale.position_var(r)),
        np.column_stack(size_vars) if size_vars else np.empty((n_objects, 0)),
        n_effective,
    )
