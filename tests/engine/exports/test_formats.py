"""The forms of other tools: their shape, exact values, what fits what; packages that describe themselves."""

from __future__ import annotations

import ast
import csv
import hashlib
import io
import json
import math
import xml.etree.ElementTree as ElementTree
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import NO, YES, ProjectRow
from test_export_tables import MARKS, get, reduce

from microtasks.core.errors import InputError
from microtasks.engine.exports import download, package, registry, snapshots
from microtasks.engine.exports.interchange import coco, geojson, labelstudio, places
from microtasks.engine.exports.interchange.labels import options_of
from microtasks.engine.exports.interchange.places import Picture, Placed
from microtasks.engine.exports.snapshots import View
from microtasks.engine.site import Site
from microtasks.engine.tabular.archive import zipped
from microtasks.tasktypes import get as task_type

WIDTH, HEIGHT = 400, 300
MANY_FIELDS: dict[str, Any] = {
    "fields": [
        {
            "id": "seen",
            "kind": "choice",
            "label": "=Seen?",
            "choices": [{"id": "y", "label": "Yes"}, {"id": "n", "label": "No"}],
        },
        {
            "id": "more",
            "kind": "choices",
            "label": "What else?",
            "required": False,
            "choices": [{"id": "b", "label": "Boulders"}, {"id": "h", "label": "Dark haloes"}],
        },
        {"id": "age", "kind": "scale", "label": "How old?", "min": 1, "max": 3},
        {"id": "n", "kind": "number", "label": "How many?", "required": False},
        {"id": "note", "kind": "text", "label": "Note", "required": False},
    ]
}


def read(site: Site, project: ProjectRow, format: str, what: str | None = None) -> dict[str, str]:
    """Every file of an export, by the end of its name."""
    row = get(site, project)
    return {
        file.name.removeprefix(f"{row.slug}-"): b"".join(file.chunks).decode()
        for file in download.files(site, row, what, format)
    }


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def marked(site: Site, config: dict[str, Any] | None = None, marks: dict[str, Any] = MARKS) -> ProjectRow:
    """A marking project: one task seen by three who agree, one by two who say that nothing is there."""
    project = builders.project(site, "marking", config=config)
    tasks = builders.tasks(site, project, 2, media_ids=[builders.media(site, WIDTH, HEIGHT)])
    builders.answers(site, project, tasks[0], [marks, marks, marks])
    builders.answers(site, project, tasks[1], [{"marks": []}, {"marks": []}, None])
    for task in tasks:
        reduce(site, project, task)
    return project


def own_columns(site: Site, project: ProjectRow, **columns: str) -> None:
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE task_content SET hidden = %s WHERE project_id = %s", (json.dumps(columns), project.id)
        )


# -- Zooniverse ---------------------------------------------------------------------------------------


def test_zooniverse_tables_have_the_columns_of_its_exporter(site: Site) -> None:
    found = read(site, builders.project(site), "zooniverse")
    assert list(found) == ["classifications.csv", "workflows.csv", "subjects.csv"]
    first = {name: text.splitlines()[0] for name, text in found.items()}
    assert first["classifications.csv"] == (
        "classification_id,user_name,user_id,user_ip,workflow_id,workflow_name,workflow_version,created_at,"
        "gold_standard,expert,metadata,annotations,subject_data,subject_ids"
    )
    assert first["subjects.csv"] == (
        "subject_id,project_id,workflow_id,subject_set_id,metadata,locations,classifications_count,"
        "retired_at,retirement_reason,created_at,updated_at"
    )
    assert {"workflow_id", "version", "minor_version", "tasks", "strings"} <= set(
        first["workflows.csv"].split(",")
    )


