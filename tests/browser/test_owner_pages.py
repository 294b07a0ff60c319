"""An owner's afternoon in a real browser: from the one-time link to a project of each type that is live."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import builders
import pytest
import scene
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect
from visitors import DESKTOP, PHONE, Visitors

from microtasks.engine import accounts, aggregate
from microtasks.engine.site import Site

pytestmark = pytest.mark.browser


@pytest.fixture
def material(tmp_path: Path) -> Path:
    """A ZIP of images, one of them broken, and a table of texts with a row that cannot be."""
    with zipfile.ZipFile(tmp_path / "plates.zip", "w") as archive:
        for n in range(4):
            file = io.BytesIO()
            Image.new("RGB", (320, 240), (60 * n, 90, 120)).save(file, "PNG")
            archive.writestr(f"plate-{n}.png", file.getvalue())
        archive.writestr("plate-9.png", b"this is no image")
    (tmp_path / "lines.csv").write_text("id,text\na,First line\nb,Second line\na,The same id\n")
    return tmp_path


def sign_in(site: Site, visit: Callable[..., Page], **screen: Any) -> Page:
    token = accounts.create_owner(site, "ada@example.org")
    page = visit(f"/owner/sign-in/{token}", **screen)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/owner/")
    return page


def upload(page: Page, file: Path) -> None:
    page.get_by_label("Files", exact=True).set_input_files(file)
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url("**/batches/*")
    page.get_by_role("button", name="Make the task").click(timeout=30_000)
    expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=30_000)


def wanted(page: Page) -> None:
    """No fault that axe can find, and nothing wider than the screen."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_question_from_the_link_to_a_live_project(
    site: Site, visit: Callable[..., Page], worker: None, material: Path, screen: dict[str, Any]
) -> None:
    page = sign_in(site, visit, **screen)
    page.get_by_role("link", name="New project").first.click()
    wanted(page)
    page.get_by_text("From nothing, or from an example").click()
    page.get_by_role("link", name="Start empty Question").click()
    page.get_by_label("Name of the project").fill("Old letters")
    page.get_by_label("Question", exact=True).fill("Who wrote it?")
    choices = page.locator("[data-rows='config.fields.0.choices']")
    for n, label in enumerate(("A woman", "A man", "Several")):
        if n == 2:
            choices.get_by_role("button", name="Add").click()
        choices.locator(f"[name='config.fields.0.choices.{n}.label']").fill(label)
    wanted(page)
    page.get_by_role("button", name="Save the draft").click()
    page.wait_for_url("**/projects/old-letters/upload")
    wanted(page)
    upload(page, material / "lines.csv")
    expect(
        page.get_by_text("There already", exact=False).or_(page.get_by_text("there already"))
    ).to_be_visible()
    wanted(page)
    page.get_by_role("link", name="To the project").click()
    wanted(page)
    expect(page.get_by_text("2 tasks × 10 = at most 20 answers")).to_be_visible()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Published")).to_be_visible()
    page.get_by_role("link", name="/p/old-letters").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Old letters")
    page.go_back()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused")).to_be_visible()


