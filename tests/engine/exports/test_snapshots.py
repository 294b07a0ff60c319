"""One export is one state of the project, whatever comes in meanwhile; names belong to that state."""

from __future__ import annotations

import json
import threading
from typing import Any

import builders
import psycopg
import pytest
from builders import NO, YES, ProjectRow
from test_export_tables import MARKS, get, reduce, rows

from microtasks.core.errors import Unavailable
from microtasks.engine.exports import answer_tables, download, package, registry, snapshots
from microtasks.engine.exports.download import Cursor
from microtasks.engine.exports.snapshots import Bounds, View
from microtasks.engine.site import Site
from microtasks.engine.tabular.archive import zipped
from microtasks.engine.tabular.csv_format import Dialect, write_csv
from microtasks.engine.tabular.json_format import write_jsonl
from microtasks.engine.tabular.table import Table
from microtasks.store.assignment import answers
from microtasks.store.exports import answer_arrays, reads
from microtasks.store.exports import snapshots as export_snapshots

OTHER = {"marks": [{"x": 200.0, "y": 30.0, "r": 9.0, "class": "fresh"}]}
VALUES: dict[str, tuple[Any, Any]] = {
    "question": (YES, NO),
    "tagging": ({"tags": ["dunes"]}, {"tags": []}),
    "marking": (MARKS, OTHER),
}


def everything(site: Site, project: ProjectRow, snapshot: snapshots.Snapshot) -> dict[str, bytes]:
    """Every table as JSON lines."""
    row = get(site, project)
    return {
        spec.name: b"".join(download.export(site, row, spec.name, "jsonl", snapshot=snapshot))
        for spec in registry.tables_of(View(site, row, snapshot))
    }


def every_file(site: Site, project: ProjectRow, snapshot: snapshots.Snapshot) -> dict[str, bytes]:
    """Every file of every format that the project can be had in, the workbook, and the package of all."""
    row = get(site, project)
    written = {}
    for format in registry.formats_of(site, row):
        for table in format.tables or [spec.name for spec in registry.tables_of(View(site, row, snapshot))]:
            if table not in ("marks", "sources") or project_has_marks(row):
                for file in download.files(site, row, table, format.name, snapshot=snapshot):
                    written[f"{format.name} {table} {file.name}"] = b"".join(file.chunks)
    written["workbook"] = b"".join(download.workbook(View(site, row, snapshot)).chunks)
    listed = package.package(site, row, package.whole(site, row, snapshot=snapshot), snapshot=snapshot)
    written["package"] = b"".join(zipped(listed, snapshot.cut.at))
    return written


def project_has_marks(row: Any) -> bool:
    return any(part.kind == "marks" for part in registry.parts_of(row))


def answer_ids(site: Site, task: int) -> list[int]:
    with site.db.connection() as connection:
        found = connection.execute("SELECT id FROM answer WHERE task_id = %s ORDER BY id", (task,))
        return [row[0] for row in found]


@pytest.mark.parametrize("task_type", list(VALUES))
def test_what_comes_in_during_an_export_changes_none_of_its_tables(site: Site, task_type: str) -> None:
    yes, no = VALUES[task_type]
    project = builders.project(site, task_type, redundancy=5)
    asked, fresh, revised, untouched = builders.tasks(site, project, 4)
    for task in (asked, revised, untouched):
        builders.answers(site, project, task, [yes, yes, no, None])
        reduce(site, project, task)
    if task_type == "marking":
        with site.db.connection() as connection:
            connection.execute(
                "UPDATE task_content SET source = 'mars.png', source_x = 0, source_y = 0 WHERE task_id = %s",
                (asked,),
            )
    with site.db.connection() as connection:  # what a review has found of some
        connection.execute(
            "INSERT INTO contributor_record (project_id, contributor_id, skill)"
            " SELECT project_id, contributor_id, 0.9 FROM answer WHERE task_id = %s AND kind <> 'cant_tell'",
            (revised,),
        )
    found = get(site, project)
    snapshot = snapshots.take(site, found)
    before = everything(site, project, snapshot)
    assert b"0.9" in before["contributors"]
    files_before = every_file(site, project, snapshot)

    builders.tasks(site, project, 2)  # a later upload
    account = builders.account(site)
    with site.db.connection() as connection:  # what comes in beside answers
        for statement in (
            "INSERT INTO report (project_id, task_id, contributor_id, reason, note)"
            " VALUES (%(project)s, %(task)s, gen_random_uuid(), 'broken', '')",
            "INSERT INTO skip (project_id, task_id, contributor_id)"
            " VALUES (%(project)s, %(task)s, gen_random_uuid())",
            "INSERT INTO expert_decision (task_id, account_id, choice, note)"
            " VALUES (%(task)s, %(account)s, 'none', 'x')",
        ):
            connection.execute(statement, {"project": project.id, "task": untouched, "account": account})
    with site.db.connection() as connection:  # in one transaction each, as when a volunteer answers
        answers.revise(connection, answer_ids(site, revised)[0], "value", no)
        answers.revise(connection, answer_ids(site, revised)[3], "value", no)
    with site.db.connection() as connection:
        answers.revise(connection, answer_ids(site, revised)[0], "cant_tell", None)
    builders.answers(site, project, asked, [no])  # the fifth: the task is retired
    builders.answers(site, project, fresh, [no, no])
    for task in (asked, fresh, revised):
        with site.db.connection() as connection:
            connection.execute("DELETE FROM consensus WHERE task_id = %s", (task,))
        reduce(site, project, task)
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO contributor_record (project_id, contributor_id, is_excluded)"
            " SELECT project_id, contributor_id, true FROM answer WHERE task_id = %s ORDER BY id LIMIT 1",
            (untouched,),
        )
        connection.execute("UPDATE contributor_record SET skill = 0.1, habits = '[\"too_fast\"]'")
    during = everything(site, project, snapshot)
    for what, text in before.items():
        assert during[what].decode() == text.decode(), what
    files_during = every_file(site, project, snapshot)
    assert files_during.keys() == files_before.keys()
    assert [name for name in files_before if files_before[name] != files_during[name]] == []
    after = everything(site, project, snapshots.take(site, found))
    assert {what for what in before if after[what] == before[what]} <= {"sources"}
    assert b"excluded" in after["answers"] and b'"retired"' in after["tasks"]


