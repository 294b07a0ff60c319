"""What describes a package to other programs: Data Package, Hugging Face card, Croissant, CITATION.cff."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import microtasks
from microtasks import tasktypes
from microtasks.engine.exports import registry
from microtasks.engine.exports.snapshots import Snapshot
from microtasks.engine.tabular.table import File, to_json
from microtasks.store.tables import Project

PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
#: Licences that may be named (SPDX), with title and address.
LICENCES: dict[str, tuple[str, str]] = {
    "CC0-1.0": ("Creative Commons Zero 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    "CC-BY-4.0": ("Creative Commons Attribution 4.0", "https://creativecommons.org/licenses/by/4.0/"),
    "CC-BY-SA-4.0": (
        "Creative Commons Attribution Share-Alike 4.0",
        "https://creativecommons.org/licenses/by-sa/4.0/",
    ),
    "ODbL-1.0": ("Open Database License 1.0", "https://opendatacommons.org/licenses/odbl/1-0/"),
    "PDDL-1.0": (
        "Public Domain Dedication and License 1.0",
        "https://opendatacommons.org/licenses/pddl/1-0/",
    ),
}
#: What a table's columns are called in a Data Package, and in Croissant.
TYPES = {"json": "object"}
CROISSANT_TYPES = {
    "integer": "sc:Integer",
    "number": "sc:Float",
    "boolean": "sc:Boolean",
    "datetime": "sc:DateTime",
}
#: Formats whose cells a Data Package can describe.
DESCRIBED = ("text/csv", "application/x-ndjson")
#: Files that Hugging Face's `datasets` reads as a table.
LOADED = ("csv", "jsonl", "parquet")


@dataclass(slots=True)
class Written:
    """A file of the package, once it has passed by."""

    file: File
    n_bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """What is described: a project at a snapshot, its files, and the licence that its owner names."""

    project: Project
    snapshot: Snapshot
    files: Sequence[Written]
    licence: str | None

    @property
    def version(self) -> str:
        """Day and snapshot."""
        return f"{self.snapshot.cut.at:%Y.%m.%d}+{self.snapshot.id}"

    @property
    def listed(self) -> list[Written]:
        """The files that are described one by one."""
        return [each for each in self.files if each.file.is_listed]

    @property
    def authors(self) -> str:
        """Who made it: nobody's name is known."""
        return f"Volunteers of {self.project.name}"


def data_package(described: Described, left_out: str) -> dict[str, Any]:
    """datapackage.json (Data Package 2.0). left_out: the ending of files that are no data."""
    project, snapshot = described.project, described.snapshot
    task_type = tasktypes.get(project.task_type)
    package: dict[str, Any] = {
        "$schema": PROFILE,
        "name": project.slug,
        "title": project.name,
        "description": project.purpose,
        "created": f"{snapshot.cut.at:%Y-%m-%dT%H:%M:%SZ}",
        "version": described.version,
        "contributors": [{"title": described.authors, "roles": ["dataCollector"]}],
        "resources": [
            _resource(project, each) for each in described.listed if not each.file.name.endswith(left_out)
        ],
        "microtasks": {
            "snapshot": snapshot.id,
            "snapshot_at": snapshot.facts["at"],
            "last_answer": snapshot.facts["last_answer"],
            "contributor_names": snapshot.facts["contributor_names"],
            "software": f"microtasks {microtasks.__version__}",
            "task_type": project.task_type,
            "reducer": task_type.reducer,
            "method": project.method,
            "redundancy": project.redundancy,
            "answers_min": project.answers_min,
            "stop_rule": project.stop_rule,
            "stop_threshold": project.stop_threshold,
            "gold_share": project.gold_share,
            "config_version": project.config_version,
            "config": project.config,
        },
    }
    if described.licence:
        title, path = LICENCES[described.licence]
        package["licenses"] = [{"name": described.licence, "title": title, "path": path}]
    return package


