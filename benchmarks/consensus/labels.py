"""Labels: accuracy and calibration on real sets with known truth, and speed on simulated answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.consensus.data import LabelSet
from microtasks.core.consensus import skill

GOLD_TASKS = 50
DRAWS = 10


def accuracy(scores: np.ndarray, gold: np.ndarray) -> float:
    """Expected accuracy in %: ties count as a part."""
    known = gold >= 0
    z = scores[known]
    top = z >= z.max(axis=1, keepdims=True) - 1e-9
    return float(100 * np.mean(top[np.arange(len(z)), gold[known]] / top.sum(axis=1)))


def calibration_error(posterior: np.ndarray, gold: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error in %: mean gap of stated and real accuracy over ten bins of confidence."""
    known = gold >= 0
    z = posterior[known]
    sure = z.max(axis=1)
    top = z >= sure[:, None] - 1e-9
    right = top[np.arange(len(z)), gold[known]] / top.sum(axis=1)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [
        (place == k).sum() * abs(sure[place == k].mean() - right[place == k].mean())
        for k in range(bins)
        if (place == k).any()
    ]
    return float(100 * sum(gaps) / len(z))


METHODS: dict[str, Callable[[skill.Votes], np.ndarray]] = {
    "majority": skill.counts,
    "confusion tables": lambda votes: skill.confusion(votes).posterior,
    "model": lambda votes: skill.fit(votes).posterior,
    "committee": lambda votes: skill.fit(votes, method="committee").posterior,
}


def table(sets: Sequence[LabelSet]) -> dict[str, tuple[list[float], float]]:
    """Accuracy of each method on each set, and its seconds in all."""
    rows = {}
    for name, method in METHODS.items():
        start = time.perf_counter()
        results = [method(each.votes) for each in sets]
        seconds = time.perf_counter() - start
        rows[name] = ([accuracy(z, each.gold) for z, each in zip(results, sets, strict=True)], seconds)
    rows |= crowdkit(sets)
    return rows


def crowdkit(sets: Sequence[LabelSet]) -> dict[str, tuple[list[float], float]]:
    """crowd-kit's majority and Dawid-Skene on the same sets, where it is installed."""
    try:
        import pandas
        from crowdkit.aggregation import DawidSkene, MajorityVote
    except ImportError:
        return {}
    rows = {}
    for name, make in (
        ("crowd-kit majority", MajorityVote),
        ("crowd-kit Dawid-Skene", lambda: DawidSkene(n_iter=100)),
    ):
        scores, seconds = [], 0.0
        for each in sets:
            votes = each.votes
            frame = pandas.DataFrame({"task": votes.task, "worker": votes.person, "label": votes.label})
            start = time.perf_counter()
            label = make().fit_predict(frame)
            seconds += time.perf_counter() - start
            z = np.zeros((votes.n_tasks, votes.n_labels))
            z[label.index, label.to_numpy()] = 1
            scores.append(accuracy(z, each.gold))
        rows[name] = (scores, seconds)
    return rows


def calibration(sets: Sequence[LabelSet]) -> dict[str, list[float]]:
    """Calibration error on each set: without gold, and with 50 gold tasks (measured on the others)."""
    without, with_gold, kept = [], [], []
    for each in sets:
        without.append(calibration_error(skill.fit(each.votes).posterior, each.gold))
        errors, right = [], []
        for seed in range(DRAWS):
            known = np.flatnonzero(each.gold >= 0)
            drawn = np.random.default_rng(seed).choice(known, GOLD_TASKS, replace=False)
            gold = np.full(len(each.gold), -1)
            gold[drawn] = each.gold[drawn]
            rest = each.gold.copy()
            rest[drawn] = -1
            posterior = skill.fit(each.votes, gold).posterior
            errors.append(calibration_error(posterior, rest))
            right.append(accuracy(posterior, rest))
        with_gold.append(float(np.mean(errors)))
        kept.append(float(np.mean(right)))
    return {"without gold": without, f"with {GOLD_TASKS} gold tasks": with_gold, "accuracy then": kept}


def simulated(n_answers: int) -> tuple[skill.Votes, np.ndarray]:
    """Answers of 5,000 people to tasks of ten answers and four labels, as read from a table by task."""
    rng = np.random.default_rng(0)
    n_tasks = n_answers // 10
    task = np.repeat(np.arange(n_tasks, dtype=np.int32), 10)
    person = rng.integers(0, 5000, n_answers, dtype=np.int32)
    truth = rng.integers(0, 4, n_tasks, dtype=np.int32)
    right = rng.random(n_answers) < rng.beta(6, 2, 5000)[person]
    label = np.where(right, truth[task], rng.integers(0, 4, n_answers, dtype=np.int32))
    return skill.sort(task, person, label, n_tasks, 5000, 4), truth


def speed(n_answers: int = 1_000_000) -> dict[str, float]:
    """Processor seconds of majority and model on that many answers; of crowd-kit's, where it is installed."""
    votes, _ = simulated(n_answers)

    def best(run: Callable[[], object], n: int = 5) -> float:
        times = []
        for _ in range(n):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
        return min(times)

    rows = {
        "majority": best(lambda: skill.counts(votes).argmax(axis=1)),
        "model": best(lambda: skill.fit(votes).posterior.argmax(axis=1)),
    }
    try:
        import pandas
        from crowdkit.aggregation import DawidSkene, MajorityVote
    except ImportError:
        return rows
    frame = pandas.DataFrame({"task": votes.task, "worker": votes.person, "label": votes.label})
    rows["crowd-kit majority"] = best(lambda: MajorityVote().fit_predict(frame), 2)
    # tol=0: all ten rounds, as in the published comparison; it would stop earlier on answers this good.
    rows["crowd-kit Dawid-Skene, 10 rounds"] = best(
        lambda: DawidSkene(n_iter=10, tol=0).fit_predict(frame), 2
    )
    return rows
