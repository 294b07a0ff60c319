"""People with a browser each."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}


def find_chromium() -> str | None:
    """The browser's program, as the tests' root configuration finds it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@dataclass
class Visitors:
    """Opens browsers of their own; remembers what went wrong in any of them."""

    browser: Browser
    address: str
    contexts: list[BrowserContext] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    #: What a test expects to see in the console (a lost network is one).
    expected: tuple[str, ...] = ()

    def open(self, path: str = "/", **options: Any) -> Page:
        context = self.browser.new_context(base_url=self.address, **{"locale": "en", **DESKTOP, **options})
        context.set_default_timeout(20_000)
        self.contexts.append(context)
        return self._page(context, path)

    def again(self, page: Page, path: str) -> Page:
        """Open another tab of the same browser."""
        return self._page(page.context, path)

    def _page(self, context: BrowserContext, path: str) -> Page:
        page = context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.goto(path)
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in self.expected):
            self.troubles.append(f"{message.type}: {message.text}")
