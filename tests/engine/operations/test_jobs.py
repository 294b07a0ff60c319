"""Background jobs: done once in effect, however often they are rung, claimed, killed or run side by side."""

import io
import logging
import threading

import builders
import pytest
import redis

from microtasks.engine.accounts import mail
from microtasks.engine.exports import requests, restore
from microtasks.engine.imports import importing, preview, reader
from microtasks.engine.imports.importing import Upload
from microtasks.engine.imports.task_writer import Writer
from microtasks.engine.job_handle import JobLost, JobStopped, Running
from microtasks.engine.operations import backups, jobs
from microtasks.engine.results import aggregate, review
from microtasks.engine.site import Site
from microtasks.store import jobs as stored
from microtasks.store.imports import batches


def waiting_import(site: Site, n_rows: int = 10) -> tuple[int, int]:
    """(job id, batch id) of a text import that nobody has begun."""
    table = "id,text\n" + "".join(f"{n},x\n" for n in range(n_rows))
    project = builders.project(site)
    batch_id = importing.create_batch(site, project.id, [Upload("t.csv", io.BytesIO(table.encode()))])
    with site.db.connection() as connection:
        return stored.add(connection, "import", batch_id), batch_id


def add(site: Site, name: str = "reduce", target: int = 1) -> int:
    with site.db.connection() as connection:
        return stored.add(connection, name, target)


def claim(site: Site, job_id: int, stale_seconds: int = 60) -> stored.Claim | None:
    with site.db.connection() as connection:
        return stored.claim(connection, job_id, stale_seconds)


def facts(site: Site, job_id: int) -> tuple[str, int, int]:
    """(state, attempt, tries)"""
    with site.db.connection() as connection:
        row = connection.execute(
            "SELECT state, attempt, n_tries FROM job WHERE id = %s", (job_id,)
        ).fetchone()
    assert row is not None
    return row


def age(site: Site, job_id: int, seconds: int) -> None:
    """Let the job's last sign of life be so long ago."""
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE job SET heartbeat_at = now() - make_interval(secs => %s) WHERE id = %s", (seconds, job_id)
        )


def batch(site: Site, batch_id: int) -> tuple[str, int, int, int]:
    with site.db.session() as session:
        found = batches.get(session, batch_id)
    return found.state, found.rows_done, found.n_tasks, found.n_failed


def test_a_job_that_waits_is_queued_only_once(site: Site) -> None:
    assert add(site) == add(site)
    assert add(site) != add(site, target=2)


def test_a_running_job_leaves_room_for_the_next_one(site: Site) -> None:
    first = add(site)
    assert claim(site, first)
    assert add(site) != first


