"""What another setting would have cost and changed: the project's own answers, replayed in their order.

"With this setting you would have needed 31 % fewer answers and changed 4 of 2,000 results."
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from microtasks import tasktypes
from microtasks.core.errors import NotFound
from microtasks.core.stopping import COLD_ANSWERS, COLD_TASKS, Adaptive, Tables, cold_tables, outcome_of_all
from microtasks.core.tasktype import TaskType
from microtasks.core.values import Answer, Method
from microtasks.engine.assignment.stopping import add_up
from microtasks.engine.site import Site
from microtasks.store.db import now
from microtasks.store.results import counted_answers, reduction, reviews

#: Tasks (and answers) that are replayed at most; where answers are expensive to reduce, fewer.
MOST_TASKS, MOST_EXPENSIVE, MOST_ANSWERS = 2_000, 200, 40_000
#: Fewer finished tasks say nothing.
FEWEST_TASKS = 20
#: A replay is not made again before.
REST_SECONDS = 600
#: Two values that score less than this against each other are two results (marks); else any difference is.
ALIKE = 0.9


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to ask: `redundancy` answers, or at most so many and until sure (a level, 0..1)."""

    redundancy: int
    sure: float | None = None
    answers_min: int = 2


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a setting would have done to these tasks.

    n_had, n_needed: answers. n_changed: tasks whose result would have been another than with all answers.
    n_short: tasks on which it would have asked for more than there are: what that had given is not known.
    """

    redundancy: int
    sure: float | None
    n_tasks: int
    n_had: int
    n_needed: int
    n_changed: int
    n_short: int

    @property
    def saved(self) -> float:
        """Share of the answers that it would not have needed, 0..1."""
        return 1 - self.n_needed / self.n_had


def settings_to_compare(redundancy: int, can_be_sure: bool) -> list[Setting]:
    """Settings worth a comparison in a project that asks for so many answers at most."""
    fixed = [Setting(n) for n in (2, 3, 5, 7, 10, 15) if n < redundancy]
    levels = (0.8, 0.9, 0.95, 0.99) if can_be_sure and redundancy > 2 else ()
    return [*fixed[-4:], *(Setting(redundancy, sure=level) for level in levels)]


def replay(site: Site, project_id: int, settings: Iterable[Setting] | None = None) -> list[Replayed]:
    """Replay a project's finished tasks (of a large one a sample) under each setting, answer by answer.

    Without settings: those worth a comparison. An empty list: too few tasks are finished. How good volunteers
    are is taken from all these answers, so "stop when sure" is shown as it works once the crowd is known.
    Raises NotFound. Loads numpy: for workers and the command line.

    1. Read the sample. 2. Learn the tables. 3. Ask after each answer whether it would have been the last.
    4. Compare what these answers add up to with what all do, by the project's own method.
    """
    with site.db.connection() as connection:
        facts = reduction.settings_of_project(connection, project_id)
        if facts is None:
            raise NotFound("There is no such project.")
        task_type = tasktypes.get(facts.task_type)
        n_most = MOST_TASKS if task_type.columnar else MOST_EXPENSIVE
        # No task beyond what is bounded: each has at most as many answers as the project asks for, mostly.
        ids = counted_answers.sample(
            connection, project_id, min(n_most, MOST_ANSWERS // max(facts.redundancy, 1))
        )
        answers_by_task = counted_answers.in_order(connection, ids)
    config = task_type.parse_config(facts.config)
    tasks = {
        task: [Answer(who, cast(Any, kind), value) for who, kind, value in answers_by_task[task]]
        for task in ids
        if len(answers_by_task.get(task, ())) >= 2
    }
    if len(tasks) < FEWEST_TASKS:
        return []
    most = max(facts.redundancy, max(map(len, tasks.values())))
    wanted = list(settings or settings_to_compare(most, task_type.columnar))
    needed = _needed(task_type, config, tasks, wanted)
    method = cast(Method, facts.method)
    whole = _values(task_type, config, tasks, method)
    n_had = sum(map(len, tasks.values()))
    results = []
    for setting, ends in zip(wanted, needed, strict=True):
        first = {task: answers[: ends[task]] for task, answers in tasks.items()}
        values = _values(task_type, config, first, method)
        results.append(
            Replayed(
                setting.redundancy,
                setting.sure,
                len(tasks),
                n_had,
                sum(map(len, first.values())),
                sum(_differs(task_type, config, values[task], whole[task]) for task in tasks),
                sum(ends[task] > len(answers) for task, answers in tasks.items()),
            )
        )
    return results


def replay_and_store(site: Site, project_id: int) -> None:
    """Replay, and store it for the page on quality."""
    replayed = replay(site, project_id)
    facts = {
        "settings": [{**asdict(each), "saved": round(each.saved, 4)} for each in replayed],
        "made_at": now().timestamp(),
    }
    with site.db.connection() as connection:
        reviews.put_replay(connection, project_id, facts)


def is_due(made: Mapping[str, Any]) -> bool:
    """Is it time to replay again? A review may come every minute."""
    return now().timestamp() - float(made.get("made_at", 0.0)) >= REST_SECONDS


def _needed(
    task_type: TaskType[Any, Any, Any],
    config: Any,
    tasks: Mapping[int, Sequence[Answer]],
    settings: Sequence[Setting],
) -> list[dict[int, int]]:
    """For each setting how many answers each task would have had; one more than there are: not enough."""
    needed: list[dict[int, int]] = [{} for _ in settings]
    adaptive = [(k, each, each.sure) for k, each in enumerate(settings) if each.sure is not None]
    for k, each in enumerate(settings):
        if each.sure is None:
            for task, answers in tasks.items():
                needed[k][task] = each.redundancy if each.redundancy <= len(answers) else len(answers) + 1
    if not adaptive:
        return needed
    labels = {name: scale.labels for name, scale in task_type.scales(config).items()}
    tables = _tables(task_type, config, tasks, labels)
    for task, answers in tasks.items():
        given = [
            (a.contributor, {} if a.value is None else task_type.labels(a.value, config)) for a in answers
        ]
        undecided = list(adaptive)
        for n in range(min(each.answers_min for _, each, _ in adaptive), len(answers) + 1):
            consensus = task_type.reduce(answers[:n], config)
            sure = task_type.sure_when(consensus, config)
            outcomes = add_up(given[:n], sure.labels, labels, tables, {}) if sure else []
            rest = sure.confidences if sure else ()
            for item in list(undecided):
                k, each, level = item
                policy = Adaptive.at_level(each.answers_min, each.redundancy, level)
                if n >= each.answers_min and outcome_of_all(policy, outcomes, n, rest) is not None:
                    needed[k][task] = n
                    undecided.remove(item)
            if not undecided:
                break
        for k, _, _ in undecided:
            needed[k][task] = len(answers) + 1
    return needed


def _tables(
    task_type: TaskType[Any, Any, Any],
    config: Any,
    tasks: Mapping[int, Sequence[Answer]],
    labels: Mapping[str, Sequence[str]],
) -> dict[str, Tables]:
    """The tables that a fit to all these answers gives; a cold start's where they are few."""
    import numpy as np

    from microtasks.core import columnar
    from microtasks.core.consensus import skill

    arrays = columnar.read(tasks.items())
    labels_by_value = [
        {} if one.value is None else task_type.labels(one.value, config) for one in arrays.spoken
    ]
    tables = {}
    for name, scale in labels.items():
        place = {label: k for k, label in enumerate(scale)}
        label = np.array([place.get(each.get(name, ""), -1) for each in labels_by_value], np.int32)[
            arrays.said
        ]
        rows = label >= 0
        tables[name] = cold_tables(len(scale))
        if rows.sum() < COLD_ANSWERS or len(np.unique(arrays.task[rows])) < COLD_TASKS:
            continue
        votes = skill.sort(
            arrays.task[rows],
            arrays.person[rows],
            label[rows],
            arrays.n_tasks,
            len(arrays.people),
            len(scale),
        )
        fitted = skill.confusion(votes)
        tables[name] = Tables(
            tuple(map(tuple, fitted.log_crowd.T.tolist())),
            tuple(fitted.log_prior.tolist()),
            {who: tuple(map(tuple, fitted.log_table[k].T.tolist())) for k, who in enumerate(arrays.people)},
            len(votes.task),
            arrays.n_tasks,
        )
    return tables


def _values(
    task_type: TaskType[Any, Any, Any],
    config: Any,
    tasks: Mapping[int, Sequence[Answer]],
    method: Method,
) -> dict[int, Mapping[str, Any] | None]:
    """What these answers add up to."""
    return {
        task: result.value for task, result in task_type.reduce_project(list(tasks.items()), config, method)
    }


def _differs(
    task_type: TaskType[Any, Any, Any],
    config: Any,
    one: Mapping[str, Any] | None,
    other: Mapping[str, Any] | None,
) -> bool:
    if one == other:
        return False
    if one is None or other is None or task_type.columnar:
        return True
    return task_type.score(one, other, config) < ALIKE
