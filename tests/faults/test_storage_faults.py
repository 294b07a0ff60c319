"""A full, read-only or absent disk, and S3 that is away: no verdict on anybody's files, nothing given up."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import builders
import pytest
from PIL import Image

from microtasks.core.errors import Conflict
from microtasks.engine.imports import importing, staging
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings
from microtasks.store import files
from microtasks.store import jobs as job_rows

N_IMAGES = 30


def packed() -> bytes:
    """A ZIP of images, each other noise, so that none can be stored in a few bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for n in range(N_IMAGES):
            made = io.BytesIO()
            Image.effect_noise((160, 120), 60 + n).save(made, "PNG")
            archive.writestr(f"{n}.png", made.getvalue())
    return file.getvalue()


def waiting(site: Site) -> tuple[int, int]:
    """(job, batch) of an import of images that nobody has begun."""
    project = builders.project(site, "tagging")
    batch = importing.create_batch(site, project.id, [Upload("images.zip", io.BytesIO(packed()))])
    with site.db.connection() as connection:
        return job_rows.add(connection, "import", batch), batch


def outcome(site: Site, batch: int) -> tuple[str, int, int, int]:
    """(state, tasks, failed rows, rows listed as failed)"""
    with site.db.connection() as connection:
        row = connection.execute(
            """SELECT state, n_tasks, n_failed, (SELECT count(*) FROM batch_failure WHERE batch_id = batch.id)
               FROM batch WHERE id = %s""",
            (batch,),
        ).fetchone()
    assert row is not None
    return row


def assert_it_waits(site: Site, job: int, batch: int, words: str) -> None:
    """The job pauses and says why; no row failed; whoever rings too early finds nothing to do."""
    with site.db.connection() as connection:
        trouble = job_rows.trouble(connection, "import", batch)
        assert job not in job_rows.waiting(connection, 60)
    assert trouble is not None and trouble.state == "queued" and trouble.due_at is not None
    assert words in trouble.error
    state, _, n_failed, n_listed = outcome(site, batch)
    assert state in ("queued", "running") and (n_failed, n_listed) == (0, 0)
    assert jobs.run(site, job) == "nothing"


@pytest.fixture
def small_disk(settings: Settings) -> Iterator[Path]:
    """The folder of images on a disk of its own, which is nearly full."""
    media = settings.data / "media"
    media.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", media], capture_output=True)
    if mounted.returncode:
        pytest.skip("NO SMALL DISK: this test needs to mount one (root)")
    yield media
    subprocess.run(["umount", media], check=True)


@pytest.mark.parametrize(("fault", "words"), [("size=200k", "full"), ("ro", "read-only")])
def test_a_disk_that_cannot_be_written_pauses_an_import_and_blames_no_image(
    site: Site, small_disk: Path, fault: str, words: str
):
    job, batch = waiting(site)
    subprocess.run(["mount", "-o", f"remount,{fault}", small_disk], check=True)
    for _ in range(site.settings.job_attempts + 2):  # more often than a job that fails is tried
        assert jobs.run(site, job) == "queued"
        assert_it_waits(site, job, batch, words)
        jobs.try_again(site, job)
    subprocess.run(["mount", "-o", "remount,rw,size=64m", small_disk], check=True)
    assert jobs.run(site, job) == "done"
    assert outcome(site, batch) == ("done", N_IMAGES, 0, 0)


def test_a_disk_that_is_not_mounted_pauses_an_import(site: Site):
    job, batch = waiting(site)
    uploads = site.settings.data / "uploads"
    uploads.rename(uploads.with_name("elsewhere"))
    assert jobs.run(site, job) == "queued"
    assert_it_waits(site, job, batch, "mounted")
    uploads.with_name("elsewhere").rename(uploads)
    jobs.try_again(site, job)
    assert jobs.run(site, job) == "done"


def test_a_storage_that_is_away_pauses_imports_and_exports(
    settings: Settings, storage: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(files, "RETRY_SECONDS", 1)
    site = open_site(settings.model_copy(update={"storage": storage}))
    job, batch = waiting(site)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        away = open_site(settings.model_copy(update={"storage": storage}))
        for _ in range(settings.job_attempts + 1):
            assert jobs.run(away, job) == "queued"
            assert_it_waits(away, job, batch, "does not answer")
            with away.db.connection() as connection:  # its time has come
                connection.execute("UPDATE job SET due_at = now() WHERE id = %s", (job,))
        away.close()
    assert jobs.run(site, job) == "done"
    assert outcome(site, batch) == ("done", N_IMAGES, 0, 0)
    site.close()


def test_pauses_grow_to_half_an_hour_and_end_after_days(site: Site):
    with site.db.connection() as connection:
        job = job_rows.add(connection, "import", 1)
    seconds: list[int | None] = []
    while not seconds or seconds[-1] is not None:
        with site.db.connection() as connection:
            claim = job_rows.claim(connection, job, 60)
            assert claim is not None and claim.n_tries == 1  # a pause is no try
            seconds.append(job_rows.pause(connection, claim, "The storage does not answer."))
            connection.execute("UPDATE job SET due_at = now() WHERE id = %s", (job,))
    waits = [wait for wait in seconds if wait is not None]
    assert waits == sorted(waits) and waits[0] <= 15 and max(waits) == 1800
    assert 48 < sum(waits) / 3600 < 100


def test_an_import_that_was_given_up_can_be_tried_again_while_its_upload_is_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    job, batch = waiting(site)
    with monkeypatch.context() as patch:
        patch.setattr(importing, "Contents", lambda *_: 1 / 0)
        for _ in range(site.settings.job_attempts):
            jobs.run(site, job)
    assert outcome(site, batch)[0] == "failed"
    for folder in (site.settings.data / "uploads").iterdir():
        os.utime(folder, (0, 0))
    staging.clean(site)  # old, but its job can still run
    jobs.try_again(site, job)
    assert jobs.run(site, job) == "done"
    assert outcome(site, batch) == ("done", N_IMAGES, 0, 0)
    with pytest.raises(Conflict):
        jobs.try_again(site, job)
