"""Projects: made, changed, published, paused, archived. A project's config is checked by its task type."""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from microtasks import tasktypes
from microtasks.core.errors import ConfigInvalid, Conflict, NotFound, ProjectNotReady
from microtasks.core.values import Method
from microtasks.engine import audit
from microtasks.engine.assignment import leases
from microtasks.engine.site import Site
from microtasks.store import jobs
from microtasks.store.assignment import hotpath
from microtasks.store.db import Connection, now, raw, retried
from microtasks.store.projects import projects, translations, trials
from microtasks.store.tables import Project

#: "Stop when sure" unless the owner says otherwise; see docs/consensus.md for what it costs and gives.
SURE_ANSWERS_MIN, SURE_THRESHOLD = 2, 0.95
COPY = " (copy)"
ANSWER_SECONDS = 30  # assumed for the estimate until answers were timed


def _clean(value: object) -> object:
    """Plain text: line ends as \\n, no NUL, no lone surrogates (PostgreSQL keeps neither)."""
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char for char in value if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs"))


Text = Annotated[str, StringConstraints(strip_whitespace=True), BeforeValidator(_clean)]


class ProjectIn(BaseModel):
    """What an owner says about a project. answers_min defaults to redundancy: a fixed number of answers.

    stop_rule defaults to "agreement" when answers_min is less than redundancy, else to "redundancy". With
    "confidence" ("stop when sure") answers_min defaults to 2, and stop_threshold to 0.95.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Text = Field(min_length=1, max_length=120)
    purpose: Text = Field("", max_length=300)
    instructions: Text = Field("", max_length=20000)
    thanks: Text = Field("", max_length=2000)
    topic: Text = Field("", max_length=60)
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$")] = "en"
    task_type: Text = Field(min_length=1, max_length=60)
    config: dict[str, Any] = {}
    redundancy: int = Field(5, ge=1, le=1000)
    answers_min: int = Field(0, ge=0, le=1000, validate_default=True)
    stop_rule: Literal["", "redundancy", "agreement", "confidence"] = ""
    stop_threshold: float = Field(0.8, ge=0.5, le=1)
    method: Method = "majority"
    gold_share: float = Field(0.0, ge=0, le=0.5)
    lease_seconds: int | None = Field(None, ge=5, le=7 * 86400)

    @model_validator(mode="after")
    def _policy(self) -> Self:
        if self.stop_rule == "confidence":
            self.answers_min = self.answers_min or min(SURE_ANSWERS_MIN, self.redundancy)
            if "stop_threshold" not in self.model_fields_set:
                self.stop_threshold = SURE_THRESHOLD
        self.answers_min = self.answers_min or self.redundancy
        if self.answers_min > self.redundancy:
            raise ValueError("The fewest answers cannot be more than the answers per task.")
        self.stop_rule = self.stop_rule or (
            "agreement" if self.answers_min < self.redundancy else "redundancy"
        )
        return self


def create(
    site: Site,
    account_id: int | None,
    form: ProjectIn,
    *,
    also: Callable[[Connection, int], None] = lambda connection, project_id: None,
    **noted: Any,
) -> Project:
    """Make a draft project with a slug of its own, from its name. Noted in the audit log, as all below.

    also: writes more in the same transaction. noted: more for the log.
    1. Check the config by the task type (ConfigInvalid, with problems; NotFound for an unknown type).
    2. Store it under the first free slug, with version 1 of its config.
    """
    values = form.model_dump()
    values["config"] = config_of(form)
    with site.db.session() as session:
        for slug in _slugs(form.name, form.task_type):
            project = Project(**values, slug=slug, account_id=account_id)
            if projects.add(session, project):
                also(raw(session), project.id)
                audit.note(raw(session), account_id, project.id, "project.create", slug=slug, **noted)
                session.commit()
                return project
    raise Conflict("No free address was found for this name. Please choose another name.")


def duplicate(site: Site, project_id: int, account_id: int | None) -> Project:
    """Make a draft with the same settings and texts, without tasks; NotFound."""
    with site.db.session() as session:
        source = projects.get(session, project_id)
        name = source.name[: 120 - len(COPY)] + COPY
        for slug in _slugs(name, source.task_type):
            copy = projects.copied(source, slug=slug, name=name, account_id=account_id, state="draft")
            if projects.add(session, copy):
                translations.copy(raw(session), project_id, copy.id)
                audit.note(raw(session), account_id, copy.id, "project.create", slug=slug, of=source.slug)
                session.commit()
                return copy
    raise Conflict("No free address was found for this name. Please choose another name.")


def update(site: Site, project_id: int, form: ProjectIn, *, by: int | None = None) -> Project:
    """Change a project's texts, config and policy. A changed config is a new version; the slug stays.

    by: the account that does it; None: the command line. So it is with all below.

    1. Lock the project; the task type is fixed once there are tasks (Conflict).
    2. Write; keep the config's new version.
    3. Where the answers per task changed, change all tasks that have no number of their own, too. All is done
    once more if that meets a deadlock.
    4. Where the policy changed, ring for the consensus to be made again.
    """
    project, job = retried(lambda: _update(site, project_id, form, by))
    if job is not None:
        site.bell.ring(job)
    return project


def _update(site: Site, project_id: int, form: ProjectIn, by: int | None) -> tuple[Project, int | None]:
    config = config_of(form)
    with site.db.session() as session:
        project = projects.locked(session, project_id)
        if form.task_type != project.task_type and projects.has_tasks(session, project_id):
            raise Conflict("The type of task cannot be changed once there are tasks. Make a new project.")
        redundancy_before, rule_before = project.redundancy, project.stop_rule
        policy_before = _policy(project)
        settings = form.model_dump() | {"config": config}
        changes = audit.changes({name: getattr(project, name) for name in settings}, settings)
        is_new_config = config != project.config or form.task_type != project.task_type
        for name, value in form.model_dump(exclude={"config"}).items():
            setattr(project, name, value)
        if is_new_config:
            project.config = config
            project.config_version += 1
            projects.keep_config(session, project)
        session.add(project)
        session.flush()
        if project.redundancy != redundancy_before:
            projects.change_redundancy(session, project, redundancy_before)
        projects.change_stopping(session, project, rule_before)
        if "gold_share" in changes:
            hotpath.displace_gold(raw(session), project_id)
        if changes:
            audit.note(raw(session), by, project_id, "project.update", **changes)
        job = None
        if is_new_config or _policy(project) != policy_before:
            job = jobs.add(raw(session), "aggregate", project_id)
        session.commit()
    return project, job


def publish(site: Site, project_id: int, *, allow_empty: bool = False, by: int | None = None) -> Project:
    """Let volunteers in: from draft or paused. ProjectNotReady with `details["reasons"]`, for a person.

    allow_empty: publish also without tasks (a script imports them afterwards).
    """
    with site.db.session() as session:
        project = projects.locked(session, project_id)
        reasons = not_ready(project)
        if not allow_empty and not projects.has_tasks(session, project_id):
            reasons.append("It has no tasks yet: upload images or a table first.")
        if reasons:
            raise ProjectNotReady(
                "This project cannot be published yet. " + " ".join(reasons), reasons=reasons
            )
        state, project.state = project.state, "published"
        project.published_at = project.published_at or now()
        trials.discard(raw(session), project_id)
        session.add(project)
        action = "project.resume" if state == "paused" else "project.publish"
        audit.note(raw(session), by, project_id, action, before=state, after="published")
        session.commit()
    return project


def not_ready(project: Project) -> list[str]:
    """What stands in the way of publishing, besides tasks: one sentence each."""
    if project.state == "archived":
        return ["It is archived: bring it back first."]
    try:
        tasktypes.get(project.task_type).parse_config(project.config)
    except NotFound as error:
        return [error.message]
    except ConfigInvalid as error:
        return [
            f"{problem['where']}: {problem['what']}" for problem in error.details.get("problems", ())
        ] or [error.message]
    return []


def pause(site: Site, project_id: int, *, by: int | None = None) -> Project:
    """Hand out no more tasks; answers to tasks already handed out still count."""
    return _move(site, project_id, "project.pause", "paused", ("published", "paused"), by)


def resume(site: Site, project_id: int, *, by: int | None = None) -> Project:
    """Publish a paused project again; bring an archived one back, paused."""
    with site.db.session() as session:
        state = projects.get(session, project_id).state
    if state == "archived":
        return _move(site, project_id, "project.resume", "paused", ("archived",), by)
    return publish(site, project_id, allow_empty=True, by=by)


def archive(site: Site, project_id: int, *, by: int | None = None) -> Project:
    """Put a project away: hidden from volunteers, its data stays."""
    states = ("draft", "paused", "published", "archived")
    return _move(site, project_id, "project.archive", "archived", states, by)


def examples(task_type: str) -> list[dict[str, Any]]:
    """The type's own examples to start from: title, config, payload, a value. NotFound."""
    folder = Path(tasktypes.__path__[0]) / tasktypes.get(task_type).name
    all_examples: list[dict[str, Any]] = json.loads((folder / "examples.json").read_text())
    return all_examples


