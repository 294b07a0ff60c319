"""The way back: a package makes its project again, and the same consensus to the byte."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import NO, YES, ProjectRow
from click.testing import Result
from test_export_tables import MARKS, get

from microtasks import tasktypes
from microtasks.core.errors import FileInvalid
from microtasks.engine.exports import download, package, project_file, registry, restore, snapshots
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site
from microtasks.engine.tabular.archive import zipped
from microtasks.store.assignment import answers
from microtasks.store.operations import invariants
from microtasks.store.results import explorer
from microtasks.store.tables import Project

NEAR = {"marks": [{"x": 11.0, "y": 20.0, "r": 6.5, "class": "fresh"}]}
SAID: dict[str, list[Any]] = {
    "question": [YES, YES, NO],
    "tagging": [{"tags": ["dunes"]}, {"tags": ["dunes", "crater"]}, {"tags": []}],
    "marking": [MARKS, NEAR, MARKS],
}
#: What must differ: where it is, and under which numbers and names.
NEW = ("project", "task", "contributor", "batch", "expert")


def packed(site: Site, project: Project, path: Path, *, with_gold: bool = False) -> Path:
    snapshot = snapshots.take(site, project)
    whole = package.whole(site, project, snapshot=snapshot, with_gold=with_gold)
    path.write_bytes(
        b"".join(zipped(package.package(site, project, whole, snapshot=snapshot), snapshot.cut.at))
    )
    return path


def broken(site: Site) -> list[str]:
    """Which invariants do not hold."""
    with site.db.connection() as connection:
        return [one.sentence for one in invariants.ALL if invariants.broken(connection, one)[0]]


def table(site: Site, project: Project, what: str) -> list[dict[str, str]]:
    text = b"".join(download.export(site, project, what)).decode()
    rows = csv.DictReader(io.StringIO(text, newline=""))
    new = (*NEW, "decision") if what == "decisions" else NEW
    return [{name: cell for name, cell in row.items() if name not in new} for row in rows]


def answered(site: Site, task_type: str) -> ProjectRow:
    """Tasks of every state, answers of every kind and version, somebody left out, an older wording, and all
    that stands beside answers."""
    project = builders.project(site, task_type, redundancy=5, name='=A "name"')
    image = builders.media(site)
    done, some, _, late = builders.tasks(
        site, project, 4, media_ids=[image], gold=[SAID[task_type][0], *[None] * 3]
    )
    people = builders.answers(site, project, done, [*SAID[task_type], None, SAID[task_type][0]])
    builders.answers(site, project, some, SAID[task_type], contributors=people[:3])
    builders.answers(site, project, late, [None])
    builders.answers(site, project, late, SAID[task_type][:1], status="surplus")
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO contributor_record (project_id, contributor_id, is_excluded) VALUES (%s, %s, true)",
            (project.id, people[4]),
        )
        connection.execute(
            'UPDATE task_content SET hidden = \'{"#a": "=1"}\', after = \'{"!b": "2"}\' WHERE task_id = %s',
            (some,),
        )
        (answer,) = (
            connection.execute("SELECT id FROM answer WHERE task_id = %s LIMIT 1", (some,)).fetchone() or ()
        )
        answers.revise(connection, answer, "value", SAID[task_type][2])
        answers.revise(connection, answer, "cant_tell", None)
        if task_type == "marking":
            connection.execute(
                "UPDATE task_content SET source = 'mars.png', source_x = 0, source_y = 0,"
                " source_media_id = %s WHERE task_id = %s",
                (image, done),
            )
    aggregate.aggregate(site, project.id)
    ada, ben = builders.account(site), builders.account(site, "ben@example.org")
    builders.member(site, project, ben, "reviewer")
    with site.db.connection() as connection:
        explorer.add_decision(connection, done, ben, "none", None, "first =look")
        explorer.add_decision(connection, done, ada, "own", SAID[task_type][1], "")
        explorer.add_decision(connection, some, ben, "answer", SAID[task_type][0], "")
        explorer.add_decision(connection, some, ben, "taken_back", None, "")
        for who, note, is_closed in ((people[0], "=blurred", True), (people[1], "", False)):
            connection.execute(
                "INSERT INTO report (project_id, task_id, contributor_id, reason, note, closed_at)"
                " VALUES (%s, %s, %s, 'broken', %s, CASE WHEN %s THEN now() END)",
                (project.id, late, who, note, is_closed),
            )
        connection.execute(
            "INSERT INTO skip (contributor_id, task_id, project_id) VALUES (%s, %s, %s), (%s, %s, %s)",
            (people[3], some, project.id, people[4], late, project.id),
        )
        connection.execute(
            "INSERT INTO stopping (task_id, project_id, outcome, is_audit, n_answers, value, n_reopened)"
            " VALUES (%s, %s, 'sure', true, 3, %s, 1)",
            (done, project.id, json.dumps(SAID[task_type][0])),
        )
        connection.execute("UPDATE task SET pos = pos + (512::bigint << 52) WHERE id = %s", (late,))
        connection.execute("UPDATE project SET config_version = 3 WHERE id = %s", (project.id,))
        connection.execute(
            "INSERT INTO project_config (project_id, version, config)"
            " SELECT id, config_version, config FROM project WHERE id = %s",
            (project.id,),
        )
        connection.execute("UPDATE answer SET config_version = 3 WHERE task_id = %s", (done,))
    return project


@pytest.mark.parametrize("task_type", list(SAID))
def test_a_package_makes_the_same_project_again(site: Site, task_type: str, tmp_path: Path) -> None:
    before = get(site, answered(site, task_type))
    file = packed(site, before, tmp_path / "package.zip", with_gold=True)
    made = restore.restore_package(site, file)
    assert (made.n_tasks, made.n_answers, made.n_lost) == (4, 10, 0)
    after = made.project
    assert after.slug != before.slug and (after.state, after.name) == ("draft", before.name)
    for name in project_file.SETTINGS:
        assert getattr(after, name) == getattr(before, name), name
    kind = tasktypes.get(task_type)
    assert kind.parse_config(after.config) == kind.parse_config(before.config)
    listed = [what.name for what in registry.tables_of(registry.now(site, before))]
    assert [what.name for what in registry.tables_of(registry.now(site, after))] == listed
    assert listed[-4:] == ["decisions", "reports", "skips", "revisions"]
    for what in registry.tables_of(registry.now(site, before)):
        mine, theirs = table(site, after, what.name), table(site, before, what.name)
        if what.name not in ("tasks", "consensus", "sources"):  # in the order of new numbers
            mine, theirs = ([sorted(row.items()) for row in rows] for rows in (mine, theirs))
            mine, theirs = sorted(mine), sorted(theirs)
        if what.name == "sources":
            mine, theirs = ([{**row, "updated_at": ""} for row in rows] for rows in (mine, theirs))
        assert mine == theirs, what.name
    priorities = "SELECT sum(1023 - (pos >> 52)) FROM task WHERE project_id = %s"
    with site.db.connection() as connection:
        one, other = (connection.execute(priorities, (each.id,)).fetchone() for each in (before, after))
    assert one == other
    assert broken(site) == []
    again = packed(site, after, tmp_path / "again.zip", with_gold=True)
    assert restore.restore_package(site, again).n_answers == 10


def test_gold_and_answers_are_in_only_where_they_are_asked_for(site: Site, tmp_path: Path) -> None:
    before = get(site, answered(site, "question"))
    made = restore.restore_package(
        site, packed(site, before, tmp_path / "p.zip"), with_answers=False, name="Other"
    )
    assert (made.n_answers, made.project.name) == (0, "Other")
    found = table(site, made.project, "tasks")
    assert {(row["state"], row["n_answers"], row["is_gold"]) for row in found} == {("open", "0", "false")}
    assert table(site, before, "tasks")[0]["is_gold"] == "true"


def test_tasks_whose_picture_the_site_does_not_have_are_counted(site: Site, tmp_path: Path) -> None:
    before = get(site, answered(site, "marking"))
    file = packed(site, before, tmp_path / "p.zip")
    with site.db.connection() as connection:
        connection.execute("UPDATE media SET sha256 = repeat('0', 64)")
    assert restore.restore_package(site, file).n_lost == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda head, task: task["answers"][0].update(value={"marks": []}), "Line 2"),
        (lambda head, task: task["answers"][0].update(kind="cant_tell"), "no value"),
        (lambda head, task: task.update(redundancy=1), "more counted answers"),
        (lambda head, task: task.update(retired_at=None), "done for a reason"),
        (lambda head, task: task.update(secret=1), "Line 2"),
        (lambda head, task: head["project"].update(id=1), "Line 1"),
        (lambda head, task: head.pop("configs"), "Line 1"),
    ],
)
def test_a_file_that_was_changed_is_refused_by_line(
    site: Site, tmp_path: Path, change: Callable[[Any, Any], Any], says: str
) -> None:
    project = get(site, answered(site, "question"))
    view = snapshots.View(site, project, snapshots.take(site, project))
    lines = [json.loads(line) for line in b"".join(project_file.file(view).chunks).splitlines()]
    change(lines[0], lines[1])
    file = tmp_path / "x-project.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(FileInvalid, match=says):
        restore.restore_package(site, file)


def test_what_is_no_package_is_refused(site: Site, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.csv").write_text("id,text\n")
    (tmp_path / "x.zip").write_bytes(b"".join(zipped([], datetime(2026, 1, 1, tzinfo=UTC))))
    for name in ("empty", "text.csv", "x.zip"):
        with pytest.raises(FileInvalid):
            restore.restore_package(site, tmp_path / name)


def test_the_command_makes_a_project_from_a_package(
    site: Site, cli: Callable[..., Result], tmp_path: Path
) -> None:
    project = answered(site, "question")
    folder = tmp_path / "results"
    written = cli("export", project.slug, "--what", "all", "--gold", "--out", f"{folder}/")
    assert written.exit_code == 0, written.output
    made = cli("project", "import", folder)
    assert made.exit_code == 0, made.output
    assert "4 tasks, 10 answers." in made.stderr
    slug = made.stdout.strip()
    shown = cli("export", slug, "--what", "consensus", "--out", "-").stdout
    assert len(shown.splitlines()) == len(
        cli("export", project.slug, "--what", "consensus").stdout.splitlines()
    )
    (tmp_path / "empty").mkdir()
    assert cli("project", "import", tmp_path / "empty").exit_code == 1
