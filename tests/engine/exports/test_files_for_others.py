"""Workbooks for people, sets for training, files of fields: read back by what reads them elsewhere."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime
from typing import Any

import builders
import openpyxl
import pytest
from builders import ProjectRow
from PIL import Image
from test_export_tables import get, reduce

from microtasks.core.errors import InputError
from microtasks.core.values import Column
from microtasks.engine.exports import download, package, registry, snapshots
from microtasks.engine.exports.format import Options
from microtasks.engine.exports.snapshots import View
from microtasks.engine.imports import importing
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site
from microtasks.engine.tabular import csv_format
from microtasks.engine.tabular.archive import zipped
from microtasks.engine.tabular.table import Table
from microtasks.engine.tabular.workbook import Sheet, write_workbook
from microtasks.store import jobs as waiting

ANIMALS = {
    "fields": [
        {
            "id": "species",
            "kind": "choice",
            "label": "What do you see?",
            "choices": [
                {"id": "fox", "label": "Red fox (Vulpes vulpes)"},
                {"id": "blank", "label": "Nothing"},
            ],
        }
    ]
}


def image(colour: int, *, orientation: int = 1, size: tuple[int, int] = (120, 80)) -> bytes:
    written = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, (colour, 100, 200)).save(written, "JPEG", exif=exif)
    return written.getvalue()


def uploaded(site: Site, project: ProjectRow, table: str, images: dict[str, bytes]) -> list[int]:
    """Tasks from a table and its images, as an owner uploads them; their numbers."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("table.csv", table)
        for name, content in images.items():
            target.writestr(name, content)
    archive.seek(0)
    batch_id = importing.create_batch(site, project.id, [Upload("up.zip", archive)])
    with site.db.connection() as connection:
        job = waiting.add(connection, "import", batch_id)
    jobs.run(site, job)
    with site.db.connection() as connection:
        rows = connection.execute(
            "SELECT task_id FROM task_content WHERE batch_id = %s ORDER BY task_id", (batch_id,)
        ).fetchall()
    return [row[0] for row in rows]


@pytest.fixture
def foxes(site: Site) -> ProjectRow:
    """Three images from camera traps: a fox, nothing, and one that nobody has answered."""
    project = builders.project(site, config=ANIMALS)
    table = (
        "id,image,deploymentID,timestamp,latitude,longitude,canvas,Besitzer\n"
        "one,day/IMG_1.JPG,cam-1,2026-05-01T10:00:00Z,52.5,-13.4,https://example.org/c/1,Müller; Söhne\n"
        "two,night/IMG_1.JPG,cam-1,2026-05-02T22:00:00Z,52.5,-13.4,https://example.org/c/2,=1+1\n"
        "three,IMG_3.JPG,cam-2,2026-05-03T22:00:00Z,53.0,-13.0,https://example.org/c/3,007\n"
    )
    images = {"day/IMG_1.JPG": image(1), "night/IMG_1.JPG": image(2), "IMG_3.JPG": image(3, orientation=6)}
    first, second, _ = uploaded(site, project, table, images)
    for task, answer in ((first, "fox"), (second, "blank")):
        builders.answers(site, project, task, [{"species": answer}] * 3)
        reduce(site, project, task)
    return project


def archive(site: Site, project: ProjectRow, format: str, table: str | None = None, **options: Any) -> Any:
    file = download.one_file(site, get(site, project), table, format, options=Options(**options))
    return zipfile.ZipFile(io.BytesIO(b"".join(file.chunks)))


def book(content: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(content))


# -- for people ---------------------------------------------------------------------------------------


def test_every_table_has_the_uploaded_files_name(site: Site, foxes: ProjectRow) -> None:
    row = get(site, foxes)
    view = registry.now(site, row)
    for spec in registry.tables_of(view):
        names = [column.name for column in spec.read(view).columns]
        assert "file_name" in names or spec.name == "contributors", spec.name
    for table in ("answers", "consensus", "tasks", "items"):
        text = b"".join(download.export(site, row, table)).decode()
        assert "day/IMG_1.JPG" in {line["file_name"] for line in csv.DictReader(io.StringIO(text))}, table


def test_the_workbook_holds_every_table_and_an_item_a_row(site: Site, foxes: ProjectRow) -> None:
    row = get(site, foxes)
    view = View(site, row, snapshots.take(site, row))
    content = b"".join(download.workbook(view).chunks)
    assert content == b"".join(download.workbook(view).chunks)
    sheets = book(content)
    assert sheets.sheetnames[0] == "Items and results" and sheets.sheetnames[-1] == "Code book"
    header, *lines = [[cell.value for cell in line] for line in sheets["Items and results"]]
    items = [dict(zip(header, line, strict=True)) for line in lines]
    assert [item["result"] for item in items] == ["Red fox (Vulpes vulpes)", "Nothing", None]
    assert [item["Besitzer"] for item in items] == ["Müller; Söhne", "=1+1", "007"]
    assert items[0]["file_name"] == "day/IMG_1.JPG" and items[0]["agreement"] == 1
    formula = next(cell for line in sheets["Items and results"] for cell in line if cell.value == "=1+1")
    assert formula.data_type != "f"
    times = {
        type(line[header_of(sheets["Answers"], "created_at")].value) for line in rows_of(sheets["Answers"])
    }
    assert times == {datetime}


