"""How much people agree in a project, and how each volunteer works. Read only; made anew each time."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import orjson

from microtasks import tasktypes
from microtasks.core import gold as gold_rules
from microtasks.core.errors import NotFound
from microtasks.core.habits import Habit, Record, habits
from microtasks.core.tasktype import TaskType
from microtasks.engine.site import Site
from microtasks.store import consensus as stored
from microtasks.store.consensus import Timed

if TYPE_CHECKING:
    from microtasks.core.agreement import Agreement

#: A newcomer counts as the average volunteer: the crowd's mean weighs as much as this many tasks.
CROWD_TASKS = 4.0
#: The same draws each time, so that the same answers give the same interval.
SEED = 20110101


@dataclass(frozen=True, slots=True)
class Volunteer:
    """How one contributor works.

    skill: mean score of their answers against the consensus, shrunk to the crowd's. gold_score: likewise
    against known tasks; None where they met none. habits: see core.habits; whoever has one deserves a look
    before their answers weigh. seconds: median time on a task.
    """

    contributor: str
    n_answers: int
    skill: float | None
    gold_score: float | None
    n_gold: int
    seconds: float | None
    habits: tuple[Habit, ...]


@dataclass(slots=True)
class _Work:
    """What one contributor did, gathered answer by answer."""

    n_answers: int = 0
    scores: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    said: Counter[int] = field(default_factory=Counter)
    tasks: array[int] = field(default_factory=lambda: array("q"))
    n_marks: dict[int, int] = field(default_factory=dict)
    sizes: Counter[float] = field(default_factory=Counter)
    gold: list[float] = field(default_factory=list)


def agreement(site: Site, project_id: int) -> dict[str, Agreement]:
    """Return the agreement statistics of each field, choice or tag of a project, by name.

    Raises NotFound when there is no such project. Loads numpy: for workers and the command line.
    """
    import numpy as np

    from microtasks.core import agreement as core

    task_type, config = _type(site, project_id)
    scales = task_type.scales(config)
    columns = {name: {label: k for k, label in enumerate(scale.labels)} for name, scale in scales.items()}
    tasks: dict[int, int] = {}
    cells: dict[str, array[int]] = {name: array("q") for name in scales}
    for answer in stored.timed(site.db, project_id):
        if answer.value is None or answer.is_excluded:
            continue
        task = tasks.setdefault(answer.task_id, len(tasks))
        for name, label in task_type.labels(answer.value, config).items():
            column = columns.get(name, {}).get(label)
            if column is not None:  # of an earlier config: no longer asked
                cells[name].append(task * len(columns[name]) + column)
    found = {}
    for name, scale in scales.items():
        n_labels = len(scale.labels)
        where = np.array(cells[name], np.int64)
        counts = np.bincount(where, minlength=len(tasks) * n_labels).reshape(-1, n_labels).astype(float)
        found[name] = core.agreement(counts, scale.metric, rng=np.random.default_rng(SEED))
    return found


def volunteers(site: Site, project_id: int) -> list[Volunteer]:
    """Return how every contributor of a project works, in the order of their names.

    1. Read all answers beside the consensus. 2. Score them. 3. Compare each with the others on the same
    tasks. Raises NotFound when there is no such project.
    """
    task_type, config = _type(site, project_id)
    work: dict[str, _Work] = defaultdict(_Work)
    values: dict[bytes, int] = {}
    said_of: Counter[tuple[int, int]] = Counter()
    n_of: Counter[int] = Counter()
    marks_of: dict[int, list[int]] = defaultdict(list)
    for answer in stored.timed(site.db, project_id):
        mine = work[answer.contributor]
        _take(mine, answer, task_type, config)
        value = values.setdefault(_spelling(answer), len(values))
        mine.said[value] += 1
        mine.tasks.append(answer.task_id)
        said_of[answer.task_id, value] += 1
        n_of[answer.task_id] += 1
        if answer.task_id in mine.n_marks:
            marks_of[answer.task_id].append(mine.n_marks[answer.task_id])
    for contributor, said, right in stored.checks(site.db, project_id):
        work[contributor].gold.append(task_type.score(said, right, config))

    scores = [score for mine in work.values() for score in mine.scores]
    crowd = sum(scores) / len(scores) if scores else 0.0
    times = sorted(seconds for mine in work.values() for seconds in mine.seconds)
    usual = median(times) if times else None
    sizes = sum((mine.sizes for mine in work.values()), Counter())
    found = []
    for contributor in sorted(work):
        mine = work[contributor]
        record = _record(mine, said_of, n_of, marks_of, sizes, usual)
        n = len(mine.scores)
        found.append(
            Volunteer(
                contributor,
                mine.n_answers,
                round((sum(mine.scores) + CROWD_TASKS * crowd) / (n + CROWD_TASKS), 6) if scores else None,
                round(gold_rules.score(sum(mine.gold), len(mine.gold)), 6) if mine.gold else None,
                len(mine.gold),
                median(mine.seconds) if mine.seconds else None,
                tuple(habits(record)),
            )
        )
    return found


def _type(site: Site, project_id: int) -> tuple[TaskType[Any, Any, Any], Any]:
    with site.db.connection() as connection:
        facts = stored.facts_of_project(connection, project_id)
    if facts is None:
        raise NotFound("There is no such project.")
    task_type = tasktypes.get(facts.task_type)
    return task_type, task_type.parse_config(facts.config)


def _take(mine: _Work, answer: Timed, task_type: TaskType[Any, Any, Any], config: Any) -> None:
    mine.n_answers += 1
    if answer.seconds is not None:
        mine.seconds.append(answer.seconds)
    if answer.value is None:
        return
    if answer.task_value is not None:
        mine.scores.append(task_type.score(answer.value, answer.task_value, config))
    if task_type.mark_columns(config):
        marks = answer.value["marks"]
        mine.n_marks[answer.task_id] = len(marks)
        mine.sizes.update(mark["r"] for mark in marks if "r" in mark)


def _spelling(answer: Timed) -> bytes:
    return orjson.dumps([answer.kind == "cant_tell", answer.value], option=orjson.OPT_SORT_KEYS)


def _record(
    mine: _Work,
    said_of: Mapping[tuple[int, int], int],
    n_of: Mapping[int, int],
    marks_of: Mapping[int, list[int]],
    sizes: Counter[float],
    usual: float | None,
) -> Record:
    """One contributor's work beside the others' on the same tasks."""
    value, n_same = mine.said.most_common(1)[0] if mine.said else (0, 0)
    # What others said on these tasks: all answers less this contributor's own.
    n_others = sum(n_of[task] - 1 for task in mine.tasks)
    others_same = sum(said_of.get((task, value), 0) for task in mine.tasks) - n_same
    of_size, n_size = mine.sizes.most_common(1)[0] if mine.sizes else (0.0, 0)
    n_other_sizes = sizes.total() - mine.sizes.total()
    return Record(
        n_answers=mine.n_answers,
        same_share=n_same / mine.n_answers if mine.n_answers else 0.0,
        others_same_share=others_same / n_others if n_others else 1.0,
        seconds=mine.seconds,
        others_seconds=usual,
        marks=list(mine.n_marks.values()),
        others_marks=[_others_median(marks_of[task], n) for task, n in mine.n_marks.items()],
        n_sizes=mine.sizes.total(),
        one_size_share=n_size / mine.sizes.total() if mine.sizes else 0.0,
        others_one_size_share=(sizes[of_size] - n_size) / n_other_sizes if n_other_sizes else 1.0,
    )


def _others_median(marks: list[int], own: int) -> float:
    """Median of the others' numbers of marks on an image; their own where nobody else saw it."""
    rest = sorted(marks)
    rest.remove(own)
    return float(median(rest)) if rest else float(own)
