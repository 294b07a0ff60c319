"""Review a project: whose answers weigh, what they add up to, what the model learns, how people agree.

A review changes no answer. It depends on the answers and on what the owner decided alone: whoever was left
out and is taken in again leaves no trace.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from microtasks import tasktypes
from microtasks.core.errors import NotFound
from microtasks.core.tasktype import LabelScale, TaskType
from microtasks.engine import aggregate, quality
from microtasks.engine.aggregate import Aggregated
from microtasks.engine.site import Site
from microtasks.store import consensus as stored
from microtasks.store import jobs, standing
from microtasks.store.standing import Judged, Quality, Record, Stops

#: Logarithms are kept with so many places.
PLACES = 6


def review(site: Site, project_id: int) -> Aggregated:
    """Bring all that is known of a project up to date (job `aggregate`). Safe to run twice.

    1. Look at how everybody answers: a habit that cannot be real work leaves a volunteer out, unless the
    owner has decided. 2. Make the consensus of all tasks anew, without those who are left out. 3. Fit the
    model that "stop when sure" goes by. 4. Store everybody's record, and how people agree.
    """
    seen = quality.volunteers(site, project_id)
    with site.db.connection() as connection:
        standing.put(connection, project_id, [_judged(one, {}, ()) for one in seen], has_tables=False)
    done = aggregate.aggregate(site, project_id)
    model, tables, lost = _fit(site, project_id)
    seen = quality.volunteers(site, project_id)
    agreement = {name: asdict(found) for name, found in quality.agreement(site, project_id).items()}
    with site.db.connection() as connection:
        standing.put(
            connection,
            project_id,
            [_judged(one, tables.get(one.contributor, {}), lost.get(one.contributor, ())) for one in seen],
        )
        standing.put_quality(connection, project_id, agreement, model)
    return done


def ask_for_review(site: Site, project_id: int) -> None:
    """Queue a review."""
    with site.db.connection() as connection:
        job = jobs.add(connection, "aggregate", project_id)
    site.bell.ring(job)


def weigh(site: Site, project_id: int, pseudonym: str, *, is_excluded: bool) -> None:
    """Leave a volunteer out of the consensus, or take them in again; their answers stay. NotFound.

    The consensus of all tasks is made anew by a job.
    """
    with site.db.connection() as connection:
        found = (it.contributor for it in _all(connection, project_id))
        who = next((one for one in found if name(site, one) == pseudonym), None)
        if who is None or not standing.decide(connection, project_id, who, is_excluded=is_excluded):
            raise NotFound("There is no such volunteer in this project.")
        job = jobs.add(connection, "aggregate", project_id)
    site.bell.ring(job)


def name(site: Site, contributor: UUID) -> str:
    """The pseudonym of a contributor, as in exports."""
    key = site.settings.key("pseudonym")
    return hashlib.blake2b(contributor.bytes, key=key, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Overview:
    """What the last review found. flip_rate: share of the audited tasks that changed; None: none yet."""

    quality: Quality | None
    stops: Stops
    flip_rate: float | None
    records: list[tuple[str, Record]]


def overview(site: Site, project_id: int, skip: int = 0, limit: int = 50) -> Overview:
    """Read agreement, stopping and a page of volunteers, those who were left out first."""
    with site.db.connection() as connection:
        found = standing.quality(connection, project_id)
        stops = standing.stops(connection, project_id)
        rows = standing.page(connection, project_id, skip, limit)
    rate = stops.n_flipped / stops.n_audited if stops.n_audited else None
    return Overview(found, stops, rate, [(name(site, row.contributor), row) for row in rows])


def _all(connection: Any, project_id: int) -> Iterator[Record]:
    after = None
    while rows := standing.records(connection, project_id, after):
        yield from rows
        after = rows[-1].contributor


def _judged(one: quality.Volunteer, tables: Mapping[str, Any], lost: Sequence[str]) -> Judged:
    return Judged(
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


def _fit(site: Site, project_id: int) -> tuple[Fields, dict[str, Fields], dict[str, list[str]]]:
    """Fit each scale's tables: the model by field, tables by contributor and field, who is lost where."""
    with site.db.connection() as connection:
        facts = stored.facts_of_project(connection, project_id)
        if facts is None:
            raise NotFound("There is no such project.")
        gold = stored.gold(connection, project_id)
    task_type = tasktypes.get(facts.task_type)
    config = task_type.parse_config(facts.config)
    scales = task_type.scales(config)
    if facts.stop_rule != "confidence" or not scales:
        return {}, {}, {}
    return _tables(*_read(site, project_id, task_type, config, scales, gold), scales)


@dataclass(slots=True)
class _Said:
    """Everything said on one scale, as columns; gold: label by task."""

    task: array[int]
    person: array[int]
    label: array[int]
    gold: dict[int, int]


def _read(
    site: Site,
    project_id: int,
    task_type: TaskType[Any, Any, Any],
    config: Any,
    scales: Mapping[str, LabelScale],
    gold: Mapping[int, Mapping[str, Any]],
) -> tuple[dict[str, _Said], dict[str, int], int]:
    places = {at: {label: k for k, label in enumerate(scale.labels)} for at, scale in scales.items()}
    said = {at: _Said(array("i"), array("i"), array("i"), {}) for at in scales}
    people: dict[str, int] = {}
    n_tasks = 0
    for found in stored.answered(site.db, project_id):
        if found.task_id in gold:
            for at, label in task_type.labels(gold[found.task_id], config).items():
                if label in places[at]:
                    said[at].gold[n_tasks] = places[at][label]
        for contributor, _, value in found.said:
            if value is None:
                continue
            person = people.setdefault(contributor, len(people))
            for at, label in task_type.labels(value, config).items():
                if (place := places[at].get(label)) is not None:
                    said[at].task.append(n_tasks)
                    said[at].person.append(person)
                    said[at].label.append(place)
        n_tasks += 1
    return said, people, n_tasks


def _tables(
    said: Mapping[str, _Said], people: Mapping[str, int], n_tasks: int, scales: Mapping[str, LabelScale]
) -> tuple[Fields, dict[str, Fields], dict[str, list[str]]]:
    import numpy as np

    from microtasks.core import skill

    # People by rank of their names, so that sums do not depend on who came first.
    names = sorted(people)
    rank = np.empty(len(people), np.int32)
    for place, who in enumerate(names):
        rank[people[who]] = place
    model: Fields = {}
    tables: dict[str, Fields] = {}
    lost: dict[str, list[str]] = {}
    for at, column in said.items():
        if not column.task:
            continue
        labels = scales[at].labels
        gold = np.full(n_tasks, -1, np.int32)
        for task, label in column.gold.items():
            gold[task] = label
        votes = skill.sort(
            np.frombuffer(column.task, np.int32),
            rank[np.frombuffer(column.person, np.int32)],
            np.frombuffer(column.label, np.int32),
            n_tasks,
            len(people),
            len(labels),
        )
        fitted = skill.confusion(votes, gold)
        skills = skill.skills(votes, fitted)
        model[at] = {
            "labels": list(labels),
            "crowd": np.round(fitted.log_crowd.T, PLACES).tolist(),
            "log_prior": np.round(fitted.log_prior, PLACES).tolist(),
            "n_answers": len(column.task),
            "n_tasks": len(np.unique(votes.task)),
        }
        rows = np.round(fitted.log_table.transpose(0, 2, 1), PLACES)
        for person in np.flatnonzero(skills.n_answers):
            tables.setdefault(names[person], {})[at] = rows[person].tolist()
            if skills.is_lost[person]:
                lost.setdefault(names[person], []).append(at)
    return model, tables, lost
