"""Camtrap DP 1.0.1: what camera traps saw, as observations of the owner's media and deployments.

Needs the columns `deploymentID` and `timestamp` of a Camtrap DP's own media table, which the upload had. With
`latitude` and `longitude` too the package is whole; else its observations go into the package that the images
came from. What is chosen is a taxon, by its label ("Red fox (Vulpes vulpes)": the name in brackets).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from microtasks.core.values import Column, Part
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange.own_columns import OwnColumns, has_columns, taxon
from microtasks.engine.tabular.csv_format import MIME, Dialect, write_csv
from microtasks.engine.tabular.table import File, Table, iso
from microtasks.store.exports import reads

VERSION = "1.0.1"
BASE = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}"
PROFILE = f"{BASE}/camtrap-dp-profile.json"
#: What a label or id says that is no taxon.
KINDS = {
    "blank": ("blank", "empty", "nothing", "none", "no animal", "no_animal"),
    "human": ("human", "humans", "person", "people", "homo sapiens"),
    "vehicle": ("vehicle", "vehicles", "car"),
    "unknown": ("unknown", "other", "something else", "cant_tell", "unidentified"),
}
OBSERVATIONS = (
    "observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,observationLevel,observationType,"
    "cameraSetupType,scientificName,count,lifeStage,sex,behavior,individualID,individualPositionRadius,"
    "individualPositionAngle,individualSpeed,bboxX,bboxY,bboxWidth,bboxHeight,classificationMethod,"
    "classifiedBy,classificationTimestamp,classificationProbability,observationTags,observationComments"
)
MEDIA = (
    "mediaID,deploymentID,captureMethod,timestamp,filePath,filePublic,fileName,fileMediatype,exifData,"
    "favorite,mediaComments"
)
DEPLOYMENTS = (
    "deploymentID,locationID,locationName,latitude,longitude,coordinateUncertainty,deploymentStart,"
    "deploymentEnd,setupBy,cameraID,cameraModel,cameraDelay,cameraHeight,cameraDepth,cameraTilt,"
    "cameraHeading,detectionDistance,timestampIssues,baitUse,featureType,habitat,deploymentGroups,"
    "deploymentTags,deploymentComments"
)
_DEPLOYMENT_ID = ("deploymentID", "deployment_id")
_TIMESTAMP = ("timestamp", "eventStart", "dateTimeOriginal", "datetime")
#: Parts of a second, which Camtrap DP does not know.
_FRACTION = re.compile(r"(?<=:\d\d)[.,]\d+")
_LATITUDE, _LONGITUDE = ("latitude", "decimalLatitude"), ("longitude", "decimalLongitude")


@dataclass(slots=True)
class _Deployment:
    """Where a camera stood, and from its first to its last image."""

    latitude: str
    longitude: str
    start: str
    end: str


class _Package:
    """What is gathered while the observations are written: the deployments and the taxa."""

    def __init__(self) -> None:
        self.deployments: dict[str, _Deployment] = {}
        self.taxa: dict[str, None] = {}

    def note(self, deployment: str, own: OwnColumns, at: str) -> None:
        """An image of this deployment was taken at this time."""
        known = self.deployments.setdefault(
            deployment, _Deployment(own.get(*_LATITUDE), own.get(*_LONGITUDE), at, at)
        )
        known.start, known.end = min(known.start, at), max(known.end, at)


def files(source: Source) -> Iterator[File]:
    """Observations and media; deployments and datapackage.json too where the images came with places."""
    package = _Package()
    yield _table(source, "observations", OBSERVATIONS, _observations(source, package))
    yield _table(source, "media", MEDIA, _media(source))
    if all(one.latitude and one.longitude for one in package.deployments.values()) and package.deployments:
        yield _table(source, "deployments", DEPLOYMENTS, _deployments(package))
        described = json.dumps(_descriptor(source, package), ensure_ascii=False, indent=2)
        yield File("datapackage.json", "application/json", iter([described.encode()]))


def _table(source: Source, name: str, names: str, rows: Iterator[dict[str, Any]]) -> File:
    columns = tuple(Column(column, "string", "") for column in names.split(","))
    cells = (tuple(row.get(column.name) for column in columns) for row in rows)
    # Raw: a reader of Camtrap DP takes no apostrophes away, and its longitudes begin with a minus.
    return File(f"{name}.csv", MIME, write_csv(Table(columns, cells), Dialect(raw=True)))


def _observations(source: Source, package: _Package) -> Iterator[dict[str, Any]]:
    part = _taxa_of(source.parts)
    labels = dict(part.options)
    for row in source.view.walk(reads.items, "task_id"):
        own = OwnColumns(row)
        deployment, at = own.get(*_DEPLOYMENT_ID), _time(own)
        if not deployment or not at or row["value"] is None:
            continue
        package.note(deployment, own, at)
        given = part.answered(row["value"])
        chosen = given if isinstance(given, list) else [] if given is None else [given]
        for nth, option in enumerate(chosen or [""]):
            label = labels.get(option, str(option))
            kind = _kind(str(option), label) if option != "" else "blank"
            name = taxon(label) if kind == "animal" else ""
            if name:
                package.taxa[name] = None
            yield {
                "observationID": f"{row['task_id']}-{nth}",
                "deploymentID": deployment,
                "mediaID": own.get("mediaID", "media_id") or row["external_id"],
                "eventStart": own.get("eventStart") or at,
                "eventEnd": own.get("eventEnd") or at,
                "observationLevel": "media",
                "observationType": kind,
                "scientificName": name,
                "classificationMethod": "human",
                "classifiedBy": f"volunteers of {source.project.name}",
                "classificationTimestamp": f"{source.view.snapshot.cut.at:%Y-%m-%dT%H:%M:%SZ}",
                "classificationProbability": row["confidence"],
                "observationTags": f"agreement:{row['agreement']:.3f}",
            }


def _media(source: Source) -> Iterator[dict[str, Any]]:
    for row in source.view.walk(reads.items, "task_id"):
        own = OwnColumns(row)
        deployment, at = own.get(*_DEPLOYMENT_ID), _time(own)
        if deployment and at:
            name = row["file_name"] or row["external_id"]
            yield {
                "mediaID": own.get("mediaID", "media_id") or row["external_id"],
                "deploymentID": deployment,
                "captureMethod": own.get("captureMethod"),
                "timestamp": at,
                "filePath": own.get("filePath", "file_path") or name,
                "filePublic": own.get("filePublic") or "false",
                "fileName": own.get("fileName") or name,
                "fileMediatype": own.get("fileMediatype") or row["mime"] or "image/jpeg",
            }


def _deployments(package: _Package) -> Iterator[dict[str, Any]]:
    for name, one in package.deployments.items():
        yield {
            "deploymentID": name,
            "latitude": one.latitude,
            "longitude": one.longitude,
            "deploymentStart": one.start,
            "deploymentEnd": one.end,
        }


def _descriptor(source: Source, package: _Package) -> dict[str, Any]:
    places = list(package.deployments.values())
    tables = ("deployments", "media", "observations")
    return {
        "resources": [
            {
                "name": name,
                "path": f"{name}.csv",
                "profile": "tabular-data-resource",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "schema": f"{BASE}/{name}-table-schema.json",
            }
            for name in tables
        ],
        "profile": PROFILE,
        "name": source.project.slug,
        "title": source.project.name,
        "description": source.project.purpose or source.project.name,
        "created": iso(source.view.snapshot.cut.at),
        "contributors": [{"title": f"Volunteers of {source.project.name}", "role": "contributor"}],
        "project": {
            "title": source.project.name,
            "samplingDesign": "opportunistic",
            "captureMethod": ["activityDetection"],
            "individualAnimals": False,
            "observationLevel": ["media"],
        },
        "spatial": _box(places),
        "temporal": {
            "start": min(one.start for one in places)[:10],
            "end": max(one.end for one in places)[:10],
        },
        "taxonomic": [{"scientificName": name} for name in package.taxa],
    }


def _box(places: list[_Deployment]) -> dict[str, Any]:
    """The smallest box around all places, as GeoJSON."""
    try:
        x = [float(one.longitude) for one in places]
        y = [float(one.latitude) for one in places]
    except ValueError:
        return {"type": "Point", "coordinates": [0, 0]}
    left, right, bottom, top = min(x), max(x), min(y), max(y)
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    return {"type": "Polygon", "coordinates": [ring]}


def _time(own: OwnColumns) -> str:
    """When the image was taken, with a zone as Camtrap DP wants it; UTC where the column has none."""
    given = _FRACTION.sub("", own.get(*_TIMESTAMP).strip().replace(" ", "T", 1))
    if not given:
        return ""
    given = given if len(given) > 10 else f"{given}T00:00:00"
    return given if given[-1:] in "zZ" or "+" in given[10:] or "-" in given[10:] else f"{given}Z"


def _kind(option: str, label: str) -> str:
    names = {option.casefold().strip(), label.casefold().strip()}
    return next((kind for kind, listed in KINDS.items() if names & set(listed)), "animal")


def _taxa_of(parts: tuple[Part, ...]) -> Part:
    return next(part for part in parts if part.kind in ("choice", "choices"))


def has_taxa(parts: tuple[Part, ...]) -> bool:
    """Is something chosen, such as a species?"""
    return any(part.kind in ("choice", "choices") for part in parts)


def _lacks(site: Any, project_id: int) -> str:
    if has_columns(site, project_id, (_DEPLOYMENT_ID, _TIMESTAMP)):
        return ""
    return (
        "Camtrap DP needs to know which camera took each image, and when: upload the images with a table "
        "that has the columns deploymentID and timestamp."
    )


FORMAT = Format(
    "camtrapdp",
    "Camtrap DP: camera traps",
    "Your images are from camera traps: observations as the Camera Trap Data Package has them.",
    ".camtrapdp.zip",
    "application/zip",
    ("consensus",),
    files=files,
    is_archive=True,
    is_packed=True,
    fits=has_taxa,
    lacks=_lacks,
)
