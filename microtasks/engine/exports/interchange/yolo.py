"""YOLO: a text file of boxes an image, and data.yaml, as Ultralytics reads them for training.

A line is `class x y width height`, the box's centre and size as shares of the image's. A circle is the box
around it; a point has no size and is left to the format `coco`. An image on which there is nothing has an
empty file. Every fifth image is for validation, by its number, so that it stays there in every export.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from microtasks.core.values import Part
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange import places
from microtasks.engine.exports.interchange.image_files import ImageNames, image_file
from microtasks.engine.exports.interchange.labels import NO_CLASS, options_of
from microtasks.engine.exports.interchange.places import Picture, Placed
from microtasks.engine.tabular.table import File

VALIDATION_EVERY = 5


def files(source: Source) -> Iterator[File]:
    """data.yaml, then each image's boxes, with the image itself where it is asked for."""
    part = places.part_of(source)
    classes = [name for name, _ in options_of(part)]
    yield File("data.yaml", "application/yaml", iter([_data(part).encode()]))
    names = ImageNames()
    for picture, marks in places.pictures(source):
        if not picture.width or not picture.height:
            continue
        name = names.name(picture)
        half = "val" if picture.id % VALIDATION_EVERY == 0 else "train"
        lines = "".join(_line(mark, picture, classes) for mark in marks)
        stem = name.rpartition(".")[0] or name
        yield File(f"labels/{half}/{stem}.txt", "text/plain", iter([lines.encode()]), is_listed=False)
        if source.options.images and (image := image_file(source.site, picture, f"images/{half}/{name}")):
            yield image


def _line(mark: Placed, picture: Picture, classes: list[str]) -> str:
    sizes = mark.measures
    if "r" in sizes:
        left, top, right, bottom = (
            mark.x - sizes["r"],
            mark.y - sizes["r"],
            mark.x + sizes["r"],
            mark.y + sizes["r"],
        )
    else:
        left, top = mark.x, mark.y
        right, bottom = left + sizes.get("width", 0), top + sizes.get("height", 0)
    width, height = float(picture.width or 1), float(picture.height or 1)
    # What lies beyond the border cannot be seen, and Ultralytics refuses the image for it.
    left, right = max(0.0, left), min(width, right)
    top, bottom = max(0.0, top), min(height, bottom)
    if right <= left or bottom <= top:
        return ""
    number = (
        classes.index(mark.mark_class or NO_CLASS)
        if (mark.mark_class or NO_CLASS) in classes
        else len(classes) - 1
    )
    shares = (
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    )
    return f"{number} " + " ".join(f"{share:.6f}" for share in shares) + "\n"


def _data(part: Part) -> str:
    """data.yaml; a JSON string is a YAML string."""
    lines = ["path: .", "train: images/train", "val: images/val", "names:"]
    lines += [
        f"  {number}: {json.dumps(label, ensure_ascii=False)}"
        for number, (_, label) in enumerate(options_of(part))
    ]
    return "\n".join([*lines, ""])


def _asks_for_areas(parts: tuple[Part, ...]) -> bool:
    return any(part.kind == "marks" and part.shape in ("circle", "box") for part in parts)


FORMAT = Format(
    "yolo",
    "YOLO: training of detectors",
    "You train a detector with Ultralytics: a text file of boxes for each image, and data.yaml.",
    ".yolo.zip",
    "application/zip",
    ("consensus", "marks"),
    files=files,
    is_archive=True,
    is_packed=True,
    takes_images=True,
    fits=_asks_for_areas,
)
