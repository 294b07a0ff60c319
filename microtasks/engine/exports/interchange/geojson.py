"""GeoJSON (RFC 7946): marks as places on a map, by the transform that the owner gave with each image.

The transform is six numbers in a column of the upload, hidden or shown: `world`, the lines of a world file
(A, D, B, E, C, F; its place is the centre of the first pixel), or `geotransform`, as GDAL gives it (its place
is the first pixel's corner). For a tiled image it is the big image's. A column `crs` names the coordinate
system; without one, coordinates are what the transform gives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange import places
from microtasks.engine.exports.interchange.coco import TURNS
from microtasks.engine.exports.interchange.places import Picture, Placed
from microtasks.engine.tabular.table import File, json_list, to_json
from microtasks.store.exports import reads

if TYPE_CHECKING:
    from microtasks.engine.site import Site

WORLD = ("world", "worldfile", "world_file")
GEOTRANSFORM = ("geotransform", "geo_transform", "transform")
CRS = ("crs", "srs", "projection")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Transform:
    """Pixels to the map: X = x0 + x * ax + y * bx, Y = y0 + x * ay + y * by; 0, 0 is the image's corner."""

    x0: float
    ax: float
    bx: float
    y0: float
    ay: float
    by: float

    def place(self, x: float, y: float) -> Point:
        """Where a pixel position lies on the map."""
        return self.x0 + x * self.ax + y * self.bx, self.y0 + x * self.ay + y * self.by

    @property
    def unit(self) -> float:
        """Map units that one pixel measures (square root of the area)."""
        return math.sqrt(abs(self.ax * self.by - self.bx * self.ay))

    @property
    def mirrors(self) -> bool:
        """Does what goes clockwise on the image (y down) go clockwise on the map, too?"""
        return self.ax * self.by - self.bx * self.ay < 0


def transform_of(own: Mapping[str, Any]) -> Transform | None:
    """The transform in the owner's columns; None if there are no six numbers that can be used."""
    columns = {name.casefold(): text for name, text in own.items()}
    for names in (WORLD, GEOTRANSFORM):
        for name in names:
            numbers = [float(number) for number in NUMBER.findall(str(columns.get(name, "")))]
            if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
                continue
            if names is WORLD:
                a, d, b, e, c, f = numbers
                transform = Transform(c - (a + b) / 2, a, b, f - (d + e) / 2, d, e)
            else:
                transform = Transform(*numbers)
            if transform.unit > 0:
                return transform
    return None


def files(source: Source) -> list[File]:
    """One file."""
    return [source.file(f"{source.table}.geojson", "application/geo+json", write(source))]


def lacks(site: Site, project_id: int) -> str:
    """What the project lacks: an image that came with a transform. "" if it has one."""
    with site.db.connection() as connection:
        rows = reads.first_items(connection, project_id)
    if any(transform_of(places.own_columns(row)) for row in rows):
        return ""
    return (
        "GeoJSON needs to know where each image lies on the map: upload the images with a table that has "
        "a column #world (the six numbers of the world file) or #geotransform (the six numbers of GDAL)."
    )


def write(source: Source) -> Iterator[bytes]:
    """Write a feature a mark. One on an image without a transform has no geometry, and says so."""
    crs = _crs(source)
    head: dict[str, Any] = {"type": "FeatureCollection", "name": f"{source.project.slug}-{source.table}"}
    if crs:
        head["crs"] = {"type": "name", "properties": {"name": crs}}
    features = (feature(picture, mark) for picture, marks in places.pictures(source) for mark in marks)
    yield from json_list(features, to_json(head)[:-1] + b',\n"features": [', b"]}")


def feature(picture: Picture, mark: Placed) -> dict[str, Any]:
    """One mark as a feature: a point, or the outline of a circle or box."""
    transform = transform_of(picture.own)
    x, y = picture.x + mark.x, picture.y + mark.y
    properties = {
        "image": picture.name,
        "file_name": picture.file_name,
        "source": picture.source,
        "class": mark.mark_class,
        "x": mark.x,
        "y": mark.y,
        **mark.measures,
        **mark.facts,
    }
    if transform is None:
        properties["problem"] = "The image came without a world file or geotransform."
        return {"type": "Feature", "id": mark.id, "geometry": None, "properties": properties}
    if "r" in mark.measures:
        r = mark.measures["r"]
        properties["radius"] = r * transform.unit
        outline = [(x + r * cos, y + r * sin) for cos, sin in TURNS]
    elif "width" in mark.measures:
        right, below = x + mark.measures["width"], y + mark.measures["height"]
        outline = [(x, y), (right, y), (right, below), (x, below)]
    else:
        point = {"type": "Point", "coordinates": transform.place(x, y)}
        return {"type": "Feature", "id": mark.id, "geometry": point, "properties": properties}
    ring = [transform.place(*corner) for corner in outline]
    if transform.mirrors:
        ring.reverse()  # outer rings go counterclockwise
    shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return {"type": "Feature", "id": mark.id, "geometry": shape, "properties": properties}


def _crs(source: Source) -> str | None:
    """The coordinate system that the first task with one names."""
    with source.site.db.connection() as connection:
        rows = reads.first_items(connection, source.project.id)
    for row in rows:
        for name, text in places.own_columns(row).items():
            if name.casefold() in CRS and text:
                return str(text)
    return None


FORMAT = Format(
    "geojson",
    "GeoJSON: maps",
    "Your images lie on a map (a column #world or #geotransform), and you look at marks in QGIS or ArcGIS.",
    ".geojson",
    "application/geo+json",
    places.TABLES,
    files=files,
    fits=places.asks_for_marks,
    lacks=lacks,
)
