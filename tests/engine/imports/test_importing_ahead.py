"""Imports of very many rows: lines formed ahead of their transaction, and what must hold all the same."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import builders
import pytest
from test_importing import imported, rows, upload

from microtasks.core.parsing.rows import Table
from microtasks.engine.imports import importing, reader, task_writer
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site
from microtasks.store.imports import batches, tasks
from microtasks.store.projects import projects


@pytest.fixture
def project(site: Site, queue: object) -> builders.ProjectRow:
    return builders.project(site, redundancy=3)


def ahead(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Let something happen once, when an import's first lines are formed and not written yet."""
    lines, happens = task_writer.Writer.lines, iter([then])

    def formed(self: task_writer.Writer, made: task_writer.Made) -> Any:
        found = lines(self, made)
        assert found is not None
        next(happens, lambda: None)()
        return found

    monkeypatch.setattr(task_writer.Writer, "lines", formed)


def test_a_redundancy_that_changes_while_lines_are_formed_holds_for_them(
    site: Site, project: builders.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> None:
        with site.db.connection() as connection:
            connection.execute("UPDATE project SET redundancy = 9, answers_min = 9")

    ahead(monkeypatch, change)
    imported(site, project, upload(t_csv="id,text,redundancy\n1,a,\n2,b,4\n3,c,\n"))
    assert [(row["external_id"], row["redundancy"]) for row in rows(site, project)] == [
        ("1", 9),
        ("2", 4),
        ("3", 9),
    ]


def test_tasks_come_in_in_the_order_of_their_ids_whoever_overtakes(
    site: Site, project: builders.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads tasks on behind the last id they saw misses none."""
    seen: list[list[int]] = []

    def another() -> None:
        imported(site, project, upload(u_csv="id,text\nu1,a\nu2,b\n"))
        seen.append([row["id"] for row in rows(site, project)])

    batch_id = importing.create_batch(site, project.id, upload(t_csv="id,text\n1,a\n2,b\n"))
    with site.db.connection() as connection:
        (job_id,) = connection.execute("SELECT id FROM job").fetchone()  # type: ignore[misc]
    ahead(monkeypatch, another)
    assert jobs.run(site, job_id) == "done"
    with site.db.session() as session:
        assert batches.get(session, batch_id).n_tasks == 2
    made = rows(site, project)
    assert [row["external_id"] for row in made] == ["u1", "u2", "1", "2"]  # by id
    assert [row["id"] for row in made][:2] == seen[0]


def test_two_imports_at_once_into_one_project_take_nothing_from_each_other(
    site: Site, project: builders.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "ROWS_A_CHUNK", 20)
    tables = ["id,text\n" + "".join(f"{name}{n},a\n" for n in range(400)) for name in "ab"]
    made = [importing.create_batch(site, project.id, upload(t_csv=table)) for table in tables]
    with site.db.connection() as connection:
        waiting = [row[0] for row in connection.execute("SELECT id FROM job ORDER BY id")]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda job_id: jobs.run(site, job_id), waiting)) == ["done", "done"]
    with site.db.session() as session:
        for batch_id in made:
            batch = batches.get(session, batch_id)
            assert (batch.state, batch.n_tasks, batch.n_failed, batch.rows_done) == ("done", 400, 0, 400)
        head = projects.get(session, project.id).head_pos
    found = rows(site, project)
    assert len({row["id"] for row in found}) == len({row["pos"] for row in found}) == len(found) == 800
    assert head < min(row["pos"] for row in found)
    for name in "ab":  # each in the order of its file
        own = [row["external_id"] for row in found if row["external_id"].startswith(name)]
        assert own == [f"{name}{n}" for n in range(400)]


def test_content_is_checked_by_the_key_of_its_task_whatever_came_before(
    site: Site, project: builders.ProjectRow
) -> None:
    """A plan made while the table was small is kept by the connection, and read all of it for each row."""
    batch = imported(site, project, upload(t_csv="id,text\nfirst,a\n"))
    with site.db.connection() as connection:

        def scans() -> Any:
            return connection.execute("SELECT pg_stat_get_xact_numscans('task'::regclass)").fetchone()

        connection.execute("ANALYZE task")
        connection.execute("ANALYZE task_content")
        before = scans()
        for name, n in (("a", 100), ("b", 200)):
            new = [tasks.NewTask(f"{name}{i}", i, None, b"{}") for i in range(n)]
            ids = tasks.reserve(connection, n)
            tasks.insert(connection, project.id, tasks.lines(ids, project.id, batch.id, 3, new))
            assert scans() == before


@pytest.mark.parametrize("last", ["", "\n"])
def test_as_many_rows_as_are_allowed_are_not_counted_first_and_one_more_is_refused(
    last: str, site: Site, project: builders.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.settings.max_batch_rows = 50
    counted: list[int] = []
    monkeypatch.setattr(Table, "count", lambda self, at_most: counted.append(at_most) or at_most)
    for name, header in (("csv", "id,text\n"), ("jsonl", "")):
        line = '{{"id": "{}", "text": "a"}}' if name == "jsonl" else "{},a"
        for n, is_counted in ((50, []), (51, [51])):
            table = header + "\n".join(line.format(f"{name}{i}") for i in range(n)) + last
            batch = imported(site, project, upload(**{f"t_{name}": table}))
            assert (counted, batch.state) == (is_counted, "failed" if is_counted else "done")
            counted.clear()
