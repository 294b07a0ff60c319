"""Pictures of every screen, phone and desktop, light and dark, English and Arabic; the owner's in English.

`PYTHONPATH=tests python tests/browser/screenshots.py [FOLDER]` starts sites of its own and writes
`<screen>-<device>-<scheme>-<language>.png`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import scene
from playwright.sync_api import Browser, Page, sync_playwright
from stage import Stage
from visitors import DESKTOP, PHONE, find_chromium

from microtasks.cli import simulate as volunteers
from microtasks.engine.accounts import accounts
from microtasks.engine.operations import samples, simulate
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site, open_site
from microtasks.local import servers
from microtasks.settings import Settings
from microtasks.store import tables
from microtasks.store.projects import projects

DEVICES = {"phone": PHONE, "desktop": DESKTOP}
SCHEMES = ("light", "dark")
LANGUAGES = ("en", "ar")
OWNERS = ("owner", "results", "code", "explorer")  # taken in their whole length
OWNER, OWNED = "ada@example.org", "craters-on-a-plain"


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
    scene.poll(site, redundancy=1000)
    scene.lines(site, 8, redundancy=100)


def go(path: str) -> Callable[[Page], None]:
    return lambda page: _open(page, path)


def _open(page: Page, path: str) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")


def mark(page: Page) -> None:
    """Circles around the greatest craters of the first picture, the last one chosen."""
    _open(page, "/p/craters/work?minutes=5")
    stage = Stage(page)
    known = json.loads(scene.rows("craters")[0]["#truth"])["marks"]
    free = [crater for crater in known if crater["x"] < 500]  # not below the tools
    for crater in sorted(free, key=lambda crater: -float(crater["r"]))[:4]:
        x, y, reach = crater["x"], crater["y"], crater["r"] * 0.7
        stage.drag((x, y), (x - reach, y + reach))
    page.wait_for_timeout(300)


def report(page: Page) -> None:
    _open(page, "/p/landforms/work")
    page.locator("[popovertarget=report]").first.click()
    page.wait_for_timeout(300)


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


def me(page: Page) -> None:
    """What a volunteer gave, and what is kept of them."""
    end(page)
    _open(page, "/me")


def certificate(page: Page) -> None:
    end(page)
    _open(page, "/certificate")
    page.locator("#name").fill("محمد الأمين")
    page.locator("main form button").click()


def tag(page: Page) -> None:
    _open(page, "/p/landforms/work")
    page.locator(".chip").first.click()
    page.mouse.move(5, 5)
    page.wait_for_timeout(300)  # until colours have changed


def poll(page: Page) -> None:
    """The result of one answer beside the next."""
    _open(page, "/p/poll/work")
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    page.locator("button[data-choice]").nth(1).click()
    page.wait_for_selector("[data-poll]")
    page.wait_for_timeout(300)


def offline(page: Page) -> None:
    """A task page that was loaded again without a connection."""
    _open(page, "/p/log/work")
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    page.wait_for_function("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
    page.wait_for_timeout(300)
    page.context.set_offline(False)


SCREENS: dict[str, Callable[[Page], None]] = {
    "home": go("/"),
    "project": go("/p/craters"),
    "question": go("/p/log/work"),
    "form": go("/p/form/work"),
    "tagging": tag,
    "marking": mark,
    "report": report,
    "poll": poll,
    "transcription": go("/p/lines/work"),
    "offline": offline,
    "offline-other": go("/offline"),
    "thanks": end,
    "me": me,
    "keep": go("/keep"),
    "certificate": certificate,
    "teams": go("/teams"),
    "paused": go("/p/resting/work"),
    "lost": go("/p/nothing"),
}


OWNERS_SCREENS = {
    "owner-projects": "/owner/",
    "owner-new": "/owner/new",
    "owner-form": "/owner/projects/{slug}/edit",
    "owner-project": "/owner/projects/{slug}",
    "owner-upload": "/owner/projects/{slug}/upload",
    "owner-tasks": "/owner/projects/{slug}/tasks",
    "owner-reports": "/owner/projects/{slug}/reports",
    "owner-translations": "/owner/projects/{slug}/translations?language=fr",
    "owner-account": "/owner/account",
    "owner-mail": "/owner/mail",
    "owner-dashboard": "/owner/projects/{slug}/dashboard",
    "owner-quality": "/owner/projects/{slug}/quality",
    "results": "/research/{slug}",
    "explorer": "/research/{slug}/tasks",
    "explorer-task": "/research/{slug}/tasks/{task}",
    "explorer-own": "/research/{slug}/tasks/{task}/own",
    "code-book": "/research/{slug}/code-book",
}


def finish(site: Site, address: str) -> None:
    """The sample projects, one of them nearly done by simulated volunteers."""
    samples.seed(site)
    right = simulate.known_truth(site, OWNED)
    people = simulate.volunteers(14, 0.85, 1)
    for person in people:
        volunteers._volunteer(address, OWNED, person, right, volunteers.Counts(), threading.Event())
    with site.db.session() as session:
        project = projects.by_slug(session, OWNED)
    aggregate.aggregate(site, project.id)


def first_task(site: Site) -> int:
    with site.db.session() as session:
        project = projects.by_slug(session, OWNED)
    with site.db.connection() as connection:
        row = connection.execute("SELECT min(id) FROM task WHERE project_id = %s", (project.id,)).fetchone()
    assert row is not None
    return int(row[0])


def take(page: Page, path: Path) -> None:
    page.screenshot(path=path, full_page=path.name.startswith(OWNERS))


def volunteers_side(browser: Browser, folder: Path) -> None:
    with own_site() as site, scene.live(site) as address:
        furnish(site)
        for (device, screen), scheme, language in itertools.product(DEVICES.items(), SCHEMES, LANGUAGES):
            context = browser.new_context(base_url=address, locale=language, color_scheme=scheme, **screen)
            page = context.new_page()
            for name, show in SCREENS.items():
                show(page)
                take(page, folder / f"{name}-{device}-{scheme}-{language}.png")
            context.close()


def owners_side(browser: Browser, folder: Path) -> None:
    with own_site() as site, scene.live(site) as address:
        accounts.create_owner(site, OWNER)
        finish(site, address)
        for (device, screen), scheme in itertools.product(DEVICES.items(), SCHEMES):
            context = browser.new_context(base_url=address, locale="en", color_scheme=scheme, **screen)
            page = context.new_page()
            page.goto("/owner/sign-in")
            take(page, folder / f"owner-sign-in-{device}-{scheme}-en.png")
            page.goto(f"/owner/sign-in/{accounts.create_owner(site, OWNER)}")
            page.get_by_role("main").get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/owner/")
            for name, path in OWNERS_SCREENS.items():
                _open(page, path.format(slug=OWNED, task=first_task(site)))
                take(page, folder / f"{name}-{device}-{scheme}-en.png")
            context.close()


def main(folder: Path) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    program = find_chromium()
    if program is None:
        sys.exit("NO BROWSER: install chromium, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        volunteers_side(browser, folder)
        owners_side(browser, folder)
        browser.close()
    print(f"{folder}: {len(list(folder.glob('*.png')))} pictures")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))