def test_zooniverse_says_labels_of_every_kind_of_field(site: Site) -> None:
    project = builders.project(site, config=MANY_FIELDS)
    (task,) = builders.tasks(site, project, 1)
    full = {"seen": "y", "more": ["b", "h"], "age": 2, "n": 1.5, "note": "=1+1"}
    builders.answers(site, project, task, [full, {"seen": "n", "age": 1}, None])
    builders.answers(site, project, task, [full], status="surplus")
    found = read(site, project, "zooniverse")
    rows = table(found["classifications.csv"])
    said = [[(one["task"], one["value"]) for one in json.loads(row["annotations"])] for row in rows]
    assert said == [
        [("T0", "Yes"), ("T1", ["Boulders", "Dark haloes"]), ("T2", "2"), ("T3", "1.5"), ("T4", "=1+1")],
        [("T0", "No"), ("T2", "1")],
        [("T0", None), ("T1", None), ("T2", None)],
    ]
    first = rows[0]
    name = table(b"".join(download.export(site, get(site, project), "answers")).decode())[0]["contributor"]
    assert (first["user_name"], first["user_id"]) == (f"not-logged-in-{name}", "")
    assert (first["workflow_version"], first["subject_ids"]) == ("1.1", str(task))
    assert first["created_at"].endswith(" UTC") and len(first["created_at"]) == 23
    facts = json.loads(first["metadata"])
    assert facts["finished_at"].endswith("Z") and facts["started_at"] < facts["finished_at"]
    assert json.loads(first["subject_data"])[str(task)]["filename"] == f"item-{task}"
    (workflow,) = table(found["workflows.csv"])
    strings, tasks = json.loads(workflow["strings"]), json.loads(workflow["tasks"])
    assert ast.literal_eval(workflow["strings"]) == strings  # panoptes_aggregation reads it as Python
    assert all(isinstance(text, str) for text in strings.values())
    assert strings[tasks["T1"]["answers"][1]["label"]] == "Dark haloes"
    assert [tasks[f"T{n}"]["type"] for n in range(5)] == ["single", "multiple", "single", "slider", "text"]
    (subject,) = table(found["subjects.csv"])
    assert (subject["classifications_count"], subject["retirement_reason"]) == ("3", "classification_count")


def test_zooniverse_marks_are_the_pixels_with_their_tool(site: Site) -> None:
    project = marked(site)
    found = read(site, project, "zooniverse")
    rows = [json.loads(row["annotations"]) for row in table(found["classifications.csv"])]
    assert [one["tool"] for one in rows[0][0]["value"]] == [0, 1]
    assert rows[0][0]["value"][0] == {
        **{"x": 10.5, "y": 20.25, "r": 6.0, "tool": 0, "frame": 0, "details": []},
        "tool_label": "Fresh",
    }
    assert rows[3][0]["value"] == [] and rows[5] == []  # nothing here; I can't tell
    (workflow,) = table(found["workflows.csv"])
    tools = json.loads(workflow["tasks"])["T0"]["tools"]
    assert [tool["type"] for tool in tools] == ["circle", "circle"] and all("details" in t for t in tools)


def test_T07_no_cell_of_the_zooniverse_tables_is_a_formula(site: Site) -> None:
    project = builders.project(site, config=MANY_FIELDS, name="=HYPERLINK(1)")
    (task,) = builders.tasks(site, project, 1)
    builders.answers(site, project, task, [{"seen": "y", "age": 1, "note": "=1+1"}])
    own_columns(site, project, note="+1")
    for text in read(site, project, "zooniverse").values():
        cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")]
    row = table(read(site, project, "zooniverse")["classifications.csv"])[0]
    assert row["workflow_name"] == "'=HYPERLINK(1)"


def test_an_answer_to_an_older_wording_keeps_the_labels_it_was_given_under(site: Site) -> None:
    project = builders.project(site)
    (task,) = builders.tasks(site, project, 1)
    builders.answers(site, project, task, [YES])
    newer = json.loads(json.dumps(builders.CONFIGS["question"]).replace("Yes", "Certainly"))
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE project SET config = %s, config_version = 2 WHERE id = %s",
            (json.dumps(newer), project.id),
        )
        connection.execute("INSERT INTO project_config VALUES (%s, 2, %s)", (project.id, json.dumps(newer)))
    found = read(site, project, "zooniverse")
    (row,) = table(found["classifications.csv"])
    assert (row["workflow_version"], json.loads(row["annotations"])[0]["value"]) == ("1.1", "Yes")
    assert [row["version"] for row in table(found["workflows.csv"])] == ["1", "2"]


