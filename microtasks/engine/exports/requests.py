"""Exports as jobs: asked for, written in the background as one file, downloaded when ready, kept for days.

Streamed downloads, written while they are read, are in `download`; packages in `package`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import microtasks
from microtasks.core.errors import Conflict, InputError, MicrotasksError, NotFound, TooMany
from microtasks.engine import audit
from microtasks.engine.exports import download, package, registry, snapshots
from microtasks.engine.exports.format import Options
from microtasks.engine.exports.snapshots import View
from microtasks.engine.job_handle import JobLost, Running
from microtasks.engine.site import Site
from microtasks.engine.tabular import archive
from microtasks.engine.tabular.table import File, iso_or_none
from microtasks.store import jobs
from microtasks.store.db import Connection
from microtasks.store.exports import requests as export_requests
from microtasks.store.files import Folders
from microtasks.store.projects import projects
from microtasks.store.tables import Export, Project

log = logging.getLogger(__name__)

#: Exports of one project that may wait or run at the same time.
WAITING_MAX = 5
#: How often a running export says how far it is.
TELL_SECONDS = 1.0
GIVEN_UP = (
    "The export broke off several times. Please ask for it again; if it fails again, tell the operator."
)


@dataclass(frozen=True, slots=True)
class Download:
    """The file of an export that is done. chunks: its bytes, as they are stored."""

    name: str
    mime: str
    n_bytes: int
    sha256: str
    chunks: Iterator[bytes]


def request(
    site: Site,
    project: Project,
    *,
    what: str = "all",
    format: str = "csv",
    licence: str = "",
    compress: str = "",
    raw: bool = False,
    images: bool = False,
    language: str = "",
    same_names: bool = False,
    gold: bool = False,
    account_id: int | None = None,
) -> Export:
    """Ask for an export; a worker writes it. Return its row, with its id.

    what: a table (`registry.TABLES`), or "all": a package of every table, of Excel one workbook. compress:
    "", "gzip" or "zstd". raw, images, language: see `format.Options`. same_names: contributors have the names
    that they have in every export made so; otherwise they have new ones in each. gold: a package holds known
    answers too, for who may know them. Errors: InputError for what cannot be given, TooMany while too many
    wait.

    1. Refuse what cannot be given. 2. Note it, with its job and in the log. 3. Ring.
    """
    is_package = what == "all"
    options = Options(raw=raw, images=images, language=language or "en")
    registry.check(site, project, None if is_package else what, format)
    if images and not registry.FORMATS[format].takes_images:
        raise InputError(f"The format {format} holds no images.")
    package.check_licence(licence)
    archive.check_compression(compress)
    if compress and (is_package or registry.FORMATS[format].packs(options)):
        raise InputError("This file is compressed already: leave the compression away.")
    parameters = {"licence": licence, "compress": compress, "raw": raw, "same_names": same_names}
    optional = {"gold": gold, "images": images, "language": language}
    parameters |= {name: value for name, value in optional.items() if value}
    with site.db.connection() as connection:
        if export_requests.n_waiting(connection, project.id) >= WAITING_MAX:
            raise TooMany("Several exports of this project are waiting already. Please wait for one of them.")
        export_id = export_requests.add(connection, project.id, account_id, what, format, parameters)
        audit.note(connection, account_id, project.id, "export.request", what=what, format=format)
        job_id = jobs.add(connection, "export", export_id)
    site.bell.ring(job_id)
    return get(site, project, export_id, may_know_gold=gold)


def get(site: Site, project: Project, export_id: int, *, may_know_gold: bool) -> Export:
    """One export of this project. may_know_gold: is who asks allowed to know known answers now?

    Errors: NotFound, also for another project's, and for one with known answers where they may not.
    """
    with site.db.session() as session:
        export = export_requests.get(session, project.id, export_id)
    if export is None or (export.parameters.get("gold") and not may_know_gold):
        raise NotFound("There is no such export.")
    return export


def listed(
    site: Site, project: Project, before: int | None = None, limit: int = 20, *, may_know_gold: bool
) -> Sequence[Export]:
    """The project's exports, newest first, without those that `get` does not give.

    before: only those with a smaller id (the next page).
    """
    with site.db.session() as session:
        return export_requests.listed(session, project.id, before, limit, with_gold=may_know_gold)


def open(
    site: Site, project: Project, export_id: int, *, may_know_gold: bool, by: int | None = None
) -> Download:
    """Open the file of an export, and note that an account took it.

    Errors: those of `get`; Conflict while it is not ready, or is no longer kept.
    """
    export = get(site, project, export_id, may_know_gold=may_know_gold)
    if export.state == "expired":
        raise Conflict("The file of this export is no longer kept. Please ask for a new one.")
    if export.state != "done" or export.n_bytes is None or export.sha256 is None:
        raise Conflict(
            "This export is not ready yet." if export.state != "failed" else export.error or GIVEN_UP
        )
    chunks = folders(site).read(export.folder, export.name)
    if by is not None:
        note_download(site, project, by, export.what, export.format, export_id)
    return Download(export.name, _mime(export), export.n_bytes, export.sha256, chunks)


def note_download(
    site: Site, project: Project, account_id: int, what: str, format: str, export_id: int | None = None
) -> None:
    """Note in the audit log who takes which results: a file streamed now, or that of an export."""
    with site.db.connection() as connection:
        facts = {"what": what, "format": format, "export": export_id}
        audit.note(connection, account_id, project.id, "export.download", **facts)


def facts(export: Export) -> dict[str, Any]:
    """What an export's row says, as plain JSON for the page's script, the API and the command line.

    id, state, what, format, parameters, snapshot, software, progress (0..1, None: not known), rows, name,
    bytes, sha256, error, created_at, finished_at (ISO 8601, UTC).
    """
    share = 1.0 if export.state in ("done", "expired") else None
    if export.state == "running" and export.n_rows:
        share = round(min(0.99, export.rows_done / export.n_rows), 4)
    return {
        "id": export.id,
        "state": export.state,
        "what": export.what,
        "format": export.format,
        "parameters": export.parameters,
        "snapshot": export.snapshot,
        "software": export.software,
        "progress": share,
        "rows": export.rows_done,
        "name": export.name,
        "bytes": export.n_bytes,
        "sha256": export.sha256,
        "error": export.error,
        "created_at": iso_or_none(export.created_at),
        "finished_at": iso_or_none(export.finished_at),
    }


def run(site: Site, export_id: int, job: Running) -> None:
    """Write the file (job `export`). Nothing to do where it is done, or its project is gone.

    1. Take the snapshot. 2. Write the file under a random name, saying how far it is. 3. Hand it to all
    hosts. 4. Note name, size and checksum in the row. An attempt that is over leaves its file to `drop_old`.
    """
    with site.db.session() as session:
        export = export_requests.get(session, None, export_id)
        if export is None or export.state not in ("queued", "running"):
            return
        project = projects.get(session, export.project_id)
    keep = folders(site)
    folder = secrets.token_hex(16)
    try:
        snapshot = snapshots.take(site, project, same_names=bool(export.parameters.get("same_names")))
        with site.db.connection() as connection:
            _hold(job, connection)
            total = _expected(export, export_requests.n_keys(connection, export.project_id))
            export_requests.write(
                connection,
                export_id,
                state="running",
                snapshot=snapshot.facts,
                software=f"microtasks {microtasks.__version__}",
                n_rows=total,
                rows_done=0,
                folder=folder,
            )
        progress = _Progress(site, export_id, job)
        file = _file(site, project, export, snapshot.counted_by(progress))
        keep.path(folder).mkdir(parents=True)
        n_bytes, sha256 = _write(keep.path(folder) / file.name, file, progress)
        keep.keep(folder)
    except MicrotasksError as error:
        if not isinstance(error, InputError | NotFound):
            raise
        with site.db.connection() as connection:  # no other try would be better
            _hold(job, connection)
            export_requests.fail(connection, export_id, error.message)
        return
    with site.db.connection() as connection:
        _hold(job, connection)
        export_requests.write(
            connection,
            export_id,
            state="done",
            rows_done=progress.n_rows,
            name=file.name,
            n_bytes=n_bytes,
            sha256=sha256,
            finished_at=datetime.now(UTC),
        )


def drop_old(site: Site) -> int:
    """Throw away files that are older than the setting `export_days` (clock); return how many.

    1. Those of old exports, row after row. 2. What a worker that died has left, a day after.
    """
    keep = folders(site)
    with site.db.connection() as connection:
        old = export_requests.old(connection, site.settings.export_days)
    for export_id, folder in old:
        with site.db.connection() as connection:
            export_requests.expire(connection, export_id)
        keep.drop(folder)
    with site.db.connection() as connection:
        known = export_requests.folders(connection)
    left = keep.older(24 * 3600) - known
    for folder in left:
        keep.drop(folder)
    return len(old) + len(left)


def folders(site: Site) -> Folders:
    """Where files of exports are kept."""
    return Folders(site.settings.data / "exports", site.uploads.bucket)


def _hold(job: Running, connection: Connection) -> None:
    """Begin a transaction of the job: JobLost unless it is still ours.

    Unlike `job.hold` this does not say that the job got on: an export that breaks off begins anew, and one
    that always does must be given up.
    """
    if not jobs.beat(connection, job.claim):
        raise JobLost


class _Progress:
    """Counts what was read, and says it in the export's row now and then."""

    def __init__(self, site: Site, export_id: int, job: Running) -> None:
        self.site, self.export_id, self.job = site, export_id, job
        self.n_rows = 0
        self.next = time.monotonic() + TELL_SECONDS

    def __call__(self, n_rows: int) -> None:
        self.n_rows += n_rows
        self.tell()

    def tell(self) -> None:
        """Errors: JobLost, JobStopped: then what was written is thrown away, and all is written anew."""
        if time.monotonic() < self.next:
            return
        self.job.check_stop()
        with self.site.db.connection() as connection:
            _hold(self.job, connection)
            export_requests.write(connection, self.export_id, rows_done=self.n_rows)
        self.next = time.monotonic() + TELL_SECONDS


