"""kill -9 of a real worker in the middle of an import: after the restart nothing is lost or double."""

import csv
import io
import os
import random
import signal
import zipfile
from collections.abc import Iterator
from typing import Any

import builders
import pytest
import redis
from PIL import Image
from processes import Workers, children, is_running, wait_until

from microtasks.engine.imports import importing
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site
from microtasks.settings import Settings
from microtasks.store.imports import batches

pytestmark = pytest.mark.faults

N_ROWS = 150


@pytest.fixture
def workers(settings: Settings) -> Iterator[Workers]:
    with Workers(settings) as workers:
        yield workers


def packed() -> bytes:
    """A ZIP of a table and its images: every seventh is damaged, every eleventh row comes twice."""
    rng = random.Random(11)
    table, file = io.StringIO(), io.BytesIO()
    writer = csv.writer(table)
    writer.writerow(["id", "image", "text", "gold_answer"])
    with zipfile.ZipFile(file, "w") as archive:
        for n in range(N_ROWS):
            made = io.BytesIO()
            Image.frombytes("L", (32, 24), rng.randbytes(32 * 24)).resize((64, 48)).save(made, "PNG")
            content = made.getvalue()
            archive.writestr(f"{n}.png", content[: len(content) // 2] if n % 7 == 3 else content)
            writer.writerow(
                [n - 1 if n % 11 == 5 else n, f"{n}.png", f"Text {n}", "yes" if n % 5 == 0 else ""]
            )
        archive.writestr("table.csv", table.getvalue())
    return file.getvalue()


def result(site: Site, project: builders.ProjectRow, batch_id: int) -> dict[str, Any]:
    """Everything the import has made, without what is random (positions, numbers of rows)."""
    with site.db.connection() as connection:
        tasks = connection.execute(
            """SELECT c.external_id, c.payload, c.hidden, c.after, t.redundancy, t.n_answers, g.value,
                      (SELECT array_agg(m.sha256) FROM media m WHERE m.id = ANY(c.media_ids))
               FROM task t JOIN task_content c ON c.task_id = t.id LEFT JOIN task_gold g ON g.task_id = t.id
               WHERE t.project_id = %s ORDER BY t.id""",
            (project.id,),
        ).fetchall()
        files = connection.execute(
            "SELECT sha256, width, height, derivatives FROM media ORDER BY 1"
        ).fetchall()
        n_tasks = connection.execute(
            "SELECT count(*) FROM task WHERE project_id = %s", (project.id,)
        ).fetchone()
    with site.db.session() as session:
        batch = batches.get(session, batch_id)
        failed = [(row.row_no, row.name, row.reason) for row in batches.failures(session, batch_id, 0, 1000)]
    assert n_tasks == (len(tasks),) == (batch.n_tasks,)
    for sha256, _, _, derivatives in files:
        assert site.files.path("originals", sha256).is_file()
        assert all(site.files.path("derived", each["sha256"]).is_file() for each in derivatives)
    return {
        "tasks": tasks,
        "failed": failed,
        "files": files,
        "counts": (batch.state, batch.n_rows, batch.rows_done, batch.n_tasks, batch.n_failed, batch.notices),
    }


def test_P06_P08_a_worker_killed_in_the_middle_changes_nothing(
    site: Site, queue: redis.Redis, workers: Workers
) -> None:
    content = packed()
    project = builders.project(site)
    batch_id = importing.create_batch(site, project.id, [Upload("all.zip", io.BytesIO(content))])
    with site.db.connection() as connection:
        row = connection.execute("SELECT id FROM job").fetchone()
    assert row is not None

    def progress() -> tuple[str, int, int]:
        with site.db.connection() as connection:
            found = connection.execute(
                "SELECT state, rows_done, (SELECT count(*) FROM media) FROM batch WHERE id = %s", (batch_id,)
            ).fetchone()
        assert found is not None
        return found

    # in the middle of the first images; between two chunks
    for is_time in (lambda: progress()[2] > 10, lambda: progress()[1] >= 64):
        worker = workers.start()
        wait_until(is_time)
        decoders = children(worker.pid)
        worker.kill()
        worker.wait()
        assert progress()[0] == "running"
        wait_until(lambda decoders=decoders: not any(map(is_running, decoders)))
        with site.db.connection() as connection:  # as if the time had passed
            connection.execute("UPDATE job SET heartbeat_at = now() - interval '1 hour'")
        jobs.ring_waiting(site)
    workers.start()
    wait_until(lambda: progress()[0] == "done")
    killed = result(site, project, batch_id)

    unharmed = builders.project(site)
    again = importing.create_batch(site, unharmed.id, [Upload("all.zip", io.BytesIO(content))])
    wait_until(lambda: batch_done(site, again))
    assert result(site, unharmed, again) == killed
    assert killed["counts"][:3] == ("done", N_ROWS, N_ROWS)
    assert len(killed["tasks"]) + len(killed["failed"]) == N_ROWS
    assert len({row_no for row_no, _, _ in killed["failed"]}) == len(killed["failed"])
    leftovers = [path for path in (site.settings.data / "media").rglob("tmp*") if path.is_file()]
    assert len(leftovers) <= 2 * 4  # at most the file in the making of each decoder that was killed


def batch_done(site: Site, batch_id: int) -> bool:
    with site.db.session() as session:
        return batches.get(session, batch_id).state == "done"


def test_P08_a_decoder_killed_in_the_middle_costs_nothing(
    site: Site, queue: redis.Redis, workers: Workers
) -> None:
    project = builders.project(site)
    files = io.BytesIO()
    rng = random.Random(3)
    with zipfile.ZipFile(files, "w") as archive:
        for n in range(12):
            made = io.BytesIO()
            Image.frombytes("L", (32, 24), rng.randbytes(32 * 24)).resize((400, 300)).save(made, "PNG")
            archive.writestr(f"{n}.png", made.getvalue())
    files.seek(0)
    batch_id = importing.create_batch(site, project.id, [Upload("all.zip", files)])
    worker = workers.start()
    wait_until(lambda: children(worker.pid))
    os.kill(min(children(worker.pid)), signal.SIGKILL)
    wait_until(lambda: batch_done(site, batch_id))
    with site.db.session() as session:
        assert (batches.get(session, batch_id).n_tasks, batches.get(session, batch_id).n_failed) == (12, 0)
