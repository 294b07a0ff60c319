"""A live site and a Chromium: console errors, page errors and policy reports fail a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import scene
from playwright.sync_api import Browser, Page, sync_playwright
from visitors import Visitors, find_chromium

from microtasks.engine.site import Site


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = find_chromium()
    assert program, "NO BROWSER: install chromium, or set CHROMIUM to its path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    """The site over HTTP."""
    with scene.live(site) as address:
        yield address


@pytest.fixture
def visitors(chromium: Browser, address: str) -> Iterator[Visitors]:
    everybody = Visitors(chromium, address)
    yield everybody
    for context in everybody.contexts:
        context.close()
    assert everybody.troubles == []


@pytest.fixture
def visit(visitors: Visitors) -> Callable[..., Page]:
    """`visit("/path", **context options)`: a page in a new browser of its own."""
    return visitors.open
