"""A hundred visits of ten minutes by a driven browser: any errors, policy reports, lost or double answers?

`PYTHONPATH=tests python tests/browser/sessions.py [--sessions 100] [--seed 1]`, on a site of its own.

Each visit is a new browser on the three samples. It does as many tasks as a person does in ten minutes (the
pace is assumed, nothing is waited for), of all types, by mouse and keys, with "I can't tell", skips, reports,
corrections of the last answer, reloads, and moments without a network. What it pressed is then compared with
the rows of the database, task by task. Exit 1 unless everything is 0.
"""

from __future__ import annotations

import argparse
import logging
import random
import struct
import sys
import time
from base64 import urlsafe_b64decode
from collections import Counter
from typing import Any

import scene
import screenshots
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from visitors import DESKTOP, PHONE, find_chromium

from microtasks.engine.operations import samples
from microtasks.engine.site import Site

VISIT_SECONDS = 600
#: Seconds that a person takes for a task (assumed).
PACE = {"question": 8.0, "tagging": 14.0, "marking": 35.0}
#: How often something else than an answer happens, in 1,000 tasks.
CANT_TELL, EMPTY, SKIP, REPORT, BACK, RELOAD, OFFLINE = 40, 40, 30, 5, 25, 25, 20
CUT_OFF = "ERR_INTERNET_DISCONNECTED"  # said while the network is cut off on purpose
# The page's own events: what the content policy blocks is reported to the document, too.
COUNT_REPORTS = (
    "addEventListener('securitypolicyviolation', it => console.error('CSP ' + it.violatedDirective))"
)
LEASE = "#work input[name=_lease]"
Said = tuple[str, Any]  # kind; the choice of a question


class Visit:
    """One person: what they pressed, by task, and what went wrong."""

    def __init__(self, page: Page, rng: random.Random) -> None:
        self.page, self.rng = page, rng
        self.pressed: dict[int, Said] = {}
        self.counts: Counter[str] = Counter()
        self.troubles: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.troubles.append(f"page error: {error}"))
        page.on(
            "response", lambda it: self.troubles.append(f"{it.status} {it.url}") if it.status >= 500 else None
        )
        page.add_init_script(COUNT_REPORTS)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and CUT_OFF not in message.text:
            self.troubles.append(f"{message.type}: {message.text}")

    def go(self) -> None:
        """Work for ten minutes: one project after the other while there are tasks."""
        left = float(VISIT_SECONDS)
        slugs = [it.slug for it in samples.SAMPLES]
        self.rng.shuffle(slugs)
        for slug in slugs:
            self.page.goto(f"/p/{slug}/work?minutes=10")
            while left > 0 and self._is_at_work():
                kind = self.page.locator("#work").get_attribute("class") or ""
                left -= next(seconds for name, seconds in PACE.items() if name in kind)
                self._task()
        self.page.wait_for_function("() => !Object.keys(localStorage).some(it => it.startsWith('mt:out:'))")

    def _is_at_work(self) -> bool:
        if self.page.locator(LEASE).count() == 0:
            return False
        self.page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
        return True

    def _task(self) -> None:
        """One task, in one of the ways in which people leave it."""
        chance = self.rng.randrange(1000)
        for name, share in (("reload", RELOAD), ("back", BACK), ("offline", OFFLINE)):
            chance -= share
            if chance < 0:
                self.counts[name] += 1
                getattr(self, f"_{name}")()
                return
        self._leave(chance)

    def _leave(self, chance: int) -> None:
        page, task = self.page, self._task_id()
        before = page.locator(LEASE).input_value()
        empty = page.locator(".act [value=empty]")
        if chance < CANT_TELL:
            self._press(page.locator(".act [value=cant_tell]"), "c")
            self.pressed[task] = ("cant_tell", None)
        elif chance < CANT_TELL + SKIP:
            self._press(page.locator(".act [value=skip]"), "s")
        elif chance < CANT_TELL + SKIP + REPORT:
            page.locator("[popovertarget=report]").first.click()
            page.locator("#report-form .primary").click()
        elif chance < CANT_TELL + SKIP + REPORT + EMPTY and empty.count():
            self._press(empty, "n")
            self.pressed[task] = ("empty", None)
        else:
            self.pressed[task] = ("value", self._answer())
        self._next(before)

    def _answer(self) -> Any:
        """Fill in an answer and send it; return the choice of a question."""
        page, rng = self.page, self.rng
        if page.locator("[data-one-tap]").count():
            choices = page.locator("button[data-choice]")
            nth = rng.randrange(choices.count())
            value = choices.nth(nth).get_attribute("value")
            self._press(choices.nth(nth), str(nth + 1))
            return value
        if page.locator("[data-canvas]").count():
            box = page.locator("[data-canvas]").bounding_box()
            assert box is not None
            for _ in range(rng.randint(1, 3)):
                x = box["x"] + box["width"] * rng.uniform(0.3, 0.6)
                y = box["y"] + box["height"] * rng.uniform(0.35, 0.6)
                page.mouse.move(x, y)
                page.mouse.down()
                page.mouse.move(x + rng.uniform(20, 40), y + 5, steps=2)
                page.mouse.up()
        else:
            chips = page.locator(".chip:has([name=tags])")
            for nth in rng.sample(range(chips.count()), rng.randint(1, min(3, chips.count()))):
                chips.nth(nth).click()
        self._press(page.locator("#done"), "Enter")
        return None

    def _press(self, button: Any, key: str) -> None:
        if self.rng.random() < 0.3 and not self.page.evaluate(
            "document.activeElement.matches('input, button')"
        ):
            self.page.wait_for_selector("body:not(:has(.fresh))")
            self.page.keyboard.press(key)
        else:
            button.click()

    def _next(self, before: str) -> None:
        """Wait for another task, or for the page that says why there is none."""
        self.page.wait_for_function(
            "([at, before]) => document.querySelector(at)?.value !== before", arg=[LEASE, before]
        )

    def _reload(self) -> None:
        self.page.reload()

    def _back(self) -> None:
        """Change the last answer, where there is one: into "I can't tell"."""
        page = self.page
        if not page.locator("#back").is_visible():
            return
        page.locator("#back").click()
        page.wait_for_url("**/last/1")
        page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
        task = self._task_id()
        page.locator(".act [value=cant_tell]").click()
        page.wait_for_function(
            "() => !location.pathname.includes('/last/') || document.getElementById('wrong').textContent"
        )
        page.wait_for_timeout(50)  # for what the console says
        if "/last/" not in page.url:
            self.pressed[task] = ("cant_tell", None)
            return
        # They were told what is right: that answer stays. The browser notes the refusal in its console.
        self.counts["refused"] += 1
        self.troubles = [it for it in self.troubles if "status of 400" not in it]
        page.goto(page.url.split("/last/")[0] + "/work")

    def _offline(self) -> None:
        """Answer once without a network, where a next task lies ready."""
        page = self.page
        try:
            page.wait_for_selector("body[data-queued='1']", timeout=2_000)
        except Exception:  # the last task: nothing comes after it
            return
        page.context.set_offline(True)
        self._leave(999)
        page.context.set_offline(False)
        page.evaluate("dispatchEvent(new Event('online'))")

    def _task_id(self) -> int:
        """The task that is shown: it stands in its lease."""
        sealed = self.page.locator(LEASE).input_value()
        return int(struct.unpack(">qq", urlsafe_b64decode(sealed + "==")[:16])[1])


