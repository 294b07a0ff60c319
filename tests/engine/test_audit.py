"""Who changed what: noted in the change's own transaction, with what was before and after."""

from __future__ import annotations

import csv
import io
from typing import Any

import builders
import pytest

from microtasks.core.errors import ConfigInvalid, NotFound
from microtasks.engine import audit
from microtasks.engine.imports import importing
from microtasks.engine.imports.importing import Upload
from microtasks.engine.projects import projects
from microtasks.engine.projects.projects import ProjectIn
from microtasks.engine.results import decisions, explorer, review
from microtasks.engine.site import Site
from microtasks.store.projects import projects as stored


def form(**fields: Any) -> ProjectIn:
    return ProjectIn(
        **{"name": "Craters", "task_type": "question", "config": builders.CONFIGS["question"], **fields}
    )


def log(site: Site, project_id: int) -> list[tuple[str | None, str, dict[str, Any]]]:
    """The log, oldest first."""
    found = audit.page(site, project_id, None, 1000)
    return [(entry.email, entry.action, entry.detail) for entry in reversed(found)]


def test_a_project_s_life_is_noted_with_what_was_before_and_after(site: Site) -> None:
    ada = builders.account(site)
    made = projects.create(site, ada, form())
    projects.update(site, made.id, form(name="Old craters", redundancy=7), by=ada)
    projects.update(site, made.id, form(name="Old craters", redundancy=7), by=ada)  # changes nothing
    projects.publish(site, made.id, allow_empty=True)  # by the command line
    projects.pause(site, made.id, by=ada)
    projects.pause(site, made.id, by=ada)  # it is paused already
    projects.resume(site, made.id, by=ada)
    projects.archive(site, made.id, by=ada)
    who = "ada@example.org"
    assert log(site, made.id) == [
        (who, "project.create", {"slug": made.slug}),
        (
            who,
            "project.update",
            {
                "before": {"name": "Craters", "redundancy": 5, "answers_min": 5},
                "after": {"name": "Old craters", "redundancy": 7, "answers_min": 7},
            },
        ),
        (None, "project.publish", {"before": "draft", "after": "published"}),
        (who, "project.pause", {"before": "published", "after": "paused"}),
        (who, "project.resume", {"before": "paused", "after": "published"}),
        (who, "project.archive", {"before": "published", "after": "archived"}),
    ]


def test_work_on_tasks_volunteers_and_uploads_is_noted(site: Site) -> None:
    ada = builders.account(site)
    of = builders.project(site, account_id=ada)
    (task,) = builders.tasks(site, of, 1)
    (who, *_) = builders.answers(site, of, task, [builders.YES] * 3)
    with site.db.session() as session:
        project = stored.get(session, of.id)
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO contributor_record (project_id, contributor_id) VALUES (%s, %s)", (of.id, who)
        )
        report = connection.execute(
            "INSERT INTO report (project_id, task_id, contributor_id, reason, note)"
            " VALUES (%s, %s, %s, 'other', '')"
            " RETURNING id",
            (of.id, task, who),
        ).fetchone()
    assert report is not None
    decisions.record(site, project, task, ada, "none", "a shadow")
    explorer.ask_more(site, project, task, 2, by=ada)
    review.set_excluded(site, of.id, review.pseudonym(site, who), is_excluded=True, by=ada)
    review.set_excluded(site, of.id, review.pseudonym(site, who), is_excluded=False, by=ada)
    projects.close_report(site, of.id, report[0], by=ada)
    batch = importing.create_batch(site, of.id, [Upload("t.csv", io.BytesIO(b"id,text\n1,a\n"))], by=ada)
    found = log(site, of.id)
    assert {email for email, _, _ in found} == {"ada@example.org"}
    assert [(action, detail) for _, action, detail in found] == [
        ("task.decide", {"task": task, "choice": "none"}),
        ("task.ask_more", {"task": task, "n": 2}),
        ("volunteer.leave_out", {"contributor": review.pseudonym(site, who)}),
        ("volunteer.take_in", {"contributor": review.pseudonym(site, who)}),
        ("report.close", {"report": report[0]}),
        ("batch.add", {"batch": batch, "label": "t.csv"}),
    ]


def test_what_was_refused_is_not_noted(site: Site) -> None:
    ada = builders.account(site)
    of = builders.project(site, account_id=ada)
    with pytest.raises(ConfigInvalid):
        projects.update(site, of.id, form(config={"fields": []}), by=ada)
    with pytest.raises(NotFound):
        projects.close_report(site, of.id, 1, by=ada)
    assert log(site, of.id) == []


def test_an_unknown_action_cannot_be_noted(site: Site) -> None:
    with site.db.connection() as connection, pytest.raises(KeyError):
        audit.note(connection, None, None, "project.explode")


def test_the_log_is_filtered_paged_and_written_as_csv(site: Site) -> None:
    ada, ben = builders.account(site), builders.account(site, "ben@example.org")
    of, other = builders.project(site), builders.project(site)
    with site.db.connection() as connection:
        for n in range(5):
            audit.note(connection, (ada, ben)[n % 2], of.id, "task.ask_more", task=n, n=1)
        audit.note(connection, ada, of.id, "task.decide", task=9, choice="=none")
        audit.note(connection, ben, other.id, "project.pause")
    first = audit.page(site, of.id, None, 4)
    rest = audit.page(site, of.id, first[-1].id, 4)
    assert [entry.detail["task"] for entry in (*first, *rest)] == [9, 4, 3, 2, 1, 0]
    assert len(audit.page(site, of.id, None, 9, action="task")) == 6
    assert len(audit.page(site, of.id, None, 9, action="task.decide")) == 1
    assert len(audit.page(site, of.id, None, 9, email="ben@example.org")) == 2
    assert audit.people(site, of.id) == ["ada@example.org", "ben@example.org"]
    rows = list(csv.DictReader(io.StringIO(b"".join(audit.csv(site, of.id, action="task")).decode())))
    assert len(rows) == 6
    assert (rows[0]["account"], rows[0]["action"]) == ("ada@example.org", "task.decide")
    assert rows[0]["detail"] == '{"task":9,"choice":"=none"}'
