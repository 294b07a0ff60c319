"""The task types: one folder each, found by discovery. Nothing outside a folder changes when one is added."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from microtasks.core.errors import NotFound, SettingsInvalid
from microtasks.core.tasktype import TaskType

FILES = ("presenter.html", "presenter.js", "examples.json")


@cache
def all_types() -> dict[str, TaskType[Any, Any, Any]]:
    """Every task type by name, sorted. Raises SettingsInvalid naming the folder that lacks something."""
    found: dict[str, TaskType[Any, Any, Any]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        folder = Path(__path__[0]) / module.name
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise SettingsInvalid(f"The task type in {folder.name}/ lacks {', '.join(missing)}.")
        task_type = getattr(importlib.import_module(f"{__name__}.{module.name}"), "TYPE", None)
        if not isinstance(task_type, TaskType) or task_type.name != module.name:
            raise SettingsInvalid(f"The task type in {folder.name}/ has no TYPE named {module.name!r}.")
        found[task_type.name] = task_type
    return found


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