def test_tagging_and_marking_with_a_zip_tasks_and_failed_rows(
    site: Site, visit: Callable[..., Page], worker: None, material: Path
) -> None:
    page = sign_in(site, visit)
    for kind, example, slug in (
        ("tagging", 0, "plates-of-1910"),
        ("marking", 0, "plates-of-1910-2"),
    ):
        page.goto(f"/owner/new/{kind}?example={example}")
        page.get_by_label("Name of the project").fill("Plates of 1910")
        page.get_by_role("button", name="Save the draft").click()
        page.wait_for_url(f"**/projects/{slug}/upload")
        upload(page, material / "plates.zip")
        expect(page.get_by_role("cell", name="plate-9.png")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download as CSV").click()
        assert "plate-9.png" in download.value.path().read_text()
        page.get_by_role("link", name="See the tasks").click()
        expect(page.get_by_role("row")).to_have_count(5)
        expect(page.get_by_role("img")).to_have_count(0)  # decoration: the row's name says which it is
        picture = page.locator("img.thumb").first
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        page.get_by_role("link", name="Preview").click()
        page.wait_for_selector("body[data-ready]")
        page.get_by_role("button", name="I can’t tell").click()
        expect(page.get_by_text("nothing was sent")).to_be_visible()
        page.get_by_role("link", name="Back to the project").click()
        page.get_by_role("button", name="Publish").click()
        expect(page.get_by_text("Published")).to_be_visible()
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (0,)


def test_an_owners_form_without_javascript(site: Site, visit: Callable[..., Page], material: Path) -> None:
    page = sign_in(site, visit, java_script_enabled=False)
    page.goto("/owner/new/tagging")
    page.get_by_label("Name of the project").fill("Plain")
    page.locator("[name='config.tags.0.label']").fill("Dunes")
    page.get_by_role("button", name="Add").click()
    page.locator("[name='config.tags.1.label']").fill("Channels")
    page.get_by_role("button", name="Remove Tags 1").click()
    expect(page.locator("[name='config.tags.0.label']")).to_have_value("Channels")
    page.get_by_role("button", name="Save the draft").click()
    page.wait_for_url("**/projects/plain/upload")
    page.get_by_label("Files", exact=True).set_input_files(material / "lines.csv")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url("**/batches/*")
    expect(page.get_by_text("Looking through your upload")).to_be_visible()


def seen(site: Site, made: builders.ProjectRow) -> int:
    """One of the tasks with marks of three people, a consensus, and a place in a big image."""
    mark = {"x": 120, "y": 90, "r": 30, "class": "fresh"}
    with site.db.connection() as connection:
        row = connection.execute(
            "UPDATE task_content"
            " SET source = 'plate', source_x = 0, source_y = 0, source_media_id = media_ids[1]"
            " WHERE task_id = (SELECT min(id) FROM task WHERE project_id = %s) RETURNING task_id",
            (made.id,),
        ).fetchone()
    assert row is not None
    builders.answers(site, made, row[0], [{"marks": [mark]}, {"marks": [mark | {"x": 125}]}, {"marks": []}])
    aggregate.aggregate(site, made.id)
    return int(row[0])


@pytest.mark.parametrize("screen", [PHONE, DESKTOP | {"color_scheme": "dark"}], ids=["phone", "dark"])
def test_axe_finds_nothing_on_the_other_pages(site: Site, visitors: Visitors, screen: dict[str, Any]) -> None:
    made = scene.craters(site, 3)
    task = seen(site, made)
    visitors.expected = ("403",)  # the console notes the page of the spent link
    token = accounts.create_owner(site, "ada@example.org")
    page = visitors.open("/owner/sign-in/no-such-link", **screen)
    wanted(page)
    page.goto("/owner/sign-in")
    wanted(page)
    page.goto(f"/owner/sign-in/{token}")
    wanted(page)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/owner/")
    wanted(page)
    paths = ["/owner/account", "/owner/new/marking?example=0", "/owner/new/question?example=1"]
    paths += [
        f"/owner/projects/{made.slug}{end}"
        for end in ("", "/edit", "/tasks", "/reports", "/upload", "/preview")
    ]
    paths += [f"/owner/projects/{made.slug}/dashboard"]
    paths += [f"/research/{made.slug}{end}" for end in ("", "/code-book", "/tasks?order=number")]
    paths += [f"/research/{made.slug}/tasks/{task}", f"/research/{made.slug}/sources/plate"]
    for path in paths:
        page.goto(path)
        wanted(page)


def test_switches_hide_what_lies_on_the_image_without_javascript(site: Site, visitors: Visitors) -> None:
    made = scene.craters(site, 1)
    task = seen(site, made)
    page = sign_in(site, visitors.open, java_script_enabled=False)
    page.goto(f"/research/{made.slug}/tasks/{task}")
    for label, drawn in (
        ("Consensus", ".agreed .over circle"),
        ("How sure: 95 % of place and size", ".rings"),
        ("Every volunteer", ".crowd .who-1 circle"),
    ):
        shape = page.locator(f".marks {drawn}").first
        expect(shape).to_be_visible()
        page.get_by_label(label, exact=True).uncheck()
        expect(shape).to_be_hidden()
        page.get_by_label(label, exact=True).check()
    page.locator("#who-0").uncheck()
    expect(page.locator(".crowd .who-0 circle")).to_be_hidden()
    expect(page.locator(".crowd .who-1 circle")).to_be_visible()
