"""A whole question project at once, with a model beside the vote: one pass to fit, one to fold.

Imported when first needed, by workers and the command line: it brings numpy.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from microtasks.core import skill, text
from microtasks.core.tasktype import Answer, Consensus, Method
from microtasks.core.voting import Verdict
from microtasks.tasktypes.question.fields import BLANK, QuestionField, is_asked

if TYPE_CHECKING:
    from microtasks.tasktypes.question import Question, QuestionConfig

#: (value, confidence, values that tie, share of the answers that support it) of one task.
Said = tuple[Any, float | None, tuple[Any, ...], float]
Model = Callable[[int, Sequence[Answer], Verdict], Said]


@dataclass
class _Column:
    """The answers to one field as columns; choices: the rows that chose each."""

    item: QuestionField
    labels: dict[str, int]
    task: array[int] = field(default_factory=lambda: array("i"))
    person: array[int] = field(default_factory=lambda: array("i"))
    label: array[int] = field(default_factory=lambda: array("i"))
    chosen: list[array[int]] = field(default_factory=list)
    texts: list[list[tuple[str, str]]] = field(default_factory=list)
    gold: dict[int, Any] = field(default_factory=dict)

    def add(self, ordinal: int, person: int, value: Any) -> None:
        """Add one answer's value (BLANK for left blank)."""
        if self.item.kind == "choices" and value == BLANK:
            return
        if self.item.kind == "choices":
            for choice in value:
                number = self.labels.setdefault(choice, len(self.labels))
                if number == len(self.chosen):  # no longer offered, but it was
                    self.chosen.append(array("i"))
                self.chosen[number].append(len(self.task))
        else:
            self.label.append(self.labels.setdefault(str(value), len(self.labels)))
        self.task.append(ordinal)
        self.person.append(person)


def reduce_project(
    question: Question,
    tasks: Iterable[tuple[int, Sequence[Answer]]],
    config: QuestionConfig,
    method: Method,
    gold: Mapping[int, Mapping[str, Any]],
) -> Iterator[tuple[int, Consensus]]:
    """Fold all tasks: the vote on every field, and what the model makes of it.

    1. Read all answers into columns. 2. Fit a model a field. 3. Read the tasks again and put the model's word
    beside the vote's; `method` says which of them decides.
    """
    models = _fit(*_read(tasks, config, gold), method)
    for ordinal, (task, answers) in enumerate(tasks):
        weights = [1.0] * len(answers)
        verdicts = {item.id: question.verdict(item, answers, weights, config) for item in config.fields}
        for name, model in models.items():
            said = model(ordinal, answers, verdicts[name])
            verdicts[name] = _beside(verdicts[name], said, decides=method != "majority")
        n_cant_tell = sum(answer.kind == "cant_tell" for answer in answers)
        consensus = question.assemble(verdicts, len(answers), n_cant_tell, config)
        yield task, replace(consensus, parameters={"method": method})


def _read(
    tasks: Iterable[tuple[int, Sequence[Answer]]],
    config: QuestionConfig,
    gold: Mapping[int, Mapping[str, Any]],
) -> tuple[list[_Column], dict[str, int], int]:
    columns = []
    for item in config.fields:
        labels = {name: number for number, name in enumerate(item.choice_ids)}
        if item.kind in ("choice", "scale") and not item.required:
            labels[BLANK] = len(labels)
        columns.append(_Column(item, labels, chosen=[array("i") for _ in item.choice_ids]))
    people: dict[str, int] = {}
    n_tasks = 0
    for ordinal, (task, answers) in enumerate(tasks):
        n_tasks += 1
        for column in columns:
            item = column.item
            if task in gold and item.id in gold[task]:
                column.gold[ordinal] = gold[task][item.id]
            if item.kind == "text":
                column.texts.append(
                    [(a.contributor, a.value[item.id]) for a in answers if a.value and item.id in a.value]
                )
            elif item.kind != "number":
                for answer in answers:
                    if answer.value is None or not is_asked(item, answer.value, config):
                        continue
                    person = people.setdefault(answer.contributor, len(people))
                    column.add(ordinal, person, answer.value.get(item.id, BLANK))
    return columns, people, n_tasks


def _fit(
    columns: Sequence[_Column], people: Mapping[str, int], n_tasks: int, method: Method
) -> dict[str, Model]:
    # People by rank of their names, so that sums do not depend on who came first.
    rank = np.empty(len(people), np.int32)
    for place, name in enumerate(sorted(people)):
        rank[people[name]] = place
    fitted: dict[str, Model] = {}
    for column in columns:
        kind = column.item.kind
        if kind == "text":
            fitted[column.item.id] = _text_model(column)
        elif len(column.task):
            task = np.frombuffer(column.task, np.int32)
            person = rank[np.frombuffer(column.person, np.int32)]
            build = _choices_model if kind == "choices" else _choice_model
            fitted[column.item.id] = build(column, task, person, n_tasks, len(people), method)
    return fitted


