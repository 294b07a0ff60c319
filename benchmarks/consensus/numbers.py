"""Numbers: mean absolute error against known values, beside mean, median, GTM and CRH; with junk, too.

    python -m benchmarks.consensus.numbers FOLDER

FOLDER holds datasets/num_*/{answers,gold}.csv (task,worker,value and task,value).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.consensus import data
from microtasks.core.consensus import precision

SETS = ("num_wordsim", "num_anger", "num_joy", "num_surprise")
#: The answers of num_wordsim go to 10, its known values to 4.
GOLD_TIMES = {"num_wordsim": 2.5}
JUNK = (-100.0, 100.0, 0.0, 999.0)
#: What the leave-one-set-out choice chooses from.
GRID = tuple(product((6.0, 8.0, 10.0, 12.0, 15.0), (20.0, 40.0, 80.0, 160.0)))


@dataclass(frozen=True)
class NumberSet:
    """Answers (task, person, value) and the known value of each task, nan where there is none."""

    name: str
    task: np.ndarray
    person: np.ndarray
    value: np.ndarray
    gold: np.ndarray

    def with_junk(self, share: float, seed: int, *, more: bool) -> NumberSet:
        """With that share of the answers made junk; `more`: as answers added by five people of their own."""
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(self.value))[: round(share * len(self.value))]
        junk = rng.choice(JUNK, len(rows))
        if not more:
            value = self.value.copy()
            value[rows] = junk
            return NumberSet(self.name, self.task, self.person, value, self.gold)
        people = self.person.max() + 1 + np.arange(len(rows)) % 5
        columns = zip((self.task, self.person, self.value), (self.task[rows], people, junk), strict=True)
        return NumberSet(self.name, *(np.r_[one, other] for one, other in columns), self.gold)

    def error(self, method: Method) -> float:
        """Mean absolute error over the tasks whose value is known."""
        return float(np.nanmean(np.abs(method(self) - self.gold)))


Method = Callable[[NumberSet], np.ndarray]


def sets(root: Path) -> list[NumberSet]:
    """The sets that are there."""
    found = []
    for name in SETS:
        folder = root / "datasets" / name
        if not (folder / "answers.csv").is_file():
            continue
        rows = data.read(folder / "answers.csv")
        truth = {row["task"]: float(row["value"]) for row in data.read(folder / "gold.csv")}
        task, person = data.number(row["task"] for row in rows), data.number(row["worker"] for row in rows)
        gold = np.array([truth.get(name, np.nan) for name in sorted(task)]) * GOLD_TIMES.get(name, 1.0)
        columns = ([task[row["task"]] for row in rows], [person[row["worker"]] for row in rows])
        value = np.array([float(row["value"]) for row in rows])
        found.append(NumberSet(name, *map(np.array, columns), value, gold))
    return found


def by_task(fold: Callable[[np.ndarray], float]) -> Method:
    """A method that folds the values of each task by themselves."""
    return lambda each: np.array([fold(each.value[each.task == task]) for task in range(each.task.max() + 1)])


def gtm(each: NumberSet, rounds: int = 50) -> np.ndarray:
    """The Gaussian truth model (Zhao and Han 2012), with its authors' priors on standardised values."""
    centre, scale = each.value.mean(), each.value.std()
    value, n = (each.value - centre) / scale, each.task.max() + 1
    middle = np.bincount(each.task, value, n) / np.bincount(each.task, minlength=n)
    for _ in range(rounds):
        square = np.bincount(each.person, np.square(value - middle[each.task]))
        variance = (20 + square) / (22 + np.bincount(each.person))
        own = 1 / variance[each.person]
        middle = np.bincount(each.task, own * value, n) / (1 + np.bincount(each.task, own, n))
    return middle * scale + centre


def crh(each: NumberSet, rounds: int = 20) -> np.ndarray:
    """CRH (Li et al. 2014) with its normalised squared loss."""
    middle = by_task(np.median)(each)
    scale = np.maximum(by_task(np.std)(each), 1e-9)
    for _ in range(rounds):
        loss = np.square(each.value - middle[each.task]) / scale[each.task]
        mean = np.bincount(each.person, loss) / np.bincount(each.person)
        own = -np.log(np.maximum(mean, 1e-12) / mean.sum())[each.person]
        middle = np.bincount(each.task, own * each.value) / np.bincount(each.task, own)
    return middle


def ours(tail: float = precision.TAIL, prior: float = precision.PRIOR_ANSWERS) -> Method:
    """The model of the engine."""
    return lambda each: (
        precision.fit(
            each.task,
            each.person,
            each.value,
            each.task.max() + 1,
            each.person.max() + 1,
            tail=tail,
            prior_answers=prior,
        ).value
    )


METHODS: dict[str, Method] = {
    "mean": by_task(np.mean),
    "median (the vote)": by_task(np.median),
    "GTM": gtm,
    "CRH": crh,
    "model": ours(),
}


def left_out(known: list[NumberSet]) -> list[float]:
    """Error on each set of the constants that do best on the others, by the worst of these to the mean."""
    plain = METHODS["mean"]
    errors = np.array([[each.error(ours(*constants)) for each in known] for constants in GRID])
    relative = errors / [each.error(plain) for each in known]
    return [
        float(errors[np.delete(relative, place, axis=1).max(axis=1).argmin(), place])
        for place in range(len(known))
    ]


def table(root: Path, seeds: int = 3) -> dict[str, list[float]]:
    """By method: error on each set, the mean, and that with 10 % junk instead of and besides answers."""
    known = sets(root)
    if not known:
        return {}
    rows = {}
    for name, method in METHODS.items():
        plain = [each.error(method) for each in known]
        junk = [
            np.mean(
                [one.with_junk(0.1, seed, more=more).error(method) for seed in range(seeds) for one in known]
            )
            for more in (False, True)
        ]
        rows[name] = [*plain, float(np.mean(plain)), *map(float, junk)]
    chosen = left_out(known)
    rows["model, constants chosen on the others"] = [*chosen, float(np.mean(chosen)), np.nan, np.nan]
    return rows


if __name__ == "__main__":
    for name, figures in table(Path(sys.argv[1])).items():
        print(f"{name:40s}", *(f"{figure:8.2f}" for figure in figures))