def header_of(sheet: Any, name: str) -> int:
    return [cell.value for cell in next(iter(sheet.rows))].index(name)


def rows_of(sheet: Any) -> list[Any]:
    return list(sheet.rows)[1:]


def test_a_workbook_holds_any_text_and_long_tables_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microtasks.engine.tabular.workbook.ROWS_MAX", 4)
    texts = ["<&>\"'", "a\r\nb", "\x07bell", "_x0041_", "漢字 ✓", "x" * 40_000, ""]
    table = Table(
        (Column("text", "string", ""), Column("n", "integer", "")), iter((t, 10**17) for t in texts)
    )
    content = b"".join(write_workbook([Sheet("A/B: [*]", table)], datetime(2026, 1, 1).astimezone()))
    sheets = book(content)
    assert sheets.sheetnames == ["A B", "A B 2", "A B 3"]
    read = [line[0].value for sheet in sheets for line in rows_of(sheet)]
    assert read[0] == texts[0] and read[4] == texts[4] and len(read[5]) <= 32_767 and "cut here" in read[5]
    assert {line[1].value for sheet in sheets for line in rows_of(sheet)} == {"1" + "0" * 17}


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "a;b,0.5,true"),
        ("de-DE", "a;b;0,5;true"),
        ("fr", "a;b;0,5;true"),
        ("de-CH", "a;b,0.5,true"),
    ],
)
def test_csv_for_excel_has_the_signs_of_its_language(language: str, line: str) -> None:
    columns = tuple(Column(name, "string", "") for name in ("text", "n", "yes"))
    written = b"".join(
        csv_format.write_csv(Table(columns, iter([("a;b", 0.5, True)])), csv_format.excel(language))
    )
    assert written.startswith(b"\xef\xbb\xbf")
    assert written.decode("utf-8-sig").splitlines()[1].replace('"', "") == line


# -- for training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_images", [False, True])
def test_coco_names_files_that_are_there(site: Site, with_images: bool) -> None:
    project = builders.project(site, "marking", config={"shape": "box"})
    table = "id,image\none,a/1.jpg\ntwo,b/1.jpg\n"
    first, second = uploaded(site, project, table, {"a/1.jpg": image(1), "b/1.jpg": image(2, orientation=6)})
    box = {"marks": [{"x": 10.0, "y": 20.0, "width": 30.0, "height": 40.0}]}
    for task in (first, second):
        builders.answers(site, project, task, [box] * 3)
        reduce(site, project, task)
    row = get(site, project)
    files = {
        file.name: b"".join(file.chunks)
        for file in download.files(site, row, None, "coco", options=Options(images=with_images))
    }
    document = json.loads(files[f"{row.slug}-consensus.coco.json"])
    names = [each["file_name"] for each in document["images"]]
    assert len(set(names)) == 2
    if with_images:
        for each in document["images"]:
            with Image.open(io.BytesIO(files[f"images/{each['file_name']}"])) as picture:
                assert picture.size == (each["width"], each["height"])  # upright, as marks count
    yolo = archive(site, project, "yolo", images=with_images)
    labels = [name for name in yolo.namelist() if name.startswith("labels/")]
    assert len(labels) == 2 and "data.yaml" in yolo.namelist()
    for name in labels:
        (line,) = yolo.read(name).decode().splitlines()
        number, *shares = map(float, line.split())
        assert number == 0 and all(0 <= share <= 1 for share in shares)
        if with_images:
            assert name.replace("labels/", "images/").replace(".txt", ".jpg") in yolo.namelist()


def test_an_image_folder_has_a_folder_for_each_label(site: Site, foxes: ProjectRow) -> None:
    names = archive(site, foxes, "imagefolder").namelist()
    images = [name for name in names if name.startswith("train/")]
    assert sorted(name.split("/")[1] for name in images) == ["blank", "fox"]
    with archive(site, foxes, "labels", images=True) as labels:
        lines = list(csv.DictReader(io.StringIO(labels.read("train/metadata.csv").decode())))
        assert [line["label"] for line in lines] == ["fox", "blank", ""]
        assert all(f"train/{line['file_name']}" in labels.namelist() for line in lines)
        with Image.open(io.BytesIO(labels.read(f"train/{lines[2]['file_name']}"))) as turned:
            assert turned.size == (80, 120)


