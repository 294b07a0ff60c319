"""On small and low screens each control can be pressed, and the picture keeps half of the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import builders
import pytest
import scene
from playwright.sync_api import Browser, Page
from visitors import Visitors

from microtasks.engine.site import Site

pytestmark = pytest.mark.browser

#: A phone, the same sideways, a laptop's window at 200 %, a small old phone.
SIZES = ((390, 844), (844, 390), (720, 450), (320, 640))
#: Controls that are not the topmost thing at their own centre once they are brought into view; the share of
#: the page that the picture has; how far the page reaches sideways, and down.
MEASURE = """() => {
    const covered = [];
    const stage = document.querySelector(".presented.has-image:not(.strip) > .stage");
    let share = null;
    if (stage) {
        const box = stage.getBoundingClientRect();
        const high = Math.min(box.bottom, innerHeight) - Math.max(0, box.top);
        share = high * box.width / (innerWidth * innerHeight);
    }
    for (const it of document.querySelectorAll(
            "main :is(button, a, input, textarea, summary), header :is(a, button)")) {
        if (it.closest("[popover]") || it.matches(".sr, [tabindex='-1']")) continue;
        if (!it.checkVisibility({visibilityProperty: true})) continue;
        const target = it.matches("[type=radio], [type=checkbox]") ? it.closest("label") ?? it : it;
        target.scrollIntoView({block: "nearest", inline: "nearest"});
        const box = target.getBoundingClientRect();
        const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
        if (!target.contains(top)) covered.push(target.outerHTML.slice(0, 80));
    }
    const page = document.documentElement;
    return {covered, share, sideways: page.scrollWidth - innerWidth, down: page.scrollHeight - innerHeight};
}"""
QUESTION: dict[str, Any] = {
    "fields": [
        {
            "id": "answer",
            "kind": "choice",
            "label": "What is it?",
            "choices": [{"id": f"c{n}", "label": f"Choice {n}"} for n in range(1, 30)],
        },
        {"id": "why", "kind": "text", "label": "Why?", "required": False},
    ]
}


def a_project(site: Site, kind: str, text: bool) -> str:
    config = {"marking": scene.CRATERS, "tagging": scene.LANDFORMS, "question": QUESTION}[kind]
    made = builders.project(
        site, kind, config=config, slug=kind, redundancy=9, published_at="2026-01-01T00:00:00Z"
    )
    image = scene.SAMPLES / scene.rows("craters")[0]["image"]
    builders.tasks(site, made, media_ids=[scene.picture(site, image)])
    if text:
        with site.db.connection() as connection:
            connection.execute(
                """UPDATE task_content SET payload = '{"text": "Seen from the north on a clear day."}'"""
            )
    return f"/p/{kind}/work"


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("kind", ["marking", "tagging", "question"])
def test_every_control_can_be_pressed_and_the_picture_keeps_half_of_the_page(
    site: Site, visitors: Visitors, kind: str, text: bool
) -> None:
    path = a_project(site, kind, text)
    wrong = {}
    for language in ("en", "ar"):
        page = visitors.open(path, locale=language, has_touch=True)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.reload()
            page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
            page.wait_for_timeout(100)
            seen = page.evaluate(MEASURE)
            if seen["covered"] or seen["share"] < 0.495 or seen["sideways"] > 0:
                wrong[language, width, height] = seen
    assert wrong == {}


def test_a_long_list_never_scrolls_the_page_into_nothing(site: Site, visit: Callable[..., Page]) -> None:
    tags = [{"id": f"t{n}", "label": f"Tag {n}"} for n in range(300)]
    made = builders.project(
        site, "tagging", config={"tags": tags}, slug="many", published_at="2026-01-01T00:00:00Z"
    )
    image = scene.SAMPLES / scene.rows("craters")[0]["image"]
    builders.tasks(site, made, media_ids=[scene.picture(site, image)])
    page = visit("/p/many/work", viewport={"width": 1440, "height": 900})
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate(MEASURE)["down"] == 0


def test_forced_colours_show_every_tool(site: Site, chromium: Browser, visitors: Visitors) -> None:
    scene.craters(site, 1)
    page = visitors.open("/p/craters/work", forced_colors="active")
    page.wait_for_selector("body[data-ready]")
    tools = page.locator(".on-stage").evaluate_all(
        "all => all.map(it => [getComputedStyle(it).borderTopStyle, getComputedStyle(it).borderTopWidth,"
        " getComputedStyle(it.querySelector('svg')).stroke !== getComputedStyle(it).backgroundColor])"
    )
    assert len(tools) == 7 and all(it == ["solid", "1px", True] for it in tools)


def test_a_choice_among_two_hundred_is_searched(site: Site, visit: Callable[..., Page]) -> None:
    choices = [{"id": f"c{n}", "label": f"Müller {n}"} for n in range(200)]
    field = {"id": "who", "kind": "choice", "label": "Who?", "choices": choices}
    scene.sentences(site, 2, {"fields": [field]})
    page = visit("/p/log/work")
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    page.get_by_role("searchbox").fill("muller 137")
    assert page.locator(".option:visible").count() == 1
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('mt:out:'))")
    with site.db.connection() as connection:
        assert connection.execute("SELECT value FROM answer").fetchall() == [({"who": "c137"},)]


def test_names_of_controls_hold_no_signs_and_keys(site: Site, visit: Callable[..., Page]) -> None:
    scene.landforms(site, 1)
    page = visit("/p/landforms/work")
    page.wait_for_selector("body[data-ready]")
    tree = page.locator("#work").aria_snapshot()
    for name in ('checkbox "Dunes"', 'button "None of these"', 'button "Skip"', 'button "Done"'):
        assert name in tree, tree
    assert page.locator("#clock").get_attribute("role") is None
