"""The worker: runs our jobs and nothing else; stops when told to; outlives Redis and its own death."""

import io
import os
import pickle
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import builders
import pytest
import redis
import rq
from processes import Workers, children, is_running, wait_until
from rq.job import Job

from microtasks import logs
from microtasks.engine.imports import importing
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site
from microtasks.local import servers
from microtasks.settings import Settings
from microtasks.store.imports import batches
from microtasks.store.queue import QUEUE, RUN, Bell
from workers.__main__ import main

pytestmark = pytest.mark.faults


@pytest.fixture
def workers(settings: Settings) -> Iterator[Workers]:
    with Workers(settings) as workers:
        yield workers


def new_import(site: Site, n_rows: int = 3) -> int:
    table = "id,text\n" + "".join(f"{n},Some text to look at\n" for n in range(n_rows))
    return importing.create_batch(
        site, builders.project(site).id, [Upload("t.csv", io.BytesIO(table.encode()))]
    )


def batch(site: Site, batch_id: int) -> tuple[str, int, int]:
    with site.db.session() as session:
        found = batches.get(session, batch_id)
    return found.state, found.rows_done, found.n_tasks


def test_T34_only_our_own_ring_is_believed(
    site: Site, queue: redis.Redis, workers: Workers, tmp_path: Path
) -> None:
    evil = tmp_path / "evil"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {evil}",)

    pickled = rq.Queue(QUEUE, connection=queue).enqueue("os.system", f"touch {evil}")
    queue.hset(pickled.key, "data", pickle.dumps(Payload()))
    refused = [
        pickled,
        site.bell.queue.enqueue("os.system", f"touch {evil}"),
        site.bell.queue.enqueue("subprocess.check_output", ["touch", str(evil)]),
        site.bell.queue.enqueue(RUN, f"touch {evil}"),
        site.bell.queue.enqueue(RUN, 1, 2),
        site.bell.queue.enqueue(RUN, True),
        site.bell.queue.enqueue(RUN, job_id_=1),
        site.bell.queue.enqueue(
            "os.abort", on_failure=rq.Callback("os.abort"), on_success=rq.Callback("os.abort")
        ),
    ]
    with_callback = site.bell.queue.enqueue(RUN, 10**9, on_success=rq.Callback("os.abort"), result_ttl=500)
    batch_id = new_import(site)
    worker = workers.start()
    wait_until(lambda: batch(site, batch_id)[0] == "done")
    assert not evil.exists()
    assert worker.poll() is None
    for job in refused:
        assert queue.hget(job.key, "status") == b"failed", job
    assert Job.fetch(with_callback.id, connection=queue, serializer="json").get_status() == "finished"
    worker.send_signal(signal.SIGTERM)  # with nothing to do it ends at once
    assert worker.wait(60) == 0


def test_P06_a_worker_told_to_stop_ends_at_a_safe_point_and_the_next_goes_on(
    site: Site, queue: redis.Redis, workers: Workers
) -> None:
    batch_id = new_import(site, 60_000)
    worker = workers.start()
    wait_until(lambda: batch(site, batch_id)[1] > 0)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    state, rows_done, n_tasks = batch(site, batch_id)
    assert rows_done == n_tasks > 0
    if state != "done":
        with site.db.connection() as connection:
            assert connection.execute("SELECT state, n_tries FROM job").fetchone() == ("queued", 0)
    workers.start()
    wait_until(lambda: batch(site, batch_id)[0] == "done")
    assert batch(site, batch_id) == ("done", 60_000, 60_000)


def test_P07_a_worker_waits_while_redis_is_away_and_goes_on(
    site: Site, workers: Workers, tmp_path: Path
) -> None:
    folder = Path("/tmp") / f"mtr{uuid4().hex[:8]}"  # noqa: S108  (a socket's path must be short)
    first, url = servers.start_valkey(folder, for_tests=True)
    here = Site(site.settings, site.db, site.files, site.uploads, Bell(url))
    done, waiting = new_import(here), 0
    worker = workers.start(REDIS_URL=url)
    try:
        wait_until(lambda: batch(site, done)[0] == "done")
        first.kill()
        first.wait()
        waiting = new_import(here)  # its ring goes nowhere
        second, _ = servers.start_valkey(folder, for_tests=True)
        here.bell.rest_until = 0.0  # as if the time had passed
        assert jobs.ring_waiting(here) == 1
        wait_until(lambda: batch(site, waiting)[0] == "done")
        assert worker.poll() is None
        servers.stop(second)
    finally:
        here.bell.close()
        worker.kill()
        subprocess.run(["rm", "-rf", folder], check=True)


def test_several_workers_under_one_supervisor_and_a_dead_one_is_replaced(
    site: Site, queue: redis.Redis, workers: Workers
) -> None:
    supervisor = workers.start(MICROTASKS_WORKER_PROCESSES="2")

    wait_until(lambda: len(children(supervisor.pid)) == 2 and queue.scard("rq:workers") == 2)
    victim = min(children(supervisor.pid))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(children(supervisor.pid) - {victim}) == 2)
    batch_id = new_import(site)
    wait_until(lambda: batch(site, batch_id)[0] == "done")
    orphans = children(supervisor.pid)
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not any(is_running(pid) for pid in orphans))


def test_without_servers_it_says_so_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "MICROTASKS_DATABASE_URL", "MICROTASKS_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(logs, "configure", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match=r"^Set DATABASE_URL and REDIS_URL, or use `microtasks up`\.$"):
        main([])
