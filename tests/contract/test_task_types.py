"""What every task type promises, tried on the examples in its folder."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from microtasks import tasktypes
from microtasks.core.errors import AnswerInvalid, ConfigInvalid
from microtasks.core.tasktype import TaskType
from microtasks.core.values import Answer, Consensus, Media

FOLDER = Path(tasktypes.__file__).parent
MEDIA = [Media(width=1000, height=1000)]
Type = TaskType[Any, Any, Any]


def examples() -> Iterator[Any]:
    for name, task_type in tasktypes.all_types().items():
        for number, example in enumerate(json.loads((FOLDER / name / "examples.json").read_text())):
            yield pytest.param((task_type, example), id=f"{name}-{number}")


@pytest.fixture(params=examples())
def case(request: pytest.FixtureRequest) -> tuple[Type, dict[str, Any], Any]:
    """A type, one of its examples, and the example's config."""
    task_type, example = request.param
    return task_type, example, task_type.parse_config(example["config"])


def said(task_type: Type, value: dict[str, Any] | None, who: int) -> Answer:
    if value is None:
        return Answer(f"p{who}", "cant_tell", None)
    return Answer(f"p{who}", "empty" if task_type.is_empty(value) else "value", value)


def same(one: Consensus, other: Consensus) -> bool:
    return json.dumps(asdict(one), sort_keys=True) == json.dumps(asdict(other), sort_keys=True)


def test_example_values_come_back_as_they_are(case):
    task_type, example, config = case
    payload = task_type.Payload(**example["payload"])
    value = task_type.parse_value(example["value"], payload, config, MEDIA)
    assert value == example["value"]
    assert task_type.parse_value(json.loads(json.dumps(value)), payload, config, MEDIA) == value


def test_schemas_are_json_with_a_title_for_every_field_of_the_config(case):
    task_type, _, _ = case
    json.dumps(task_type.Value.model_json_schema())
    schema = task_type.Config.model_json_schema()
    json.dumps(schema)
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, field in part.get("properties", {}).items():
            assert field.get("title") and field.get("description"), f"{part['title']}.{name}"


def test_unknown_settings_and_fields_are_refused(case):
    task_type, example, config = case
    with pytest.raises(ConfigInvalid):
        task_type.parse_config({**example["config"], "surprise": 1})
    with pytest.raises(AnswerInvalid) as error:
        task_type.parse_value({**example["value"], "surprise": 1}, task_type.Payload(), config, MEDIA)
    assert error.value.details["problems"]


@pytest.mark.parametrize("value", [None, [], "yes", 3, {"marks": "no", "tags": 1, "answer": [[]]}])
def test_nonsense_is_refused_and_never_crashes(case, value):
    task_type, _, config = case
    with pytest.raises(AnswerInvalid):
        task_type.parse_value(value, task_type.Payload(), config, MEDIA)


def test_unanimous_answers_give_their_value_with_agreement_1(case):
    task_type, example, config = case
    for n in (2, 3, 5):
        result = task_type.reduce([said(task_type, example["value"], k) for k in range(n)], config)
        assert result.value == example["value"]
        assert result.agreement == 1.0
        assert not result.is_tied
        assert result.n_answers == n
        assert result.reducer == task_type.reducer


def test_no_answers_give_no_value(case):
    task_type, _, config = case
    result = task_type.reduce([], config)
    assert (result.value, result.agreement, result.n_answers) == (None, 0.0, 0)


def test_cant_tell_alone_gives_no_value_or_nothing(case):
    task_type, example, config = case
    result = task_type.reduce([said(task_type, None, k) for k in range(3)], config)
    assert result.n_answers == 3
    assert result.value in (None, {"tags": []}, {"marks": []})
    assert result.value is None or not example["value"].get("fields")


def pool(task_type: Type, example: dict[str, Any]) -> list[dict[str, Any] | None]:
    """Values to draw from: the example's, its gold's, an empty one, and can't tell."""
    empty = {"tagging": {"tags": []}, "marking": {"marks": []}}.get(task_type.name)
    values = [example["value"], example.get("gold"), empty]
    return [value for value in values if value] + [None]


def test_the_order_of_answers_changes_nothing(case):
    task_type, example, config = case
    rng = random.Random(1)
    for _ in range(5):
        answers = [said(task_type, rng.choice(pool(task_type, example)), k) for k in range(7)]
        shuffled = rng.sample(answers, len(answers))
        assert same(task_type.reduce(answers, config), task_type.reduce(shuffled, config))


@pytest.mark.parametrize("method", ["majority", "model", "committee"])
def test_a_project_of_one_order_or_another_gives_the_same(case, method):
    task_type, example, config = case
    rng = random.Random(2)
    tasks = [
        (task, [said(task_type, rng.choice(pool(task_type, example)), k) for k in range(5)])
        for task in range(1, 13)
    ]
    mixed = [(task, rng.sample(answers, 5)) for task, answers in tasks]
    one = list(task_type.reduce_project(tasks, config, method))
    other = list(task_type.reduce_project(mixed, config, method))
    assert [task for task, _ in one] == list(range(1, 13))
    assert all(same(a, b) for (_, a), (_, b) in zip(one, other, strict=True))


def test_every_row_fits_the_columns(case):
    task_type, example, config = case
    answers = [said(task_type, value, k) for k, value in enumerate(pool(task_type, example) * 2)]
    results = [task_type.reduce(chosen, config) for chosen in (answers, answers[:1], [])]
    results += [r for _, r in task_type.reduce_project([(1, answers)], config, "model", compare=True)]
    columns = task_type.columns(config)
    assert len({column.name for column in columns}) == len(columns)
    for result in results:
        for row in task_type.rows(result, config):
            assert len(row) == len(columns)
            for cell, column in zip(row, columns, strict=True):
                assert_fits(cell, column.type)
    for value in (example["value"], None):
        assert len(task_type.answer_row(value, config)) == len(task_type.answer_columns(config))
        for row in task_type.mark_rows(value, config):
            assert len(row) == len(task_type.mark_columns(config))


def assert_fits(cell: object, kind: str) -> None:
    if cell is None:
        return
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    if kind == "json":
        json.dumps(cell)
    else:
        assert isinstance(cell, types[kind]), (cell, kind)


def test_all_columns_have_a_meaning(case):
    task_type, _, config = case
    for column in (
        *task_type.columns(config),
        *task_type.answer_columns(config),
        *task_type.mark_columns(config),
    ):
        assert column.meaning
        assert column.type in {"string", "integer", "number", "boolean", "json"}


def test_the_right_answer_scores_1_and_gold_is_valid(case):
    task_type, example, config = case
    assert task_type.score(example["value"], example["value"], config) == 1.0
    if "gold" in example:
        gold = task_type.check_gold(example["gold"], task_type.Payload(), config, MEDIA)
        assert 0.0 <= task_type.score(example["value"], gold, config) <= 1.0


def test_consensus_is_plain_json(case):
    task_type, example, config = case
    answers = [said(task_type, value, k) for k, value in enumerate(pool(task_type, example))]
    for _, result in task_type.reduce_project([(1, answers)], config, "model"):
        assert json.loads(json.dumps(asdict(result))) == asdict(result)
