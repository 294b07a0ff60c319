"""The house's rules, checked by machine: layers, style, templates, types, lock files."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
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


def test_templates():
    run("djlint", "--lint", "--quiet", "microtasks")


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


def test_both_lock_files_hold_the_same_releases_and_no_address():
    """Running is a part of developing; whoever develops meets what visitors run."""
    pins = {
        name: set(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    }
    assert pins["requirements.lock"] and pins["requirements.lock"] <= pins["requirements-dev.lock"]
    assert not any("://" in (ROOT / name).read_text() for name in pins)


def test_what_running_needs_is_locked_without_the_tools_for_tests():
    to_run = (ROOT / "requirements.lock").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    assert [name for name in map(name_of, needed) if f"\n{name}==" not in to_run] == []
    tools = [
        name_of(it) for it in project["optional-dependencies"]["test"] if not it.startswith("microtasks")
    ]
    assert [name for name in tools if f"\n{name}==" in to_run] == []


def name_of(requirement: str) -> str:
    """The distribution that a requirement such as `psycopg[binary]>=3.3` asks for."""
    return re.split(r"[\[<>=~!; ]", requirement)[0].lower()