def _choice_model(
    column: _Column, task: Any, person: Any, n_tasks: int, n_people: int, method: Method
) -> Model:
    gold = np.full(n_tasks, -1, np.int32)
    for ordinal, value in column.gold.items():
        gold[ordinal] = column.labels[str(value)]
    votes = skill.sort(
        task, person, np.frombuffer(column.label, np.int32), n_tasks, n_people, max(2, len(column.labels))
    )
    posterior = skill.fit(votes, gold, "committee" if method == "committee" else "model").posterior
    names: list[Any] = [*column.labels]
    if column.item.kind == "scale":
        names = [name if name == BLANK else int(name) for name in names]

    def say(ordinal: int, answers: Sequence[Answer], vote: Verdict) -> Said:
        if vote.value is None and not vote.tied:
            return None, None, (), 0.0
        row = posterior[ordinal]
        top = float(row.max())
        best = [names[k] for k in np.flatnonzero(row >= top - skill.SAME)]
        support: Mapping[str, float] = vote.detail["votes"]
        n_cant_tell = sum(answer.kind == "cant_tell" for answer in answers)
        agreement = support.get(str(best[0]), 0.0) / (math.fsum(support.values()) + n_cant_tell)
        if len(best) > 1:
            return None, round(top, 6), tuple(best), agreement
        return best[0], round(top, 6), (), agreement

    return say


def _choices_model(
    column: _Column, task: Any, person: Any, n_tasks: int, n_people: int, method: Method
) -> Model:
    choices = tuple(column.labels)
    gold = [np.full(n_tasks, -1, np.int32) for _ in choices]
    for ordinal, value in column.gold.items():
        for number, choice in enumerate(choices):
            gold[number][ordinal] = choice in value
    rows = [np.frombuffer(chosen, np.int32) if chosen else np.empty(0, np.int32) for chosen in column.chosen]
    probability = skill.fit_each(
        task, person, rows, n_tasks, n_people, gold, "committee" if method == "committee" else "model"
    )
    name = column.item.id

    def say(ordinal: int, answers: Sequence[Answer], vote: Verdict) -> Said:
        details = vote.detail.get("choices")
        if not details:
            return vote.value, vote.confidence, vote.tied, vote.agreement
        p = [float(one[ordinal]) for one in probability]
        n_given = sum(1 for answer in answers if answer.value and name in answer.value)
        part = n_given / sum(1 for answer in answers if answer.value is None or name in answer.value)
        tied = tuple(choice for choice, q in zip(choices, p, strict=True) if abs(q - 0.5) <= skill.SAME)
        value = [choice for choice, q in zip(choices, p, strict=True) if q > 0.5]
        agreement = min(
            part * (d["share"] if choice in value else 1 - d["share"]) for choice, d in details.items()
        )
        sure = round(min(max(q, 1 - q) for q in p), 6)
        return (None if tied else value), sure, tied, agreement

    return say


def _text_model(column: _Column) -> Model:
    weight = text.weights(column.texts)
    name = column.item.id

    def say(ordinal: int, answers: Sequence[Answer], vote: Verdict) -> Said:
        given = column.texts[ordinal]
        if vote.value == BLANK or not given:
            return vote.value, vote.confidence, vote.tied, vote.agreement
        verdict = text.consensus([t for _, t in given], [weight.get(who, 1.0) for who, _ in given])
        shown = verdict.value or (verdict.tied[0] if verdict.tied else "")
        same = sum(text.normalise(t) == text.normalise(shown) for _, t in given)
        n_all = sum(1 for answer in answers if answer.value is None or name in answer.value)
        return verdict.value, verdict.confidence, verdict.tied, same / n_all

    return say


def _beside(vote: Verdict, said: Said, *, decides: bool) -> Verdict:
    """The vote's verdict with the model's word beside it, or the model's with the vote's."""
    value, sure, tied, agreement = said
    detail = {
        **vote.detail,
        "vote": None if vote.value == BLANK else vote.value,
        "vote_agreement": vote.agreement,
        "vote_confidence": vote.confidence,
        "model": None if value == BLANK else value,
        "model_confidence": sure,
        "differs": vote.value != value,
    }
    if not decides:
        return replace(vote, detail=detail)
    return Verdict(value, agreement, sure, tied=tied, lead=vote.lead, detail=detail)
