"""Marks: F1 against known objects, beside what others use, on real sets and on simulated craters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.consensus import data
from microtasks.core.marks import objects as core
from microtasks.core.marks import regions

#: Points: the scatter a project would state.
POINTS = core.Scale(position_share=0.0, position_px=2.0, position_floor=0.08)


def match(truth: np.ndarray, found: np.ndarray, is_points: bool) -> list[tuple[int, int]]:
    """One-to-one matches (row of truth, row of found), both image, x, y, r.

    Circles: centre within a quarter of the true diameter (at least 2 px), diameter within a factor of 1.6.
    Points: within 4 px.
    """
    pairs = []
    for image in np.unique(truth[:, 0]):
        i, j = np.flatnonzero(truth[:, 0] == image), np.flatnonzero(found[:, 0] == image)
        if not len(j):
            continue
        a, b = truth[i], found[j]
        away = np.hypot(a[:, None, 1] - b[None, :, 1], a[:, None, 2] - b[None, :, 2])
        if is_points:
            fits, cost = away < 4, away
        else:
            diameter = 2 * a[:, None, 3]
            grown = np.abs(np.log(a[:, None, 3] / b[None, :, 3]))
            fits = (away < np.maximum(0.25 * diameter, 2)) & (grown < np.log(1.6))
            cost = away / diameter + grown
        rows, columns = linear_sum_assignment(np.where(fits, cost, 1e3))
        pairs += [(i[r], j[c]) for r, c in zip(rows, columns, strict=True) if fits[r, c]]
    return pairs


def f1(truth: np.ndarray, found: np.ndarray, is_points: bool) -> float:
    """Harmonic mean of precision and recall, over the images that have a truth."""
    found = found[np.isin(found[:, 0], np.unique(truth[:, 0]))]
    return 2 * len(match(truth, found, is_points)) / max(len(truth) + len(found), 1)


def ours(marks: data.MarkSet) -> core.Objects:
    """The engine's consensus, defaults alone."""
    columns, views = marks.columns()
    return core.consensus(columns, views, POINTS if marks.is_points else None)


def circles(objects: core.Objects) -> np.ndarray:
    """Image, x, y, r of all objects."""
    return np.column_stack([objects.image, objects.x, objects.y, objects.radius])


def coverage(truth: np.ndarray, objects: core.Objects, is_points: bool) -> tuple[float, float]:
    """Share of matched accepted objects whose 95 % region holds the truth: position, size."""
    kept = np.flatnonzero(objects.is_accepted)
    found = circles(objects)[kept]
    pairs = match_loosely(truth, found, is_points)
    i, j = np.array([p[0] for p in pairs]), kept[[p[1] for p in pairs]]
    away = np.square(truth[i, 1] - objects.x[j]) + np.square(truth[i, 2] - objects.y[j])
    position = float(np.mean(away / np.square(objects.position_sd[j]) < 5.991))
    if is_points:
        return position, float("nan")
    grown = np.abs(np.log(truth[i, 3] / objects.radius[j]))
    return position, float(np.mean(grown < 1.96 * objects.log_size_sd[j, 0]))


def with_gold(whole: data.MarkSet, objects: core.Objects) -> float:
    """`coverage` of positions on every second image, when the true marks of the others are given as gold."""
    images = np.unique(whole.truth[:, 0])
    known = np.isin(whole.truth[:, 0], images[::2])
    truth = whole.truth[known]
    size = np.empty((len(truth), 0)) if whole.is_points else truth[:, 3:4]
    fitted = regions.fitted(objects, truth[:, 0].astype(np.int64), truth[:, 1], truth[:, 2], size)
    return coverage(whole.truth[~known], fitted, whole.is_points)[0]


def match_loosely(truth: np.ndarray, found: np.ndarray, is_points: bool) -> list[tuple[int, int]]:
    """Matches up to 0.4 of the diameter, so that a region that misses is seen to miss."""
    if is_points:
        return match(truth, found, True)
    wide = truth.copy()
    wide[:, 3] *= 1.6
    scaled = found.copy()
    scaled[:, 3] *= 1.6
    return match(wide, scaled, False)


