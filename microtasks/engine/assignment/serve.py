"""Hand out tasks: the held ones first, then the next of the walk, with known tasks among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

from microtasks.core import gold
from microtasks.core.errors import NotFound
from microtasks.engine.assignment.leases import Content, Lease, keep, known, shown, token
from microtasks.engine.site import Site
from microtasks.store.assignment import hotpath

LIMIT_MAX = 20
#: A paused project may go on any moment; asking is cheap.
PAUSED_RETRY_S = 60

_RNG = Random()  # noqa: S311  (chooses when gold is shown; nothing is secret in it)


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
    site: Site,
    slug: str,
    contributor: UUID,
    *,
    limit: int = 1,
    network: bytes | None = None,
    rng: Random = _RNG,
) -> Served:
    """Hand out tasks until the contributor holds `limit` (1..20) of the project; asking again is harmless.

    network: keyed hash of where they come from (store.limits.network_key); None: not counted.
    Errors: NotFound for an unknown project and for a draft.
    """
    limit = max(1, min(LIMIT_MAX, limit))
    seconds = site.settings.lease_seconds
    said = hotpath.lease(site.db, slug, contributor, limit, network, seconds, None)
    due: list[int] = []
    if said.is_undecided:
        due = gold_places(said, limit - said.n_held, rng)
        said = hotpath.lease(site.db, slug, contributor, limit, network, seconds, len(due))
    return served(site, contributor, slug, said, due)


def gold_places(said: hotpath.Leased, n: int, rng: Random) -> list[int]:
    """Which of the next `n` tasks are to be known ones: indices 0..n-1."""
    places: list[int] = []
    for i in range(n):
        if gold.is_due(said.n_served + i, said.n_gold + len(places), said.gold_share, rng):
            places.append(i)
    return places


def served(site: Site, contributor: UUID, slug: str, said: hotpath.Leased, gold_places: list[int]) -> Served:
    """Say what the database handed out as the volunteer sees it; gold at its places, in no way marked."""
    if said.project_id is None or said.state == "draft":
        raise NotFound(f"There is no project called {slug!r}.")
    if said.state == "paused":
        return Served(reason="paused", retry_after_s=PAUSED_RETRY_S)
    if said.state == "archived":
        return Served(reason="complete")
    if not said.leases:
        return Served(reason=said.reason, retry_after_s=said.retry_after_s)
    about = known(site, None, said.project_id, said.config_version, said.task_type)
    order = said.leases
    if len(order) > 1 and gold_places:
        order = [item for item in said.leases if not item[4]]
        drawn = [item for item in said.leases if item[4]]
        for place, item in zip(gold_places, drawn, strict=False):
            order.insert(min(said.n_held + place, len(order)), item)
    for task_id, _, payload, images, _ in order:
        keep(site, task_id, Content(said.task_type, payload, images))
    return Served(
        [
            Lease(
                token(site, contributor, said.project_id, task_id, said.config_version),
                datetime.fromtimestamp(until, UTC),
                shown(task_id, about, payload, images),
            )
            for task_id, until, payload, images, _ in order
        ]
    )
