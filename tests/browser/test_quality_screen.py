"""The page on quality and the reviewers' list in a real browser: no fault for axe, nothing too wide."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import builders
import pytest
from axe import faults
from builders import NO, YES
from playwright.sync_api import Page, expect
from visitors import DESKTOP, PHONE

from microtasks.engine.accounts import accounts
from microtasks.engine.results import review
from microtasks.engine.site import Site

pytestmark = pytest.mark.browser
#: Set it to look at the page: a folder for pictures.
PICTURES = os.environ.get("QUALITY_PICTURES", "")


def project(site: Site, account_id: int) -> builders.ProjectRow:
    """A project that stops when sure, with good volunteers, poor ones, and one who always says yes."""
    of = builders.project(
        site,
        account_id=account_id,
        slug="old-letters",
        redundancy=10,
        answers_min=2,
        stop_rule="confidence",
        stop_threshold=0.95,
    )
    rng = random.Random(1)
    people = [builders.contributor() for _ in range(8)]
    known = [(YES if number % 2 else NO) if number < 20 else None for number in range(60)]
    for number, task in enumerate(builders.tasks(site, of, 60, redundancy=5, gold=known)):
        right, wrong = (YES, NO) if number % 2 else (NO, YES)
        said = [right if rng.random() < 0.85 else wrong for _ in people[:4]]
        builders.answers(site, of, task, [*said, YES], contributors=[*people[:4], people[7]])
    for task in builders.tasks(site, of, 2, redundancy=4):
        builders.answers(site, of, task, [YES, YES, NO, NO], contributors=people[:4])
    review.review(site, of.id)
    return of


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_quality_is_read_and_disputed_tasks_are_decided(
    site: Site, visit: Callable[..., Page], screen: dict[str, Any]
) -> None:
    token = accounts.create_owner(site, "ada@example.org")
    with site.db.connection() as connection:
        [(account,)] = connection.execute("SELECT id FROM account").fetchall()
    of = project(site, account)
    page = visit(f"/owner/sign-in/{token}", **screen)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/owner/")
    page.goto(f"/owner/projects/{of.slug}/quality")
    expect(page.get_by_text("up to 10, then a reviewer decides")).to_be_visible()
    expect(page.get_by_role("heading", name="How sure, and how often right")).to_be_visible()
    wanted(page, "quality", screen)
    page.get_by_role("link", name="wait for a reviewer").click()
    expect(page.get_by_role("checkbox", name="For reviewers")).to_be_checked()
    wanted(page, "disputed", screen)


def wanted(page: Page, name: str, screen: dict[str, Any]) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}-{screen['viewport']['width']}.png", full_page=True)
    assert faults(page) == []
