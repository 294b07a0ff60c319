"""Import, export and images: rates beside those of the plain way with the ORM, and memory.

    python -m benchmarks.bulk [--tasks 100000] [--answers 200000] [--only import,export,images]

Both ways run in the same process on the same database, one after the other.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import resource
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
from PIL import Image
from sqlmodel import col, select

from benchmarks.hotpath import buffers, fresh_site, make_project, say
from microtasks.engine import exporting, images, ingest, jobs
from microtasks.engine.ingest import Upload
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings
from microtasks.store import projects
from microtasks.store.files import Files
from microtasks.store.tables import Answer, Task, TaskContent

ORM_ROWS = 20_000


def costs(act: Callable[[], object]) -> tuple[float, float]:
    """(seconds by the clock, seconds of this process's processor time)."""
    begin, begin_cpu = time.monotonic(), time.process_time()
    act()
    return time.monotonic() - begin, time.process_time() - begin_cpu


def compare(what: str, n: int, ours: tuple[float, float], n_orm: int, orm: tuple[float, float]) -> None:
    """Rows a second by the clock and by this process's processor time, beside the ORM's."""
    for clock, mine, other in zip(("by the clock", "of own CPU time"), ours, orm, strict=True):
        rate, slow = n / mine, n_orm / other
        say(f"{what}, rows/s {clock}", f"{rate:,.0f} : {slow:,.0f} ({rate / slow:.1f}x)", ">= 20x")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- import -------------------------------------------------------------------------------------------


def project_id(site: Site, slug: str) -> int:
    with site.db.connection() as connection:
        [(found,)] = connection.execute("SELECT id FROM project WHERE slug = %s", (slug,))
    return int(found)


def measure_import(site: Site, n_tasks: int) -> None:
    project = project_id(site, make_project(site, 1))
    with site.db.connection() as connection:
        [(batch,)] = connection.execute("SELECT id FROM batch WHERE project_id = %s", (project,))

    def by_orm() -> None:
        for start in range(0, ORM_ROWS, 1_000):
            with site.db.session() as session:
                tasks = [Task(project_id=project, pos=i, redundancy=3) for i in range(start, start + 1_000)]
                session.add_all(tasks)
                session.flush()
                session.add_all(
                    TaskContent(
                        task_id=task.id,
                        project_id=project,
                        batch_id=batch,
                        external_id=f"orm-{task.pos}",
                        payload={"text": f"Statement {task.pos}"},
                    )
                    for task in tasks
                )
                session.commit()

    table = io.BytesIO()
    table.write(b"id,text\n")
    table.writelines(b"row-%d,Statement %d\n" % (i, i) for i in range(n_tasks))
    table.seek(0)
    batch_id = ingest.create_batch(site, project, [Upload("tasks.csv", table)])
    del table
    with site.db.connection() as connection:
        [(job,)] = connection.execute(
            "SELECT id FROM job WHERE target_id = %s AND name = 'import'", (batch_id,)
        )
    before = peak_mb()
    ours = costs(lambda: jobs.run(site, job))
    grown = peak_mb() - before
    orm = costs(by_orm)
    compare(f"import of {n_tasks:,} text tasks : SQLModel add_all", n_tasks, ours, ORM_ROWS, orm)
    say("import: what memory grew by", f"{grown:.0f} MB", "flat")


# -- export -------------------------------------------------------------------------------------------


def add_answers(site: Site, slug: str, n_answers: int) -> None:
    """That many answers, five a task; their tasks' counters with them."""
    with site.db.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute(
            """INSERT INTO answer (project_id, task_id, contributor_id, kind, status, config_version, value,
                                   seconds_spent)
               SELECT t.project_id, t.id, md5(n::text)::uuid, 'value', 'counted', 1, '{"answer": "yes"}', 3.2
               FROM (SELECT id, project_id FROM task
                     WHERE project_id = (SELECT id FROM project WHERE slug = %s) ORDER BY id LIMIT %s) AS t,
                    generate_series(1, 5) AS n""",
            (slug, n_answers // 5),
        )


def _export(settings: dict[str, Any], slug: str, found: Any) -> None:
    """In a process of its own, for its peak of memory alone."""
    site = open_site(Settings(**settings))
    with site.db.session() as session:
        project = projects.by_slug(session, slug)
    assert project is not None  # noqa: S101
    spent = costs(lambda: sum(map(len, exporting.export(site, project, "answers"))))
    found.put((spent, peak_mb()))
    site.close()


def export(site: Site, slug: str) -> tuple[tuple[float, float], float]:
    """(`costs`, peak megabytes) of an export of the answers as CSV."""
    context = multiprocessing.get_context("spawn")
    found: Any = context.Queue()
    settings = {
        "database_url": site.settings.database_url,
        "redis_url": site.settings.redis_url,
        "data": str(site.settings.data),
        "secret_key": site.settings.secret_key.get_secret_value(),
    }
    process = context.Process(target=_export, args=(settings, slug, found))
    process.start()
    spent, peak = found.get()
    process.join()
    return spent, peak


def measure_export(site: Site, n_answers: int) -> None:
    small, large = make_project(site, n_answers // 50), make_project(site, n_answers // 5)
    add_answers(site, small, n_answers // 10)
    add_answers(site, large, n_answers)
    _, little = export(site, small)
    ours, much = export(site, large)
    wanted = project_id(site, large)

    def by_orm() -> int:
        with site.db.session() as session:
            rows = session.exec(
                select(Answer)
                .where(col(Answer.project_id) == wanted)
                .limit(ORM_ROWS)
                .execution_options(yield_per=1000)
            )
            return sum(len(orjson.dumps(row.model_dump(mode="json", exclude={"network"}))) for row in rows)

    orm = costs(by_orm)
    compare(f"export of {n_answers:,} answers (CSV) : ORM rows", n_answers, ours, ORM_ROWS, orm)
    say(
        f"export: peak memory, {n_answers // 10:,} -> {n_answers:,} answers",
        f"{little:.0f} -> {much:.0f} MB ({much / little:.2f}x)",
        "<= 1.1x",
    )
    open_tasks = make_project(site, 10_000)
    alone = buffers(site, open_tasks, uuid.uuid4)
    context = multiprocessing.get_context("fork")
    beside = context.Process(target=export, args=(site, large))
    beside.start()
    meanwhile = buffers(site, open_tasks, uuid.uuid4, 101)
    beside.join()
    say(
        "buffers of next alone -> while that export runs",
        f"{alone:.0f} -> {meanwhile:.0f} ({meanwhile / alone:.2f}x)",
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
    for width in images.WIDTHS:
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        size = (width, round(picture.height * width / picture.width))
        picture.resize(size, Image.Resampling.LANCZOS).save(io.BytesIO(), "WEBP", quality=images.QUALITY)


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

    def ours(content: bytes) -> Iterator[images.Derived] | list[images.Derived]:
        return list(images.derive(content, ".jpg", files, 50_000_000))

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
    parser.add_argument("--answers", type=int, default=200_000)
    parser.add_argument("--only", default="import,export,images")
    arguments = parser.parse_args()
    with fresh_site() as site:
        if "import" in arguments.only:
            measure_import(site, arguments.tasks)
        if "export" in arguments.only:
            measure_export(site, arguments.answers)
        if "images" in arguments.only:
            measure_images(site)


if __name__ == "__main__":
    main()
