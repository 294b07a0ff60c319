"""Marking by mouse, finger, two fingers and keyboard: the marks are in pixels of the original."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import builders
import pytest
import scene
from playwright.sync_api import Page, expect
from stage import Stage
from visitors import PHONE

from microtasks.engine.site import Site

pytestmark = pytest.mark.browser


def near(mark: dict[str, Any], px: float = 2.0, **wanted: float) -> bool:
    return all(abs(mark[name] - value) <= px for name, value in wanted.items())


@pytest.fixture
def stage(site: Site, visit: Callable[..., Page]) -> Stage:
    scene.craters(site, 2)
    return Stage(visit("/p/craters/work"))


def test_mouse_draws_moves_resizes_and_removes(stage: Stage) -> None:
    page = stage.page
    page.keyboard.press("2")
    stage.drag((200, 200), (260, 200))
    [mark] = stage.marks()
    assert near(mark, x=200, y=200, r=60) and mark["class"] == "degraded"
    stage.drag((200, 140), (300, 240))  # by its rim
    assert near(stage.marks()[0], x=300, y=300, r=60)
    stage.drag((360, 300), (400, 300))  # by its handle
    assert near(stage.marks()[0], x=300, y=300, r=100)
    page.get_by_role("button", name="Ghost").click()
    assert stage.marks()[0]["class"] == "ghost"
    page.get_by_role("button", name="Smaller").click()
    assert near(stage.marks()[0], r=89)
    stage.drag((300, 300), (320, 300))  # by its middle
    assert near(stage.marks()[0], x=320, y=300)
    page.get_by_role("button", name="Remove this mark").click()
    assert stage.marks() == []
    for wanted in (320, 300):
        page.keyboard.press("Control+z")
        assert near(stage.marks()[0], x=wanted)


def test_the_picture_stays_where_it_is_when_the_first_mark_comes(
    site: Site, visit: Callable[..., Page]
) -> None:
    scene.craters(site, 1)
    stage = Stage(visit("/p/craters/work", **PHONE))
    before = stage.matrix()
    stage.drag((300, 200), (260, 200))
    assert len(stage.marks()) == 1
    assert stage.matrix() == before


def test_a_circle_below_the_least_size_is_shown_so_and_not_taken(stage: Stage) -> None:
    page = stage.page
    page.mouse.move(*stage.at(300, 300))
    page.mouse.down()
    page.mouse.move(*stage.at(305.5, 300), steps=4)
    expect(page.locator(".ring.bad")).to_be_visible()
    expect(page.locator(".sign")).to_contain_text("14 px")  # by a sign too, not by colour alone
    page.mouse.move(*stage.at(320, 300), steps=4)
    expect(page.locator(".ring.good")).to_be_visible()
    page.mouse.move(*stage.at(305.5, 300), steps=4)
    page.mouse.up()
    expect(page.get_by_text("Too small").first).to_be_visible()
    assert stage.marks() == []


def test_done_without_marks_asks_and_nothing_here_is_a_tap(site: Site, stage: Stage) -> None:
    page = stage.page
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#wrong")).to_contain_text("Nothing is marked or chosen yet")
    page.mouse.click(*stage.at(300, 300))
    expect(page.locator("#wrong")).to_be_empty()
    page.keyboard.press("Enter")  # the pointer placed the mark: Enter is Done
    page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('mt:out:'))")
    with site.db.connection() as connection:
        [(kind, value)] = connection.execute("SELECT kind, value FROM answer").fetchall()
    assert kind == "value" and near(value["marks"][0], x=300, y=300)


def test_keyboard_alone_marks_and_sends(site: Site, stage: Stage) -> None:
    page = stage.page
    page.locator("[data-canvas]").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "]", "Enter"):
        page.keyboard.press(key)
    [mark] = stage.marks()
    assert mark["x"] > 320 and mark["y"] > 320
    page.keyboard.press("Alt+ArrowLeft")
    page.keyboard.press("]")
    [moved] = stage.marks()
    assert moved["x"] < mark["x"] and moved["r"] > mark["r"]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert len(stage.marks()) == 2
    page.keyboard.press("Delete")
    page.keyboard.press("u")
    assert len(stage.marks()) == 2
    expect(page.locator("[data-live]")).to_have_text("Undone")
    page.keyboard.press("Control+Enter")
    page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('mt:out:'))")
    with site.db.connection() as connection:
        [(value,)] = connection.execute("SELECT value FROM answer").fetchall()
    assert len(value["marks"]) == 2


def test_zoomed_and_moved_marks_still_lie_in_pixels_of_the_original(stage: Stage) -> None:
    page = stage.page
    for _ in range(2):
        page.get_by_role("button", name="Zoom in").click()
    page.mouse.move(*stage.at(300, 300))
    page.mouse.wheel(0, -300)
    page.get_by_role("button", name="Move the picture").click()
    stage.drag((300, 300), (330, 320))
    page.get_by_role("button", name="Move the picture").click()
    page.wait_for_timeout(50)
    assert stage.matrix()[0] > 2
    stage.drag((310, 300), (330, 300))
    [mark] = stage.marks()
    assert near(mark, px=0.6, x=310, y=300, r=20)


def test_the_list_names_marks_and_chooses_and_removes_them(stage: Stage) -> None:
    page = stage.page
    stage.drag((200, 160), (230, 160))
    stage.drag((400, 480), (440, 480))
    expect(page.get_by_text("2 marks")).to_be_visible()
    second = page.get_by_role(
        "button", name="Mark 2 · Fresh, 80 px, 63 percent from the left, 75 percent from the top"
    )
    second.click()
    page.get_by_role("button", name="Remove: Mark 1 · Fresh").click()
    [mark] = stage.marks()
    assert near(mark, x=400, y=480)
    page.get_by_role("button", name="Hide my marks").click()
    expect(page.locator(".ring").first).to_be_hidden()


def test_fingers_draw_with_a_loupe_and_pinch_without_a_stray_mark(
    site: Site, visit: Callable[..., Page]
) -> None:
    scene.craters(site, 1)
    stage = Stage(visit("/p/craters/work", **PHONE))
    page = stage.page
    session = page.context.new_cdp_session(page)

    def touch(kind: str, points: Sequence[tuple[float, float]] = ()) -> None:
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]},
        )

    touch("touchStart", [stage.at(200, 300)])
    touch("touchMove", [stage.at(230, 300)])
    touch("touchMove", [stage.at(260, 300)])
    expect(page.locator("[data-loupe]")).to_have_attribute("visibility", "visible")
    touch("touchEnd")
    expect(page.locator("[data-loupe]")).to_have_attribute("visibility", "hidden")
    [mark] = stage.marks()
    assert near(mark, x=200, y=300, r=60, px=3)
    before = stage.matrix()[0]
    a, b = stage.at(400, 300), stage.at(460, 300)
    touch("touchStart", [a])
    touch("touchStart", [a, b])
    for k in range(1, 8):
        touch("touchMove", [(a[0] - 9 * k, a[1]), (b[0] + 9 * k, b[1])])
    touch("touchEnd")
    page.wait_for_timeout(50)
    assert stage.matrix()[0] > 2 * before
    assert len(stage.marks()) == 1


def test_a_pen_draws_as_a_finger_does(stage: Stage) -> None:
    session = stage.page.context.new_cdp_session(stage.page)
    for kind, place in (
        ("Pressed", (200, 200)),
        ("Moved", (230, 200)),
        ("Moved", (260, 200)),
        ("Released", (260, 200)),
    ):
        x, y = stage.at(*place)
        held = {"button": "left", "buttons": 0 if kind == "Released" else 1, "clickCount": 1}
        pen = {"type": f"mouse{kind}", "x": x, "y": y, "pointerType": "pen", **held}
        session.send("Input.dispatchMouseEvent", pen)
    [mark] = stage.marks()
    assert near(mark, x=200, y=200, r=60, px=3)


def test_a_turned_picture_is_marked_in_pixels_of_the_original(stage: Stage) -> None:
    page = stage.page
    page.get_by_role("button", name="Turn the picture").click()
    expect(page.locator("[data-live]")).to_have_text("Turned by 90 degrees")
    page.wait_for_timeout(50)
    scale, left, top = stage.matrix()
    box = page.locator("[data-canvas]").bounding_box()
    assert box is not None

    def seen(x: float, y: float) -> tuple[float, float]:  # a quarter to the right: what was above is right
        return box["x"] + box["width"] - (top - box["y"] + y * scale), box["y"] + (
            left - box["x"]
        ) + x * scale

    page.mouse.move(*seen(200, 160))
    page.mouse.down()
    page.mouse.move(*seen(260, 160), steps=4)
    page.mouse.up()
    [mark] = stage.marks()
    assert near(mark, x=200, y=160, r=60)
    page.locator("[data-canvas]").focus()
    for key in ("ArrowRight", "Enter"):  # right on the screen is up in the picture
        page.keyboard.press(key)
    _, second = stage.marks()
    assert near(second, x=320, px=3) and second["y"] < 318
    for _ in range(3):
        page.keyboard.press("r")
    expect(page.locator("[data-live]")).to_have_text("Turned by 0 degrees")
    stage.drag((420, 480), (450, 480))
    assert near(stage.marks()[2], x=420, y=480, r=30)


def test_squares_are_chosen_by_a_switch_and_ticked_by_keys(site: Site, visit: Callable[..., Page]) -> None:
    scene.craters(site, 3)
    stage = Stage(visit("/p/craters/work", **PHONE))
    page = stage.page
    page.get_by_role("button", name="Answer by squares").click()
    page.get_by_role("checkbox", name="B3").focus()
    for key in ("Space", "ArrowRight", "ArrowDown", "Space"):
        page.keyboard.press(key)
    expect(page.get_by_role("checkbox", name="C4")).to_be_checked()
    sizes = page.locator("[data-squares] label").first.bounding_box()
    assert sizes is not None and min(sizes["width"], sizes["height"]) >= 44
    picture, table = (
        page.locator(".board > img").bounding_box(),
        page.locator("[data-squares]").bounding_box(),
    )
    assert picture == table  # each square lies where it says
    page.wait_for_timeout(320)
    page.reload()
    stage = Stage(page)  # the draft and the choice of squares are kept
    expect(page.get_by_role("checkbox", name="B3")).to_be_checked()
    page.keyboard.press("Enter")
    page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('mt:out:'))")
    expect(page.get_by_role("checkbox", name="B3")).not_to_be_checked()
    page.get_by_role("checkbox", name="A1").check()
    page.get_by_role("button", name="Nothing here").click()  # what was ticked would be lost
    page.locator("#sure").get_by_role("button", name="Nothing here").click()
    page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('mt:out:'))")
    page.get_by_role("button", name="Answer by squares").click()
    expect(page.locator("[data-canvas]")).to_be_visible()
    with site.db.connection() as connection:
        rows = connection.execute("SELECT kind, value FROM answer ORDER BY id").fetchall()
    [(kind, first), *rest] = rows
    assert kind == "value" and first["marks"] == [] and first["cells"]["checked"] == ["B3", "C4"]
    assert (first["cells"]["columns"], first["cells"]["width"]) == (6, 640.0)
    assert rest == [("empty", {"marks": []})]


@pytest.mark.parametrize("shape", ["box", "point"])
def test_boxes_and_points(site: Site, visit: Callable[..., Page], shape: str) -> None:
    made = builders.project(
        site, "marking", config={"shape": shape}, slug="shapes", published_at="2026-01-01T00:00:00Z"
    )
    builders.tasks(site, made, media_ids=[scene.picture(site, scene.SAMPLES / "craters/plain-1.webp")])
    stage = Stage(visit("/p/shapes/work"))
    page = stage.page
    if shape == "box":
        page.mouse.click(*stage.at(100, 100))
        expect(page.get_by_text("Drag from corner to corner").first).to_be_visible()
        stage.drag((300, 400), (200, 250))
        stage.drag((300, 400), (350, 420))  # by its handle
        [mark] = stage.marks()
        assert near(mark, x=200, y=250, width=150, height=170)
    else:
        page.mouse.click(*stage.at(100, 120))
        page.mouse.click(*stage.at(400, 420))
        stage.drag((400, 420), (380, 400))
        first, second = stage.marks()
        assert near(first, x=100, y=120) and near(second, x=380, y=400)
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("1 task")
