"""Import, export and images: rates beside those of the plain way with the ORM, and memory.

    python -m benchmarks.bulk [--tasks 100000] [--answers 1000000] [--only import,export,images]

Both ways run on the same database, the ORM before and after the other, so that a busy machine is busy for
both. They write the same tables and read the same rows.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import itertools
import multiprocessing
import multiprocessing.process
import queue
import resource
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from random import getrandbits
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from sqlmodel import col, select

from benchmarks.hotpath import buffers
from benchmarks.scene import (
    analyze,
    cpu_seconds,
    fresh_site,
    make_project,
    postgres_pid,
    project_id,
    say,
    settings_of,
)
from microtasks.engine.exports import download
from microtasks.engine.imports import decode, importing
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings
from microtasks.store.files import Files
from microtasks.store.projects import projects
from microtasks.store.tables import Answer, Task, TaskContent

#: So many by the ORM before, and again after.
ORM_ROWS = 10_000
ANSWERS_A_TASK = 10


class Spent(NamedTuple):
    """Seconds by the clock, of this process's processor time, and of PostgreSQL's."""

    clock: float
    own: float
    postgres: float

    def __add__(self, other: Any) -> Spent:
        return Spent(*map(sum, zip(self, other, strict=True)))


def costs(site: Site, act: Callable[[], object]) -> Spent:
    pid = postgres_pid(site)
    begin = time.monotonic(), time.process_time(), cpu_seconds(pid)
    act()
    end = time.monotonic(), time.process_time(), cpu_seconds(pid)
    return Spent(*(after - before for before, after in zip(begin, end, strict=True)))


def compare(what: str, n: int, ours: Spent, n_orm: int, orm: Spent) -> None:
    """Rows a second by the clock and by processor time, beside the ORM's.

    On a machine that is busy with other work the clock flatters who uses two processes at once.
    """
    for way, target, mine, other in (
        ("by the clock", ">= 20x", ours.clock, orm.clock),
        ("of own CPU time", ">= 20x", ours.own, orm.own),
        ("of CPU time with PostgreSQL's", "", ours.own + ours.postgres, orm.own + orm.postgres),
    ):
        rate, slow = n / mine, n_orm / other
        say(f"{what}, rows/s {way}", f"{rate:,.0f} : {slow:,.0f} ({rate / slow:.1f}x)", target)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextlib.contextmanager
def meanwhile(act: Callable[..., None], *given: Any) -> Iterator[multiprocessing.process.BaseProcess]:
    """A fresh process that does it, two seconds on its way; ended with the block."""
    context = multiprocessing.get_context("spawn")
    found: Any = context.Queue()
    process = context.Process(target=act, args=(*given, found))
    process.start()
    time.sleep(2)
    yield process
    process.kill()
    process.join()


def apart(act: Callable[..., None], *given: Any) -> Any:
    """What it finds, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    found: Any = context.Queue()
    process = context.Process(target=act, args=(*given, found))
    process.start()
    while process.is_alive():
        with contextlib.suppress(queue.Empty):
            kept = found.get(timeout=0.5)
            process.join()
            return kept
    raise RuntimeError(f"{act.__name__} failed")


# -- import -------------------------------------------------------------------------------------------


def _import(settings: dict[str, Any], project: int, n_tasks: int, found: Any) -> None:
    """In a process of its own, as in a worker, for its peak of memory alone."""
    site = open_site(Settings(**settings))
    table = site.settings.data.parent / "tasks.csv"
    with table.open("wb") as file:
        file.write(b"id,text\n")
        file.writelines(b"row-%d,Statement %d\n" % (i, i) for i in range(n_tasks))
    with table.open("rb") as file:
        batch_id = importing.create_batch(site, project, [Upload("tasks.csv", file)])
    with site.db.connection() as connection:
        [(job,)] = connection.execute(
            "SELECT id FROM job WHERE target_id = %s AND name = 'import'", (batch_id,)
        )
    spent = costs(site, lambda: jobs.run(site, job))
    with site.db.connection() as connection:
        [(n_made,)] = connection.execute("SELECT n_tasks FROM batch WHERE id = %s", (batch_id,))
    assert n_made == n_tasks  # noqa: S101
    found.put((spent, peak_mb()))
    site.close()


