"""The house's rules, checked by machine: layers, style, types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*arguments: str) -> None:
    """Run a tool of this environment on the project; its output is the failure's message."""
    done = subprocess.run(
        [Path(sys.executable).parent / arguments[0], *arguments[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}{done.stderr}"


def test_imports_point_inward():
    run("lint-imports", "--no-cache")


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")], ids=" ".join)
def test_style(arguments: tuple[str, ...]):
    run("ruff", *arguments, "--no-cache")


def test_types():
    run("mypy")


def test_every_module_of_the_project_belongs_to_a_layer():
    """A new folder beside the layers would escape the rule."""
    known = {
        "core", "tasktypes", "store", "engine", "web", "local", "cli",
        "migrations",  # of store; run by alembic
        "settings", "logs", "__main__", "__init__",
    }  # fmt: skip
    found = {path.stem for path in (ROOT / "microtasks").iterdir() if path.suffix in ("", ".py")}
    assert found - {"__pycache__"} <= known
