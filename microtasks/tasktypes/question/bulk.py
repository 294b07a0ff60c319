"""A whole question project at once, with a model beside the vote: one pass to fit, one to fold.

Imported when first needed, by workers and the command line: it brings numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from microtasks.core.columnar import CHUNK, Columns, Ints
from microtasks.core.consensus import numbers, precision, skill, text
from microtasks.core.consensus.voting import Verdict
from microtasks.core.parsing.spelling import key
from microtasks.core.values import Answer, Consensus, Method
from microtasks.tasktypes.question.fields import BLANK, QuestionField, is_asked, whole

if TYPE_CHECKING:
    from microtasks.tasktypes.question import Question, QuestionConfig

#: (value, confidence, values that tie, share of the answers that support it) of one task.
Said = tuple[Any, float | None, tuple[Any, ...], float]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """The same answers, given to any number of tasks: what the vote makes of them."""

    answers: list[Answer]
    verdicts: Mapping[str, Verdict]
    n_cant_tell: int


Model = Callable[[int, _Pattern], Said]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The model of one field. decided_by: whose word it gives, the vote's where too little can be learnt."""

    say: Model
    decided_by: Literal["vote", "model"] = "model"


@dataclass(frozen=True, slots=True)
class _Field:
    """The answers to one field: the rows that answered it, and gold (value by number of the task)."""

    item: QuestionField
    answers: Columns
    task: Ints
    person: Ints
    said: Ints
    gold: Mapping[int, Any]

    def of_spoken(self, read: Callable[[Any], int]) -> Ints:
        """For each row what `read` makes of its answer to this field."""
        table = np.array(
            [read(_given(self.item, one)) for one in self.answers.spoken] if len(self.said) else [], np.int32
        )
        return table[self.said]


def reduce_columns(
    question: Question,
    answers: Columns,
    config: QuestionConfig,
    method: Method,
    gold: Mapping[int, Mapping[str, Any]],
) -> Iterator[tuple[int, Consensus]]:
    """Fold all tasks: the vote on every field, and what the model makes of it.

    1. Fit a model a field. 2. Fold what was said: the vote once for all tasks to which the same was said.
    3. Put the model's word beside the vote's; `method` says which of them decides.
    """
    models = {}
    for item in config.fields:
        if model := _model(item, answers, config, method, gold):
            models[item.id] = model
    decides = method != "majority"
    parameters = {"method": method}
    decided_by = {name: model.decided_by for name, model in models.items()}
    known: dict[bytes, _Pattern] = {}
    for number, pattern_values, own in answers.patterns():
        pattern = known.get(pattern_values)
        if pattern is None:
            pattern = _pattern(question, answers.given(own), config)
            if len(known) >= CHUNK * 16:  # texts: hardly two tasks are alike
                known.clear()
            known[pattern_values] = pattern
        verdicts = dict(pattern.verdicts)
        for name, model in models.items():
            verdicts[name] = _beside(verdicts[name], model.say(number, pattern), decides=decides)
        consensus = question.assemble(verdicts, len(pattern.answers), pattern.n_cant_tell, config)
        detail = {**consensus.detail, "decided_by": decided_by}
        yield int(answers.task_ids[number]), replace(consensus, detail=detail, parameters=parameters)


def _pattern(question: Question, given: list[Answer], config: QuestionConfig) -> _Pattern:
    weights = [1.0] * len(given)
    verdicts = {item.id: question.verdict(item, given, weights, config) for item in config.fields}
    return _Pattern(given, verdicts, sum(one.kind == "cant_tell" for one in given))


