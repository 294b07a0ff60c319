"""Make consensus: of one task whose type is expensive to reduce, or of a whole project in one pass."""

from __future__ import annotations

import logging
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from microtasks import tasktypes
from microtasks.core.errors import NotFound
from microtasks.core.tasktype import TaskType
from microtasks.core.tiling import Seen, Tile, edges
from microtasks.core.values import Answer, Method
from microtasks.engine.site import Site
from microtasks.store import jobs
from microtasks.store.db import Connection
from microtasks.store.results import (
    answer_arrays,
    contributors,
    counted_answers,
    ground_truth,
    reduction,
    sources,
)
from microtasks.store.results import consensus as stored
from microtasks.store.results.answer_arrays import Read
from microtasks.store.results.consensus import Reduced
from microtasks.store.results.counted_answers import PlainAnswer
from microtasks.store.results.reduction import ReductionSettings
from microtasks.store.results.sources import TileRow

if TYPE_CHECKING:
    from microtasks.core.columnar import Columns

log = logging.getLogger(__name__)

#: Tasks written in one transaction.
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Aggregated:
    """What a pass over a project did. n_left: tasks answered meanwhile, whose own reduction counts."""

    n_tasks: int
    n_left: int
    n_sources: int


def reduce_task(site: Site, task_id: int) -> None:
    """Reduce one task, and the big image it is a tile of (job `reduce`). Safe to run twice.

    1. Wait for whoever reduces it now. 2. Read its counted answers. 3. Store the consensus.
    4. The same for the big image, from all its tiles. A task that is gone is nothing to do.
    """
    with site.db.connection() as connection:
        facts = reduction.settings_of_task(connection, task_id)
        if facts is None:
            return
        task_type, config = _read(facts)
        reduction.lock(connection, task_id)
        task_answers = counted_answers.of_task(connection, task_id)
        if task_answers.said:
            consensus = task_type.reduce(_answers(task_answers.said), config)
            stored.put(connection, task_id, facts.project_id, consensus, "majority")
    if facts.source is not None:
        _merge_source(site, facts, facts.source)


def aggregate(site: Site, project_id: int, method: Method | None = None) -> Aggregated:
    """Make the consensus of every task of a project anew, in one columnar pass (job `aggregate`).

    method: the project's own unless one is given. Memory holds a chunk of tasks, and a few numbers an
    answer. Raises NotFound when there is no such project.

    1. Read the project and its gold. 2. Read the answers by key and reduce them all together, the
    model's word beside the vote's. 3. Store chunk by chunk; what was answered meanwhile is left alone.
    4. Merge tiles.
    """
    return of_columns(site, project_id, None, method)


def read(site: Site, project_id: int) -> Read | None:
    """Every counted answer of a project as columns; None for a type that needs more of an answer."""
    with site.db.connection() as connection:
        facts = reduction.settings_of_project(connection, project_id)
    if facts is None:
        raise NotFound("There is no such project.")
    return answer_arrays.read(site.db, project_id) if tasktypes.get(facts.task_type).columnar else None


def of_columns(site: Site, project_id: int, arrays: Read | None, method: Method | None = None) -> Aggregated:
    """As `aggregate`, from answers that were read already (None: they are read here)."""
    with site.db.connection() as connection:
        facts = reduction.settings_of_project(connection, project_id)
        if facts is None:
            raise NotFound("There is no such project.")
        gold = ground_truth.by_task(connection, project_id)
    task_type, config = _read(facts)
    chosen = cast(Method, method or facts.method)
    tasks: _Columns | _Tasks
    if task_type.columnar:
        tasks = _Columns(site, project_id, arrays or answer_arrays.read(site.db, project_id))
        reduced = task_type.reduce_columns(tasks.weighing(), config, chosen, gold)
    else:
        tasks = _Tasks(site, project_id)
        reduced = task_type.reduce_project(tasks, config, chosen, gold=gold, compare=True)
    n_tasks = n_stored = 0
    while chunk := list(islice(reduced, CHUNK)):
        rows = [Reduced(task, consensus, tasks.version(task)) for task, consensus in chunk]
        with site.db.connection() as connection:
            n_stored += stored.put_many(connection, project_id, rows, chosen)
        n_tasks += len(rows)
    with site.db.connection() as connection:
        stored.forget_unanswered(connection, project_id)
    n_sources = sum(_merge_source(site, facts, source) for source in sources.sources(site.db, project_id))
    log.info("aggregated", extra={"project_id": project_id, "method": chosen, "n_tasks": n_tasks})
    return Aggregated(n_tasks, n_tasks - n_stored, n_sources)


