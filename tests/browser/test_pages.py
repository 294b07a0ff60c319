"""Every page of the volunteer's side: nothing for axe to find, nothing blocked, nothing heavy."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
import scene
from axe import faults
from playwright.sync_api import Page, Response, expect
from visitors import DESKTOP, PHONE, Visitors

from microtasks.engine.site import Site
from microtasks.web.texts import LANGUAGES

pytestmark = pytest.mark.browser

#: A desktop at 200 %: half as many pixels of twice the size.
ZOOMED: dict[str, Any] = {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}
PATHS = (
    "/",
    "/p/craters",
    "/p/craters/work?minutes=5",
    "/p/landforms/work",
    "/p/log/work",
    "/p/form/work",
    "/p/poll/work",
    "/p/poll/thanks",
    "/p/lines/work",
    "/p/craters/thanks",
    "/p/resting/work",
    "/p/nothing",
    "/offline",
    "/?q=nowhere",
)


@pytest.fixture
def everything(site: Site) -> Site:
    scene.craters(site, 2, redundancy=2, answers_min=2)
    scene.landforms(site, 2)
    scene.sentences(site, 2)
    scene.sentences(site, 2, scene.FULL_FORM, slug="form")
    scene.sentences(site, 1, slug="resting", state="paused")
    scene.poll(site)
    scene.lines(site)
    return site


@pytest.mark.parametrize(
    ("language", "scheme", "screen"),
    [
        ("en", "light", DESKTOP),
        ("ar", "dark", PHONE),
        ("en", "dark", ZOOMED | {"reduced_motion": "reduce"}),
        ("ar", "light", ZOOMED | {"forced_colors": "active"}),
    ],
    ids=["English-light-desktop", "Arabic-dark-phone", "English-dark-zoomed", "Arabic-forced-colours-zoomed"],
)
def test_axe_finds_nothing(
    everything: Site, visitors: Visitors, language: str, scheme: str, screen: dict[str, Any]
) -> None:
    visitors.expected = ("404",)
    page = visitors.open(locale=language, color_scheme=scheme, **screen)
    found: list[str] = []
    for path in PATHS:
        page.goto(path)
        assert page.locator("html").get_attribute("dir") == ("rtl" if language == "ar" else "ltr")
        if "/work" in path and "resting" not in path:
            page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
        if path == "/p/poll/work":  # with the result of the first answer
            page.locator("button[data-choice]").first.click()
            page.wait_for_selector("[data-poll]")
        if path == "/p/craters/work?minutes=5":  # with a mark, its bar and its line in the list
            page.locator("[data-canvas]").click()
            page.locator("details.marks").evaluate("it => it.open = true")
        found += [f"{path} {fault}" for fault in faults(page)]
    assert found == []


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_in_every_language_a_task_page_fits_a_small_phone(
    everything: Site, visitors: Visitors, language: str
) -> None:
    small = PHONE | {"viewport": {"width": 360, "height": 640}}
    page = visitors.open("/p/log/work?minutes=10", locale=language, **small)
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    page.locator(".act [value=skip]").click()  # the clock is longest once something is done
    page.locator("button[data-choice]").first.click()
    page.wait_for_url("**/thanks**")
    for path in ("/p/form/work", "/p/landforms/work", "/p/craters/work", "/p/lines/work"):
        page.goto(f"{path}?minutes=10")
        page.wait_for_selector("body[data-queued='1']")
        page.locator(".act [value=cant_tell]").click()
        page.wait_for_function("() => !document.getElementById('back').hidden")
        assert page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [360, 360], path


@pytest.mark.parametrize("slug", ["craters", "landforms", "log"])
def test_task_page_is_light(everything: Site, visitors: Visitors, slug: str) -> None:
    responses: list[Response] = []
    page = visitors.open("/p/log", **PHONE)
    page.on("response", lambda response: responses.append(response))
    page.goto(f"/p/{slug}/work")
    page.wait_for_selector("body[data-queued='1']")
    ahead = next(i for i, it in enumerate(responses) if it.url.endswith("/leases"))
    own = [it for it in responses[:ahead] if not it.url.startswith("data:")]
    weight = sum(
        len(gzip.compress(it.body())) for it in own if "image" not in (it.header_value("content-type") or "")
    )
    assert len(own) <= 6, [it.url for it in own]
    assert weight <= 30_000
    assert all(it.header_value("content-encoding") == "gzip" for it in own if ".webp" not in it.url)


def test_language_is_switched_and_kept(everything: Site, visit: Callable[..., Page]) -> None:
    page = visit("/p/craters")
    page.get_by_label("Language: English").click()
    page.get_by_role("link", name="العربية").click()
    expect(page).to_have_url(f"{page.url.split('/p/')[0]}/p/craters")
    expect(page.locator("html")).to_have_attribute("lang", "ar")
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    page.locator(".menu summary").click()
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_T14_texts_of_owners_are_never_markup(site: Site, visit: Callable[..., Page]) -> None:
    nasty = '<img src=x onerror="document.title=1">"\'></script><script>document.title=1</script>{{7*7}}'
    config = {
        "fields": [
            {
                "id": "answer",
                "kind": "choice",
                "label": nasty,
                "choices": [{"id": "a", "label": nasty}, {"id": nasty.replace("|", ""), "label": ""}],
            }
        ]
    }
    made = scene.sentences(
        site, 1, config, slug="nasty", purpose=nasty, instructions=nasty, thanks=nasty, language="en"
    )
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE task_content SET payload = %s WHERE project_id = %s",
            (json.dumps({"text": nasty, "question": nasty, "metadata": {nasty: nasty}}), made.id),
        )
    page = visit("/")
    for path in ("/", "/p/nasty", "/p/nasty/work", "/p/nasty/thanks"):
        page.goto(path)
        assert page.title() != "1"
        assert page.locator("img[src=x]").count() == 0
    page.goto("/p/nasty/work")
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    assert page.locator("img[src=x]").count() == 0
