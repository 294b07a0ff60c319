"""What a task looks like when it is handed out, and the token that proves that it was."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

from microtasks import tasktypes
from microtasks.core import tokens
from microtasks.core.errors import LeaseInvalid, NotFound
from microtasks.core.tasktype import TaskType
from microtasks.engine.site import Site
from microtasks.store.assignment import answers, hotpath
from microtasks.store.db import Connection
from microtasks.store.imports import media
from microtasks.store.volunteers import claims

#: Most tasks handed out, or answers taken, in one request.
BLOCK_MAX = 20

_TOKEN = struct.Struct(">qqi16s")  # project, task, config version, contributor
_CACHE_MAX = 1000
_CONTENTS_MAX = 4000
_TICKETS_MAX = 4000


@dataclass(frozen=True, slots=True)
class Lease:
    """A task handed out. task: {"id", "type", "config", "payload", "media"}, all a volunteer may see.

    project: {"slug", "name"}, where the client did not ask for a certain one.
    """

    token: str
    expires_at: datetime
    task: dict[str, Any]
    project: dict[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        document = {"lease": self.token, "expires_at": self.expires_at.isoformat(), "task": self.task}
        return document if self.project is None else document | {"project": self.project}


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a lease token says."""

    project_id: int
    task_id: int
    config_version: int


@dataclass(frozen=True, slots=True)
class Known:
    """One version of a project's config, read once."""

    type: TaskType[Any, Any, Any]
    config: Any
    raw: dict[str, Any]


# A version of a config never changes, so there is nothing to invalidate.
_known: dict[tuple[str, int, int], Known] = {}


def known(site: Site, connection: Connection | None, project_id: int, version: int, task_type: str) -> Known:
    """That version of the project's config, from this process's memory if it was met before.

    connection: what to read it with; None: one of its own.
    """
    key = (site.db.url, project_id, version)
    cached = _known.get(key)
    if cached is None:
        with nullcontext(connection) if connection else site.db.connection() as reader:
            raw = answers.config(reader, project_id, version)
        if raw is None:
            raise NotFound("This version of the project is gone.")
        kind = tasktypes.get(task_type)
        cached = Known(kind, kind.parse_config(raw), raw)
        if len(_known) >= _CACHE_MAX:
            _known.clear()
        _known[key] = cached
    return cached


class Content(NamedTuple):
    """What never changes of a task, as judging answers needs it. sizes: [width, height, ...] an image."""

    task_type: str
    payload: dict[str, Any]
    sizes: Sequence[Sequence[Any]]


# Filled when a task is handed out, so that its answer need not ask for it.
_contents: OrderedDict[tuple[str, int], Content] = OrderedDict()


def keep(site: Site, task_id: int, content: Content) -> None:
    """Remember the last few thousand tasks handed out by this process."""
    _contents[site.db.url, task_id] = content
    if len(_contents) > _CONTENTS_MAX:
        with suppress(KeyError):  # two threads at once
            _contents.popitem(last=False)


def content(site: Site, task_id: int) -> Content | None:
    """What never changes of the task; None: there is no such task."""
    cached = _contents.get((site.db.url, task_id))
    if cached is None:
        read = hotpath.content(site.db, task_id)
        cached = Content(*read) if read else None
    return cached


def shown(task_id: int, about: Known, payload: dict[str, Any], images: list[list[Any]]) -> dict[str, Any]:
    """The task as it goes to a volunteer. images: [width, height, derivatives] each."""
    return {
        "id": task_id,
        "type": about.type.name,
        "config": about.raw,
        "payload": payload,
        "media": [
            media.wire(SimpleNamespace(width=width, height=height, derivatives=derivatives))
            for width, height, derivatives in images
        ],
    }


# What was sealed here of late, so that it need not be unsealed: by token, the key, for whom, and the ticket.
_tickets: OrderedDict[str, tuple[bytes, UUID, Ticket]] = OrderedDict()


def token(site: Site, contributor: UUID, project_id: int, task_id: int, config_version: int) -> str:
    """Seal that this contributor was handed this task. No time in it: it outlives the lease."""
    key = site.settings.key("lease")
    sealed = tokens.seal(key, _TOKEN.pack(project_id, task_id, config_version, contributor.bytes))
    _tickets[sealed] = (key, contributor, Ticket(project_id, task_id, config_version))
    if len(_tickets) > _TICKETS_MAX:
        with suppress(KeyError):  # two threads at once
            _tickets.popitem(last=False)
    return sealed


def open_token(site: Site, contributor: UUID, sealed: str) -> Ticket:
    """What the token says. Errors: LeaseInvalid if we did not seal it, or for someone else."""
    key = site.settings.key("lease")
    made = _tickets.get(sealed)
    if made and made[0] == key and made[1] == contributor:
        return made[2]
    payload = tokens.unseal(key, sealed)
    if payload is None or len(payload) != _TOKEN.size:
        raise LeaseInvalid
    project_id, task_id, config_version, who = _TOKEN.unpack(payload)
    if who != contributor.bytes and not _is_joined(site, UUID(bytes=who), contributor):
        raise LeaseInvalid("This task was handed out to someone else.")
    return Ticket(project_id, task_id, config_version)


def _is_joined(site: Site, device: UUID, contributor: UUID) -> bool:
    """Was the device that held the lease joined to this person since? (engine/volunteers/claims.py)"""
    with site.db.connection() as connection:
        return claims.person(connection, device) == contributor