def task_to_preview(site: Site, project: Project, after_id: int = 0) -> dict[str, Any] | None:
    """A task as a volunteer would get it (handout.shown); the type's own example while there is none."""
    task_type = tasktypes.get(project.task_type)
    about = leases.Known(task_type, task_type.parse_config(project.config), project.config)
    with site.db.connection() as connection:
        task = projects.task_to_show(connection, project.id, after_id)
    if task is not None:
        task_id, payload, images = task
        return leases.shown(task_id, about, payload, images)
    return None if task_type.needs_image or after_id else example_task(project)


def example_task(project: Project) -> dict[str, Any]:
    """The type's own example as a task of this project, without an image."""
    task_type = tasktypes.get(project.task_type)
    about = leases.Known(task_type, task_type.parse_config(project.config), project.config)
    return leases.shown(0, about, examples(project.task_type)[0]["payload"], [])


def close_report(site: Site, project_id: int, report_id: int, *, by: int | None = None) -> None:
    """Tick off what a volunteer reported; NotFound if it is not this project's."""
    with site.db.session() as session:
        if not projects.close_report(raw(session), project_id, report_id):
            raise NotFound("There is no such report.")
        audit.note(raw(session), by, project_id, "report.close", report=report_id)
        session.commit()


def estimate(n_tasks: int, redundancy: int, median_seconds: float | None) -> dict[str, float]:
    """How much work a project is: answers, and volunteer hours at the median (or an assumed) pace."""
    answers = n_tasks * redundancy
    return {
        "tasks": n_tasks,
        "redundancy": redundancy,
        "answers": answers,
        "hours": answers * (median_seconds or ANSWER_SECONDS) / 3600,
    }


