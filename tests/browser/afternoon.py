"""An owner's afternoon, for each type of task: set up in steps, tried, launched, done, exported."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from axe import faults
from PIL import Image, ImageDraw
from playwright.sync_api import FrameLocator, Page, expect

from microtasks.cli import simulate as volunteers
from microtasks.engine.accounts import accounts
from microtasks.engine.operations import invariants, simulate
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site
from microtasks.store.projects import projects

N = 4  # tasks; each has a known answer, which the simulated volunteers are told


def clean(page: Page) -> None:
    assert faults(page) == []


# -- what is uploaded ------------------------------------------------------------------------------------


def lines(folder: Path) -> list[Path]:
    """A table of texts; the last row has an id that was there before."""
    rows = [f"r{n},A rustling in the dark ({n}),{'yes' if n % 2 else 'no'}\n" for n in range(N)]
    (folder / "lines.csv").write_text("id,text,gold_animal\n" + "".join(rows) + "r0,Once more,no\n")
    return [folder / "lines.csv"]


def picture(n: int) -> bytes:
    image = Image.new("RGB", (160, 120), (150, 140, 130 + n))
    ImageDraw.Draw(image).ellipse((60 - n, 40 - n, 90 + n, 70 + n), fill=(90, 80, 70))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def table(gold: Callable[[int], dict[str, Any]]) -> str:
    return json.dumps([{"id": f"r{n}", "image": f"{n}.png", "gold": gold(n)} for n in range(N)])


def images(folder: Path) -> list[Path]:
    """Single images, and the table that names them."""
    (folder / "table.json").write_text(table(lambda n: {"tags": ["dunes"]}))
    for n in range(N):
        (folder / f"{n}.png").write_bytes(picture(n))
    return [folder / "table.json", *(folder / f"{n}.png" for n in range(N))]


def packed(folder: Path) -> list[Path]:
    """A ZIP of images and their table; one more row names an image that is none."""
    rows = json.loads(table(lambda n: {"marks": [{"x": 75, "y": 55, "r": 15 + n, "class": "fresh"}]}))
    with zipfile.ZipFile(folder / "plates.zip", "w") as archive:
        for n in range(N):
            archive.writestr(f"{n}.png", picture(n))
        archive.writestr("plate-9.png", b"this is no image")
        archive.writestr("table.json", json.dumps([*rows, {"id": "r9", "image": "plate-9.png"}]))
    return [folder / "plates.zip"]


# -- how each type is begun ------------------------------------------------------------------------------


def from_template(page: Page, title: str) -> None:
    page.get_by_role("link", name=title).click()
    page.get_by_label("Name of the project").fill("An afternoon")
    clean(page)
    page.get_by_role("button", name="Save and go on").click()
    page.wait_for_url("**/an-afternoon/setup/task")


def one_choice_more(page: Page) -> None:
    """A row within a row of the form."""
    choices = page.locator("[data-rows='config.fields.0.choices']")
    choices.get_by_role("button", name="Add").click()
    choices.locator("[name='config.fields.0.choices.2.label']").fill("Only its tracks")


def tags_from_nothing(page: Page) -> None:
    """All on one page, rows added as they are needed; then the step with the preview."""
    page.get_by_text("From nothing, or from an example").click()
    page.get_by_role("link", name="Start empty Tagging").click()
    page.get_by_label("Name of the project").fill("An afternoon")
    for n, label in enumerate(("Dunes", "Channels", "Craters")):
        field = page.locator(f"[name='config.tags.{n}.label']")
        if not field.count():
            page.get_by_role("button", name="Add").click()
            expect(field).to_be_focused()
        field.fill(label)
    clean(page)
    page.get_by_role("button", name="Save the draft").click()
    page.wait_for_url("**/an-afternoon/upload")
    page.get_by_role("link", name="Task and wording").click()
    page.wait_for_url("**/an-afternoon/setup/task")


# -- from the tasks that are there to the next step ------------------------------------------------------


def go_on(page: Page) -> None:
    page.get_by_role("link", name="Go on", exact=True).click()


def of_a_table(page: Page) -> None:
    expect(page.get_by_text("is there already")).to_be_visible()
    go_on(page)


def of_pictures(page: Page) -> None:
    """The failed row as a file; the tasks with their images; a preview that sends nothing."""
    expect(page.get_by_role("cell", name="r9")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert "r9" in download.value.path().read_text()
    page.get_by_role("link", name="See the tasks").click()
    expect(page.get_by_role("row")).to_have_count(1 + N)
    expect(page.get_by_role("img")).to_have_count(0)  # decoration: the row's name says which it is
    thumb = page.locator("img.thumb").first
    assert thumb.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.get_by_role("link", name="Preview").click()
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    page.get_by_role("button", name="I can’t tell").click()
    expect(page.get_by_text("nothing was sent")).to_be_visible()
    page.get_by_role("link", name="Back to the project").click()
    page.get_by_role("navigation", name="Steps").get_by_role("link", name="Quality").click()


@dataclass(frozen=True)
class Kind:
    """One type of task. is_first: its walk lets axe look at the pages that are alike for all types."""

    name: str
    begin: Callable[[Page], None]
    label: str  # the field whose words are changed, in the step with the preview
    material: Callable[[Path], list[Path]]
    n_failed: int = 0
    word: Callable[[Page], None] = lambda page: None
    onward: Callable[[Page], None] = go_on
    is_first: bool = False


KINDS = (
    Kind(
        "question", partial(from_template, title="Is there an animal?"), "Question", lines, 1,
        word=one_choice_more, onward=of_a_table, is_first=True,
    ),
    Kind("tagging", tags_from_nothing, "Label", images),
    Kind(
        "marking", partial(from_template, title="Craters on another world"), "Label", packed, 1,
        onward=of_pictures,
    ),
)  # fmt: skip


# -- the walk --------------------------------------------------------------------------------------------


def walk(kind: Kind, site: Site, address: str, page: Page, folder: Path) -> None:
    """From an empty account to results in hand."""

    def look() -> None:
        if kind.is_first:
            clean(page)

    page.goto(f"/owner/sign-in/{accounts.create_owner(site, 'ada@example.org')}")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="No project yet")).to_be_visible()
    look()

    # 1. purpose, from a template or from nothing
    page.get_by_role("link", name="New project").first.click()
    expect(page.get_by_role("heading", name="What should volunteers do?")).to_be_visible()
    look()
    kind.begin(page)

    # 2. wording, with a preview that follows
    kind.word(page)
    page.get_by_label(kind.label, exact=True).first.fill("Something new")
    expect(page.get_by_text("Draft kept")).to_be_visible()
    phone: FrameLocator = page.frame_locator("iframe.phone")
    expect(phone.get_by_text("Something new").first).to_be_visible()
    clean(page)
    page.get_by_role("button", name="Save and go on").click()

    # 3. data: nothing is made of it before it was looked at
    page.wait_for_url("**/an-afternoon/upload")
    look()
    page.get_by_label("Files", exact=True).set_input_files(kind.material(folder))
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url("**/batches/*")
    expect(page.get_by_text(f"{N} tasks can be made")).to_be_visible()
    clean(page)
    page.get_by_role("button", name="Make the tasks").first.click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.locator("[data-count=n_failed]")).to_have_text(f"{kind.n_failed}")
    look()
    kind.onward(page)

    # 4. quality
    page.wait_for_url("**/an-afternoon/setup/quality")
    page.get_by_label("Answers per task").fill("3")
    if page.get_by_label("Stop").is_checked():
        page.get_by_label("… but not before").fill("2")
    look()
    page.get_by_role("button", name="Save and go on").click()
    page.wait_for_url("**/projects/an-afternoon")
    expect(page.get_by_text(f"{N} tasks × 3 =")).to_be_visible()

    # 5. a test run, whose answers are thrown away
    page.get_by_role("button", name="Test it yourself").click()
    page.wait_for_url("**/p/trial-*")
    expect(page.get_by_text("This is a trial")).to_be_visible()
    page.get_by_role("link", name="Start helping").click()
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    expect(page.get_by_text("Something new").first).to_be_visible()
    with page.expect_response("**/answers"):
        page.get_by_role("button", name="I can’t tell").click()
    page.goto("/owner/projects/an-afternoon")
    expect(page.get_by_text("You have tried it: 1 answer.")).to_be_visible()
    look()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Published")).to_be_visible()
    page.get_by_role("link", name="/p/an-afternoon").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("An afternoon")
    page.go_back()
    come(site, address)

    # 6. the dashboard, then every answer beside the consensus
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_text("Every task is done.")).to_be_visible()
    clean(page)
    page.get_by_role("link", name="Results").click()
    look()
    page.get_by_role("link", name="Explore results").click()
    expect(page.locator("a.cell")).to_have_count(N)
    look()
    page.locator("a.cell").first.click()
    expect(page.get_by_role("heading", name="r", exact=False).first).to_be_visible()

    # 7. a table, and the package; what was tried is in neither
    page.get_by_role("link", name="Results").first.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Answers: CSV", exact=True).click()
    content = download.value.path().read_text()
    assert content.count("\n") >= 2 * N and "cant_tell" not in content
    page.get_by_role("button", name="Prepare").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download an-afternoon").click()
    with zipfile.ZipFile(download.value.path()) as package:
        assert package.testzip() is None
        names = {Path(name).name for name in package.namelist()}
    assert {"datapackage.json", "README.md", "CITATION.cff"} <= names

    # and a rest
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    assert invariants.check(site) == []


def come(site: Site, address: str) -> None:
    """Three volunteers at once, through the public API; then the consensus, as the worker makes it."""
    right = simulate.known_truth(site, "an-afternoon")
    counts = volunteers.Counts()
    people = [
        threading.Thread(
            target=volunteers._volunteer,
            args=(address, "an-afternoon", person, right, counts, threading.Event()),
        )
        for person in simulate.volunteers(3, 1.0, 7)
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert not counts["errors"] and not counts["rejected"], counts.examples
    with site.db.session() as session:
        project = projects.by_slug(session, "an-afternoon")
        done = projects.progress(session, project.id)
    assert done["retired"] == N and done["contributors"] >= 2
    aggregate.aggregate(site, project.id)
