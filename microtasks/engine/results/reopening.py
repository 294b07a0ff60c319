"""Ask a task again that stopped as sure, where what was learnt since says otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from microtasks.core.tasktype import TaskType
from microtasks.engine.site import Site
from microtasks.store.assignment import hotpath, stopping

if TYPE_CHECKING:
    from microtasks.core.columnar import Columns
    from microtasks.core.consensus.skill import Floats
    from microtasks.store.results.answer_arrays import Read

#: Tasks locked at once.
CHUNK = 1_000


def reopen(
    site: Site,
    project_id: int,
    arrays: Read,
    weighing: Columns,
    task_type: TaskType[Any, Any, Any],
    config: Any,
    posteriors: Mapping[str, Floats],
    sure: float,
) -> int:
    """Open each task again on which the new tables are sure of another label than the one it stopped with.

    posteriors: of each scale, (tasks, labels), as the rule of stopping reckons; sure: the level it goes by.
    Nothing is lost by it: the task goes on from the answers it has, one by one up to the most.

    1. Read what stopped as sure. 2. Compare. 3. Open chunk by chunk; what was answered since is left alone.
    """
    import numpy as np

    with site.db.connection() as connection:
        stopped = stopping.stopped_as_sure(connection, project_id)
    if not stopped or not posteriors:
        return 0
    number = weighing.places(one.task_id for one in stopped)
    stopped = [one for one in stopped if one.task_id in number]
    rows = np.array([number[one.task_id] for one in stopped], np.int64)
    values = [json.dumps(one.value, sort_keys=True) for one in stopped]
    labels = {
        text: {} if one.value is None else task_type.labels(one.value, config)
        for text, one in zip(values, stopped, strict=True)
    }
    scales = task_type.scales(config)
    differs = np.zeros(len(rows), bool)
    for name, posterior in posteriors.items():
        place = {label: k for k, label in enumerate(scales[name].labels)}
        wanted = np.array([place.get(labels[text].get(name, ""), -1) for text in values], np.int64)
        now = posterior[rows]
        differs |= (wanted >= 0) & (now.argmax(axis=1) != wanted) & (now.max(axis=1) >= sure)
    doubted = {
        one.task_id: int(arrays.versions[row])
        for one, row, flips in zip(stopped, rows.tolist(), differs.tolist(), strict=True)
        if flips
    }
    n_open = 0
    ids = sorted(doubted)
    for start in range(0, len(ids), CHUNK):
        with site.db.connection() as connection:
            n_open += stopping.reopen(
                connection, project_id, {task: doubted[task] for task in ids[start : start + CHUNK]}
            )
            hotpath.lower_head(connection, project_id)
    return n_open