def test_who_was_left_out_is_in_no_tools_files(site: Site) -> None:
    project = marked(site)
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO contributor_record (project_id, contributor_id, is_excluded)"
            " SELECT project_id, contributor_id, true FROM answer ORDER BY id LIMIT 1"
        )
    assert len(table(read(site, project, "zooniverse")["classifications.csv"])) == 5
    tasks = json.loads(read(site, project, "labelstudio")["labelstudio.json"])
    assert [len(one["annotations"]) for one in tasks] == [2, 3]
    assert len(json.loads(read(site, project, "coco", "marks")["marks.coco.json"])["annotations"]) == 4


# -- Label Studio -------------------------------------------------------------------------------------

SHAPES: list[tuple[str, dict[str, float]]] = [
    ("circle", {"x": 123.4, "y": 56.7, "r": 17.3}),
    ("point", {"x": 123.4, "y": 56.7}),
    ("box", {"x": 12.5, "y": 20.25, "width": 100.5, "height": 33.3}),
]


@pytest.mark.parametrize(("shape", "mark"), SHAPES)
def test_label_studio_percent_is_the_marks_pixels_again(shape: str, mark: dict[str, float]) -> None:
    marking = task_type("marking")
    parts = marking.parts(marking.parse_config({"shape": shape, "classes": [{"id": "fresh"}]}))
    image = {"width": 640, "height": 480}
    (found,) = labelstudio.results(parts, {"marks": [{**mark, "class": "fresh"}]}, image, "a1")
    place = found["value"]
    back = {"x": place["x"] * 6.4, "y": place["y"] * 4.8}
    if shape == "circle":
        back["r"] = place["radiusX"] * 6.4
        assert place["radiusY"] * 4.8 == pytest.approx(mark["r"])
    if shape == "box":
        back |= {"width": place["width"] * 6.4, "height": place["height"] * 4.8}
    assert back == pytest.approx(mark)
    assert place[found["type"]] == ["fresh"]
    assert (found["original_width"], found["original_height"]) == (640, 480)


def test_label_studio_has_everybody_and_the_consensus(site: Site) -> None:
    found = read(site, marked(site), "labelstudio")
    first, second = json.loads(found["labelstudio.json"])
    assert [len(one["result"]) for one in first["annotations"]] == [2, 2, 2]
    assert [one["was_cancelled"] for one in second["annotations"]] == [False, False, True]
    assert len({one["contributor"] for one in first["annotations"]}) == 3
    assert len(first["predictions"][0]["result"]) == 2
    assert first["predictions"][0]["model_version"] == "marking/1"
    ids = [region["id"] for one in first["annotations"] for region in one["result"]]
    assert len(set(ids)) == len(ids)
    assert first["data"]["image"].startswith("/media/")
    config = ElementTree.fromstring(found["labelstudio.xml"])  # noqa: S314  (our own)
    labels = [one.get("value") for one in config.iter("Label")]
    used = {label for one in first["annotations"] for r in one["result"] for label in r["value"][r["type"]]}
    assert used == {"fresh", "unclassified circle"} == set(labels)


def test_label_studio_answers_to_a_form(site: Site) -> None:
    project = builders.project(site, config=MANY_FIELDS)
    (task,) = builders.tasks(site, project, 1)
    builders.answers(site, project, task, [{"seen": "y", "more": [], "age": 2, "note": "<b>"}])
    found = read(site, project, "labelstudio")
    (result,) = (one["result"] for one in json.loads(found["labelstudio.json"])[0]["annotations"])
    assert [(one["from_name"], one["value"]) for one in result] == [
        ("seen", {"choices": ["y"]}),
        ("more", {"choices": []}),
        ("age", {"number": 2}),
        ("note", {"text": ["<b>"]}),
    ]
    config = ElementTree.fromstring(found["labelstudio.xml"])  # noqa: S314  (our own)
    assert [one.tag for one in config if one.get("toName")] == [
        *("Choices", "Choices", "Number", "Number", "TextArea"),
    ]
    assert {one.get("toName") for one in config if one.get("toName")} == {config[0].get("name")}


