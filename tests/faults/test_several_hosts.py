"""Two web processes and three workers, each with a folder of its own as on hosts of their own.

They share PostgreSQL, Redis and S3-compatible storage, and nothing else.
"""

from __future__ import annotations

import io
import urllib.request
import zipfile
from pathlib import Path

import builders
import pytest
from PIL import Image
from processes import Volunteer, Web, Workers, wait_until

from microtasks.engine.imports import importing
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import invariants, jobs
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings
from microtasks.store.imports import batches

pytestmark = pytest.mark.faults

N_IMAGES = 150  # more than one chunk, so that a killed worker leaves something done


def packed(first: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for n in range(first, first + N_IMAGES):
            made = io.BytesIO()
            Image.new("RGB", (64, 48), (n % 256, n // 256, 90)).save(made, "PNG")
            archive.writestr(f"{n}.png", made.getvalue())
    return file.getvalue()


def host(settings: Settings, folder: Path, storage: str) -> Settings:
    return settings.model_copy(update={"data": folder, "storage": storage})


def test_any_host_imports_serves_and_takes_answers_and_one_may_die(
    settings: Settings, storage: str, tmp_path: Path
) -> None:
    on = [host(settings, tmp_path / f"host{n}", storage) for n in range(5)]
    site: Site = open_site(on[0])
    project = builders.project(site, redundancy=2)
    with Workers(on[2]) as one, Workers(on[3]) as two, Workers(on[4]) as three:
        first = one.start(MICROTASKS_JOB_STALE_SECONDS="1")
        two.start(MICROTASKS_JOB_STALE_SECONDS="1")
        three.start(MICROTASKS_JOB_STALE_SECONDS="1")
        batch_ids = [
            importing.create_batch(site, project.id, [Upload(f"{n}.zip", io.BytesIO(packed(n * N_IMAGES)))])
            for n in range(2)
        ]

        def done() -> bool:
            with site.db.session() as session:
                found = [batches.get(session, each) for each in batch_ids]
            if any(batch.rows_done for batch in found) and first.poll() is None:
                first.kill()  # the host is gone in the middle; its job is taken over
            jobs.ring_waiting(site)  # what the clock does
            return all(batch.state in ("done", "failed") for batch in found)

        wait_until(done)
    with site.db.session() as session:
        made = [batches.get(session, each) for each in batch_ids]
    assert [(batch.state, batch.n_tasks, batch.n_failed) for batch in made] == [("done", N_IMAGES, 0)] * 2
    left = [path for each in on for path in each.data.rglob("*") if path.is_file()]
    assert [path for path in left if path.is_relative_to(on[0].data / "uploads")] == []
    assert invariants.check(site) == []  # each image has its files, in the bucket

    webs = [Web(each) for each in on[:2]]
    try:
        for web in webs:
            web.start()
        people = [Volunteer(webs[0].port) for _ in range(2)]
        for person in people:
            for turn in range(6):  # one volunteer, whichever host the proxy chooses
                person.port = webs[turn % 2].port
                lease = person.post(f"/projects/{project.slug}/leases", {"limit": 1})["leases"][0]
                url = lease["task"]["media"][0]["url"]
                person.port = webs[(turn + 1) % 2].port
                address = f"http://127.0.0.1:{person.port}{url}"
                with urllib.request.urlopen(address) as image:
                    assert image.read()[8:12] == b"WEBP"
                sent = {"answers": [{"lease": lease["lease"], "kind": "value", "value": {"answer": "yes"}}]}
                assert person.post("/answers", sent)["receipts"][0]["status"] == "counted"
        webs[0].kill()  # one host is gone: nobody notices
        people[0].port = webs[1].port
        assert people[0].post(f"/projects/{project.slug}/leases", {"limit": 1})["leases"]
    finally:
        for web in webs:
            web.kill()
    assert invariants.check(site) == []
    site.close()
