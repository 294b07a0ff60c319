"""What experts decide about tasks, beside the crowd's consensus: it, somebody's answer, or one of their own.

Every decision is kept; the last one counts, unless it was taken back. None of them is an answer: no consensus
is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from microtasks import tasktypes
from microtasks.core.errors import Conflict, InputError, NotFound
from microtasks.core.values import Media
from microtasks.engine import audit
from microtasks.engine.assignment import leases
from microtasks.engine.site import Site
from microtasks.store.db import Connection
from microtasks.store.imports import media
from microtasks.store.imports.media import Image
from microtasks.store.results import explorer as stored
from microtasks.store.tables import Project

NOTE_MAX = 1000


@dataclass(frozen=True, slots=True)
class Form:
    """What an expert answers a task by. task: as volunteers get it. value, note: what it begins with."""

    task: dict[str, Any]
    external_id: str
    has_consensus: bool
    value: Mapping[str, Any] | None
    note: str


def record(site: Site, project: Project, task_id: int, account_id: int, choice: str, note: str = "") -> None:
    """Keep an expert's decision beside the crowd's consensus.

    choice: "consensus"; "answer:<id>", what that answer says; "none", nothing of it is right. The consensus
    itself stays as the crowd made it. Errors: NotFound, InputError (no such choice), Conflict (no consensus).
    """
    note = _checked_note(note)
    with site.db.connection() as connection:
        row = _task(connection, project, task_id)
        kind, _, answer_id = choice.partition(":")
        value = None
        if kind == "consensus" and not answer_id:
            value = row["value"]
            if value is None:
                raise Conflict("There is no consensus to accept yet.")
        elif kind == "answer":
            values = {str(one["id"]): one["value"] for one in stored.answers(connection, task_id)}
            value = values.get(answer_id)
            if value is None:
                raise InputError("There is no such answer to choose.")
        elif choice != "none":
            raise InputError("Please choose what is right.")
        stored.add_decision(connection, task_id, account_id, kind, value, note)
        audit.note(connection, account_id, project.id, "task.decide", task=task_id, choice=choice)


def form(site: Site, project: Project, task_id: int, begin: str = "") -> Form:
    """A task for an expert to answer, with a value to begin with.

    begin: "consensus"; "answer:<id>"; "nothing"; "" for the expert's answer that stands, or the consensus.
    Errors: NotFound, InputError (there is no such beginning).
    """
    with site.db.connection() as connection:
        row = _task(connection, project, task_id)
        answers = {f"answer:{one['id']}": one["value"] for one in stored.answers(connection, task_id)}
        decided = stored.decisions(connection, task_id)
        images = _images(connection, row)
    own = decided[0] if decided and decided[0]["choice"] == "own" else None
    first = own["value"] if own else row["value"]
    values = {"": first, "consensus": row["value"], "nothing": None, **answers}
    if begin not in values:
        raise InputError("There is no such answer to begin with.")
    task_type = tasktypes.get(project.task_type)
    about = leases.Known(task_type, task_type.parse_config(project.config), project.config)
    facts = [[image.width, image.height, image.derivatives] for image in images]
    task = leases.shown(task_id, about, row["payload"], facts)
    return Form(task, row["external_id"], row["value"] is not None, values[begin], own["note"] if own else "")


def record_own(
    site: Site, project: Project, task_id: int, account_id: int, raw_value: Any, note: str = ""
) -> None:
    """Keep an expert's own answer beside the crowd's consensus, as valid as a volunteer's has to be.

    Errors: NotFound, AnswerInvalid (with `details["problems"]`), InputError (the note).
    """
    note = _checked_note(note)
    task_type = tasktypes.get(project.task_type)
    with site.db.connection() as connection:
        row = _task(connection, project, task_id)
        value = task_type.parse_value(
            raw_value,
            task_type.Payload.model_validate(row["payload"]),
            task_type.parse_config(project.config),
            [Media(width=image.width, height=image.height) for image in _images(connection, row)],
        )
        stored.add_decision(connection, task_id, account_id, "own", value, note)
        audit.note(connection, account_id, project.id, "task.decide", task=task_id, choice="own")


def take_back(site: Site, project: Project, task_id: int, account_id: int) -> None:
    """Let a task be as if nobody had decided it; what was decided before is still told.

    Errors: NotFound; Conflict where no decision stands.
    """
    with site.db.connection() as connection:
        _task(connection, project, task_id)
        decided = stored.decisions(connection, task_id)
        if not decided or decided[0]["choice"] == "taken_back":
            raise Conflict("There is no decision to take back.")
        stored.add_decision(connection, task_id, account_id, "taken_back", None, "")
        audit.note(connection, account_id, project.id, "task.take_back", task=task_id)


def _task(connection: Connection, project: Project, task_id: int) -> stored.ResultRow:
    row = stored.task(connection, project.id, task_id)
    if row is None:
        raise NotFound("There is no such task.")
    return row


def _images(connection: Connection, row: stored.ResultRow) -> list[Image]:
    """The task's images in their order."""
    rows = media.by_ids(connection, row["media_ids"])
    return [rows[key] for key in row["media_ids"] if key in rows]


def _checked_note(text: str) -> str:
    """A note as it is kept; InputError."""
    note = text.strip()
    if len(note) > NOTE_MAX or "\x00" in note:
        raise InputError(f"A note has at most {NOTE_MAX} characters.")
    return note
