"""Polls: everybody's votes, for who has given theirs; no correction after; never of known tasks."""

from __future__ import annotations

import uuid
from typing import Any

import builders
import pytest
from builders import NO, YES

from microtasks import tasktypes
from microtasks.core.errors import AnswerInvalid, ConfigInvalid
from microtasks.engine.assignment import serve, submit
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.site import Site
from microtasks.engine.volunteers import polls
from microtasks.store.projects import projects

POLL: dict[str, Any] = {**builders.CONFIGS["question"], "poll": True}


def vote(site: Site, who: uuid.UUID, slug: str, value: Any, kind: str = "value") -> str:
    [lease] = serve.lease(site, slug, who).leases
    submit.submit(site, who, [AnswerIn(lease.token, kind, value)])
    return lease.token


def shown(site: Site, who: uuid.UUID, slug: str) -> list[tuple[int, dict[str, int], list[str]]]:
    """(votes in all, votes by choice, own choice) of each result."""
    with site.db.session() as session:
        project = projects.by_slug(session, slug)
    return [
        (it.n_votes, {c.id: c.n for c in it.choices}, [c.id for c in it.choices if c.is_mine])
        for it in polls.results(site, project, who)
    ]


def test_votes_are_shown_after_the_own_and_never_before(site: Site) -> None:
    made = builders.project(site, config=POLL, redundancy=10)
    builders.tasks(site, made, 1)
    cy, di, ed = (builders.contributor() for _ in range(3))
    vote(site, cy, made.slug, YES)
    serve.lease(site, made.slug, di)
    assert shown(site, di, made.slug) == []
    vote(site, di, made.slug, NO)
    vote(site, ed, made.slug, None, "cant_tell")
    assert shown(site, di, made.slug) == [(2, {"yes": 1, "no": 1}, ["no"])]
    assert shown(site, ed, made.slug) == [(2, {"yes": 1, "no": 1}, [])]  # no vote, but an answer


def test_a_vote_stays_as_it_is_once_the_others_were_shown(site: Site) -> None:
    made = builders.project(site, config=POLL)
    builders.tasks(site, made, 1)
    cy = builders.contributor()
    lease = vote(site, cy, made.slug, YES)
    submit.revise(site, cy, lease, "value", NO)  # not shown yet
    assert shown(site, cy, made.slug) == [(1, {"yes": 0, "no": 1}, ["no"])]
    with pytest.raises(AnswerInvalid):
        submit.revise(site, cy, lease, "value", YES)


def test_of_a_known_task_nothing_is_shown(site: Site) -> None:
    made = builders.project(site, config=POLL)
    builders.tasks(site, made, 1, gold=YES)
    cy = builders.contributor()
    vote(site, cy, made.slug, NO)
    assert shown(site, cy, made.slug) == []


def test_a_project_that_is_no_poll_shows_nothing(site: Site) -> None:
    made = builders.project(site)
    builders.tasks(site, made, 1)
    cy = builders.contributor()
    lease = vote(site, cy, made.slug, YES)
    assert shown(site, cy, made.slug) == []
    submit.revise(site, cy, lease, "value", NO)


@pytest.mark.parametrize(
    "fields",
    [
        [{"id": "a", "kind": "text"}],
        [{"id": "a", "kind": "choice", "choices": [{"id": "x"}]}, {"id": "b", "kind": "text"}],
    ],
)
def test_a_poll_is_one_question_with_one_choice(fields: list[dict[str, Any]]) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        tasktypes.get("question").parse_config({"fields": fields, "poll": True})
    assert "A poll asks one question" in str(caught.value.details)
