"""What the page promises of every task type: each task is seen as itself, and nothing chosen is no answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import builders
import pytest
import scene
from playwright.sync_api import Page, expect

from microtasks import tasktypes
from microtasks.engine.site import Site

pytestmark = pytest.mark.browser

#: The second one has no alternative text of its own.
PAYLOADS: tuple[dict[str, Any], ...] = (
    {
        "text": "A first text",
        "question": "A first question?",
        "metadata": {"alt": "A green field", "place": "Peru"},
    },
    {"text": "Another text", "metadata": {"place": "Oman"}},
)


def two_tasks(site: Site, name: str, slug: str) -> builders.ProjectRow:
    """A project of the type's first example with two tasks that differ in everything."""
    example = json.loads((tasktypes.folder(name) / "examples.json").read_text())[0]
    made = builders.project(site, name, config=example["config"], slug=slug, purpose="What is it?")
    with site.db.connection() as connection:
        connection.execute("UPDATE project SET published_at = now() WHERE id = %s", (made.id,))
    for n, payload in enumerate(PAYLOADS):
        image = scene.SAMPLES / scene.rows("craters")[n]["image"]
        [task] = builders.tasks(site, made, media_ids=[scene.picture(site, image)])
        with site.db.connection() as connection:
            connection.execute(
                "UPDATE task_content SET payload = %s WHERE task_id = %s", (json.dumps(payload), task)
            )
    return made


def seen(page: Page) -> dict[str, Any]:
    """All that a person sees or hears of the present task."""
    picture = page.locator("[data-pictures] > img")
    return {
        "heading": page.locator("h1").text_content(),
        "text": page.locator("[data-text]").text_content(),
        "facts": page.locator("[data-about]").inner_text().split(),
        "alt": picture.get_attribute("alt"),
        "picture": picture.evaluate("it => it.decode().then(() => it.currentSrc)"),
    }


def assert_two_tasks(page: Page) -> None:
    """Both tasks are seen as themselves, the second after a Skip; Done with nothing chosen sends nothing."""
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    first = seen(page)
    for press in ("Done", None):
        if press and page.locator("#done").count():
            page.locator("#done").click()
        else:
            page.locator("body").press("Enter")
        assert page.locator("#work input[name=_lease]").count() == 1
    assert page.evaluate("Object.keys(localStorage).filter(it => it.startsWith('mt:out:'))") == []
    lease = page.locator("#work input[name=_lease]").input_value()
    page.get_by_role("button", name="Skip").click()
    expect(page.locator("#work input[name=_lease]")).not_to_have_value(lease)
    second = seen(page)
    assert first["picture"] != second["picture"]
    both = sorted((first, second), key=lambda it: it["text"])
    a, b = both
    assert (a["text"], b["text"]) == ("A first text", "Another text")
    assert a["heading"] == "A first question?" != b["heading"]
    assert (a["facts"][-1], b["facts"][-1]) == ("Peru", "Oman")
    assert (a["alt"], b["alt"]) == ("A green field", "The picture to look at")


@pytest.mark.parametrize("name", tasktypes.all_types())
def test_every_task_is_seen_as_itself_and_nothing_chosen_is_no_answer(
    site: Site, visit: Callable[..., Page], name: str
) -> None:
    made = two_tasks(site, name, "two")
    assert_two_tasks(visit("/p/two/work"))
    with site.db.connection() as connection:
        assert connection.execute("SELECT 1 FROM answer WHERE project_id = %s", (made.id,)).fetchall() == []


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("export function mount() { return {read() { return {}; }}; }", "mount() gives no isEmpty()"),
        (
            "export function mount() { return {read() {}, isEmpty() {}, isempty() {}}; }",
            "nobody calls: isempty",
        ),
        ("export function mount() { throw new Error('no field'); }", "no field"),
        ("export const mounts = 1;", "exports no function mount()"),
    ],
)
def test_a_presenter_that_does_not_keep_the_protocol_is_refused_and_no_task_is_shown(
    site: Site, visitors: Any, script: str, what: str
) -> None:
    visitors.expected = (what,)
    two_tasks(site, "question", "two")
    page = visitors.open("about:blank", service_workers="block")
    page.route(re.compile("presenter.js"), lambda it: it.fulfill(body=script, content_type="text/javascript"))
    page.goto("/p/two/work")
    expect(page.locator("#wrong")).to_contain_text("This kind of task cannot be shown")
    expect(page.locator("#wrong")).to_contain_text(what)
    assert page.locator("[data-pictures]").count() == 0
    page.locator("body").press("1")
    page.locator("body").press("s")
    with site.db.connection() as connection:
        assert connection.execute("SELECT 1 FROM answer").fetchall() == []
    visitors.troubles.clear()
