"""The owner's pages in a real browser: without JavaScript, and for axe, in the dark too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import builders
import pytest
import scene
from axe import faults
from playwright.sync_api import Page, expect
from visitors import DESKTOP, PHONE, Visitors

from microtasks.engine.accounts import accounts
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site

pytestmark = pytest.mark.browser


def sign_in(site: Site, visit: Callable[..., Page], **screen: Any) -> Page:
    token = accounts.create_owner(site, "ada@example.org")
    page = visit(f"/owner/sign-in/{token}", **screen)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/owner/")
    return page


def wanted(page: Page) -> None:
    assert faults(page) == []


def test_an_owners_form_without_javascript(site: Site, visit: Callable[..., Page], tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("id,text\na,First line\nb,Second line\n")
    page = sign_in(site, visit, java_script_enabled=False)
    page.goto("/owner/new/tagging")
    page.get_by_label("Name of the project").fill("Plain")
    page.locator("[name='config.tags.0.label']").fill("Dunes")
    page.get_by_role("button", name="Add").click()
    page.locator("[name='config.tags.1.label']").fill("Channels")
    page.get_by_role("button", name="Remove Tags 1").click()
    expect(page.locator("[name='config.tags.0.label']")).to_have_value("Channels")
    page.get_by_role("button", name="Save the draft").click()
    page.wait_for_url("**/projects/plain/upload")
    page.get_by_label("Files", exact=True).set_input_files(tmp_path / "lines.csv")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url("**/batches/*")
    expect(page.get_by_text("Looking through your upload")).to_be_visible()


def seen(site: Site, made: builders.ProjectRow) -> int:
    """One of the tasks with marks of three people, a consensus, and a place in a big image."""
    mark = {"x": 120, "y": 90, "r": 30, "class": "fresh"}
    with site.db.connection() as connection:
        row = connection.execute(
            "UPDATE task_content"
            " SET source = 'plate', source_x = 0, source_y = 0, source_media_id = media_ids[1]"
            " WHERE task_id = (SELECT min(id) FROM task WHERE project_id = %s) RETURNING task_id",
            (made.id,),
        ).fetchone()
    assert row is not None
    builders.answers(site, made, row[0], [{"marks": [mark]}, {"marks": [mark | {"x": 125}]}, {"marks": []}])
    aggregate.aggregate(site, made.id)
    return int(row[0])


@pytest.mark.parametrize("screen", [PHONE, DESKTOP | {"color_scheme": "dark"}], ids=["phone", "dark"])
def test_axe_finds_nothing_on_the_other_pages(site: Site, visitors: Visitors, screen: dict[str, Any]) -> None:
    made = scene.craters(site, 3)
    task = seen(site, made)
    visitors.expected = ("403",)  # the console notes the page of the spent link
    token = accounts.create_owner(site, "ada@example.org")
    page = visitors.open("/owner/sign-in/no-such-link", **screen)
    wanted(page)
    page.goto("/owner/sign-in")
    wanted(page)
    page.goto(f"/owner/sign-in/{token}")
    wanted(page)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/owner/")
    wanted(page)
    paths = ["/owner/account", "/owner/new/marking?example=0", "/owner/new/question?example=1"]
    paths += [
        f"/owner/projects/{made.slug}{end}"
        for end in ("", "/edit", "/tasks", "/reports", "/upload", "/preview")
    ]
    paths += [f"/owner/projects/{made.slug}/dashboard"]
    paths += [f"/research/{made.slug}{end}" for end in ("", "/code-book", "/tasks?order=number")]
    paths += [f"/research/{made.slug}/tasks/{task}", f"/research/{made.slug}/sources/plate"]
    for path in paths:
        page.goto(path)
        wanted(page)


def test_switches_hide_what_lies_on_the_image_without_javascript(site: Site, visitors: Visitors) -> None:
    made = scene.craters(site, 1)
    task = seen(site, made)
    page = sign_in(site, visitors.open, java_script_enabled=False)
    page.goto(f"/research/{made.slug}/tasks/{task}")
    for label, drawn in (
        ("Consensus", ".agreed .over circle"),
        ("How sure: 95 % of place and size", ".rings"),
        ("Every volunteer", ".crowd .who-1 circle"),
    ):
        shape = page.locator(f".marks {drawn}").first
        expect(shape).to_be_visible()
        page.get_by_label(label, exact=True).uncheck()
        expect(shape).to_be_hidden()
        page.get_by_label(label, exact=True).check()
    page.locator("#who-0").uncheck()
    expect(page.locator(".crowd .who-0 circle")).to_be_hidden()
    expect(page.locator(".crowd .who-1 circle")).to_be_visible()