def compared(site: Site, pressed: dict[int, Said], known: set[Any]) -> Counter[str]:
    """Compare what one person pressed with their rows; `known`: the people of earlier visits."""
    with site.db.connection() as connection:
        rows = connection.execute(
            "SELECT contributor_id, task_id, kind, value FROM answer WHERE contributor_id <> ALL(%s)",
            (list(known),),
        ).fetchall()
    known.update(who for who, *_ in rows)
    stored = {task: (kind, (value or {}).get("answer")) for _, task, kind, value in rows}
    found = Counter(answers=len(rows), people=len({who for who, *_ in rows}))
    found["lost"] = len(pressed.keys() - stored.keys())
    found["double or not pressed"] = len(rows) - len(pressed.keys() & stored.keys())
    found["other than pressed"] = sum(
        stored[task] != said for task, said in pressed.items() if task in stored
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    program = find_chromium()
    if program is None:
        sys.exit("NO BROWSER: install chromium, or set CHROMIUM to its path")
    total: Counter[str] = Counter()
    troubles: list[str] = []
    known: set[Any] = set()
    began = time.monotonic()
    with sync_playwright() as playwright, screenshots.own_site() as site, scene.live(site) as address:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        furnish(site)
        for number in range(options.sessions):
            visit = run(browser, address, random.Random(options.seed * 1_000 + number))
            troubles += visit.troubles
            for line in visit.troubles:
                print(f"visit {number + 1}: {line}", file=sys.stderr, flush=True)
            total += visit.counts + compared(site, visit.pressed, known)
            if (number + 1) % 10 == 0:
                print(f"{number + 1} visits: {dict(total)}, {len(troubles)} troubles", file=sys.stderr)
        browser.close()
    reports = [it for it in troubles if "CSP" in it or "Content Security Policy" in it]
    print(
        f"visits {options.sessions}, people {total['people']}, answers {total['answers']}, "
        f"{time.monotonic() - began:.0f} s; corrections {total['back']}, reloads {total['reload']}, "
        f"answers without a network {total['offline']}"
    )
    told = {
        "console and page errors": len(troubles) - len(reports),
        "policy reports": len(reports),
        **{name: total[name] for name in ("lost", "double or not pressed", "other than pressed")},
    }
    for name, n in told.items():
        print(f"{name}: {n}")
    return int(any(told.values()))


def furnish(site: Site) -> None:
    """The samples, each task with room for everybody."""
    samples.seed(site)
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE project SET redundancy = 1000, answers_min = 1000, stop_rule = 'redundancy'"
        )
        connection.execute("UPDATE task SET redundancy = 1000")


def run(browser: Browser, address: str, rng: random.Random) -> Visit:
    screen = rng.choice([PHONE, DESKTOP])
    context = browser.new_context(base_url=address, locale=rng.choice(["en", "ar", "fr", "es"]), **screen)
    context.set_default_timeout(15_000)
    visit = Visit(context.new_page(), rng)
    try:
        visit.go()
    except Exception as error:  # one visit that hangs must not end the others
        visit.troubles.append(f"gave up: {error}")
    context.close()
    return visit


if __name__ == "__main__":
    sys.exit(main())
