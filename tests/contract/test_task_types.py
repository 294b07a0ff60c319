"""What every task type promises, tried on the examples in its folder."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from microtasks import tasktypes
from microtasks.cli import newtype
from microtasks.core.errors import AnswerInvalid, ConfigInvalid, SettingsInvalid
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


def test_nothing_chosen_is_no_answer(case):
    task_type, _, config = case
    raw = task_type.from_form({}, config)
    try:
        value = task_type.parse_value(raw, task_type.Payload(), config, MEDIA)
    except AnswerInvalid:
        assert task_type.empty_value(config) is None
        return
    # Either it says "nothing", or there was nothing that had to be said; Done stores neither.
    assert task_type.is_empty(value) or not value


def test_who_asks_to_be_shown_is_compared_as_having_said_nothing(case):
    task_type, example, config = case
    if "gold" in example:
        compared = task_type.compare(task_type.from_form({}, config), example["gold"], config)
        assert all(it.outcome in ("missed", "other", "right") for it in compared)


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


# -- the folders ----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A new task type beside the others, in a folder of its own."""
    for name, text in newtype.files("kept_type").items():
        (tmp_path / "kept_type").mkdir(exist_ok=True)
        (tmp_path / "kept_type" / name).write_text(text)
    monkeypatch.setattr(tasktypes, "__path__", [*tasktypes.__path__, str(tmp_path)])
    tasktypes.all_types.cache_clear()
    yield tmp_path / "kept_type"
    tasktypes.all_types.cache_clear()
    for module in [it for it in sys.modules if ".kept_type" in it]:
        del sys.modules[module]


def test_a_new_folder_is_a_task_type(folder: Path) -> None:
    assert tasktypes.get("kept_type").label == "Kept type"
    assert tasktypes.module("kept_type", "simulated") and not tasktypes.module("kept_type", "plainfile")


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("symbol.svg", None, "lacks symbol.svg"),
        ("examples.json", None, "lacks examples.json"),
        ("presenter.js", "export const mounts = 1;", "does not `export function mount"),
        ("symbol.svg", "<svg><script>alert(1)</script></svg>", "not one plain <svg>"),
        ("symbol.svg", "<img src=x>", "not one plain <svg>"),
        ("stage.html", "<svg></svg>", "says `is_drawn` without a stage.html, or has one"),
        ("__init__.py", "TYPE = 1", "has no TYPE named 'kept_type'"),
    ],
)
def test_a_folder_that_is_not_whole_stops_the_start(
    folder: Path, file: str, text: str | None, what: str
) -> None:
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    with pytest.raises(SettingsInvalid, match=re.escape(what)) as error:
        tasktypes.all_types()
    assert "kept_type/" in str(error.value)


def test_nothing_outside_the_folders_names_a_task_type() -> None:
    package = FOLDER.parent
    names = "|".join(tasktypes.all_types())
    keys = {key for it in tasktypes.all_types().values() for key in it.Value.model_fields}
    named = re.compile(
        rf"""(type(_name)?|name|symbol\() *(==|!=|in|=)? *\(?["']({names})["']|tasktypes[./]({names})\b"""
        rf"""|\.({names})\b(?=[ ,{{.:>)\]]*(\n|{{))|case ["']({names})["']"""
    )
    in_sql = re.compile(rf"""->>? *'({"|".join(keys)})'""")
    left_out = ("tasktypes", "translations", "versions", "skeleton")
    found = []
    for path in [*package.rglob("*.*"), *(package.parent / "workers").rglob("*.py")]:
        if path.suffix not in (".py", ".html", ".js", ".css", ".sql") or {*path.parts} & {*left_out}:
            continue
        if path.name == "samples.py":  # they are projects: each has a type
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if named.search(line) or in_sql.search(line):
                found.append(f"{path.relative_to(package.parent)}:{number}: {line.strip()[:80]}")
    assert found == []
