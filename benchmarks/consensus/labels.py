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


def dawid_skene(votes: skill.Votes, rounds: int = 100) -> np.ndarray:
    """The plain model of 1979: a table a volunteer, no hierarchy, run until it settles."""
    cell = votes.person.astype(np.int64) * votes.n_labels + votes.label
    z = skill.counts(votes)
    z /= np.maximum(z.sum(axis=1, keepdims=True), 1)
    for _ in range(rounds):
        tables = np.full((votes.n_people * votes.n_labels, votes.n_labels), 0.01)
        np.add.at(tables, cell, z[votes.task])
        tables = tables.reshape(votes.n_people, votes.n_labels, votes.n_labels)
        log_rows = np.log(tables / tables.sum(axis=1, keepdims=True)).reshape(-1, votes.n_labels)
        scores = np.zeros_like(z)
        np.add.at(scores, votes.task, log_rows[cell])
        scores += np.log(z.mean(axis=0) + 1e-9)
        scores -= scores.max(axis=1, keepdims=True)
        new = np.exp(scores)
        new /= new.sum(axis=1, keepdims=True)
        has_settled = np.abs(new - z).max() < 1e-4
        z = new
        if has_settled:
            break
    return z


def earlier_model(votes: skill.Votes) -> np.ndarray:
    """What `model` was before: tables and vote, 3 to 7 in log odds; nobody won alone against two."""
    tables, vote = skill.confusion(votes, has_tables=False).posterior, skill.weighted_vote(votes)
    scores = 0.3 * np.log(tables + 1e-9) + 0.7 * np.log(vote)
    z = np.exp(scores - scores.max(axis=1, keepdims=True))
    return skill.without_lone_winners(z / z.sum(axis=1, keepdims=True), votes, 10**9)


METHODS: dict[str, Callable[[skill.Votes], np.ndarray]] = {
    "majority": skill.counts,
    "plain Dawid-Skene": dawid_skene,
    "volunteers' tables": lambda votes: skill.confusion(votes, has_tables=False).posterior,
    "kinds of items": skill.subtypes,
    "earlier model": earlier_model,
    "committee": lambda votes: skill.fit(votes, method="committee").posterior,
    "model": lambda votes: skill.fit(votes).posterior,
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
    earlier, without, with_gold, kept = [], [], [], []
    for each in sets:
        without.append(calibration_error(skill.fit(each.votes).posterior, each.gold))
        earlier.append(calibration_error(earlier_model(each.votes), each.gold))
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
    return {
        "earlier model": earlier,
        "without gold": without,
        f"with {GOLD_TASKS} gold tasks": with_gold,
        "accuracy then": kept,
    }


#: Tasks of a part of a set, and answers of each volunteer at most (0: as many as there are).
TASKS, RECORDS, PARTS = (10, 20, 50, 100, 300), (1, 5, 10, 20, 0), 8


def parts(sets: Sequence[LabelSet]) -> list[list[object]]:
    """Accuracy over the plain vote on random parts of the sets, whether or not it would decide there."""
    rows: list[list[object]] = []
    for n_tasks in TASKS:
        row: list[object] = [n_tasks]
        for record in RECORDS:
            gains = []
            for each in sets:
                if (each.gold >= 0).sum() < n_tasks:
                    continue
                for seed in range(PARTS):
                    votes, gold = part_of(each, n_tasks, record, seed)
                    learnt = skill.fit(votes, can_always_learn=True).posterior
                    gains.append(accuracy(learnt, gold) - accuracy(skill.counts(votes), gold))
            row.append(f"{np.mean(gains):+.1f}")
        rows.append(row)
    return rows


def part_of(each: LabelSet, n_tasks: int, record: int, seed: int) -> tuple[skill.Votes, np.ndarray]:
    """So many tasks with gold; volunteers with more answers than `record` are taken for several."""
    votes = each.votes
    known = np.flatnonzero(each.gold >= 0)
    kept = np.sort(np.random.default_rng(seed).permutation(known)[:n_tasks])
    number = np.full(votes.n_tasks, -1)
    number[kept] = np.arange(len(kept))
    rows = number[votes.task] >= 0
    person = votes.person[rows].astype(np.int64)
    if record:
        order = np.argsort(person, kind="stable")
        n = np.bincount(person, minlength=votes.n_people)
        nth = np.empty(len(person), np.int64)
        nth[order] = np.arange(len(person)) - (np.cumsum(n) - n)[person[order]]
        person = person * len(person) + nth // record
    person = np.unique(person, return_inverse=True)[1]
    task = number[votes.task[rows]]
    return (
        skill.sort(task, person, votes.label[rows], len(kept), int(person.max()) + 1, votes.n_labels),
        each.gold[kept],
    )


def simulated(n_answers: int, n_labels: int = 4) -> tuple[skill.Votes, np.ndarray]:
    """Answers of 5,000 people to tasks of ten answers, as read from a table by task."""
    rng = np.random.default_rng(0)
    n_tasks = n_answers // 10
    task = np.repeat(np.arange(n_tasks, dtype=np.int32), 10)
    person = rng.integers(0, 5000, n_answers, dtype=np.int32)
    truth = rng.integers(0, n_labels, n_tasks, dtype=np.int32)
    right = rng.random(n_answers) < rng.beta(6, 2, 5000)[person]
    label = np.where(right, truth[task], rng.integers(0, n_labels, n_answers, dtype=np.int32))
    return skill.sort(task, person, label, n_tasks, 5000, n_labels), truth


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
        "earlier model": best(lambda: earlier_model(votes).argmax(axis=1)),
    }
    two, _ = simulated(n_answers, 2)
    rows["model, two labels"] = best(lambda: skill.fit(two).posterior.argmax(axis=1))
    rows["earlier model, two labels"] = best(lambda: earlier_model(two).argmax(axis=1))
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
