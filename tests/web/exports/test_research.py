"""The researcher's pages: downloads are streamed and complete, results are seen, columns are explained."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile

import builders
import pytest
from builders import NO, YES
from people import Person

from microtasks.engine.exports import download, registry, supplements
from microtasks.engine.exports.registry import FORMATS
from microtasks.engine.site import Site
from microtasks.store.exports import reads
from microtasks.store.projects import projects


def test_every_download_on_the_page_works(ada: Person, site: Site) -> None:
    for task_type in builders.CONFIGS:
        made = builders.project(site, task_type, account_id=1)
        builders.tasks(site, made, 2)
        page = ada.get(f"/research/{made.slug}").text
        for what in registry.TABLES:
            for format in FORMATS.values():
                path = f"/research/{made.slug}/export/{what}.{format.name}"
                if f'href="{path}"' in page:
                    answer = ada.get(path)
                    assert answer.status_code == 200, path
                    assert answer.headers["Content-Type"] == format.mime
                    assert (
                        f'filename="{made.slug}-{what}{format.suffix}"'
                        in answer.headers["Content-Disposition"]
                    )
                    assert answer.headers["Cache-Control"] == "no-store"
        assert ("export/marks.csv" in page) == (task_type == "marking")


def test_a_download_is_what_the_export_gives_also_compressed(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1, redundancy=9)
    (task,) = builders.tasks(site, made, 1)
    builders.answers(site, made, task, [YES, NO, None])
    with site.db.session() as session:
        whole = b"".join(download.export(site, projects.get(session, made.id), "answers"))
    plain = ada.get(f"/research/{made.slug}/export/answers.csv")
    assert plain.data == whole and len(list(csv.reader(io.StringIO(plain.text)))) == 4
    packed = ada.get(f"/research/{made.slug}/export/answers.csv", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.data) == whole
    rows = ada.get(f"/research/{made.slug}/export/answers.jsonl").text.splitlines()
    assert [json.loads(row)["answer"] for row in rows] == ["yes", "no", None]


def test_all_tables_come_as_one_package(ada: Person, site: Site) -> None:
    made = builders.project(site, "marking", account_id=1)
    builders.tasks(site, made, 2)
    page = ada.get(f"/research/{made.slug}").text
    assert f'href="/research/{made.slug}/package.zip"' in page and "GeoJSON" not in page
    answer = ada.get(f"/research/{made.slug}/package.zip?licence=CC0-1.0")
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        with site.db.session() as session:
            there = {
                what.name for what in registry.tables_of(registry.now(site, projects.get(session, made.id)))
            }
        assert {
            "items",
            "answers",
            "consensus",
            "marks",
            "tasks",
            "contributors",
        } == there  # no tiles, no decisions
        assert {f"{made.slug}-{what}.csv" for what in there} <= set(archive.namelist())
        assert json.loads(archive.read("datapackage.json"))["licenses"][0]["name"] == "CC0-1.0"
    assert ada.get(f"/research/{made.slug}/package.zip?licence=none").status_code == 400


def test_a_download_is_sent_while_it_is_read(
    ada: Person, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "CHUNK", 10)
    monkeypatch.setattr("microtasks.engine.exports.columns.BLOCK_ROWS", 10)
    made = builders.project(site, account_id=1)
    builders.tasks(site, made, 60)
    answer = ada.client.get(f"/research/{made.slug}/export/tasks.csv", buffered=False)
    parts = list(answer.iter_encoded())
    assert len(parts) > 5 and "Content-Length" not in answer.headers
    assert len(b"".join(parts).splitlines()) == 61


def test_what_does_not_exist_is_not_found(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    for name in ("secrets.csv", "answers.docx", "answers", "task_gold.csv", "../answers.csv"):
        assert ada.get(f"/research/{made.slug}/export/{name}").status_code == 404


def test_results_show_consensus_and_ties(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    sure, tied, _ = builders.tasks(site, made, 3, media_ids=[builders.media(site)])
    with site.db.connection() as connection:
        for task, value, is_tied in ((sure, '{"answer": "yes"}', False), (tied, None, True)):
            connection.execute(
                "INSERT INTO consensus (task_id, project_id, value, agreement, n_answers, is_tied, detail,"
                " reducer)"
                " VALUES (%s, %s, %s, 0.75, 4, %s, '{}', 'question/1')",
                (task, made.id, value, is_tied),
            )
    page = ada.get(f"/research/{made.slug}").text
    assert f"item-{sure}<" in page and "75 %" in page and "tie" in page and ".webp" in page
    assert page.count('<th scope="row"') == 2  # the third has no answer yet


def test_the_code_book_names_every_column(ada: Person, site: Site) -> None:
    made = builders.project(site, "marking", account_id=1)
    page = ada.get(f"/research/{made.slug}/code-book").text
    file = ada.get(f"/research/{made.slug}/code-book.csv")
    listed = list(csv.DictReader(io.StringIO(file.text)))
    not_there = {"sources", *(what.name for what in supplements.TABLES)}  # nobody has decided, skipped, ...
    assert {row["table"] for row in listed} == set(registry.TABLES) - not_there
    assert all(row["column"] in page and row["meaning"] for row in listed)


def test_T37_every_kind_of_answer_carries_the_security_headers(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    for path in (
        *("/owner/", "/owner/sign-in", "/owner/sign-in/none", f"/research/{made.slug}/export/answers.csv"),
        *(f"/owner/projects/{made.slug}/progress.json", "/research/none", "/owner/projects/none/upload"),
    ):
        headers = ada.get(path).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"], path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
