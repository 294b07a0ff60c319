"""Review a project: whose answers weigh, what they add up to, what the model learns, how people agree.

A review changes no answer. It depends on the answers and on what the owner decided alone: whoever was left
out and is taken in again leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from microtasks import tasktypes
from microtasks.core import pseudonyms
from microtasks.core.errors import NotFound
from microtasks.core.stopping import COLD_ANSWERS, COLD_TASKS
from microtasks.core.tasktype import TaskType
from microtasks.core.values import Column
from microtasks.engine import audit
from microtasks.engine.results import aggregate, quality, reopening, replay
from microtasks.engine.results.aggregate import Aggregated
from microtasks.engine.site import Site
from microtasks.engine.tabular.table import Table
from microtasks.store import jobs
from microtasks.store.assignment import stopping
from microtasks.store.assignment.stopping import Stops
from microtasks.store.results import consensus, contributors, explorer, ground_truth, reduction, reviews
from microtasks.store.results.contributors import ContributorRecord, ContributorReview
from microtasks.store.results.reviews import Review

if TYPE_CHECKING:
    from microtasks.core.columnar import Columns

#: Logarithms are kept with so many places.
PLACES = 6


def review(site: Site, project_id: int) -> Aggregated:
    """Bring all that is known of a project up to date (job `aggregate`). Safe to run twice.

    1. Look at how everybody answers: a habit that cannot be real work leaves a volunteer out, unless the
    owner has decided. 2. Make the consensus of all tasks anew, without those who are left out. 3. Fit the
    model that "stop when sure" goes by. 4. Store everybody's record, and how people agree. 5. Open again what
    stopped as sure and is not by this model.
    """
    arrays = aggregate.read(site, project_id)
    seen = quality.volunteers(site, project_id, arrays)
    with site.db.connection() as connection:
        contributors.put(connection, project_id, [_reviewed(one, {}, ()) for one in seen], has_tables=False)
    done = aggregate.of_columns(site, project_id, arrays)
    weighing = aggregate.weighing(site, project_id, arrays) if arrays else None
    fitted = _fit(site, project_id, weighing)
    model, tables, lost = fitted.model, fitted.tables, fitted.lost
    seen = quality.volunteers(site, project_id, arrays)
    statistics = quality.agreement(site, project_id, weighing)
    agreement = {name: asdict(each) for name, each in statistics.items()}
    for name, matrix in quality.confusions(site, project_id, weighing).items() if weighing else ():
        agreement[name]["confusion"] = matrix
    for name, curve in quality.rarefactions(site, project_id, weighing).items() if weighing else ():
        agreement[name]["rarefaction"] = curve
    with site.db.connection() as connection:
        contributors.put(
            connection,
            project_id,
            [_reviewed(one, tables.get(one.contributor, {}), lost.get(one.contributor, ())) for one in seen],
        )
        reviews.put(connection, project_id, agreement, model)
        made = reviews.latest(connection, project_id)
    if made is None or replay.is_due(made.replay):
        replay.replay_and_store(site, project_id)
    if arrays and weighing and fitted.posteriors:
        about = _facts(site, project_id)
        reopening.reopen(
            site,
            project_id,
            arrays,
            weighing,
            *about[1:],
            posteriors=fitted.posteriors,
            sure=about[0].stop_threshold,
        )
    return done


def ask_for_review(site: Site, project_id: int) -> None:
    """Queue a review."""
    with site.db.connection() as connection:
        job = jobs.add(connection, "aggregate", project_id)
    site.bell.ring(job)


def set_excluded(
    site: Site, project_id: int, volunteer: str, *, is_excluded: bool, by: int | None = None
) -> None:
    """Leave a volunteer out of the consensus, or take them in again; their answers stay. NotFound.

    The consensus of all tasks is made anew by a job.
    """
    with site.db.connection() as connection:
        contributors_named = (it.contributor for it in _all(connection, project_id))
        who = next((one for one in contributors_named if pseudonym(site, one) == volunteer), None)
        if who is None or not contributors.set_excluded(connection, project_id, who, is_excluded=is_excluded):
            raise NotFound("There is no such volunteer in this project.")
        action = "volunteer.leave_out" if is_excluded else "volunteer.take_in"
        audit.note(connection, by, project_id, action, contributor=volunteer)
        job = jobs.add(connection, "aggregate", project_id)
    site.bell.ring(job)


def pseudonym(site: Site, contributor: UUID) -> str:
    """What a contributor is called in the API, and in exports with the same names."""
    return pseudonyms.pseudonym(contributor.bytes, site.settings.key("pseudonym"))


@dataclass(frozen=True, slots=True)
class Overview:
    """What the last review found. flip_rate: share of the audited tasks that changed; None: none yet.

    agreement: one figure for the project. n_disputed: tasks that wait for somebody to decide. by_vote: what
    the vote decides although volunteers shall weigh by their record: there is too little to learn from.
    """

    quality: Review | None
    agreement: float | None
    stops: Stops
    flip_rate: float | None
    n_disputed: int
    by_vote: list[str]
    records: list[tuple[str, ContributorRecord]]


def overview(site: Site, project_id: int, skip: int = 0, limit: int = 50) -> Overview:
    """Read agreement, stopping and a page of volunteers, those who were left out first."""
    with site.db.connection() as connection:
        latest = reviews.latest(connection, project_id)
        stops = stopping.counts(connection, project_id)
        n_disputed = explorer.n_disputed(connection, project_id)
        by_vote = consensus.decided_by_vote(connection, project_id)
        rows = contributors.page(connection, project_id, skip, limit)
    one = quality.overall(latest.agreement) if latest else None
    rate = stops.n_flipped / stops.n_audited if stops.n_audited else None
    records = [(pseudonym(site, row.contributor), row) for row in rows]
    return Overview(latest, one, stops, rate, n_disputed, by_vote, records)


def confusion_table(site: Site, project_id: int) -> Table:
    """What was said where the consensus is what, as the last review found it: a row a cell of each field."""
    with site.db.connection() as connection:
        latest = reviews.latest(connection, project_id)
    columns = (
        Column("field", "string", "Field, choice or tag."),
        Column("consensus", "string", "What the consensus is."),
        Column("said", "string", "What volunteers said there."),
        Column("n_answers", "integer", "Answers that said so."),
        Column("share", "number", "Their share of the answers to tasks with that consensus.", "0..1"),
    )
    rows = []
    for name, each in (latest.agreement if latest else {}).items():
        matrix = each.get("confusion")
        for held, counts in zip(matrix["labels"], matrix["counts"], strict=True) if matrix else ():
            for label, n in zip(matrix["labels"], counts, strict=True):
                rows.append((name, held, label, n, round(n / sum(counts), 4) if n else 0.0))
    return Table(columns, iter(rows))


def rarefaction_table(site: Site, project_id: int) -> Table:
    """How many answers would have been enough, as the last review found it: a row a field and number."""
    with site.db.connection() as connection:
        latest = reviews.latest(connection, project_id)
    columns = (
        Column("field", "string", "Field, choice or tag."),
        Column("n_answers", "integer", "Answers drawn at random of each task."),
        Column("same", "number", "Share of tasks whose vote is that of all answers.", "0..1"),
        Column("same_low", "number", "Lower end of its 95 % interval over tasks.", "0..1"),
        Column("same_high", "number", "Upper end.", "0..1"),
        Column("n_tasks", "integer", "Tasks that took part."),
    )
    rows = [
        (name, one["n"], one["same"], one["low"], one["high"], curve["n_tasks"])
        for name, each in (latest.agreement if latest else {}).items()
        if (curve := each.get("rarefaction"))
        for one in curve["points"]
    ]
    return Table(columns, iter(rows))


def _all(connection: Any, project_id: int) -> Iterator[ContributorRecord]:
    after = None
    while rows := contributors.records(connection, project_id, after):
        yield from rows
        after = rows[-1].contributor


def _reviewed(one: quality.Volunteer, tables: Mapping[str, Any], lost: Sequence[str]) -> ContributorReview:
    return ContributorReview(
        UUID(hex=one.contributor),
        one.n_answers,
        one.skill,
        one.gold_score,
        one.n_gold,
        one.seconds,
        one.habits,
        tables,
        lost,
    )


# -- the model that stopping goes by -------------------------------------------------------------------

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """model: by field. tables, lost: by contributor. posteriors: by field, where it is no cold start."""

    model: Fields
    tables: dict[str, Fields]
    lost: dict[str, list[str]]
    posteriors: dict[str, Any]


def _facts(site: Site, project_id: int) -> tuple[reduction.ReductionSettings, TaskType[Any, Any, Any], Any]:
    with site.db.connection() as connection:
        facts = reduction.settings_of_project(connection, project_id)
    if facts is None:
        raise NotFound("There is no such project.")
    task_type = tasktypes.get(facts.task_type)
    return facts, task_type, task_type.parse_config(facts.config)


def _fit(site: Site, project_id: int, arrays: Columns | None) -> _Fitted:
    """Fit each scale's tables: the model by field, tables by contributor and field, who is lost where."""
    facts, task_type, config = _facts(site, project_id)
    result = _Fitted({}, {}, {}, {})
    model, tables, lost = result.model, result.tables, result.lost
    if facts.stop_rule != "confidence" or arrays is None:
        return result
    with site.db.connection() as connection:
        gold = ground_truth.by_task(connection, project_id)
    import numpy as np

    from microtasks.core.consensus import skill

    labels_by_value = [
        {} if one.value is None else task_type.labels(one.value, config) for one in arrays.spoken
    ]
    right = {number: task_type.labels(gold[task], config) for task, number in arrays.places(gold).items()}
    for at, scale in task_type.scales(config).items():
        place = {label: k for k, label in enumerate(scale.labels)}
        label = np.array([place.get(each.get(at, ""), -1) for each in labels_by_value], np.int32)[arrays.said]
        rows = label >= 0
        if not rows.any():
            continue
        known_labels = np.full(arrays.n_tasks, -1, np.int32)
        for number, labels in right.items():
            known_labels[number] = place.get(labels.get(at, ""), -1)
        votes = skill.sort(
            arrays.task[rows],
            arrays.person[rows],
            label[rows],
            arrays.n_tasks,
            len(arrays.people),
            len(place),
        )
        fitted = skill.confusion(votes, known_labels, rho=skill.CORRELATION)
        skills = skill.skills(votes, fitted)
        model[at] = {
            "labels": list(scale.labels),
            "crowd": np.round(fitted.log_crowd.T, PLACES).tolist(),
            "log_prior": np.round(fitted.log_prior, PLACES).tolist(),
            "n_answers": len(votes.task),
            "n_tasks": len(np.unique(votes.task)),
        }
        log_rows = np.round(fitted.log_table.transpose(0, 2, 1), PLACES)
        for person in np.flatnonzero(skills.n_answers).tolist():
            tables.setdefault(arrays.people[person], {})[at] = log_rows[person].tolist()
            if skills.is_lost[person]:
                lost.setdefault(arrays.people[person], []).append(at)
        if len(votes.task) >= COLD_ANSWERS and model[at]["n_tasks"] >= COLD_TASKS:
            result.posteriors[at] = fitted.posterior
    return result