def _model(
    item: QuestionField,
    answers: Columns,
    config: QuestionConfig,
    method: Method,
    gold: Mapping[int, Mapping[str, Any]],
) -> _Fitted | None:
    """Fit the model of one field; None where nothing was said."""
    was_asked = np.array(
        [one.value is not None and is_asked(item, one.value, config) for one in answers.spoken], bool
    )
    if item.kind in ("choices", "text", "number"):  # a blank names nothing to learn from
        was_asked &= np.array([_given(item, one) != BLANK for one in answers.spoken], bool)
    rows = was_asked[answers.said] if len(answers.said) else np.zeros(0, bool)
    if not rows.any() and item.kind != "text":
        return None
    known = answers.places(task for task, value in gold.items() if item.id in value)
    right = {number: gold[task][item.id] for task, number in known.items()}
    column = _Field(item, answers, answers.task[rows], answers.person[rows], answers.said[rows], right)
    if item.kind == "text":
        return _Fitted(_text_model(column))
    if item.kind == "number":
        return _Fitted(_number_model(column))
    return _choices_model(column) if item.kind == "choices" else _choice_model(column, method)


def _given(item: QuestionField, one: Answer) -> Any:
    return BLANK if one.value is None else one.value.get(item.id, BLANK)


def _labels(column: _Field, given: set[str]) -> dict[str, int]:
    """Labels by number: those of the config in order, then what is no longer offered but was chosen."""
    item = column.item
    names = [*item.choice_ids]
    if item.kind in ("choice", "scale") and not item.required:
        names.append(BLANK)
    names += sorted(given - set(names))
    return {name: number for number, name in enumerate(names)}


def _by_vote(item: QuestionField) -> _Fitted:
    """What the vote says: there is too little to learn from."""

    def say(number: int, pattern: _Pattern) -> Said:
        vote = pattern.verdicts[item.id]
        return vote.value, vote.confidence, vote.tied, vote.agreement

    return _Fitted(say, "vote")


def _choice_model(column: _Field, method: Method) -> _Fitted:
    item, answers = column.item, column.answers
    given = {str(_given(item, answers.spoken[row])) for row in np.unique(column.said).tolist()}
    labels = _labels(column, given | {str(value) for value in column.gold.values()})
    gold = np.full(answers.n_tasks, -1, np.int32)
    for number, value in column.gold.items():
        gold[number] = labels[str(value)]
    label = column.of_spoken(lambda value: labels.get(str(value), -1))
    votes = skill.sort(
        column.task, column.person, label, answers.n_tasks, len(answers.people), max(2, len(labels))
    )
    fitted = skill.fit(votes, gold, "committee" if method == "committee" else "model")
    if fitted.decided_by == "vote":
        return _by_vote(item)
    posterior = fitted.posterior
    top = posterior.max(axis=1)
    best = posterior.argmax(axis=1).astype(np.int32)
    is_tied = (posterior >= top[:, None] - skill.SAME).sum(axis=1) > 1
    tied = {int(k): np.flatnonzero(posterior[k] >= top[k] - skill.SAME) for k in np.flatnonzero(is_tied)}
    sure = np.round(top, 6)
    del posterior, fitted, top
    names: list[Any] = [*labels]
    if item.kind == "scale":
        names = [name if name == BLANK else int(name) for name in names]

    def say(number: int, pattern: _Pattern) -> Said:
        vote = pattern.verdicts[item.id]
        if vote.value is None and not vote.tied:
            return None, None, (), 0.0
        value = names[best[number]]
        support: Mapping[str, float] = vote.detail["votes"]
        agreement = support.get(str(value), 0.0) / (math.fsum(support.values()) + pattern.n_cant_tell)
        if number in tied:
            return None, float(sure[number]), tuple(names[k] for k in tied[number]), agreement
        return value, float(sure[number]), (), agreement

    return _Fitted(say)


