"""Question: one to ten fields about an image or a text. Choices, numbers, short text, scales."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from microtasks.core.consensus import numbers, text, voting
from microtasks.core.consensus.voting import Verdict
from microtasks.core.errors import AnswerInvalid
from microtasks.core.parsing import spelling
from microtasks.core.parsing.lists import join_list, split_list
from microtasks.core.tasktype import TaskType
from microtasks.core.values import (
    DECIDED_BY,
    Answer,
    Column,
    Compared,
    Consensus,
    LabelScale,
    Media,
    Method,
    Part,
    Sure,
)
from microtasks.core.values import Payload as TaskPayload
from microtasks.tasktypes.question.fields import (
    BLANK,
    Choice,
    Kind,
    QuestionConfig,
    QuestionField,
    QuestionValue,
    as_offered,
    canonical,
    is_asked,
    is_blank,
    number,
    opens,
    problem,
    whole,
    without_hidden,
)

if TYPE_CHECKING:
    from microtasks.core.columnar import Columns

__all__ = [
    "BLANK",
    "TYPE",
    "Choice",
    "Question",
    "QuestionConfig",
    "QuestionField",
    "QuestionValue",
    "is_asked",
]


#: A number or a text is not sure before.
FREE_ANSWERS_MIN = 3
#: A field is as good as right from this score on: a text with a slip of the pen, a step on a long scale.
RIGHT_FROM = text.NEARLY_RIGHT


class Question(TaskType[QuestionConfig, TaskPayload, QuestionValue]):
    """A form of one to ten fields."""

    name = "question"
    version = 1
    label = "Question"
    summary = "Ask one or a few questions about an image or a text: choices, a number, a scale, a short text."
    inline = True
    columnar = True
    Config = QuestionConfig
    Payload = TaskPayload
    Value = QuestionValue

    def parse_value(
        self, raw: object, payload: TaskPayload, config: QuestionConfig, media: Sequence[Media] = ()
    ) -> dict[str, Any]:
        """Return the plain JSON of a valid answer, in one spelling: fields and choices in the config's order,
        blanks and fields that were not asked left out, whole numbers without a fraction.
        """
        if isinstance(raw, Mapping):
            given = {name: value for name, value in raw.items() if not is_blank(value)}
            known = {item.id: as_offered(given[item.id], item) for item in config.fields if item.id in given}
            raw = without_hidden(given | known, config)
        plain = super().parse_value(raw, payload, config, media)
        return {item.id: canonical(plain[item.id], item) for item in config.fields if item.id in plain}

    def check(
        self, value: QuestionValue, payload: TaskPayload, config: QuestionConfig, media: Sequence[Media]
    ) -> None:
        """Refuse fields that do not exist, values not offered, and required fields left blank."""
        given: dict[str, Any] = dict(value.__pydantic_extra__ or {})
        known = {item.id for item in config.fields}
        problems = [{"where": name, "what": "There is no such field."} for name in given if name not in known]
        for item in config.fields:
            what = (
                problem(given[item.id], item)
                if item.id in given
                else "Please answer this one."
                if item.required and is_asked(item, given, config)
                else None
            )
            if what:
                problems.append({"where": item.id, "what": what})
        if problems:
            raise AnswerInvalid(problems[0]["what"], problems=problems)

    def is_empty(self, value: Mapping[str, Any]) -> bool:
        """Never: each field says something."""
        return False

    def ask(self, config: QuestionConfig) -> str:
        """The label of the only field."""
        return config.fields[0].label if len(config.fields) == 1 else ""

    def from_form(
        self, form: Mapping[str, Sequence[str]], config: QuestionConfig, decimal: str = "."
    ) -> dict[str, Any]:
        """Read inputs named by field id (`choices`: one input a choice, all of that name)."""
        raw: dict[str, Any] = {}
        for item in config.fields:
            given = [entry for entry in form.get(item.id, ()) if entry.strip()]
            if not given:
                continue
            raw[item.id] = (
                given
                if item.kind == "choices"
                else number(given[0], item, decimal)
                if item.kind in ("number", "scale")
                else given[0]
            )
        return raw

    def reduce(
        self, answers: Sequence[Answer], config: QuestionConfig, skills: Mapping[str, float] | None = None
    ) -> Consensus:
        """Decide each field on its own.

        choice and scale: plurality. choices: each by majority. number: median. text: same or nearest.
        agreement, confidence: of the least agreed, least sure field that is asked in the end; "I can't tell"
        and blanks weigh against. A tie in one such field leaves the whole without a value; the decided
        fields are in detail["fields"] all the same.
        """
        weights = [1.0 if skills is None else skills.get(answer.contributor, 1.0) for answer in answers]
        verdicts = {item.id: self.verdict(item, answers, weights, config) for item in config.fields}
        return self.assemble(verdicts, len(answers), sum(a.kind == "cant_tell" for a in answers), config)

    def reduce_project(
        self,
        tasks: Iterable[tuple[int, Sequence[Answer]]],
        config: QuestionConfig,
        method: Method = "majority",
        gold: Mapping[int, Mapping[str, Any]] | None = None,
        compare: bool = False,
    ) -> Iterator[tuple[int, Consensus]]:
        """Fold all tasks at once; a model knows each volunteer's record (core.skill).

        What the vote and the model say is in each field's detail as `vote` and `model`, with `differs`.
        """
        if method == "majority" and not compare:
            return super().reduce_project(tasks, config)
        from microtasks.core import columnar

        return self.reduce_columns(columnar.read(tasks), config, method, gold)

    def reduce_columns(
        self,
        answers: Columns,
        config: QuestionConfig,
        method: Method = "majority",
        gold: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> Iterator[tuple[int, Consensus]]:
        """Fold all tasks of a project, given as columns; the vote and the model side by side."""
        from microtasks.tasktypes.question import bulk

        return bulk.reduce_columns(self, answers, config, method, gold or {})

    def assemble(
        self, verdicts: Mapping[str, Verdict], n_answers: int, n_cant_tell: int, config: QuestionConfig
    ) -> Consensus:
        """Put the verdicts on the fields together."""
        value: dict[str, Any] = {}
        asked: list[Verdict] = []
        for item in config.fields:
            verdict = verdicts[item.id]
            if item.show_if is not None and not opens(item.show_if, value.get(item.show_if.field)):
                continue
            asked.append(verdict)
            if verdict.value is not None and verdict.value != BLANK:
                value[item.id] = verdict.value
        is_tied = any(verdict.tied for verdict in asked)
        is_whole = not is_tied and all(verdict.value is not None for verdict in asked)
        sures = [verdict.confidence for verdict in asked]
        return Consensus(
            value=value if is_whole and value else None,
            agreement=min((verdict.agreement for verdict in asked), default=0.0),
            confidence=None if None in sures else min(sures, default=None),  # type: ignore[type-var]
            n_answers=n_answers,
            is_tied=is_tied,
            detail={
                "fields": {name: _plain(verdict) for name, verdict in verdicts.items()},
                "n_cant_tell": n_cant_tell,
                "lead": min((verdict.lead for verdict in asked), default=0.0),
                "entropy": max((verdict.detail.get("entropy", 0.0) for verdict in asked), default=0.0),
            },
            reducer=self.reducer,
        )

    def verdict(
        self, item: QuestionField, answers: Sequence[Answer], weights: Sequence[float], config: QuestionConfig
    ) -> Verdict:
        """Return the vote on one field."""
        votes: list[tuple[Any, float]] = []
        against: list[float] = []
        for answer, weight in zip(answers, weights, strict=True):
            if answer.value is None:
                against.append(weight)
            elif item.id in answer.value:
                votes.append((answer.value[item.id], weight))
            elif is_asked(item, answer.value, config):
                votes.append((BLANK, weight))
        return decide(item, votes, math.fsum(against))

    def parts(self, config: QuestionConfig) -> tuple[Part, ...]:
        """One part a field."""
        return tuple(
            Part(
                item.id,
                item.kind,
                item.label or item.id,
                options=tuple((choice.id, choice.label or choice.id) for choice in item.choices),
                low=item.low if item.kind == "scale" else item.min,
                high=item.high if item.kind == "scale" else item.max,
            )
            for item in config.fields
        )

    def poll(self, config: QuestionConfig) -> Part | None:
        """The only field, where the owner wants its votes shown."""
        return self.parts(config)[0] if config.poll else None

    def scales(self, config: QuestionConfig) -> dict[str, LabelScale]:
        """Choices by name, scales by rank; each of several choices is a yes or no (`field.choice`)."""
        scales: dict[str, LabelScale] = {}
        for item in config.fields:
            if item.kind in ("choice", "scale"):
                metric: Literal["nominal", "ordinal"] = "nominal" if item.kind == "choice" else "ordinal"
                scales[item.id] = LabelScale(metric, item.choice_ids)
            elif item.kind == "choices":
                scales |= {
                    f"{item.id}.{choice}": LabelScale("nominal", ("no", "yes")) for choice in item.choice_ids
                }
        return scales

    def labels(self, value: Mapping[str, Any], config: QuestionConfig) -> dict[str, str]:
        """The answers to choices and scales."""
        labels: dict[str, str] = {}
        for item in config.fields:
            if item.id not in value:
                continue
            if item.kind in ("choice", "scale"):
                labels[item.id] = str(value[item.id])
            elif item.kind == "choices":
                chosen = value[item.id]
                labels |= {f"{item.id}.{c}": "yes" if c in chosen else "no" for c in item.choice_ids}
        return labels

    def numbers(self, value: Mapping[str, Any], config: QuestionConfig) -> dict[str, float]:
        """The answers to fields of numbers."""
        return {
            item.id: float(value[item.id])
            for item in config.fields
            if item.kind == "number" and isinstance(value.get(item.id), int | float)
        }

    def sure_when(self, consensus: Consensus, config: QuestionConfig) -> Sure | None:
        """All required fields that are asked in the end; where none is required, all that have an answer.

        A number or a text needs three answers before its confidence counts.
        """
        if consensus.value is None:
            return None
        given = [item for item in config.fields if item.id in consensus.value]
        must = [item for item in given if item.required] or given
        parts = {item.id: consensus.value[item.id] for item in must}
        details = consensus.detail["fields"]
        confidences = [
            (details[item.id]["confidence"] or 0.0) if consensus.n_answers >= FREE_ANSWERS_MIN else 0.0
            for item in must
            if item.kind in ("number", "text")
        ]
        return Sure(self.labels(parts, config), tuple(confidences))

    def score(self, value: Mapping[str, Any], gold: Mapping[str, Any], config: QuestionConfig) -> float:
        """Return the mean over the gold's fields: right or wrong for a choice, the overlap of choices,
        nearness for a scale and a text, within the tolerance for a number.
        """
        parts = [_score(item, value.get(item.id), gold[item.id]) for item in config.fields if item.id in gold]
        return sum(parts) / len(parts) if parts else 0.0

    def compare(
        self, value: Mapping[str, Any], right: Mapping[str, Any], config: QuestionConfig
    ) -> list[Compared]:
        """Each field of what is right: right or other."""
        return [
            Compared(
                "right" if _score(item, value.get(item.id), right[item.id]) >= RIGHT_FROM else "other",
                item.id,
                label=item.label or item.id,
                said=_said(item, value.get(item.id)),
                right=_said(item, right[item.id]),
            )
            for item in config.fields
            if item.id in right
        ]

    def check_gold(
        self, raw: object, payload: TaskPayload, config: QuestionConfig, media: Sequence[Media] = ()
    ) -> dict[str, Any]:
        """Gold may know some fields only."""
        optional = config.model_copy(
            update={"fields": tuple(f.model_copy(update={"required": False}) for f in config.fields)}
        )
        gold = self.parse_value(raw, payload, optional, media)
        if not gold:
            raise AnswerInvalid("Gold must name the right answer of at least one field.")
        return gold

    def gold_from_columns(self, columns: Mapping[str, str], config: QuestionConfig) -> dict[str, Any]:
        """Read columns named by field id; several choices are joined by `|`."""
        form = {
            item.id: split_list(columns[item.id]) if item.kind == "choices" else [columns[item.id]]
            for item in config.fields
            if item.id in columns
        }
        unknown = sorted(set(columns) - {item.id for item in config.fields})
        if unknown:
            raise AnswerInvalid(f"There is no field called {unknown[0]!r} to give gold for.")
        return self.from_form({k: [part.strip() for part in v] for k, v in form.items()}, config)

    def answer_columns(self, config: QuestionConfig) -> tuple[Column, ...]:
        """One column a field."""
        return tuple(_column(item, item.id, item.label or item.id) for item in config.fields)

    def answer_row(self, value: Mapping[str, Any] | None, config: QuestionConfig) -> tuple[Any, ...]:
        """Several choices are joined by `|`; a blank is None."""
        return tuple(_cell(value.get(item.id) if value else None) for item in config.fields)

    def picks(self, config: QuestionConfig) -> tuple[str, ...]:
        """Each field by its id."""
        return tuple(item.id for item in config.fields)

    def columns(self, config: QuestionConfig) -> tuple[Column, ...]:
        """Three columns a field, then how the vote and the model differ, where a model was used."""
        columns: list[Column] = []
        for item in config.fields:
            columns += [
                _column(item, item.id, f"Consensus: {item.label or item.id}. Empty on a tie."),
                Column(f"{item.id}_agreement", "number", _AGREEMENT[item.kind], "0..1"),
                Column(f"{item.id}_confidence", "number", _CONFIDENCE[item.kind], "0..1"),
            ]
        for item in config.fields:
            columns += [
                Column(
                    f"{item.id}_votes",
                    "json",
                    "Votes by value (choice, choices, scale, text); a number's spread.",
                ),
                Column(f"{item.id}_tied", "string", "Values of equal support, joined by |; empty if none."),
                _column(item, f"{item.id}_vote", "What the plain vote says (when a model was fitted)."),
                _column(
                    item, f"{item.id}_model", "What the model says that weighs volunteers by their record."
                ),
                Column(
                    f"{item.id}_model_confidence", "number", "The model's own probability for it.", "0..1"
                ),
                Column(f"{item.id}_differs", "boolean", "The vote and the model differ: look at this row."),
                Column(f"{item.id}_entropy", "number", _ENTROPY, "0..1"),
                Column(f"{item.id}_decided_by", "string", DECIDED_BY),
            ]
        return tuple(columns)

    def rows(self, consensus: Consensus, config: QuestionConfig) -> Iterable[tuple[Any, ...]]:
        """One row a task."""
        details: Mapping[str, Any] = consensus.detail.get("fields", {})
        decided_by: Mapping[str, str] = consensus.detail.get("decided_by", {})
        first: list[Any] = []
        second: list[Any] = []
        for item in config.fields:
            detail: Mapping[str, Any] = details.get(item.id, {})
            first += [_cell(detail.get("value")), detail.get("agreement"), detail.get("confidence")]
            second += [
                detail.get("votes"),
                join_list(detail.get("tied", ())),
                _cell(detail.get("vote")),
                _cell(detail.get("model")),
                detail.get("model_confidence"),
                detail.get("differs"),
                detail.get("entropy"),
                decided_by.get(item.id),
            ]
        yield (*first, *second)


_IS: dict[Kind, Any] = {
    "choice": str,
    "choices": list,
    "number": int | float,
    "text": str,
    "scale": int,
}


def decide(item: QuestionField, said: Sequence[tuple[Any, float]], against: float = 0.0) -> Verdict:
    """Fold what was said in one field; BLANK stands for "left blank". `against`: weight of "I can't tell"."""
    # Of answers given when the field was of another kind, those that still fit it count.
    said = [(v, weight) for v, weight in said if weight > 0 and (v == BLANK or isinstance(v, _IS[item.kind]))]
    if item.kind in ("choice", "scale"):
        support = voting.tally((str(value), weight) for value, weight in said)
        n_choices = len(item.choice_ids) + (not item.required)
        verdict = voting.plurality(support, n_choices, against)
        votes = {name: support[name] for name in sorted(support)}
        if item.kind == "scale":
            verdict = replace(
                verdict,
                value=verdict.value if verdict.value in (None, BLANK) else int(verdict.value),
                tied=tuple(t if t == BLANK else int(t) for t in verdict.tied),
            )
        return replace(verdict, detail={"votes": votes, "entropy": voting.entropy(support, n_choices)})
    blank = math.fsum(weight for value, weight in said if value == BLANK)
    given = [(value, weight) for value, weight in said if value != BLANK]
    weight_given = math.fsum(weight for _, weight in given)
    if not given or blank > weight_given:
        if blank == 0:
            return Verdict(None, 0.0, None)
        return Verdict(
            BLANK,
            blank / (blank + weight_given + against),
            None,
            lead=blank - weight_given,
            detail={"votes": {}},
        )
    if item.kind == "choices":
        chosen = voting.tally((choice, weight) for value, weight in given for choice in set(value))
        verdict = voting.each(chosen, weight_given, against=against + blank, candidates=item.choice_ids)
        spread = max((one["entropy"] for one in verdict.detail["choices"].values()), default=0.0)
        votes = {k: chosen[k] for k in sorted(chosen)}
        return replace(verdict, detail=verdict.detail | {"votes": votes, "entropy": spread})
    if item.kind == "number":
        verdict = numbers.consensus([value for value, _ in given], against + blank, item.tolerance)
        return replace(verdict, value=whole(verdict.value), detail={"votes": verdict.detail})
    verdict = text.consensus([v for v, _ in given], [w for _, w in given], against + blank, item.compare)
    spellings = voting.tally(given)
    alike = voting.tally((spelling.key(v, item.compare), w) for v, w in given)
    spread = voting.entropy(alike, len(given))
    votes = {k: spellings[k] for k in sorted(spellings)}
    return replace(verdict, detail=verdict.detail | {"votes": votes, "entropy": spread})


def _plain(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON for the consensus' detail."""
    votes = verdict.detail.get("votes")
    if isinstance(votes, dict) and BLANK in votes:
        votes = {("" if name == BLANK else name): count for name, count in votes.items()}
    return {
        **verdict.detail,
        "votes": votes,
        "value": None if verdict.value == BLANK else verdict.value,
        "agreement": verdict.agreement,
        "confidence": verdict.confidence,
        "tied": ["" if tied == BLANK else tied for tied in verdict.tied],
    }


