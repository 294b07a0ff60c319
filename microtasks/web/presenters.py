"""A task type's part of a page: its templates, script, style and symbol, and what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from flask_babel import get_locale
from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader
from markupsafe import Markup

from microtasks import tasktypes
from microtasks.core.errors import NotFound
from microtasks.core.tasktype import TaskType
from microtasks.store.tables import Project
from microtasks.web.assets import has_asset
from microtasks.web.sentences import translated


def init_app(app: Any) -> None:
    """Let templates include `tasktypes/NAME/presenter.html`, from the type's folder, and show its symbol."""
    own = PrefixLoader({"tasktypes": FileSystemLoader(list(tasktypes.__path__))})
    app.jinja_env.loader = ChoiceLoader([app.jinja_env.loader, own])
    app.jinja_env.globals.update(type_name=type_name, symbol=symbol)


def context(
    task_type: TaskType[Any, Any, Any], project: Project, config: Any, task: Mapping[str, Any]
) -> dict[str, Any]:
    """What every page that shows a task is rendered with. config: parsed, in the reader's language.

    ask: the question over the task where it has none of its own. empty_value: the answer "nothing here",
    None where that is no answer. decimal: the mark before a number's fraction in the reader's language.
    """
    folder = f"tasktypes/{task_type.name}"
    empty = task_type.empty_value(config)
    return {
        "task_type": task_type,
        "presenter": f"{folder}/presenter",
        "stage": f"{folder}/stage.html" if task_type.is_drawn else None,
        "style": f"{folder}/style.css" if has_asset(f"{folder}/style.css") else None,
        "config": config,
        "task": task,
        "payload": task["payload"],
        "media": task["media"],
        "ask": task_type.ask(config) or project.purpose or project.name,
        "empty_value": empty,
        "may_be_empty": empty is not None,
        "decimal": decimal_mark(),
    }


def decimal_mark() -> str:
    """ "." or ",": as the reader's language writes numbers."""
    locale = get_locale()
    return str(locale.number_symbols["latn"]["decimal"]) if locale else "."


def type_name(name: str) -> str:
    """A task type's name for a person, in the reader's language; the bare name of one that is gone."""
    try:
        return translated(tasktypes.get(name).label)
    except NotFound:
        return name


def symbol(name: str) -> Markup:
    """A task type's drawing, checked at start; none for one that is gone."""
    try:
        return Markup(_symbol(tasktypes.get(name).name))  # noqa: S704  (no user's: tasktypes checks it)
    except NotFound:
        return Markup("")


@cache
def _symbol(name: str) -> str:
    return (tasktypes.folder(name) / "symbol.svg").read_text(encoding="utf-8").strip()
