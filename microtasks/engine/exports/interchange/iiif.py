"""W3C Web Annotations on IIIF canvases: marks, transcriptions, tags and choices, as viewers show them.

One AnnotationPage (IIIF Presentation 3) with the annotations of all canvases. A task's canvas is named by a
column of the upload, as a IIIF manifest gives it; where `canvas_width` tells another size than the image's,
marks are scaled to it. A tile's marks lie on the canvas of its big image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from microtasks.core.values import Part
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange.own_columns import CANVAS, OwnColumns, has_columns
from microtasks.engine.tabular.table import File, iso, json_list, to_json
from microtasks.store.exports import reads

CANVAS_WIDTH = ("canvas_width", "iiif_width")
MIME = "application/ld+json"
CONTEXTS = ["http://iiif.io/api/presentation/3/context.json"]
#: What an annotation of each kind of part is for.
MOTIVATIONS = {"text": "supplementing", "marks": "tagging", "choice": "tagging", "choices": "tagging"}


def files(source: Source) -> Iterator[File]:
    """One file: all annotations, in the order of the tasks."""
    base = f"urn:microtasks:{source.project.slug}:annotations"
    head = {
        "@context": CONTEXTS,
        "id": base,
        "type": "AnnotationPage",
        "label": {_language(source): [source.project.name]},
    }
    opening = to_json(head)[:-1] + b',\n"items": ['
    yield source.file("iiif.json", MIME, json_list(_items(source, base), opening, b"]}"))


def _items(source: Source, base: str) -> Iterator[dict[str, Any]]:
    for row in source.view.walk(reads.items, "task_id"):
        own = OwnColumns(row)
        canvas = own.get(*CANVAS)
        if canvas and row["value"] is not None:
            for nth, annotation in enumerate(_annotations(source, row, own, canvas), start=1):
                yield {"id": f"{base}:{row['task_id']}:{nth}", **annotation}


def _annotations(
    source: Source, row: Mapping[str, Any], own: OwnColumns, canvas: str
) -> Iterator[dict[str, Any]]:
    common = {
        "type": "Annotation",
        "created": iso(source.view.snapshot.cut.at),
        "creator": {"type": "Organization", "name": f"Volunteers of {source.project.name}"},
    }
    for part in source.parts:
        labels = dict(part.options)
        given = part.answered(row["value"])
        if given is None:
            continue
        motivation = MOTIVATIONS.get(part.kind, "describing")
        if part.kind == "marks":
            scale = _scale(row, own)
            for mark in (row["detail"] or {}).get("marks", ()):
                label = labels.get(mark.get("class"), mark.get("class")) or part.shape or "mark"
                yield {
                    **common,
                    "motivation": motivation,
                    "body": {"type": "TextualBody", "value": label, "purpose": "tagging"},
                    "target": {
                        "type": "SpecificResource",
                        "source": {"id": canvas, "type": "Canvas"},
                        "selector": _selector(mark, row, scale),
                    },
                }
        elif part.kind == "text":
            body = {
                "type": "TextualBody",
                "value": given,
                "format": "text/plain",
                "language": _language(source),
            }
            yield {**common, "motivation": motivation, "body": body, "target": canvas}
        else:
            chosen = given if isinstance(given, list) else [given]
            bodies = [
                {"type": "TextualBody", "value": str(labels.get(each, each)), "purpose": motivation}
                for each in chosen
            ]
            if bodies:
                yield {**common, "motivation": motivation, "body": bodies, "target": canvas}


def _scale(row: Mapping[str, Any], own: OwnColumns) -> float:
    """Canvas units that a pixel of the image measures."""
    width = own.get(*CANVAS_WIDTH)
    if row["source"] is not None or not row["width"] or not re.fullmatch(r"\d+(\.\d+)?", width):
        return 1.0
    return float(width) / float(row["width"])


def _selector(mark: Mapping[str, Any], row: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """Where on the canvas: a box as a fragment, a circle as SVG, a point as a point."""
    x = (mark["x"] + (row["source_x"] or 0)) * scale
    y = (mark["y"] + (row["source_y"] or 0)) * scale
    if "r" in mark:
        circle = f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{mark["r"] * scale:.2f}"/>'
        return {
            "type": "SvgSelector",
            "value": f'<svg xmlns="http://www.w3.org/2000/svg">{circle}</svg>',
        }
    if "width" in mark:
        width, height = mark["width"] * scale, mark["height"] * scale
        return {
            "type": "FragmentSelector",
            "conformsTo": "http://www.w3.org/TR/media-frags/",
            "value": f"xywh={x:.2f},{y:.2f},{width:.2f},{height:.2f}",
        }
    return {"type": "PointSelector", "x": round(x, 2), "y": round(y, 2)}


def _language(source: Source) -> str:
    return source.project.language or "none"


def _lacks(site: Any, project_id: int) -> str:
    if has_columns(site, project_id, (CANVAS,)):
        return ""
    return (
        "Annotations need to know their canvas: upload a IIIF manifest, or a table with a column canvas that "
        "holds the canvas's id."
    )


def _has_parts(parts: tuple[Part, ...]) -> bool:
    return bool(parts)


FORMAT = Format(
    "iiif",
    "IIIF: Web Annotations",
    "Your images are canvases of a IIIF manifest, and you show the results in Mirador or another viewer.",
    ".iiif.json",
    MIME,
    ("consensus",),
    files=files,
    fits=_has_parts,
    lacks=_lacks,
)
