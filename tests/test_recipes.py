"""The recipes of the docs, run as they stand on the page against a live site."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import builders
import pytest
import requests
from werkzeug.serving import make_server

from microtasks.engine import jobs, tokens
from microtasks.engine.site import Site
from microtasks.store import jobs as waiting
from microtasks.web import create_app

PAGE = (Path(__file__).parents[1] / "docs/recipes.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
BLOCKS = BLOCK.findall(PAGE)


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder to work in, and a token."""

    folder: Path
    address: str
    slug: str
    token: str

    def run(self, program: list[str], code: str) -> str:
        """Run a recipe; what it printed."""
        code = code.replace("http://127.0.0.1:8000", self.address)
        code = code.replace("weather-in-old-ships-logs", self.slug)
        done = subprocess.run(
            [*program, code],
            cwd=self.folder,
            env=os.environ | {"MICROTASKS_TOKEN": self.token},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def desk(site: Site, tmp_path: Path) -> Iterator[Desk]:
    """A live site with a worker, a project with six answers, and its files in a folder."""
    ada = builders.account(site)
    of = builders.project(site, account_id=ada)
    for task in builders.tasks(site, of, 2):
        builders.answers(site, of, task, [builders.YES, builders.YES, builders.NO])
    server = make_server("127.0.0.1", 0, create_app(site=site), threaded=True)
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(0.1):
            with site.db.connection() as connection:
                found = waiting.waiting(connection, site.settings.job_stale_seconds)
            for job in found:
                jobs.run(site, job)

    threads = [threading.Thread(target=server.serve_forever), threading.Thread(target=work)]
    for thread in threads:
        thread.start()
    token = tokens.make(site, ada, name="notebook", scope="import")
    address = f"http://127.0.0.1:{server.server_port}"
    for name in ("answers.csv", "answers.jsonl", "answers.parquet", "tasks.csv"):
        reply = requests.get(
            f"{address}/api/v1/my/projects/{of.slug}/tables/{name}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
        )
        reply.raise_for_status()
        (tmp_path / name).write_bytes(reply.content)
    (tmp_path / "rows.csv").write_text("id,text\none-more,Is it?\n")
    yield Desk(tmp_path, address, of.slug, token)
    server.shutdown()
    is_over.set()
    for thread in threads:
        thread.join()
    server.server_close()


def test_every_recipe_in_python_and_in_the_shell_works(desk: Desk) -> None:
    printed = []
    for language, code in BLOCKS:
        if language == "python":
            printed.append(desk.run([sys.executable, "-W", "error", "-c"], code))
        elif language == "sh":
            printed.append(desk.run(["bash", "-ec"], code))
    with_yes = [text for text in printed if "yes" in text]
    assert len(with_yes) == len(re.findall("^import.*(?:pandas|duckdb)", PAGE, re.M)) == 4
    assert "6 answers\n" in printed
    assert any('"state":"queued"' in text for text in printed), "the upload"
    (kept,) = (file for file in desk.folder.iterdir() if desk.slug in file.name)
    assert len(kept.read_text().splitlines()) == 7


@pytest.mark.skipif(
    shutil.which("Rscript") is None, reason="NO R: install r-base-core to run the recipes for R"
)
def test_every_recipe_in_r_works(desk: Desk) -> None:
    found = [desk.run(["Rscript", "-e"], code) for language, code in BLOCKS if language == "r"]
    assert len(found) == 2 and "yes" in found[0]
