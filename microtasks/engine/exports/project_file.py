"""The way back: a package holds one file from which its project can be made again, answers and all.

`SLUG-project.jsonl`: a line for the project (settings, every wording, who is excluded), then a
line a task with its content, its answers in every version, and its supplements: decisions of experts,
reports, skips, and what "stop when sure" said. Gold is in it only if an owner asked for it; of images their
SHA-256 is in it, so they are found where the site has them. Made again, the project gives the same consensus
to the byte; its slug, the tasks' numbers and the pseudonyms are new. This module says what is in the file and
what a line of it becomes; `restore` makes the project, `package_reader` opens the package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from random import getrandbits
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

import microtasks
from microtasks import tasktypes
from microtasks.core.errors import FileInvalid, MicrotasksError
from microtasks.core.tasktype import TaskType, problems
from microtasks.engine.exports import supplements
from microtasks.engine.exports.snapshots import View
from microtasks.engine.projects import projects
from microtasks.engine.tabular.table import File, to_json
from microtasks.store.exports import reads
from microtasks.store.exports import supplements as stored
from microtasks.store.imports import tasks

M = TypeVar("M", bound=BaseModel)

SUFFIX = "-project.jsonl"
#: What the file is like; a later one is read by a later microtasks.
FORMAT = 1
CHUNK = 500
#: What of a project goes with it: what its form asks for.
SETTINGS = tuple(name for name in projects.ProjectIn.model_fields if name != "config")
#: What a package does not hold, or what is not made again from it: one sentence each.
LEFT_BEHIND: Final = (
    "The people of the project with their roles, its API tokens and its audit log.",
    "Translations, what volunteers learn from, and what they are told after answering.",
    "Teams, certificates and ratings; skill and habits of volunteers, which the next review finds anew.",
    "Exports that were made, and who has looked at which result.",
)

# -- there --------------------------------------------------------------------------------------------


def file(view: View, *, with_gold: bool = False) -> File:
    """The file from which the project can be made again."""
    return File(f"{view.project.slug}{SUFFIX}", "application/x-ndjson", _lines(view, with_gold))


def _lines(view: View, with_gold: bool) -> Iterator[bytes]:
    project, cut = view.project, view.snapshot.cut
    with view.site.db.connection() as connection:
        configs = reads.configs(connection, cut.project_id)
    settings = {name: getattr(project, name) for name in SETTINGS}
    head = {
        "microtasks": microtasks.__version__,
        "format": FORMAT,
        "project": settings | {"config": project.config},
        "config_version": project.config_version,
        "configs": {str(version): config for version, config in configs},
        "excluded": [view.snapshot.pseudonym(who) for who in cut.excluded],
    }
    yield to_json(head) + b"\n"
    rows = view.walk(reads.kept_tasks, "task_id")
    while chunk := list(islice(rows, CHUNK)):
        task_ids = [row["task_id"] for row in chunk]
        with view.site.db.connection() as connection:
            answers = reads.kept_answers(connection, cut, task_ids)
            earlier = stored.earlier(connection, cut, answers)
            also = stored.of_tasks(connection, cut, task_ids)
        of: dict[int, list[dict[str, Any]]] = {task_id: [] for task_id in task_ids}
        for answer in answers:
            versions = [_only(VersionIn, one) for one in earlier.get(answer["id"], ())]
            of[answer["task_id"]].append(
                _only(AnswerIn, {**answer, **_named(view, answer), "earlier": versions})
            )
        for row in chunk:
            key = row["task_id"]
            decisions = [
                {**one, "expert": supplements.expert(view, one)} for one in also["decisions"].get(key, ())
            ]
            task = {
                **row,
                "gold": row["gold"] if with_gold else None,
                "priority": tasks.priority(row["pos"]),
                "stopped": _stopped(row),
                "answers": of[key],
                "decisions": [_only(DecisionIn, one) for one in decisions],
                "reports": [
                    _only(ReportIn, {**one, **_named(view, one)}) for one in also["reports"].get(key, ())
                ],
                "skips": [_only(SkipIn, {**one, **_named(view, one)}) for one in also["skips"].get(key, ())],
            }
            yield to_json(_only(TaskIn, task)) + b"\n"


def _only(model: type[BaseModel], row: Mapping[str, Any]) -> dict[str, Any]:
    """What the file holds of a row."""
    return {name: row[name] for name in model.model_fields}


def _named(view: View, row: Mapping[str, Any]) -> dict[str, str]:
    return {"contributor": view.snapshot.pseudonym(row["contributor_id"])}


def _stopped(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["stopped"] is None:
        return None
    return {
        "outcome": row["stopped"],
        "is_audit": row["is_audit"],
        "n_answers": row["n_when_stopped"],
        "value": row["value_when_stopped"],
        "n_reopened": row["n_reopened"],
        "decided_at": row["decided_at"],
    }


# -- and back -----------------------------------------------------------------------------------------


def _moment(text: str) -> str:
    """A time as the file says it, to the microsecond; ValueError."""
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time without its zone")
    return text


Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Pixel = Annotated[int, Field(ge=0, le=2**31 - 1)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
Value = dict[str, Any]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class VersionIn(_In):
    """An answer as it was before it was corrected."""

    revision: int = Field(ge=1, le=32_000)
    kind: str = Field(pattern="^(value|empty|cant_tell)$")
    value: Value | None
    created_at: Moment


class AnswerIn(_In):
    """One answer of the file."""

    contributor: Name
    kind: str = Field(pattern="^(value|empty|cant_tell)$")
    status: str = Field(pattern="^(counted|surplus|check)$")
    value: Value | None
    seconds_spent: float | None = Field(ge=0, le=1e9)
    revision: int = Field(ge=1, le=32_000)
    created_at: Moment
    revised_at: Moment | None
    config_version: Version
    earlier: list[VersionIn]


class DecisionIn(_In):
    """What an expert decided."""

    expert: Name
    role: str = Field(pattern="^(owner|collaborator|reviewer|researcher|operator)$")
    choice: str = Field(pattern="^(consensus|answer|own|none|taken_back)$")
    value: Value | None
    note: str = Field(max_length=1000)
    created_at: Moment


class ReportIn(_In):
    """What a volunteer reported."""

    contributor: Name
    reason: str = Field(min_length=1, max_length=100)
    note: str = Field(max_length=10_000)
    created_at: Moment
    closed_at: Moment | None


class SkipIn(_In):
    """That a volunteer skipped it."""

    contributor: Name
    created_at: Moment


class StoppedIn(_In):
    """What "stop when sure" said of the task."""

    outcome: str = Field(pattern="^(sure|disputed|full)$")
    is_audit: bool
    n_answers: int = Field(ge=0, le=1000)
    value: Value | None
    n_reopened: int = Field(ge=0, le=2**31 - 1)
    decided_at: Moment


class TaskIn(_In):
    """One task of the file."""

    external_id: str = Field(min_length=1, max_length=500)
    payload: dict[str, Any]
    hidden: dict[str, str]
    after: dict[str, str]
    redundancy: int = Field(ge=1, le=1000)
    own_redundancy: int | None = Field(None, ge=1, le=1000)  # older packages have none
    priority: float = Field(ge=0, le=1)
    retired_at: Moment | None
    retirement_reason: str | None = Field(pattern="^(consensus|redundancy|withdrawn)$")
    gold: Value | None
    source: str | None = Field(max_length=500)
    source_x: Pixel | None
    source_y: Pixel | None
    source_image: str | None = Field(max_length=64)
    file_name: str | None = Field(None, max_length=500)  # older packages have none
    images: list[Annotated[str, Field(max_length=64)]] = Field(max_length=1000)
    stopped: StoppedIn | None
    answers: list[AnswerIn]
    decisions: list[DecisionIn]
    reports: list[ReportIn]
    skips: list[SkipIn]


class HeadIn(_In):
    """The first line of the file."""

    microtasks: str = Field(max_length=60)
    format: int
    project: dict[str, Any]
    config_version: Version
    configs: dict[Annotated[str, Field(pattern="^[1-9][0-9]{0,8}$")], dict[str, Any]]
    excluded: list[Name]


class Head:
    """The project of the file. form: what its form asks for; configs: its wordings by version, parsed."""

    def __init__(self, raw: Mapping[str, Any] | None, name: str = "") -> None:
        """Errors: FileInvalid for no such file, one of another version, or settings that its type refuses."""
        if raw is None or not isinstance(raw.get("microtasks"), str):
            raise FileInvalid("Line 1: this is not the file of a project that microtasks has written.")
        if raw.get("format") != FORMAT:
            raise FileInvalid(
                f"This package was written by microtasks {raw['microtasks'][:60]}, whose packages are of "
                f"another kind than those that this site reads ({microtasks.__version__}). Export it again "
                "with the same version as this site's, or ask the operator to bring this site up to date."
            )
        self.given = head = checked(HeadIn, raw, 1)
        self.form: projects.ProjectIn = checked(
            projects.ProjectIn, {**head.project, **({"name": name} if name else {})}, 1
        )
        try:
            self.task_type: TaskType[Any, Any, Any] = tasktypes.get(self.form.task_type)
            projects.config_of(self.form)  # with a policy that fits its type
            self.configs = {0: self.task_type.parse_config(self.form.config)}  # 0: the present one
            for version, kept in head.configs.items():
                self.configs[int(version)] = self.task_type.parse_config(kept)
        except MicrotasksError as error:
            raise FileInvalid(f"Line 1: {_said(error)}") from None

    @property
    def excluded(self) -> list[str]:
        """The ids here of those who are excluded."""
        return [contributor(each) for each in self.given.excluded]


def task(given: TaskIn, head: Head, number: int, *, with_answers: bool = True) -> dict[str, Any]:
    """A task as it is stored: every value checked, people under ids of this site. FileInvalid with the line.

    1. Content and gold. 2. Answers in every version. 3. Supplements. 4. Its state.
    """
    kind, asked = head.task_type, head.configs[0]

    def wrong(what: str) -> FileInvalid:
        return FileInvalid(f"Line {number}: {what}")

    try:
        payload = kind.Payload.model_validate(given.payload)
        if given.gold is not None:
            kind.check_gold(given.gold, payload, asked)
        for answer in given.answers:
            config = head.configs.get(answer.config_version, asked)
            versions: list[AnswerIn | VersionIn] = [answer, *answer.earlier]
            for version in versions:
                if (version.kind == "cant_tell") != (version.value is None):
                    raise wrong("an answer has no value, or one that it cannot have.")
                if version.value is not None:
                    kind.parse_value(version.value, payload, config)
            if [one.revision for one in answer.earlier] != list(range(1, answer.revision)):
                raise wrong("an answer that was corrected lacks what it was before.")
        for decision in given.decisions:
            if (decision.choice in ("none", "taken_back")) != (decision.value is None):
                raise wrong("a decision has no value, or one that it cannot have.")
            _check_decided(decision, payload, head)
    except ValidationError as error:
        raise wrong(problems(error)[0]["what"]) from None
    except FileInvalid:
        raise
    except MicrotasksError as error:
        raise wrong(_said(error)) from None
    for people in (given.answers, given.reports, given.skips):
        if len({one.contributor for one in people}) < len(people):
            raise wrong("the same volunteer is there twice.")
    made = given.model_dump()
    # Known answers are in a package only where they were asked for: a check of none is nothing.
    made["answers"] = [one for one in made["answers"] if one["status"] != "check" or given.gold is not None]
    if not with_answers:
        made |= {"answers": [], "decisions": [], "reports": [], "skips": [], "stopped": None}
    for one in (*made["answers"], *made["reports"], *made["skips"]):
        one["contributor"] = contributor(one["contributor"])
    n_answers = sum(one["status"] == "counted" for one in made["answers"])
    if n_answers > given.redundancy:
        raise wrong("the task has more counted answers than it may have.")
    if not with_answers and given.retirement_reason != "withdrawn":
        made |= {"retired_at": None, "retirement_reason": None}
    if (made["retired_at"] is None) != (made["retirement_reason"] is None):
        raise wrong("a task is done for a reason and at a time, or not at all.")
    if made["retired_at"] is None and n_answers == given.redundancy:
        last = max(one["created_at"] for one in made["answers"])
        made |= {"retired_at": last, "retirement_reason": "redundancy"}
    position = tasks.position(given.priority, getrandbits(tasks.RANDOM_BITS))
    return {**made, "n_answers": n_answers, "pos": position}


def _check_decided(decision: DecisionIn, payload: Any, head: Head) -> None:
    """Refuse what is no value of any wording: nobody knows which one an expert saw.

    A consensus need not be an answer that would be taken: it may leave a field open.
    """
    if decision.value is None:
        return
    head.task_type.Value.model_validate(decision.value)
    if decision.choice == "consensus":
        return
    refused: MicrotasksError | None = None
    for config in head.configs.values():
        try:
            head.task_type.parse_value(decision.value, payload, config)
        except MicrotasksError as error:
            refused = refused or error
        else:
            return
    if refused is not None:
        raise refused


def contributor(name: str) -> str:
    """The id that stands for a pseudonym here: the same name in one package, the same person."""
    return str(UUID(bytes=hashlib.blake2b(name.encode(), digest_size=16).digest()))


def checked(model: type[M], raw: object, number: int) -> M:
    """The line as its model; FileInvalid with its number."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problem = problems(error)[0]
        raise FileInvalid(f"Line {number}: {problem['where']}: {problem['what']}") from None


def chunks(lines: Iterable[tuple[int, int, Mapping[str, Any]]], n_bytes_max: int) -> Iterator[Sequence[Any]]:
    """Lines (number, bytes, value) so many at a time that memory stays flat however long they are."""
    chunk: list[tuple[int, Mapping[str, Any]]] = []
    n_bytes = 0
    for number, length, value in lines:
        chunk.append((number, value))
        n_bytes += length
        if len(chunk) >= CHUNK or n_bytes >= n_bytes_max:
            yield chunk
            chunk, n_bytes = [], 0
    if chunk:
        yield chunk


def _said(error: MicrotasksError) -> str:
    """What is wrong, with the first of several reasons."""
    for problem in error.details.get("problems", ()):
        return f"{error.message} {problem['where']}: {problem['what']}"
    return error.message
