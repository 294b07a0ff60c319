"""Tell volunteers how they did: on known tasks, and on tasks that are done. Only where the owner allows it.

Never before the answer, and only to who gave it. From then on that answer cannot be corrected any more: a
known answer, once told, would lift anybody's record, and what others said would no longer be others' word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from microtasks.core.errors import InputError
from microtasks.core.values import Compared
from microtasks.engine.assignment.leases import Known, known, open_token
from microtasks.engine.site import Site
from microtasks.store.assignment import answers as said
from microtasks.store.imports import media
from microtasks.store.results import reduction
from microtasks.store.tables import Project

LEASES_MAX = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One part of an answer beside what is right; of a task that is done, how many people said the same.

    n_same of n_people: who matched this part of the consensus; None where that cannot be counted.
    """

    compared: Compared
    n_same: int | None = None
    n_people: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON without what there is nothing to say of."""
        plain = {key: value for key, value in asdict(self.compared).items() if value not in (None, "")}
        if self.n_same is not None:
            plain |= {"n_same": self.n_same, "n_people": self.n_people}
        return plain


@dataclass(frozen=True, slots=True)
class Feedback:
    """What is told of one task. source: "known" or "consensus"; is_tied: people did not agree on anything.

    lease: the one that was asked with. media: as in a lease, for drawing marks over it.
    """

    task_id: int
    lease: str
    source: str
    items: Sequence[Item]
    media: Sequence[Mapping[str, Any]]
    is_tied: bool = False

    @property
    def is_good(self) -> bool:
        """Was everything as it should be?"""
        return not self.is_tied and all(item.compared.is_good for item in self.items)

    @property
    def is_drawn(self) -> bool:
        """Is there something to draw over the picture?"""
        return any(it.compared.mark or it.compared.target or it.compared.cell for it in self.items)

    def count(self, outcome: str) -> int:
        """How many parts came out so."""
        return sum(item.compared.outcome == outcome for item in self.items)

    def to_json(self) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "task": self.task_id,
            "source": self.source,
            "is_tied": self.is_tied,
            "items": [item.to_json() for item in self.items],
        }


def feedback_on(
    site: Site, contributor: UUID, leases: Sequence[str], read_as: Project | None = None
) -> list[Feedback]:
    """What there is to tell of the tasks of these leases, in their order; without those of nothing to tell.

    read_as: a project with its words in the reader's language: they are used for its answers.

    1. Open the tokens (LeaseInvalid for one that is not this contributor's; InputError for too many).
    2. Mark as told what the projects allow; from here on these answers cannot be revised.
    3. Compare each answer with what is right; count who said the same.
    """
    if len(leases) > LEASES_MAX:
        raise InputError(f"At most {LEASES_MAX} leases at once.")
    lease_of: dict[int, str] = {}
    by_project: dict[int, list[int]] = {}
    for lease in leases:
        ticket = open_token(site, contributor, lease)
        if ticket.task_id not in lease_of:
            by_project.setdefault(ticket.project_id, []).append(ticket.task_id)
        lease_of[ticket.task_id] = lease
    feedback: dict[int, Feedback] = {}
    with site.db.connection() as connection:
        for project_id, task_ids in by_project.items():
            answered = said.tell(connection, contributor, project_id, task_ids)
            if not answered:
                continue
            facts = reduction.settings_of_project(connection, project_id)
            assert facts is not None  # noqa: S101  (its answers were just read)
            settled = [it.task_id for it in answered.values() if it.is_settled and it.gold is None]
            others = said.counted(connection, settled)
            for it in answered.values():
                about = known(site, connection, project_id, it.config_version, facts.task_type)
                if read_as and (read_as.id, read_as.config_version) == (project_id, it.config_version):
                    about = replace(about, config=about.type.parse_config(read_as.config))
                values = [value for *_, value in others.get(it.task_id, ())]
                feedback[it.task_id] = _feedback(lease_of[it.task_id], it, about, values)
    return [feedback[task_id] for task_id in lease_of if task_id in feedback]


def _feedback(
    lease: str, answered: said.Told, about: Known, others: Sequence[Mapping[str, Any] | None]
) -> Feedback:
    pictures = [media.wire(SimpleNamespace(width=w, height=h, derivatives=d)) for w, h, d in answered.media]
    right = answered.gold if answered.gold is not None else answered.consensus
    source = "known" if answered.gold is not None else "consensus"
    if right is None:
        return Feedback(answered.task_id, lease, source, (), pictures, is_tied=True)
    # Who can't tell is shown what is there, as if they had found nothing.
    value = answered.value if answered.value is not None else about.type.from_form({}, about.config)
    items = [Item(it) for it in about.type.compare(value, right, about.config)]
    if answered.gold is None:
        items = _with_others(items, right, about, [other for other in others if other is not None])
    return Feedback(answered.task_id, lease, source, items, pictures)


def _with_others(
    items: Sequence[Item], right: Mapping[str, Any], about: Known, others: Sequence[Mapping[str, Any]]
) -> list[Item]:
    """Count for each part of the consensus who has it in their answer, too."""
    n_same: dict[str, int] = {}
    for other in others:
        for it in about.type.compare(other, right, about.config):
            if it.part and (it.is_good or it.outcome == "extra"):
                n_same[it.part] = n_same.get(it.part, 0) + 1
    return [
        Item(it.compared, n_same.get(it.compared.part, 0), len(others)) if it.compared.part else it
        for it in items
    ]
