"""What `microtasks new-task-type` writes is a task type that works: typed, in the browser, and reduced."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Page, expect
from test_every_task_type import assert_two_tasks, two_tasks
from visitors import PHONE, Visitors

import microtasks
from microtasks import tasktypes
from microtasks.cli import main
from microtasks.engine.operations import simulate
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site

pytestmark = pytest.mark.browser
NAME = "worth_a_look"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The new folder, beside the others as the site sees them."""
    into = tmp_path_factory.mktemp("types")
    made = CliRunner().invoke(main, ["new-task-type", NAME, "--into", str(into)])
    assert made.exit_code == 0, made.output
    tasktypes.__path__.append(str(into))
    tasktypes.all_types.cache_clear()
    yield into / NAME
    tasktypes.__path__.remove(str(into))
    tasktypes.all_types.cache_clear()
    for module in [it for it in sys.modules if it.startswith(f"microtasks.tasktypes.{NAME}")]:
        del sys.modules[module]


def said(site: Site) -> list[tuple[str, dict[str, bool] | None]]:
    with site.db.connection() as connection:
        return list(connection.execute("SELECT kind, value FROM answer ORDER BY id"))


def test_what_is_written_is_strictly_typed(folder: Path) -> None:
    package = Path(microtasks.__file__).parents[1]
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent"]
    done = subprocess.run(
        [*command, str(folder / "__init__.py")], cwd=package, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["Keep", "two words", "9", "class", "question", NAME])
def test_a_name_that_cannot_be_or_is_taken_is_refused(folder: Path, name: str) -> None:
    done = CliRunner().invoke(main, ["new-task-type", name, "--into", str(folder.parent)])
    assert done.exit_code == 1 and ("cannot be a name" in done.output or "already" in done.output)


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_it_works_in_a_browser_by_pointer_and_by_keys(
    folder: Path, site: Site, visit: Callable[..., Page], device: str
) -> None:
    two_tasks(site, NAME, "two")
    page = visit("/p/two/work", **(PHONE if device == "phone" else {}))
    assert_two_tasks(page)
    assert said(site) == []
    page.wait_for_selector("body:not(:has(.fresh))")
    if device == "phone":
        page.get_by_text("No", exact=True).tap()
        page.get_by_role("button", name="Done").tap()
    else:
        page.keyboard.press("2")
        page.keyboard.press("Enter")
    page.wait_for_url("**/thanks**")
    assert said(site) == [("value", {NAME: False})]


def test_it_works_without_javascript_and_is_reduced(folder: Path, site: Site, visitors: Visitors) -> None:
    visitors.expected = ("422",)  # nothing chosen
    made = two_tasks(site, NAME, "two")
    for choice in ("yes", "yes", "no"):
        page = visitors.open("/p/two/work", java_script_enabled=False)
        expect(page.locator("h1")).to_be_visible()
        page.get_by_role("button", name="Done").click()
        expect(page.get_by_text("Nothing is chosen yet")).to_be_visible()
        for _ in range(2):
            page.locator(f"input[value={choice}]").check()
            page.get_by_role("button", name="Done").click()
        page.wait_for_url("**/thanks**")
    assert len(said(site)) == 6
    aggregate.aggregate(site, made.id)
    with site.db.connection() as connection:
        rows = connection.execute("SELECT value, n_answers FROM consensus").fetchall()
    assert rows == [({NAME: True}, 3)] * 2


def test_simulated_volunteers_answer_it(folder: Path) -> None:
    [somebody] = simulate.volunteers(1, accuracy=1.0, seed=1)
    task = {"type": NAME, "id": 1, "config": {}, "payload": {}, "media": []}
    assert somebody.answer(task, {NAME: True}) == {NAME: True}
    assert somebody.seconds(NAME) > 0
