"""Exports: columns and order of the contracts, exact values, nothing a spreadsheet would run, flat memory."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from typing import Any

import builders
import pytest
from builders import NO, YES, ProjectRow
from hypothesis import given
from hypothesis import strategies as st

from microtasks import tasktypes
from microtasks.core.errors import InputError
from microtasks.core.parsing.formulas import escape_formulas, unescape_formulas
from microtasks.core.values import Answer, Column
from microtasks.engine.exports import download, registry
from microtasks.engine.exports.columns import in_short
from microtasks.engine.site import Site
from microtasks.engine.tabular.archive import gzipped
from microtasks.engine.tabular.csv_format import Dialect, write_csv
from microtasks.engine.tabular.json_format import write_jsonl
from microtasks.engine.tabular.table import Table
from microtasks.store.exports import reads, snapshots
from microtasks.store.projects import projects
from microtasks.store.tables import Project

MARKS = {"marks": [{"x": 10.5, "y": 20.25, "r": 6.0, "class": "fresh"}, {"x": 90.0, "y": 80.0, "r": 12.0}]}


def get(site: Site, row: ProjectRow) -> Project:
    with site.db.session() as session:
        return projects.get(session, row.id)


def rows(site: Site, project: ProjectRow, what: str, **options: Any) -> list[dict[str, str]]:
    text = b"".join(download.export(site, get(site, project), what, **options)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def lines(site: Site, project: ProjectRow, what: str) -> list[dict[str, Any]]:
    text = b"".join(download.export(site, get(site, project), what, "jsonl")).decode()
    return [json.loads(line) for line in text.splitlines()]


def reduce(site: Site, project: ProjectRow, task_id: int) -> None:
    """Store the consensus of a task as the engine would."""
    found = get(site, project)
    task_type = tasktypes.get(found.task_type)
    with site.db.connection() as connection:
        said = connection.execute(
            "SELECT contributor_id::text, kind, value FROM answer WHERE task_id = %s AND status = 'counted'",
            (task_id,),
        ).fetchall()
        made = task_type.reduce([Answer(*row) for row in said], task_type.parse_config(found.config))
        connection.execute(
            "INSERT INTO consensus (task_id, project_id, value, agreement, confidence, n_answers, is_tied,"
            " detail, reducer) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                *(task_id, project.id, json.dumps(made.value) if made.value is not None else None),
                *(made.agreement, made.confidence, made.n_answers, made.is_tied, json.dumps(made.detail)),
                made.reducer,
            ),
        )


def header(site: Site, project: ProjectRow, what: str) -> str:
    return next(iter(download.export(site, get(site, project), what))).decode().splitlines()[0]


COMMON = {
    "answers": "project,task,external_id,contributor,kind,status,created_at,seconds_spent,revision,",
    "consensus": "project,task,external_id,value,agreement,confidence,n_answers,retired_at,retirement_reason,"
    "reducer,",
}


@pytest.mark.parametrize(
    ("task_type", "what", "own"),
    [
        ("question", "answers", "answer,"),
        ("tagging", "answers", "tags,"),
        ("marking", "answers", "n_marks,"),
        ("question", "consensus", "answer,answer_agreement,answer_confidence"),
        ("tagging", "consensus", "tag,share,confidence,accepted"),
        ("marking", "consensus", "x,y,r,class,probability,n_marked,n_saw,x_sd,y_sd,r_sd"),
    ],
)
def test_columns_begin_as_the_contract_says(site: Site, task_type: str, what: str, own: str) -> None:
    first = header(site, builders.project(site, task_type), what)
    assert first.startswith(COMMON[what])
    own_names = [name.removeprefix("own_") for name in first[len(COMMON[what]) :].split(",")]
    assert ",".join(own_names).startswith(own)


def test_columns_of_marks_are_the_contracts(site: Site) -> None:
    assert header(site, builders.project(site, "marking"), "marks").startswith(
        "project,task,external_id,contributor,mark,class,x,y,r"
    )
    boxes = builders.project(site, "marking", config={"shape": "box"})
    assert header(site, boxes, "marks").startswith(
        "project,task,external_id,contributor,mark,class,x,y,width,height"
    )


def test_an_answer_is_a_row_with_its_pseudonym(site: Site) -> None:
    project = builders.project(site)
    first, second = builders.tasks(site, project, 2)
    people = builders.answers(site, project, first, [YES, None])
    builders.answers(site, project, second, [NO], contributors=people[:1])
    builders.answers(site, project, second, [NO], status="surplus")
    found = rows(site, project, "answers")
    assert [(row["task"], row["kind"], row["status"], row["answer"]) for row in found] == [
        (str(first), "value", "counted", "yes"),
        (str(first), "cant_tell", "counted", ""),
        (str(second), "value", "counted", "no"),
        (str(second), "value", "surplus", "no"),
    ]
    names = [row["contributor"] for row in found]
    assert names[0] == names[2] and len(set(names)) == 3
    assert all(re.fullmatch(r"[a-f][0-9a-f]{15}", name) for name in names)
    assert str(people[0]) not in str(found) and people[0].hex not in str(found)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found[0]["created_at"])
    assert (found[0]["project"], found[0]["external_id"]) == (project.slug, f"item-{first}")
    assert (found[0]["seconds_spent"], found[0]["revision"]) == ("3.5", "1")


def test_consensus_of_a_question(site: Site) -> None:
    project = builders.project(site)
    sure, tied = builders.tasks(site, project, 2)
    builders.answers(site, project, sure, [YES, YES, NO])
    builders.answers(site, project, tied, [YES, NO])
    for task in (sure, tied):
        reduce(site, project, task)
    first, second = rows(site, project, "consensus")
    assert (first["value"], first["answer"], first["n_answers"]) == ("yes", "yes", "3")
    assert float(first["agreement"]) == pytest.approx(2 / 3)
    assert (first["retirement_reason"], first["reducer"]) == ("redundancy", "question/1")
    assert (second["value"], second["answer"], second["retired_at"]) == ("", "", "")


def test_consensus_of_tags_and_marks_is_a_row_each(site: Site) -> None:
    tagging = builders.project(site, "tagging")
    (task,) = builders.tasks(site, tagging, 1)
    builders.answers(site, tagging, task, [{"tags": ["dunes"]}, {"tags": ["dunes", "crater"]}, {"tags": []}])
    reduce(site, tagging, task)
    found = {row["tag"]: row for row in rows(site, tagging, "consensus")}
    assert (found["dunes"]["accepted"], found["crater"]["accepted"]) == ("true", "false")
    assert float(found["dunes"]["share"]) == pytest.approx(2 / 3)
    assert found["dunes"]["value"] == "dunes"

    marking = builders.project(site, "marking")
    (task,) = builders.tasks(site, marking, 1)
    builders.answers(site, marking, task, [MARKS, MARKS, MARKS])
    reduce(site, marking, task)
    found_marks = rows(site, marking, "consensus")
    assert sorted(float(row["x"]) for row in found_marks) == pytest.approx([10.5, 90.0], abs=0.5)
    assert {row["value"] for row in found_marks} == {"2"}


def test_marks_are_one_a_row_in_pixels_of_the_tile(site: Site) -> None:
    project = builders.project(site, "marking")
    tile, whole = builders.tasks(site, project, 2)
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE task_content SET source = 'mars.png', source_x = 500, source_y = 1000 WHERE task_id = %s",
            (tile,),
        )
    builders.answers(site, project, tile, [MARKS, {"marks": []}, None])
    builders.answers(site, project, whole, [MARKS])
    found = rows(site, project, "marks")
    assert list(found[0])[:12] == [
        *("project", "task", "external_id", "contributor", "mark", "class", "x", "y", "r"),
        *("source", "source_x", "source_y"),
    ]
    assert [(row["mark"], row["class"], row["x"], row["r"]) for row in found[:2]] == [
        ("1", "fresh", "10.5", "6.0"),
        ("2", "", "90.0", "12.0"),
    ]
    assert (found[0]["source"], found[0]["source_x"], found[0]["source_y"]) == ("mars.png", "500", "1000")
    assert (found[2]["source"], found[2]["source_x"]) == ("", "")
    assert len(found) == 4
    assert "source" in header(site, project, "consensus").split(",")
    assert "source" not in header(site, builders.project(site, "marking"), "marks").split(",")


def test_tasks_with_the_owners_own_columns(site: Site) -> None:
    project = builders.project(site)
    first, second = builders.tasks(site, project, 2, gold=[YES, None])
    builders.answers(site, project, second, [YES, YES, YES])
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE task_content SET payload = %s, hidden = %s, after = %s WHERE task_id = %s",
            (
                json.dumps({"text": "=1+1", "metadata": {"Region": "Tyrrhena"}}),
                json.dumps({"#file": "a"}),
                json.dumps({"!truth": "b"}),
                first,
            ),
        )
    one, two = rows(site, project, "tasks")
    assert (one["state"], one["n_answers"], one["is_gold"], one["text"]) == ("open", "0", "true", "'=1+1")
    assert (one["meta_Region"], one["hidden_#file"], one["after_!truth"]) == ("Tyrrhena", "a", "b")
    assert (two["state"], two["retirement_reason"], two["is_gold"], two["meta_Region"]) == (
        *("retired", "redundancy", "false"),
        "",
    )
    assert lines(site, project, "tasks")[0]["text"] == "=1+1"


def test_contributors_are_counted_and_nameless(site: Site) -> None:
    project = builders.project(site)
    first, second = builders.tasks(site, project, 2)
    people = builders.answers(site, project, first, [YES, NO])
    builders.answers(site, project, second, [None], contributors=people[:1])
    with site.db.connection() as connection:  # 0.1 + 0.2 is 0.30000000000000004 in a computer
        connection.execute(
            "UPDATE answer SET seconds_spent = CASE task_id WHEN %s THEN 0.1 ELSE 0.2 END", (first,)
        )
    found = {row["contributor"]: row for row in rows(site, project, "contributors")}
    name = rows(site, project, "answers")[0]["contributor"]
    assert (found[name]["n_answers"], found[name]["n_cant_tell"], found[name]["seconds_spent"]) == (
        *("2", "1"),
        "0.3",
    )
    assert len(found) == 2


def test_merged_marks_of_tiled_images(site: Site) -> None:
    project = builders.project(site, "marking")
    task_type = tasktypes.get("marking")
    config = task_type.parse_config(get(site, project).config)
    made = task_type.reduce([Answer(str(n), "value", MARKS) for n in range(3)], config)
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO source_consensus (project_id, source, detail, reducer)"
            " VALUES (%s, 'mars.png', %s, 'marking/1')",
            (project.id, json.dumps(made.detail)),
        )
    found = rows(site, project, "sources")
    assert [row["source"] for row in found] == ["mars.png", "mars.png"]
    assert sorted(float(row["x"]) for row in found) == pytest.approx([10.5, 90.0], abs=0.5)


def test_every_column_is_in_the_code_book_with_a_meaning(site: Site) -> None:
    for task_type in builders.CONFIGS:
        project = builders.project(site, task_type)
        book = registry.code_book(site, get(site, project))
        for what, columns in book.items():
            assert header(site, project, what).split(",") == [column.name for column in columns]
            assert all(column.meaning and column.type for column in columns)
        view = registry.now(site, get(site, project))
        file = list(csv.DictReader(io.StringIO(b"".join(registry.code_book_csv(view)).decode())))
        assert len(file) == sum(len(columns) for columns in book.values())


def test_a_field_may_be_called_like_one_of_our_columns(site: Site) -> None:
    fields = [{"id": "status", "kind": "text", "label": "?"}, {"id": "task", "kind": "text", "label": "?"}]
    project = builders.project(site, config={"fields": fields})
    (task,) = builders.tasks(site, project, 1)
    builders.answers(site, project, task, [{"status": "fine", "task": "mine"}])
    (row,) = lines(site, project, "answers")
    assert (row["status"], row["own_status"], row["own_task"]) == ("counted", "fine", "mine")


def test_what_cannot_be_given_is_refused_before_the_first_byte(site: Site) -> None:
    project = get(site, builders.project(site))
    for what, format in (("secrets", "csv"), ("answers", "docx"), ("marks", "csv"), ("tasks", "crowdkit")):
        with pytest.raises(InputError):
            download.export(site, project, what, format)


def test_P12_the_formats_agree_and_each_answer_is_there_once(site: Site) -> None:
    project = builders.project(site, redundancy=3)
    for task in builders.tasks(site, project, 4):
        builders.answers(site, project, task, [YES, NO, None])
    found = rows(site, project, "answers")
    assert len(found) == 12 == len({(row["task"], row["contributor"]) for row in found})
    exact = lines(site, project, "answers")
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in exact] == found
    plain = b"".join(download.export(site, get(site, project), "answers"))
    zipped = b"".join(gzipped(download.export(site, get(site, project), "answers")))
    assert gzip.decompress(zipped) == plain
    packed = b"".join(download.export(site, get(site, project), "answers", "parquet"))
    assert packed.startswith(b"PAR1") and packed.endswith(b"PAR1")


def test_parquet_is_exact_and_typed(site: Site, tmp_path: Any) -> None:
    duckdb = pytest.importorskip("duckdb")
    project = builders.project(site, config={"fields": [{"id": "said", "kind": "text", "label": "?"}]})
    (task,) = builders.tasks(site, project, 1)
    builders.answers(site, project, task, [{"said": "=1+1"}])
    file = tmp_path / "answers.parquet"
    file.write_bytes(b"".join(download.export(site, get(site, project), "answers", "parquet")))
    with duckdb.connect() as connection:
        row = connection.read_parquet(str(file)).project("task, said, seconds_spent").fetchall()
    assert row == [(task, "=1+1", 3.5)]


def test_crowdkit_has_task_worker_label_of_counted_answers(site: Site) -> None:
    project = builders.project(site)
    (task,) = builders.tasks(site, project, 1)
    builders.answers(site, project, task, [YES, None])
    builders.answers(site, project, task, [NO], status="surplus")
    found = rows(site, project, "answers", format="crowdkit")
    assert [(row["task"], row["label"]) for row in found] == [(str(task), "yes")]
    marking = get(site, builders.project(site, "marking"))
    with pytest.raises(InputError):
        download.export(site, marking, "answers", "crowdkit")


def test_reading_goes_chunk_by_chunk_and_misses_none(site: Site) -> None:
    project = builders.project(site, redundancy=3)
    for task in builders.tasks(site, project, 3):
        builders.answers(site, project, task, [YES, NO, YES])
    cut = snapshots.take(site.db, project.id)
    for read, key, n in (
        (reads.answers, "id", 9),
        (reads.tasks, "task_id", 3),
        (reads.contributors, "contributor_id", 9),
    ):
        keys = [row[key] for row in reads.walk(site.db, read, cut, key, limit=2)]
        assert keys == sorted(keys) and len(set(keys)) == n


def test_answers_that_arrive_while_reading_do_no_harm(site: Site) -> None:
    project = builders.project(site, redundancy=50)
    (task,) = builders.tasks(site, project, 1)
    builders.answers(site, project, task, [YES] * 4)
    walk = reads.walk(site.db, reads.answers, snapshots.take(site.db, project.id), "id", limit=2)
    seen = [next(walk)["id"]]
    builders.answers(site, project, task, [NO] * 3)
    seen += [row["id"] for row in walk]
    assert len(seen) == len(set(seen)) == 4


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (None, None),
        ({"answer": "yes"}, "yes"),
        ({"answer": 3}, 3),
        ({"tags": ["a", "b"]}, "a|b"),
        ({"tags": []}, ""),
        (MARKS, 2),
        ({"a": 1, "b": "x"}, '{"a":1,"b":"x"}'),
    ],
)
def test_a_value_in_short(value: Any, short: Any) -> None:
    assert in_short(value) == short


DANGER = [
    *("=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x", "'=1", "''=1"),
    *("x;=1+1;y", "a\t@SUM(1)", "b|-2", "c\n+3", "x;'=1"),  # where another separator parts the cell
]


@pytest.mark.parametrize("text", DANGER)
def test_T07_a_formula_is_defused_and_can_be_had_back(text: str) -> None:
    assert len(escape_formulas(text)) == len(text) + 1
    assert unescape_formulas(escape_formulas(text)) == text


@given(st.lists(st.text(st.characters(codec="utf-8")) | st.sampled_from(DANGER), min_size=1, max_size=20))
def test_T07_no_csv_cell_is_a_formula_and_nothing_is_lost(texts: list[str]) -> None:
    columns = (Column("=id", "string", ""), Column("n", "integer", ""), Column("text", "string", ""))
    body = [(text, -n, text) for n, text in enumerate(texts)]
    written = b"".join(write_csv(Table(columns, iter(body)))).decode()
    read = list(csv.reader(io.StringIO(written, newline="")))
    assert read[0] == ["'=id", "n", "text"]
    for (text, number, _), cells in zip(body, read[1:], strict=True):
        assert not re.match("[=+\\-@\t\r\n＝＋－＠]", cells[0])
        assert [unescape_formulas(cells[0]), cells[1], unescape_formulas(cells[2])] == [
            text,
            str(number),
            text,
        ]
    for separator in ";\t|":  # by a spreadsheet of another country
        other = csv.reader(io.StringIO(written, newline=""), delimiter=separator)
        assert not any(re.match("[=+\\-@＝＋－＠]", cell) for line in other for cell in line)
    exact = b"".join(write_jsonl(Table(columns, iter(body)))).decode()
    assert [json.loads(line)["text"] for line in exact.split("\n") if line] == texts
    raw = b"".join(write_csv(Table(columns, iter(body)), Dialect(raw=True))).decode()
    assert [cells[2] for cells in csv.reader(io.StringIO(raw, newline=""))][1:] == texts
    assert all(escape_formulas(text) == text for text in ("'tis", "a=1", "", "'", "a; b", "1,-2"))
