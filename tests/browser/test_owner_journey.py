"""From an empty account to results: each type, set up in steps, tried, launched, done, exported."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect
from visitors import DESKTOP, PHONE

from microtasks.cli import simulate as volunteers
from microtasks.engine import accounts, aggregate, checking, simulate
from microtasks.engine.site import Site
from microtasks.store import projects

pytestmark = pytest.mark.browser

N = 4
#: Templates whose tasks are pictures.
IMAGES = ("craters", "landforms")


def known(template: str, n: int) -> dict[str, Any]:
    """The right answer of a row: simulated volunteers are told it."""
    if template == "wildlife":
        return {"animal": "yes" if n % 2 else "no"}
    if template == "landforms":
        return {"tags": ["dunes"]}
    return {"marks": [{"x": 150, "y": 110, "r": 30 + n, "class": "fresh"}]}


def material(folder: Path, template: str) -> Path:
    """A ZIP of a table with known answers, and of images where the type needs them."""
    with zipfile.ZipFile(folder / "upload.zip", "w") as archive:
        rows: list[dict[str, Any]] = []
        for n in range(N):
            rows.append({"id": f"r{n}", "gold": known(template, n)})
            if template not in IMAGES:
                rows[-1]["text"] = f"A rustling in the dark, number {n}"
                continue
            image = Image.new("RGB", (320, 240), (150, 140, 130 + n))
            ImageDraw.Draw(image).ellipse((120 - n, 80 - n, 180 + n, 140 + n), fill=(90, 80, 70))
            file = io.BytesIO()
            image.save(file, "PNG")
            archive.writestr(f"{n}.png", file.getvalue())
            rows[-1]["image"] = f"{n}.png"
        archive.writestr("table.json", json.dumps(rows))
    return folder / "upload.zip"


def clean(page: Page) -> None:
    """No fault that axe can find, and nothing wider than the screen."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("template", "title", "screen"),
    [
        ("wildlife", "Is there an animal?", PHONE),
        ("landforms", "Landforms from above", DESKTOP),
        ("craters", "Craters on another world", PHONE),
    ],
    ids=["question-phone", "tagging-desktop", "marking-phone"],
)
def test_an_afternoon_of_an_owner(
    site: Site, visit: Callable[..., Page], address: str, worker: None, tmp_path: Path,
    template: str, title: str, screen: dict[str, Any],
) -> None:  # fmt: skip
    token = accounts.create_owner(site, "ada@example.org")
    page = visit(f"/owner/sign-in/{token}", **screen)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/owner/")

    # 1. purpose, from a template
    page.get_by_role("link", name="New project").first.click()
    page.get_by_role("link", name=title).click()
    page.get_by_label("Name of the project").fill("An afternoon")
    clean(page)
    page.get_by_role("button", name="Save and go on").click()

    # 2. wording, with a preview that follows
    page.wait_for_url("**/an-afternoon/setup/task")
    label = page.get_by_label("Label", exact=True).first
    if template == "wildlife":
        label = page.get_by_label("Question", exact=True).first
    label.fill("Something new")
    expect(page.get_by_text("Draft kept")).to_be_visible()
    frame = page.frame_locator("iframe.phone")
    expect(frame.get_by_text("Something new").first).to_be_visible(timeout=15_000)
    clean(page)
    page.get_by_role("button", name="Save and go on").click()

    # 3. data
    page.wait_for_url("**/an-afternoon/upload")
    clean(page)
    page.get_by_label("Files", exact=True).set_input_files(material(tmp_path, template))
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url("**/batches/*")
    expect(page.get_by_text(f"{N} tasks can be made")).to_be_visible(timeout=30_000)
    clean(page)
    page.get_by_role("button", name="Make the tasks").click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=30_000)
    clean(page)

    # 4. quality
    page.goto("/owner/projects/an-afternoon/setup/quality")
    page.get_by_label("Answers per task").fill("3")
    page.get_by_label("… but not before").fill("2")
    clean(page)
    page.get_by_role("button", name="Save and go on").click()
    page.wait_for_url("**/projects/an-afternoon")

    # 5. a test run, whose answers are thrown away
    page.get_by_role("button", name="Test it yourself").click()
    page.wait_for_url("**/p/trial-*")
    expect(page.get_by_text("This is a trial")).to_be_visible()
    page.get_by_role("link", name="Start helping").click()
    page.wait_for_selector("body[data-ready]")
    with page.expect_response("**/answers"):
        page.get_by_role("button", name="I can’t tell").click()
    page.goto("/owner/projects/an-afternoon")
    expect(page.get_by_text("You have tried it: 1 answer.")).to_be_visible()
    clean(page)
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Published")).to_be_visible()

    # volunteers come
    right = simulate.known_truth(site, "an-afternoon")
    for person in simulate.volunteers(3, 1.0, 7):
        volunteers._volunteer(address, "an-afternoon", person, right, volunteers.Counts(), threading.Event())
    with site.db.session() as session:
        project = projects.by_slug(session, "an-afternoon")
        counts = projects.progress(session, project.id or 0)
    assert counts["retired"] == N and counts["contributors"] >= 2
    aggregate.aggregate(site, project.id or 0)

    # results, looked at and taken away
    page.goto("/owner/projects/an-afternoon/dashboard")
    clean(page)
    page.goto("/research/an-afternoon/tasks")
    clean(page)
    page.goto("/research/an-afternoon")
    clean(page)
    for what in ("answers", "consensus"):
        with page.expect_download() as download:
            page.evaluate(
                "url => { const a = document.createElement('a'); a.href = url; a.click() }",
                f"/research/an-afternoon/export/{what}.csv",
            )
        content = download.value.path().read_text()
        assert content.count("\n") >= N and "an-afternoon" in content and "cant_tell" not in content
    assert checking.check(site) == []
