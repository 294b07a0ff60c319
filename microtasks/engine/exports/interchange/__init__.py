"""Exports in the forms of other tools: each module gives its formats, made of what a task type asks."""

from __future__ import annotations

from microtasks.engine.exports.format import Format
from microtasks.engine.exports.interchange import (
    camtrap,
    coco,
    darwin_core,
    geojson,
    iiif,
    image_folder,
    labelstudio,
    tei,
    yolo,
    zooniverse,
)

TOOLS: tuple[Format, ...] = (
    zooniverse.FORMAT,
    labelstudio.FORMAT,
    coco.FORMAT,
    yolo.FORMAT,
    *image_folder.FORMATS,
    geojson.FORMAT,
    tei.FORMAT,
    iiif.FORMAT,
    camtrap.FORMAT,
    darwin_core.FORMAT,
)
