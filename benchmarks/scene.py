"""What every measurement needs: a site of its own, projects of any size, a line of the table."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from microtasks.engine.site import Site, open_site
from microtasks.local import servers
from microtasks.settings import Settings
from microtasks.store.operations import migrate

CONFIG = {
    "fields": [
        {
            "id": "answer",
            "kind": "choice",
            "label": "Is there a crater?",
            "choices": [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}],
        }
    ]
}


def say(what: str, measured: str, target: str = "") -> None:
    print(f"{what:<68} {measured:>34}   {target}", flush=True)


@contextlib.contextmanager
def fresh_site() -> Iterator[Site]:
    """A PostgreSQL (with fsync) and a Valkey in a folder on disk, for one run."""
    folder = Path(tempfile.mkdtemp(prefix="mtb", dir="/var/tmp"))  # /tmp may be in memory
    folder.chmod(0o755)
    postgres, url = servers.start_postgres(folder / "pg")
    valkey, queue = servers.start_valkey(folder / "vk")
    migrate.upgrade(url)
    site = open_site(
        Settings(
            database_url=url, redis_url=queue, data=folder / "data", secret_key=uuid.uuid4().hex, pool_size=16
        )
    )
    try:
        yield site
    finally:
        site.close()
        for process in (postgres, valkey):
            servers.stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def settings_of(site: Site) -> dict[str, Any]:
    """What another process needs to open the same site."""
    return {
        "database_url": site.settings.database_url,
        "redis_url": site.settings.redis_url,
        "data": str(site.settings.data),
        "secret_key": site.settings.secret_key.get_secret_value(),
        "pool_size": site.settings.pool_size,
    }


def make_project(
    site: Site,
    n_tasks: int,
    redundancy: int = 5,
    answers_min: int | None = None,
    *,
    is_analyzed: bool = True,
) -> str:
    """A published project with that many open tasks at random positions; returns its slug."""
    slug = f"bench-{uuid.uuid4().hex[:8]}"
    with site.db.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        [(project, batch, first)] = connection.execute(
            """WITH made AS (
                   INSERT INTO project (slug, name, purpose, instructions, thanks, topic, task_type, config,
                                        state, redundancy, answers_min, published_at)
                   VALUES (%(slug)s, 'Bench', '', '', '', '', 'question', %(config)s, 'published',
                           %(r)s, %(min)s, now()) RETURNING id, config),
               kept AS (
                   INSERT INTO project_config (project_id, version, config) SELECT id, 1, config FROM made)
               INSERT INTO batch (project_id, state, phase, label, upload, n_tasks)
               SELECT id, 'done', 'ready', '', '', %(n)s FROM made
               RETURNING project_id, id, (SELECT coalesce(max(id), 0) FROM task)""",
            {
                "slug": slug,
                "config": json.dumps(CONFIG),
                "r": redundancy,
                "min": redundancy if answers_min is None else answers_min,
                "n": n_tasks,
            },
        )
        given = {"project": project, "batch": batch, "first": first, "n": n_tasks, "r": redundancy}
        connection.execute(
            """INSERT INTO task (id, project_id, pos, redundancy)
               SELECT %(first)s + i, %(project)s, (random() * (1::bigint << 52))::bigint, %(r)s
               FROM generate_series(1, %(n)s) AS i""",
            given,
        )
        connection.execute(
            """INSERT INTO task_content (task_id, project_id, batch_id, external_id, payload)
               SELECT %(first)s + i, %(project)s, %(batch)s, 'item-' || i,
                      jsonb_build_object('text', 'Statement ' || i) FROM generate_series(1, %(n)s) AS i""",
            given,
        )
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('task', 'id'), %s)", (max(first + n_tasks, 1),)
        )
    if is_analyzed:
        analyze(site)
    return slug


def analyze(site: Site) -> None:
    """Let the planner know the tables as they are now."""
    with site.db.connection() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        for table in ("task", "task_content", "answer", "lease", "cursor", "project"):
            connection.execute(f"ANALYZE {table}")


def project_id(site: Site, slug: str) -> int:
    with site.db.connection() as connection:
        [(found,)] = connection.execute("SELECT id FROM project WHERE slug = %s", (slug,))
    return int(found)


def postgres_pid(site: Site) -> int:
    return int((site.settings.data.parent / "pg/postmaster.pid").read_text().split()[0])


def _family(pid: int) -> Iterator[tuple[int, list[str]]]:
    """A process and its children: (pid, fields of /proc/PID/stat from the fifth on). Nothing but on Linux."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _, parent, *rest = stat.read_text().rpartition(")")[2].split()
            if pid in (int(stat.parent.name), int(parent)):
                yield int(stat.parent.name), rest


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its children, ended ones too."""
    ticks = 0
    for each, fields in _family(pid):
        ticks += sum(map(int, fields[9 : 13 if each == pid else 11]))
    return ticks / os.sysconf("SC_CLK_TCK")


def largest_mb(pid: int) -> float:
    """Resident memory of the largest process among a process and its children."""
    pages = max((int(fields[19]) for _, fields in _family(pid)), default=0)
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