# -- COCO ---------------------------------------------------------------------------------------------


def area_of(corners: list[float]) -> float:
    places = list(zip(corners[::2], corners[1::2], strict=True))
    following = [*places[1:], places[0]]
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(places, following, strict=True))) / 2


def test_a_coco_circle_is_a_polygon_of_its_area_with_its_box(site: Site) -> None:
    found = json.loads(read(site, marked(site), "coco")["consensus.coco.json"])
    assert [image["width"] for image in found["images"]] == [WIDTH, WIDTH]
    assert len(found["annotations"]) == 2
    for one in found["annotations"]:
        x, y, r = one["circle"]
        assert one["area"] == pytest.approx(math.pi * r * r, abs=1e-3)
        assert area_of(one["segmentation"][0]) == pytest.approx(one["area"], rel=1e-3)
        assert one["bbox"] == pytest.approx([x - r, y - r, 2 * r, 2 * r], abs=2e-3)
        assert (one["agreement"], one["n_marked"], one["iscrowd"]) == (1.0, 3, 0)
        assert one["image_id"] == found["images"][0]["id"]
    names = {one["id"]: one["name"] for one in found["categories"]}
    assert {names[one["category_id"]] for one in found["annotations"]} == {"fresh", "no class"}


def test_coco_of_the_marks_says_whose_each_is(site: Site) -> None:
    project = marked(site)
    found = json.loads(read(site, project, "coco", "marks")["marks.coco.json"])
    assert len(found["annotations"]) == 6 == len({one["id"] for one in found["annotations"]})
    assert len({one["contributor"] for one in found["annotations"]}) == 3
    again = json.loads(read(site, project, "coco", "marks")["marks.coco.json"])
    assert again["annotations"] == found["annotations"]


@pytest.mark.parametrize(("shape", "mark"), SHAPES[1:])
def test_coco_points_are_keypoints_and_boxes_are_boxes(shape: str, mark: dict[str, float]) -> None:
    measures = {key: size for key, size in mark.items() if key in ("width", "height")}
    one = coco.annotation(7, Placed(1, mark["x"], mark["y"], measures, None), 1)
    if shape == "point":
        assert (one["keypoints"], one["num_keypoints"]) == ([mark["x"], mark["y"], 2], 1)
    else:
        assert one["bbox"] == [mark["x"], mark["y"], mark["width"], mark["height"]]
        assert area_of(one["segmentation"][0]) == pytest.approx(one["area"], rel=1e-3)


def test_coco_of_merged_big_images(site: Site) -> None:
    project = marked(site)
    with site.db.connection() as connection:
        big = builders.media(site, 4000, 3000)
        connection.execute(
            "UPDATE task_content SET source = 'mars.png', source_x = 500, source_y = 100,"
            " source_media_id = %s WHERE project_id = %s",
            (big, project.id),
        )
        connection.execute(
            "INSERT INTO source_consensus (project_id, source, detail, reducer)"
            " SELECT project_id, 'mars.png', detail, reducer FROM consensus WHERE project_id = %s"
            " ORDER BY task_id LIMIT 1",
            (project.id,),
        )
    found = json.loads(read(site, project, "coco", "sources")["sources.coco.json"])
    assert [(one["file_name"], one["width"]) for one in found["images"]] == [("mars.png", 4000)]
    assert len(found["annotations"]) == 2
    tiles = json.loads(read(site, project, "coco")["consensus.coco.json"])["images"]
    assert (tiles[0]["source"], tiles[0]["source_x"]) == ("mars.png", 500)


