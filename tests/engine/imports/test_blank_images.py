"""An image on which nobody finds anything needs no more viewers, where the project stops by agreement."""

from __future__ import annotations

import pytest
from builders import contributor, media, project, tasks

from microtasks.engine.assignment import serve, submit
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.site import Site

BLANK = {"marks": []}
CIRCLE = {"marks": [{"x": 100.0, "y": 100.0, "r": 20.0, "class": "fresh"}]}


def view(site: Site, slug: str, value: dict) -> None:
    who = contributor()
    (lease,) = serve.lease(site, slug, who).leases
    (receipt,) = submit.submit(site, who, [AnswerIn(lease.token, "value", value)]).receipts
    assert receipt.status == "counted"


def retirement(site: Site, task: int) -> str | None:
    with site.db.connection() as connection:
        return connection.execute("SELECT retirement_reason FROM task WHERE id = %s", (task,)).fetchone()[0]


@pytest.mark.parametrize(
    ("stop_rule", "values", "reason"),
    [
        ("agreement", [BLANK] * 3, "consensus"),
        ("agreement", [BLANK] * 2, None),
        ("agreement", [BLANK, CIRCLE, BLANK, BLANK], None),
        ("agreement", [CIRCLE] * 6, "redundancy"),
        ("redundancy", [BLANK] * 4, None),
    ],
)
def test_three_viewers_without_a_mark_retire_an_image(
    site: Site, stop_rule: str, values: list, reason: str | None
):
    of = project(site, "marking", redundancy=6, answers_min=2, stop_rule=stop_rule)
    (task,) = tasks(site, of, media_ids=[media(site)])
    for value in values:
        view(site, of.slug, value)
    assert retirement(site, task) == reason
