"""One glossary (README, Words): words that were given up do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROSE = [
    path
    for folder in ("microtasks", "workers", "docs")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".html", ".sql", ".js", ".md") and "versions" not in path.parts
] + [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]

#: What was given up, and what stands for it.
GIVEN_UP = {
    r"\bdear(er)?\b": "expensive",
    r"weighs? nothing": "is excluded",
    r"greater than the image": "larger than the image",
    r"\bown tags are\b": "custom tags are",
    r"[Nn]othing is made of it": "nothing is imported; no task has been made",
    r"what its name says": "as its name suggests",
    r"_\('(Noticed|Weighs|Stop here)'\)": "Suspicious patterns; Counts; Finish later",
}
#: Names of modules that were given up, or say nothing.
MODULES = {
    *("kept", "truth", "looking", "unpacking", "beside", "work", "told", "turns", "habits", "bringing"),
    *(
        "deciding",
        "inserting",
        "making",
        "reading",
        "restoring",
        "sending",
        "standing",
        "cuts",
        "utils",
        "misc",
    ),
}


@pytest.mark.parametrize("given_up", GIVEN_UP)
def test_what_was_given_up_does_not_come_back(given_up: str) -> None:
    pattern = re.compile(given_up)
    places = [
        f"{path.relative_to(ROOT)}:{n}"
        for path in PROSE
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert places == [], f"say instead: {GIVEN_UP[given_up]}"


def test_no_module_has_a_name_that_was_given_up() -> None:
    modules = [*(ROOT / "microtasks").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]
    assert [path.relative_to(ROOT).as_posix() for path in modules if path.stem in MODULES] == []


def test_every_module_says_what_it_is() -> None:
    for path in [*(ROOT / "microtasks").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]:
        first = path.read_text(encoding="utf-8").lstrip().partition("\n")[0]
        assert path.stem == "__init__" or first.startswith('"""'), path.relative_to(ROOT)
