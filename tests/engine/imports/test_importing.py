"""Importing a batch: rows in = tasks made + rows listed, each exactly once; bad input costs only itself."""

import io
import json
import os
import random
import shutil
import time
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import builders
import pytest
from PIL import Image

from microtasks.core.errors import Conflict, FileInvalid, NotFound, Unavailable
from microtasks.engine.imports import decode_pool, importing, reader, staging, task_writer
from microtasks.engine.imports.decode import Derived
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site
from microtasks.store.imports import batches, media
from microtasks.store.projects import projects
from microtasks.store.tables import END_OF_ORDER, Batch


def image(seed: int = 0, width: int = 60, height: int = 40, format: str = "PNG") -> bytes:
    """An image that no other seed gives."""
    made = Image.frombytes("L", (8, 8), random.Random(seed).randbytes(64)).resize((width, height))
    file = io.BytesIO()
    made.save(file, format)
    return file.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def upload(**files: bytes | str) -> list[Upload]:
    """`upload(t_csv="...")`: files by name, with `_` for the dot."""
    return [
        Upload(name.replace("_", "."), io.BytesIO(content.encode() if isinstance(content, str) else content))
        for name, content in files.items()
    ]


def run_all(site: Site) -> list[str]:
    with site.db.connection() as connection:
        waiting = [
            row[0] for row in connection.execute("SELECT id FROM job WHERE state = 'queued' ORDER BY id")
        ]
    return [jobs.run(site, job_id) for job_id in waiting]


def imported(site: Site, project: builders.ProjectRow, uploads: Iterable[Upload], **options: int) -> Batch:
    """The batch after its import."""
    batch_id = importing.create_batch(site, project.id, list(uploads), **options)
    run_all(site)
    with site.db.session() as session:
        batch = batches.get(session, batch_id)
    assert batch.state in ("done", "failed")
    if batch.state == "done":
        assert (batch.n_rows, batch.phase) == (batch.rows_done, "ready")
    assert not (site.settings.data / "uploads" / batch.upload).exists()
    return batch


def failures(site: Site, batch: Batch) -> dict[tuple[int, str], str]:
    with site.db.session() as session:
        listed = batches.failures(session, batch.id, 0, 10_000)
    assert len(listed) == batch.n_failed
    return {(row.row_no, row.name): row.reason for row in listed}


CONTENT = ("external_id", "payload", "hidden", "after", "media_ids", "source", "source_x", "source_y")
NAMES = ("id", "pos", "redundancy", "own_redundancy", *CONTENT, "gold")


def rows(site: Site, project: builders.ProjectRow) -> list[dict[str, Any]]:
    """The project's tasks in the order of the file."""
    with site.db.connection() as connection:
        found = connection.execute(
            """SELECT t.id, t.pos, t.redundancy, t.own_redundancy, c.external_id, c.payload, c.hidden,
                      c.after, c.media_ids,
                      c.source, c.source_x, c.source_y, g.value
               FROM task t LEFT JOIN task_content c ON c.task_id = t.id
                        LEFT JOIN task_gold g ON g.task_id = t.id
               WHERE t.project_id = %s ORDER BY t.id""",
            (project.id,),
        ).fetchall()
    return [dict(zip(NAMES, row, strict=True)) for row in found]


@pytest.fixture
def project(site: Site, queue: object) -> builders.ProjectRow:
    return builders.project(site, redundancy=3)