def _move(
    site: Site, project_id: int, action: str, goal: str, allowed: tuple[str, ...], by: int | None
) -> Project:
    with site.db.session() as session:
        project = projects.locked(session, project_id)
        if project.state not in allowed:
            raise Conflict(f"A project that is {project.state} cannot become {goal}.")
        if project.state != goal:
            audit.note(raw(session), by, project_id, action, before=project.state, after=goal)
        project.state = goal
        session.add(project)
        session.commit()
    return project


def config_of(form: ProjectIn) -> dict[str, Any]:
    """The config as stored: checked by its type, defaults written out. The policy must fit the type, too.

    Errors: ConfigInvalid, NotFound.
    """
    task_type = tasktypes.get(form.task_type)
    config = task_type.parse_config(form.config)
    if form.stop_rule == "confidence" and not task_type.inline:
        what = "Stopping when sure is for questions and tags. Marks can stop when they agree."
        raise ConfigInvalid(what, problems=[{"where": "stop_rule", "what": what}])
    return dict(config.model_dump(mode="json", by_alias=True, exclude_none=True))


def _policy(project: Project) -> tuple[object, ...]:
    return project.redundancy, project.answers_min, project.stop_rule, project.stop_threshold, project.method


def _slugs(name: str, task_type: str) -> list[str]:
    """Addresses to try: ASCII, so that they are safe in every shell, file name and URL."""
    ascii_name = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    base = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:60].strip("-")
    if len(base) < 2:  # a name in another script
        base = f"{task_type}-{secrets.token_hex(2)}"
    numbered = (base if n == 1 else f"{base}-{n}" for n in count(1))
    return [*islice(numbered, 50), f"{base}-{secrets.token_hex(4)}"]