def test_a_package_is_described_for_hugging_face_and_by_croissant(site: Site, foxes: ProjectRow) -> None:
    row = get(site, foxes)
    snapshot = snapshots.take(site, row)
    listed = package.package(site, row, package.whole(site, row, snapshot=snapshot), snapshot=snapshot)
    with zipfile.ZipFile(io.BytesIO(b"".join(zipped(listed, snapshot.cut.at)))) as held:
        card = held.read("README.md").decode().split("---")[1]
        assert 'config_name: "consensus"' in card and f'data_files: "{row.slug}-consensus.csv"' in card
        croissant = json.loads(held.read("croissant.json"))
        for each in croissant["distribution"]:
            assert each["contentUrl"] in held.namelist()
        for records in croissant["recordSet"]:
            header = held.read(records["field"][0]["source"]["fileObject"]["@id"]).decode().splitlines()[0]
            columns = [field["source"]["extract"]["column"] for field in records["field"]]
            assert columns == [name.removeprefix("'") for name in next(csv.reader([header]))]


# -- for fields ---------------------------------------------------------------------------------------


def test_camtrap_dp_has_an_observation_an_image(site: Site, foxes: ProjectRow) -> None:
    with archive(site, foxes, "camtrapdp") as held:
        lines = list(csv.DictReader(io.StringIO(held.read("observations.csv").decode())))
        kinds = [(line["deploymentID"], line["observationType"], line["scientificName"]) for line in lines]
        assert kinds == [("cam-1", "animal", "Vulpes vulpes"), ("cam-1", "blank", "")]
        media = list(csv.DictReader(io.StringIO(held.read("media.csv").decode())))
        assert {line["mediaID"] for line in lines} <= {line["mediaID"] for line in media}
        deployments = list(csv.DictReader(io.StringIO(held.read("deployments.csv").decode())))
        assert [line["longitude"] for line in deployments] == ["-13.4"]
        assert json.loads(held.read("datapackage.json"))["taxonomic"] == [{"scientificName": "Vulpes vulpes"}]


def test_darwin_core_has_an_occurrence_for_what_was_seen(site: Site, foxes: ProjectRow) -> None:
    with archive(site, foxes, "darwincore") as held:
        (line,) = csv.DictReader(io.StringIO(held.read("occurrence.csv").decode()))
        assert line["scientificName"] == "Vulpes vulpes"
        fields = ET.fromstring(held.read("meta.xml")).findall(".//{*}field")  # noqa: S314  (ours)
        assert [field.get("term", "").rpartition("/")[2] for field in fields] == list(line)


def test_web_annotations_lie_on_their_canvas(site: Site, foxes: ProjectRow) -> None:
    page = json.loads(b"".join(download.export(site, get(site, foxes), None, "iiif")))
    assert [each["target"] for each in page["items"]] == [
        "https://example.org/c/1",
        "https://example.org/c/2",
    ]
    assert page["items"][0]["body"][0]["value"] == "Red fox (Vulpes vulpes)"


def test_a_transcription_is_a_file_for_each_work(site: Site) -> None:
    config = {"fields": [{"id": "text", "kind": "text", "label": "What is written?", "max_length": 1000}]}
    project = builders.project(site, config=config)
    table = "id,text,work,page\n1,p,Log <A>,1r\n2,p,Log B,1\n3,p,Log <A>,1v\n"
    for task, text in zip(
        uploaded(site, project, table, {}), ("Wind & rain\nNW", "Calm", "Snow"), strict=True
    ):
        builders.answers(site, project, task, [{"text": text}] * 3)
        reduce(site, project, task)
    with archive(site, project, "tei") as held:
        assert sorted(held.namelist()) == ["Log B.txt", "Log B.xml", "Log _A.txt", "Log _A.xml"]
        tree = ET.fromstring(held.read("Log _A.xml"))  # noqa: S314  (ours)
        assert [page.get("n") for page in tree.findall(".//{*}pb")] == ["1r", "1v"]
        assert "".join(tree.find(".//{*}ab").itertext()) == "Wind & rainNW"  # type: ignore[union-attr]
        assert "Snow" in held.read("Log _A.txt").decode() and "Calm" not in held.read("Log _A.txt").decode()


def test_formats_that_need_columns_say_which(site: Site) -> None:
    project = builders.project(site, config=ANIMALS)
    builders.tasks(site, project, 1)
    for format, word in (("camtrapdp", "deploymentID"), ("iiif", "canvas"), ("imagefolder", "images")):
        with pytest.raises(InputError, match=word):
            download.export(site, get(site, project), None, format)


def test_a_packages_own_description_never_takes_the_place_of_a_formats(site: Site, foxes: ProjectRow) -> None:
    row = get(site, foxes)
    snapshot = snapshots.take(site, row)
    for format in registry.formats_of(site, row):
        files = download.files(site, row, None, format.name, snapshot=snapshot)
        names = []
        for file in package.package(site, row, files, snapshot=snapshot):
            content = b"".join(file.chunks)
            names.append(file.name)
            if format.name == "camtrapdp" and file.name == "datapackage.json":
                assert json.loads(content)["profile"].endswith("camtrap-dp-profile.json")
        assert len(names) == len(set(names)), format.name
