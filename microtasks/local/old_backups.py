"""Read backups of version 0.1: a tar with a dump by pg_dump, which pg_restore and psql bring back."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import psycopg
from psycopg.conninfo import conninfo_to_dict

from microtasks.core.errors import Conflict, FileInvalid, SettingsInvalid, Unavailable
from microtasks.engine.operations import backups
from microtasks.engine.site import Site
from microtasks.local import embedded, servers
from microtasks.store.db import plain_url
from microtasks.store.operations import migrate

FORMAT = 1
_DATABASE = "database.dump"
_FOLDERS = ("media", "uploads")
#: A tar ends with this many zero bytes at least; a file that was cut at the end of a member lacks them.
_TAR_END = 1024
_PIECE_BYTES = 1 << 20


def restore(site: Site, file: Path, *, force: bool = False) -> None:
    """Bring such a backup back, all or nothing, and migrate it to this version.

    Without `force` only into a database that has no accounts and no projects. Errors: Conflict, FileInvalid,
    Unavailable, SettingsInvalid without PostgreSQL's client programs.

    1. Read all of the file: it ends as it should, images fit their names, the dump can be read. 2. Bring the
    files back. 3. Replace the database in one transaction. 4. Migrate it.
    """
    if not force and not migrate.is_empty(site.db.url):
        raise Conflict("The database is not empty. To replace everything in it, add --force.")
    with tempfile.TemporaryDirectory(dir=embedded.prepare(site.settings.data)) as scratch:
        dump, script = Path(scratch) / _DATABASE, Path(scratch) / "database.sql"
        _verify(file, dump)
        _run("pg_restore", ["--no-owner", "--no-privileges", f"--file={script}", str(dump)], None)
        readable = Path(scratch) / "readable.sql"
        _leave_out_unknown(site, script, readable)
        for name, content in _members(file):
            if name.split("/")[0] in _FOLDERS:
                backups.put_back(site, name, content)
        _run(
            "psql",
            ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null",
             "--command=DROP SCHEMA public CASCADE; CREATE SCHEMA public", f"--file={readable}"],
            site,
        )  # fmt: skip
    migrate.upgrade(site.db.url)
    backups.mark_lost_exports(site)


def _verify(file: Path, dump: Path) -> None:
    """Read the whole file, and take the dump out of it. Errors: FileInvalid."""
    with file.open("rb") as raw:
        raw.seek(-min(_TAR_END, file.stat().st_size), os.SEEK_END)
        if raw.read().strip(b"\0"):
            raise FileInvalid(f"{file} is not a whole backup of microtasks: its end is missing.")
    try:
        for name, content in _members(file):
            if name == _DATABASE:
                with dump.open("wb") as written:
                    shutil.copyfileobj(content, written, _PIECE_BYTES)
            elif name.startswith("media/"):
                checksum = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
                if checksum != Path(name).stem:
                    raise FileInvalid(f"{file} is not a whole backup of microtasks: {name} is damaged.")
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise FileInvalid(f"{file} is not a whole backup of microtasks ({error}).") from error
    if not dump.exists():
        raise FileInvalid(f"{file} is not a whole backup of microtasks: the database is missing.")


def _members(file: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(file) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None and ".." not in member.name.split("/"):
                yield member.name, content


def _leave_out_unknown(site: Site, script: Path, readable: Path) -> None:
    """Copy the script without settings that this server does not know: a newer pg_restore writes them."""
    with psycopg.connect(plain_url(site.db.url)) as connection:
        rows = connection.execute("SELECT name FROM pg_settings").fetchall()
    known = {name for (name,) in rows}
    with script.open("rb") as source, readable.open("wb") as written:
        for line in source:
            if match := re.match(rb"SET (\w+) =", line):
                if match[1].decode() in known:
                    written.write(line)
            elif line.startswith(b"CREATE "):  # the settings stand before everything else
                written.write(line)
                shutil.copyfileobj(source, written, _PIECE_BYTES)
            else:
                written.write(line)


def _run(program: str, arguments: Sequence[str], site: Site | None) -> None:
    """Run a program of PostgreSQL on the site's database; the password goes by the environment."""
    environment = dict(os.environ)
    if site is not None:
        names = {"dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD"}
        for key, value in conninfo_to_dict(plain_url(site.db.url)).items():
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
    if program == "pg_restore":
        raise FileInvalid(f"The database in this backup cannot be read: {reason}")
    raise Unavailable(f"{program} failed: {reason}")
