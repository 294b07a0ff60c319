"""One file with everything the site knows: rows, images, uploads, exports. Written, verified, brought back.

The file is a tar: `microtasks-backup.json` (what it is), `tables/...` (rows, by COPY, compressed), folders of
files, `manifest.json` (versions, rows of each table), `files.sha256` (checksums, as sha256sum reads them),
and the seal: the SHA-256 of all before it. A file that was cut or changed anywhere does not fit its seal.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import microtasks
from microtasks.core.errors import Conflict, FileInvalid
from microtasks.engine.exports import requests
from microtasks.engine.site import Site
from microtasks.store import jobs
from microtasks.store.exports import requests as export_rows
from microtasks.store.operations import heartbeat, migrate, table_copies
from microtasks.store.operations.table_copies import CopiedTable

log = logging.getLogger(__name__)

FORMAT: Final = 2
ABOUT: Final = "microtasks-backup.json"
_MANIFEST, _CHECKSUMS, _SEAL = "manifest.json", "files.sha256", "seal.sha256"
#: Folders that belong to the database's rows: images, uploads not yet imported, files of exports.
FOLDERS: Final = ("media", "uploads", "exports")
#: In the table of signs of life: when the last backup was whole.
LAST_BACKUP: Final = "backup"
_PIECE_BYTES: Final = 1 << 20
#: A backup that could not be made is tried again after so long.
_RETRY_SECONDS: Final = 3600


@dataclass(slots=True)
class Manifest:
    """What a backup holds."""

    schema: str
    software: str
    server: str
    at: str
    tables: list[CopiedTable]
    sequences: dict[str, int]
    n_files: int = 0
    n_bytes: int = 0
    checksums: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def n_rows(self) -> int:
        return sum(table.n_rows for table in self.tables)


# -- writing --------------------------------------------------------------------------------------------


def write(site: Site, file: Path) -> Manifest:
    """Write everything as it is at one moment, while the site goes on. Errors: Unavailable, FileInvalid.

    1. From here on no host throws uploads or exports away. 2. Copy every table, at one moment. 3. Pack the
    files: they are written before the rows that name them, so all that the rows name are there. 4. Seal the
    file, put it on disk, and only then give it its name.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=file.absolute().parent, prefix=".backup-")
    except OSError as error:
        raise FileInvalid(f"{file} cannot be written ({error.strerror}).") from error
    try:
        with (
            os.fdopen(handle, "wb") as raw,
            tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".backup-") as scratch,
            site.uploads.held(),
        ):
            manifest = _Writer(raw, Path(scratch)).write(site)
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(temporary, file)
    finally:
        Path(temporary).unlink(missing_ok=True)
    with site.db.connection() as connection:
        heartbeat.beat(connection, LAST_BACKUP)
    return manifest


