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

from microtasks.engine.accounts import tokens
from microtasks.engine.exports import package as export_package
from microtasks.engine.exports import snapshots
from microtasks.engine.operations import jobs
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site
from microtasks.engine.tabular import archive
from microtasks.store import jobs as waiting
from microtasks.store.projects import projects
from microtasks.web import create_app

PAGE = (Path(__file__).parents[1] / "docs/recipes.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
BLOCKS = BLOCK.findall(PAGE)
#: Text of the tasks.
SAID = "Ñandú à 5 °C"
needs_r = pytest.mark.skipif(
    shutil.which("Rscript") is None,
    reason="NO R: install r-base-core (and r-cran-jsonlite) to run the recipes for R",
)


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder to work in, and a token."""

    folder: Path
    address: str
    slug: str
    token: str

    def run(self, program: list[str], code: str, **variables: str) -> str:
        """Run a recipe; what it printed."""
        code = code.replace("http://127.0.0.1:8000", self.address)
        code = code.replace("weather-in-old-ships-logs", self.slug)
        done = subprocess.run(
            [*program, code],
            cwd=self.folder,
            env=os.environ | {"MICROTASKS_TOKEN": self.token} | variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def desk(site: Site, tmp_path: Path) -> Iterator[Desk]:
    """A live site with a worker, a project with six answers, and its files in a folder.

    What programs that guess types get wrong is in it: ids like numbers, an answer `NA`, letters beyond ASCII.
    """
    ada = builders.account(site)
    choices = [{"id": "NA", "label": "Namibia"}, {"id": "yes", "label": "Elsewhere"}]
    config = {"fields": [{"id": "answer", "kind": "choice", "label": "Where?", "choices": choices}]}
    of = builders.project(site, account_id=ada, config=config)
    for task in builders.tasks(site, of, 2, text=SAID):
        builders.answers(site, of, task, [builders.YES, builders.YES, {"answer": "NA"}])
    with site.db.connection() as connection:
        connection.execute("UPDATE task_content SET external_id = '00' || task_id")
    aggregate.aggregate(site, of.id)
    token = tokens.make(site, ada, name="notebook", scope="import")
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
    try:
        yield _filled(Desk(tmp_path, f"http://127.0.0.1:{server.server_port}", of.slug, token), site, of.id)
    finally:
        server.shutdown()
        is_over.set()
        for thread in threads:
            thread.join()
        server.server_close()


def _filled(desk: Desk, site: Site, project_id: int) -> Desk:
    """The same desk, with the files that recipes begin with in its folder."""
    for name in ("answers.csv", "answers.jsonl", "answers.parquet", "tasks.parquet"):
        reply = requests.get(
            f"{desk.address}/api/v1/my/projects/{desk.slug}/tables/{name}",
            headers={"Authorization": f"Bearer {desk.token}"},
            timeout=20,
        )
        reply.raise_for_status()
        (desk.folder / name).write_bytes(reply.content)
    (desk.folder / "rows.csv").write_text("id,text\none-more,Is it?\n")
    with site.db.session() as session:
        project = projects.get(session, project_id)
    snapshot = snapshots.take(site, project)
    files = export_package.whole(site, project, snapshot=snapshot)
    package = archive.zipped(export_package.package(site, project, files, snapshot=snapshot), snapshot.cut.at)
    (desk.folder / f"{desk.slug}.zip").write_bytes(b"".join(package))
    return desk


def test_every_recipe_in_python_and_in_the_shell_works(desk: Desk) -> None:
    printed = []
    for language, code in BLOCKS:
        if language == "python":
            printed.append(desk.run([sys.executable, "-W", "error", "-c"], code))
        elif language == "sh":
            printed.append(desk.run(["bash", "-ec"], code))
    with_yes = [text for text in printed if "yes" in text]
    assert len(with_yes) == len(re.findall("^import.*(?:pandas|duckdb)", PAGE, re.M)) == 5
    assert sum("NA" in text for text in with_yes) == 3, "no reader took it for a missing value"
    assert any(f"{SAID} 0" in text for text in printed)
    assert any(text.startswith("6 answers;") for text in printed)
    assert any('"state":"queued"' in text for text in printed), "the upload"
    (kept,) = (file for file in desk.folder.iterdir() if file.name.endswith("-answers.csv"))
    assert len(kept.read_text().splitlines()) == 7


@needs_r
@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_every_recipe_that_needs_r_alone_works(desk: Desk, locale: str) -> None:
    alone = [code for language, code in BLOCKS if language == "r" and "::" not in code]
    see = 'tasks <- read.csv("weather-in-old-ships-logs-tasks.csv", encoding = "UTF-8")\n'
    see += "cat('letter', utf8ToInt(substr(tasks$text[1], 1, 1)), Encoding(tasks$text[1]))"
    table, package = (desk.run(["Rscript", "-e"], code, LC_ALL=locale) for code in alone)
    assert "NA yes" in table and "1   2" in table, table
    for line in (
        'external_id *: chr +"001" "002"',
        'answer_votes *: chr +"',
        "task *: num",
        "agreement *: num +0.667",
        "retired_at *: POSIXct",
        "is_audit *: logi",
    ):
        assert re.search(line, package), f"{line}\n{package}"
    assert f"letter {ord(SAID[0])} UTF-8" in desk.run(["Rscript", "-e"], see, LC_ALL=locale)


@needs_r
@pytest.mark.parametrize(
    ("library", "says"), [("jsonlite", "6 answers; go on behind 6"), ("arrow", "NA yes")]
)
def test_every_recipe_for_a_library_of_r_works_where_it_is_installed(
    request: pytest.FixtureRequest, library: str, says: str
) -> None:
    (code,) = (code for language, code in BLOCKS if language == "r" and f"{library}::" in code)
    if subprocess.run(["Rscript", "-e", f"library({library})"], capture_output=True).returncode:
        pytest.skip(f"NO {library} IN R: install.packages('{library}') to run its recipe")
    desk: Desk = request.getfixturevalue("desk")
    assert says in desk.run(["Rscript", "-e"], code)
