"""Projects to start from: each type's `templates.json`, wording and quality that worked elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from microtasks import tasktypes
from microtasks.core.errors import NotFound


@dataclass(frozen=True, slots=True)
class Template:
    """A start for one type. values: fields of engine.projects.ProjectIn, without name and type."""

    id: str
    task_type: str
    title: str
    summary: str
    values: Mapping[str, Any]


def all_templates() -> list[Template]:
    """Every template of every type, in the types' order."""
    return [template for name in tasktypes.all_types() for template in _of(name)]


def find(task_type: str, template_id: str) -> Template:
    """The template of that id; NotFound."""
    match = next((template for template in _of(task_type) if template.id == template_id), None)
    if match is None:
        raise NotFound("There is no such template.")
    return match


@cache
def _of(task_type: str) -> tuple[Template, ...]:
    file = Path(tasktypes.__path__[0]) / task_type / "templates.json"
    if not file.exists():
        return ()
    return tuple(Template(task_type=task_type, **entry) for entry in json.loads(file.read_text()))