# What others use: clusters by scikit-learn, each kept from a share of the viewers on.
Labels = np.ndarray


def others() -> dict[str, Callable[[data.MarkSet], Labels]]:
    """Known methods by name; none when scikit-learn is not installed."""
    try:
        from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering
    except ImportError:
        return {}

    def by_image(marks: data.MarkSet, cluster: Callable[[np.ndarray], np.ndarray]) -> Labels:
        label = np.full(len(marks.marks), -1)
        for image in np.unique(marks.marks[:, 0]):
            rows = np.flatnonzero(marks.marks[:, 0] == image)
            columns = [2, 3] if marks.is_points else [2, 3, 4]
            own = cluster(marks.marks[np.ix_(rows, columns)]) if len(rows) > 1 else np.full(len(rows), -1)
            label[rows] = np.where(own >= 0, own + label.max() + 1, -1)
        return label

    def overlap(one: np.ndarray) -> np.ndarray:
        """1 - IoU of circles (points as circles of 4 px), all pairs."""
        x, y = one[:, 0], one[:, 1]
        r = one[:, 2] if one.shape[1] > 2 else np.full(len(one), 4.0)
        d = np.hypot(x[:, None] - x, y[:, None] - y)
        big, small = np.maximum(r[:, None], r), np.minimum(r[:, None], r)
        with np.errstate(invalid="ignore", divide="ignore"):
            a = np.arccos(np.clip((d**2 + big**2 - small**2) / (2 * d * big), -1, 1))
            b = np.arccos(np.clip((d**2 + small**2 - big**2) / (2 * d * small), -1, 1))
            lens = big**2 * (a - np.sin(2 * a) / 2) + small**2 * (b - np.sin(2 * b) / 2)
        shared = np.where(d >= big + small, 0, np.where(d <= big - small, np.pi * small**2, lens))
        union = np.pi * (big**2 + small**2) - shared
        distance = 1 - shared / union
        np.fill_diagonal(distance, 0)
        return distance

    def agglomerate(one: np.ndarray) -> np.ndarray:
        model = AgglomerativeClustering(
            n_clusters=None, metric="precomputed", linkage="average", distance_threshold=0.75
        )
        return model.fit_predict(overlap(one))

    return {
        "DBSCAN": lambda m: by_image(m, lambda a: DBSCAN(eps=5.0, min_samples=3).fit_predict(a)),
        "HDBSCAN": lambda m: by_image(
            m, lambda a: HDBSCAN(min_cluster_size=2, allow_single_cluster=False, copy=True).fit_predict(a)
        ),
        "agglomerative IoU": lambda m: by_image(m, agglomerate),
    }


