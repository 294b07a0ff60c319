"""The task type in the documentation is the one that `microtasks new-task-type` writes, file by file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from microtasks.cli import newtype

DOCUMENT = (Path(__file__).parents[2] / "docs" / "adding-a-task-type.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("language", "file"),
    [
        ("python", "__init__.py"),
        ("json", "examples.json"),
        ("html", "presenter.html"),
        ("js", "presenter.js"),
    ],
)
def test_the_documented_type_is_the_one_that_is_written(language: str, file: str) -> None:
    assert re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL) == [newtype.files("keep")[file]]


def test_every_file_and_every_function_of_the_protocol_is_documented() -> None:
    script = (Path(newtype.__file__).parents[1] / "web/static/js/presenting.js").read_text(encoding="utf-8")
    functions = re.findall(r'"(\w+)"', "".join(re.findall(r"(?:REQUIRED|OPTIONAL) = \[[^\]]*\]", script)))
    assert len(functions) == 6
    for name in [f"`{it}()`" for it in functions] + [f"`{it}`" for it in newtype.files("keep")]:
        assert f"| {name} |" in DOCUMENT, name
