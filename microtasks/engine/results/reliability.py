"""How far a project's probabilities can be believed: the results of its known tasks beside what is right."""

from __future__ import annotations

from dataclasses import dataclass

from microtasks import tasktypes
from microtasks.core.consensus import reliability as rules
from microtasks.core.consensus.reliability import Bin
from microtasks.core.errors import NotFound
from microtasks.core.values import Column
from microtasks.engine.site import Site
from microtasks.engine.tabular.table import Table
from microtasks.store.results import ground_truth, reduction

#: A result is right that scores so against the known answer: a slip of the pen in a text is no other text.
RIGHT_FROM = 0.9
#: Known tasks that are looked at, at most.
MOST_KNOWN = 20_000


@dataclass(frozen=True, slots=True)
class Reliability:
    """What known tasks say. bins: from the least sure; empty without known tasks that have a result.

    error: mean gap between stated and right, 0..1. is_learnt: a model learnt from these very tasks, so they
    look a little better than new ones.
    """

    bins: tuple[Bin, ...]
    n: int
    error: float
    is_learnt: bool


def of_project(site: Site, project_id: int) -> Reliability:
    """Compare the results of known tasks with what is right. NotFound when there is no such project.

    A task with several fields is right when all are, and as sure as its least sure field.
    """
    with site.db.connection() as connection:
        settings = reduction.settings_of_project(connection, project_id)
        if settings is None:
            raise NotFound("There is no such project.")
        known = ground_truth.results_of_known(connection, project_id, MOST_KNOWN)
    task_type = tasktypes.get(settings.task_type)
    config = task_type.parse_config(settings.config)
    bins = rules.diagram(
        (stated, task_type.score(value, right, config) >= RIGHT_FROM) for value, stated, right in known
    )
    return Reliability(bins, len(known), rules.calibration_error(bins), settings.method != "majority")


def as_table(reliability: Reliability) -> Table:
    """The diagram's numbers, for a CSV file."""
    columns = (
        Column("stated_from", "number", "Probabilities from here.", "0..1"),
        Column("stated_to", "number", "Probabilities up to here.", "0..1"),
        Column("n_tasks", "integer", "Known tasks with such a probability."),
        Column("stated", "number", "Their mean probability.", "0..1"),
        Column("right", "number", "Share that is right.", "0..1"),
        Column("right_low", "number", "Lower end of its 95 % interval (Wilson).", "0..1"),
        Column("right_high", "number", "Upper end.", "0..1"),
    )
    rows = (
        (
            one.low,
            one.high,
            one.n,
            *(round(x, 4) for x in (one.stated, one.right, one.right_low, one.right_high)),
        )
        for one in reliability.bins
    )
    return Table(columns, rows)
