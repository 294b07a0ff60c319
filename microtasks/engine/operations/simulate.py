"""Volunteers of known skill: what they answer, and how near the consensus comes to the truth.

They see what any volunteer sees and speak through the public API (cli/simulate.py); only the truth that
their errors start from is read here, from the owner's side. How people err is the task type's own affair:
`simulated.py` in its folder.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from microtasks import tasktypes
from microtasks.core.errors import NotFound
from microtasks.core.values import Media
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.store.results import ground_truth

#: How evenly skilled the volunteers are: the two parameters of the Beta distribution add up to this.
SKILL_CONCENTRATION = 14.0
SEED_STEP = 1_000_003
#: Seconds a volunteer says to have spent: median where the type's simulator names no `SECONDS`; spread as a
#: lognormal.
SECONDS_OTHER, SECONDS_SPREAD = 10.0, 0.5


@dataclass(slots=True)
class Volunteer:
    """One simulated person. skill: how often they are right, 0..1, their own."""

    number: int
    skill: float
    rng: random.Random
    seed: int

    def answer(self, task: Mapping[str, Any], right: Mapping[str, Any] | None) -> dict[str, Any]:
        """The value of an answer to a task as the API shows it.

        right: the truth; None: all volunteers of the same seed believe in the same made-up one.
        """
        task_type = tasktypes.get(task["type"])
        module = _simulator(task["type"])
        config = task_type.parse_config(task["config"])
        payload = task_type.Payload.model_validate(task["payload"])
        media = [Media(width=item["width"], height=item["height"]) for item in task["media"]]
        if right is None:
            shared = _random(self.seed * SEED_STEP + task["id"])
            right = module.truth(payload, config, media, shared)
        value: dict[str, Any] = module.answer(right, payload, config, media, self.skill, self.rng)
        return value

    def seconds(self, task_type: str) -> float:
        """How long they say it took."""
        median = getattr(_simulator(task_type), "SECONDS", SECONDS_OTHER)
        return round(median * self.rng.lognormvariate(0, SECONDS_SPREAD), 1)


def volunteers(n: int, accuracy: float, seed: int) -> list[Volunteer]:
    """Make n volunteers whose skills scatter around `accuracy`, their expected mean."""
    rng = _random(seed)
    made = []
    for number in range(n):
        skill = accuracy
        if 0 < accuracy < 1:
            skill = rng.betavariate(accuracy * SKILL_CONCENTRATION, (1 - accuracy) * SKILL_CONCENTRATION)
        made.append(Volunteer(number, skill, _random(seed * SEED_STEP + number), seed))
    return made


def known_truth(site: Site, slug: str) -> dict[int, dict[str, Any]]:
    """The right value by task id: the sample's truth or gold. {} for a project that is not here."""
    with site.db.session() as session:
        try:
            project = projects.by_slug(session, slug)
        except NotFound:
            return {}
    with site.db.connection() as connection:
        return ground_truth.truth_or_gold(connection, project.id)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Consensus against the truth. score: mean of the type's own score, a tie counts 0; None: no truth."""

    n_compared: int
    n_with_consensus: int
    score: float | None


def compare(site: Site, slug: str, right: Mapping[int, Mapping[str, Any]]) -> Comparison:
    """Score each consensus against the truth; one that is expensive is made now, not by a worker."""
    with site.db.session() as session:
        project = projects.by_slug(session, slug)
    task_type = tasktypes.get(project.task_type)
    config = task_type.parse_config(project.config)
    if not task_type.inline:
        aggregate.aggregate(site, project.id)
    with site.db.connection() as connection:
        values = ground_truth.consensus_values(connection, project.id)
    scores = [
        task_type.score(value, right[task_id], config) if (value := values[task_id]) is not None else 0.0
        for task_id in sorted(values)
        if task_id in right
    ]
    return Comparison(len(scores), len(values), sum(scores) / len(scores) if scores else None)


def _random(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  (no secret: it must be repeatable)


def _simulator(name: str) -> ModuleType:
    module = tasktypes.module(name, "simulated")
    if module is None:
        raise NotFound(f"The task type {name} has no simulator: its folder lacks simulated.py.")
    return module
