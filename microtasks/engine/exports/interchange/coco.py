"""COCO: images, annotations and categories in one JSON object, for training and for pycocotools.

COCO knows no circles, so a circle is a polygon of the same area and its bounding box, and stands exactly in
`circle` as [x, y, r]. A point is a keypoint in a box of one pixel. Who marked it and how sure it is are keys
of their own, which COCO allows.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from typing import Any

import microtasks
from microtasks.core.values import Part
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange import places
from microtasks.engine.exports.interchange.image_files import FOLDER, ImageNames, image_file
from microtasks.engine.exports.interchange.labels import NO_CLASS, options_of
from microtasks.engine.exports.interchange.places import Picture, Placed
from microtasks.engine.tabular.table import BUFFER, File, json_list, to_json

CORNERS = 64
#: A polygon whose corners lie so many radii away has the circle's area.
REACH = math.sqrt(2 * math.pi / (CORNERS * math.sin(2 * math.pi / CORNERS)))
TURNS = [(math.cos(a), math.sin(a)) for a in (2 * math.pi * n / CORNERS for n in range(CORNERS))]


def files(source: Source) -> Iterator[File]:
    """The annotations, and in a folder the images if they are asked for."""
    yield source.file(f"{source.table}.coco.json", "application/json", write(source))
    if source.options.images:
        names = ImageNames()
        for picture, _ in places.pictures(source):
            if image := image_file(source.site, picture, FOLDER + names.name(picture)):
                yield image


def write(source: Source) -> Iterator[bytes]:
    """Write images as they are read; annotations wait in a temporary file: one reading does for both."""
    part = places.part_of(source)
    categories = _categories(part)
    ids = {name: number for number, (name, _) in enumerate(options_of(part), start=1)}
    names = ImageNames()
    with tempfile.TemporaryFile(prefix="microtasks-") as waiting:

        def images() -> Iterator[dict[str, Any]]:
            comma = b"\n"
            for picture, marks in places.pictures(source):
                for mark in marks:
                    category = ids.get(mark.mark_class or NO_CLASS, ids[NO_CLASS])
                    waiting.write(comma + to_json(annotation(picture.id, mark, category)))
                    comma = b",\n"
                yield _image(picture, names.name(picture))

        head = {"info": _info(source), "licenses": [], "categories": categories}
        yield from json_list(images(), to_json(head)[:-1] + b',\n"images": [', b'],\n"annotations": [')
        waiting.seek(0)
        while chunk := waiting.read(BUFFER):
            yield chunk
        yield b"\n]}\n"


def annotation(image_id: int, mark: Placed, category_id: int) -> dict[str, Any]:
    """One mark as COCO writes it; lengths in px to a thousandth."""
    common = {"id": mark.id, "image_id": image_id, "category_id": category_id, "iscrowd": 0, **mark.facts}
    if "probability" in mark.facts:
        common["score"] = mark.facts["probability"]
    x, y, sizes = mark.x, mark.y, mark.measures
    if "r" in sizes:
        r = sizes["r"]
        return {
            **common,
            "bbox": [round(x - r, 3), round(y - r, 3), round(2 * r, 3), round(2 * r, 3)],
            "area": round(math.pi * r * r, 3),
            "segmentation": [polygon(x, y, r)],
            "circle": [x, y, r],
        }
    if "width" in sizes:
        width, height = sizes["width"], sizes["height"]
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        return {
            **common,
            "bbox": [x, y, width, height],
            "area": round(width * height, 3),
            "segmentation": [[round(place, 3) for place in corners]],
        }
    return {
        **common,
        "bbox": [round(x - 0.5, 3), round(y - 0.5, 3), 1, 1],
        "area": 1,
        "segmentation": [],
        "keypoints": [x, y, 2],
        "num_keypoints": 1,
    }


def polygon(x: float, y: float, r: float) -> list[float]:
    """A circle as a flat list of corners, with the same area."""
    reach = r * REACH
    return [round(place, 3) for cos, sin in TURNS for place in (x + reach * cos, y + reach * sin)]


def _image(picture: Picture, file_name: str) -> dict[str, Any]:
    image = {
        "id": picture.id,
        "file_name": file_name,
        "external_id": picture.name,
        "width": picture.width,
        "height": picture.height,
        "sha256": picture.sha256,
    }
    if picture.source is not None:
        image |= {"source": picture.source, "source_x": picture.x, "source_y": picture.y}
    return image


def _categories(part: Part) -> list[dict[str, Any]]:
    pointed = {"keypoints": ["point"], "skeleton": []} if part.shape == "point" else {}
    return [
        {"id": number, "name": name or label.lower(), "supercategory": part.shape, "label": label, **pointed}
        for number, (name, label) in enumerate(options_of(part), start=1)
    ]


def _info(source: Source) -> dict[str, Any]:
    return {
        "description": source.project.name,
        "version": microtasks.__version__,
        "contributor": f"volunteers of {source.project.name}, by microtasks {microtasks.__version__}",
        "date_created": source.view.snapshot.cut.at,
    }


FORMAT = Format(
    "coco",
    "COCO: training of detectors",
    "You train or test a detector: images, boxes and polygons in COCO's JSON, circles also as x, y, r.",
    ".coco.json",
    "application/json",
    places.TABLES,
    files=files,
    takes_images=True,
    fits=places.asks_for_marks,
)
