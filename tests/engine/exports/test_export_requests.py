"""Exports as jobs: asked for, written in the background, told of, downloaded, forgotten; broken off."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zipfile
from typing import Any

import builders
import pytest
import zstandard
from builders import NO, YES, ProjectRow
from test_export_tables import get, reduce

import microtasks
from microtasks.core.errors import Conflict, InputError, NotFound, TooMany
from microtasks.engine.exports import download, requests, snapshots
from microtasks.engine.operations import housekeeping, jobs
from microtasks.engine.site import Site
from microtasks.store.tables import Export


@pytest.fixture
def project(site: Site) -> ProjectRow:
    made = builders.project(site, redundancy=4)
    for task in builders.tasks(site, made, 3):
        builders.answers(site, made, task, [YES, YES, NO])
        reduce(site, made, task)
    return made


def work(site: Site) -> None:
    """Run every job that waits, as a worker does."""
    with site.db.connection() as connection:
        waiting = connection.execute("SELECT id FROM job WHERE state = 'queued' ORDER BY id").fetchall()
    for (job_id,) in waiting:
        jobs.run(site, job_id)


def made(site: Site, project: ProjectRow, **asked: Any) -> tuple[Export, bytes]:
    """The row and the file of an export that was asked for and written."""
    row = get(site, project)
    export = requests.request(site, row, **asked)
    work(site)
    found = requests.open(site, row, export.id, may_know_gold=True)
    return requests.get(site, row, export.id, may_know_gold=True), b"".join(found.chunks)


def test_an_export_waits_is_written_and_can_be_had(site: Site, project: ProjectRow) -> None:
    row = get(site, project)
    export = requests.request(site, row, what="answers")
    assert (export.state, requests.facts(export)["progress"]) == ("queued", None)
    with pytest.raises(Conflict, match="not ready"):
        requests.open(site, row, export.id, may_know_gold=True)
    work(site)
    facts = requests.facts(requests.get(site, row, export.id, may_know_gold=True))
    assert (facts["state"], facts["progress"], facts["rows"]) == ("done", 1.0, 9)
    assert facts["software"] == f"microtasks {microtasks.__version__}"
    assert facts["snapshot"]["last_answer"] == 9 and len(facts["snapshot"]["id"]) == 16
    found = requests.open(site, row, export.id, may_know_gold=True)
    content = b"".join(found.chunks)
    assert content == b"".join(download.export(site, row, "answers"))  # the same state, the same bytes
    assert (found.name, found.n_bytes) == (f"{project.slug}-answers.csv", len(content))
    assert found.sha256 == facts["sha256"] == hashlib.sha256(content).hexdigest()
    json.dumps(facts)


@pytest.mark.parametrize(("compress", "undo"), [("gzip", gzip.decompress), ("zstd", zstandard.decompress)])
def test_an_export_may_be_compressed(site: Site, project: ProjectRow, compress: str, undo: Any) -> None:
    export, packed = made(site, project, what="tasks", format="jsonl", compress=compress)
    if compress == "zstd":
        undo = lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)  # noqa: E731
    assert undo(packed) == b"".join(download.export(site, get(site, project), "tasks", "jsonl"))
    assert export.name.endswith({"gzip": ".jsonl.gz", "zstd": ".jsonl.zst"}[compress])


def test_a_package_is_one_state_and_says_which(site: Site, project: ProjectRow) -> None:
    export, packed = made(site, project, licence="CC0-1.0")
    assert export.name == f"{project.slug}.zip" and export.snapshot is not None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        described = json.loads(archive.read("datapackage.json"))
        readme = archive.read("README.md").decode()
        tables = {
            what: list(csv.DictReader(io.StringIO(archive.read(f"{project.slug}-{what}.csv").decode())))
            for what in ("answers", "contributors", "consensus")
        }
    facts = described["microtasks"]
    assert (facts["snapshot"], facts["snapshot_at"]) == (export.snapshot["id"], export.snapshot["at"])
    assert export.snapshot["id"] in readme and described["version"].endswith(export.snapshot["id"])
    names = ({row["contributor"] for row in tables[what]} for what in ("answers", "contributors"))
    assert next(names) == next(names)
    other, packed = made(site, project, format="jsonl")
    assert other.name == f"{project.slug}-jsonl.zip"


def test_what_cannot_be_given_is_refused_when_it_is_asked_for(site: Site, project: ProjectRow) -> None:
    row = get(site, project)
    for wrong in (
        {"what": "secrets"},
        {"format": "docx"},
        {"what": "marks"},
        {"format": "coco"},
        {"licence": "mine"},
        {"compress": "rar"},
        {"what": "all", "compress": "gzip"},
        {"what": "answers", "format": "parquet", "compress": "zstd"},
    ):
        with pytest.raises(InputError):
            requests.request(site, row, **wrong)  # type: ignore[arg-type]
    for _ in range(requests.WAITING_MAX):
        requests.request(site, row)
    with pytest.raises(TooMany):
        requests.request(site, row)
    assert len(requests.listed(site, row, may_know_gold=True)) == requests.WAITING_MAX


def test_an_export_is_its_projects_alone(site: Site, project: ProjectRow) -> None:
    other = get(site, builders.project(site))
    export, _ = made(site, project, what="tasks")
    assert requests.listed(site, other, may_know_gold=True) == []
    for act in (requests.get, requests.open):
        with pytest.raises(NotFound):
            act(site, other, export.id, may_know_gold=True)
    later, _ = made(site, project, what="tasks")
    row = get(site, project)
    assert [one.id for one in requests.listed(site, row, may_know_gold=True)] == [later.id, export.id]
    assert [one.id for one in requests.listed(site, row, before=later.id, may_know_gold=True)] == [export.id]


def test_an_export_that_breaks_off_is_written_anew(
    site: Site, project: ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = get(site, project)
    export = requests.request(site, row, what="answers")
    with site.db.connection() as connection:
        ((job_id,),) = connection.execute("SELECT id FROM job WHERE name = 'export'").fetchall()
    with monkeypatch.context() as broken:
        broken.setattr(requests, "_write", lambda *_: 1 / 0)
        assert jobs.run(site, job_id) == "queued"
    assert requests.get(site, row, export.id, may_know_gold=True).state == "running"
    with monkeypatch.context() as stopped:  # asked to stop in the middle
        stopped.setattr(requests, "TELL_SECONDS", 0)
        assert jobs.run(site, job_id, should_stop=lambda: True) == "queued"
    assert jobs.run(site, job_id) == "done"
    content = b"".join(requests.open(site, row, export.id, may_know_gold=True).chunks)
    assert content == b"".join(download.export(site, row, "answers"))
    with monkeypatch.context() as broken:
        broken.setattr(requests, "_write", lambda *_: 1 / 0)
        export = requests.request(site, row, what="answers")
        for _ in range(site.settings.job_attempts):
            work(site)
    assert (
        requests.facts(requests.get(site, row, export.id, may_know_gold=True))["error"] == requests.GIVEN_UP
    )
    with pytest.raises(Conflict, match="broke off"):
        requests.open(site, row, export.id, may_know_gold=True)


def test_a_running_export_says_how_far_it_is(
    site: Site, project: ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "TELL_SECONDS", 0)
    row = get(site, project)
    export = requests.request(site, row)
    seen: list[float | None] = []
    write = requests._Progress.tell

    def tell(told: requests._Progress) -> None:
        write(told)
        seen.append(requests.facts(requests.get(site, row, export.id, may_know_gold=True))["progress"])

    monkeypatch.setattr(requests._Progress, "tell", tell)
    work(site)
    told = [one for one in seen if one is not None]
    assert told == sorted(told) and len(set(told)) > 3 and 0 < max(told) < 1


def test_files_are_forgotten_and_rows_are_kept(site: Site, project: ProjectRow) -> None:
    row = get(site, project)
    old, _ = made(site, project, what="tasks")
    fresh, _ = made(site, project, what="answers")
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE export SET finished_at = now() - make_interval(days => %s) WHERE id = %s",
            (site.settings.export_days + 1, old.id),
        )
    housekeeping.clean(site)
    assert requests.get(site, row, old.id, may_know_gold=True).state == "expired"
    with pytest.raises(Conflict, match="no longer kept"):
        requests.open(site, row, old.id, may_know_gold=True)
    assert not requests.folders(site).path(old.folder).exists()
    assert b"".join(requests.open(site, row, fresh.id, may_know_gold=True).chunks)


def test_parquet_is_the_table_by_column_and_by_row(site: Site, tmp_path: Any) -> None:
    from pyarrow import parquet

    marking = builders.project(site, "marking", redundancy=4)
    (task,) = builders.tasks(site, marking, 1)
    mark = {"marks": [{"x": 10.5, "y": 20.25, "r": 6.0}]}
    builders.answers(site, marking, task, [mark, mark, {"marks": []}, None])
    reduce(site, marking, task)
    row = get(site, marking)
    snapshot = snapshots.take(site, row)
    for what in ("answers", "marks", "consensus", "tasks", "contributors"):
        file = tmp_path / f"{what}.parquet"
        file.write_bytes(b"".join(download.export(site, row, what, "parquet", snapshot=snapshot)))
        found = parquet.read_table(file).to_pylist()
        lines = b"".join(download.export(site, row, what, "jsonl", snapshot=snapshot)).splitlines()
        exact = [json.loads(line) for line in lines]
        assert len(found) == len(exact) > 0
        for one, other in zip(found, exact, strict=True):
            assert list(one) == list(other)
            for name, value in other.items():
                mine = one[name]
                if hasattr(mine, "isoformat"):
                    mine = mine.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                assert mine == (value if mine is None or not isinstance(mine, str) else str(value)), name
