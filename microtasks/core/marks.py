"""Marks of many people on images become objects: circles, points and boxes, with their uncertainty.

The method, in arrays (one row a mark):

1. Two marks of one person in almost the same place are one (a double click).
2. Two marks are near when their distance is small *for their size*: position and size each scatter by a
   share of the diameter plus a floor in pixels (`Scale`), as measured on marks of untrained people.
3. Marks joined by near pairs of different people are split by average linkage in which two marks of one
   person may never meet: an object holds at most one mark of a person.
4. An object's place and size are a robust (Huber) mean; its standard deviation is the scatter that was
   seen, shrunk to the scatter to be expected, over the effective number of marks.
5. An object exists with a probability that counts those who marked it and those who saw the image and
   did not (`existence`).

Sources: agglomerative clustering with constraints (Davidson and Ravi 2005); Huber 1964; Dawid and Skene
1979 for existence; scatter as in Robbins et al. 2014 (doi:10.1016/j.icarus.2014.02.022). Parameters were
settled on real sets of marks; all are wide plateaus.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Marks nearer than this many standard deviations may be one object.
CUT = 4.0
#: Marks of one person nearer than this are one mark.
DOUBLE_CUT = 1.5
#: Distance of two marks of one person in the linkage: they never meet.
NEVER = 1e4
#: Huber's constant and the number of reweighting rounds.
HUBER_K, HUBER_ROUNDS = 1.8, 4
#: The expected scatter weighs as much as this many marks.
SCATTER_PRIOR_MARKS = 4.0
#: Images lie this far apart in the search tree, in pixels.
APART = 1e6

ACCEPTED_FROM = 0.4
POSSIBLE_FROM = 0.2
#: With two or three viewers half of them, and two at least: one person alone makes no object.
FEW_VIEWERS = 3
FEW_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Scale:
    """How marks of one object scatter: sd of each axis is hypot(position_share x diameter, position_px), of
    ln(size) hypot(size_share, size_px / diameter). Pixels are the image's own.
    """

    position_share: float = 0.05
    position_px: float = 0.8
    size_share: float = 0.08
    size_px: float = 1.3

    def position_var(self, radius: Floats) -> Floats:
        """Variance of x (and of y), in px²."""
        return np.square(self.position_share * 2 * radius) + self.position_px**2

    def size_var(self, radius: Floats) -> Floats:
        """Variance of ln(size)."""
        return np.square(self.size_px / (2 * radius)) + self.size_share**2


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks as columns. size: one column a measure (none for points, r for circles, width and height for
    boxes, whose x and y are the centre here); all sizes above 0.
    """

    image: Ints
    person: Ints
    x: Floats
    y: Floats
    size: Floats

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[np.intp]) -> Marks:
        """Return some of the rows."""
        return Marks(self.image[rows], self.person[rows], self.x[rows], self.y[rows], self.size[rows])

    @property
    def radius(self) -> Floats:
        """Half the geometric mean of the measures as diameters: what "size" means in distances, in px."""
        if self.size.shape[1] == 0:
            return np.ones(len(self))
        half = 1.0 if self.size.shape[1] == 1 else 0.5
        radius: Floats = half * np.exp(np.log(self.size).mean(axis=1))
        return radius


@dataclass(frozen=True, slots=True)
class Objects:
    """What the marks add up to, one row an object, sorted by image, y and x.

    position_sd: of x and of y each, px. log_size_sd: of ln(size). n_marked, n_saw: people.
    member: for each mark that was put in, the row of its object.
    """

    image: Ints
    x: Floats
    y: Floats
    size: Floats
    position_sd: Floats
    log_size_sd: Floats
    n_marked: Ints
    n_saw: Ints
    probability: Floats
    member: Ints

    def __len__(self) -> int:
        return len(self.x)

    @property
    def is_accepted(self) -> NDArray[np.bool_]:
        """Does the object count as found?"""
        few = self.n_saw <= FEW_VIEWERS
        by_share = (self.n_marked >= 2) & (self.n_marked >= FEW_SHARE * self.n_saw - 1e-9)
        return (self.n_saw >= 2) & np.where(few, by_share, self.probability >= ACCEPTED_FROM)

    @property
    def is_possible(self) -> NDArray[np.bool_]:
        """Not accepted, but seen by some: worth a look."""
        return ~self.is_accepted & (self.probability >= POSSIBLE_FROM)


