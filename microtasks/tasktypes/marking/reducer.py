"""From answers to arrays, through core.marks, and back: the dear part of marking, with numpy.

Imported when first needed, by workers and the command line: the web process never gets here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from microtasks.core import marks as core
from microtasks.core.tasktype import Answer, Consensus
from microtasks.tasktypes.marking import INTERVAL_95, REGION_95, centre_and_radius, class_vote

if TYPE_CHECKING:
    from microtasks.tasktypes.marking import MarkingConfig


def scale_of(config: MarkingConfig) -> core.Scale:
    """The expected scatter of a project's marks."""
    if config.shape == "point":
        return core.Scale(position_share=0.0, position_px=config.scatter_px)
    return core.Scale()


def reduce(
    reducer: str,
    tasks: Iterable[tuple[int, Sequence[Answer]]],
    config: MarkingConfig,
    skills: Mapping[str, float] | None,
) -> Iterator[tuple[int, Consensus]]:
    """Fold all tasks together, and yield each task's consensus in the order given."""
    task_ids: list[int] = []
    n_answers: list[int] = []
    viewers: list[tuple[int, str]] = []
    columns: list[tuple[float, ...]] = []  # view, x, y, then the measures
    classes: list[str | None] = []
    for image, (task, answers) in enumerate(tasks):
        task_ids.append(task)
        n_answers.append(len(answers))
        for answer in answers:
            if answer.value is None or (skills is not None and skills.get(answer.contributor, 1.0) <= 0):
                continue
            for mark in answer.value["marks"]:
                x, y, _ = centre_and_radius(mark, config.shape)
                columns.append((len(viewers), x, y, *(mark[name] for name in config.measures)))
                classes.append(mark.get("class"))
            viewers.append((image, answer.contributor))
    # Sorted names, so that the numbers (and the last digits of sums) do not depend on who came first.
    people = {name: number for number, name in enumerate(sorted({name for _, name in viewers}))}
    views = core.Views.whole(
        np.array([image for image, _ in viewers], np.int64),
        np.array([people[name] for _, name in viewers], np.int64),
    )
    table = np.array(columns, dtype=float).reshape(-1, 3 + len(config.measures))
    view = table[:, 0].astype(np.int64)
    marks = core.Marks(views.image[view], view, table[:, 1], table[:, 2], table[:, 3:])
    objects = core.consensus(marks, views, scale_of(config))
    given: list[list[str]] = [[] for _ in range(len(objects))]
    for member, name in zip(objects.member.tolist(), classes, strict=True):
        if name is not None:
            given[member].append(name)
    starts = np.searchsorted(objects.image, np.arange(len(task_ids) + 1))
    for image, task in enumerate(task_ids):
        rows = range(starts[image], starts[image + 1])
        yield task, _consensus(reducer, objects, rows, given, n_answers[image], config)


def _consensus(
    reducer: str,
    objects: core.Objects,
    rows: range,
    given: Sequence[list[str]],
    n_answers: int,
    config: MarkingConfig,
) -> Consensus:
    accepted, possible, agreed, sure = [], [], [], []
    for row in rows:
        is_accepted = bool(objects.is_accepted[row])
        share = float(objects.n_marked[row] / objects.n_saw[row])
        probability = float(objects.probability[row])
        agreed.append(share if is_accepted else 1 - share)
        sure.append(probability if is_accepted else 1 - probability)
        if is_accepted:
            accepted.append(_mark(objects, row, given[row], config))
        elif objects.is_possible[row]:
            possible.append(_mark(objects, row, given[row], config))
    keys = ("x", "y", *config.measures, "class")
    value = {"marks": [{k: mark[k] for k in keys if mark[k] is not None} for mark in accepted]}
    return Consensus(
        value=value if n_answers else None,
        agreement=round(sum(agreed) / len(agreed), 6) if agreed else float(n_answers > 0),
        confidence=round(sum(sure) / len(sure), 6) if sure else None,
        n_answers=n_answers,
        detail={"marks": accepted, "possible": possible},
        reducer=reducer,
    )


def _mark(objects: core.Objects, row: int, given: Sequence[str], config: MarkingConfig) -> dict[str, Any]:
    """One object as plain JSON: lengths in px to a thousandth, probability to four places."""
    sizes = dict(zip(config.measures, objects.size[row].tolist(), strict=True))
    log_sds = dict(zip(config.measures, objects.log_size_sd[row].tolist(), strict=True))
    x, y = float(objects.x[row]), float(objects.y[row])
    if config.shape == "box":
        x, y = x - sizes["width"] / 2, y - sizes["height"] / 2
    name, share = class_vote(given, len(config.classes))
    sd = float(objects.position_sd[row])
    mark = {
        "x": round(x, 3),
        "y": round(y, 3),
        **{measure: round(size, 3) for measure, size in sizes.items()},
        "class": name,
        "class_share": share,
        "probability": round(float(objects.probability[row]), 4),
        "n_marked": int(objects.n_marked[row]),
        "n_saw": int(objects.n_saw[row]),
        "x_sd": round(sd, 3),
        "y_sd": round(sd, 3),
        "region_95": round(REGION_95 * sd, 3),
    }
    for measure, size in sizes.items():
        factor = float(np.exp(INTERVAL_95 * log_sds[measure]))
        mark[f"{measure}_sd"] = round(size * log_sds[measure], 3)
        mark[f"{measure}_low"], mark[f"{measure}_high"] = round(size / factor, 3), round(size * factor, 3)
    return mark
