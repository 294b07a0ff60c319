"""A package: exported files with all that a stranger needs to use, check and cite them.

Data, the code book, `datapackage.json` (Data Package 2.0: types, sizes, hashes, keys), `croissant.json`,
README.md, CITATION.cff and SHA256SUMS. Nothing is kept: each file's hash and size are taken while its bytes
pass by, so every file must be read to its end before the next one is asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from microtasks.core.errors import InputError
from microtasks.engine.exports import download, project_file, registry, snapshots
from microtasks.engine.exports.descriptions import (
    LICENCES,
    Described,
    Written,
    citation,
    croissant,
    data_package,
    hugging_face_card,
)
from microtasks.engine.exports.format import Options
from microtasks.engine.exports.snapshots import Snapshot, View
from microtasks.engine.site import Site
from microtasks.engine.tabular import csv_format
from microtasks.engine.tabular.table import File
from microtasks.store.tables import Project


def whole(
    site: Site,
    project: Project,
    format: str = "csv",
    *,
    options: Options | None = None,
    snapshot: Snapshot | None = None,
    with_gold: bool = False,
) -> Iterator[File]:
    """Every table that the project has and the format can give, all of one state: for a package of all.

    With them the file from which the project can be made again. with_gold: known answers are in that file.
    Errors: InputError at once for a format that does not fit.
    """
    chosen, _ = registry.check(site, project, None, format)
    view = View(site, project, snapshot or snapshots.take(site, project))
    specs = [spec for spec in registry.tables_of(view) if not chosen.tables or spec.name in chosen.tables]
    if chosen.is_archive:
        specs = specs[:1]  # its files have the same names whatever their table

    def files() -> Iterator[File]:
        names: set[str] = set()
        for spec in specs:
            for file in download.written(view, spec, chosen, options or Options()):
                if file.name not in names:  # an image that several tables are about
                    names.add(file.name)
                    yield file
        yield project_file.file(view, with_gold=with_gold)

    return files()


def check_licence(licence: str | None) -> None:
    """Refuse a licence that is not known. Errors: InputError."""
    if licence and licence not in LICENCES:
        raise InputError(f"The licence {licence!r} is not known. There are: {', '.join(LICENCES)}.")


def package(
    site: Site, project: Project, files: Iterable[File], licence: str | None = None, *, snapshot: Snapshot
) -> Iterator[File]:
    """These files, all of this snapshot, then those that describe them. Errors: InputError (licence)."""
    check_licence(licence)
    return _package(View(site, project, snapshot), files, licence)


def _package(view: View, files: Iterable[File], licence: str | None) -> Iterator[File]:
    project, passed = view.project, list[Written]()
    code_book = File(f"{project.slug}-columns.csv", csv_format.MIME, registry.code_book_csv(view))
    for file in (each for part in (files, [code_book]) for each in part):
        yield _watched(file, passed)
    described = Described(project, view.snapshot, tuple(passed), licence)
    descriptor = data_package(described, project_file.SUFFIX)
    texts = (
        ("datapackage.json", "application/json", _pretty(descriptor)),
        ("croissant.json", "application/ld+json", _pretty(croissant(described))),
        ("README.md", "text/markdown", _readme(described, descriptor)),
        ("CITATION.cff", "text/yaml", citation(described)),
    )
    own = {each.file.name for each in passed}
    for name, mime, text in texts:
        if name not in own:  # a format has its own description by that name, as Camtrap DP has
            yield _watched(File(name, mime, iter([text.encode()])), passed)
    sums = "".join(f"{each.sha256}  {each.file.name}\n" for each in passed)
    yield File("SHA256SUMS", "text/plain", iter([sums.encode()]))


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _watched(file: File, passed: list[Written]) -> File:
    """The same file, noted in `passed` once it was read."""

    def chunks() -> Iterator[bytes]:
        digest, n_bytes = hashlib.sha256(), 0
        for chunk in file.chunks:
            digest.update(chunk)
            n_bytes += len(chunk)
            yield chunk
        # Without what it is made from: that could hold much.
        passed.append(Written(replace(file, chunks=iter(())), n_bytes, digest.hexdigest()))

    return replace(file, chunks=chunks())


def _readme(described: Described, package: dict[str, Any]) -> str:
    """What a person reads first, under what Hugging Face does."""
    project, facts, licences = described.project, package["microtasks"], package.get("licenses")
    licence = (
        f"{licences[0]['title']} ({licences[0]['path']})" if licences else "none was named; ask the owner."
    )
    files = "\n".join(
        f"| `{each.file.name}` | {_about(each.file)} | {each.n_bytes:,} |" for each in described.listed
    )
    others = [each for each in described.files if not each.file.is_listed]
    if others:
        size = sum(each.n_bytes for each in others)
        files += (
            f"\n| {len(others):,} more files | Images, and the files that belong to one each. | {size:,} |"
        )
    return f"""{hugging_face_card(described)}
# {project.name}

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
- For other programs: `datasets.load_dataset("FOLDER", "consensus")` of Hugging Face reads it by the head of
  this file, and `croissant.json` describes it in Croissant 1.0.
"""


def _about(file: File) -> str:
    spec = registry.TABLES.get(file.table)
    if spec is not None:
        return spec.use
    if file.name.endswith(project_file.SUFFIX):
        return "The project itself, to make it again: New project, From a package."
    return "What each column means." if file.name.endswith("-columns.csv") else file.mime.split(";")[0]
