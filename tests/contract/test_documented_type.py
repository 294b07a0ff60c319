"""The task type in the documentation is one: it loads and keeps the contract."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from microtasks.core.errors import AnswerInvalid
from microtasks.core.tasktype import TaskType
from microtasks.core.values import Answer

DOCUMENT = (Path(__file__).parents[2] / "docs" / "adding-a-task-type.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def documented() -> TaskType:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    namespace: dict = {"__name__": "documented"}
    exec(compile(code, "adding-a-task-type.md", "exec", dont_inherit=True), namespace)  # noqa: S102  (our own text)
    return namespace["TYPE"]


def test_the_documented_type_keeps_the_contract(documented: TaskType):
    (example,) = json.loads(re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)[0])
    config = documented.parse_config(example["config"])
    value = documented.parse_value(example["value"], documented.Payload(), config)
    assert value == example["value"]
    yes = documented.reduce([Answer(str(k), "value", value) for k in range(3)], config)
    assert (yes.value, yes.agreement) == (value, 1.0)
    assert documented.score(value, example["gold"], config) == 1.0
    tie = documented.reduce([Answer("a", "value", value), Answer("b", "value", {"keep": False})], config)
    assert (tie.value, tie.is_tied) == (None, True)
    for row in documented.rows(tie, config):
        assert len(row) == len(documented.columns(config))
    with pytest.raises(AnswerInvalid):
        documented.parse_value({"keep": "yes"}, documented.Payload(), config)
