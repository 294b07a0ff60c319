"""What a volunteer does is what is stored: one press answers one task, on any device, in any script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import builders
import pytest
import scene
from playwright.sync_api import Page, expect
from stage import Stage
from visitors import PHONE, Visitors

from microtasks.engine.site import Site

pytestmark = pytest.mark.browser

CALM = "body[data-ready]:not(:has(.fresh))"
NUMBER: dict[str, Any] = {
    "fields": [{"id": "n", "kind": "number", "label": "How wide is it?", "unit": "m", "min": 0}]
}
#: A browser in which the site may keep nothing; with cookies or without.
NO_STORAGE = """
    for (const name of ["localStorage", "sessionStorage"])
        Object.defineProperty(window, name, {get() { throw new DOMException("denied", "SecurityError"); }});
    const request = () => { throw new DOMException("denied", "SecurityError"); };
    Object.defineProperty(navigator, "locks", {value: {request}});
"""
NO_COOKIES = NO_STORAGE + "Object.defineProperty(document, 'cookie', {get: () => '', set() {}});"


def said(site: Site) -> list[tuple[str, Any]]:
    with site.db.connection() as connection:
        answers = connection.execute("SELECT kind, value FROM answer ORDER BY id").fetchall()
        return [*answers, *connection.execute("SELECT 'skip', NULL FROM skip").fetchall()]


def sent(page: Page) -> None:
    """Everything given so far has reached the site."""
    page.wait_for_selector(CALM)
    page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('mt:out:'))")


@pytest.mark.parametrize(
    ("name", "slug"), [("Yes", "log"), ("I can’t tell", "log"), ("Skip", "log"), ("Nothing here", "craters")]
)
def test_a_double_click_answers_one_task(
    site: Site, visit: Callable[..., Page], name: str, slug: str
) -> None:
    (scene.craters if slug == "craters" else scene.sentences)(site, 5)
    page = visit(f"/p/{slug}/work")
    page.wait_for_selector("body[data-queued='1']")
    page.wait_for_selector(CALM)
    page.get_by_role("button", name=name).dblclick(delay=20)
    sent(page)
    assert len(said(site)) == 1


def test_two_taps_and_a_key_hit_twice_answer_one_task_each(site: Site, visit: Callable[..., Page]) -> None:
    scene.sentences(site, 6)
    page = visit("/p/log/work", **PHONE)
    page.wait_for_selector("body[data-queued='1']")
    page.wait_for_selector(CALM)
    box = page.get_by_role("button", name="Yes").bounding_box()
    assert box is not None
    for _ in range(2):
        page.touchscreen.tap(box["x"] + 30, box["y"] + 20)
        page.wait_for_timeout(60)
    sent(page)
    assert len(said(site)) == 1
    for _ in range(2):
        page.keyboard.press("2")
    sent(page)
    assert [value for _, value in said(site)] == [{"answer": "yes"}, {"answer": "no"}]


@pytest.mark.parametrize("key", ["n", "s", "c"])
def test_no_key_throws_drawn_work_away(site: Site, visit: Callable[..., Page], key: str) -> None:
    scene.craters(site, 3)
    page = visit("/p/craters/work")
    stage = Stage(page)
    for x in (200, 300, 400):
        stage.drag((x, 300), (x + 30, 300))
    page.keyboard.press(key)
    expect(page.get_by_text("What you have put in here would be lost")).to_be_visible()
    page.get_by_role("button", name="Stay here").click()
    assert len(stage.marks()) == 3 and said(site) == []
    page.keyboard.press(key)
    page.locator("#sure-yes").click()
    sent(page)
    expected = {"n": ("empty", {"marks": []}), "s": ("skip", None), "c": ("cant_tell", None)}
    assert said(site) == [expected[key]]


def test_without_cookies_it_is_said_before_the_first_task_and_nothing_is_taken(
    site: Site, visitors: Visitors
) -> None:
    scene.sentences(site, 2)
    visitors.expected = ("blocked by Playwright",)
    page = visitors.open("about:blank", service_workers="block")
    page.add_init_script(NO_COOKIES)
    page.goto("/p/log/work")
    expect(page.locator("#wrong")).to_contain_text("blocks this site’s cookie")
    assert page.evaluate("document.getElementById('work').inert")
    page.keyboard.press("1")
    assert said(site) == []


def test_without_storage_answers_go_in_all_the_same(site: Site, visitors: Visitors) -> None:
    scene.sentences(site, 3)
    visitors.expected = ("blocked by Playwright",)
    page = visitors.open("about:blank", service_workers="block")
    page.add_init_script(NO_STORAGE)
    page.goto("/p/log/work")
    expect(page.locator("#wrong")).to_contain_text("keeps nothing on the device")
    for name in ("Yes", "No"):
        page.wait_for_selector(CALM)
        with page.expect_response("**/api/v1/answers"):
            page.get_by_role("button", name=name).click()
    assert [value for _, value in said(site)] == [{"answer": "yes"}, {"answer": "no"}]


@pytest.mark.parametrize("hours", [-2, 2])
def test_the_devices_clock_decides_nothing(site: Site, visitors: Visitors, hours: int) -> None:
    scene.sentences(site, 3)
    visitors.expected = ("blocked by Playwright",)
    page = visitors.open("about:blank", service_workers="block")
    page.add_init_script(
        f"const now = Date.now.bind(Date); Date.now = () => now() + {hours} * 3600e3;"
        "addEventListener('DOMContentLoaded', () => { globalThis.toasts = [];"
        "new MutationObserver(() => toasts.push(document.getElementById('toast').textContent))"
        ".observe(document.getElementById('toast'), {childList: true}); });"
    )
    page.goto("/p/log/work?minutes=5")
    page.wait_for_selector(CALM)
    assert "about 5 min left" in page.locator("#clock").inner_text()
    page.get_by_role("button", name="Yes").click()
    sent(page)
    assert page.evaluate("toasts.filter(it => it.includes('free for others'))") == []


@pytest.mark.parametrize(
    ("locale", "typed", "told", "value"),
    [
        ("en", "3,5", "3.5", 3.5),
        ("fr", "3.5", "3,5", 3.5),
        ("fr", "1.234", "1234", 1234),
        ("ar", "٣٫٥", "3.5", 3.5),
    ],
)
def test_numbers_are_read_as_they_are_meant_and_told_back(
    site: Site, visit: Callable[..., Page], locale: str, typed: str, told: str, value: float
) -> None:
    scene.sentences(site, 2, NUMBER)
    page = visit("/p/log/work", locale=locale)
    page.wait_for_selector(CALM)
    field = page.locator("input[name=n]")
    assert field.get_attribute("inputmode") == "decimal"
    field.press_sequentially(typed)
    page.mouse.wheel(0, 300)
    expect(page.locator("[data-read]")).to_contain_text(told)
    field.press("Enter")
    sent(page)
    assert said(site) == [("value", {"n": value})]


def test_without_a_script_numbers_are_read_by_the_same_rule(site: Site, visit: Callable[..., Page]) -> None:
    scene.sentences(site, 2, NUMBER)
    page = visit("/p/log/work", locale="fr", java_script_enabled=False)
    page.locator("input[name=n]").fill("1.234,5")
    page.locator("#done").click()
    page.wait_for_load_state()
    assert said(site) == [("value", {"n": 1234.5})]


def test_custom_tags_part_at_every_comma_and_not_while_a_word_is_composed(
    site: Site, visit: Callable[..., Page]
) -> None:
    scene.landforms(site, 2)
    page = visit("/p/landforms/work")
    page.wait_for_selector(CALM)
    own = page.get_by_label("Your own tags")
    own.fill("沙")
    own.evaluate(
        "it => it.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true}))"
    )
    assert page.locator("[data-own] .chip").count() == 0 and own.input_value() == "沙"
    own.fill("")
    own.press_sequentially("كثبان رملية،")
    expect(page.locator("[data-own] .chip")).to_have_count(1)
    own.fill("حصى، Dunes\u200f، \u200b")
    own.press("Enter")
    expect(page.locator("[data-own] .chip")).to_have_count(2)  # Dunes is listed: it is ticked
    page.locator("#done").click()
    sent(page)
    assert said(site) == [("value", {"tags": ["dunes", *sorted(["كثبان رملية", "حصى"])]})]


def test_keys_go_by_their_place_where_they_write_another_script(
    site: Site, visit: Callable[..., Page]
) -> None:
    scene.sentences(site, 5)
    page = visit("/p/log/work")
    for key, code in (("&", "Digit1"), ("٢", "Digit2"), ("с", "KeyC")):
        page.wait_for_selector(CALM)
        page.evaluate(
            "([key, code]) => document.body.dispatchEvent("
            "new KeyboardEvent('keydown', {key, code, bubbles: true}))",
            [key, code],
        )
        sent(page)
    assert said(site) == [("value", {"answer": "yes"}), ("value", {"answer": "no"}), ("cant_tell", None)]


def test_a_palm_beside_a_pen_is_no_pinch(site: Site, visit: Callable[..., Page]) -> None:
    scene.craters(site, 2)
    page = visit("/p/craters/work")
    stage = Stage(page)
    before = stage.matrix()
    (x, y), (x2, y2) = stage.at(300, 300), stage.at(340, 300)
    page.evaluate(
        """([x, y, x2, y2]) => {
            const svg = document.querySelector("[data-canvas]");
            const fire = (type, pointerType, pointerId, clientX, clientY) =>
                svg.dispatchEvent(
                    new PointerEvent(type, {pointerType, pointerId, clientX, clientY, bubbles: true}));
            fire("pointerdown", "touch", 7, x + 90, y + 90);
            fire("pointerdown", "pen", 8, x, y);
            fire("pointerdown", "touch", 9, x + 120, y + 110);
            for (const i of [0.2, 0.4, 0.6, 0.8, 1])
                fire("pointermove", "pen", 8, x + (x2 - x) * i, y + (y2 - y) * i);
            fire("pointermove", "touch", 9, x + 150, y + 140);
            fire("pointerup", "touch", 9, x + 150, y + 140);
            fire("pointerup", "pen", 8, x2, y2);
            fire("pointerup", "touch", 7, x + 90, y + 90);
        }""",
        [x, y, x2, y2],
    )
    [mark] = stage.marks()
    assert abs(mark["x"] - 300) < 2 and abs(mark["r"] - 40) < 3
    assert stage.matrix() == before


def test_what_is_judged_is_never_translated_by_the_browser(site: Site, visit: Callable[..., Page]) -> None:
    made = builders.project(site, slug="words", published_at="2026-01-01T00:00:00Z")
    builders.tasks(site, made, 2)
    with site.db.connection() as connection:
        connection.execute(
            """UPDATE task_content SET payload = '{"text": "Ein Satz", "metadata": {"Ort": "Bonn"}}'"""
        )
    page = visit("/p/words/work")
    for _ in range(2):
        page.wait_for_selector(CALM)
        assert page.locator("[data-text], [data-about] :is(dt, dd)").evaluate_all(
            "all => all.map(it => it.translate)"
        ) == [False, False, False]
        page.get_by_role("button", name="Skip").click()