def test_a_table_with_images_in_a_zip(site: Site, project: builders.ProjectRow) -> None:
    table = (
        "id,image,image_2,text,question,priority,redundancy,gold_answer,#site,!source,Year\n"
        "a,1.png,2.PNG,Hello,What?,1,7,yes,Mars,NASA,1997\n"
        "b,photos/2.png,,,,,,,,,\n"
    )
    packed = zipped(
        {"set/table.csv": table.encode(), "set/photos/1.png": image(1), "set/photos/2.png": image(2)}
    )
    batch = imported(site, project, [Upload("set.zip", io.BytesIO(packed))])
    assert (batch.n_rows, batch.n_tasks, batch.n_failed, batch.notices) == (2, 2, 0, [])
    first, second = rows(site, project)
    assert (
        first["external_id"] == "a"
        and first["redundancy"] == first["own_redundancy"] == 7
        and first["gold"] == {"answer": "yes"}
    )
    assert first["payload"] == {"text": "Hello", "question": "What?", "metadata": {"Year": "1997"}}
    assert (first["hidden"], first["after"]) == ({"site": "Mars"}, {"source": "NASA"})
    assert len(first["media_ids"]) == 2 and second["media_ids"] == first["media_ids"][1:]
    assert (
        second["redundancy"] == 3
        and second["own_redundancy"] is None
        and second["gold"] is None
        and second["payload"] == {}
    )
    with site.db.connection() as connection:
        shown = media.wire(media.by_ids(connection, first["media_ids"])[first["media_ids"][0]])
    assert (shown["width"], shown["height"]) == (60, 40)
    assert shown["url"] == shown["srcset"].removesuffix(" 60w")
    assert site.files.path("derived", Path(shown["url"]).stem).read_bytes()[8:12] == b"WEBP"


