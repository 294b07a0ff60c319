"""What volunteers learn from: up to four steps, the last ones real tries on known tasks, and a field guide.

A try is no answer: it takes no lease and no seat, and nothing of it is stored. The known answer leaves the
server only in reply to a try.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from microtasks import tasktypes
from microtasks.core.errors import InputError, NotFound
from microtasks.core.values import Media
from microtasks.engine import audit
from microtasks.engine.assignment import leases
from microtasks.engine.imports.decode_pool import Pool
from microtasks.engine.projects.projects import Text
from microtasks.engine.site import Site
from microtasks.engine.volunteers.feedback import Feedback, Item
from microtasks.store.db import Connection, raw
from microtasks.store.imports import media
from microtasks.store.projects import projects
from microtasks.store.tables import Project
from microtasks.store.volunteers import tutorial as stored

STEPS_MAX = 4
EXAMPLES_MAX = 60
#: Known tasks offered to the owner to choose from.
OFFERED_MAX = 200
#: A try is right from this score on: nobody finds every small crater.
RIGHT_FROM = 0.75


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Part):
    """One step: a text with a picture, or a try on a known task with a sentence for either outcome."""

    text: Text = Field("", max_length=3000)  # Markdown
    media_id: int | None = None
    task_id: int | None = None
    right: Text = Field("", max_length=500)
    wrong: Text = Field("", max_length=500)

    @property
    def is_try(self) -> bool:
        return self.task_id is not None


class Example(_Part):
    """One entry of the field guide. option: the id of a choice, tag or class; "" for one of its own."""

    option: str = Field("", max_length=100)
    text: Text = Field("", max_length=500)
    media_id: int | None = None


class Tutorial(_Part):
    """A project's `tutorial` column."""

    steps: tuple[Step, ...] = Field((), max_length=STEPS_MAX)
    guide: tuple[Example, ...] = Field((), max_length=EXAMPLES_MAX)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a try. task: as in a lease; said: the owner's sentence, "" for none."""

    task: Mapping[str, Any]
    feedback: Feedback
    is_right: bool
    said: str


def read(project: Project) -> Tutorial:
    """The project's tutorial; an empty one when it has none."""
    return Tutorial.model_validate(project.tutorial or {})


def change(
    site: Site,
    project_id: int,
    tutorial: Tutorial,
    *,
    tells_known: bool,
    tells_consensus: bool,
    by: int | None = None,
) -> Tutorial:
    """Store what volunteers learn from, and what they may be told; tries come last. by: the owner's account.

    Errors: InputError for a try on a task whose answer is not known, or for a step without anything in it.
    """
    steps = sorted(tutorial.steps, key=lambda step: step.is_try)
    with site.db.session() as session:
        project = projects.locked(session, project_id)
        for number, step in enumerate(steps, start=1):
            if step.task_id is not None:
                if stored.known_task(raw(session), project_id, step.task_id) is None:
                    raise InputError(f"Step {number}: the answer of this task is not known. Choose another.")
            elif not step.text and step.media_id is None:
                raise InputError(f"Step {number}: write a text, or choose a picture or a task.")
        kept = Tutorial(steps=tuple(steps), guide=tutorial.guide)
        project.tutorial = kept.model_dump(exclude_defaults=True)
        project.tells_known, project.tells_consensus = tells_known, tells_consensus
        session.add(project)
        facts = {"steps": len(steps), "examples": len(tutorial.guide)}
        switches = {"tells_known": tells_known, "tells_consensus": tells_consensus}
        audit.note(raw(session), by, project_id, "project.tutorial", **facts, **switches)
        session.commit()
    return kept


def options(project: Project) -> list[tuple[str, str]]:
    """(id, label) of what volunteers choose from: what a field guide may explain."""
    task_type = tasktypes.get(project.task_type)
    return [it for part in task_type.parts(task_type.parse_config(project.config)) for it in part.options]