def refresh(site: Site) -> list[int]:
    """Queue a pass for each project whose model has not seen its last answers; return the jobs (clock)."""
    with site.db.connection() as connection:
        queued = [
            jobs.add(connection, "aggregate", project) for project in reduction.projects_due(connection)
        ]
    for job in queued:
        site.bell.ring(job)
    return queued


class _Columns:
    """What was read of a project, and whose answers weigh."""

    def __init__(self, site: Site, project_id: int, arrays: Read) -> None:
        self.site, self.project_id, self.found = site, project_id, arrays

    def weighing(self) -> Columns:
        """The answers of everybody who was not left out."""
        return weighing(self.site, self.project_id, self.found)

    def version(self, task: int) -> int:
        """The version of a task's answers that its consensus was made from."""
        return int(self.found.versions[self.found.task_ids.searchsorted(task)])


def weighing(site: Site, project_id: int, arrays: Read) -> Columns:
    """The answers that weigh, as task types take them: of all tasks, without who was left out."""
    import numpy as np

    from microtasks.core.columnar import Columns

    with site.db.connection() as connection:
        excluded = contributors.excluded(connection, project_id)
    spoken = [Answer("", cast(Any, one.kind), one.value) for one in arrays.spoken]
    out = np.array([who in excluded for who in arrays.people], bool)
    if not out.any():
        return Columns(arrays.task_ids, arrays.task, arrays.person, arrays.said, spoken, arrays.people)
    rows = ~out[arrays.person]
    return Columns(
        arrays.task_ids, arrays.task[rows], arrays.person[rows], arrays.said[rows], spoken, arrays.people
    )


class _Tasks:
    """All answered tasks of a project, the same in the same order each time they are asked for.

    Numbers only are kept: which tasks the first reading found, and the version of their answers then.
    """

    def __init__(self, site: Site, project_id: int) -> None:
        self.site, self.project_id = site, project_id
        self.ids, self.versions = array("q"), array("q")
        self.is_read = False

    def __iter__(self) -> Iterator[tuple[int, Sequence[Answer]]]:
        if self.is_read:
            for start in range(0, len(self.ids), counted_answers.CHUNK):
                ids = list(self.ids[start : start + counted_answers.CHUNK])
                with self.site.db.connection() as connection:
                    answers_by_task = counted_answers.of_tasks(connection, ids)
                for task in ids:
                    yield task, _answers(answers_by_task.get(task, ()))
            return
        for task_answers in counted_answers.each_task(self.site.db, self.project_id):
            self.ids.append(task_answers.task_id)
            self.versions.append(task_answers.version)
            yield task_answers.task_id, _answers(task_answers.said)
        self.is_read = True

    def version(self, task: int) -> int:
        """The version of a task's answers that its consensus was made from."""
        return self.versions[bisect_left(self.ids, task)]


def _merge_source(site: Site, facts: ReductionSettings, source: str) -> bool:
    """Reduce a big image from all its tiles; say whether its type can."""
    task_type, config = _read(facts)
    with site.db.connection() as connection:
        reduction.lock(connection, facts.project_id, source)
        seen = _seen(connection, sources.tiles(connection, facts.project_id, source))
        consensus = task_type.merge_tiles(seen, config)
        if consensus is None:
            return False
        sources.put(connection, facts.project_id, source, consensus)
    return True


def _seen(connection: Connection, rows: Sequence[TileRow]) -> list[Seen]:
    """The tiles as the task type takes them: where they lie, where their image goes on, what was said."""
    answers_by_task = counted_answers.of_tasks(connection, [row.task_id for row in rows])
    right = max((row.x + row.width for row in rows), default=0)
    bottom = max((row.y + row.height for row in rows), default=0)
    seen = []
    for row in rows:
        tile = Tile(row.x, row.y, row.width, row.height)
        inner = edges(tile, row.source_width or right, row.source_height or bottom)
        seen.append(Seen(tile, inner, _answers(answers_by_task.get(row.task_id, ()))))
    return seen


def _read(facts: ReductionSettings) -> tuple[TaskType[Any, Any, Any], Any]:
    task_type = tasktypes.get(facts.task_type)
    return task_type, task_type.parse_config(facts.config)


def _answers(plain_answers: Sequence[PlainAnswer]) -> list[Answer]:
    return [Answer(contributor, cast(Any, kind), value) for contributor, kind, value in plain_answers]
