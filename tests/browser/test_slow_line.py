"""What a bad line and an old phone get: 400 kbit/s, 400 ms, a processor six times slower; data that is saved.

Times depend on the machine, so the best of several counts; beside each stands what cannot vary: bytes,
requests and round trips.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import scene
from playwright.sync_api import CDPSession, Page
from visitors import PHONE, Visitors

from microtasks.engine.site import Site

pytestmark = pytest.mark.browser

LATENCY_MS, BITS_PER_SECOND, SLOWER = 400, 400_000, 6
USABLE_MS, NEXT_MS = 2_000, 100
TRIES = 3

# When the task could be answered, and what the browser had asked for until then.
FIRST_TASK = """() => new Promise(done => {
    const look = () => {
        const usable = performance.getEntriesByName("usable")[0]?.startTime;
        if (!usable) return setTimeout(look, 100);
        const page = performance.getEntriesByType("navigation")[0];
        const files = performance.getEntriesByType("resource")
            .filter(it => it.startTime < usable && it.name.includes("/static/"));
        done({usable, files: files.length,
              bytes: [page, ...files].reduce((sum, it) => sum + it.transferSize, 0),
              // Trips one after the other: a file asked for only when another was there makes one more.
              trips: 2 + files.some(it => files.some(other => other.responseEnd < it.startTime))});
    };
    look();
})"""

# From the press of Done until the next picture is painted.
NEXT_TASK = """() => new Promise(done => {
    const lease = () => document.querySelector("#work input[name=_lease]").value;
    const before = lease(), start = performance.now();
    const look = () => {
        const picture = document.querySelector("[data-pictures] img, .board > img");
        if (performance.now() - start > 30000) return done(Infinity); // never: a fault, not a page that hangs
        if (lease() === before || !picture.complete) return requestAnimationFrame(look);
        requestAnimationFrame(() => done(performance.now() - start)); // the frame with it has been drawn
    };
    document.getElementById("done").click();
    look();
})"""


def slow(page: Page) -> CDPSession:
    line = page.context.new_cdp_session(page)
    bytes_per_second = BITS_PER_SECOND / 8
    line.send("Network.enable")
    line.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY_MS,
            "downloadThroughput": bytes_per_second,
            "uploadThroughput": bytes_per_second,
        },
    )
    line.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    line.send("Performance.enable", {"timeDomain": "threadTicks"})
    return line


def processor_ms(line: CDPSession) -> float:
    """Milliseconds that the page's thread has used of a processor, the slowing down included."""
    metrics = {it["name"]: it["value"] for it in line.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"]) * 1000


@pytest.mark.parametrize("slug", ["craters", "landforms", "log"])
def test_on_a_slow_line_the_first_task_is_usable_in_two_seconds(
    site: Site, visitors: Visitors, slug: str
) -> None:
    visitors.expected = ("blocked by Playwright",)
    made: dict[str, Callable[..., Any]] = {
        "craters": scene.craters,
        "landforms": scene.landforms,
        "log": scene.sentences,
    }
    made[slug](site, 2, redundancy=30)
    on_a_quiet_machine, here = [], []
    for _ in range(TRIES):  # each time a browser that has never been here
        page = visitors.open("about:blank", service_workers="block", **PHONE)
        line = slow(page)
        page.goto(f"/p/{slug}/work", wait_until="commit")
        told = page.evaluate(FIRST_TASK)
        spent = processor_ms(line)
        page.context.close()
        assert told["bytes"] <= 30_000 and told["files"] <= 4 and told["trips"] == 2, told
        on_a_quiet_machine.append(told["trips"] * LATENCY_MS + told["bytes"] * 8000 / BITS_PER_SECOND + spent)
        here.append(told["usable"])
        print(slug, told, f"processor {spent:.0f} ms, quiet {on_a_quiet_machine[-1]:.0f} ms")
        if here[-1] <= USABLE_MS:
            break
    # The parts one after the other, by what the page itself uses: the same however busy this machine is.
    assert min(on_a_quiet_machine) <= USABLE_MS
    assert min(here) <= 2 * USABLE_MS


@pytest.mark.parametrize("slug", ["craters", "landforms"])
def test_the_next_picture_is_on_the_screen_within_a_tenth_of_a_second(
    site: Site, visit: Callable[..., Page], slug: str
) -> None:
    (scene.craters if slug == "craters" else scene.landforms)(site, TRIES + 2)
    page = visit(f"/p/{slug}/work", **PHONE)
    waited = []
    for _ in range(TRIES):
        page.wait_for_selector("body[data-queued='1']:not(:has(.fresh))")  # too soon, Done does nothing
        page.wait_for_load_state("networkidle")
        page.locator("[data-canvas], .chip").first.click()
        waited.append(page.evaluate(NEXT_TASK))
    print(slug, [round(it) for it in waited])
    assert min(waited) <= NEXT_MS


@pytest.mark.parametrize("saves", [False, True])
def test_who_saves_data_gets_no_picture_ahead(site: Site, visitors: Visitors, saves: bool) -> None:
    scene.landforms(site, 2)
    visitors.expected = ("blocked by Playwright",)
    page = visitors.open("about:blank", service_workers="block", **PHONE)
    if saves:
        page.add_init_script(
            "Object.defineProperty(navigator, 'connection', {value: {saveData: true, addEventListener() {}}})"
        )
    pictures: list[str] = []
    page.on("request", lambda it: pictures.append(it.url) if "/media/" in it.url else None)
    page.goto("/p/landforms/work")
    page.wait_for_selector("body[data-queued='1']")
    page.wait_for_load_state("networkidle")
    assert len(set(pictures)) == (1 if saves else 2)