def test_an_answer_with_a_lower_number_that_is_committed_late_is_in(site: Site) -> None:
    project = builders.project(site)
    (task,) = builders.tasks(site, project, 1)
    late = psycopg.connect(site.db.url)
    give = (
        "INSERT INTO answer (project_id, task_id, contributor_id, kind, status, value, config_version)"
        " VALUES (%s, %s, gen_random_uuid(), 'value', 'counted', %s, 1)"
    )
    late.execute(give, (project.id, task, json.dumps(NO)))
    with site.db.connection() as connection:  # not `builders.answers`: it would wait for the task's row
        connection.execute(give, (project.id, task, json.dumps(YES)))
    with pytest.raises(Unavailable):
        export_snapshots.take(site.db, project.id, wait_seconds=0.05)
    taken: list[snapshots.Snapshot] = []
    taking = threading.Thread(target=lambda: taken.append(snapshots.take(site, get(site, project))))
    taking.start()
    taking.join(0.2)
    assert taking.is_alive() and not taken
    late.commit()
    taking.join(5)
    late.close()
    assert [row["answer"] for row in rows(site, project, "answers", snapshot=taken[0])] == ["no", "yes"]


def test_an_export_holds_no_transaction_while_it_is_read(site: Site) -> None:
    project = builders.project(site, redundancy=9)
    (task,) = builders.tasks(site, project, 1)
    builders.answers(site, project, task, [YES] * 9)
    found = View(site, get(site, project), snapshots.take(site, get(site, project)))
    for walk in (
        found.walk(reads.answers, "id"),
        answer_arrays.walk(site.db, found.snapshot.cut, []),
    ):
        next(iter(walk))
        with site.db.connection() as connection:
            held = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchone()
        assert held == (0,)


def test_names_belong_to_a_state_unless_the_same_are_asked_for(site: Site) -> None:
    project = builders.project(site, redundancy=9)
    first, second = builders.tasks(site, project, 2)
    people = builders.answers(site, project, first, [YES, NO])
    found = get(site, project)

    def names(same: bool = False) -> list[str]:
        snapshot = snapshots.take(site, found, same_names=same)
        return [row["contributor"] for row in rows(site, project, "answers", snapshot=snapshot)]

    then, stable = names(), names(same=True)
    assert names() == then  # the same state: tables that are exported one by one match
    builders.answers(site, project, second, [YES], contributors=people[:1])
    assert not set(names()) & set(then)
    assert names(same=True) == [*stable, stable[0]]
    assert not set(stable) & set(names())
    kept = snapshots.take(site, found)
    package = {what: everything(site, project, kept)[what] for what in ("answers", "contributors")}
    said, who = ({json.loads(line)["contributor"] for line in package[what].splitlines()} for what in package)
    assert said == who


