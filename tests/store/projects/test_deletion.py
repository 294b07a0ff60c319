"""What goes with a project, a batch or a task, and that content needs its task: triggers instead of keys."""

import builders
import pytest
from psycopg.errors import ForeignKeyViolation

from microtasks.engine.operations import invariants
from microtasks.engine.site import Site


@pytest.fixture
def project(site: Site) -> builders.ProjectRow:
    """Three tasks, one of them known, one answered, one handed out; and another project beside it."""
    other = builders.project(site)
    builders.tasks(site, other, 2)
    project = builders.project(site)
    first, *_ = builders.tasks(site, project, 3, gold=[builders.YES, None, None])
    builders.answers(site, project, first, [builders.YES, builders.NO])
    return project


def counts(site: Site) -> tuple[int, ...]:
    """Rows of project, batch, task, task_content, task_gold, answer."""
    with site.db.connection() as connection:
        tables = ("project", "batch", "task", "task_content", "task_gold", "answer")
        return tuple(
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in tables
        )


def test_a_project_takes_everything_of_its_own_along_and_nothing_else(
    site: Site, project: builders.ProjectRow
) -> None:
    assert counts(site) == (2, 2, 5, 5, 1, 2)
    with site.db.connection() as connection:
        connection.execute("DELETE FROM project WHERE id = %s", (project.id,))
    assert counts(site) == (1, 1, 2, 2, 0, 0)
    assert invariants.check(site) == []


def test_a_batch_takes_its_tasks_along(site: Site, project: builders.ProjectRow) -> None:
    with site.db.connection() as connection:
        connection.execute("DELETE FROM batch WHERE id = %s", (project.batch_id,))
    assert counts(site) == (2, 1, 2, 2, 0, 0)
    assert invariants.check(site) == []


def test_a_task_takes_its_content_along(site: Site, project: builders.ProjectRow) -> None:
    with site.db.connection() as connection:
        connection.execute("DELETE FROM task WHERE project_id = %s", (project.id,))
    assert counts(site) == (2, 2, 2, 2, 0, 0)


def test_there_is_no_content_without_its_task(site: Site, project: builders.ProjectRow) -> None:
    with pytest.raises(ForeignKeyViolation), site.db.connection() as connection:
        connection.execute(
            "INSERT INTO task_content (task_id, project_id, batch_id, external_id)"
            " SELECT id, project_id, 1, 'x' FROM (VALUES (987654321, %s::bigint)) AS t (id, project_id)",
            (project.id,),
        )
    assert counts(site)[3] == 5
