"""Images with their labels, to train classifiers: a folder a label (ImageFolder), or a table of labels.

`metadata.csv` lies with the images in the form that Hugging Face `datasets` reads. An image whose result
is tied, or empty, has no folder: it would teach what nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from microtasks.core.parsing.lists import join_list
from microtasks.core.values import Column, Part
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange import places
from microtasks.engine.exports.interchange.image_files import ImageNames, image_file
from microtasks.engine.exports.interchange.places import Picture
from microtasks.engine.tabular.csv_format import MIME, Dialect, write_csv
from microtasks.engine.tabular.table import File, Table
from microtasks.store.exports import reads

#: Where the images lie: what trains finds them there.
TRAIN = "train/"


def labelled(source: Source) -> Iterator[tuple[Picture, str, dict[str, Any]]]:
    """Each image with its name in the export and its row: result, agreement and confidence."""
    names = ImageNames()
    for row in source.view.walk(reads.items, "task_id"):
        picture = places.picture_of(row)
        if picture.sha256 is None:
            continue
        yield picture, names.name(picture), row


def _label(part: Part, row: dict[str, Any]) -> str:
    """The one label of an image; "" without one."""
    value = part.answered(row["value"] or {})
    if value is None or (isinstance(value, list) and len(value) != 1):
        return ""
    return str(value[0] if isinstance(value, list) else value)


def _folder(label: str) -> str:
    """A label as the name of a folder."""
    plain = "".join(
        "_" if character in '<>:"/\\|?*' or ord(character) < 32 else character for character in label
    )
    return plain.strip(". ") or "_"


def folder_files(source: Source) -> Iterator[File]:
    """Each image in the folder of its label; what has no label stays out."""
    part = _choice(source.parts)
    yield _labels_file(source, "labels.csv")
    for picture, name, row in labelled(source):
        label = _label(part, row)
        if label and (image := image_file(source.site, picture, f"{TRAIN}{_folder(label)}/{name}")):
            yield image


def label_files(source: Source) -> Iterator[File]:
    """The table of labels, and the images where they are asked for."""
    with_images = source.options.images
    yield _labels_file(source, f"{TRAIN}metadata.csv" if with_images else f"{source.project.slug}-labels.csv")
    if with_images:
        for picture, name, _ in labelled(source):
            if image := image_file(source.site, picture, TRAIN + name):
                yield image


def _labels_file(source: Source, name: str) -> File:
    columns = (
        Column("file_name", "string", "The image's file."),
        *(Column(_name(part, source.parts), "string", part.label) for part in _labels(source.parts)),
        Column("agreement", "number", "Share of counted answers that support it.", "0..1"),
        Column("confidence", "number", "Probability that it is right, where the method gives one.", "0..1"),
        Column("n_answers", "integer", "Counted answers that it rests on."),
        Column("external_id", "string", "The owner's own id of the task."),
    )
    rows = (
        (
            file_name,
            *(_flat(part.answered(row["value"] or {})) for part in _labels(source.parts)),
            row["agreement"],
            row["confidence"],
            row["n_reduced"],
            row["external_id"],
        )
        for _, file_name, row in labelled(source)
    )
    return File(
        name, MIME, write_csv(Table(columns, rows), Dialect(raw=source.options.raw)), "labels", columns
    )


def _name(part: Part, parts: tuple[Part, ...]) -> str:
    return "label" if len(_labels(parts)) == 1 else f"label_{part.id}"


def _flat(value: Any) -> Any:
    return join_list(value) if isinstance(value, list) else value


def _labels(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    return tuple(part for part in parts if part.kind != "marks")


def _choice(parts: tuple[Part, ...]) -> Part:
    return next(part for part in parts if part.kind in ("choice", "choices", "scale"))


def _has_choice(parts: tuple[Part, ...]) -> bool:
    return any(part.kind in ("choice", "choices", "scale") for part in parts)


def _has_labels(parts: tuple[Part, ...]) -> bool:
    return bool(_labels(parts))


FORMATS = (
    Format(
        "imagefolder",
        "ImageFolder: training of classifiers",
        "You train a classifier with PyTorch, Keras or Hugging Face: a folder of images for each label.",
        ".imagefolder.zip",
        "application/zip",
        ("consensus",),
        files=folder_files,
        is_archive=True,
        is_packed=True,
        takes_images=True,
        fits=_has_choice,
        lacks=places.lacks_images,
    ),
    Format(
        "labels",
        "CSV of labels: one image a row",
        "You want file names and labels alone: one image a row, for a training script of your own.",
        ".labels.zip",
        "application/zip",
        ("consensus",),
        files=label_files,
        is_archive=True,
        is_packed=True,
        takes_images=True,
        fits=_has_labels,
        lacks=places.lacks_images,
    ),
)
