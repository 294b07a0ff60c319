"""The way back: a package holds one file from which its project can be made again, answers and all.

`SLUG-project.jsonl`: a line for the project (settings, every wording, whose answers weigh nothing), then a
line a task with its content and answers. Gold is in it only if an owner asked for it. Made again, the project
gives the same consensus to the byte; its slug, the tasks' numbers and the contributors' pseudonyms are new.
Decisions of experts, reports, skips and earlier versions of answers stay behind; of images their SHA-256 is
in it, so they are found where the site has them.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import microtasks
from microtasks import tasktypes
from microtasks.core import jsonstrict
from microtasks.core.errors import FileInvalid, MicrotasksError
from microtasks.core.tasktype import problems
from microtasks.engine import aggregate, projects
from microtasks.engine.formats import File, to_json
from microtasks.engine.site import Site
from microtasks.engine.snapshots import View
from microtasks.store import exports, restore
from microtasks.store.tables import Project

SUFFIX = "-project.jsonl"
CHUNK = 500
LINE_BYTES_MAX = 64 << 20
#: What of a project goes with it: what its form asks for.
SETTINGS = tuple(name for name in projects.ProjectIn.model_fields if name != "config")


# -- there --------------------------------------------------------------------------------------------


def file(view: View, *, with_gold: bool = False) -> File:
    """The file from which the project can be made again."""
    return File(f"{view.project.slug}{SUFFIX}", "application/x-ndjson", _lines(view, with_gold))


def _lines(view: View, with_gold: bool) -> Iterator[bytes]:
    project, cut = view.project, view.snapshot.cut
    with view.site.db.connection() as connection:
        configs = exports.configs(connection, cut.project_id)
    settings = {name: getattr(project, name) for name in SETTINGS}
    head = {
        "microtasks": microtasks.__version__,
        "project": settings | {"config": project.config},
        "config_version": project.config_version,
        "configs": {str(version): config for version, config in configs},
        "excluded": [view.snapshot.name(who) for who in cut.excluded],
    }
    yield to_json(head) + b"\n"
    rows = view.walk(exports.kept_tasks, "task_id")
    while chunk := list(islice(rows, CHUNK)):
        with view.site.db.connection() as connection:
            answers = exports.kept_answers(connection, cut, [row["task_id"] for row in chunk])
        of: dict[int, list[dict[str, Any]]] = {row["task_id"]: [] for row in chunk}
        for answer in answers:
            kept = {key: answer[key] for key in AnswerIn.model_fields if key != "contributor"}
            of[answer["task_id"]].append(
                {"contributor": view.snapshot.name(answer["contributor_id"]), **kept}
            )
        for row in chunk:
            task = {key: row[key] for key in TaskIn.model_fields if key in row}
            if not with_gold:
                task["gold"] = None
            yield to_json({**task, "answers": of[row["task_id"]]}) + b"\n"


# -- and back -----------------------------------------------------------------------------------------


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class AnswerIn(_In):
    """One answer of the file."""

    contributor: str = Field(min_length=1, max_length=64)
    kind: str = Field(pattern="^(value|empty|cant_tell)$")
    status: str = Field(pattern="^(counted|surplus|check)$")
    value: dict[str, Any] | None
    seconds_spent: float | None = Field(ge=0)
    revision: int = Field(ge=1, le=32_000)
    created_at: str
    revised_at: str | None
    config_version: int = Field(ge=1)


class TaskIn(_In):
    """One task of the file."""

    external_id: str = Field(min_length=1, max_length=500)
    payload: dict[str, Any]
    hidden: dict[str, str]
    after: dict[str, str]
    redundancy: int = Field(ge=1, le=1000)
    retired_at: str | None
    retirement_reason: str | None = Field(pattern="^(consensus|redundancy|withdrawn)$")
    gold: dict[str, Any] | None
    source: str | None
    source_x: int | None
    source_y: int | None
    source_image: str | None
    images: list[str]
    answers: list[AnswerIn]


class HeadIn(_In):
    """The first line of the file."""

    microtasks: str
    project: dict[str, Any]
    config_version: int = Field(ge=1)
    configs: dict[str, dict[str, Any]]
    excluded: list[str]


@dataclass(frozen=True, slots=True)
class Restored:
    """A project that was made again. n_lost: images that this site does not have."""

    project: Project
    n_tasks: int
    n_answers: int
    n_lost: int


def restore_package(
    site: Site, path: Path, *, name: str = "", account_id: int | None = None, with_answers: bool = True
) -> Restored:
    """Make a project from a package: a ZIP, its folder, or the one file. A draft; nothing is published.

    Errors: FileInvalid, naming the line; what is wrong leaves a draft with the tasks before it.

    1. Read the project's line, make the project and its wordings. 2. Make tasks and answers, a chunk at a
    time; each value is checked by the task type. 3. Make the consensus anew.
    """
    with _opened(path) as lines:
        rows = iter(_read(lines))
        head = _checked(HeadIn, next(rows, None), 1)
        form = _checked(projects.ProjectIn, {**head.project, **({"name": name} if name else {})}, 1)
        project = projects.create(site, account_id, form)
        assert project.id is not None  # noqa: S101  (it is stored)
        task_type = tasktypes.get(project.task_type)
        configs = {0: task_type.parse_config(project.config)}  # and the earlier wordings by version
        for version, kept in head.configs.items():
            configs[int(version) if version.isdigit() else 1] = task_type.parse_config(kept)
        with site.db.connection() as connection:
            for version, kept in head.configs.items():
                restore.config(connection, project.id, int(version) if version.isdigit() else 1, kept)
            batch_id = restore.batch(connection, project.id, path.name)
        n_tasks = n_answers = n_lost = 0
        number = 1
        while chunk := list(islice(rows, CHUNK)):
            tasks = []
            for raw in chunk:
                number += 1
                tasks.append(_task(_checked(TaskIn, raw, number), task_type, configs, with_answers, number))
            with site.db.connection() as connection:
                lost = _with_images(connection, tasks)
                restore.tasks(connection, project.id, batch_id, tasks)
            n_tasks += len(tasks)
            n_answers += sum(len(task["answers"]) for task in tasks)
            n_lost += lost
    if with_answers:
        with site.db.connection() as connection:
            restore.leave_out(connection, project.id, [_contributor(each) for each in head.excluded])
        aggregate.aggregate(site, project.id)
    return Restored(project, n_tasks, n_answers, n_lost)


def _task(
    given: TaskIn, task_type: Any, configs: Mapping[int, Any], with_answers: bool, number: int
) -> dict[str, Any]:
    """A task as it is stored: every value checked, contributors under ids of this site."""
    try:
        payload = task_type.Payload.model_validate(given.payload)
        if given.gold is not None:
            task_type.check_gold(given.gold, payload, configs[0])
    except ValidationError as error:
        raise FileInvalid(f"Line {number}: {problems(error)[0]['what']}") from None
    except MicrotasksError as error:
        raise FileInvalid(f"Line {number}: {error.message}") from None
    task = given.model_dump()
    answers = task.pop("answers") if with_answers else []
    task.pop("answers", None)
    for answer in answers:
        if (answer["kind"] == "cant_tell") != (answer["value"] is None):
            raise FileInvalid(f"Line {number}: an answer has no value, or one that it cannot have.")
        try:
            if answer["value"] is not None:
                asked = configs.get(answer["config_version"], configs[0])
                task_type.parse_value(answer["value"], payload, asked)
        except MicrotasksError as error:
            raise FileInvalid(f"Line {number}: {error.message}") from None
        answer["contributor"] = _contributor(answer["contributor"])
    n_answers = sum(answer["status"] == "counted" for answer in answers)
    if n_answers > given.redundancy:
        raise FileInvalid(f"Line {number}: the task has more counted answers than it may have.")
    if not with_answers and task["retirement_reason"] != "withdrawn":
        task |= {"retired_at": None, "retirement_reason": None}
    if (task["retired_at"] is None) != (task["retirement_reason"] is None):
        raise FileInvalid(f"Line {number}: a task is done for a reason and at a time, or not at all.")
    return {**task, "answers": answers, "n_answers": n_answers}


def _with_images(connection: Any, tasks: Iterable[dict[str, Any]]) -> int:
    """Put this site's images in place of their hashes; return how many it does not have."""
    tasks = list(tasks)
    wanted = {digest for task in tasks for digest in (*task["images"], task["source_image"]) if digest}
    found = restore.media(connection, sorted(wanted))
    for task in tasks:
        task["media_ids"] = [found[digest] for digest in task.pop("images") if digest in found]
        task["source_media_id"] = found.get(task.pop("source_image"))
    return len(wanted - set(found))


def _contributor(name: str) -> str:
    """The id that stands for a pseudonym here: the same name in one package, the same person."""
    return str(UUID(bytes=hashlib.blake2b(name.encode(), digest_size=16).digest()))


def _checked(model: type[Any], raw: object, number: int) -> Any:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        found = problems(error)[0]
        raise FileInvalid(f"Line {number}: {found['where']}: {found['what']}") from None


def _read(lines: IO[bytes]) -> Iterator[Mapping[str, Any]]:
    number = 0
    while line := lines.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise FileInvalid(f"Line {number} is too long.")
        try:
            yield jsonstrict.loads(line)
        except MicrotasksError as error:
            raise FileInvalid(f"Line {number}: {error.message}") from None


def _opened(path: Path) -> IO[bytes]:
    """The file of a package. Errors: FileInvalid when there is none."""
    missing = FileInvalid("This is no package of a whole project: it has no file named ...-project.jsonl.")
    if path.is_dir():
        found = sorted(path.glob(f"*{SUFFIX}"))
        if not found:
            raise missing
        return found[0].open("rb")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            named = [name for name in archive.namelist() if name.endswith(SUFFIX)]
            if not named:
                raise missing
            return archive.open(named[0])
    return path.open("rb")