def _choices_model(column: _Field) -> _Fitted:
    item, answers = column.item, column.answers
    given = {
        choice for row in np.unique(column.said).tolist() for choice in _given(item, answers.spoken[row])
    }
    choices = tuple(_labels(column, given))
    gold = [np.full(answers.n_tasks, -1, np.int32) for _ in choices]
    for number, value in column.gold.items():
        for k, choice in enumerate(choices):
            gold[k][number] = choice in value
    rows = [
        np.flatnonzero(column.of_spoken(lambda value, choice=choice: value != BLANK and choice in value))  # type: ignore[misc]
        for choice in choices
    ]
    probability = skill.fit_each(
        column.task,
        column.person,
        rows,
        answers.n_tasks,
        len(answers.people),
        gold,
    )
    if probability is None:
        return _by_vote(item)
    name = item.id

    def say(number: int, pattern: _Pattern) -> Said:
        vote = pattern.verdicts[name]
        details = vote.detail.get("choices")
        if not details:
            return vote.value, vote.confidence, vote.tied, vote.agreement
        p = [float(one[number]) for one in probability]
        n_given = sum(1 for answer in pattern.answers if answer.value and name in answer.value)
        part = n_given / sum(1 for answer in pattern.answers if answer.value is None or name in answer.value)
        tied = tuple(choice for choice, q in zip(choices, p, strict=True) if abs(q - 0.5) <= skill.SAME)
        value = [choice for choice, q in zip(choices, p, strict=True) if q > 0.5]
        agreement = min(
            part * (d["share"] if choice in value else 1 - d["share"]) for choice, d in details.items()
        )
        sure = round(min(max(q, 1 - q) for q in p), 6)
        return (None if tied else value), sure, tied, agreement

    return _Fitted(say)


def _text_model(column: _Field) -> Model:
    name, answers, comparison = column.item.id, column.answers, column.item.compare
    starts = np.r_[0, np.cumsum(np.bincount(column.task, minlength=answers.n_tasks))]

    def given(number: int) -> list[tuple[str, str]]:
        rows = range(starts[number], starts[number + 1])
        return [
            (answers.people[column.person[row]], _given(column.item, answers.spoken[column.said[row]]))
            for row in rows
        ]

    weight = text.weights((given(number) for number in range(answers.n_tasks)), comparison)

    def say(number: int, pattern: _Pattern) -> Said:
        vote, texts = pattern.verdicts[name], given(number)
        if vote.value == BLANK or not texts:
            return vote.value, vote.confidence, vote.tied, vote.agreement
        weights = [weight.get(who, 1.0) for who, _ in texts]
        verdict = text.consensus([t for _, t in texts], weights, comparison=comparison)
        shown = verdict.value or (verdict.tied[0] if verdict.tied else "")
        same = sum(key(t, comparison) == key(shown, comparison) for _, t in texts)
        n_all = sum(1 for answer in pattern.answers if answer.value is None or name in answer.value)
        return verdict.value, verdict.confidence, verdict.tied, same / n_all

    return say


def _number_model(column: _Field) -> Model:
    item, answers = column.item, column.answers
    spoken = [_given(item, one) for one in answers.spoken]
    values = np.array([v if isinstance(v, int | float) else np.nan for v in spoken], float)[column.said]
    rows = np.isfinite(values)  # an answer from when the field was of another kind is no number
    gold = np.full(answers.n_tasks, np.nan)
    for number, value in column.gold.items():
        gold[number] = value
    fitted = precision.fit(
        column.task[rows], column.person[rows], values[rows], answers.n_tasks, len(answers.people), gold
    )

    def say(number: int, pattern: _Pattern) -> Said:
        vote = pattern.verdicts[item.id]
        if vote.value in (None, BLANK):
            return vote.value, vote.confidence, vote.tied, vote.agreement
        value = whole(fitted.rounded(number))
        near = abs(value) * numbers.RELATIVE_TOLERANCE if item.tolerance is None else item.tolerance
        said = [answer.value.get(item.id) for answer in pattern.answers if answer.value]
        n_near = sum(isinstance(v, int | float) and abs(v - value) <= near for v in said)
        n_all = sum(1 for answer in pattern.answers if answer.value is None or item.id in answer.value)
        sure = round(fitted.confidence(number, near), 6) if near else vote.confidence
        return value, sure, (), n_near / n_all

    return say


def _beside(vote: Verdict, model: Said, *, decides: bool) -> Verdict:
    """The vote's verdict with the model's word beside it, or the model's with the vote's."""
    value, sure, tied, agreement = model
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
        return Verdict(vote.value, vote.agreement, vote.confidence, vote.tied, vote.lead, detail)
    return Verdict(value, agreement, sure, tied=tied, lead=vote.lead, detail=detail)