class _Sum(io.RawIOBase):
    """A file that knows the checksum of what was written to it."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw, self.digest, self.n_bytes = raw, hashlib.sha256(), 0

    def write(self, content: Any) -> int:
        self.digest.update(content)
        self.n_bytes += len(content)
        return self.raw.write(content)

    def tell(self) -> int:
        return self.n_bytes


class _Writer:
    def __init__(self, raw: IO[bytes], scratch: Path) -> None:
        self.sum, self.scratch = _Sum(raw), scratch
        self.tar = tarfile.open(fileobj=self.sum, mode="w")  # noqa: SIM115  (the seal is its end)
        self.checksums: dict[str, str] = {}
        self.n_bytes = 0

    def write(self, site: Site) -> Manifest:
        at = datetime.now(UTC).isoformat()
        about = {"format": FORMAT, "schema": migrate.head(), "software": microtasks.__version__, "at": at}
        self._add_bytes(ABOUT, json.dumps(about).encode())
        with table_copies.snapshot(site.db.url) as connection:
            tables = []
            for table in table_copies.tables():
                with self._spooled() as spool:
                    tables.append(table_copies.write(connection, table, spool.write))
                    self._add(f"tables/{table.name}", spool)
            server, sequences = table_copies.server_version(connection), table_copies.sequences(connection)
        for folder in FOLDERS:
            self._add_folder(site, folder)
        manifest = Manifest(
            str(migrate.head()), microtasks.__version__, server, at, tables, sequences,
            len(self.checksums), self.n_bytes, dict(self.checksums),
        )  # fmt: skip
        described = {key: value for key, value in asdict(manifest).items() if key != "checksums"}
        self._add_bytes(_MANIFEST, json.dumps(described).encode())
        with self._spooled() as spool:
            for name, checksum in self.checksums.items():
                spool.write(f"{checksum}  {name}\n".encode())
            self._add(_CHECKSUMS, spool)
        self.sum.raw.write(_seal(self.sum.digest.hexdigest()))
        return manifest

    def _spooled(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self.scratch)

    def _add_bytes(self, name: str, content: bytes) -> None:
        self._add(name, io.BytesIO(content))

    def _add(self, name: str, content: IO[bytes]) -> None:
        """Add a file that does not change any more, with its checksum."""
        member = tarfile.TarInfo(name)
        member.size = content.seek(0, os.SEEK_END)
        content.seek(0)
        self.checksums[name] = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
        content.seek(0)
        self.tar.addfile(member, content)
        self.tar.members = []  # type: ignore[attr-defined]  # it would keep one object a file
        self.n_bytes += member.size

    def _add_folder(self, site: Site, folder: str) -> None:
        bucket, root = site.files.bucket, site.settings.data / folder
        stored: Iterator[str] = (
            (name for name, _ in bucket.names(f"{folder}/"))
            if bucket
            else (
                f"{folder}/{path.relative_to(root).as_posix()}"
                for path in sorted(root.rglob("*"))
                if path.is_file() and not path.name.startswith((".", "tmp"))  # still being written
            )
        )
        for name in stored:
            # absent: what was thrown away just before; its rows do not name it any more
            with contextlib.suppress(FileNotFoundError), self._spooled() as spool:
                if bucket:
                    path = self.scratch / "stored"
                    path.unlink(missing_ok=True)
                    bucket.fetch(name, path)
                else:
                    path = site.settings.data / name
                with path.open("rb") as source:
                    if folder == "media":  # named by its content: it never changes
                        self._add(name, source)
                        continue
                    shutil.copyfileobj(source, spool, _PIECE_BYTES)
                self._add(name, spool)


def _seal(checksum: str) -> bytes:
    """The end of the file: a small tar of its own, so that the whole is one that every program reads."""
    content, sealed = f"{checksum}  (all before)\n".encode(), io.BytesIO()
    member = tarfile.TarInfo(_SEAL)
    member.size = len(content)
    with tarfile.open(fileobj=sealed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(content))
    return sealed.getvalue()


_SEAL_BYTES: Final = len(_seal("0" * 64))


# -- verifying ------------------------------------------------------------------------------------------


def format_of(file: Path) -> int:
    """The number of the file's format. Errors: FileInvalid for what is no backup, or a newer one."""
    try:
        with tarfile.open(file) as tar:
            first = tar.next()
            content = tar.extractfile(first) if first is not None and first.name == ABOUT else None
            about = json.loads(content.read()) if content else None
        number = about["format"] if about else None
        revision = about.get("schema") if about else None
    except (tarfile.TarError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise FileInvalid(f"{file} is not a backup of microtasks, or is damaged ({error}).") from error
    if type(number) is not int or number < 1:
        raise FileInvalid(f"{file} is not a backup of microtasks.")
    if number > FORMAT:
        raise FileInvalid(f"{file} was written by a newer version of microtasks: install that version.")
    check_schema(file, revision)
    return number


def check_schema(file: Path, revision: object) -> None:
    """Refuse a backup of a schema that this version does not know: FileInvalid."""
    if not isinstance(revision, str) or migrate.is_newer(revision):
        raise FileInvalid(
            f"{file} is a backup of a newer version of microtasks (schema {revision}; this version knows"
            f" those up to {migrate.head()}). Nothing was changed. Install that version to restore it."
        )


def verify(file: Path) -> Manifest:
    """Read all of a backup and compare it with its checksums; return what it holds. Errors: FileInvalid.

    1. It is one, and of no newer version. 2. All of it fits the seal at its end. 3. Each file is listed and
    fits its checksum; none is missing.
    """
    if format_of(file) != FORMAT:
        raise FileInvalid(f"{file} is of a former version and has no checksums; `db restore` still reads it.")
    damaged = FileInvalid(f"{file} is not whole: it was cut, or changed after it was written.")
    with file.open("rb") as raw:
        left, digest = file.stat().st_size - _SEAL_BYTES, hashlib.sha256()
        while left > 0 and (piece := raw.read(min(left, _PIECE_BYTES))):
            digest.update(piece)
            left -= len(piece)
        if left or raw.read() != _seal(digest.hexdigest()):
            raise damaged
    try:
        digests: dict[str, str] = {}
        listed: dict[str, str] = {}
        manifest: Manifest | None = None
        for name, content in _members(file):
            if name == _MANIFEST:
                manifest = _manifest(content.read())
            elif name == _CHECKSUMS:
                for line in content.read().decode().splitlines():
                    checksum, _, listed_name = line.partition("  ")
                    listed[listed_name] = checksum
            elif name != _SEAL:
                digests[name] = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise damaged from error
    if manifest is None or {name: listed.get(name) for name in digests} != digests:
        raise damaged
    if manifest.n_files != len(digests) or any(
        f"tables/{table.name}" not in digests for table in manifest.tables
    ):
        raise damaged
    manifest.checksums = digests
    return manifest


def _manifest(content: bytes) -> Manifest:
    described = json.loads(content)
    tables = [CopiedTable(**table) for table in described.pop("tables")]
    return Manifest(**described, tables=tables)


def _members(file: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(file) as tar:
        while (member := tar.next()) is not None:
            content = tar.extractfile(member)
            if content is None or member.name.startswith("/") or ".." in member.name.split("/"):
                raise ValueError(member.name)
            yield member.name, content
            tar.members = []  # type: ignore[attr-defined]


# -- bringing back --------------------------------------------------------------------------------------


def restore(site: Site, file: Path, *, force: bool = False) -> Manifest:
    """Bring a backup back, all or nothing, and migrate it to this version.

    Without `force` only into a database that has no accounts and no projects. Errors: Conflict, FileInvalid,
    Unavailable; then the database is as it was.

    1. Verify the whole file: before that nothing is touched. 2. Bring the files back, before the rows that
    name them; those that are there have the same content. 3. Make the rows in a schema of their own, which
    takes the old one's place at the very end. 4. Mark exports whose file is not in the backup.
    """
    manifest = verify(file)
    check_schema(file, manifest.schema)
    if not force and not migrate.is_empty(site.db.url):
        raise Conflict("The database is not empty. To replace everything in it, add --force.")
    with tempfile.TemporaryDirectory(dir=_made(site.settings.data), prefix=".restore-") as scratch:
        for name, content in _members(file):
            if name.startswith("tables/"):
                with (Path(scratch) / name.removeprefix("tables/")).open("wb") as table:
                    shutil.copyfileobj(content, table, _PIECE_BYTES)
            elif name.split("/")[0] in FOLDERS:
                put_back(site, name, content)
        table_copies.replace(
            site.db.url,
            manifest.schema,
            manifest.tables,
            manifest.sequences,
            lambda name: (Path(scratch) / name).open("rb"),
        )
    mark_lost_exports(site)
    return manifest


def put_back(site: Site, name: str, content: IO[bytes]) -> None:
    """Write one file of a backup to where the site keeps it, whole or not at all."""
    path = site.settings.data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as written:
            shutil.copyfileobj(content, written, _PIECE_BYTES)
            written.flush()
            os.fsync(written.fileno())
        if site.files.bucket:
            site.files.bucket.put(name, Path(temporary))
        else:
            os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def mark_lost_exports(site: Site) -> None:
    """Say of exports whose file is not there that it is no longer kept: they can be asked for again."""
    kept = requests.folders(site)
    with site.db.connection() as connection:
        for export_id, folder, name in export_rows.stored(connection):
            if not kept.has(folder, name):
                export_rows.expire(connection, export_id)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# -- on a schedule --------------------------------------------------------------------------------------


def folder(site: Site) -> Path:
    """Where backups on a schedule are kept."""
    return site.settings.backup_folder or site.settings.data / "backups"


def age_s(site: Site) -> float | None:
    """Seconds since the last backup was whole; None: there is none."""
    with site.db.connection() as connection:
        return heartbeat.age_s(connection, LAST_BACKUP)


def queue_due(site: Site) -> None:
    """Queue a backup when the last one is older than `backup_every` says (clock)."""
    every_s = site.settings.backup_every * 3600
    if not every_s:
        return
    with site.db.connection() as connection:
        age = heartbeat.age_s(connection, LAST_BACKUP)
        if (age is not None and age < every_s) or jobs.was_added(connection, "backup", _RETRY_SECONDS):
            return
        job_id = jobs.add(connection, "backup", 0)
    site.bell.ring(job_id)


def run(site: Site) -> None:
    """Write a backup with the time in its name, and throw the oldest away (job `backup`)."""
    kept = _made(folder(site))
    for left in kept.glob(".backup-*"):  # of a worker that died
        if left.stat().st_mtime < time.time() - 24 * 3600:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    file = kept / f"microtasks-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar"
    manifest = write(site, file)
    for old in sorted(kept.glob("microtasks-*.tar"))[: -site.settings.backup_keep]:
        old.unlink()
    log.info("backup_written", extra={"rows": manifest.n_rows, "files": manifest.n_files})
