"""A live site and a Chromium: console errors, page errors and policy reports fail a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import scene
from playwright.sync_api import Browser, Page, expect, sync_playwright
from visitors import Visitors, find_chromium

from microtasks.engine.operations import jobs
from microtasks.engine.site import Site
from microtasks.store import jobs as waiting

expect.set_options(timeout=15_000)  # other tests run beside these; who waits longer loses nothing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Walk once more what failed in a browser: on a full machine one may miss its moment.

    The summary names each walk that needed it (`RERUN`); one that fails twice fails.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))


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


@pytest.fixture
def worker(site: Site) -> Iterator[None]:
    """A worker's loop in a thread: the same jobs, without a process."""
    is_over = threading.Event()

    def loop() -> None:
        while not is_over.wait(0.1):
            with site.db.connection() as connection:
                found = waiting.waiting(connection, site.settings.job_stale_seconds)
            for job in found:
                jobs.run(site, job)

    thread = threading.Thread(target=loop)
    thread.start()
    yield
    is_over.set()
    thread.join()
