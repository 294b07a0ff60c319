"""The form of a project's settings, whole or a step of it: drawn, kept while it is typed, read, refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from flask import render_template
from flask import request as http
from flask_babel import gettext as _
from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from microtasks import tasktypes
from microtasks.core import advice
from microtasks.core.errors import ConfigInvalid, InputError
from microtasks.core.tasktype import problems as problems_of
from microtasks.engine.projects import projects as engine
from microtasks.engine.projects.projects import ProjectIn
from microtasks.store.projects import drafts, projects
from microtasks.store.tables import Project
from microtasks.web import forms
from microtasks.web.owner.frame import owner
from microtasks.web.request import current_site

#: Fields of the project form besides the type's own (`config.*`) and the buttons.
TEXTS: Final = ("name", "purpose", "instructions", "thanks", "topic", "language")
NUMBERS: Final = ("redundancy", "answers_min", "stop_percent", "gold_percent", "lease_minutes")
BUTTONS: Final = ("csrf_token", "add", "remove", "save", "stop_early", "weigh", "page")
#: The parts of the form, each a step when a project is set up.
SECTIONS: Final = ("purpose", "task", "quality")
#: Where a new project stops when sure: answers a task may get, where people do not agree.
ANSWERS_MAX: Final = 10


class ProjectForm:
    """One form: of a project that is there, or of one to be made from `base`.

    sections: what it shows; what it does not show stays as it is. page: names it among the drafts.
    """

    def __init__(
        self,
        task_type: str,
        base: Mapping[str, Any],
        page: str,
        project: Project | None = None,
        sections: tuple[str, ...] = SECTIONS,
        step: str = "",
    ) -> None:
        self.kind = tasktypes.get(task_type)
        self.base, self.page, self.project, self.sections, self.step = base, page, project, sections, step
        self.nodes = forms.nodes(self.kind.Config.model_json_schema())

    @property
    def project_id(self) -> int:
        """Of the project that the form changes; ValueError where it makes a new one."""
        if self.project is None:
            raise ValueError("this form makes a new project")
        return self.project.id

    @property
    def early(self) -> str:
        """What "stop early" means: labels by confidence; marks, and projects that began so, by agreement."""
        has_begun_otherwise = self.project is not None and self.project.stop_rule == "agreement"
        return "confidence" if self.kind.inline and not has_begun_otherwise else "agreement"

    def draw(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        problems: list[dict[str, str]] | None = None,
        added: str = "",
        status: int = 200,
    ) -> tuple[str, int]:
        """The page. Without values: what was typed and not saved, or else what is saved.

        problems: {"where", "what"}. added: path of the list that gets one more spare row.
        """
        kept_at: datetime | None = None
        if values is None:
            with current_site().db.connection() as connection:
                kept = drafts.find(connection, owner().id, self.page)
            values = self.entered(MultiDict(kept[0])) if kept else self.base
            kept_at = kept[1] if kept else None
        wrong: dict[str, list[str]] = {}
        for problem in problems or ():
            wrong.setdefault(problem["where"], []).append(problem["what"])
        page = render_template(
            "owner/form.html",
            form=self,
            project=self.project,
            kind=self.kind,
            nodes=self.nodes,
            values=values,
            early=self.early,
            wrong=wrong,
            added=added,
            advice=advise(values),
            kept_at=kept_at,
            estimate=estimate(self.project) if self.project else None,
        )
        return page, status

    def entered(self, posted: MultiDict[str, str]) -> dict[str, Any]:
        """What was entered, as values to draw the form with: blank rows keep their places."""
        values = dict(self.base)
        if "purpose" in self.sections:
            values |= {name: posted.get(name, "") for name in TEXTS}
        if "task" in self.sections:
            values["config"] = forms.read(self.nodes, posted, "config", is_draft=True)
        if "quality" in self.sections:
            values |= {name: posted.get(name, "") for name in NUMBERS}
            values["stop_rule"] = self.early if "stop_early" in posted else "redundancy"
            values["method"] = "model" if "weigh" in posted else "majority"
        return values

    def read(self) -> ProjectIn:
        """The posted form: ValidationError; InputError for fields that the form does not have."""
        posted = http.form
        names = (*TEXTS, *NUMBERS, *BUTTONS)
        unknown = [name for name in posted if name not in names and not name.startswith("config.")]
        if unknown:
            raise InputError(f"This form has no field {unknown[0]!r}.")
        given = {name: self.base[name] for name in ProjectIn.model_fields if name in self.base}
        given["task_type"] = self.kind.name
        if "purpose" in self.sections:
            given |= {name: posted[name] for name in TEXTS if name in posted}
        if "task" in self.sections:
            given["config"] = forms.read(self.nodes, posted, "config")
        if "quality" in self.sections:
            for name in ("redundancy", "answers_min", "stop_rule", "stop_threshold", "method", "gold_share",
                         "lease_seconds"):  # fmt: skip
                given.pop(name, None)
            given |= self._quality(posted)
        return ProjectIn.model_validate(given)

    def _quality(self, posted: Mapping[str, str]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        number = {name: posted[name].strip() for name in NUMBERS if posted.get(name, "").strip()}
        if "redundancy" in number:
            given["redundancy"] = number["redundancy"]
        if "stop_early" in posted:
            given["stop_rule"] = self.early
            given["answers_min"] = number.get("answers_min", 0)
        for name, source, scale in (
            ("stop_threshold", "stop_percent", 0.01),
            ("gold_share", "gold_percent", 0.01),
            ("lease_seconds", "lease_minutes", 60),
        ):
            if source in number:
                try:
                    given[name] = round(float(number[source].replace(",", ".")) * scale, 6)
                except ValueError:
                    given[name] = number[source]
        given["method"] = "model" if "weigh" in posted else "majority"
        if self.project is not None and self.project.method == "committee" and "weigh" not in posted:
            given["method"] = "committee"  # set on the command line; the form has no word for it
        return given

    def rows_changed(self) -> tuple[str, int]:
        """Draw it again with a row more or less: the "add" and "remove" buttons without JavaScript."""
        posted: MultiDict[str, str] = http.form
        if removed := posted.get("remove"):
            posted = forms.remove_row(posted, removed)
        return self.draw(self.entered(posted), added=posted.get("add", ""))

    def refused(self, error: ValidationError | ConfigInvalid) -> tuple[str, int]:
        """Draw it again with what is wrong beside each field."""
        if isinstance(error, ConfigInvalid):
            problems = [
                {"where": f"config.{item['where']}".rstrip("."), "what": item["what"]}
                for item in error.details.get("problems", [])
            ]
        else:
            problems = problems_of(error)
        for item in problems:
            item["what"] = item["what"].removeprefix("Value error, ")
        values = self.entered(http.form)
        if "task" in self.sections:
            values["config"] = forms.read(self.nodes, http.form, "config")
        return self.draw(values, problems=problems, status=400)

    def saved(self) -> None:
        """Forget what was typed: it is saved now, or thrown away."""
        with current_site().db.connection() as connection:
            drafts.drop(connection, owner().id, self.page)


def base_of(project: Project) -> dict[str, Any]:
    """A project's settings as the form has them."""
    return {name: getattr(project, name) for name in ProjectIn.model_fields}


