"""How much people agree in a project, and how each volunteer works. Read only; made anew each time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from microtasks import tasktypes
from microtasks.core import gold as gold_rules
from microtasks.core.errors import NotFound
from microtasks.core.suspicion import Habit, habits
from microtasks.core.tasktype import TaskType
from microtasks.engine.results import track_records
from microtasks.engine.results.aggregate import weighing
from microtasks.engine.site import Site
from microtasks.store.results import answer_arrays, counted_answers, reduction
from microtasks.store.results import consensus as stored
from microtasks.store.results.answer_arrays import Read

if TYPE_CHECKING:
    import numpy as np

    from microtasks.core.columnar import Columns
    from microtasks.core.consensus.agreement import Agreement

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


def agreement(site: Site, project_id: int, arrays: Columns | None = None) -> dict[str, Agreement]:
    """Return the agreement statistics of each field, choice, tag or number of a project, by name.

    found: the answers that weigh, if they were read already. Of marks: whether the objects that were found or
    thought possible are there, between those who saw them. Loads numpy: for workers and the command line.
    Raises NotFound when there is no such project.
    """
    import numpy as np

    from microtasks.core.consensus import agreement as core

    task_type, config = _type(site, project_id)

    def rng() -> np.random.Generator:
        return np.random.default_rng(SEED)

    if not task_type.columnar:
        lists = task_type.object_lists
        marked = stored.mark_counts(site.db, project_id, lists) if lists else []
        return {"marks": core.agreement(np.array(marked, float), rng=rng())} if marked else {}
    if arrays is None:
        arrays = weighing(site, project_id, answer_arrays.read(site.db, project_id))
    statistics = {}
    labels = [{} if one.value is None else task_type.labels(one.value, config) for one in arrays.spoken]
    for name, scale in task_type.scales(config).items():
        place = {label: k for k, label in enumerate(scale.labels)}
        # -1: not asked, can't tell, or of an earlier config and no longer offered
        column = np.array([place.get(each.get(name, ""), -1) for each in labels], np.int64)[arrays.said]
        rows = column >= 0
        cells = arrays.task[rows].astype(np.int64) * len(place) + column[rows]
        counts = np.bincount(cells, minlength=arrays.n_tasks * len(place)).reshape(-1, len(place))
        statistics[name] = core.agreement(counts.astype(float), scale.metric, rng=rng())
    numbers = [{} if one.value is None else task_type.numbers(one.value, config) for one in arrays.spoken]
    for name in sorted({name for each in numbers for name in each}):
        value = np.array([each.get(name, np.nan) for each in numbers])[arrays.said]
        rows = ~np.isnan(value)
        statistics[name] = core.of_numbers(arrays.task[rows], value[rows], arrays.n_tasks, rng())
    return statistics


#: A matrix with more labels than this is nothing to look at.
MOST_LABELS = 40


def confusions(site: Site, project_id: int, arrays: Columns) -> dict[str, dict[str, Any]]:
    """What was said where the consensus is what, by name of a scale: `labels`, and `counts` of answers.

    counts[consensus][said]. Left out: scales with more than MOST_LABELS labels, answers to tasks that have no
    consensus. Loads numpy: for workers and the command line.
    """
    import numpy as np

    task_type, config = _type(site, project_id)
    numbers, values = stored.values(site.db, arrays.task_ids)
    labels_by_value = [
        {} if one.value is None else task_type.labels(one.value, config) for one in arrays.spoken
    ]
    held = [task_type.labels(value, config) for value in values]
    matrices = {}
    for name, scale in task_type.scales(config).items():
        n_labels = len(scale.labels)
        if n_labels > MOST_LABELS or not labels_by_value or not held:
            continue
        place = {label: k for k, label in enumerate(scale.labels)}
        said_label = np.array([place.get(each.get(name, ""), -1) for each in labels_by_value], np.int64)[
            arrays.said
        ]
        of_value = np.array([place.get(each.get(name, ""), -1) for each in held], np.int64)
        held_label = np.where(numbers >= 0, of_value[numbers], -1)[arrays.task]
        rows = (said_label >= 0) & (held_label >= 0)
        cells = held_label[rows] * n_labels + said_label[rows]
        counts = np.bincount(cells, minlength=n_labels**2).reshape(n_labels, n_labels)
        matrices[name] = {"labels": list(scale.labels), "counts": counts.tolist()}
    return matrices


def rarefactions(site: Site, project_id: int, arrays: Columns) -> dict[str, dict[str, Any]]:
    """How many answers would have been enough, by name of a scale: see core.consensus.rarefaction.

    Loads numpy: for workers and the command line.
    """
    import numpy as np

    from microtasks.core.consensus import rarefaction

    task_type, config = _type(site, project_id)
    labels_by_value = [
        {} if one.value is None else task_type.labels(one.value, config) for one in arrays.spoken
    ]
    curves = {}
    for name, scale in task_type.scales(config).items() if labels_by_value else ():
        place = {label: k for k, label in enumerate(scale.labels)}
        label = np.array([place.get(each.get(name, ""), -1) for each in labels_by_value], np.int64)[
            arrays.said
        ]
        rows = label >= 0
        rng = np.random.default_rng(SEED)
        curve = rarefaction.curve(arrays.task[rows], label[rows], arrays.n_tasks, len(place), rng)
        if curve is not None:
            curves[name] = {"n_tasks": curve.n_tasks, "points": [one._asdict() for one in curve.points]}
    return curves


def overall(statistics: Mapping[str, Mapping[str, Any]]) -> float | None:
    """One figure for a project: mean alpha of its fields, each by the number of its answers."""
    alphas = [(each["alpha"], each["n_answers"]) for each in statistics.values()]
    alphas = [(alpha, n) for alpha, n in alphas if alpha is not None]
    n_all = sum(n for _, n in alphas)
    return round(sum(alpha * n for alpha, n in alphas) / n_all, 6) if n_all else None


def volunteers(site: Site, project_id: int, arrays: Read | None = None) -> list[Volunteer]:
    """Return how every contributor of a project works, in the order of their names.

    found: all counted answers, if they were read already. 1. Score them against the consensus. 2. Compare
    each contributor with the others on the same tasks. Raises NotFound when there is no such project.
    """
    task_type, config = _type(site, project_id)
    if task_type.columnar:
        work = track_records.of_columns(
            site, arrays or answer_arrays.read(site.db, project_id), partial(task_type.score, config=config)
        )
    else:
        work = track_records.of_marks(site, project_id, task_type, config)
    gold: dict[str, list[float]] = defaultdict(list)
    for contributor, value, right in counted_answers.each_gold_answer(site.db, project_id):
        gold[contributor].append(task_type.score(value, right, config))
    n_all = sum(mine.n_scored for mine in work.values())
    crowd = math.fsum(mine.score for mine in work.values()) / n_all if n_all else 0.0
    judged = []
    for contributor in sorted({*work, *gold}):
        mine = work.get(contributor, track_records.NOTHING)
        checks = gold.get(contributor, [])
        skill = (mine.score + CROWD_TASKS * crowd) / (mine.n_scored + CROWD_TASKS)
        judged.append(
            Volunteer(
                contributor,
                mine.n_answers,
                round(skill, 6) if n_all else None,
                round(gold_rules.score(sum(checks), len(checks)), 6) if checks else None,
                len(checks),
                median(mine.seconds) if mine.seconds else None,
                tuple(habits(mine.record)),
            )
        )
    return judged


def _type(site: Site, project_id: int) -> tuple[TaskType[Any, Any, Any], Any]:
    with site.db.connection() as connection:
        facts = reduction.settings_of_project(connection, project_id)
    if facts is None:
        raise NotFound("There is no such project.")
    task_type = tasktypes.get(facts.task_type)
    return task_type, task_type.parse_config(facts.config)