def _cell(value: Any) -> Any:
    return join_list(value) if isinstance(value, list) else value


def _column(item: QuestionField, name: str, meaning: str) -> Column:
    if item.kind == "number":
        return Column(name, "number", meaning, item.unit)
    if item.kind == "scale":
        return Column(name, "integer", meaning, f"{item.low:g}..{item.high:g}")
    joined = " Several are joined by |." if item.kind == "choices" else ""
    return Column(name, "string", meaning + joined)


def _said(item: QuestionField, value: Any) -> str | None:
    """A field's value in the words that the volunteer reads."""
    if value is None:
        return None
    labels = {choice.id: choice.label or choice.id for choice in item.choices or ()}
    if isinstance(value, list):
        return ", ".join(labels.get(it) or str(it) for it in value)
    words = labels.get(value, value) if isinstance(value, str) else f"{value:g}"
    return f"{words} {item.unit}" if item.kind == "number" and item.unit else words


def _score(item: QuestionField, value: Any, gold: Any) -> float:
    if value is None:
        return 0.0
    if item.kind == "choices":
        return len(set(value) & set(gold)) / len(set(value) | set(gold))
    if item.kind == "scale":
        return 1 - float(abs(value - gold)) / (item.high - item.low)
    if item.kind == "number":
        near = abs(gold) * numbers.RELATIVE_TOLERANCE if item.tolerance is None else item.tolerance
        return float(abs(value - gold) <= near)
    if item.kind == "text":
        return text.score(value, gold, item.compare)
    return float(value == gold)


_ENTROPY = (
    "How spread the answers are: 0 all the same, 1 evenly over all choices (of choices: of the least clear "
    "one; of texts: over the answers given; of numbers: empty)."
)
_SHARE = "Share of the answers to this field that support the value; 'I can't tell' counts against it."
_AGREEMENT: dict[Kind, str] = {
    "choice": _SHARE,
    "scale": _SHARE,
    "choices": "Share of the answers that agree about the least agreed choice; 'I can't tell' is against.",
    "number": "Share of the answers within the tolerance (or a tenth) of the value.",
    "text": "Share of the answers that are the same text, compared as the owner chose for the field.",
}
_VOTE_SURE = (
    "Probability that it is right if volunteers are right 7 times in 10; by the model if one decided."
)
_CONFIDENCE: dict[Kind, str] = {
    "choice": _VOTE_SURE,
    "scale": _VOTE_SURE,
    "choices": _VOTE_SURE,
    "number": "Probability that a large crowd's median (by the model: mean) is within the tolerance of it.",
    "text": _VOTE_SURE,
}

TYPE = Question()