def estimate(project: Project) -> dict[str, float] | None:
    """How much work the project's tasks are; None while there are none."""
    with current_site().db.session() as session:
        (card,) = projects.cards(session, [project])
    if not card.progress["tasks"]:
        return None
    work = engine.estimate(card.progress["tasks"], project.redundancy, card.median_seconds)
    return work | {"is_most": project.stop_rule != "redundancy"}


def advise(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Advice on the wording, by the form's path of the field: sentences for the owner."""
    advice = [*_advice(values)]
    sentences: dict[str, list[str]] = {}
    for item in advice:
        notes = sentences.setdefault(item.where, [])
        if (sentence := _sentence(item)) not in notes:
            notes.append(sentence)
    return sentences


def _advice(values: Mapping[str, Any]) -> Iterator[advice.Advice]:
    yield from advice.of_text("instructions", str(values.get("instructions") or ""))
    yield from advice.of_question("purpose", str(values.get("purpose") or ""))[:1]
    for name, rows in (values.get("config") or {}).items():
        if not (isinstance(rows, list | tuple) and rows and all(isinstance(row, Mapping) for row in rows)):
            continue
        path = f"config.{name}"
        if not any("kind" in row for row in rows):
            yield from advice.of_choices(path, [str(row.get("label") or "") for row in rows])
            continue
        if len(rows) > advice.FIELDS_MAX:
            yield advice.Advice(path, "many_fields", len(rows))
        for n, row in enumerate(rows):
            yield from advice.of_question(f"{path}.{n}.label", str(row.get("label") or ""))
            choices = row.get("choices") or ()
            yield from advice.of_choices(
                f"{path}.{n}.choices", [str(it.get("label") or "") for it in choices]
            )


def _sentence(item: advice.Advice) -> str:
    match item.what:
        case "long_question":
            return _(
                "This is %(n)s characters. On a phone, two short lines (90) are read at a glance.", n=item.n
            )
        case "several_questions":
            return _(
                "This asks more than one thing. One question at a time gets better answers: make two fields."
            )
        case "hard_words":
            return _("This reads like a scientific paper. Short sentences and everyday words help everybody.")
        case "long_choice":
            return _("One of these is %(n)s characters long. A word or two are found faster.", n=item.n)
        case "many_choices":
            return _("%(n)s to choose from is a lot. Up to seven are seen at a glance.", n=item.n)
        case "many_fields":
            return _(
                "%(n)s questions on one task: many will stop half-way. Fewer, or two projects?", n=item.n
            )
        case _:
            return _("%(n)s words: somebody with ten minutes reads about 200.", n=item.n)