# -- GeoJSON ------------------------------------------------------------------------------------------


def test_geojson_without_a_transform_says_what_to_upload(site: Site) -> None:
    project = marked(site)
    with pytest.raises(InputError, match="#world"):
        download.files(site, get(site, project), None, "geojson")
    own_columns(site, project, world="1 2 3")
    with pytest.raises(InputError, match="#world"):
        download.files(site, get(site, project), None, "geojson")


def test_geojson_puts_marks_on_the_map(site: Site) -> None:
    project = marked(site)
    own_columns(site, project, Geotransform="1000, 2, 0, 5000, 0, -2", crs="EPSG:32633")
    found = json.loads(read(site, project, "geojson")["consensus.geojson"])
    assert found["crs"]["properties"]["name"] == "EPSG:32633"
    one = min(found["features"], key=lambda feature: feature["properties"]["x"])
    ring, facts = one["geometry"]["coordinates"][0], one["properties"]
    assert ring[0] == ring[-1] and facts["radius"] == pytest.approx(2 * facts["r"])
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    assert (min(xs) + max(xs)) / 2 == pytest.approx(1000 + 2 * facts["x"])
    assert (min(ys) + max(ys)) / 2 == pytest.approx(5000 - 2 * facts["y"])
    turns = sum(x * v - u * y for (x, y), (u, v) in pairwise(ring))
    assert turns > 0  # counterclockwise, as RFC 7946 wants
    assert facts["class"] == "fresh"


def test_a_world_file_begins_in_the_middle_of_the_first_pixel_and_counts_from_the_big_image() -> None:
    world = {"world": "2 0 0 -2 1001 4999"}
    assert geojson.transform_of(world) == geojson.transform_of({"geotransform": "1000 2 0 5000 0 -2"})
    tile = Picture(1, "tile", None, 10, 10, world, "big", 100, 50)
    feature = geojson.feature(tile, Placed(1, 5.0, 5.0, {}, None))
    assert feature["geometry"] == {"type": "Point", "coordinates": (1210.0, 4890.0)}
    lost = geojson.feature(Picture(1, "a", None, 1, 1, {}), Placed(1, 5.0, 5.0, {}, None))
    assert lost["geometry"] is None and "world file" in lost["properties"]["problem"]


@pytest.mark.parametrize("text", ["", "1 2 3", "0 0 0 0 1 1", "a b c d e f", "1e999 0 0 1 0 0"])
def test_what_is_no_transform_is_none(text: str) -> None:
    assert geojson.transform_of({"world": text}) is None


# -- what fits, and packages --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "format"),
    [
        *(("question", "coco"), ("question", "geojson"), ("tagging", "coco"), ("tagging", "geojson")),
        ("marking", "crowdkit"),
    ],
)
def test_a_format_that_does_not_fit_is_refused_in_one_sentence_that_names_what_does(
    site: Site, kind: str, format: str
) -> None:
    project = get(site, builders.project(site, kind))
    with pytest.raises(InputError) as refused:
        download.files(site, project, None, format)
    said = refused.value.message
    assert format in said and kind in said and "zooniverse" in said and "\n" not in said
    assert format not in [one.name for one in registry.formats_of(site, project)]


def test_every_format_that_is_offered_can_be_had(site: Site) -> None:
    for kind in builders.CONFIGS:
        made = builders.project(site, kind)
        (task,) = builders.tasks(site, made, 1)
        builders.answers(site, made, task, [None])
        project = get(site, made)
        offered = registry.formats_of(site, project)
        assert {"csv", "jsonl", "zooniverse", "labelstudio"} <= {one.name for one in offered}
        for one in offered:
            for file in download.files(site, project, None, one.name):
                assert b"".join(file.chunks)


