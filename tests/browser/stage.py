"""The picture of a marking task on the screen."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

# The stage follows a change of the page (a line that comes or goes) two frames later: a hand waits until
# the picture rests, so it looks three times.
AT_REST = """() => new Promise(done => {
  let before, times = 0;
  const look = () => {
    const box = document.querySelector("[data-canvas]").getBoundingClientRect();
    const view = document.querySelector("[data-scene]").getAttribute("transform")
      ?.match(/[-\\d.e]+/g).slice(-6);
    const now = view && [+view[0], box.left + +view[4], box.top + +view[5]];
    times = now && String(now) === String(before) ? times + 1 : 0;
    before = now;
    if (times < 3) requestAnimationFrame(look); else done(now);
  };
  look();
})"""


class Stage:
    """The picture on the screen, and the way from its pixels to the screen's."""

    def __init__(self, page: Page) -> None:
        page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
        self.page = page

    def matrix(self) -> tuple[float, float, float]:
        """(scale, x, y) of the picture on the page."""
        scale, left, top = self.page.evaluate(AT_REST)
        return scale, left, top

    def at(self, x: float, y: float) -> tuple[float, float]:
        scale, left, top = self.matrix()
        return left + x * scale, top + y * scale

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=5)
        self.page.mouse.up()

    def marks(self) -> list[dict[str, Any]]:
        """What the draft on the device holds, once it is written."""
        self.page.wait_for_timeout(320)
        drafts = self.page.evaluate(
            "Object.entries(localStorage).filter(([key]) => key.startsWith('mt:draft:'))"
            ".map(([, it]) => JSON.parse(it))"
        )
        return list(drafts[0]["marks"]) if drafts else []
