"""Pictures of every screen of the volunteer's side, phone and desktop, light and dark, English and Arabic.

`PYTHONPATH=tests python tests/browser/screenshots.py [FOLDER]` starts a site of its own and writes
`<screen>-<device>-<scheme>-<language>.png`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import scene
from playwright.sync_api import Page, sync_playwright
from visitors import DESKTOP, PHONE, find_chromium

from microtasks.engine.site import Site, open_site
from microtasks.local import servers
from microtasks.settings import Settings
from microtasks.store import tables

DEVICES = {"phone": PHONE, "desktop": DESKTOP}
SCHEMES = ("light", "dark")
LANGUAGES = ("en", "ar")


@contextlib.contextmanager
def own_site() -> Iterator[Site]:
    """A site with servers and data of its own, gone at the end."""
    base = Path(tempfile.mkdtemp(prefix="mt"))
    base.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        postgres, database_url = servers.start_postgres(base / "pg", for_tests=True)
        stack.callback(servers.stop, postgres)
        valkey, redis_url = servers.start_valkey(base / "vk", for_tests=True)
        stack.callback(servers.stop, valkey)
        site = open_site(
            Settings(database_url=database_url, redis_url=redis_url, data=base / "data", secret_key="s" * 32)
        )
        stack.callback(site.close)
        tables.metadata.create_all(site.db.engine)
        yield site


def furnish(site: Site) -> None:
    scene.craters(site, 8, redundancy=100)
    scene.landforms(site, 8, redundancy=100)
    scene.sentences(site, 8, redundancy=100)
    scene.sentences(site, 8, scene.FULL_FORM, slug="form", name="A page of a log, in full", redundancy=100)
    scene.sentences(site, 1, slug="resting", state="paused")


def go(path: str) -> Callable[[Page], None]:
    return lambda page: _open(page, path)


def _open(page: Page, path: str) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")


def mark(page: Page) -> None:
    """Some circles, the last one chosen."""
    _open(page, "/p/craters/work?minutes=5")
    box = page.locator("[data-canvas]").bounding_box()
    assert box is not None
    side = min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    for x, y, r in ((0.88, 0.16, 0.07), (0.49, 0.39, 0.035), (0.32, 0.62, 0.04), (0.17, 0.54, 0.025)):
        page.mouse.move(left + x * side, top + y * side)
        page.mouse.down()
        page.mouse.move(left + (x - r) * side, top + y * side, steps=3)
        page.mouse.up()
    page.wait_for_timeout(100)


def report(page: Page) -> None:
    _open(page, "/p/landforms/work")
    page.locator("[popovertarget=report]").first.click()


def end(page: Page) -> None:
    for _ in range(2):
        mark(page)
        before = page.locator("#work input[name=_lease]").input_value()
        page.locator("#done").click()
        page.wait_for_function(
            "before => document.querySelector('#work input[name=_lease]').value !== before", arg=before
        )
    page.wait_for_load_state("networkidle")
    _open(page, "/p/craters/thanks")


def tag(page: Page) -> None:
    _open(page, "/p/landforms/work")
    page.locator(".chip").nth(1).click()


SCREENS: dict[str, Callable[[Page], None]] = {
    "home": go("/"),
    "project": go("/p/craters"),
    "question": go("/p/log/work"),
    "form": go("/p/form/work"),
    "tagging": tag,
    "marking": mark,
    "report": report,
    "thanks": end,
    "paused": go("/p/resting/work"),
    "lost": go("/p/nothing"),
}


def main(folder: Path) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    program = find_chromium()
    if program is None:
        sys.exit("NO BROWSER: install chromium, or set CHROMIUM to its path")
    with own_site() as site, sync_playwright() as playwright:
        furnish(site)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with scene.live(site) as address:
            for (device, screen), scheme, language in itertools.product(DEVICES.items(), SCHEMES, LANGUAGES):
                context = browser.new_context(
                    base_url=address, locale=language, color_scheme=scheme, **screen
                )
                page = context.new_page()
                for name, show in SCREENS.items():
                    show(page)
                    page.screenshot(path=folder / f"{name}-{device}-{scheme}-{language}.png")
                context.close()
        browser.close()
    print(f"{folder}: {len(list(folder.glob('*.png')))} pictures")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))
