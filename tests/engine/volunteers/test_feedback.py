"""What volunteers are told of their answers: never before, only where allowed, and no correction after."""

from __future__ import annotations

import uuid
from typing import Any

import builders
import pytest
from builders import NO, YES

from microtasks.core.errors import AnswerInvalid, InputError, LeaseInvalid
from microtasks.engine.assignment import serve, submit
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.site import Site
from microtasks.engine.volunteers import feedback


def told(site: Site, who: uuid.UUID, *leases: str) -> list[dict[str, Any]]:
    return [it.to_json() for it in feedback.feedback_on(site, who, leases)]


def answer(site: Site, who: uuid.UUID, slug: str, value: Any, kind: str = "value") -> str:
    """Answer the next task; return the lease."""
    [lease] = serve.lease(site, slug, who).leases
    submit.submit(site, who, [AnswerIn(lease.token, kind, value)])
    return lease.token


def test_T33_a_known_answer_is_told_after_the_answer_and_never_before(site: Site) -> None:
    made = builders.project(site, tells_known=True)
    builders.tasks(site, made, 1, gold=YES)
    cy = builders.contributor()
    [lease] = serve.lease(site, made.slug, cy).leases
    assert "yes" not in str(lease.to_json()["task"]["payload"]) and told(site, cy, lease.token) == []
    submit.submit(site, cy, [AnswerIn(lease.token, "value", NO)])
    [said] = told(site, cy, lease.token)
    assert said["source"] == "known"
    assert said["items"] == [
        {"outcome": "other", "part": "answer", "label": "Is there a crater?", "said": "No", "right": "Yes"}
    ]
    assert told(site, cy, lease.token) == [said]  # asked again: the same


def test_T33_a_skip_or_someone_elses_answer_is_told_nothing(site: Site) -> None:
    made = builders.project(site, tells_known=True)
    builders.tasks(site, made, 1, gold=YES)
    cy, di = builders.contributor(), builders.contributor()
    skipped = answer(site, cy, made.slug, None, "skip")
    assert told(site, cy, skipped) == []
    answered = answer(site, di, made.slug, YES)
    with pytest.raises(LeaseInvalid):
        told(site, cy, answered)
    with pytest.raises(LeaseInvalid):
        told(site, cy, "made up")


@pytest.mark.parametrize("allowed", [{}, {"tells_consensus": True}])
def test_nothing_is_told_of_known_tasks_unless_the_owner_allows_it(
    site: Site, allowed: dict[str, bool]
) -> None:
    made = builders.project(site, **allowed)
    builders.tasks(site, made, 1, gold=YES)
    cy = builders.contributor()
    lease = answer(site, cy, made.slug, NO)
    assert told(site, cy, lease) == []
    assert submit.revise(site, cy, lease, "value", YES).status == "counted"  # nothing told: free to correct


def test_T33_once_told_an_answer_can_no_longer_be_corrected(site: Site) -> None:
    made = builders.project(site, tells_known=True)
    builders.tasks(site, made, 1, gold=YES)
    cy = builders.contributor()
    lease = answer(site, cy, made.slug, NO)
    told(site, cy, lease)
    with pytest.raises(AnswerInvalid, match="stays as it is"):
        submit.revise(site, cy, lease, "value", YES)
    with site.db.connection() as connection:
        rows = connection.execute("SELECT value, revision FROM answer").fetchall()
        assert rows == [(NO, 1)]
        assert connection.execute("SELECT count(*) FROM answer_revision").fetchone() == (0,)


def test_an_answer_to_an_ordinary_task_may_still_be_corrected_after_asking(site: Site) -> None:
    made = builders.project(site, tells_known=True, tells_consensus=True)
    builders.tasks(site, made, 1)
    cy = builders.contributor()
    lease = answer(site, cy, made.slug, NO)
    assert told(site, cy, lease) == []
    submit.revise(site, cy, lease, "value", YES)


def test_of_a_done_task_is_told_how_many_said_the_same(site: Site) -> None:
    made = builders.project(site, redundancy=5, tells_consensus=True)
    [task] = builders.tasks(site, made, 1)
    builders.answers(site, made, task, [YES, YES, YES])
    cy = builders.contributor()
    lease = answer(site, cy, made.slug, NO)
    assert told(site, cy, lease) == []  # open: others' word could sway
    answer(site, builders.contributor(), made.slug, YES)
    [said] = told(site, cy, lease)
    assert said["source"] == "consensus" and not said["is_tied"]
    [item] = said["items"]
    assert (item["outcome"], item["right"], item["n_same"], item["n_people"]) == ("other", "Yes", 4, 5)
    with pytest.raises(AnswerInvalid):
        submit.revise(site, cy, lease, "value", YES)


def test_of_a_tie_is_told_that_people_did_not_agree(site: Site) -> None:
    made = builders.project(site, redundancy=2, tells_consensus=True)
    [task] = builders.tasks(site, made, 1)
    builders.answers(site, made, task, [YES])
    cy = builders.contributor()
    [said] = told(site, cy, answer(site, cy, made.slug, NO))
    assert said["is_tied"] and said["items"] == []


def test_marks_are_told_matched_missed_and_not_there(site: Site) -> None:
    there, missed = {"x": 100.0, "y": 100.0, "r": 20.0}, {"x": 300.0, "y": 200.0, "r": 15.0}
    made = builders.project(site, "marking", tells_known=True)
    builders.tasks(site, made, 1, gold={"marks": [there, missed]}, media_ids=[builders.media(site)])
    cy = builders.contributor()
    marks = [{"x": 101.0, "y": 99.0, "r": 21.0, "class": "fresh"}, {"x": 50.0, "y": 250.0, "r": 9.0}]
    [said] = told(site, cy, answer(site, cy, made.slug, {"marks": marks}))
    assert [item["outcome"] for item in said["items"]] == ["matched", "missed", "extra"]
    assert said["items"][0]["mark"] == marks[0] and said["items"][0]["target"] == there
    assert said["items"][1]["target"] == missed and said["items"][2]["mark"] == marks[1]


def test_who_cannot_tell_is_shown_what_is_there(site: Site) -> None:
    made = builders.project(site, "tagging", tells_known=True)
    builders.tasks(site, made, 1, gold={"tags": ["dunes"]})
    cy = builders.contributor()
    [said] = told(site, cy, answer(site, cy, made.slug, None, "cant_tell"))
    assert said["items"] == [{"outcome": "missed", "part": "dunes", "label": "Dunes"}]


def test_at_most_twenty_at_once(site: Site) -> None:
    with pytest.raises(InputError):
        feedback.feedback_on(site, builders.contributor(), ["x"] * 21)
