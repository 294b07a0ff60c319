"""A staged upload becomes what its report said; files of other tools; undo leaves what has answers."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from pathlib import Path
from typing import Any

import builders
import pytest
from PIL import Image

from microtasks.core.errors import Conflict, FileInvalid
from microtasks.engine.assignment import serve, submit
from microtasks.engine.imports import importing
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import invariants, jobs
from microtasks.engine.site import Site
from microtasks.store.imports import batches
from microtasks.store.tables import Batch


def png(shade: int, size: tuple[int, int] = (64, 48)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (shade, 90, 40)).save(file, "PNG")
    return file.getvalue()


def packed(**files: bytes) -> Upload:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    file.seek(0)
    return Upload("upload.zip", file)


def work(site: Site) -> None:
    with site.db.connection() as connection:
        waiting = connection.execute("SELECT id FROM job WHERE state = 'queued' ORDER BY id").fetchall()
    for (job,) in waiting:
        assert jobs.run(site, job) == "done"


def staged(
    site: Site, project: builders.ProjectRow, *uploads: Upload, **options: int
) -> tuple[int, dict[str, Any]]:
    batch_id = importing.create_batch(site, project.id, uploads, is_staged=True, **options)
    work(site)
    return batch_id, report(site, batch_id)


def report(site: Site, batch_id: int) -> dict[str, Any]:
    look = get(site, batch_id).look
    assert look is not None
    return look


def get(site: Site, batch_id: int) -> Batch:
    with site.db.session() as session:
        return batches.get(session, batch_id)


def contents(site: Site, project: builders.ProjectRow) -> list[tuple[Any, ...]]:
    with site.db.connection() as connection:
        return connection.execute(
            """SELECT c.external_id, c.payload, c.hidden, cardinality(c.media_ids), t.redundancy, g.value
               FROM task t JOIN task_content c ON c.task_id = t.id LEFT JOIN task_gold g ON g.task_id = t.id
               WHERE t.project_id = %s ORDER BY t.id""",
            (project.id,),
        ).fetchall()


TABLE = (
    b"id,Picture,note,gold_answer\n"
    b"a,a.png,first,yes\n"
    b"b,b.png,second,\n"
    b"c,gone.png,third,\n"
    b"a,b.png,again,\n"
    b"d,bad.png,fourth,\n"
    b"e,b.png,fifth,maybe\n"
)


def test_the_report_says_what_the_import_then_does(site: Site) -> None:
    project = builders.project(site)
    upload = packed(t__csv=TABLE, a__png=png(1), b__png=png(2), bad__png=b"no image", gone2__png=png(3))
    batch_id, look = staged(site, project, upload)
    # a column of file names is taken for images only when all of them are there: here one is not
    assert [column["role"] for column in look["columns"]] == [None] * 4
    assert contents(site, project) == [] and get(site, batch_id).state == "staged"

    importing.look_again(site, batch_id, {"Picture": "image"})
    work(site)
    look = report(site, batch_id)
    assert (look["n_rows"], look["n_tasks"], look["n_failed"]) == (6, 2, 4)
    reasons = {row["name"]: row["reason"] for row in look["failures"]}
    assert "not in the upload" in reasons["c"] and "not an image" in reasons["d"]
    assert "earlier in this upload" in reasons["a"] and "Known answer" in reasons["e"]
    assert [task["id"] for task in look["tasks"]] == ["a", "b", "c", "a", "d"]
    assert look["tasks"][0]["has_gold"] and look["tasks"][0]["media"][0]["width"] == 64
    assert look["unused"] == ["gone2.png"]

    importing.confirm(site, batch_id)
    work(site)
    done = get(site, batch_id)
    assert (done.state, done.phase, done.n_tasks, done.n_failed) == ("done", "ready", 2, 4)
    assert [(row[0], row[3], row[5]) for row in contents(site, project)] == [
        ("a", 1, {"answer": "yes"}),
        ("b", 1, None),
    ]
    assert invariants.check(site) == []


def test_a_column_of_file_names_is_found_and_said(site: Site) -> None:
    """As in a Zooniverse manifest, whose columns of files have any name."""
    project = builders.project(site, "marking")
    manifest = b"subject,Filename,#secret,//note,!origin,%index\n1,a.png,s,n,o,7\n2,b.png,s,n,o,8\n"
    upload = packed(manifest__csv=manifest, a__png=png(1), b__png=png(2))
    batch_id = importing.create_batch(site, project.id, [upload])
    work(site)
    assert get(site, batch_id).n_tasks == 2
    assert any(
        "“Filename” was taken for the names of images" in notice for notice in get(site, batch_id).notices
    )
    _, payload, hidden, n_images, _, _ = contents(site, project)[0]
    assert payload == {"metadata": {"subject": "1", "index": "7"}} and n_images == 1
    assert hidden == {"secret": "s", "note": "n"}


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        (
            "tasks.json",  # PyBossa
            [{"info": {"text": "One", "lat": 1.5}, "n_answers": 3, "priority_0": 0.5, "calibration": 0}],
            ({"text": "One", "metadata": {"lat": "1.5"}}, 3),
        ),
        (
            "tasks.json",  # Label Studio
            [{"id": 7, "data": {"text": "One"}, "annotations": [], "predictions": []}],
            ({"text": "One"}, 5),
        ),
        (
            "tasks.csv",  # PyBossa
            b"text,n_answers,priority_0,quorum,state\nOne,3,0.5,0,new\n",
            ({"text": "One"}, 3),
        ),
        (
            "lines.csv",
            b"sentence\nA sentence that is long enough.\n",
            ({"text": "A sentence that is long enough."}, 5),
        ),
    ],
)
def test_tables_of_other_tools_are_read(site: Site, name: str, content: Any, wanted: Any) -> None:
    project = builders.project(site, redundancy=5)
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    batch_id = importing.create_batch(site, project.id, [Upload(name, io.BytesIO(raw))])
    work(site)
    assert get(site, batch_id).n_failed == 0, get(site, batch_id).error
    ((_, payload, _, _, redundancy, _),) = contents(site, project)
    assert (payload, redundancy) == wanted


@pytest.mark.parametrize("content", [b"{}", b"[]", b"[1, 2", b'[{"a": 1, "a": 2}]', b'"text"'])
def test_json_that_is_no_list_of_tasks_is_refused_as_a_whole(site: Site, content: bytes) -> None:
    project = builders.project(site)
    _, look = staged(site, project, Upload("tasks.json", io.BytesIO(content)))
    assert set(look) == {"error"} and "JSON" in look["error"]


def test_columns_can_be_anything_that_a_column_is_for(site: Site) -> None:
    project = builders.project(site)
    table = b"name,what,right,internal,rest\nx,Look here,no,k,l\n"
    batch_id, _ = staged(site, project, Upload("t.csv", io.BytesIO(table)))
    said = {"name": "id", "what": "text", "right": "gold_answer", "internal": "hidden", "rest": ""}
    importing.look_again(site, batch_id, said)
    importing.confirm(site, batch_id)
    work(site)
    assert contents(site, project) == [
        ("x", {"text": "Look here"}, {"internal": "k"}, 0, 3, {"answer": "no"})
    ]
    with pytest.raises(Conflict):
        importing.look_again(site, batch_id, said)
    other, _ = staged(site, project, Upload("t.csv", io.BytesIO(table)))
    with pytest.raises(FileInvalid):
        importing.look_again(site, other, {"name": "riddle"})


def test_a_look_stores_no_image_but_the_first_ones_and_tells_copies(site: Site) -> None:
    project = builders.project(site, "marking")
    upload = packed(**{f"{n}__png": png(n) for n in range(20)}, copy__png=png(3))
    _, look = staged(site, project, upload)
    assert (look["n_tasks"], look["n_failed"]) == (20, 1)
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM media").fetchone() == (5,)


def test_tiles_are_counted_before_they_are_cut(site: Site) -> None:
    project = builders.project(site, "marking")
    batch_id, look = staged(site, project, packed(a__png=png(1, (500, 300))), tile_px=200, overlap_px=20)
    importing.confirm(site, batch_id)
    work(site)
    assert look["n_tasks"] == get(site, batch_id).n_tasks == len(contents(site, project)) > 4


def test_what_is_thrown_away_leaves_nothing(site: Site) -> None:
    project = builders.project(site)
    batch_id, _ = staged(site, project, Upload("t.csv", io.BytesIO(b"text\nOne\n")))
    importing.throw_away(site, batch_id)
    assert list(Path(site.settings.data / "uploads").iterdir()) == []
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM batch WHERE id = %s", (batch_id,)).fetchone() == (0,)


# -- undo --------------------------------------------------------------------------------------------------


def test_undo_deletes_what_nobody_touched_and_withdraws_the_rest(site: Site) -> None:
    project = builders.project(site, redundancy=3)
    kept = builders.tasks(site, project, 2)
    table = "text\n" + "\n".join(f"Line {n}" for n in range(6))
    batch_id = importing.create_batch(site, project.id, [Upload("t.csv", io.BytesIO(table.encode()))])
    work(site)
    who = uuid.uuid4()
    leases = serve.lease(site, project.slug, who, limit=8).leases
    new = [lease for lease in leases if lease.task["id"] not in kept]
    sent = [submit.AnswerIn(lease.token, "value", {"answer": "yes"}, 1.0) for lease in new[:2]]
    submit.submit(site, who, sent)
    with site.db.connection() as connection:  # of the others, one stays held
        connection.execute(
            "UPDATE lease SET expires_at = now() - interval '1 hour' WHERE task_id <> %s",
            (new[2].task["id"],),
        )
    from microtasks.engine.assignment import sweep

    sweep.sweep(site)

    assert importing.undo(site, batch_id) == (3, 3)
    assert get(site, batch_id).state == "undone"
    with site.db.connection() as connection:
        rows = connection.execute(
            "SELECT retirement_reason, count(*) FROM task WHERE project_id = %s GROUP BY 1 ORDER BY 1",
            (project.id,),
        ).fetchall()
        answers = connection.execute("SELECT count(*) FROM answer").fetchone()
    assert rows == [("withdrawn", 3), (None, 2)] and answers == (2,)
    assert invariants.check(site) == []
    late = submit.submit(site, who, [submit.AnswerIn(new[2].token, "value", {"answer": "no"}, 1.0)])
    assert late.receipts[0].status in ("counted", "surplus")
    assert invariants.check(site) == []
    with pytest.raises(Conflict):
        importing.undo(site, batch_id)
