"""A project taken back from its package, by keyboard, on a phone and on a desktop; axe on each page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import builders
import pytest
import scene
from axe import faults
from playwright.sync_api import Page, expect
from visitors import DESKTOP, PHONE

from microtasks.engine.accounts import accounts
from microtasks.engine.exports import package, snapshots
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site
from microtasks.engine.tabular import archive
from microtasks.store.projects import projects

pytestmark = pytest.mark.browser


def packed(site: Site, path: Path) -> Path:
    """The package of a project with answers."""
    made = scene.craters(site, 3)
    with site.db.connection() as connection:
        rows = connection.execute("SELECT id FROM task WHERE project_id = %s ORDER BY id", (made.id,))
        tasks = [task for (task,) in rows]
    mark = {"x": 120, "y": 90, "r": 30, "class": "fresh"}
    builders.answers(site, made, tasks[0], [{"marks": [mark]}, {"marks": [mark | {"x": 125}]}])
    aggregate.aggregate(site, made.id)
    with site.db.session() as session:
        project = projects.by_slug(session, made.slug)
    snapshot = snapshots.take(site, project)
    files = package.whole(site, project, snapshot=snapshot)
    listed = package.package(site, project, files, "CC-BY-4.0", snapshot=snapshot)
    path.write_bytes(b"".join(archive.zipped(listed, snapshot.cut.at)))
    return path


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_project_is_taken_back_by_keyboard(
    site: Site, visit: Callable[..., Page], tmp_path: Path, screen: dict[str, Any]
) -> None:
    file = packed(site, tmp_path / "craters.zip")
    page = visit(f"/owner/sign-in/{accounts.create_owner(site, 'ada@example.org')}", **screen)
    page.get_by_role("main").get_by_role("button", name="Sign in").press("Enter")
    page.wait_for_url("**/owner/")
    page.goto("/owner/new")
    page.get_by_role("link", name="From a package").press("Enter")
    expect(page.get_by_role("heading", name="Take a project back")).to_be_visible()
    assert faults(page) == []
    page.get_by_label("Package").set_input_files(file)
    expect(page.get_by_text("craters.zip")).to_be_visible()
    page.get_by_role("button", name="Upload").press("Enter")
    expect(page.get_by_role("heading", name="What is in it")).to_be_visible()
    expect(page.get_by_text("this site has all of them")).to_be_visible()
    page.get_by_text("What is not taken back").press("Enter")
    assert faults(page) == []
    page.get_by_role("button", name="Make the project").press("Enter")
    expect(page.get_by_role("link", name="To the project")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("link", name="To the project").press("Enter")
    expect(page.get_by_text("Draft", exact=True).first).to_be_visible()


def test_what_is_no_package_is_said_without_javascript(
    site: Site, visit: Callable[..., Page], tmp_path: Path, worker: None
) -> None:
    (tmp_path / "cat.zip").write_bytes(b"miau")
    page = visit(
        f"/owner/sign-in/{accounts.create_owner(site, 'ada@example.org')}", **PHONE, java_script_enabled=False
    )
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.goto("/owner/packages")
    page.get_by_label("Package").set_input_files(tmp_path / "cat.zip")
    page.get_by_role("button", name="Upload").click()
    expect(
        page.get_by_text("damaged, or it is not a ZIP file")
    ).to_be_visible()  # the page loads itself again
    expect(page.get_by_role("link", name="Bring another")).to_be_visible()