def consensus(marks: Marks, views_image: Ints, views_person: Ints, scale: Scale | None = None) -> Objects:
    """Fold the marks of any number of images into objects.

    views_image, views_person: who saw which image, one row a pair; whoever marked must be among them.
    The same for any order of the rows. Linear in the number of marks.
    """
    scale = Scale() if scale is None else scale
    order = np.lexsort((marks.person, *marks.size.T[::-1], marks.x, marks.y, marks.image))
    single, group = _without_doubles(marks.take(order), scale)
    label = _clusters(single, scale)
    objects = _describe(single, label, scale)
    pairs = np.unique(np.column_stack([views_image, views_person]), axis=0).reshape(-1, 2).astype(np.int64)
    n_saw, probability = existence(objects, single, label, pairs)
    rows = np.lexsort((objects.x, objects.y, objects.image))
    rank = np.empty(len(rows), np.int64)
    rank[rows] = np.arange(len(rows))
    member = np.empty(len(marks), np.int64)
    member[order] = rank[label[group]] if len(marks) else 0
    return Objects(
        objects.image[rows],
        objects.x[rows],
        objects.y[rows],
        objects.size[rows],
        objects.position_sd[rows],
        objects.log_size_sd[rows],
        objects.n_marked[rows],
        n_saw[rows],
        probability[rows],
        member,
    )


def near_pairs(marks: Marks, scale: Scale, cut: float) -> tuple[NDArray[np.intp], Floats]:
    """Return all pairs of rows of one image nearer than `cut`, (n, 2), and their scaled distances.

    One search tree an octave of size, each against itself and the next: marks more than an octave
    apart in size are never near.
    """
    radius = marks.radius
    place = np.column_stack([marks.x, marks.y, marks.image * APART])
    octave = np.floor(np.log2(radius)).astype(np.int64)
    rows = {int(o): np.flatnonzero(octave == o) for o in np.unique(octave)}
    trees = {o: cKDTree(place[members]) for o, members in rows.items()}
    found = []
    for o, tree in trees.items():
        for other in (o, o + 1):
            if other not in trees:
                continue
            reach = cut * np.sqrt(2 * scale.position_var(np.array([2.0 ** (other + 1)])))[0]
            if other == o:
                pairs = tree.query_pairs(reach, output_type="ndarray")
                found.append(rows[o][pairs])
            else:
                close = tree.sparse_distance_matrix(trees[other], reach, output_type="ndarray")
                found.append(np.column_stack([rows[o][close["i"]], rows[other][close["j"]]]))
    pairs = np.concatenate(found) if found else np.empty((0, 2), np.intp)
    pairs.sort(axis=1)
    distance = _distance(marks, radius, pairs, scale)
    keep = distance < cut
    pairs, distance = pairs[keep], distance[keep]
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], distance[order]


def _distance(marks: Marks, radius: Floats, pairs: NDArray[np.intp], scale: Scale) -> Floats:
    i, j = pairs[:, 0], pairs[:, 1]
    mean_radius = np.sqrt(radius[i] * radius[j])
    moved = np.square(marks.x[i] - marks.x[j]) + np.square(marks.y[i] - marks.y[j])
    squared = moved / (2 * scale.position_var(mean_radius))
    if marks.size.shape[1]:
        grown = np.square(np.log(marks.size[i] / marks.size[j])).mean(axis=1)
        squared += grown / (2 * scale.size_var(mean_radius))
    return np.sqrt(squared)


def _components(n: int, pairs: NDArray[np.intp]) -> Ints:
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    label: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return label


