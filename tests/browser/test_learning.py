"""Learning in a browser: the tutorial with real tries, and how the last answer turned out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import builders
import pytest
import scene
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from stage import Stage
from visitors import PHONE, Visitors

from microtasks.engine.site import Site
from microtasks.engine.volunteers import tutorial
from microtasks.engine.volunteers.tutorial import Example, Step, Tutorial

pytestmark = pytest.mark.browser

THERE = {"x": 200.0, "y": 200.0, "r": 50.0, "class": "fresh"}
MISSED = {"x": 450.0, "y": 430.0, "r": 40.0, "class": "ghost"}


def first_task(site: Site, of: builders.ProjectRow, gold: str) -> tuple[int, int]:
    """Make the project's first task a known one; return its id and its picture's."""
    with site.db.connection() as connection:
        row = connection.execute(
            "INSERT INTO task_gold (task_id, project_id, value) SELECT min(id), project_id, %s FROM task"
            " WHERE project_id = %s GROUP BY project_id RETURNING task_id",
            (gold, of.id),
        ).fetchone()
        assert row is not None
        media = connection.execute("SELECT media_ids[1] FROM task_content WHERE task_id = %s", row).fetchone()
    assert media is not None
    return row[0], media[0]


@pytest.fixture
def taught(site: Site) -> builders.ProjectRow:
    made = scene.craters(site, 4, redundancy=20)
    task, media = first_task(site, made, json.dumps({"marks": [THERE, MISSED]}))
    steps = (
        Step(text="A crater has a **rim**.", media_id=media),
        Step(task_id=task, text="Try it.", right="Just so.", wrong="Mind the shadow."),
    )
    guide = (Example(option="fresh", text="Sharp rim.", media_id=media),)
    told: dict[str, bool] = {"tells_known": True, "tells_consensus": False}
    tutorial.change(site, made.id, Tutorial(steps=steps, guide=guide), **told)
    return made


def draw(page: Page, x: float, y: float, r: float) -> None:
    Stage(page).drag((x, y), (x + r, y))


def test_a_newcomer_tries_is_corrected_and_goes_on_to_a_real_task(
    site: Site, taught: builders.ProjectRow, visit: Callable[..., Page]
) -> None:
    page = visit("/p/craters", **PHONE)
    page.get_by_role("link", name="Start helping").click()
    expect(page.get_by_text("Step 1 of 2").first).to_be_visible()
    page.get_by_role("link", name="Next").click()
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    page.get_by_role("button", name="How did I do?").click()
    expect(page.locator("#wrong")).to_contain_text("Nothing is marked or chosen yet")
    draw(page, 202, 199, 52)
    draw(page, 330, 300, 20)
    page.get_by_role("button", name="How did I do?").click()
    expect(page.get_by_text("Mind the shadow.")).to_be_visible()
    expect(page.get_by_text("1 matched, 1 missed, 1 not there")).to_be_visible()
    for outcome in ("matched", "missed", "extra"):
        expect(page.locator(f".told.{outcome}")).to_have_count(1)
    page.get_by_role("link", name="Try again").click()
    draw(page, 202, 199, 52)
    draw(page, 452, 431, 41)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Well done")).to_be_visible()
    page.get_by_role("link", name="To the real ones").click()
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    page.get_by_text("How? Instructions and examples").click()
    expect(page.get_by_text("Sharp rim.")).to_be_visible()
    stage, guide = page.locator("[data-stage]").bounding_box(), page.locator(".help .prose").bounding_box()
    assert stage is not None and guide is not None
    assert stage["height"] >= 230 and guide["y"] >= stage["y"] + stage["height"]  # beside, never over
    page.get_by_role("link", name="Show me the introduction again").click()
    expect(page.get_by_text("Step 1 of 2").first).to_be_visible()
    page.goto("/p/craters")
    page.get_by_role("link", name="Start helping").click()
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")  # seen before: a task at once
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (0,)


def test_the_last_answer_is_told_beside_the_next_task(
    taught: builders.ProjectRow, visitors: Visitors
) -> None:
    visitors.expected = ("400 (BAD REQUEST)",)  # the correction that is refused
    page = visitors.open("/p/craters/work", **PHONE)
    draw(page, 202, 199, 52)
    page.get_by_role("button", name="Done").click()
    line = page.get_by_text("Your last answer")
    expect(line).to_contain_text("1 matched, 1 missed")
    expect(page.locator(".told-picture")).to_be_hidden()  # a line, until asked for
    expect(page.get_by_text("No marks yet")).to_be_visible()  # the next task is there
    line.click()
    expect(page.locator(".told-last .told.missed")).to_be_visible()
    page.get_by_role("button", name="Nothing here").click()
    expect(page.get_by_text("2 done")).to_be_visible()
    page.goto("/p/craters/last/2")
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    draw(page, 450, 430, 40)
    page.get_by_role("button", name="Save the change").click()
    expect(page.locator("#wrong")).to_contain_text("stays as it is")


def test_a_try_without_a_script_by_keyboard_alone(site: Site, visit: Callable[..., Page]) -> None:
    made = scene.sentences(site, 2)
    with site.db.connection() as connection:
        task = connection.execute("SELECT min(id) FROM task WHERE project_id = %s", (made.id,)).fetchone()
        assert task is not None
        connection.execute(
            "INSERT INTO task_gold (task_id, project_id, value) VALUES (%s, %s, %s)",
            (task[0], made.id, '{"answer": "yes"}'),
        )
    step = Step(task_id=task[0], wrong="Fog is weather.")
    tutorial.change(site, made.id, Tutorial(steps=(step,)), tells_known=False, tells_consensus=False)
    page = visit("/p/log/learn", java_script_enabled=False)
    page.get_by_role("button", name="No").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Fog is weather.")).to_be_visible()
    page.get_by_role("link", name="To the real ones").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Yes")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing_on_the_pages_for_learning(
    taught: builders.ProjectRow, visit: Callable[..., Page], language: str
) -> None:
    page = visit(f"/language/{language}?next=/p/craters/learn", **PHONE)
    found: dict[str, Any] = {}

    def look(name: str) -> None:
        found[name] = [it["id"] for it in Axe().run(page).response["violations"]]

    look("step")
    page.goto("/p/craters/learn?step=2")
    draw(page, 202, 199, 52)
    look("try")
    page.locator("#done").click()
    page.wait_for_selector(".told-sum")
    look("tried")
    page.goto("/p/craters/work")
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    page.locator("[data-switch]").click()
    page.locator("[data-squares] input").first.check()
    look("squares")
    page.locator("#done").click()
    page.locator(".told-last summary").click()
    look("told")
    assert found == {name: [] for name in ("step", "try", "tried", "squares", "told")}
    assert page.evaluate("document.dir || document.documentElement.dir") == (
        "rtl" if language == "ar" else "ltr"
    )