AWKWARD = [
    *(
        "=1+1",
        '"quoted", and comma',
        "two\r\nlines",
        "\tx",
        "'=1",
        "－1",
        "a|b",
        "",
        " space ",
        "é€😀",
        "\x1f\x1e",
    ),
    *("\u2028", "null", "1.0", "-", "a\\b", '\\"', "NaN", "None"),
]
FIELDS: list[dict[str, Any]] = [
    {"id": "text", "kind": "text", "label": "?", "required": False},
    {"id": "n", "kind": "number", "label": "?", "required": False},
    {"id": "scale", "kind": "scale", "label": "?", "min": 1, "max": 5, "required": False},
    {
        **{"id": "more", "kind": "choices", "label": "?", "required": False},
        "choices": [{"id": "=a", "label": "A"}, {"id": "b,c", "label": "B"}, {"id": "ü", "label": "U"}],
    },
]
NUMBERS = [0, -5, 7, 0.1, 1e-07, 1.5e20, 123456789012345678, 1000000000000000.5, 2.5, 1e-05, -0.5]


def test_columns_are_written_to_the_byte_as_rows_are(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_arrays, "CHUNK", 7)
    project = builders.project(site, config={"fields": FIELDS}, redundancy=100)
    tasks = builders.tasks(site, project, len(AWKWARD))
    choices = ["=a", "b,c", "ü"]
    with site.db.connection() as connection:
        for task, text in zip(tasks, AWKWARD, strict=True):
            connection.execute(
                "UPDATE task_content SET external_id = %s WHERE task_id = %s", (text or "e", task)
            )
    for place, (task, text) in enumerate(zip(tasks, AWKWARD, strict=True)):
        value = {"n": NUMBERS[place % len(NUMBERS)], "scale": place % 5 + 1, "more": choices[: place % 4]}
        values = [{**value, "text": text}, None, {}, {"text": text}]
        builders.answers(site, project, task, values, status="counted" if place % 2 else "surplus")
    with site.db.connection() as connection:
        for place, seconds in enumerate((None, 7.0, 0.0, 1e-05, 3600.25, 1e15, 0.1 + 0.2)):
            connection.execute("UPDATE answer SET seconds_spent = %s WHERE id %% 7 = %s", (seconds, place))
        connection.execute("UPDATE answer SET created_at = '2026-03-01 00:00:00.9999+00' WHERE id % 3 = 0")
        connection.execute("UPDATE answer SET created_at = '1969-12-31 23:59:59.0001+00' WHERE id % 3 = 1")
        answers.revise(connection, answer_ids(site, tasks[0])[0], "value", {"text": "'+1"})
    found = get(site, project)
    view = View(site, found, snapshots.take(site, found))

    def both() -> tuple[Table, Table]:
        """The plain rows, and the columns."""
        by_row = answer_tables.answers(View(site, found, view.snapshot, Bounds(None, 10_000)))
        by_column = answer_tables.answers(view)
        return by_row, by_column

    for raw in (False, True):
        plain, fast = (b"".join(write_csv(table, Dialect(raw=raw))) for table in both())
        assert fast == plain
    plain, fast = (b"".join(write_jsonl(table)) for table in both())
    assert fast == plain
    slow, quick = both()
    assert list(quick.rows) == list(slow.rows)
    # a version that is later than the snapshot: that chunk is read by rows
    with site.db.connection() as connection:
        answers.revise(connection, answer_ids(site, tasks[3])[0], "value", {"text": "later"})
    assert b"".join(write_jsonl(both()[1])) == plain


@pytest.mark.parametrize("task_type", list(builders.CONFIGS))
def test_what_a_type_picks_is_what_it_writes(site: Site, task_type: str) -> None:
    project = builders.project(site, task_type, redundancy=9)
    (task,) = builders.tasks(site, project, 1)
    builders.answers(site, project, task, [*VALUES[task_type], None])
    found = get(site, project)
    snapshot = snapshots.take(site, found)
    by_row = answer_tables.answers(View(site, found, snapshot, Bounds(None, 10)))
    assert list(answer_tables.answers(View(site, found, snapshot)).rows) == list(by_row.rows)


def test_pages_of_a_table_are_the_table(site: Site) -> None:
    project = builders.project(site, redundancy=9)
    for task in builders.tasks(site, project, 5):
        builders.answers(site, project, task, [YES, NO])
        reduce(site, project, task)
    found = get(site, project)
    for what, n in (("answers", 10), ("tasks", 5), ("consensus", 5), ("contributors", 10)):
        seen: list[tuple[Any, ...]] = []
        cursor = Cursor()
        while True:
            page = download.page(site, found, what, cursor, 3)
            seen += page.rows
            if page.next is None:
                break
            cursor = page.next
        assert len(seen) == n
        view = View(site, found, snapshots.take(site, found, same_names=True))
        assert seen == list(registry.TABLES[what].read(view).rows)
