"""A whole tagging project at once, with a model beside the share: one pass to fit, one to fold.

Imported when first needed, by workers and the command line: it brings numpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from microtasks.core.columnar import CHUNK, Columns
from microtasks.core.consensus import skill
from microtasks.core.values import Consensus, Method

if TYPE_CHECKING:
    from microtasks.tasktypes.tagging import Tagging, TaggingConfig


def reduce_columns(
    tagging: Tagging,
    answers: Columns,
    config: TaggingConfig,
    method: Method,
    gold: Mapping[int, Mapping[str, Any]],
) -> Iterator[tuple[int, Consensus]]:
    """Fold all tasks: the share of every tag, and what the model makes of it.

    1. Fit a two-class model a tag. 2. Fold what was said, once for all tasks to which the same was said.
    3. Put the model's word beside the share's; `method` says which of them decides.
    """
    probability = _fit(answers, config, gold)
    decided_by = {"tags": "vote" if probability is None else "model"}
    known: dict[bytes, Consensus] = {}
    for number, key, own in answers.patterns():
        vote = known.get(key)
        if vote is None:
            # Each answer under a name of its own: they stand for different people.
            given = [replace(one, contributor=str(k)) for k, one in enumerate(answers.given(own))]
            vote = tagging.reduce(given, config)
            if len(known) >= CHUNK * 16:
                known.clear()
            known[key] = vote
        shares = {tag: float(p[number]) for tag, p in (probability or {}).items()}
        both = _beside(vote, shares, "majority" if probability is None else method)
        detail = {**both.detail, "decided_by": decided_by}
        parameters = {**both.parameters, "method": method}
        yield int(answers.task_ids[number]), replace(both, detail=detail, parameters=parameters)


def _fit(
    answers: Columns, config: TaggingConfig, gold: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Probability of each tag for each task; None where there is too little to learn from.

    Custom tags of one voice stay with the share. A committee is no better here: the model it is.
    """
    is_viewer = np.array([one.value is not None for one in answers.spoken], bool)
    rows = is_viewer[answers.said] if len(answers.said) else np.zeros(0, bool)
    task, person, values = answers.task[rows], answers.person[rows], answers.said[rows]
    spoken_of: dict[str, list[int]] = {tag: [] for tag in config.tag_ids}
    for row, one in enumerate(answers.spoken):
        for tag in set(one.value["tags"]) if one.value else ():
            spoken_of.setdefault(tag, []).append(row)
    n_said = np.bincount(values, minlength=len(answers.spoken))
    fitted = sorted(tag for tag, spoken in spoken_of.items() if n_said[spoken].sum() >= 2)
    if not fitted:
        return {}
    right = {number: set(gold[task]["tags"]) for task, number in answers.places(gold).items()}
    chosen, known = [], []
    for tag in fitted:
        has_tag = np.zeros(len(answers.spoken), bool)
        has_tag[spoken_of[tag]] = True
        chosen.append(np.flatnonzero(has_tag[values]))
        column = np.full(answers.n_tasks, -1, np.int32)
        for number, tags in right.items():
            column[number] = tag in tags
        known.append(column)
    probability = skill.fit_each(
        task,
        person,
        chosen,
        answers.n_tasks,
        len(answers.people),
        known,
    )
    if probability is None:
        return None
    return {tag: p.astype(np.float32) for tag, p in zip(fitted, probability, strict=True)}


def _beside(vote: Consensus, probability: Mapping[str, float], method: Method) -> Consensus:
    """The share's consensus with the model's word beside it, or the model's with the share's."""
    if not vote.detail["tags"]:
        return vote
    tied = set(vote.detail["tied"])
    details: dict[str, dict[str, Any]] = {}
    for tag, detail in vote.detail["tags"].items():
        is_chosen = None if tag in tied else detail["is_accepted"]
        p = probability.get(tag)
        is_in = detail["is_accepted"] if p is None else p > 0.5
        details[tag] = {**detail, "vote": is_chosen, "model": is_in, "differs": is_chosen != is_in}
        if p is not None:
            details[tag]["model_probability"] = round(p, 6)
    if method == "majority":
        return replace(vote, detail={**vote.detail, "tags": details})
    agreements, sures = [], []
    for detail in details.values():
        detail["is_accepted"] = detail["model"]
        p = detail.get("model_probability")
        if p is None:
            continue
        detail["confidence"] = round(max(p, 1 - p), 6)
        sures.append(detail["confidence"])
        agreements.append(detail["share"] if detail["is_accepted"] else 1 - detail["share"])
    accepted = [tag for tag, detail in details.items() if detail["is_accepted"]]
    return replace(
        vote,
        value={"tags": accepted},
        agreement=min(agreements, default=vote.agreement),
        confidence=min(sures, default=vote.confidence),
        is_tied=False,
        detail={**vote.detail, "tags": details, "tied": []},
    )
