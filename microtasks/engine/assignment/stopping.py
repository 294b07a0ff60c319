"""Stop when sure: decide inside the submit transaction, from the tables of the last review.

The evidence is added up anew from the few answers at hand: it cannot drift from what is stored, and costs as
many additions as there are choices for each of them. No numpy: this runs in the web process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from microtasks.core.stopping import (
    Adaptive,
    ScaleEvidence,
    Tables,
    cold_tables,
    is_audited,
    no_evidence,
    outcome_of_all,
)
from microtasks.core.values import Answer, Consensus
from microtasks.engine.assignment.leases import Known
from microtasks.engine.site import Site
from microtasks.store.assignment import stopping
from microtasks.store.assignment.hotpath import Facts
from microtasks.store.db import Connection
from microtasks.store.results import contributors

_MODELS_MAX = 200

#: The model of a project and which review made it. Asked for at each decision, sent only when it changed.
_models: dict[tuple[str, int], tuple[datetime, dict[str, Any]]] = {}


def decide(
    site: Site,
    connection: Connection,
    facts: Facts,
    about: Known,
    answers: Sequence[Answer],
    n_answers: int,
    consensus: Consensus,
) -> str | None:
    """Say why the task retires, if it does; the task's lock is held. Stores what was decided.

    answers: the counted ones that weigh; n_answers: all counted ones. A known task stops like
    all others: one that went on would be told apart. A task in fifty that is sure goes on all the same, as an
    audit.

    The project's redundancy, or a number of the task's own, is the most; its seats are how many it is open
    for now. They begin with the fewest and grow as they are in and not enough: if all were free from the
    start, volunteers who come at once would fill them before anything could be decided.

    1. Read the model. 2. Add up the evidence of each scale. 3. Decide; note it. 4. Open one more seat, or all
    of them where all answers are wanted.
    """
    model, redundancy = _model(site, connection, facts)
    answers_max = max(redundancy, facts.redundancy)
    sure = about.type.sure_when(consensus, about.config)
    evidence = _asked(connection, facts, about, answers, sure.labels, model) if sure else []
    policy = Adaptive.at_level(
        answers_min=min(facts.answers_min, answers_max),
        # Seats of those who are excluded are taken all the same.
        answers_max=max(1, answers_max - (n_answers - len(answers))),
        sure=facts.stop_threshold,
    )
    outcome = outcome_of_all(policy, evidence, len(answers), sure.confidences if sure else ())
    is_full = n_answers >= answers_max
    goes_on = outcome == "sure" and not is_full and is_audited(_draw(site, facts.task_id))
    if outcome is not None:
        stopping.put_stopping(
            connection,
            facts.task_id,
            facts.project_id,
            outcome,
            n_answers,
            consensus.value,
            is_audit=goes_on,
        )
    if is_full:
        return "redundancy"
    if outcome == "sure" and not goes_on:
        return "consensus"
    if n_answers >= facts.redundancy:
        seats = answers_max if goes_on else n_answers + 1
        stopping.open_seats(connection, facts.task_id, seats, is_soon=not goes_on)
    return None


def _asked(
    connection: Connection,
    facts: Facts,
    about: Known,
    answers: Sequence[Answer],
    wanted: Mapping[str, str],
    model: Mapping[str, Any],
) -> list[ScaleEvidence]:
    """The evidence on each scale that must be sure."""
    known = contributors.confusion_tables(
        connection, facts.project_id, [UUID(hex=a.contributor) for a in answers]
    )
    people = {who.hex: tables for who, tables, _ in known}
    lost = {who.hex: set(fields) for who, _, fields in known}
    labels_given = [
        (a.contributor, {} if a.value is None else about.type.labels(a.value, about.config)) for a in answers
    ]
    labels = {name: scale.labels for name, scale in about.type.scales(about.config).items()}
    tables = {name: known_tables(model.get(name), labels[name], name, people) for name in wanted}
    return add_up(labels_given, wanted, labels, tables, lost)


def add_up(
    labels_given: Sequence[tuple[str, Mapping[str, str]]],
    wanted: Mapping[str, str],
    labels: Mapping[str, Sequence[str]],
    tables: Mapping[str, Tables],
    lost: Mapping[str, Collection[str]],
) -> list[ScaleEvidence]:
    """The evidence in what was said (contributor, label by scale) on each scale that must be sure.

    wanted: the consensus' label of each; labels: all there are. lost: scales in which a contributor is lost.
    """
    found = []
    for name, label in wanted.items():
        places = {each: place for place, each in enumerate(labels[name])}
        evidence = no_evidence(len(places))
        for who, given in labels_given:
            place = places.get(given.get(name, ""))
            if place is None:  # can't tell, not asked, or no longer offered
                evidence = evidence.plus_cant_tell()
            else:
                evidence = evidence.plus(tables[name].row(who, place), place)
        n_lost = sum(name in lost.get(who, ()) for who, _ in labels_given)
        found.append(ScaleEvidence(evidence, tables[name], places[label], n_lost))
    return found


def known_tables(
    fitted: Mapping[str, Any] | None,
    labels: tuple[str, ...],
    name: str,
    people: Mapping[str, Mapping[str, Any]],
) -> Tables:
    """What the last review knew of a scale; as of a new project where it knew nothing of these labels."""
    cold = cold_tables(len(labels))
    if fitted is None or tuple(fitted["labels"]) != labels:
        return cold
    tables = Tables(
        tuple(map(tuple, fitted["crowd"])),
        tuple(fitted["log_prior"]),
        {
            who: tuple(map(tuple, rows[name]))
            for who, rows in people.items()
            if len(rows.get(name, ())) == len(labels)
        },
        fitted["n_answers"],
        fitted["n_tasks"],
    )
    return cold if tables.is_cold else tables


def _model(site: Site, connection: Connection, facts: Facts) -> tuple[dict[str, Any], int]:
    """The model by field, and the project's redundancy."""
    key = (site.db.url, facts.project_id)
    kept = _models.get(key)
    stored_model = stopping.model(connection, facts.project_id, facts.task_id, kept[0] if kept else None)
    if stored_model.made_at is None:
        return {}, stored_model.redundancy
    if stored_model.fields is None and kept is not None:
        return kept[1], stored_model.redundancy
    fields = stored_model.fields or {}
    if len(_models) >= _MODELS_MAX:
        _models.clear()
    _models[key] = (stored_model.made_at, fields)
    return fields, stored_model.redundancy


def _draw(site: Site, task_id: int) -> float:
    """A number 0..1 of the task's own: fixed, and known to nobody without the site's key."""
    key = site.settings.key("audit")
    digest = hashlib.blake2b(task_id.to_bytes(8, "big"), key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
