"""Files as other people's programs write them come in the same through page, command line and API.

The cases are in tests/cases/cases.toml: add a line there.
"""

from __future__ import annotations

import gzip
import io
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import builders
import pytest

from microtasks.cli import projects as command
from microtasks.core.errors import FileInvalid
from microtasks.core.parsing.rows import Choices
from microtasks.engine.accounts import tokens
from microtasks.engine.imports import importing
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site
from microtasks.store.imports import batches
from microtasks.store.tables import Batch
from microtasks.web import create_app

FOLDER = Path(__file__).parents[2] / "cases"
CASES = tomllib.loads((FOLDER / "cases.toml").read_text())["case"]


def uploads(case: dict[str, Any]) -> list[Upload]:
    if "text" in case:
        content = case["text"].encode(case.get("encoding", "utf-8"))
        content = gzip.compress(content) if case["name"].endswith(".gz") else content
        return [Upload(case["name"], io.BytesIO(content))]
    listed: list[Upload] = []
    for name in case["files"]:
        path = FOLDER / name
        inside = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        listed += [
            Upload(each.relative_to(FOLDER).as_posix(), io.BytesIO(each.read_bytes())) for each in inside
        ]
    return listed


def work(site: Site) -> None:
    with site.db.connection() as connection:
        waiting = connection.execute("SELECT id FROM job WHERE state = 'queued' ORDER BY id").fetchall()
    for (job,) in waiting:
        assert jobs.run(site, job) == "done"


def by_page(site: Site, of: builders.ProjectRow, files: list[Upload], options: dict[str, Any]) -> Batch:
    """As the upload page does it: looked through first, then made, unless it cannot be used."""
    batch_id = importing.create_batch(site, of.id, files, choices=Choices(**options), is_staged=True)
    work(site)
    report = get(site, batch_id).look
    assert report is not None
    if "error" in report:
        raise FileInvalid(report["error"])
    assert not [word for word in ("n_tasks", "n_failed") if report[word] < 0]
    importing.confirm(site, batch_id)
    work(site)
    batch = get(site, batch_id)
    assert (report["n_tasks"], report["n_failed"]) == (batch.n_tasks, batch.n_failed)
    assert set(report["notices"]) <= set(batch.notices) | {""}, "the preview says all, and says it first"
    return batch


def get(site: Site, batch_id: int) -> Batch:
    with site.db.session() as session:
        return batches.get(session, batch_id)


def latest(site: Site, of: builders.ProjectRow) -> Batch:
    with site.db.session() as session:
        return batches.list_for_project(session, of.id)[0]


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "WORKER_SECONDS", 0.0)


def made(site: Site, batch: Batch) -> list[tuple[str, str, dict[str, Any]]]:
    """(id, text, hidden) of the batch's tasks, in the order they were made."""
    with site.db.connection() as connection:
        return [
            (row[0], row[1].get("text", row[0]), row[2])
            for row in connection.execute(
                "SELECT external_id, payload, hidden FROM task_content WHERE batch_id = %s ORDER BY task_id",
                (batch.id,),
            )
        ]


def check(site: Site, case: dict[str, Any], batch: Batch) -> None:
    if "refused" in case:
        assert batch.state == "failed" and case["refused"] in (batch.error or ""), batch.error
        assert batch.n_tasks == 0
        return
    assert batch.state == "done", batch.error
    tasks = made(site, batch)
    with site.db.session() as session:
        failed = {row.row_no: row.reason for row in batches.failures(session, batch.id, 0, 1000)}
    if "n_tasks" in case:
        assert len(tasks) == case["n_tasks"], failed
    else:
        assert [text for _, text, _ in tasks] == case["tasks"], failed
    for line, reason in case.get("failed", {}).items():
        assert reason in failed.pop(int(line))
    assert failed == {}
    if case.get("notices") == [""]:
        assert batch.notices == []
    else:
        for part in case.get("notices", ()):
            assert any(part in notice for notice in batch.notices), batch.notices
    for name in case.get("hidden", ()):
        assert all(name in hidden for *_, hidden in tasks)


@pytest.mark.parametrize("case", CASES, ids=[case["what"] for case in CASES])
def test_a_file_comes_in_the_same_by_page_command_and_api(
    case: dict[str, Any], site: Site, cli: Callable[..., Any], tmp_path: Path
) -> None:
    options = case.get("options", {})

    of = builders.project(site)
    try:
        page = by_page(site, of, uploads(case), options)
    except FileInvalid as error:
        assert case.get("refused", "not refused") in error.message
        assert not latest_or_none(site, of) or made(site, latest(site, of)) == []
    else:
        check(site, case, page)

    of = builders.project(site)
    folder = tmp_path / "upload"
    for each in uploads(case):
        path = folder / each.name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not isinstance(each.content, Path)
        path.write_bytes(each.content.read())
    flags = [part for name, value in options.items() for part in ("--" + name.replace("_", "-"), value)]
    ran = cli("import", of.slug, *flags, folder)
    if "refused" in case:
        assert ran.exit_code == 1 and case["refused"] in ran.stderr, ran.stderr
    else:
        assert ran.exit_code == 0, ran.stderr
        check(site, case, latest(site, of))
        for notice in latest(site, of).notices:
            assert notice in ran.stderr.splitlines()

    owner = builders.account(site)
    of = builders.project(site)
    builders.member(site, of, owner, "collaborator")
    token = tokens.make(site, owner, name="cases", scope="import")
    client = create_app(site=site).test_client()
    sent = client.post(
        f"/api/v1/my/projects/{of.slug}/batches",
        data={"files": [(each.content, each.name) for each in uploads(case)], **options},
        headers={"Authorization": f"Bearer {token}"},
    )
    if sent.status_code != 202:
        assert case.get("refused", "not refused") in sent.get_json()["message"]
        return
    work(site)
    check(site, case, latest(site, of))


def latest_or_none(site: Site, of: builders.ProjectRow) -> Batch | None:
    with site.db.session() as session:
        return next(iter(batches.list_for_project(session, of.id)), None)