def test_labels_that_other_tools_would_take_for_one_are_told_apart() -> None:
    question = task_type("question")
    choices = [{"id": "a", "label": "Old!"}, {"id": "b", "label": "old"}, {"id": "c", "label": "New"}]
    config = question.parse_config({"fields": [{"id": "f", "kind": "choice", "choices": choices}]})
    (part,) = question.parts(config)
    assert options_of(part) == [("a", "Old! (a)"), ("b", "old (b)"), ("c", "New")]


def test_files_of_tools_are_made_while_they_are_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microtasks.engine.tabular.table.BUFFER", 200)
    monkeypatch.setattr("microtasks.engine.tabular.table.BLOCK_ROWS", 5)
    monkeypatch.setattr(places, "TASKS_AT_ONCE", 2)
    project = builders.project(site, redundancy=50)
    for task in builders.tasks(site, project, 3):
        builders.answers(site, project, task, [YES, NO] * 5)
    for format in ("zooniverse", "labelstudio"):
        chunks = list(download.export(site, get(site, project), None, format))
        assert len(chunks) > 2
    row = get(site, project)
    seen = list(places.with_answers(View(site, row, snapshots.take(site, row))))
    assert [len(answers) for _, answers in seen] == [10, 10, 10]


def test_a_package_describes_every_file_it_holds(site: Site) -> None:
    project = marked(site)
    row = get(site, project)
    snapshot = snapshots.take(site, row)
    files = package.package(site, row, package.whole(site, row), "CC-BY-4.0", snapshot=snapshot)
    with zipfile.ZipFile(io.BytesIO(b"".join(zipped(files, snapshot.cut.at)))) as archive:
        assert archive.testzip() is None
        held = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(held["datapackage.json"])
    assert described["licenses"][0]["name"] == "CC-BY-4.0"
    assert described["microtasks"]["redundancy"] == 3 and described["microtasks"]["reducer"] == "marking/1"
    for resource in described["resources"]:
        content = held[resource["path"]]
        assert resource["bytes"] == len(content)
        assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        if "schema" in resource:
            names = [field["name"] for field in resource["schema"]["fields"]]
            rows = table(content.decode())
            assert content.decode().splitlines()[0] == ",".join(names)
            if key := resource["schema"].get("primaryKey"):
                assert len({tuple(row[name] for name in key) for row in rows}) == len(rows)
    for line in held["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(held[name]).hexdigest() == digest
    assert {f"{row.slug}-{what.name}.csv" for what in registry.tables_of(View(site, row, snapshot))} <= set(
        held
    )
    assert b'license: "CC-BY-4.0"' in held["CITATION.cff"]
    assert described["microtasks"]["snapshot"] in held["README.md"].decode()


def test_a_package_needs_a_licence_that_is_known_or_none(site: Site) -> None:
    row = get(site, builders.project(site))
    taken = snapshots.take(site, row)
    with pytest.raises(InputError, match="CC0"):
        package.package(site, row, [], "mine", snapshot=taken)
    named = [file.name for file in package.package(site, row, [], snapshot=taken) if b"".join(file.chunks)]
    assert named[-5:] == ["datapackage.json", "croissant.json", "README.md", "CITATION.cff", "SHA256SUMS"]


@pytest.mark.parametrize("out", ["all", "all.zip"])
def test_the_command_writes_a_package(site: Site, cli: Any, tmp_path: Path, out: str) -> None:
    row = get(site, marked(site))
    written = cli("export", row.slug, "--format", "zooniverse", "--out", tmp_path / out)
    assert written.exit_code == 0, written.output
    folder = tmp_path / out
    names = zipfile.ZipFile(folder).namelist() if out.endswith("zip") else [p.name for p in folder.iterdir()]
    assert {f"{row.slug}-{one}.csv" for one in ("classifications", "workflows", "subjects")} <= set(names)
    assert "datapackage.json" in names
    alone = cli("export", row.slug, "--format", "zooniverse")
    assert alone.stdout.startswith("classification_id,")
    refused = cli("export", row.slug, "--what", "all")
    assert refused.exit_code == 1 and "folder" in refused.stderr