def _resource(project: Project, written: Written) -> dict[str, Any]:
    file = written.file
    ending = file.name.rsplit(".", 1)[-1]
    resource: dict[str, Any] = {
        "name": _plain_name(file.name.removesuffix(f".{ending}")),
        "path": file.name,
        "format": ending,
        "mediatype": file.mime.split(";")[0],
        "encoding": "utf-8",
        "bytes": written.n_bytes,
        "hash": f"sha256:{written.sha256}",
    }
    if file.columns and file.mime.split(";")[0] in DESCRIBED:
        resource["type"] = "table"
        key = registry.key_of(project, file.table) if file.table in registry.TABLES else ()
        resource["schema"] = {
            "fields": [
                {
                    "name": column.name,
                    "type": TYPES.get(column.type, column.type),
                    "description": column.meaning,
                    **({"unit": column.unit} if column.unit else {}),
                }
                for column in file.columns
            ],
            "missingValues": [""],
            **({"primaryKey": list(key)} if key else {}),
        }
    return resource


def _plain_name(name: str) -> str:
    return name.lower().replace(".", "-").replace("/", "-")


def hugging_face_card(described: Described) -> str:
    """The head of README.md that Hugging Face reads: a configuration a table, for `load_dataset`."""
    lines = ["---", f"pretty_name: {_yaml(described.project.name)}"]
    if described.licence:
        lines.append(f"license: {described.licence.lower()}")
    lines += [f"language: {_yaml(described.project.language)}", "annotations_creators:", "- crowdsourced"]
    configs = _configs(described)
    if configs:
        lines.append("configs:")
    for nth, (name, files) in enumerate(configs):
        lines += [f"- config_name: {_yaml(name)}", f"  data_files: {_yaml(files)}"]
        lines += ["  default: true"] if nth == 0 and len(configs) > 1 else []
    return "\n".join([*lines, "---", ""])


def _configs(described: Described) -> list[tuple[str, str]]:
    """(name, files) of each table, and of the images with their labels."""
    if any(each.file.name.startswith("train/") for each in described.files):
        return [("default", "train/**")]
    tables = [
        (each.file.table, each.file.name)
        for each in described.listed
        if each.file.columns and each.file.name.rsplit(".", 1)[-1] in LOADED
    ]
    return sorted(tables, key=lambda table: table[0] != "consensus")  # the results first


def _yaml(text: str) -> str:
    """A JSON string is a YAML string."""
    return json.dumps(text, ensure_ascii=False)


def croissant(described: Described) -> dict[str, Any]:
    """croissant.json (Croissant 1.0): the files, and a record set for each table in CSV."""
    project = described.project
    tables = [
        each
        for each in described.listed
        if each.file.columns and each.file.mime.startswith("text/csv") and each.file.name.endswith(".csv")
    ]
    document: dict[str, Any] = {
        "@context": CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": project.slug,
        "description": project.purpose or project.name,
        "creator": {"@type": "sc:Organization", "name": described.authors},
        "datePublished": f"{described.snapshot.cut.at:%Y-%m-%d}",
        "version": f"{described.snapshot.cut.at:%Y.%-m.%-d}",
        "citeAs": f"{described.authors}: {project.name}, {described.version}",
        "url": f"urn:microtasks:{project.slug}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": each.file.name,
                "name": each.file.name,
                "contentUrl": each.file.name,
                "encodingFormat": each.file.mime.split(";")[0],
                "contentSize": f"{each.n_bytes} B",
                "sha256": each.sha256,
            }
            for each in described.listed
        ],
        "recordSet": [_record_set(each.file) for each in tables],
    }
    if described.licence:
        document["license"] = LICENCES[described.licence][1]
    return document


def _record_set(file: File) -> dict[str, Any]:
    name = file.table or _plain_name(file.name)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column.name}",
                "name": f"{name}/{column.name}",
                "description": column.meaning or column.name,
                "dataType": CROISSANT_TYPES.get(column.type, "sc:Text"),
                "source": {"fileObject": {"@id": file.name}, "extract": {"column": column.name}},
            }
            for column in file.columns
        ],
    }


def citation(described: Described) -> str:
    """CITATION.cff 1.2.0; a JSON string is a YAML string."""
    lines = {
        "cff-version": "1.2.0",
        "message": "If you use these data, please cite them as below.",
        "type": "dataset",
        "title": described.project.name,
        "version": described.version,
        "date-released": f"{described.snapshot.cut.at:%Y-%m-%d}",
    }
    if described.licence:
        lines["license"] = described.licence
    text = "".join(f"{key}: {to_json(value).decode()}\n" for key, value in lines.items())
    return f"{text}authors:\n  - name: {to_json(described.authors).decode()}\n"


#: The context that Croissant 1.0 prescribes.
CROISSANT_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