def measure_import(site: Site, n_tasks: int) -> str:
    """Import into a project, and return its slug."""
    slug = make_project(site, 1, redundancy=ANSWERS_A_TASK)
    project = project_id(site, slug)
    with site.db.connection() as connection:
        [(batch,)] = connection.execute("SELECT id FROM batch WHERE project_id = %s", (project,))
    numbers = itertools.count()

    def by_orm() -> None:
        for _ in range(ORM_ROWS // 1_000):
            with site.db.session() as session:
                tasks = [
                    Task(project_id=project, pos=getrandbits(52), redundancy=ANSWERS_A_TASK)
                    for _ in range(1_000)
                ]
                session.add_all(tasks)
                session.flush()
                session.add_all(
                    TaskContent(
                        task_id=task.id,
                        project_id=project,
                        batch_id=batch,
                        external_id=f"orm-{number}",
                        payload={"text": f"Statement {number}"},
                    )
                    for task, number in zip(tasks, numbers, strict=False)
                )
                session.commit()

    _, little = apart(_import, settings_of(site), project_id(site, make_project(site, 1)), n_tasks // 10)
    before = costs(site, by_orm)
    ours, much = apart(_import, settings_of(site), project, n_tasks)
    orm = before + costs(site, by_orm)
    compare(f"import of {n_tasks:,} text tasks : SQLModel add_all", n_tasks, ours, 2 * ORM_ROWS, orm)
    say(
        f"import: peak memory, {n_tasks // 10:,} -> {n_tasks:,} tasks",
        f"{little:.0f} -> {much:.0f} MB ({much / little:.2f}x)",
        "flat",
    )
    return slug


# -- export -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def bare_answers(site: Site) -> Iterator[None]:
    """The table of answers without indexes and keys, which are made anew afterwards: much quicker to fill."""
    with site.db.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        keys = connection.execute(
            """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
               WHERE conrelid = 'answer'::regclass AND contype IN ('u', 'f')"""
        ).fetchall()
        for name, _ in keys:
            connection.execute(f"ALTER TABLE answer DROP CONSTRAINT {name}")
        indexes = connection.execute(
            """SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
               WHERE indrelid = 'answer'::regclass AND NOT indisprimary"""
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
    yield
    with site.db.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        for _, definition in indexes:
            connection.execute(definition)
        for name, definition in keys:
            connection.execute(f"ALTER TABLE answer ADD CONSTRAINT {name} {definition}")


def add_answers(site: Site, slug: str, n_answers: int) -> None:
    """That many answers, ten a task, of 50,000 contributors in a month; made in the database."""
    with site.db.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute(
            """INSERT INTO answer (project_id, task_id, contributor_id, kind, status, config_version, value,
                                   seconds_spent, created_at)
               SELECT t.project_id, t.id, md5(((t.n * 7919 + i) %% 50000)::text)::uuid, 'value', 'counted', 1,
                      CASE WHEN (t.n + i) %% 3 = 0 THEN '{"answer": "no"}'::jsonb
                           ELSE '{"answer": "yes"}' END,
                      2 + (t.n %% 97) / 10.0, now() - make_interval(secs => (t.n * 13 + i) %% 2592000)
               FROM (SELECT id, project_id, row_number() OVER (ORDER BY id) AS n FROM task
                     WHERE project_id = (SELECT id FROM project WHERE slug = %(slug)s)
                     ORDER BY id LIMIT %(tasks)s) AS t,
                    generate_series(1, %(each)s) AS i""",
            {"slug": slug, "tasks": n_answers // ANSWERS_A_TASK, "each": ANSWERS_A_TASK},
        )


def _export(settings: dict[str, Any], slug: str, found: Any) -> None:
    """In a process of its own, for its peak of memory alone."""
    site = open_site(Settings(**settings))
    with site.db.session() as session:
        project = projects.by_slug(session, slug)
    assert project is not None  # noqa: S101
    n_lines = 0

    def count() -> None:
        nonlocal n_lines
        for chunk in download.export(site, project, "answers"):
            n_lines += chunk.count(b"\n")

    spent = costs(site, count)
    found.put((spent, peak_mb(), n_lines))
    site.close()


def measure_export(site: Site, n_answers: int, large: str | None = None) -> None:
    """A tenth of the answers, then all. large: a project of enough tasks."""
    small = make_project(site, n_answers // 10 // ANSWERS_A_TASK, redundancy=ANSWERS_A_TASK)
    large = large or make_project(site, n_answers // ANSWERS_A_TASK, redundancy=ANSWERS_A_TASK)
    begin = time.monotonic()
    with bare_answers(site):
        add_answers(site, small, n_answers // 10)
        add_answers(site, large, n_answers)
    analyze(site)
    say(f"seconds to make {n_answers:,} answers to export", f"{time.monotonic() - begin:.0f}")
    with site.db.connection() as connection:
        [(each, both)] = connection.execute(
            """SELECT pg_total_relation_size('answer') / (SELECT count(*) FROM answer),
                      (pg_total_relation_size('task') + pg_total_relation_size('task_content'))
                          / (SELECT count(*) FROM task)"""
        )
    say("    bytes on disk with indexes: an answer, a task", f"{each:,}, {both:,}")
    open_tasks = make_project(site, 10_000)
    wanted = project_id(site, large)

    def by_orm() -> None:
        """The same columns, of the first answers."""
        writer = csv.writer(io.StringIO())
        with site.db.session() as session:
            rows = session.exec(
                select(Answer, TaskContent)
                .join(TaskContent, col(TaskContent.task_id) == Answer.task_id)
                .where(col(Answer.project_id) == wanted)
                .limit(ORM_ROWS)
                .execution_options(yield_per=1000)
            )
            for answer, content in rows:
                value = answer.value or {}
                writer.writerow(
                    (
                        *(large, answer.task_id, content.external_id, answer.contributor_id, answer.kind),
                        *(answer.status, answer.created_at, answer.seconds_spent, answer.revision),
                        value.get("answer"),
                    )
                )

    tenth, little, n_small = apart(_export, settings_of(site), small)
    before = costs(site, by_orm)
    ours, much, n_large = apart(_export, settings_of(site), large)
    orm = before + costs(site, by_orm)
    assert (n_small, n_large) == (n_answers // 10 + 1, n_answers + 1)  # noqa: S101
    compare(f"export of {n_answers // 10:,} answers : ORM rows", n_answers // 10, tenth, 2 * ORM_ROWS, orm)
    compare(f"export of {n_answers:,} answers : ORM rows", n_answers, ours, 2 * ORM_ROWS, orm)
    say(
        f"export: peak memory, {n_answers // 10:,} -> {n_answers:,} answers",
        f"{little:.0f} -> {much:.0f} MB ({much / little:.2f}x)",
        "<= 1.1x",
    )
    alone = buffers(site, open_tasks, uuid.uuid4)
    with meanwhile(_export, settings_of(site), large) as exporter:
        beside = buffers(site, open_tasks, uuid.uuid4, 101)
        is_running = exporter.is_alive()
    say(
        f"buffers of next, alone -> while {n_answers:,} answers are exported",
        f"{alone:.0f} -> {beside:.0f} ({beside / alone:.2f}x)" + ("" if is_running else ", export over"),
        "<= 2x",
    )


# -- images -------------------------------------------------------------------------------------------


def photograph(seed: int) -> bytes:
    """A JPEG of 2048 x 1536 with soft shapes and a little noise."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)).resize(
        (2048, 1536), Image.Resampling.BICUBIC
    )
    noisy = np.clip(np.asarray(soft, np.int16) + rng.integers(-6, 6, (1536, 2048, 3), np.int16), 0, 255)
    kept = io.BytesIO()
    Image.fromarray(noisy.astype(np.uint8)).save(kept, "JPEG", quality=90)
    return kept.getvalue()


def naive(content: bytes) -> None:
    """Each copy from the file anew, as one would write it at first."""
    for width in decode.WIDTHS:
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        size = (width, round(picture.height * width / picture.width))
        picture.resize(size, Image.Resampling.LANCZOS).save(io.BytesIO(), "WEBP", quality=decode.QUALITY)


def measure_images(site: Site, n: int = 6) -> None:
    files: Files = site.files
    pictures = [photograph(seed) for seed in range(n)]

    def cpu(act: Callable[[bytes], object]) -> float:
        best = float("inf")
        for content in pictures:
            begin = time.process_time()
            act(content)
            best = min(best, time.process_time() - begin)
        return best * 1e3

    def ours(content: bytes) -> Iterator[decode.Derived] | list[decode.Derived]:
        return list(decode.derive(content, ".jpg", files, 50_000_000))

    derived, plain = cpu(ours), cpu(naive)
    say(
        "2048 px JPEG to all copies, CPU beside a decode for each copy",
        f"{derived:.0f} : {plain:.0f} ms ({plain / derived:.1f}x)",
        ">= 1.6x",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--only", default="import,export,images")
    arguments = parser.parse_args()
    with fresh_site() as site:
        measure(site, arguments.tasks, arguments.answers, arguments.only.split(","))


def measure(
    site: Site, n_tasks: int, n_answers: int, only: Sequence[str] = ("import", "export", "images")
) -> None:
    """All of it; what was imported gets the answers that are exported, if there are enough tasks."""
    imported = measure_import(site, n_tasks) if "import" in only else None
    if "export" in only:
        measure_export(site, n_answers, imported if n_tasks >= n_answers // ANSWERS_A_TASK else None)
    if "images" in only:
        measure_images(site)


if __name__ == "__main__":
    main()
