"""The results explorer by keyboard, and a dashboard that counts on, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import builders
import pytest
from axe_playwright_python.sync_playwright import Axe
from builders import NO, YES
from playwright.sync_api import Page, expect
from visitors import PHONE

from microtasks.engine import accounts, aggregate
from microtasks.engine.site import Site

pytestmark = pytest.mark.browser


def signed_in(site: Site, visit: Callable[..., Page], **screen: object) -> Page:
    page = visit(f"/owner/sign-in/{accounts.create_owner(site, 'ada@example.org')}", **screen)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/owner/")
    return page


def test_arrow_keys_walk_the_filter_and_leave_fields_alone(site: Site, visit: Callable[..., Page]) -> None:
    page = signed_in(site, visit)
    made = builders.project(site, account_id=builders.account(site), slug="letters", redundancy=2)
    first, second, third = builders.tasks(site, made, 3)
    for task in (first, second, third):
        builders.answers(site, made, task, [YES, YES])
    aggregate.aggregate(site, made.id)
    filtered = "?unseen=1&order=number"
    page.goto("/research/letters/tasks")
    page.get_by_label("Only those I have not looked at").check()
    page.get_by_label("Order").select_option("number")
    page.get_by_role("button", name="Show", exact=True).click()
    assert "unseen=1" in page.url and "order=number" in page.url
    page.locator("a.cell").first.click()
    page.wait_for_url(f"**/tasks/{first}?*")
    page.wait_for_selector("body[data-looked]")
    page.get_by_label("Note").press("ArrowRight")  # moves within the text
    page.locator("h2").first.click()
    page.keyboard.press("Control+ArrowRight")
    assert f"/tasks/{first}" in page.url
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**/tasks/{second}?*")
    page.wait_for_selector("body[data-looked]")
    assert Axe().run(page).violations_count == 0
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**/tasks/{third}?*")
    page.wait_for_selector("body[data-looked]")
    page.goto(f"/research/letters/tasks{filtered}")
    expect(page.get_by_role("heading", name="No task is like this")).to_be_visible()


def test_a_dashboard_counts_on_while_it_is_looked_at(site: Site, visit: Callable[..., Page]) -> None:
    page = signed_in(site, visit, **PHONE)
    made = builders.project(site, account_id=builders.account(site), slug="letters", redundancy=2)
    first, second = builders.tasks(site, made, 2)
    builders.answers(site, made, first, [YES, NO])
    page.clock.install()
    page.goto("/owner/projects/letters/dashboard")
    hours = page.locator("[data-live=answers-per-hour]")
    hours.locator("summary").click()
    page.locator("h1").click()
    expect(page.locator("[data-live=stats]")).to_contain_text("2counted answers")
    assert Axe().run(page).violations_count == 0
    builders.answers(site, made, second, [YES])
    page.clock.run_for(21_000)
    expect(page.locator("[data-live=stats]")).to_contain_text("3counted answers")
    expect(hours.locator("table")).to_be_visible()  # what was opened stays open
    page.get_by_label("Keep counting while I look").uncheck()
    builders.answers(site, made, second, [YES])
    page.clock.run_for(60_000)
    expect(page.locator("[data-live=stats]")).to_contain_text("3counted answers")