def test_P08_only_one_of_many_claims_succeeds(site: Site) -> None:
    job_id = add(site)
    claims: list[stored.Claim | None] = []
    threads = [threading.Thread(target=lambda: claims.append(claim(site, job_id))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found.attempt for found in claims if found] == [1]


@pytest.mark.parametrize(("seconds", "is_taken"), [(59, False), (61, True), (10_000, True)])
def test_P08_a_silent_job_is_taken_over_only_when_it_is_stale(
    seconds: int, is_taken: bool, site: Site
) -> None:
    job_id = add(site)
    assert claim(site, job_id)
    age(site, job_id, seconds)
    second = claim(site, job_id)
    assert (second is not None) == is_taken
    if second:
        assert second.attempt == 2


def test_P08_an_old_claim_can_write_nothing(site: Site) -> None:
    job_id = add(site)
    old = claim(site, job_id)
    age(site, job_id, 61)
    new = claim(site, job_id)
    assert old and new
    with site.db.connection() as connection:
        for write in (stored.advance, stored.beat, stored.finish, stored.give_back):
            assert not write(connection, old)
        assert not stored.fail(connection, old, "no")
        with pytest.raises(JobLost):
            Running(old).hold(connection)
        Running(new).hold(connection)


def test_an_import_runs_once_and_again_is_nothing(site: Site, queue: redis.Redis) -> None:
    job_id, batch_id = waiting_import(site)
    assert jobs.run(site, job_id) == "done"
    assert jobs.run(site, job_id) == "nothing"
    assert jobs.run(site, 10**9) == "nothing"
    assert batch(site, batch_id) == ("done", 10, 10, 0)


def test_P14_a_faulty_job_is_tried_three_times_and_then_failed(
    site: Site, queue: redis.Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(*_: object) -> None:
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr(importing, "run", fault)
    caplog.set_level(logging.CRITICAL)
    job_id, batch_id = waiting_import(site)
    assert [jobs.run(site, job_id) for _ in range(4)] == ["queued", "queued", "failed", "nothing"]
    with site.db.session() as session:
        failed = batches.get(session, batch_id)
    assert (failed.state, failed.error) == ("failed", importing.GIVEN_UP)
    with site.db.connection() as connection:
        assert connection.execute("SELECT error FROM job").fetchone() == ("ZeroDivisionError: no luck",)


def test_P14_a_job_whose_worker_dies_each_time_is_given_up(site: Site, queue: redis.Redis) -> None:
    job_id, batch_id = waiting_import(site)
    for _ in range(site.settings.job_attempts):
        assert claim(site, job_id)
        age(site, job_id, 61)
    assert jobs.run(site, job_id) == "failed"
    assert batch(site, batch_id)[0] == "failed"


def test_P06_a_job_that_gets_on_between_deaths_is_not_given_up(
    site: Site, queue: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        """As if the process had been killed."""

    def die_after_one_chunk(self: Writer, chunk: list[object], *rest: object) -> None:
        if chunks_left[0] == 0:
            raise Died
        chunks_left[0] -= 1
        write(self, chunk, *rest)

    write, chunks_left = Writer.write, [0]
    monkeypatch.setattr(reader, "ROWS_A_CHUNK", 10)
    monkeypatch.setattr(Writer, "write", die_after_one_chunk)
    job_id, batch_id = waiting_import(site, 95)
    for n_chunks in range(1, 10):
        chunks_left[0] = 1
        with pytest.raises(Died):
            jobs.run(site, job_id)
        assert batch(site, batch_id) == ("running", 10 * n_chunks, 10 * n_chunks, 0)
        age(site, job_id, 61)
    chunks_left[0] = 100
    assert jobs.run(site, job_id) == "done"
    assert batch(site, batch_id) == ("done", 95, 95, 0)
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(DISTINCT external_id) FROM task_content").fetchone() == (95,)


def test_a_worker_that_must_stop_keeps_what_is_done_and_gives_the_rest_back(
    site: Site, queue: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "ROWS_A_CHUNK", 10)
    job_id, batch_id = waiting_import(site, 95)
    asked = iter([False, False, False, True])
    assert jobs.run(site, job_id, should_stop=lambda: next(asked)) == "queued"
    assert batch(site, batch_id) == ("running", 30, 30, 0)
    assert facts(site, job_id) == ("queued", 1, 0)
    assert jobs.run(site, job_id) == "done"
    assert batch(site, batch_id) == ("done", 95, 95, 0)


def test_P08_orphan_and_retry_side_by_side_make_each_task_once(
    site: Site, queue: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The orphan is held in the middle of its work; the retry finishes; then the orphan goes on."""
    monkeypatch.setattr(reader, "ROWS_A_CHUNK", 10)
    job_id, batch_id = waiting_import(site, 95)
    is_held, go_on = threading.Event(), threading.Event()
    write = Writer.write

    def held(self: Writer, chunk: list[object], made: object, rows_done: int, *ahead: object) -> None:
        if rows_done == 40 and threading.current_thread() is not main and not is_held.is_set():
            is_held.set()
            go_on.wait(30)
        write(self, chunk, made, rows_done, *ahead)

    main = threading.main_thread()
    monkeypatch.setattr(Writer, "write", held)
    outcome: list[str] = []
    orphan = threading.Thread(target=lambda: outcome.append(jobs.run(site, job_id)))
    orphan.start()
    assert is_held.wait(30)
    age(site, job_id, 61)
    assert jobs.run(site, job_id) == "done"
    go_on.set()
    orphan.join()
    assert outcome == ["nothing"]
    assert facts(site, job_id)[:2] == ("done", 2)
    assert batch(site, batch_id) == ("done", 95, 95, 0)


def test_P08_two_jobs_for_one_batch_make_each_task_once(site: Site, queue: redis.Redis) -> None:
    job_id, batch_id = waiting_import(site, 3000)
    assert claim(site, job_id)
    second = add(site, "import", batch_id)
    age(site, job_id, 61)
    threads = [threading.Thread(target=jobs.run, args=(site, each)) for each in (job_id, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert batch(site, batch_id) == ("done", 3000, 3000, 0)


def test_the_heartbeat_keeps_a_long_step_from_being_taken_over(
    site: Site, queue: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.settings.job_stale_seconds = 1
    beats: list[bool] = []
    enough = threading.Event()
    beat = stored.beat

    def counted(*arguments: object) -> bool:
        beats.append(beat(*arguments))  # type: ignore[arg-type]
        if len(beats) == 2:
            enough.set()
        return beats[-1]

    monkeypatch.setattr(stored, "beat", counted)
    monkeypatch.setattr(aggregate, "reduce_task", lambda *_: enough.wait(30))
    assert jobs.run(site, add(site)) == "done"
    assert beats[:2] == [True, True]


def test_names_outside_the_list_are_not_run(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    assert jobs.run(site, add(site, "os.system")) == "queued"
    assert facts(site, add(site, "os.system"))[0] == "queued"


def test_each_name_on_the_list_does_its_work(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, int]] = []
    monkeypatch.setattr(importing, "run", lambda site, target, job: done.append(("import", target)))
    monkeypatch.setattr(preview, "look", lambda site, target, job: done.append(("look", target)))
    monkeypatch.setattr(requests, "run", lambda site, target, job: done.append(("export", target)))
    monkeypatch.setattr(restore, "run", lambda site, target, job: done.append(("restore", target)))
    monkeypatch.setattr(mail, "send", lambda site, target: done.append(("mail", target)))
    monkeypatch.setattr(aggregate, "reduce_task", lambda site, target: done.append(("reduce", target)))
    monkeypatch.setattr(review, "review", lambda site, target: done.append(("aggregate", target)))
    monkeypatch.setattr(backups, "run", lambda site: done.append(("backup", 7)))
    for name in stored.NAMES:
        assert jobs.run(site, add(site, name, 7)) == "done"
    assert done == [(name, 7) for name in stored.NAMES]


def test_a_job_given_back_while_the_next_waits_leaves_it_the_work(site: Site) -> None:
    first = add(site)
    running = claim(site, first)
    second = add(site)
    assert running
    with site.db.connection() as connection:
        assert stored.give_back(connection, running, error="fault")
    assert (facts(site, first)[0], facts(site, second)[0]) == ("done", "queued")


def test_P07_after_a_flush_everything_that_waits_is_rung_again(site: Site, queue: redis.Redis) -> None:
    fresh = waiting_import(site)[0]
    silent, running, done = add(site, target=1), add(site, target=2), add(site, target=3)
    for job_id in (silent, running, done):
        assert claim(site, job_id)
    age(site, silent, 61)
    finished = stored.Claim(done, "reduce", 3, 1, 1)
    with site.db.connection() as connection:
        assert stored.finish(connection, finished)
    queue.flushall()
    assert jobs.ring_waiting(site) == 2
    assert [job.args for job in site.bell.queue.jobs] == [[fresh], [silent]]
    assert jobs.ring_waiting(site) == 0  # nobody has heard these yet


def test_P07_without_redis_a_job_waits_and_nothing_fails(site: Site) -> None:
    from microtasks.store.queue import Bell

    away = Site(site.settings, site.db, site.files, site.uploads, Bell("redis://127.0.0.1:1/0"))
    job_id, _ = waiting_import(away)
    assert jobs.ring_waiting(away) == 0
    assert facts(away, job_id)[0] == "queued"
    away.bell.close()


def test_stopped_is_not_an_error() -> None:
    with pytest.raises(JobStopped):
        Running(stored.Claim(1, "import", 1, 1, 1), lambda: True).check_stop()