def known_tasks(site: Site, project_id: int) -> list[tuple[int, str]]:
    """(task id, the owner's id) of tasks that a try can be made on."""
    with site.db.connection() as connection:
        return stored.known_tasks(connection, project_id, OFFERED_MAX)


def add_pictures(site: Site, pictures: Sequence[tuple[bytes, str]]) -> list[int]:
    """Store pictures (content, file name or ending) for the tutorial; return their media ids.

    Errors: RowInvalid when one is no picture.
    """
    if not pictures:
        return []
    with Pool(site.files.root, site.settings.max_image_pixels) as pool:
        images = [
            pool.derive(content, PurePosixPath(f"x{name}").suffix.lower())[0] for content, name in pictures
        ]
    fields = ("sha256", "mime", "width", "height", "n_bytes", "derivatives")
    for image in images:
        site.files.publish([("originals", image.sha256)])
        site.files.publish([("derived", copy["sha256"]) for copy in image.derivatives])
    with site.db.connection() as connection:
        return [media.add(connection, **{it: getattr(image, it) for it in fields}).id for image in images]


def picture_of(site: Site, project_id: int, external_id: str) -> int:
    """The media id of a task's picture; InputError when the project has no such picture."""
    with site.db.connection() as connection:
        picture = stored.picture_of(connection, project_id, external_id)
    if picture is None:
        raise InputError(f"There is no picture with the id {external_id!r} in this project.")
    return picture


def pictures(site: Site, parts: Sequence[Step | Example]) -> dict[int, dict[str, Any]]:
    """The pictures of these steps or examples as a browser is told of them, by media id."""
    ids = [part.media_id for part in parts if part.media_id is not None]
    if not ids:
        return {}
    with site.db.connection() as connection:
        return {media_id: media.wire(image) for media_id, image in media.by_ids(connection, ids).items()}


def is_newcomer(site: Site, project: Project, contributor: UUID | None) -> bool:
    """Is there something to learn for somebody who has never answered here?"""
    if not (project.tutorial or {}).get("steps"):
        return False
    if contributor is None:
        return True
    with site.db.connection() as connection:
        return not stored.has_answered(connection, contributor, project.id)


def task_to_try(site: Site, project: Project, step: Step) -> dict[str, Any]:
    """The task of a try as a lease would show it; NotFound when it is gone."""
    with site.db.connection() as connection:
        return _shown(project, _known_task(connection, project, step))


def attempt(site: Site, project: Project, step: Step, kind: str, raw_value: Any) -> Attempt:
    """Score a try and say what was right. Nothing is stored. AnswerInvalid when the value does not fit.

    kind: value, or cant_tell for "show me".
    """
    with site.db.connection() as connection:
        known_task = _known_task(connection, project, step)
    task_type = tasktypes.get(project.task_type)
    config = task_type.parse_config(project.config)
    sizes = [Media(width=width, height=height) for width, height, _ in known_task.media]
    if kind == "value":
        payload = task_type.Payload.model_validate(known_task.payload)
        value = task_type.parse_value(raw_value, payload, config, sizes)
    else:
        value = task_type.from_form({}, config)
    task = _shown(project, known_task)
    items = [Item(it) for it in task_type.compare(value, known_task.gold, config)]
    feedback = Feedback(known_task.task_id, "", "known", items, task["media"])
    is_right = kind == "value" and task_type.score(value, known_task.gold, config) >= RIGHT_FROM
    return Attempt(task, feedback, is_right, step.right if is_right else step.wrong)


def _known_task(connection: Connection, project: Project, step: Step) -> stored.KnownTask:
    known_task = stored.known_task(connection, project.id, step.task_id or 0)
    if known_task is None:
        raise NotFound("This task no longer exists.")
    return known_task


def _shown(project: Project, known_task: stored.KnownTask) -> dict[str, Any]:
    task_type = tasktypes.get(project.task_type)
    about = leases.Known(task_type, task_type.parse_config(project.config), project.config)
    return leases.shown(known_task.task_id, about, known_task.payload, known_task.media)
