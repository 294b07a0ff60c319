"""Exports in the forms of other tools: each module gives `FORMAT`, made of what a task type says it asks."""

from __future__ import annotations

from microtasks.engine.exports.interchange import coco, geojson, labelstudio, zooniverse
from microtasks.engine.tabular.formats import Format

TOOLS: tuple[Format, ...] = (zooniverse.FORMAT, labelstudio.FORMAT, coco.FORMAT, geojson.FORMAT)
