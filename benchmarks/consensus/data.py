"""Read the real sets: labels, marks, texts. A folder that is missing is left out of the tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from microtasks.core.consensus import skill
from microtasks.core.marks import objects

LABEL_SETS = (
    "bluebirds",
    "rte",
    "dog",
    "web",
    "face",
    "sentiment",
    "adult",
    "music",
    "zencrowd_all",
    "zencrowd_in",
    "zencrowd_us",
    "product",
    "labelme",
    "leaves",
    "fej2013",
)


@dataclass(frozen=True)
class LabelSet:
    """Answers and the known truth: gold[task] is a label or -1."""

    name: str
    votes: skill.Votes
    gold: np.ndarray


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def labels(root: Path, names: Iterable[str] = LABEL_SETS) -> list[LabelSet]:
    """The sets of labels that are there."""
    sets = []
    for name in names:
        folder = root / "datasets" / name
        if not (folder / "answers.csv").is_file():
            continue
        rows = read(folder / "answers.csv")
        truth = {row["task"]: row["label"] for row in read(folder / "gold.csv")}
        task = number(row["task"] for row in rows)
        person = number(row["worker"] for row in rows)
        label = number([row["label"] for row in rows] + list(truth.values()))
        gold = np.full(len(task), -1)
        for key, value in truth.items():
            if key in task:
                gold[task[key]] = label[value]
        columns = (
            np.array([index[row[key]] for row in rows], np.int32)
            for index, key in ((task, "task"), (person, "worker"), (label, "label"))
        )
        sets.append(LabelSet(name, skill.sort(*columns, len(task), len(person), len(label)), gold))
    return sets


def number(keys: Iterable[str]) -> dict[str, int]:
    """Sorted keys, counted from 0."""
    return {key: place for place, key in enumerate(sorted(set(keys)))}


@dataclass(frozen=True)
class MarkSet:
    """Marks by image and person, who saw what, and the true objects (image, x, y, r), as arrays."""

    name: str
    marks: np.ndarray  # image, person, x, y, r (r is nan for points)
    views: np.ndarray  # image, person
    truth: np.ndarray  # image, x, y, r
    is_points: bool

    def with_people(self, n: int, seed: int) -> MarkSet:
        """A draw of n people an image."""
        rng = np.random.default_rng(seed)
        chosen = []
        for image in np.unique(self.views[:, 0]):
            people = np.sort(self.views[self.views[:, 0] == image, 1])
            chosen += [(image, p) for p in rng.permutation(people)[:n]]
        keep = set(chosen)
        kept = np.array([(int(i), int(p)) in keep for i, p in self.marks[:, :2]])
        return MarkSet(self.name, self.marks[kept], np.array(sorted(keep)), self.truth, self.is_points)

    def columns(self) -> tuple[objects.Marks, objects.Views]:
        """As the engine's columns."""
        views = objects.Views.whole(self.views[:, 0], self.views[:, 1])
        place = {(int(i), int(p)): row for row, (i, p) in enumerate(self.views)}
        view = np.array([place[int(i), int(p)] for i, p in self.marks[:, :2]], np.int64)
        size = np.empty((len(view), 0)) if self.is_points else np.maximum(self.marks[:, 4:5], 0.5)
        return objects.Marks(views.image[view], view, self.marks[:, 2], self.marks[:, 3], size), views


def mark_set(folder: Path) -> MarkSet:
    """A folder with marks.csv, views.csv and gold_marks.csv; images without gold are left out."""
    gold = read(folder / "gold_marks.csv")
    image = number(row["task"] for row in gold)
    rows = [row for row in read(folder / "marks.csv") if row["task"] in image]
    seen = [row for row in read(folder / "views.csv") if row["task"] in image]
    person = number([row["worker"] for row in rows] + [row["worker"] for row in seen])
    is_points = not any(row["r"] for row in rows)

    def r(row: dict[str, str]) -> float:
        return float(row["r"]) if row["r"] else np.nan

    table = [(image[w["task"]], person[w["worker"]], float(w["x"]), float(w["y"]), r(w)) for w in rows]
    views = {(image[w["task"]], person[w["worker"]]) for w in seen} | {t[:2] for t in table}
    truth = [(image[w["task"]], float(w["x"]), float(w["y"]), r(w)) for w in gold]
    return MarkSet(folder.name, np.array(table), np.array(sorted(views)), np.array(truth), is_points)