def test_a_table_and_its_images_side_by_side_and_in_a_folder(
    site: Site, project: builders.ProjectRow, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    (folder / "sub").mkdir(parents=True)
    (folder / "t.jsonl").write_text(
        '{"id": 1, "image": "sub/a.jpg", "gold": {"answer": "no"}}\n{"text": "only text"}\n'
    )
    (folder / "sub" / "a.jpg").write_bytes(image(1, format="JPEG"))
    (folder / ".DS_Store").write_bytes(b"x")
    batch = imported(site, project, [Upload("mine", folder)])
    assert (batch.n_tasks, batch.n_failed) == (2, 0)
    first, second = rows(site, project)
    assert first["gold"] == {"answer": "no"} and second["external_id"] == f"{batch.id}-2"
    assert imported(site, project, upload(u_csv="id,image\n9,b.png\n", b_png=image(2))).n_tasks == 1


def test_images_without_a_table_make_one_task_each(site: Site, project: builders.ProjectRow) -> None:
    packed = zipped({"x/a.png": image(1), "y/a.png": image(2), "b.webp": image(3, format="WEBP")})
    batch = imported(
        site, project, [*upload(c_gif=image(4, format="GIF")), Upload("d.zip", io.BytesIO(packed))]
    )
    assert batch.n_tasks == 4
    assert [row["external_id"] for row in rows(site, project)] == ["c.gif", "x/a.png", "y/a.png", "b.webp"]
    assert all(row["payload"] == {} and len(row["media_ids"]) == 1 for row in rows(site, project))


def test_rows_without_an_id_are_named_by_their_image(site: Site, project: builders.ProjectRow) -> None:
    table = "image,question\na.png,One?\na.png,Two?\nb.png,One?\n"
    assert imported(site, project, upload(t_csv=table, a_png=image(1), b_png=image(2))).n_tasks == 3
    assert [row["external_id"] for row in rows(site, project)] == ["a.png", "a.png:3", "b.png"]


def test_every_bad_file_is_listed_with_its_reason_and_the_rest_imported(
    site: Site, project: builders.ProjectRow
) -> None:
    site.settings.max_image_pixels = 10_000
    files = {
        "good.png": image(1),
        "cut.png": image(2)[:-30],
        "cut.jpg": image(3, 200, 40, "JPEG")[:400],
        "text.jpg": b"this is a text",
        "empty.png": b"",
        "is_a_png.jpg": image(4),
        "big.png": image(5, 101, 100),
        "drawing.svg": b"<svg/>",
        "scan.tiff": b"II*\0",
        "phone.heic": b"x",
        "notes.txt": b"hello",
        "inner.zip": zipped({"a.png": image(6)}),
        "setup.exe": b"MZ",
        "also_good.png": image(7),
        "same.png": image(1),
        "../outside.png": image(8),
    }
    batch = imported(site, project, [Upload("all.zip", io.BytesIO(zipped(files)))])
    assert (batch.n_rows, batch.n_tasks, batch.n_failed) == (16, 2, 14)
    listed = failures(site, batch)
    wanted = {
        (2, "cut.png"): "damaged",
        (3, "cut.jpg"): "damaged",
        (4, "text.jpg"): "not an image",
        (5, "empty.png"): "empty",
        (6, "is_a_png.jpg"): "PNG image, but its name ends in .jpg",
        (7, "big.png"): "million pixels",
        (8, "drawing.svg"): "SVG",
        (9, "scan.tiff"): "TIFF",
        (10, "phone.heic"): "HEIC",
        (11, "notes.txt"): "Text files",
        (12, "inner.zip"): "ZIP inside a ZIP",
        (13, "setup.exe"): "neither an image",
        (15, "same.png"): "same image as “good.png”",
        (16, "outside.png"): "points outside",
    }
    assert listed.keys() == wanted.keys()
    for where, part in wanted.items():
        assert part in listed[where]
    assert [row["external_id"] for row in rows(site, project)] == ["good.png", "also_good.png"]
    assert {path.name for path in (site.settings.data / "media").iterdir()} == {"originals", "derived"}


def test_every_bad_row_is_listed_with_its_reason_and_the_rest_imported(
    site: Site, project: builders.ProjectRow
) -> None:
    table = (
        "id,text,image,priority,gold_answer\n"
        "1,ok,,,\n"
        "2,missing,z.png,,\n"
        "1,twice,,,\n"
        "4,bad priority,,high,\n"
        "5,bad gold,,,maybe\n"
        "6,too,many,cells,here,indeed\n"
        "7,,,,\n"
        "8,bad image,bad.png,,\n"
        '9,"open\n'
        "10,web,https://example.org/a.png,,\n"
        "11,ok,a.png,,no\n"
    )
    batch = imported(site, project, upload(t_csv=table, a_png=image(1), bad_png=b"x"))
    listed = failures(site, batch)
    wanted = {
        (3, "2"): "“z.png” is not in the upload",
        (4, "1"): "A task with the id “1” is there already",
        (5, ""): "priority",
        (6, "5"): "Known answer",
        (7, ""): "6 cells",
        (8, "7"): "nothing to show",
        (9, "8"): "Image “bad.png”: This is not an image",
        (10, ""): "opened in line 10 is never closed",
        (11, "10"): "web addresses",
    }
    assert listed.keys() == wanted.keys()
    for where, part in wanted.items():
        assert part in listed[where], listed[where]
    assert [row["external_id"] for row in rows(site, project)] == ["1", "11"]
    assert batch.n_tasks + batch.n_failed == batch.rows_done == 11


BAD_WHOLES: dict[str, tuple[list[tuple[str, bytes]], str]] = {
    "empty table": ([("t.csv", b"")], "empty"),
    "only names": ([("t.csv", b"id,text\n")], "no row follows"),
    "5,000 columns": (
        [("t.csv", ",".join(f"c{n}" for n in range(5000)).encode() + b"\n1\n")],
        "5,000 columns",
    ),
    "two tables": ([("t.csv", b"id\n1\n"), ("u.csv", b"id\n1\n")], "2 tables"),
    "a workbook": ([("t.xlsx", zipped({"xl/a.xml": b""}))], "Save the sheet as"),
    "a workbook with images": ([("t.xlsx", b"x"), ("a.png", image(1))], "Save the sheet as"),
    "a text": ([("t.txt", b"hello")], "must be named .csv"),
    "no ZIP": ([("t.zip", b"hello")], "not a ZIP file"),
    "an empty ZIP": ([("t.zip", zipped({}))], "no file"),
    "a bomb": (
        [("t.zip", zipped({"a.csv": b"id\n"}).replace(b"\x03\0\0\0", b"\xff\xff\xff\xff"))],
        "hundred times",
    ),
    "too many rows": ([("t.csv", b"id,text\n" + b"1,x\n" * 51)], "more than 50 rows"),
    "names no columns": ([("t.csv", b",,\n1,2,3\n")], "name its columns"),
}


@pytest.mark.parametrize(("files", "part"), BAD_WHOLES.values(), ids=BAD_WHOLES.keys())
def test_a_file_that_cannot_be_used_at_all_fails_the_batch_with_a_reason(
    files: list[tuple[str, bytes]], part: str, site: Site, project: builders.ProjectRow
) -> None:
    site.settings.max_batch_rows = 50
    batch = imported(site, project, [Upload(name, io.BytesIO(content)) for name, content in files])
    assert batch.state == "failed" and part in (batch.error or "")
    assert (batch.n_tasks, batch.n_failed) == (0, 0)
    assert rows(site, project) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_T08_encodings_of_spreadsheets(encoding: str, site: Site, project: builders.ProjectRow) -> None:
    batch = imported(site, project, upload(t_csv="id;text\r\n1;Zoë\r\n".encode(encoding)))
    assert rows(site, project)[0]["payload"] == {"text": "Zoë"}
    assert any("Windows-1252" in notice for notice in batch.notices) == (encoding == "cp1252")


def test_T09_json_lines_no_reader_should_accept(site: Site, project: builders.ProjectRow) -> None:
    lines = [
        '{"id": 1, "text": "ok"}',
        '{"id": NaN}',
        "[" * 100_000,
        '{"text": "\\u0000"}',
        '{"id": 5, "text": "ok"}',
    ]
    lines.insert(4, '{"id": 1, "id": 2}')
    batch = imported(site, project, upload(t_jsonl="\n".join(lines)))
    assert (batch.n_tasks, sorted(line for line, _ in failures(site, batch))) == (2, [2, 3, 4, 5])


def test_ids_are_unique_in_the_project_across_batches(site: Site, project: builders.ProjectRow) -> None:
    imported(site, project, upload(t_csv="id,text\n1,a\n2,b\n"))
    batch = imported(site, project, upload(t_csv="id,text\n2,c\n3,d\n"))
    assert list(failures(site, batch)) == [(2, "2")] and batch.n_tasks == 1


def test_the_same_image_is_one_media_row_and_with_a_table_may_be_several_tasks(
    site: Site, project: builders.ProjectRow
) -> None:
    imported(site, project, upload(a_png=image(1)))
    again = imported(site, project, upload(b_png=image(1)))
    assert list(failures(site, again).values()) == ["This is the same image as “a.png”."]
    assert imported(site, project, upload(t_csv="id,image\nx,c.png\ny,c.png\n", c_png=image(1))).n_tasks == 2
    other = builders.project(site)
    assert imported(site, other, upload(a_png=image(1))).n_tasks == 1
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM media").fetchone() == (1,)


def test_files_that_the_table_does_not_name_are_said(site: Site, project: builders.ProjectRow) -> None:
    batch = imported(site, project, upload(t_csv="id,image\n1,a.png\n", a_png=image(1), b_png=image(2)))
    assert batch.notices == ["Files of the upload that no row of the table names: 1 (b.png)."]


def test_gold_is_found_whatever_a_spreadsheet_did_to_its_column(
    site: Site, project: builders.ProjectRow
) -> None:
    imported(site, project, upload(t_csv="ID,Text,Gold_Answer\n1,a,Yes\n2,b,yes\n"))
    assert [row["gold"] for row in rows(site, project)][-1] == {"answer": "yes"}


def test_marking_needs_an_image_and_its_gold_must_lie_inside(site: Site, queue: object) -> None:
    project = builders.project(site, "marking")
    inside, outside = (
        '{"marks": [{"x": 30, "y": 20, "r": 8, "class": "fresh"}]}',
        '{"marks": [{"x": 300, "y": 20, "r": 8, "class": "fresh"}]}',
    )
    table = "".join(
        f'{{"id": "{name}", "image": {place}, "text": "x", "gold": {gold}}}\n'
        for name, place, gold in (("a", '"a.png"', inside), ("b", '"a.png"', outside), ("c", "null", "null"))
    )
    batch = imported(site, project, upload(t_jsonl=table, a_png=image(1)))
    listed = failures(site, batch)
    assert list(listed) == [(2, "b"), (3, "c")] and "needs an image" in listed[3, "c"]
    assert batch.n_tasks == 1


def test_priority_comes_first_in_the_walk_and_equals_are_mixed(
    site: Site, project: builders.ProjectRow
) -> None:
    table = "id,text,priority\n" + "".join(f"{n},x,{(n % 3) / 2}\n" for n in range(300))
    imported(site, project, upload(t_csv=table))
    walk = [int(row["external_id"]) % 3 for row in sorted(rows(site, project), key=lambda row: row["pos"])]
    assert walk == sorted(walk, reverse=True)
    alike = [int(row["external_id"]) for row in sorted(rows(site, project), key=lambda row: row["pos"])][:100]
    assert alike != sorted(alike)
    assert all(0 <= row["pos"] < END_OF_ORDER for row in rows(site, project))


def test_new_contributors_begin_before_tasks_that_came_later(
    site: Site, project: builders.ProjectRow
) -> None:
    with site.db.connection() as connection:
        connection.execute("UPDATE project SET head_pos = %s", (END_OF_ORDER - 1,))
    imported(site, project, upload(t_csv="id,text\n1,a\n2,b\n"))
    with site.db.session() as session:
        assert (
            projects.get(session, project.id).head_pos == min(row["pos"] for row in rows(site, project)) - 1
        )


def test_tiles_of_a_big_image_are_tasks_and_the_image_is_not(site: Site, queue: object) -> None:
    project = builders.project(site, "marking")
    table = 'id,image,text,gold\nbig,a.png,Look,\nsmall,b.png,,\ngold,b.png,,"{""marks"": []}"\n'
    uploads = upload(t_csv=table, a_png=image(1, 450, 250), b_png=image(2, 100, 90))
    batch = imported(site, project, uploads, tile_px=200, overlap_px=20)
    made = rows(site, project)
    assert batch.n_tasks == len(made) == 7 and batch.rows_done == 3
    assert list(failures(site, batch)) == [(4, "gold")]
    assert [(row["external_id"], row["source"], row["source_x"], row["source_y"]) for row in made] == [
        *((f"big@{x},{y}", "big", x, y) for y in (0, 50) for x in (0, 180, 250)),
        ("small@0,0", "small", 0, 0),
    ]
    assert {row["payload"].get("text") for row in made[:6]} == {"Look"}
    with site.db.connection() as connection:
        images = media.by_ids(connection, [row["media_ids"][0] for row in made])
        sources = connection.execute(
            """SELECT DISTINCT m.width, m.height
               FROM task_content c JOIN media m ON m.id = c.source_media_id ORDER BY 1"""
        ).fetchall()
    sizes = [(images[row["media_ids"][0]].width, images[row["media_ids"][0]].height) for row in made]
    assert sizes == [(200, 200)] * 6 + [(100, 90)]
    assert sources == [(100, 90), (450, 250)]
    again = imported(site, project, upload(a_png=image(1, 450, 250)), tile_px=200, overlap_px=20)
    assert again.n_tasks == 6  # another id: the file's name
    again = imported(site, project, upload(a_png=image(1, 450, 250)), tile_px=200, overlap_px=20)
    assert list(failures(site, again).values()) == ["This image with the id “a.png” is there already."]


@pytest.mark.parametrize(
    "options", [{"tile_px": 8}, {"tile_px": 200, "overlap_px": 101}, {"tile_px": 200, "overlap_px": -1}]
)
def test_tiles_that_make_no_sense_are_refused_at_once(
    options: dict[str, int], site: Site, project: builders.ProjectRow
) -> None:
    with pytest.raises(FileInvalid):
        importing.create_batch(site, project.id, upload(a_png=image(1)), **options)


def test_P14_a_poisoned_row_is_listed_and_the_others_go_on(
    site: Site, project: builders.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    from microtasks.tasktypes import question

    def poisoned(self: object, columns: dict[str, str], config: object) -> dict[str, Any]:
        if columns["answer"] == "poison":
            raise ZeroDivisionError
        return {"answer": "yes"}

    monkeypatch.setattr(question.Question, "gold_from_columns", poisoned)
    table = "id,text,gold_answer\n" + "".join(
        f"{n},x,{'poison' if n == 500 else 'yes'}\n" for n in range(1000)
    )
    batch = imported(site, project, upload(t_csv=table))
    assert batch.n_tasks == 999 and list(failures(site, batch)) == [(502, "500")]


def test_P14_a_value_that_the_database_refuses_is_listed_alone(
    site: Site, project: builders.ProjectRow
) -> None:
    with site.db.connection() as connection:
        connection.execute("ALTER TABLE task_content ALTER external_id TYPE varchar(10)")
    batch = imported(site, project, upload(t_csv="id,text\n1,a\n" + "x" * 11 + ",b\n3,c\n"))
    assert [row["external_id"] for row in rows(site, project)] == ["1", "3"]
    assert "database refuses" in failures(site, batch)[3, "x" * 11]


def test_awkward_texts_come_back_unchanged(site: Site, project: builders.ProjectRow) -> None:
    texts = [
        "a\\b\\N",
        "tab\tand\nlines\r\nend",
        '"quoted", {json}',
        "emoji 😀 ‮עברית",
        "\\.",
        "=1+1",
        "x\u2028y",
    ]
    lines = [{"id": f"i\\{n}", "text": text, "#h": text, "!a": text} for n, text in enumerate(texts)]
    imported(site, project, upload(t_jsonl="\n".join(map(json.dumps, lines))))
    assert [row["payload"]["text"] for row in rows(site, project)] == texts
    assert [row["external_id"] for row in rows(site, project)] == [line["id"] for line in lines]
    assert [row["hidden"]["h"] for row in rows(site, project)] == texts


def test_twenty_thousand_rows_are_few_statements_and_flat_memory(
    site: Site, project: builders.ProjectRow
) -> None:
    table = "id,text,Year\n" + "".join(
        f"t{n},Some text to look at {n},19{n % 100:02}\n" for n in range(20_000)
    )
    batch_id = importing.create_batch(site, project.id, upload(t_csv=table))
    tracemalloc.start()
    assert run_all(site) == ["done"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with site.db.session() as session:
        assert batches.get(session, batch_id).n_tasks == 20_000
    assert peak < 48 << 20  # the chunk being written and the next, however many there are


def test_rows_are_checked_by_no_key_and_found_by_an_index(site: Site, project: builders.ProjectRow) -> None:
    """What a row costs the database stays with its own indexes, however many rows there are."""
    builders.bulk_tasks(site, project, 20_000)
    with site.db.connection() as connection:
        keys = connection.execute(
            """SELECT tgrelid::regclass::text, tgname FROM pg_trigger
               WHERE tgrelid IN ('task'::regclass, 'task_content'::regclass)
                 AND tgtype & 1 = 1 AND tgtype & 4 = 4""",  # for each row, on insert
        ).fetchall()
        assert keys == []
        (plan,) = connection.execute(
            """EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
               SELECT external_id FROM task_content WHERE project_id = %s AND external_id = ANY(%s)""",
            (project.id, [f"item-{n}" for n in range(5_000)]),
        ).fetchone()[0]  # type: ignore[index]
    assert "Index" in plan["Plan"]["Node Type"]
    assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] < 4 * 5_000


def test_one_value_that_the_database_refuses_costs_few_transactions(
    site: Site, project: builders.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.db.connection() as connection:
        connection.execute("ALTER TABLE task_content ALTER external_id TYPE varchar(10)")
    written: list[int] = []
    write = task_writer.Writer.write

    def counted(self: task_writer.Writer, rows: task_writer.Rows, *more: Any) -> None:
        written.append(len(rows))
        write(self, rows, *more)

    monkeypatch.setattr(task_writer.Writer, "write", counted)
    table = "id,text\n" + "".join(f"{'x' * 11 if n == 777 else n},a\n" for n in range(1_000))
    batch = imported(site, project, upload(t_csv=table))
    assert (batch.n_tasks, batch.n_failed, batch.rows_done) == (999, 1, 1_000)
    assert list(failures(site, batch)) == [(779, "x" * 11)]
    assert len(written) < 25  # halves of halves, not a thousand


def test_the_same_table_again_is_listed_whole_and_what_is_new_comes_in(
    site: Site, project: builders.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "ROWS_A_CHUNK", 5_000)
    table = "id,text\n" + "".join(f"{n},a\n" for n in range(6_000))  # two chunks
    imported(site, project, upload(t_csv=table))
    batch = imported(site, project, upload(t_csv=table + "6000,a\n6001,a\n6001,b\n"))
    assert (batch.n_tasks, batch.n_failed, batch.rows_done) == (2, 6_001, 6_003)
    assert failures(site, batch)[6_004, "6001"] == "A task with the id “6001” is there already."
    assert len(rows(site, project)) == 6_002


def test_the_images_of_a_batch_are_derived_by_several_processes_at_once(
    site: Site, project: builders.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_processes = min(decode_pool.MAX_PROCESSES, len(os.sched_getaffinity(0)))
    busy, most, derived_by = [0], [0], set()
    ask = decode_pool._Child.ask

    def counted(self: decode_pool._Child, *given: Any) -> Iterator[Derived]:
        derived_by.add(self._process.pid)
        busy[0] += 1
        most[0] = max(most[0], busy[0])
        yield from ask(self, *given)
        busy[0] -= 1

    monkeypatch.setattr(decode_pool._Child, "ask", counted)
    batch = imported(site, project, upload(**{f"{n}_png": image(n) for n in range(12)}))
    assert batch.n_tasks == 12
    assert len(derived_by) == most[0] == n_processes
    assert os.getpid() not in derived_by


# taking files in


def test_T10_more_than_is_allowed_is_refused_and_nothing_kept(
    site: Site, project: builders.ProjectRow
) -> None:
    site.settings.max_upload_bytes, site.settings.max_batch_files = 1000, 2
    with pytest.raises(FileInvalid, match="larger than"):
        importing.create_batch(site, project.id, upload(a_png=b"x" * 600, b_png=b"x" * 401))
    with pytest.raises(FileInvalid, match="at most 2 files"):
        importing.create_batch(site, project.id, upload(a_png=b"", b_png=b"", c_png=b""))
    with pytest.raises(FileInvalid, match="no file"):
        importing.create_batch(site, project.id, [])
    assert list((site.settings.data / "uploads").iterdir()) == []


def test_T10_a_nearly_full_disk_is_said(
    site: Site, project: builders.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=(1 << 30) - 1))
    with pytest.raises(Unavailable, match="nearly full"):
        importing.create_batch(site, project.id, upload(a_png=b"x"))


def test_T02_an_uploads_name_is_never_a_path(
    site: Site, project: builders.ProjectRow, tmp_path: Path
) -> None:
    names = ["../../evil.csv", "/etc/evil.csv", "a\nb\0c.csv", "..", "x" * 5000 + ".csv", "\udc80.csv"]
    for name in names:
        batch_id = importing.create_batch(site, project.id, [Upload(name, io.BytesIO(b"id,text\n"))])
        with site.db.session() as session:
            folder = site.uploads.path(batches.get(session, batch_id).upload)
        assert sorted(path.name for path in folder.iterdir()) == ["000000", "manifest.json"]
    assert not list(tmp_path.rglob("evil*"))


def test_a_project_that_is_archived_or_missing_takes_nothing(site: Site, queue: object) -> None:
    with pytest.raises(Conflict, match="archived"):
        importing.create_batch(site, builders.project(site, state="archived").id, upload(a_png=b"x"))
    with pytest.raises(NotFound):
        importing.create_batch(site, 10**9, upload(a_png=b"x"))


def test_uploads_that_nobody_needs_are_thrown_away(site: Site, project: builders.ProjectRow) -> None:
    batch_id = importing.create_batch(site, project.id, upload(t_csv="id,text\n1,a\n"))
    uploads = site.settings.data / "uploads"
    (uploads / "orphan").mkdir()
    (uploads / "young").mkdir()
    with site.db.session() as session:
        needed = uploads / batches.get(session, batch_id).upload
    for path in (needed, uploads / "orphan"):
        os.utime(path, (time.time() - 2 * staging.ORPHAN_SECONDS,) * 2)
    staging.clean(site)
    assert sorted(path.name for path in uploads.iterdir()) == sorted([needed.name, "young"])
