"""One file with the database and all images, and back again, by PostgreSQL's own programs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from psycopg.conninfo import conninfo_to_dict

from microtasks.core.errors import Conflict, FileInvalid, SettingsInvalid, Unavailable
from microtasks.engine.site import Site
from microtasks.local import embedded, servers
from microtasks.store.db import plain_url
from microtasks.store.files import Bucket
from microtasks.store.operations import migrate

_ABOUT, _DATABASE, _FORMAT = "microtasks-backup.json", "database.dump", 1
#: Folders below the data folder that belong to the database's rows.
_FOLDERS = ("media", "uploads")


def write(site: Site, file: Path) -> int:
    """Write the backup while all goes on; return its size in bytes. Errors: Unavailable, FileInvalid.

    1. Dump the database: one snapshot. 2. Then pack the files: they are written before the rows that name
    them, and never changed, so all that the dump names are there. 3. Give the file its name when it is whole.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=file.absolute().parent, prefix=".backup-")
    except OSError as error:
        raise FileInvalid(f"{file} cannot be written ({error.strerror}).") from error
    try:
        with (
            os.fdopen(handle, "wb") as raw,
            tempfile.TemporaryDirectory(dir=file.absolute().parent) as scratch,
        ):
            dump = Path(scratch) / _DATABASE
            _run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--file={dump}"], site)
            with tarfile.open(fileobj=raw, mode="w") as tar:
                about = {"format": _FORMAT, "schema": migrate.head(), "at": datetime.now(UTC).isoformat()}
                _add_bytes(tar, _ABOUT, json.dumps(about).encode())
                tar.add(dump, _DATABASE)
                for folder in _FOLDERS:
                    if site.files.bucket:
                        _add_stored(tar, site.files.bucket, folder, Path(scratch) / "stored")
                    else:
                        _add_folder(tar, site.settings.data / folder, folder)
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(temporary, file)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return file.stat().st_size


def restore(site: Site, file: Path, *, force: bool = False) -> None:
    """Bring a backup back, all or nothing, and migrate it to this version.

    Without `force` only into a database that has no accounts and no projects. Files come before the rows
    that name them. Errors: Conflict, FileInvalid, Unavailable.
    """
    if not force and not migrate.is_empty(site.settings.database_url):
        raise Conflict("The database is not empty. To replace everything in it, add --force.")
    data = embedded.prepare(site.settings.data)
    with tempfile.TemporaryDirectory(dir=data) as scratch:
        _unpack(file, data, Path(scratch), site.files.bucket)
        script = Path(scratch) / "database.sql"
        _run(
            "pg_restore",
            ["--no-owner", "--no-privileges", f"--file={script}", f"{scratch}/{_DATABASE}"],
            None,
        )
        _run(
            "psql",
            ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null",
             "--command=DROP SCHEMA public CASCADE; CREATE SCHEMA public", f"--file={script}"],
            site,
        )  # fmt: skip
    migrate.upgrade(site.settings.database_url)


def _unpack(file: Path, data: Path, scratch: Path, bucket: Bucket | None) -> None:
    try:
        with tarfile.open(file) as tar:
            first = tar.next()
            about = tar.extractfile(first) if first is not None and first.name == _ABOUT else None
            if about is None or json.loads(about.read())["format"] != _FORMAT:
                raise FileInvalid(f"{file} is not a backup of microtasks.")
            for member in tar:
                parts = member.name.split("/")
                content = tar.extractfile(member)
                if content is None or ".." in parts:
                    continue
                if member.name == _DATABASE:
                    _copy(content, scratch / _DATABASE)
                elif parts[0] in _FOLDERS and bucket:
                    _copy(content, scratch / "stored")
                    bucket.put(member.name, scratch / "stored")
                elif parts[0] in _FOLDERS:
                    _copy(content, data / member.name)
    except (tarfile.TarError, EOFError, ValueError, KeyError) as error:
        raise FileInvalid(f"{file} is not a whole backup of microtasks ({error}).") from error
    if not (scratch / _DATABASE).exists():
        raise FileInvalid(f"{file} is not a whole backup of microtasks: the database is missing.")


def _copy(content: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _add_stored(tar: tarfile.TarFile, bucket: Bucket, folder: str, scratch: Path) -> None:
    for name, _ in bucket.names(f"{folder}/"):
        with contextlib.suppress(FileNotFoundError):  # an upload that was imported just now
            scratch.unlink(missing_ok=True)
            bucket.fetch(name, scratch)
            tar.add(scratch, name)


def _add_folder(tar: tarfile.TarFile, folder: Path, name: str) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith((".", "tmp")):  # still being written
            tar.add(path, f"{name}/{path.relative_to(folder)}")


def _run(program: str, arguments: Sequence[str], site: Site | None) -> None:
    """Run a program of PostgreSQL on the site's database; the password goes by the environment."""
    environment = dict(os.environ)
    if site is not None:
        names = {"dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD"}
        for key, value in conninfo_to_dict(plain_url(site.settings.database_url)).items():
            environment[names.get(key, f"PG{key.upper()}")] = str(value)
        environment["PGOPTIONS"] = "-c lock_timeout=20s"
    reason = ""
    for path in servers.postgres_program(program):
        done = subprocess.run([path, *arguments], env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            return
        reason = reason or (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    if not reason:
        raise SettingsInvalid(
            f"There is no {program}: install microtasks[local], or PostgreSQL's client programs."
        )
    raise Unavailable(f"{program} failed: {reason}")
