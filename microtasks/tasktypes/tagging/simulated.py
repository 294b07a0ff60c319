"""Volunteers of known skill for `simulate`: people forget tags much oftener than they invent them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from microtasks.core.values import Media, Payload
from microtasks.tasktypes.tagging import TaggingConfig

#: Median seconds that a simulated volunteer says to have spent.
SECONDS = 7.0

OWN_TAGS = ("sunset", "people", "water", "building")


def truth(
    payload: Payload, config: TaggingConfig, media: Sequence[Media], rng: random.Random
) -> dict[str, Any]:
    """One or two tags, as many as the project asks for at least."""
    offered = config.tag_ids or OWN_TAGS
    count = max(config.min_tags, rng.randint(1, 2))
    return {"tags": rng.sample(offered, min(count, len(offered), config.max_tags))}


def answer(
    right: Mapping[str, Any],
    payload: Payload,
    config: TaggingConfig,
    media: Sequence[Media],
    skill: float,
    rng: random.Random,
) -> dict[str, Any]:
    """Each right tag with probability `skill`, each wrong one with a sixth of the chance of an error."""
    chosen = [tag for tag in right["tags"] if rng.random() < skill]
    chosen += [tag for tag in config.tag_ids if tag not in right["tags"] and rng.random() < (1 - skill) / 6]
    spare = [tag for tag in (*right["tags"], *config.tag_ids) if tag not in chosen]
    while len(chosen) < config.min_tags and spare:
        chosen.append(spare.pop(0))
    return {"tags": chosen[: config.max_tags]}
