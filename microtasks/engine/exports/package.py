"""A package: exported files with all that a stranger needs to use, check and cite them.

Data, the code book, `datapackage.json` (Data Package 2.0: types, sizes, hashes, keys), README.md,
CITATION.cff and SHA256SUMS. Nothing is kept: each file's hash and size are taken while its bytes pass by, so
every file must be read to its end before the next one is asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import microtasks
from microtasks import tasktypes
from microtasks.core.errors import InputError
from microtasks.engine.exports import project_file, snapshots
from microtasks.engine.exports import tables as export_tables
from microtasks.engine.exports.snapshots import Snapshot, View
from microtasks.engine.site import Site
from microtasks.engine.tabular.formats import CSV, File, to_json
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
#: What a table's columns are called in a Data Package.
TYPES = {"json": "object"}
#: Formats whose cells a Data Package can describe.
DESCRIBED = ("text/csv", "application/x-ndjson")


@dataclass(slots=True)
class _Written:
    """A file that has passed by."""

    file: File
    n_bytes: int = 0
    sha256: str = ""


def whole(
    site: Site,
    project: Project,
    format: str = "csv",
    *,
    raw: bool = False,
    snapshot: Snapshot | None = None,
    with_gold: bool = False,
) -> list[File]:
    """Every table that the project has and the format can give, all of one state: for a package of all.

    With them the file from which the project can be made again. with_gold: known answers are in that file.
    """
    snapshot = snapshot or snapshots.take(site, project)
    given = export_tables.FORMATS[format].whats if format in export_tables.FORMATS else ()
    tables = [
        file
        for what in export_tables.whats(site, project)
        if not given or what.name in given
        for file in export_tables.files(site, project, what.name, format, raw=raw, snapshot=snapshot)
    ]
    return [*tables, project_file.file(View(site, project, snapshot), with_gold=with_gold)]


def check_licence(licence: str | None) -> None:
    """Refuse a licence that is not known. Errors: InputError."""
    if licence and licence not in LICENCES:
        raise InputError(f"The licence {licence!r} is not known. There are: {', '.join(LICENCES)}.")


def package(
    site: Site, project: Project, files: Iterable[File], licence: str | None = None, *, snapshot: Snapshot
) -> Iterator[File]:
    """These files, all of this snapshot, then those that describe them. Errors: InputError (licence)."""
    check_licence(licence)
    return _package(site, project, files, licence, snapshot)


def _package(
    site: Site, project: Project, files: Iterable[File], licence: str | None, snapshot: Snapshot
) -> Iterator[File]:
    now = snapshot.cut.at
    passed: list[_Written] = []
    columns = _file(project, "columns.csv", CSV, export_tables.code_book_csv(site, project))
    for file in (*files, columns):
        yield _watched(file, passed)
    described = _descriptor(project, passed, licence, snapshot)
    texts = (
        ("datapackage.json", "application/json", json.dumps(described, ensure_ascii=False, indent=2) + "\n"),
        ("README.md", "text/markdown", _readme(project, described, passed)),
        ("CITATION.cff", "text/yaml", _citation(project, described, licence, now)),
    )
    for name, mime, text in texts:
        yield _watched(File(name, mime, iter([text.encode()])), passed)
    sums = "".join(f"{one.sha256}  {one.file.name}\n" for one in passed)
    yield File("SHA256SUMS", "text/plain", iter([sums.encode()]))


def _file(project: Project, suffix: str, mime: str, content: bytes) -> File:
    return File(f"{project.slug}-{suffix}", mime, iter([content]))


def _watched(file: File, passed: list[_Written]) -> File:
    """The same file, noted in `passed` once it was read."""

    def chunks() -> Iterator[bytes]:
        digest, n_bytes = hashlib.sha256(), 0
        for chunk in file.chunks:
            digest.update(chunk)
            n_bytes += len(chunk)
            yield chunk
        passed.append(_Written(file, n_bytes, digest.hexdigest()))

    return replace(file, chunks=chunks())


def _descriptor(
    project: Project, passed: list[_Written], licence: str | None, snapshot: Snapshot
) -> dict[str, Any]:
    now, facts = snapshot.cut.at, snapshot.facts
    task_type = tasktypes.get(project.task_type)
    described: dict[str, Any] = {
        "$schema": PROFILE,
        "name": project.slug,
        "title": project.name,
        "description": project.purpose,
        "created": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "version": f"{now:%Y.%m.%d}+{snapshot.id}",
        "contributors": [{"title": f"Volunteers of {project.name}", "roles": ["dataCollector"]}],
        "resources": [
            _resource(project, one) for one in passed if not one.file.name.endswith(project_file.SUFFIX)
        ],
        "microtasks": {
            "snapshot": snapshot.id,
            "snapshot_at": facts["at"],
            "last_answer": facts["last_answer"],
            "contributor_names": facts["contributor_names"],
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
    if licence:
        title, path = LICENCES[licence]
        described["licenses"] = [{"name": licence, "title": title, "path": path}]
    return described


def _resource(project: Project, one: _Written) -> dict[str, Any]:
    file = one.file
    ending = file.name.rsplit(".", 1)[-1]
    found: dict[str, Any] = {
        "name": file.name.removesuffix(f".{ending}").lower().replace(".", "-"),
        "path": file.name,
        "format": ending,
        "mediatype": file.mime.split(";")[0],
        "encoding": "utf-8",
        "bytes": one.n_bytes,
        "hash": f"sha256:{one.sha256}",
    }
    if file.columns and file.mime.split(";")[0] in DESCRIBED:
        found["type"] = "table"
        key = export_tables.key_of(project, file.table)
        found["schema"] = {
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
    return found


def _readme(project: Project, described: dict[str, Any], passed: list[_Written]) -> str:
    """What a person reads first."""
    facts = described["microtasks"]
    licences = described.get("licenses")
    licence = (
        f"{licences[0]['title']} ({licences[0]['path']})" if licences else "none was named; ask the owner."
    )
    files = "\n".join(f"| `{one.file.name}` | {_about(one.file)} | {one.n_bytes:,} |" for one in passed)
    return f"""# {project.name}