def means(marks: data.MarkSet, label: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Mean circle of each cluster (image, x, y, r), and the share of the viewers who are in it."""
    kept = label >= 0
    unique, own = np.unique(label[kept], return_inverse=True)
    rows = marks.marks[kept]
    n = np.bincount(own)
    columns = [np.bincount(own, weights=rows[:, k]) / n for k in (0, 2, 3, 4)]
    people = np.unique(np.column_stack([own, rows[:, 1]]), axis=0)
    n_people = np.bincount(people[:, 0].astype(int), minlength=len(unique))
    image = np.round(columns[0]).astype(int)
    n_viewers = np.bincount(marks.views[:, 0].astype(int), minlength=image.max(initial=0) + 1)
    return np.column_stack([image, *columns[1:]]), n_people / n_viewers[image]


CASES = (
    ("real/mars_craters", 6),
    ("datasets/fish_spots", 10),
    ("datasets/cells_mitosis", 5),
    ("datasets/cells_mitosis", 10),
    ("datasets/cells_asthma", 5),
    ("datasets/cells_asthma", 10),
)


def table(root: Path, draws: int = 3) -> Iterator[dict[str, float | str]]:
    """One row a case: F1 of ours and of others at half of the votes, and at their best threshold."""
    methods = others()
    for path, n_people in CASES:
        if not (root / path / "marks.csv").is_file():
            continue
        whole = data.mark_set(root / path)
        rows: list[dict[str, float]] = []
        for seed in range(draws):
            drawn = whole.with_people(n_people, seed)
            objects = ours(drawn)
            row = {"ours": f1(whole.truth, circles(objects)[objects.is_accepted], whole.is_points)}
            row["covers place"], row["covers size"] = coverage(whole.truth, objects, whole.is_points)
            row["covers place, with gold"] = with_gold(whole, objects)
            for name, cluster in methods.items():
                found, share = means(drawn, cluster(drawn))
                row[f"{name} half"] = f1(whole.truth, found[share >= 0.5 - 1e-9], whole.is_points)
                row[f"{name} oracle"] = max(
                    f1(whole.truth, found[share >= k / n_people - 1e-9], whole.is_points)
                    for k in range(1, n_people + 1)
                )
            rows.append(row)
            if n_people >= max(np.unique(whole.views[:, 0], return_counts=True)[1]):
                break  # everybody: each draw is the same
        yield {"case": f"{whole.name}, {n_people} people"} | {
            key: float(np.mean([row[key] for row in rows])) for key in rows[0]
        }


def craters(
    scatter: float,
    seed: int,
    n_people: int = 15,
    n_images: int = 6,
    n_craters: int = 60,
    width: float = 1000,
) -> data.MarkSet:
    """Simulated craters of power-law sizes, detection 0.75, a tenth of the marks stray.

    scatter: of position (each axis) and ln(size), as a share of the diameter.
    """
    rng = np.random.default_rng(seed)
    truth, rows, views = [], [], []
    for image in range(n_images):
        diameter = 10 * (1 - rng.random(n_craters) * (1 - (10 / 220) ** 2)) ** -0.5
        x, y = rng.random((2, n_craters)) * width
        truth += [(image, *c) for c in zip(x, y, diameter / 2, strict=True)]
        for person in range(n_people):
            views.append((image, person))
            hit = np.flatnonzero(rng.random(n_craters) < 0.75)
            d = diameter[hit]
            moved = rng.normal(0, scatter, (2, len(hit))) * d
            grown = np.exp(rng.normal(0, scatter, len(hit)))
            rows += [
                (image, person, *m)
                for m in zip(x[hit] + moved[0], y[hit] + moved[1], d / 2 * grown, strict=True)
            ]
            for _ in range(rng.poisson(len(hit) / 9)):
                stray = 10 * (1 - rng.random() * (1 - (10 / 220) ** 2)) ** -0.5
                rows.append((image, person, *(rng.random(2) * width), stray / 2))
    return data.MarkSet("craters", np.array(rows), np.array(views), np.array(truth), False)


def simulated(scatter: float, n_worlds: int = 3) -> dict[str, float]:
    """F1, recall of large craters (the upper fifth by size) and coverage on simulated craters."""
    scores, large, covers, golden = [], [], [], []
    for seed in range(n_worlds):
        world = craters(scatter, seed)
        objects = ours(world)
        found = circles(objects)[objects.is_accepted]
        scores.append(f1(world.truth, found, False))
        covers.append(coverage(world.truth, objects, False))
        golden.append(with_gold(world, objects))
        matched = {i for i, _ in match(world.truth, found, False)}
        big = np.flatnonzero(world.truth[:, 3] >= np.quantile(world.truth[:, 3], 0.8))
        large.append(np.mean([i in matched for i in big]))
    position, size = np.mean(covers, axis=0)
    return {
        "F1": float(np.mean(scores)),
        "recall of large": float(np.mean(large)),
        "covers place": float(position),
        "covers size": float(size),
        "covers place, with gold": float(np.mean(golden)),
    }


def speed(n_marks: int = 100_000, n_people: int = 15) -> tuple[int, float]:
    """Marks and processor seconds for that many marks on one image, craters as dense as on the others."""
    n_craters = int(n_marks / n_people / 0.75 / 1.11)
    world = craters(0.05, 1, n_people, 1, n_craters, width=1000 * np.sqrt(n_craters / 60))
    columns, views = world.columns()
    start = time.process_time()
    core.consensus(columns, views)
    return len(world.marks), time.process_time() - start
