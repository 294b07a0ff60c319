"""Label Studio: tasks with everybody's annotations, the consensus as a prediction, and the interface.

Regions are in percent of the image's width and height, so a circle's two radii differ on an image that is
not square. Labels are the ids of the project's choices, tags and classes. `completed_by` is left out: Label
Studio refuses people it does not know; `contributor` holds the pseudonym. "I can't tell" is a cancelled
annotation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from microtasks.core.values import Part
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange import places
from microtasks.engine.exports.interchange.labels import NO_CLASS, as_text, options_of
from microtasks.engine.tabular.table import File, json_list
from microtasks.store.exports import reads

#: Tag of the interface, and key of a region's label, for each shape.
REGIONS = {
    "circle": ("EllipseLabels", "ellipselabels"),
    "point": ("KeyPointLabels", "keypointlabels"),
    "box": ("RectangleLabels", "rectanglelabels"),
}
MEASURES: dict[str, tuple[str, ...]] = {"circle": ("r",), "point": (), "box": ("width", "height")}
#: Width of a key point as it is drawn, in percent.
POINT_WIDTH = 0.5
ITEM = "item"


def files(source: Source) -> list[File]:
    """The tasks, and the interface that shows them."""
    return [
        source.file("labelstudio.json", "application/json", json_list(_tasks(source))),
        source.file("labelstudio.xml", "application/xml", _config(source)),
    ]


def _tasks(source: Source) -> Iterator[dict[str, Any]]:
    base = source.site.settings.base_url.rstrip("/")
    for row, answers in places.with_answers(source.view):
        payload = row["payload"]
        image = f"{base}/media/{row['derivatives'][-1]['sha256']}.webp" if row["derivatives"] else ""
        task: dict[str, Any] = {
            "id": row["task_id"],
            "data": {
                "image": image,
                "text": payload.get("text") or "",
                "question": payload.get("question") or "",
                "external_id": row["external_id"],
                "file_name": row["file_name"],
            },
            "meta": {
                **payload.get("metadata", {}),
                **{f"#{name}": text for name, text in row["hidden"].items()},
                **{f"!{name}": text for name, text in row["after"].items()},
                **{key: row[key] for key in ("source", "source_x", "source_y") if row["source"] is not None},
            },
            "annotations": [_annotation(source, row, answer) for answer in answers],
            "predictions": [],
        }
        if row["value"] is not None:
            task["predictions"].append(
                {
                    "model_version": row["reducer"],
                    "score": row["agreement"],
                    "result": results(source.parts, row["value"], row, f"c{row['task_id']}"),
                }
            )
        yield task


def _annotation(source: Source, row: reads.Row, answer: reads.Row) -> dict[str, Any]:
    value = answer["value"]
    return {
        "id": answer["id"],
        "contributor": source.pseudonym(answer["contributor_id"]),
        "created_at": answer["created_at"],
        "updated_at": answer["revised_at"] or answer["created_at"],
        "lead_time": answer["seconds_spent"],
        "was_cancelled": value is None,
        "ground_truth": False,
        "result": [] if value is None else results(source.parts, value, row, f"a{answer['id']}"),
    }


def results(
    parts: tuple[Part, ...], value: Mapping[str, Any], image: Mapping[str, Any], prefix: str
) -> list[dict[str, Any]]:
    """An answer's value as regions and choices. image: `width` and `height` in px."""
    regions: list[dict[str, Any]] = []
    for part in parts:
        given = part.answered(value)
        if given is None:
            continue
        common = {"from_name": part.id, "to_name": ITEM}
        if part.kind == "marks":
            width, height = image["width"], image["height"]
            if not width or not height:
                continue  # nothing to take a percentage of
            for number, mark in enumerate(given, start=1):
                if not all(name in mark for name in MEASURES[part.shape or "point"]):
                    continue  # made when the project asked for another shape
                region = _region(part, mark, width, height)
                size = {"original_width": width, "original_height": height, "image_rotation": 0}
                regions.append({"id": f"{prefix}-{number}", **common, **size, **region})
        else:
            kind, key, plain = _plain(part, given)
            regions.append({"id": f"{prefix}-{part.id}", **common, "type": kind, "value": {key: plain}})
    return regions