def _without_doubles(marks: Marks, scale: Scale) -> tuple[Marks, Ints]:
    """Merge marks of one person in one place into their mean; also return the new row of each old one."""
    pairs, _ = near_pairs(marks, scale, DOUBLE_CUT)
    pairs = pairs[marks.person[pairs[:, 0]] == marks.person[pairs[:, 1]]]
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
    """Return the object of each mark: at most one mark of a person in each."""
    far = 2 * CUT
    pairs, distance = near_pairs(marks, scale, far)
    other = marks.person[pairs[:, 0]] != marks.person[pairs[:, 1]]
    pairs, distance = pairs[other], distance[other]
    link = distance < CUT
    component = _components(len(marks), pairs[link])
    n_members = np.bincount(component)
    n_links = np.bincount(component[pairs[link, 0]], minlength=len(n_members))
    # Where every two marks are near and of different people there is nothing to split. Most are so.
    is_hard = n_links != n_members * (n_members - 1) // 2
    label = component.copy()
    if is_hard.any():
        _split(marks, pairs, distance, component, is_hard, label, far)
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def _split(
    marks: Marks,
    pairs: NDArray[np.intp],
    distance: Floats,
    component: Ints,
    is_hard: NDArray[np.bool_],
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
        person = marks.person[members]
        matrix[person[:, None] == person] = NEVER
        tree = linkage(matrix[np.triu_indices(len(members), 1)], "average")
        parts = fcluster(tree, CUT, "distance") - 1
        label[members] = next_label + parts
        next_label += int(parts.max()) + 1


def _describe(marks: Marks, label: Ints, scale: Scale) -> Objects:
    """Robust mean and standard deviation of each object; existence is still open."""
    n_objects = int(label.max()) + 1 if len(label) else 0
    logs = np.log(marks.size)
    n_sizes = logs.shape[1]
    weight = np.ones(len(marks))

    def mean(values: Floats) -> Floats:
        total = np.bincount(label, weights=weight, minlength=n_objects)
        return np.bincount(label, weights=values * weight, minlength=n_objects) / np.maximum(total, 1e-12)

    def centre() -> tuple[Floats, Floats, Floats]:
        sizes = [mean(logs[:, k]) for k in range(n_sizes)]
        return mean(marks.x), mean(marks.y), np.column_stack(sizes) if sizes else np.empty((n_objects, 0))

    def radius(log_size: Floats) -> Floats:
        if not n_sizes:
            return np.ones(len(log_size))
        r: Floats = (1.0 if n_sizes == 1 else 0.5) * np.exp(log_size.mean(axis=1))
        return r

    for _ in range(HUBER_ROUNDS):
        x, y, log_size = centre()
        r = radius(log_size)[label]
        moved = np.square(marks.x - x[label]) + np.square(marks.y - y[label])
        squared = moved / scale.position_var(r)
        if n_sizes:
            squared += np.square(logs - log_size[label]).mean(axis=1) / scale.size_var(r)
        weight = np.minimum(1.0, HUBER_K / np.maximum(np.sqrt(squared), 1e-9))
    x, y, log_size = centre()
    r = radius(log_size)

    total = np.bincount(label, weights=weight, minlength=n_objects)
    n_effective = np.square(total) / np.bincount(label, weights=weight * weight, minlength=n_objects)

    def sd(squares: Floats, expected: Floats) -> Floats:
        seen = np.bincount(label, weights=weight * squares, minlength=n_objects)
        variance = seen + SCATTER_PRIOR_MARKS * expected
        variance /= np.maximum(total - 1, 0) + SCATTER_PRIOR_MARKS
        return np.sqrt(variance / n_effective)

    moved = np.square(marks.x - x[label]) + np.square(marks.y - y[label])
    size_sds = [sd(np.square(logs[:, k] - log_size[label, k]), scale.size_var(r)) for k in range(n_sizes)]
    first = np.unique(label, return_index=True)[1]
    n_marked = np.bincount(label, minlength=n_objects)
    return Objects(
        marks.image[first],
        x,
        y,
        np.exp(log_size),
        sd(moved / 2, scale.position_var(r)),
        np.column_stack(size_sds) if size_sds else np.empty((n_objects, 0)),
        n_marked.astype(np.int64),
        np.zeros(n_objects, np.int64),
        np.zeros(n_objects),
        label,
    )


# Existence: a two-coin model with strong priors; plain EM on so few votes drifts.
EXISTENCE_ROUNDS = 10
SIZE_BINS = 3
HIT_PRIOR, HIT_PRIOR_WEIGHT, HIT_RANGE = 0.7, 30.0, (0.22, 0.92)
FALSE_PRIOR, FALSE_PRIOR_WEIGHT, FALSE_RANGE = 0.12, 30.0, (0.02, 0.35)
PERSON_WEIGHT = 20.0
CLASS_PRIOR_WEIGHT, CLASS_RANGE = 20.0, (0.25, 0.75)
#: The vote's own say in log odds: a line through 0 at a share of 0.3. Model and vote count half each.
SHARE_SLOPE, SHARE_ZERO, START_ZERO = 12.0, 0.3, 0.37


def existence(objects: Objects, marks: Marks, label: Ints, views: Ints) -> tuple[Ints, Floats]:
    """Return for each object how many saw its image, and the probability that it exists, 0..1.

    Every viewer of the image votes: marked it, or saw and did not mark. A person's chance to mark what is
    there depends on its size (three classes) and on the person; the chance to mark what is not, on the
    person; both are shrunk to the crowd's. views: unique rows (image, person), sorted.
    """
    n = len(objects)
    if n == 0:
        return np.zeros(0, np.int64), np.zeros(0)
    people, person = np.unique(np.concatenate([views[:, 1], marks.person]), return_inverse=True)
    viewer = person[: len(views)]
    n_people = len(people)
    begin = np.searchsorted(views[:, 0], objects.image, "left")
    n_saw = np.searchsorted(views[:, 0], objects.image, "right") - begin
    # One row for each object and each viewer of its image.
    row = np.repeat(np.arange(n), n_saw)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(n_saw) - n_saw, n_saw)
    who = viewer[begin[row] + offset]
    marked = np.isin(row * n_people + who, label * n_people + person[len(views) :])

    radius = replace(marks, image=objects.image, x=objects.x, y=objects.y, size=objects.size).radius
    edges = np.quantile(radius, np.linspace(0, 1, SIZE_BINS + 1)[1:-1])
    size_bin = np.searchsorted(edges, radius)
    row_bin = size_bin[row]
    share = np.bincount(row, weights=marked, minlength=n) / np.maximum(n_saw, 1)
    p = _sigmoid((share - START_ZERO) * SHARE_SLOPE)
    n_in_bin = np.bincount(size_bin, minlength=SIZE_BINS)
    for _ in range(EXISTENCE_ROUNDS):
        real, unreal = p[row], 1 - p[row]
        in_bin = np.bincount(row_bin, weights=real, minlength=SIZE_BINS)
        hits = np.bincount(row_bin, weights=real * marked, minlength=SIZE_BINS)
        hit_rate = (hits + HIT_PRIOR_WEIGHT * HIT_PRIOR) / (in_bin + HIT_PRIOR_WEIGHT)
        false_rate = (np.sum(unreal * marked) + FALSE_PRIOR_WEIGHT * FALSE_PRIOR) / (
            np.sum(unreal) + FALSE_PRIOR_WEIGHT
        )
        own_hits = np.bincount(who, weights=real * marked, minlength=n_people)
        expected = np.bincount(who, weights=real * hit_rate[row_bin], minlength=n_people)
        better = (own_hits + PERSON_WEIGHT) / (expected + PERSON_WEIGHT)
        hit = np.clip(hit_rate[None, :] * better[:, None], *HIT_RANGE)
        own_false = np.bincount(who, weights=unreal * marked, minlength=n_people)
        own_unreal = np.bincount(who, weights=unreal, minlength=n_people)
        false = (own_false + PERSON_WEIGHT * false_rate) / (own_unreal + PERSON_WEIGHT)
        false = np.clip(false, *FALSE_RANGE)
        real_share = np.bincount(size_bin, weights=p, minlength=SIZE_BINS) + CLASS_PRIOR_WEIGHT / 2
        real_share = np.clip(real_share / (n_in_bin + CLASS_PRIOR_WEIGHT), *CLASS_RANGE)
        h, f = hit[who, row_bin], false[who]
        evidence = np.where(marked, np.log(h / f), np.log((1 - h) / (1 - f)))
        log_odds = np.log(real_share / (1 - real_share))[size_bin]
        log_odds += np.bincount(row, weights=evidence, minlength=n)
        p = _sigmoid(log_odds)
    p = np.clip(p, 1e-4, 1 - 1e-4)
    mixed = 0.5 * (np.log(p / (1 - p)) + SHARE_SLOPE * (share - SHARE_ZERO))
    return n_saw.astype(np.int64), _sigmoid(mixed)


def _sigmoid(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))
