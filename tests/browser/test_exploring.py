"""The results explorer by keyboard, and a dashboard that counts on, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import builders
import pytest
import scene
from axe_playwright_python.sync_playwright import Axe
from builders import NO, YES
from playwright.sync_api import Page, expect
from stage import Stage
from visitors import PHONE

from microtasks.engine.accounts import accounts
from microtasks.engine.results import aggregate
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


def test_an_expert_moves_a_circle_of_the_consensus_and_keeps_it(
    site: Site, visit: Callable[..., Page]
) -> None:
    page = signed_in(site, visit)
    made = scene.craters(site, 1, account_id=builders.account(site), redundancy=3)
    with site.db.connection() as connection:
        (task,) = connection.execute("SELECT id FROM task").fetchone() or (0,)
    circles = [{"x": x, "y": 300.0, "r": 60.0, "class": "fresh"} for x in (200.0, 450.0)]
    builders.answers(site, made, task, [{"marks": circles}] * 3)
    aggregate.aggregate(site, made.id)

    def own() -> list[dict[str, float]]:
        with site.db.connection() as connection:
            found = connection.execute(
                "SELECT value FROM expert_decision WHERE choice = 'own' ORDER BY id DESC LIMIT 1"
            ).fetchone()
        assert found is not None
        return [{name: mark[name] for name in "xyr"} for mark in found[0]["marks"]]

    page.goto(f"/research/{made.slug}/tasks/{task}")
    page.get_by_role("link", name="My own answer").click()
    stage = Stage(page)
    expect(page.locator("[data-list] li")).to_have_count(2)
    assert Axe().run(page).violations_count == 0
    stage.drag((200, 240), (260, 340))  # by its rim
    page.get_by_text("Note", exact=True).click()
    page.get_by_role("textbox", name="Note").fill("its rim is worn")
    page.get_by_role("button", name="Keep my answer").click()
    expect(page.get_by_text("its rim is worn")).to_be_visible()
    moved, left_alone = own()
    assert left_alone == {"x": 450, "y": 300, "r": 60}
    assert abs(moved["x"] - 260) <= 2 and abs(moved["y"] - 400) <= 2 and moved["r"] == 60
    drawn = page.locator(".expert .over circle")
    expect(drawn).to_have_count(2)
    assert float(drawn.first.get_attribute("cx") or 0) == moved["x"]
    crowd = [it.get_attribute("cx") for it in page.locator(".agreed .over circle").all()]
    assert crowd == ["200.0", "450.0"]  # as it was
    assert Axe().run(page).violations_count == 0
    page.get_by_role("checkbox", name="Decided by an expert").uncheck()
    expect(drawn.first).to_be_hidden()
    # and by the keyboard alone
    page.get_by_role("link", name="Change this answer").press("Enter")
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    page.locator("[data-list] .pick").nth(1).press("Enter")
    page.locator("[data-canvas]").press("Delete")
    expect(page.locator("[data-list] li")).to_have_count(1)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".expert .over circle")).to_have_count(1)
    assert own() == [moved]


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