def _plain(part: Part, value: Any) -> tuple[str, str, Any]:
    if part.kind in ("choice", "choices"):
        return "choices", "choices", value if isinstance(value, list) else [value]
    if part.kind in ("number", "scale"):
        return "number", "number", value
    return "textarea", "text", [as_text(value)]


def _region(part: Part, mark: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
    shape = part.shape or "point"
    names = {name for name, _ in options_of(part)}
    given = mark.get("class") or NO_CLASS
    x, y = 100 * mark["x"] / width, 100 * mark["y"] / height
    place: dict[str, Any] = {"x": x, "y": y}
    if shape == "circle":
        place |= {"radiusX": 100 * mark["r"] / width, "radiusY": 100 * mark["r"] / height, "rotation": 0}
    elif shape == "box":
        place |= {
            "width": 100 * mark["width"] / width,
            "height": 100 * mark["height"] / height,
            "rotation": 0,
        }
    else:
        place |= {"width": POINT_WIDTH}
    key = REGIONS[shape][1]
    label = _label(part, given if given in names else NO_CLASS)
    return {"type": key, "value": {**place, key: [label]}}


def _label(part: Part, name: str) -> str:
    return name or f"unclassified {part.shape}"


def _config(source: Source) -> Iterator[bytes]:
    """The interface as XML."""
    with source.site.db.connection() as connection:
        first = reads.first_items(connection, source.project.id, 1)
    has_image = any(row["media_ids"] for row in first) or any(part.kind == "marks" for part in source.parts)
    lines = ["<View>"]
    if has_image:
        lines.append(f'  <Image name="{ITEM}" value="$image"/>')
    else:
        lines.append(f'  <Text name="{ITEM}" value="$text"/>')
    for part in source.parts:
        lines += _controls(part)
    yield "\n".join([*lines, "</View>", ""]).encode()


def _controls(part: Part) -> list[str]:
    named = f'name={quoteattr(part.id)} toName="{ITEM}"'
    lines = [f"  <Header value={quoteattr(part.label)}/>"]
    if part.kind == "marks":
        tag = REGIONS[part.shape or "point"][0]
        options = [
            f"    <Label value={quoteattr(_label(part, name))} hint={quoteattr(label)}/>"
            for name, label in options_of(part)
        ]
        return [*lines, f"  <{tag} {named}>", *options, f"  </{tag}>"]
    if part.kind in ("choice", "choices"):
        several = "multiple" if part.kind == "choices" else "single"
        options = [
            f"    <Choice value={quoteattr(name)} hint={quoteattr(label)}/>"
            for name, label in options_of(part)
        ]
        return [*lines, f'  <Choices {named} choice="{several}">', *options, "  </Choices>"]
    if part.kind not in ("number", "scale"):
        return [*lines, f"  <TextArea {named}/>"]
    limits = [
        f' {name}="{limit:g}"' for name, limit in (("min", part.low), ("max", part.high)) if limit is not None
    ]
    return [*lines, f"  <Number {named}{''.join(limits)}/>"]


def _caution(parts: tuple[Part, ...]) -> str:
    """What Label Studio's converter loses."""
    if not any(part.shape == "circle" for part in parts):
        return ""
    return (
        "Label Studio's own converter drops circles when it writes COCO, without a word: take COCO from here."
    )


FORMAT = Format(
    "labelstudio",
    "Label Studio",
    "You go on in Label Studio, or convert by its tools: tasks with everybody's annotations, and its "
    "interface as XML.",
    ".labelstudio.zip",
    "application/zip",
    ("answers",),
    files=files,
    is_archive=True,
    is_packed=True,
    fits=bool,
    caution=_caution,
)