{project.purpose}

Answers of volunteers, and what they add up to, exported by {facts["software"]}.

| File | Holds | Bytes |
|---|---|---|
{files}

- Snapshot: `{facts["snapshot"]}`, the project at {facts["snapshot_at"]}: all files hold the answers up to
  number {facts["last_answer"]} of the site, and nothing that came in while they were written.
- Licence: {licence}
- Task type {facts["task_type"]}, reducer {facts["reducer"]}, method {facts["method"]}; at most
  {facts["redundancy"]} answers a task, rule of stopping: {facts["stop_rule"]}.
- Every column is explained in `{project.slug}-columns.csv` and in `datapackage.json` (Data Package 2.0),
  which also holds types, keys, the whole configuration, and each file's SHA-256. To check the files:
  `sha256sum -c SHA256SUMS`.
- Times are UTC in ISO 8601. Contributors are pseudonyms, {facts["contributor_names"]}: the same person has
  the same one in all files here. In CSV, a text that a spreadsheet would run as a formula has an apostrophe
  in front.
"""


def _about(file: File) -> str:
    what = export_tables.WHATS.get(file.table)
    if what is not None:
        return what.use
    if file.name.endswith(project_file.SUFFIX):
        return "The project itself, to make it again: New project, From a package."
    return "What each column means." if file.name.endswith("-columns.csv") else file.mime.split(";")[0]


def _citation(project: Project, described: dict[str, Any], licence: str | None, now: datetime) -> str:
    """CITATION.cff 1.2.0; a JSON string is a YAML string."""
    lines = {
        "cff-version": "1.2.0",
        "message": "If you use these data, please cite them as below.",
        "type": "dataset",
        "title": project.name,
        "version": described["version"],
        "date-released": f"{now:%Y-%m-%d}",
    }
    if licence:
        lines["license"] = licence
    text = "".join(f"{key}: {to_json(value).decode()}\n" for key, value in lines.items())
    authors = f"Volunteers of {project.name}"
    return f"{text}authors:\n  - name: {to_json(authors).decode()}\n"
