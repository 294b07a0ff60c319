"""The owner of the real case, in a browser on the site's pages: from the sign-in link to the whole image."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

NAME = "Mars craters, real students"
SCREEN = {"width": 1280, "height": 800}
#: What a picture holds: from the crumbs above the image to the line below it, with a margin in CSS pixels.
FRAME = """() => {
  const [top, end] = [document.querySelector(".explore"), document.querySelector(".sheet-of ~ p.muted")];
  const [from, to] = [top.getBoundingClientRect(), end.getBoundingClientRect()];
  return {x: from.x - 20, y: from.y + scrollY - 20, width: from.width + 40, height: to.bottom - from.y + 30};
}"""
PATIENCE_MS = 120_000  # images are prepared, and the consensus is made, while the owner waits


class Owner:
    """One person at a desktop. A context. base: the site's address; slug: the project, once it is made."""

    def __init__(self, link: str) -> None:
        """link: the one-time sign-in link."""
        self._link, self.base = link, link.partition("/owner/")[0]
        self.slug = ""

    def __enter__(self) -> Owner:
        program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        self._page: Page = self._browser.new_page(base_url=self.base, viewport=SCREEN)
        self._page.goto(self._link)
        self._page.get_by_role("main").get_by_role("button", name="Sign in").click()
        self._page.wait_for_url("**/owner/")
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._playwright.stop()

    def make_project(self) -> None:
        """From the template of craters; the students told no classes apart, and marked the smallest, too."""
        page = self._page
        page.get_by_role("link", name="New project").first.click()
        page.get_by_role("link", name="Craters on another world").click()
        page.get_by_label("Name of the project").fill(NAME)
        self._go_on()
        page.wait_for_url("**/setup/task")
        self.slug = page.url.split("/projects/")[1].split("/")[0]
        while (remove := page.get_by_role("button", name="Remove Classes")).count():
            remove.first.click()
        page.get_by_label("Smallest diameter").fill("1")
        page.get_by_label("Most marks").fill("2000")
        self._go_on()

    def upload(self, images: Sequence[Path], tile_px: int, overlap_px: int) -> int:
        """Bring the images, look at the tiles, make the tasks; return how many."""
        page = self._page
        page.wait_for_url("**/upload")
        page.get_by_label("Files", exact=True).set_input_files([str(path) for path in images])
        page.get_by_role("button", name="Upload", exact=True).click()
        expect(page.get_by_text(f"{len(images)} tasks can be made")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_label("Side of a tile").fill(str(tile_px))
        page.get_by_label("Overlap").fill(str(overlap_px))
        page.get_by_role("button", name="Show the tiles").click()
        expect(page.locator("svg rect").first).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("button", name="Make the tasks").click()
        expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=PATIENCE_MS)
        made = page.locator("[data-count=n_tasks]").inner_text()
        page.get_by_role("link", name="Go on", exact=True).click()
        return int(made.replace(",", ""))

    def launch(self, redundancy: int) -> None:
        """So many answers a task, then publish."""
        self._page.get_by_label("Answers per task").fill(str(redundancy))
        self._go_on()
        self._page.get_by_role("button", name="Publish").click()
        expect(self._page.get_by_text("Published", exact=True)).to_be_visible()

    def table(self, what: str) -> list[dict[str, str]]:
        """One table of the page of results, downloaded as CSV."""
        answer = self._page.request.get(f"/research/{self.slug}/export/{what}.csv")
        if not answer.ok:
            raise SystemExit(f"{what}: {answer.status} {answer.text()[:200]}")
        return list(csv.DictReader(io.StringIO(answer.text().removeprefix("\ufeff"))))

    def wait_for_consensus(self, n_tasks: int) -> None:
        """Look at the results until each task has one; the site's worker makes them."""
        for _ in range(PATIENCE_MS // 1000):
            if len({row["task"] for row in self.table("consensus") if row["reducer"]}) == n_tasks:
                return
            self._page.wait_for_timeout(1000)
        raise SystemExit("The consensus does not come: is the worker running?")

    def look_at_whole(self, source: str, picture: Path | None) -> None:
        """Walk from the explorer's tiles to the whole image; keep a picture of it where one is wanted."""
        page = self._page
        page.goto(f"/research/{self.slug}/tasks?order=number")
        while not (tile := page.locator("a.cell", has_text=source).first).count():
            page.get_by_role("link", name="Next page").click()
        tile.click()
        page.get_by_role("link", name=source, exact=True).click()
        expect(page.get_by_role("heading", name=source)).to_be_visible()
        page.wait_for_load_state("networkidle")
        if picture:
            shot = page.screenshot(full_page=True, clip=page.evaluate(FRAME))
            Image.open(io.BytesIO(shot)).convert("RGB").save(picture, quality=60, method=6)

    def _go_on(self) -> None:
        self._page.get_by_role("button", name="Save and go on").click()