def _file(site: Site, project: Project, export: Export, snapshot: snapshots.Snapshot) -> File:
    """The one file of an export."""
    parameters = export.parameters
    options = _options(export)
    if export.what == "all" and export.format == "xlsx":
        return download.workbook(View(site, project, snapshot))
    if export.what == "all":
        gold = bool(parameters.get("gold"))
        files: Iterable[File] = package.whole(
            site, project, export.format, options=options, snapshot=snapshot, with_gold=gold
        )
    else:
        files = download.files(site, project, export.what, export.format, options=options, snapshot=snapshot)
        if not registry.FORMATS[export.format].in_zip(options):
            return archive.compressed(next(iter(files)), parameters.get("compress") or "")
    whole = package.package(site, project, files, parameters.get("licence") or None, snapshot=snapshot)
    ending = "" if export.what == "all" and export.format == "csv" else f"-{export.format}"
    return File(f"{project.slug}{ending}.zip", archive.ZIP_MIME, archive.zipped(whole, snapshot.cut.at))


def _options(export: Export) -> Options:
    return Options(
        raw=bool(export.parameters.get("raw")),
        images=bool(export.parameters.get("images")),
        language=export.parameters.get("language") or "en",
    )


def _write(path: Path, file: File, progress: _Progress) -> tuple[int, str]:
    """Write the file; return its size and its SHA-256."""
    digest, n_bytes = hashlib.sha256(), 0
    with path.open("wb") as target:
        for chunk in file.chunks:
            target.write(chunk)
            digest.update(chunk)
            n_bytes += len(chunk)
            progress.tell()
        target.flush()
        os.fsync(target.fileno())
    return n_bytes, digest.hexdigest()


def _expected(export: Export, there: dict[str, int]) -> int | None:
    """About how many keys will be read, where that can be told."""
    by_answer, by_task = there["answers"], there["tasks"]
    known = {"answers": by_answer, "marks": by_answer, "tasks": by_task, "consensus": by_task}
    if export.what == "all":
        has_marks = export.format in ("csv", "jsonl", "parquet")
        return by_answer + 3 * by_task if has_marks else None
    return known.get(export.what)


def _mime(export: Export) -> str:
    if export.name.endswith(".zip"):
        return archive.ZIP_MIME
    ending = export.name.rsplit(".", 1)[-1]
    return archive.MIMES.get(ending) or registry.FORMATS[export.format].mime
