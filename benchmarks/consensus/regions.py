"""Regions of marks: do 95 % of them hold an expert's mark, in place and in size, and how wide are they?

    python -m benchmarks.consensus.regions FOLDER

FOLDER as for `benchmarks.consensus`. "Chosen on the others": the floors are those that hold 95.5 % on the
mean of the other sets of circles. "With gold": on one half of the images, where the right marks of the other
half are known; mean of both halves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.consensus import data, marks
from microtasks.core.marks import regions
from microtasks.core.marks.mark_types import Objects

CASES = (
    ("real/mars_craters", (3, 6)),
    ("datasets/cells_mitosis", (3, 5, 10)),
    ("datasets/cells_asthma", (3, 5, 10)),
    ("datasets/fish_spots", (5, 10, 24)),
)
AIM = 0.955
POSITION_FLOORS = np.round(np.arange(0.3, 1.01, 0.05), 2)
SIZE_FLOORS = np.round(np.geomspace(0.003, 0.04, 12), 4)

#: Name of the set, people an image, the set, and what its marks add up to.
Case = tuple[str, int, data.MarkSet, Objects]


def cases(root: Path) -> list[Case]:
    """The sets that are there, each with several numbers of people an image."""
    return [
        (path.rsplit("/", 1)[1], n, whole, marks.ours(whole.with_people(n, 0)))
        for path, counts in CASES
        if (root / path / "marks.csv").is_file()
        for whole in [data.mark_set(root / path)]
        for n in counts
    ]


def covers(case: Case, **floors: float) -> tuple[float, float]:
    """Share of the regions of place and of size that hold the known mark, with these floors."""
    _, _, whole, objects = case
    return marks.coverage(
        whole.truth, replace(objects, scale=replace(objects.scale, **floors)), whole.is_points
    )


def with_gold(case: Case) -> np.ndarray:
    """The same on one half of the images, fitted to the known marks of the other half."""
    _, _, whole, objects = case
    images = np.unique(whole.truth[:, 0])
    rows = []
    for half in (0, 1):
        known = np.isin(whole.truth[:, 0], images[half::2])
        right = whole.truth[known]
        size = np.empty((len(right), 0)) if whole.is_points else right[:, 3:4]
        fitted = regions.fitted(objects, right[:, 0].astype(np.int64), right[:, 1], right[:, 2], size)
        rows.append(marks.coverage(whole.truth[~known], fitted, whole.is_points))
    return np.mean(rows, axis=0)


def left_out(known: list[Case]) -> dict[str, tuple[float, float]]:
    """By name of each set of circles: floors of place and size that hold AIM on the mean of the others."""
    circles = [case for case in known if not case[2].is_points]
    names = sorted({case[0] for case in circles})
    place = {(c[0], c[1]): [covers(c, position_floor=f)[0] for f in POSITION_FLOORS] for c in circles}
    size = {(c[0], c[1]): [covers(c, size_floor=f)[1] for f in SIZE_FLOORS] for c in circles}

    def best(table: dict[tuple[str, int], list[float]], name: str, floors: np.ndarray) -> float:
        means = [
            np.mean([row for key, row in table.items() if key[0] == other], axis=0)
            for other in names
            # Where everybody draws one size there is nothing to learn about sizes.
            if other != name and min(map(min, (r for k, r in table.items() if k[0] == other))) < 1
        ]
        if not means:
            return float("nan")
        return float(floors[np.abs(np.mean(means, axis=0) - AIM).argmin()])

    return {name: (best(place, name, POSITION_FLOORS), best(size, name, SIZE_FLOORS)) for name in names}


def table(root: Path) -> Iterator[list[object]]:
    """One row a case: shares held without gold, with floors of the others, with gold; median widths."""
    known = cases(root)
    floors = left_out(known)
    for case in known:
        name, n_people, whole, objects = case
        kept = objects.is_accepted
        place, size = covers(case)
        gold = with_gold(case)
        others: list[object] = ["", ""]
        if name in floors:
            position_floor, size_floor = floors[name]
            others = [covers(case, position_floor=position_floor)[0], covers(case, size_floor=size_floor)[1]]
        width = 2.4477 * objects.position_sd[kept]
        relative = np.median(width if whole.is_points else width / (2 * objects.radius[kept]))
        size_sd = np.median(objects.log_size_sd[kept]) if not whole.is_points else np.nan
        yield [f"{name}, {n_people} people", place, size, *others, gold[0], gold[1], relative, size_sd]


HEADER = (
    "case",
    "place",
    "size",
    "place, floor chosen on the others",
    "size, floor chosen on the others",
    "place, with gold",
    "size, with gold",
    "radius of the region (diameters; fish: px)",
    "sd of ln(size)",
)

if __name__ == "__main__":
    for row in table(Path(sys.argv[1])):
        print(f"{row[0]!s:28s}", *(f"{v:7.3f}" if isinstance(v, float) else f"{v!s:>7}" for v in row[1:]))
