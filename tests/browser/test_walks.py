"""From the home page to thank-you: each type of task, phone and desktop, with and without a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import builders
import pytest
import scene
from playwright.sync_api import Page, expect
from visitors import DESKTOP, PHONE, Visitors

from microtasks.engine.assignment import sweep
from microtasks.engine.site import Site

pytestmark = pytest.mark.browser

SCREENS = pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])


def said(site: Site, of: builders.ProjectRow) -> list[tuple[str, Any]]:
    """(kind, value) of every answer of the project, in the order they came."""
    with site.db.connection() as connection:
        return list(
            connection.execute("SELECT kind, value FROM answer WHERE project_id = %s ORDER BY id", (of.id,))
        )


def ready(page: Page) -> None:
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")


def settled(page: Page) -> None:
    """Wait until what was answered has been sent and the next task is there."""
    page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('mt:out:'))")


def task_id(page: Page) -> str:
    return page.locator("#work input[name=_lease]").input_value()


def next_task(page: Page, before: str) -> None:
    expect(page.locator("#work input[name=_lease]")).not_to_have_value(before)
    page.wait_for_selector("body:not(:has(.fresh))")  # sooner a key would be the last one's second press


@SCREENS
def test_question_from_home_to_thanks(site: Site, visit: Callable[..., Page], screen: dict[str, Any]) -> None:
    log = scene.sentences(site, 3)
    page = visit("/", **screen)
    page.get_by_text("2 min").click()
    page.get_by_role("button", name="Start helping").click()
    ready(page)
    first = page.locator("[data-text]").inner_text()
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("[data-text]")).not_to_have_text(first)
    page.get_by_role("button", name="I can’t tell").click()
    before = task_id(page)
    expect(page.locator("#clock")).to_contain_text("2 done")
    page.get_by_role("button", name="Skip").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 tasks in 1 minute")
    assert before
    assert said(site, log) == [("value", {"answer": "yes"}), ("cant_tell", None)]


@SCREENS
def test_tagging_from_home_to_thanks(site: Site, visit: Callable[..., Page], screen: dict[str, Any]) -> None:
    forms = scene.landforms(site, 3)
    page = visit("/", **screen)
    page.get_by_role("link", name="Landforms from above").click()
    page.get_by_role("link", name="Start helping").click()
    ready(page)
    before = task_id(page)
    page.get_by_text("Dunes").click()
    page.get_by_label("Your own tags").fill("ripples")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("button", name="Done").click()
    next_task(page, before)
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#wrong")).to_contain_text("Nothing is marked or chosen yet")
    before = task_id(page)
    page.get_by_role("button", name="None of these").click()
    next_task(page, before)
    settled(page)
    page.get_by_role("link", name="Finish").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 tasks")
    expect(page.locator(".stats")).to_contain_text("2tags given")
    assert said(site, forms) == [("value", {"tags": ["dunes", "ripples"]}), ("empty", {"tags": []})]


@SCREENS
def test_marking_from_home_to_thanks(site: Site, visit: Callable[..., Page], screen: dict[str, Any]) -> None:
    craters = scene.craters(site, 2)
    page = visit("/", **screen)
    page.get_by_role("button", name="Start helping").click()
    ready(page)
    before = task_id(page)
    box = page.locator("[data-canvas]").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Ghost").click()
    page.get_by_role("button", name="Done").click()
    next_task(page, before)
    page.get_by_role("button", name="Nothing here").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 tasks")
    expect(page.locator(".stats")).to_contain_text("1thing marked")
    (kind, value), (last_kind, _) = said(site, craters)
    assert (kind, last_kind) == ("value", "empty")
    [mark] = value["marks"]
    assert mark["class"] == "ghost"
    assert mark["r"] > 20 and 250 < mark["x"] < 390 and 250 < mark["y"] < 390  # 640 px wide, near the middle


@pytest.mark.parametrize(("kind", "screen"), [("question", PHONE), ("tagging", DESKTOP)])
def test_without_a_script_from_home_to_thanks(
    site: Site, visitors: Visitors, screen: dict[str, Any], kind: str
) -> None:
    visitors.expected = ("422",)
    made = scene.sentences(site, 2, scene.FULL_FORM) if kind == "question" else scene.landforms(site, 2)
    page = visitors.open("/", java_script_enabled=False, **screen)
    page.get_by_role("button", name="Start helping").click()
    if kind == "question":
        page.get_by_label("Yes").check()
        page.get_by_label("4", exact=True).check(force=True)
        page.get_by_label("Animals").check()
        page.get_by_role("button", name="Done").click()
    else:
        page.get_by_role("button", name="Done").click()  # nothing chosen: not taken
        expect(page.locator("#wrong")).to_contain_text("Nothing is chosen yet")
        page.get_by_text("Cracks").click()
        page.get_by_label("Your own tags").fill("ripples, Dunes")
        page.get_by_role("button", name="Done").click()
    expect(page.locator("#clock")).to_have_text("1 done")
    page.get_by_role("link", name="My last answer").click()
    page.get_by_role("button", name="Save the change").click()
    page.get_by_role("button", name="Skip").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("1 task in 1 minute")
    page.get_by_role("link", name="I’m done").click()
    value = (
        {"wind": "yes", "force": 4, "about": ["animals"]}
        if kind == "question"
        else {"tags": ["dunes", "cracks", "ripples"]}
    )
    assert said(site, made) == [("value", value)]


def test_without_a_script_marking_is_answered_by_squares_and_has_the_other_ways_out(
    site: Site, visit: Callable[..., Page]
) -> None:
    craters = scene.craters(site, 4)
    page = visit("/p/craters/work", java_script_enabled=False)
    page.get_by_role("checkbox", name="C3").check()
    page.get_by_role("checkbox", name="A5").check()
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Nothing here").click()
    page.get_by_role("button", name="I can’t tell").click()
    page.get_by_role("button", name="Report a problem").click()
    page.get_by_label("The question does not fit it").check()
    page.get_by_label("In your words").fill("upside down")
    page.get_by_role("button", name="Send and go on").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("3 tasks")
    [(_, squares), *others] = said(site, craters)
    assert squares["cells"]["checked"] == ["C3", "A5"]
    assert [kind for kind, _ in others] == ["empty", "cant_tell"]
    with site.db.connection() as connection:
        assert connection.execute("SELECT reason, note FROM report").fetchall() == [
            ("unclear", "upside down")
        ]


def test_keys_alone_walk_through_questions(site: Site, visit: Callable[..., Page]) -> None:
    log = scene.sentences(site, 5)
    page = visit("/p/log/work")
    ready(page)
    for key in ("1", "2", "c", "s"):
        before = task_id(page)
        page.keyboard.press(key)
        next_task(page, before)
    settled(page)
    page.keyboard.press("u")  # nothing to undo in this task: back to the last answer
    expect(page.get_by_text("Changing an answer")).to_be_visible()
    ready(page)
    page.keyboard.press("1")
    page.wait_for_url("**/p/log/work")
    assert said(site, log) == [
        ("value", {"answer": "yes"}),
        ("value", {"answer": "no"}),
        ("value", {"answer": "yes"}),
    ]


def test_single_keys_can_be_switched_off(site: Site, visit: Callable[..., Page]) -> None:
    log = scene.sentences(site, 2)
    page = visit("/p/log/work")
    ready(page)
    page.locator("body").press("?")
    page.get_by_label("Use single keys").uncheck()
    page.get_by_role("button", name="Close").click()
    page.locator("body").press("1")
    page.locator("body").press("s")
    assert said(site, log) == []


def test_a_field_opens_only_after_the_answer_it_depends_on(site: Site, visit: Callable[..., Page]) -> None:
    log = scene.sentences(site, 2, scene.FULL_FORM)
    page = visit("/p/log/work")
    ready(page)
    strength = page.get_by_text("How strong was it?")
    expect(strength).to_be_hidden()
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".wrong:visible")).to_have_text("Please answer this one.")
    page.get_by_label("Yes").check()
    expect(strength).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".wrong:visible")).to_have_text("Please answer this one.")
    page.get_by_label("3", exact=True).check(force=True)
    page.get_by_role("radio", name="No", exact=True).check()
    before = task_id(page)
    page.get_by_label("Names of places").fill("Reykjavík")
    page.get_by_label("Names of places").press("Enter")
    next_task(page, before)
    settled(page)
    assert said(site, log) == [("value", {"wind": "no", "note": "Reykjavík"})]


def test_draft_survives_a_reload(site: Site, visit: Callable[..., Page]) -> None:
    scene.landforms(site, 2)
    page = visit("/p/landforms/work")
    ready(page)
    page.get_by_text("Cracks").click()
    page.reload()
    ready(page)
    expect(page.get_by_label("Cracks")).to_be_checked()


def test_offline_answers_are_kept_and_sent_later(site: Site, visitors: Visitors) -> None:
    log = scene.sentences(site, 4)
    visitors.expected = ("Failed to load resource", "ERR_INTERNET_DISCONNECTED")
    page = visitors.open("/p/log/work", **PHONE)
    ready(page)
    page.wait_for_selector("body[data-queued='1']")
    page.context.set_offline(True)
    before = task_id(page)
    page.get_by_role("button", name="Yes").click()
    next_task(page, before)  # the next one lay ready on the device
    expect(page.locator("#toast")).to_contain_text("Your answer is kept on this device")
    page.get_by_role("button", name="No").click()
    expect(page.locator("#toast")).to_contain_text("no further task on this device")
    assert said(site, log) == []
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#toast")).to_contain_text("Back online")
    settled(page)
    assert said(site, log) == [("value", {"answer": "yes"}), ("value", {"answer": "no"})]


def test_reloaded_offline_the_tasks_on_the_device_are_answered_and_sent_later(
    site: Site, visitors: Visitors
) -> None:
    forms = scene.landforms(site, 4)
    visitors.expected = ("Failed to load resource", "ERR_INTERNET_DISCONNECTED")
    page = visitors.open("/p/landforms/work", **PHONE)
    page.wait_for_selector("body[data-kept]")
    before = task_id(page)
    page.get_by_text("Cracks").click()
    page.get_by_role("button", name="Done").click()  # sent: the page on the device shows a task that is done
    next_task(page, before)
    settled(page)
    page.wait_for_selector("body[data-queued='1']")
    waits = task_id(page)
    page.context.set_offline(True)
    page.reload()
    ready(page)
    expect(page.locator("#toast")).to_contain_text("You are offline")
    assert task_id(page) == waits  # not the one that the page was made for
    expect(page.locator("#clock")).to_contain_text("1 done")
    assert page.locator("[data-pictures] img").evaluate("it => it.decode().then(() => it.naturalWidth)") > 0
    page.get_by_text("Dunes").click()
    page.get_by_role("button", name="Done").click()
    next_task(page, waits)
    last = task_id(page)
    page.reload()  # once more: what was answered meanwhile waits on the device
    ready(page)
    assert task_id(page) == last
    page.goto("/p/landforms")  # kept nowhere
    expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
    page.context.set_offline(False)
    page.goto("/p/landforms/work")
    ready(page)
    settled(page)
    assert said(site, forms) == [("value", {"tags": ["cracks"]}), ("value", {"tags": ["dunes"]})]


def test_answers_left_on_the_device_are_sent_by_any_page_and_their_lease_may_have_ended(
    site: Site, visitors: Visitors
) -> None:
    log = scene.sentences(site, 3)
    visitors.expected = ("Failed to load resource", "ERR_INTERNET_DISCONNECTED")
    page = visitors.open("/p/log/work", **PHONE)
    ready(page)
    answered = page.locator("#work input[name=_lease]").input_value()
    with site.db.connection() as connection:
        connection.execute("UPDATE lease SET expires_at = now() - interval '1 minute'")
    # As a closed browser leaves it: the page's own last try would reach the site although it is offline.
    page.evaluate(
        """lease => localStorage.setItem("mt:out:log", JSON.stringify(
            [{lease, kind: "value", value: {answer: "yes"}, seconds_spent: 3, task: {task: {id: 1}}}]))""",
        answered,
    )
    page.goto("/p/log/thanks")
    expect(page.get_by_role("heading", level=1)).to_contain_text("1 task in 1 minute")
    settled(page)
    assert said(site, log) == [("value", {"answer": "yes"})]


def test_the_service_worker_keeps_to_the_volunteers_pages(site: Site, visit: Callable[..., Page]) -> None:
    scene.sentences(site, 2)
    page = visit("/p/log/work")
    page.wait_for_selector("body[data-kept]")
    scopes = page.evaluate(
        "navigator.serviceWorker.getRegistrations().then(all => all.map(it => new URL(it.scope).pathname))"
    )
    assert scopes == ["/p/"]
    kept = page.evaluate(
        "Promise.all(['pages', 'files', 'pictures'].map(it => caches.open('mt-' + it).then(it => it.keys())))"
        ".then(all => all.flat().map(it => new URL(it.url).pathname))"
    )
    assert {"/p/log/work", "/offline"} <= set(kept)
    assert all(path in ("/p/log/work", "/offline") or path.startswith("/static/") for path in kept)
    page.goto("/owner/sign-in")
    assert page.evaluate("navigator.serviceWorker.controller") is None


def test_two_tabs_work_side_by_side_with_one_outbox(site: Site, visitors: Visitors) -> None:
    log = scene.sentences(site, 6)
    visitors.expected = ("Failed to load resource", "ERR_INTERNET_DISCONNECTED")
    one = visitors.open("/p/log/work", **PHONE)
    ready(one)
    other = visitors.again(one, "/p/log/work")
    ready(other)
    first = task_id(one)
    assert task_id(other) == first  # held for this person, whichever tab asks
    one.get_by_role("button", name="Yes").click()
    next_task(other, first)  # the other tab goes on by itself
    expect(other.locator("#toast")).to_contain_text("another window")
    next_task(one, first)
    for page in (other, one, other):
        page.bring_to_front()
        before = task_id(page)
        page.get_by_role("button", name="No").click()
        next_task(page, before)
        expect(page.locator("#clock")).to_have_text(one.locator("#clock").inner_text())
    settled(one)
    answers = said(site, log)
    assert len(answers) == 4  # no answer was given twice, and none is lost
    one.wait_for_selector("body[data-queued='1']")
    one.context.set_offline(True)
    before = task_id(one)
    one.get_by_role("button", name="Yes").click()
    next_task(other, before)
    one.close()  # what it left behind, the other sends
    other.context.set_offline(False)
    other.evaluate("dispatchEvent(new Event('online'))")
    settled(other)
    other.get_by_role("button", name="Yes").click()
    expect(other.get_by_role("heading", level=1)).to_contain_text("6 tasks")
    assert len(said(site, log)) == 6


def test_an_answer_after_the_lease_ended_is_taken(site: Site, visit: Callable[..., Page]) -> None:
    log = scene.sentences(site, 2)
    page = visit("/p/log/work")
    ready(page)
    with site.db.connection() as connection:
        connection.execute("UPDATE lease SET expires_at = now() - interval '1 minute'")
    before = task_id(page)
    page.get_by_role("button", name="Yes").click()
    next_task(page, before)
    settled(page)
    assert len(said(site, log)) == 1


def test_a_lease_that_ran_out_is_told_kindly(site: Site, visit: Callable[..., Page]) -> None:
    scene.sentences(site, 1, redundancy=1)
    page = visit("/p/log/work")
    page.wait_for_selector("body[data-kept]")  # it asks for its task once more, to keep the page
    with site.db.connection() as connection:  # by the database's clock; swept, its seat is free for others
        connection.execute("UPDATE lease SET expires_at = now() - interval '1 minute'")
    sweep.sweep(site)
    quick = visit("/p/log/work")
    ready(quick)
    quick.get_by_role("button", name="No").click()
    expect(quick.get_by_text("all the answers it needs")).to_be_visible()
    page.get_by_role("button", name="Yes").click()
    page.wait_for_url("**/thanks**")
    kindly = "Others had finished that one meanwhile. Your answer is kept all the same."
    expect(page.get_by_role("status").filter(has_text=kindly)).to_be_visible()
    with site.db.connection() as connection:
        statuses = connection.execute("SELECT status FROM answer ORDER BY id").fetchall()
    assert statuses == [("counted",), ("surplus",)]


def test_an_open_page_says_that_its_lease_ran_out(site: Site, visit: Callable[..., Page]) -> None:
    scene.sentences(site, 2)
    page = visit("/p/log")
    page.clock.install()
    page.goto("/p/log/work")
    ready(page)
    page.clock.fast_forward("02:00:00")
    expect(page.locator("#toast")).to_contain_text("now free for others. You can still answer it.")


def test_a_changed_question_is_drawn_anew(site: Site, visit: Callable[..., Page]) -> None:
    log = scene.sentences(site, 3)
    page = visit("/p/log/work")
    page.wait_for_selector("body[data-queued='1']")
    with site.db.connection() as connection:
        connection.execute(
            "WITH p AS (UPDATE project SET config_version = 2, config = config || %s WHERE id = %s"
            " RETURNING id, config) INSERT INTO project_config (project_id, version, config)"
            " SELECT id, 2, config FROM p",
            (
                '{"fields": [{"id": "gale", "kind": "choice", "choices": [{"id": "aye"}]}]}',
                log.id,
            ),
        )
    page.get_by_role("button", name="Yes").click()
    for _ in range(2):  # what was handed out before keeps its question
        button = page.get_by_role("button", name="aye").or_(page.get_by_role("button", name="Yes"))
        before = task_id(page)
        button.click()
        page.wait_for_function(
            "before => document.querySelector('#work input[name=_lease]')?.value !== before", arg=before
        )
    expect(page.get_by_role("heading", level=1)).to_contain_text("3 tasks")
    values = [value for _, value in said(site, log)]
    assert len(values) == 3 and {"gale": "aye"} in values


def test_states_without_a_task_are_said_kindly(site: Site, visitors: Visitors) -> None:
    visit, visitors.expected = visitors.open, ("404",)
    scene.sentences(site, 1, redundancy=1)
    scene.landforms(site, 2, state="paused")
    first = visit("/p/log/work")
    ready(first)
    second = visit("/p/log/work")
    expect(second.get_by_role("heading", level=1)).to_have_text("No task for you just now")
    expect(visit("/p/landforms/work").get_by_role("heading", level=1)).to_have_text(
        "This project is taking a break"
    )
    first.get_by_role("button", name="Yes").click()
    expect(first.get_by_text("all the answers it needs")).to_be_visible()
    second.get_by_role("link", name="Look again").click()
    expect(second.get_by_role("heading", level=1)).to_have_text("Everything here is done")
    assert second.goto("/p/nothing/work").status == 404  # type: ignore[union-attr]


def test_a_poll_shows_its_result_right_after_the_answer(site: Site, visitors: Visitors) -> None:
    poll = scene.poll(site)
    first = visitors.open("/p/poll/work", java_script_enabled=False)
    assert "everybody" not in first.content()
    first.get_by_role("button", name="On foot").click()
    expect(first.get_by_text("What everybody says")).to_be_visible()
    page = visitors.open("/p/poll/work", **PHONE)
    ready(page)
    expect(page.get_by_text("What everybody says")).to_have_count(0)
    page.get_by_role("button", name="By bus").click()
    result = page.get_by_role("region", name="What everybody says")
    expect(result).to_contain_text("On foot")
    expect(result.locator(".mine")).to_contain_text("By bus your answer")
    page.get_by_role("button", name="On foot").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 tasks")
    expect(result).to_contain_text("100%")
    assert len(said(site, poll)) == 3


def test_a_line_is_copied_with_what_cannot_be_read(site: Site, visitors: Visitors) -> None:
    made = scene.lines(site, 3)
    page = visitors.open("/p/lines/work", **PHONE)
    ready(page)
    field = page.get_by_role("textbox")
    field.fill("Calm, and the the sea")
    field.evaluate("it => it.setSelectionRange(10, 14)")  # one "the" too many
    page.get_by_role("button", name="A word I can’t read").click()
    expect(field).to_have_value("Calm, and [illegible] the sea")
    expect(field).to_be_focused()
    page.set_viewport_size({"width": 390, "height": 400})  # as the keyboard leaves it
    for shown in (field, page.locator("[data-pictures] img")):
        expect(shown).to_be_in_viewport(ratio=0.9)
    assert field.evaluate(
        "it => { const {x, y, width, height} = it.getBoundingClientRect();"
        " return document.elementFromPoint(x + width / 2, y + height / 2) === it; }"
    )
    page.set_viewport_size({"width": 390, "height": 780})
    before = task_id(page)
    field.press("Enter")
    next_task(page, before)
    before = task_id(page)
    page.get_by_role("button", name="Nothing is written here").click()
    page.get_by_role("button", name="Done").click()
    next_task(page, before)
    settled(page)
    plain = visitors.open("/p/lines/work", java_script_enabled=False)
    expect(plain.get_by_text("where nothing is written [blank]")).to_be_visible()
    assert said(site, made) == [
        ("value", {"line": "Calm, and [illegible] the sea"}),
        ("value", {"line": "[blank]"}),
    ]


def test_long_lists_are_searched_and_own_tags_suggested(site: Site, visitors: Visitors) -> None:
    long = [{"id": f"t{n}", "label": f"Tag {n}"} for n in range(20)] + [{"id": "mud", "label": "Crème"}]
    made = scene.landforms(site, 5, {"tags": long, "allow_own_tags": True}, redundancy=9)
    with site.db.connection() as connection:
        tasks = [row[0] for row in connection.execute("SELECT id FROM task ORDER BY id")]
    for task in tasks[:3]:  # three people, three tasks: a word of the project's
        builders.answers(site, made, task, [{"tags": ["ripples"]}] * 3)
    builders.answers(site, made, tasks[3], [{"tags": ["secret"]}] * 3)  # of one item alone: not told
    page = visitors.open("/p/landforms/work", **PHONE)
    ready(page)
    search = page.get_by_label("Search the list")
    search.fill("tag 1")
    expect(page.locator(".chip:visible")).to_have_count(11)
    search.fill("creme")
    expect(page.locator(".chip:visible")).to_have_text(["Crème"])
    search.press("Enter")  # takes the one that was found, and sends nothing
    expect(page.get_by_label("Crème")).to_be_checked()
    own = page.get_by_label("Your own tags")
    with page.expect_response("**/tags"):
        own.focus()
    expect(page.locator("datalist option")).to_have_count(1)
    assert page.locator("datalist option").get_attribute("value") == "ripples"
    own.fill("gullies")
    before = task_id(page)
    own.press("Enter")
    page.get_by_role("button", name="Done").click()
    next_task(page, before)
    settled(page)
    assert said(site, made)[-1] == ("value", {"tags": ["mud", "gullies"]})
    tags = page.evaluate("fetch('/p/landforms/tags', {cache: 'reload'}).then(it => it.json())")
    assert tags == {"tags": ["ripples", "gullies"]}  # others' common words, and one's own


def test_fields_below_one_of_several_choices_and_numbers_with_a_unit(
    site: Site, visit: Callable[..., Page]
) -> None:
    config = {
        "fields": [
            {"id": "seen", "kind": "choices", "choices": [{"id": "birds"}, {"id": "ships"}, {"id": "ice"}]},
            {"id": "n", "kind": "number", "min": 1, "max": 99, "unit": "birds"}
            | {"show_if": {"field": "seen", "is": "birds"}},
        ]
    }
    log = scene.sentences(site, 2, config)
    page = visit("/p/log/work")
    ready(page)
    number = page.locator("input[name=n]")
    page.get_by_label("ships").check()
    expect(number).to_be_hidden()
    page.get_by_label("birds").check()
    expect(number).to_be_visible()
    number.fill("100")
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".wrong:visible")).to_contain_text("99")
    number.fill("12")
    before = task_id(page)
    number.press("Enter")
    next_task(page, before)
    settled(page)
    assert said(site, log) == [("value", {"seen": ["birds", "ships"], "n": 12})]
