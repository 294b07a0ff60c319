"""One Start button: the browser is led through several projects, in runs, and ends with thanks."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import builders
import pytest
import scene
from playwright.sync_api import Page, expect

from microtasks.engine.site import Site
from microtasks.engine.volunteers import feed

pytestmark = pytest.mark.browser


def test_start_leads_through_both_projects_and_no_seat_is_left_behind(
    site: Site, visit: Callable[..., Page]
) -> None:
    feed._needy._entries.clear()
    log, other = scene.sentences(site, feed.RUN + 1), builders.project(site, name="Another question")
    builders.tasks(site, other, 2)
    page = visit("/start?minutes=5")
    seen = []
    ahead: list[str] = []  # asked for while the last task of a run is on the screen
    page.on("request", lambda it: ahead.append(it.post_data or "") if it.url.endswith("/v1/leases") else None)
    for i in range(feed.RUN + 3):
        page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
        seen.append(page.locator("#work").get_attribute("data-slug"))
        if i + 1 == feed.RUN + 3:
            break
        token = page.locator("#work input[name=_lease]").input_value()
        page.get_by_role("button", name="I can’t tell").click()
        page.wait_for_function(
            "before => { const it = document.querySelector('#work input[name=_lease]');"
            " return it && it.value !== before && document.body.dataset.ready; }",
            arg=token,
        )
        assert "about" in page.locator("#clock").inner_text()
    page.get_by_role("button", name="I can’t tell").click()
    page.wait_for_url("**/thanks**")
    assert set(seen) == {log.slug, other.slug}
    changes = sum(one != two for one, two in itertools.pairwise(seen))
    assert changes <= 2, seen
    assert ahead == [f'{{"after":"{log.slug}","language":"en"}}']
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (feed.RUN + 3,)
        assert connection.execute("SELECT count(*) FROM lease").fetchone() == (0,)
    expect(page.locator("main")).to_be_visible()
