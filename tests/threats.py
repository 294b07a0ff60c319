"""List the threats of docs/security.md with the tests that carry their numbers: `python tests/threats.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def threats() -> dict[str, str]:
    """What each number stands for."""
    page = (ROOT / "docs" / "security.md").read_text()
    return dict(re.findall(r"^\| (T\d\d) \| ([^|]+?) \|", page, re.MULTILINE))


def tests() -> dict[str, list[str]]:
    """The tests of each number, as pytest names them."""
    named: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, number in re.findall(r"^def (test_(T\d\d)_\w+)", path.read_text(), re.MULTILINE):
            named.setdefault(number, []).append(f"{path.relative_to(ROOT)}::{name}")
    return named


def main() -> None:
    named, missing = tests(), []
    for number, what in threats().items():
        print(f"{number} {what}")
        for test in named.get(number, ()):
            print(f"    {test}")
        if number not in named:
            missing.append(number)
    if missing:
        sys.exit(f"Without a test: {', '.join(missing)}")


if __name__ == "__main__":
    main()
