"""What each contributor of a project did, beside what the others did on the same tasks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from microtasks.core.suspicion import Record
from microtasks.core.tasktype import TaskType
from microtasks.engine.site import Site
from microtasks.store.results import consensus as stored
from microtasks.store.results import counted_answers
from microtasks.store.results.answer_arrays import Read

Score = Callable[[Any, Any], float]


@dataclass(frozen=True, slots=True)
class Work:
    """One contributor's. score: sum over `n_scored` answers that had a consensus. seconds: where known."""

    n_answers: int
    score: float
    n_scored: int
    seconds: list[float]
    record: Record


NOTHING = Work(0, 0.0, 0, [], Record(0))


def of_columns(site: Site, arrays: Read, score: Score) -> dict[str, Work]:
    """Of answers that are columns; score(value, the consensus' value): 0..1.

    Each different pair of an answer and a consensus is scored once.
    """
    import numpy as np

    n_people, n_spoken = len(arrays.people), len(arrays.spoken)
    person, n = arrays.person, np.bincount(arrays.person, minlength=n_people)
    value_of, values = stored.values(site.db, arrays.task_ids)
    is_value = np.array([one.value is not None for one in arrays.spoken], bool)
    rows = (value_of[arrays.task] >= 0) & is_value[arrays.said] if len(person) else np.zeros(0, bool)
    pairs = arrays.said[rows].astype(np.int64) * max(len(values), 1) + value_of[arrays.task[rows]]
    unique, place = np.unique(pairs, return_inverse=True)
    scores = [score(arrays.spoken[k // len(values)].value, values[k % len(values)]) for k in unique.tolist()]
    total = np.bincount(person[rows], weights=np.array(scores)[place], minlength=n_people)
    n_scored = np.bincount(person[rows], minlength=n_people)

    # Their most frequent answer, and how often others gave it on the same tasks.
    own, n_own = np.unique(person.astype(np.int64) * n_spoken + arrays.said, return_counts=True)
    order = np.lexsort((own, -n_own, own // n_spoken))
    first = order[np.unique(own[order] // n_spoken, return_index=True)[1]]
    mode, n_same = own[first] % n_spoken, n_own[first]
    said_of, n_said = np.unique(arrays.task.astype(np.int64) * n_spoken + arrays.said, return_counts=True)
    wanted = arrays.task.astype(np.int64) * n_spoken + mode[person]
    at = np.minimum(np.searchsorted(said_of, wanted), max(len(said_of) - 1, 0))
    same = np.where(said_of[at] == wanted, n_said[at], 0)
    n_of = np.bincount(arrays.task, minlength=len(arrays.task_ids))
    others_same = np.bincount(person, weights=same, minlength=n_people) - n_same
    n_others = np.bincount(person, weights=n_of[arrays.task] - 1, minlength=n_people)

    timed = np.flatnonzero(~np.isnan(arrays.seconds))
    timed = timed[np.lexsort((arrays.seconds[timed], person[timed]))]
    seconds = arrays.seconds[timed].astype(float)
    usual = float(np.median(seconds)) if len(seconds) else None
    ends = np.cumsum(np.bincount(person[timed], minlength=n_people)).tolist()
    work = {}
    for k, name in enumerate(arrays.people):
        mine = seconds[ends[k - 1] if k else 0 : ends[k]].tolist()
        record = Record(
            n_answers=int(n[k]),
            same_share=float(n_same[k] / n[k]),
            others_same_share=float(others_same[k] / n_others[k]) if n_others[k] else 1.0,
            seconds=mine,
            others_seconds=usual,
        )
        work[name] = Work(int(n[k]), float(total[k]), int(n_scored[k]), mine, record)
    return work


@dataclass(slots=True)
class _Marked:
    """What one contributor marked, gathered answer by answer."""

    n_answers: int = 0
    scores: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)
    tasks: list[int] = field(default_factory=list)
    n_marks: dict[int, int] = field(default_factory=dict)
    sizes: Counter[float] = field(default_factory=Counter)


def of_marks(site: Site, project_id: int, task_type: TaskType[Any, Any, Any], config: Any) -> dict[str, Work]:
    """Of marks, which are hardly ever the same: what may be said always is "nothing here"."""
    part = next(it for it in task_type.parts(config) if it.kind == "marks")
    work: dict[str, _Marked] = defaultdict(_Marked)
    n_of: Counter[int] = Counter()
    said_of: Counter[tuple[int, str]] = Counter()
    marks_of: dict[int, list[int]] = defaultdict(list)
    for answer in counted_answers.each_timed_answer(site.db, project_id):
        mine = work[answer.contributor]
        mine.n_answers += 1
        if answer.seconds is not None:
            mine.seconds.append(answer.seconds)
        mine.tasks.append(answer.task_id)
        n_of[answer.task_id] += 1
        if answer.value is None:
            mine.said[answer.kind] += 1
            said_of[answer.task_id, answer.kind] += 1
            continue
        if answer.task_value is not None:
            mine.scores.append(task_type.score(answer.value, answer.task_value, config))
        marks = part.answered(answer.value)
        if marks is None:
            continue  # answered in another way, which says nothing of how one marks
        if not marks:
            mine.said[answer.kind] += 1
            said_of[answer.task_id, answer.kind] += 1
        mine.n_marks[answer.task_id] = len(marks)
        mine.sizes.update(mark["r"] for mark in marks if "r" in mark)
        marks_of[answer.task_id].append(len(marks))
    times = [seconds for mine in work.values() for seconds in mine.seconds]
    usual = median(times) if times else None
    sizes = sum((mine.sizes for mine in work.values()), Counter())
    return {name: _work(mine, n_of, said_of, marks_of, sizes, usual) for name, mine in work.items()}


def _work(
    mine: _Marked,
    n_of: Counter[int],
    said_of: Counter[tuple[int, str]],
    marks_of: dict[int, list[int]],
    sizes: Counter[float],
    usual: float | None,
) -> Work:
    n_others = sum(n_of[task] - 1 for task in mine.tasks)
    kind, n_same = mine.said.most_common(1)[0] if mine.said else ("empty", 0)
    others_same = sum(said_of[task, kind] for task in mine.tasks) - n_same
    of_size, n_size = mine.sizes.most_common(1)[0] if mine.sizes else (0.0, 0)
    n_other_sizes = sizes.total() - mine.sizes.total()
    record = Record(
        n_answers=mine.n_answers,
        same_share=n_same / mine.n_answers,
        others_same_share=others_same / n_others if n_others else 1.0,
        seconds=mine.seconds,
        others_seconds=usual,
        marks=list(mine.n_marks.values()),
        others_marks=[_others_median(marks_of[task], n) for task, n in mine.n_marks.items()],
        n_sizes=mine.sizes.total(),
        one_size_share=n_size / mine.sizes.total() if mine.sizes else 0.0,
        others_one_size_share=(sizes[of_size] - n_size) / n_other_sizes if n_other_sizes else 1.0,
    )
    return Work(mine.n_answers, sum(mine.scores), len(mine.scores), mine.seconds, record)


def _others_median(marks: list[int], own: int) -> float:
    """Median of the others' numbers of marks on an image; their own where nobody else saw it."""
    rest = sorted(marks)
    rest.remove(own)
    return float(median(rest)) if rest else float(own)
