"""The task types: one folder each, found and checked at start. Nothing outside it names a type."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from microtasks.core.errors import NotFound, SettingsInvalid
from microtasks.core.tasktype import TaskType

FILES = ("presenter.html", "presenter.js", "symbol.svg", "examples.json")
#: What presenter.js must have at its top; what a symbol, which stands in pages as it is, must not have.
MOUNT = re.compile(r"(?m)^export (async )?function mount\(")
NOT_IN_A_SYMBOL = re.compile(r"<(script|foreignObject|a|image|use)\b|\son\w+=|href|style=", re.IGNORECASE)


@cache
def all_types() -> dict[str, TaskType[Any, Any, Any]]:
    """Every task type by name, sorted. Raises SettingsInvalid naming the folder and what is wrong in it."""
    types: dict[str, TaskType[Any, Any, Any]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        if not module.ispkg:
            continue
        task_type = getattr(importlib.import_module(f"{__name__}.{module.name}"), "TYPE", None)
        if not isinstance(task_type, TaskType) or task_type.name != module.name:
            raise SettingsInvalid(f"The task type in {module.name}/ has no TYPE named {module.name!r}.")
        if problem := _problem(task_type, folder(module.name)):
            raise SettingsInvalid(f"The task type in {module.name}/ {problem}.")
        types[task_type.name] = task_type
    return types


def folder(name: str) -> Path:
    """Where the type of that name lies."""
    spec = importlib.util.find_spec(f"{__name__}.{name}")
    if spec is None or spec.origin is None:
        raise NotFound(f"There is no task type called {name!r}.")
    return Path(spec.origin).parent


def _problem(task_type: TaskType[Any, Any, Any], where: Path) -> str | None:
    """What a type's folder lacks, or has wrong: said at start, not when the first volunteer comes."""
    if missing := [name for name in FILES if not (where / name).is_file()]:
        return f"lacks {', '.join(missing)}"
    if nameless := [it for it in ("label", "summary", "version") if not getattr(task_type, it, None)]:
        return f"has a TYPE without {', '.join(nameless)}"
    if not MOUNT.search((where / "presenter.js").read_text(encoding="utf-8")):
        return "has a presenter.js that does not `export function mount(...)`"
    symbol = (where / "symbol.svg").read_text(encoding="utf-8").strip()
    if not symbol.startswith("<svg") or NOT_IN_A_SYMBOL.search(symbol):
        return "has a symbol.svg that is not one plain <svg> of shapes"
    if task_type.is_drawn != (where / "stage.html").is_file():
        return "says `is_drawn` without a stage.html, or has one without saying so"
    if task_type.is_drawn and not task_type.needs_image:
        return "is drawn on pictures, but does not say `needs_image`"
    return None


def module(name: str, part: str) -> ModuleType | None:
    """The module `part` in a type's folder (`simulated`, `plainfile`); None where the folder has none."""
    full_name = f"{__name__}.{get(name).name}.{part}"
    return importlib.import_module(full_name) if importlib.util.find_spec(full_name) else None


def get(name: str) -> TaskType[Any, Any, Any]:
    """The task type of that name; NotFound if there is none."""
    try:
        return all_types()[name]
    except KeyError:
        raise NotFound(f"There is no task type called {name!r}.") from None
