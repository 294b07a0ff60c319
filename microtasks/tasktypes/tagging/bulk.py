"""A whole tagging project at once, with a model beside the share: one pass to fit, one to fold.

Imported when first needed, by workers and the command line: it brings numpy.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from microtasks.core import skill
from microtasks.core.tasktype import Answer, Consensus, Method

if TYPE_CHECKING:
    from microtasks.tasktypes.tagging import Tagging, TaggingConfig


def reduce_project(
    tagging: Tagging,
    tasks: Iterable[tuple[int, Sequence[Answer]]],
    config: TaggingConfig,
    method: Method,
    gold: Mapping[int, Mapping[str, Any]],
) -> Iterator[tuple[int, Consensus]]:
    """Fold all tasks: the share of every tag, and what the model makes of it.

    1. Read all answers into columns. 2. Fit a two-class model a tag. 3. Read the tasks again and put the
    model's word beside the share's; `method` says which of them decides.
    """
    people: dict[str, int] = {}
    tags: dict[str, array[int]] = {tag: array("i") for tag in config.tag_ids}
    task_of, person_of = array("i"), array("i")
    known: dict[int, set[str]] = {}
    n_tasks = 0
    for ordinal, (task, answers) in enumerate(tasks):
        n_tasks += 1
        if task in gold:
            known[ordinal] = set(gold[task]["tags"])
        for answer in answers:
            if answer.value is None:
                continue
            for tag in answer.value["tags"]:
                tags.setdefault(tag, array("i")).append(len(task_of))
            task_of.append(ordinal)
            person_of.append(people.setdefault(answer.contributor, len(people)))
    probability = _fit(tags, task_of, person_of, people, known, n_tasks, method)

    for ordinal, (task, answers) in enumerate(tasks):
        vote = tagging.reduce(answers, config)
        yield task, _beside(vote, {tag: float(p[ordinal]) for tag, p in probability.items()}, method)


def _fit(
    tags: Mapping[str, array[int]],
    task_of: array[int],
    person_of: array[int],
    people: Mapping[str, int],
    known: Mapping[int, set[str]],
    n_tasks: int,
    method: Method,
) -> dict[str, Any]:
    """Probability of each tag for each task. Own tags of one voice stay with the share."""
    fitted = sorted(tag for tag, rows in tags.items() if len(rows) >= 2)
    if not fitted:
        return {}
    # People by rank of their names, so that sums do not depend on who came first.
    rank = np.empty(len(people), np.int32)
    for place, name in enumerate(sorted(people)):
        rank[people[name]] = place
    gold = [np.full(n_tasks, -1, np.int32) for _ in fitted]
    for ordinal, right in known.items():
        for number, tag in enumerate(fitted):
            gold[number][ordinal] = tag in right
    probability = skill.fit_each(
        np.frombuffer(task_of, np.int32),
        rank[np.frombuffer(person_of, np.int32)],
        [np.frombuffer(tags[tag], np.int32) for tag in fitted],
        n_tasks,
        len(people),
        gold,
        "committee" if method == "committee" else "model",
    )
    return {tag: p.astype(np.float32) for tag, p in zip(fitted, probability, strict=True)}


def _beside(vote: Consensus, probability: Mapping[str, float], method: Method) -> Consensus:
    """The share's consensus with the model's word beside it, or the model's with the share's."""
    parameters = {**vote.parameters, "method": method}
    if not vote.detail["tags"]:
        return replace(vote, parameters=parameters)
    tied = set(vote.detail["tied"])
    details: dict[str, dict[str, Any]] = {}
    for tag, detail in vote.detail["tags"].items():
        said = None if tag in tied else detail["is_accepted"]
        p = probability.get(tag)
        is_in = detail["is_accepted"] if p is None else p > 0.5
        details[tag] = {**detail, "vote": said, "model": is_in, "differs": said != is_in}
        if p is not None:
            details[tag]["model_probability"] = round(p, 6)
    if method == "majority":
        return replace(vote, detail={**vote.detail, "tags": details}, parameters=parameters)
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
        parameters=parameters,
    )
