"""Hand out tasks: the held ones first, then the next ones of the order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from microtasks.core.errors import NotFound
from microtasks.engine.assignment.leases import BLOCK_MAX, Content, Lease, keep, known, shown, token
from microtasks.engine.site import Site
from microtasks.store.assignment import hotpath

#: A paused project may go on any moment; asking is cheap.
PAUSED_RETRY_S = 60


@dataclass(frozen=True, slots=True)
class Served:
    """Tasks handed out. reason: why there are none: complete, none_for_you, paused; else None."""

    leases: list[Lease] = field(default_factory=list)
    reason: str | None = None
    retry_after_s: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "leases": [lease.to_json() for lease in self.leases],
            "reason": self.reason,
            "retry_after_s": self.retry_after_s,
        }


def lease(
    site: Site, slug: str, contributor: UUID, *, limit: int = 1, network: bytes | None = None
) -> Served:
    """Hand out tasks until the contributor holds `limit` (1..20) of the project; asking again is harmless.

    Fewer for who let tasks lapse, and for a network that holds many (hot_lease).
    network: keyed hash of where they come from (store.operations.limits); None: not counted.
    Errors: NotFound for an unknown project and for a draft.
    """
    limit = max(1, min(BLOCK_MAX, limit))
    leased = hotpath.lease(site.db, slug, contributor, limit, network, site.settings.lease_seconds)
    return served(site, contributor, slug, leased)


def served(site: Site, contributor: UUID, slug: str, leased: hotpath.Leased) -> Served:
    """Say what the database handed out as the volunteer sees it."""
    if leased.project_id is None or leased.state == "draft":
        raise NotFound(f"There is no project called {slug!r}.")
    if leased.state == "paused":
        return Served(reason="paused", retry_after_s=PAUSED_RETRY_S)
    if leased.state == "archived":
        return Served(reason="complete")
    if not leased.leases:
        return Served(reason=leased.reason, retry_after_s=leased.retry_after_s)
    about = known(site, None, leased.project_id, leased.config_version, leased.task_type)
    for task_id, _, payload, images in leased.leases:
        keep(site, task_id, Content(leased.task_type, payload, images))
    return Served(
        [
            Lease(
                token(site, contributor, leased.project_id, task_id, leased.config_version),
                datetime.fromtimestamp(until, UTC),
                shown(task_id, about, payload, images),
            )
            for task_id, until, payload, images in leased.leases
        ]
    )
