"""Backups: everything at one moment, refused unless whole, and back on any version of PostgreSQL."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import builders
import psycopg
import pytest
from click.testing import Result
from psycopg import sql

from microtasks.core.errors import FileInvalid, MicrotasksError
from microtasks.engine.exports import requests
from microtasks.engine.imports import importing
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import backups, jobs
from microtasks.engine.site import Site, open_site
from microtasks.local import servers as local
from microtasks.settings import Settings
from microtasks.store import jobs as job_rows
from microtasks.store.operations import migrate
from microtasks.store.tables import metadata

Cli = Callable[..., Result]

DEBIAN_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


def content(url: str) -> dict[str, list[str]]:
    """Every row of every table, by the names of its columns."""
    with psycopg.connect(url) as connection:
        connection.execute("SET timezone = 'UTC'")
        return {
            name: sorted(
                row[0]
                for row in connection.execute(
                    sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(sql.Identifier(name))
                )
            )
            for name in metadata.tables
        }


def fill_every_table(url: str) -> None:
    """At least one row in each table: a table that a backup forgets is then found."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for name, rows in content(url).items():
            if not rows:
                builders.fill(connection, name)


@pytest.fixture
def full(site: Site) -> Site:
    """A site with a project in use, with images, an export and an upload, and a row in every table."""
    project = builders.project(site)
    task = builders.tasks(site, project, 3)[0]
    builders.answers(site, project, task, [builders.YES, builders.NO])
    site.files.put("originals", b"an image")
    site.uploads.append("f" * 32, "000000", 0, b"id,text\n1,one\n")
    with site.db.session() as session:
        from microtasks.store.projects import projects

        export = requests.request(site, projects.get(session, project.id))
    run_all(site)
    assert export.id
    fill_every_table(site.db.url)
    return site


def run_all(site: Site) -> None:
    with site.db.connection() as connection:
        waiting = job_rows.waiting(connection, 60)
    for job_id in waiting:
        jobs.run(site, job_id)


def comparable(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without what a restore changes on purpose: the attempts of jobs, and when the last backup was."""
    return {name: found for name, found in rows.items() if name not in ("job", "heartbeat")}


def files_of(site: Site) -> dict[str, bytes]:
    return {
        str(path.relative_to(site.settings.data)): path.read_bytes()
        for folder in backups.FOLDERS
        for path in (site.settings.data / folder).rglob("*")
        if path.is_file()
    }


def test_every_row_of_every_table_and_every_file_comes_back(full: Site, tmp_path: Path):
    file = tmp_path / "backup.tar"
    before, files = content(full.db.url), files_of(full)
    assert all(before.values()) and {name.split("/")[0] for name in files} == set(backups.FOLDERS)
    manifest = backups.write(full, file)
    assert {table.name: table.n_rows for table in manifest.tables} == {
        name: len(rows) for name, rows in before.items()
    }
    assert backups.verify(file) == manifest
    for folder in backups.FOLDERS:
        shutil.rmtree(full.settings.data / folder)
    with full.db.connection() as connection:
        connection.execute("DELETE FROM task")
        connection.execute("DELETE FROM audit")
    backups.restore(full, file, force=True)
    assert comparable(content(full.db.url)) == comparable(before)
    assert files_of(full) == files
    assert migrate.is_current(full.db.url) and migrate.differences(full.db.url) == []


def test_new_rows_get_new_numbers_after_a_restore(full: Site, tmp_path: Path):
    with full.db.connection() as connection:
        highest = connection.execute("SELECT max(id) FROM task").fetchone()
    backups.write(full, tmp_path / "backup.tar")
    backups.restore(full, tmp_path / "backup.tar", force=True)
    project = builders.project(full, slug="another")
    assert highest is not None and min(builders.tasks(full, project, 2)) > highest[0]


# -- what is refused ----------------------------------------------------------------------------------


@pytest.fixture
def small(site: Site, tmp_path: Path) -> Path:
    builders.tasks(site, builders.project(site), 3)
    site.files.put("originals", b"an image")
    site.uploads.append("f" * 32, "000000", 0, b"id,text\n1,one\n")
    backups.write(site, tmp_path / "backup.tar")
    return tmp_path / "backup.tar"


def test_no_truncation_and_no_bit_flip_is_accepted(small: Path, tmp_path: Path):
    """100 cuts, those at the ends of members among them, and 100 single bits, headers and padding too."""
    whole, damaged, rng = small.read_bytes(), tmp_path / "damaged.tar", random.Random(7)
    with tarfile.open(small) as tar:
        edges = [member.offset for member in tar] + [member.offset_data for member in tar]
    sizes = {*edges, *(edge + 1 for edge in edges), len(whole) - 1, len(whole) - 512, len(whole) - 1024}
    sizes |= set(rng.sample(range(len(whole)), 100))
    flips = rng.sample(range(8 * len(whole)), 90) + [8 * (len(whole) - n) for n in range(1, 11)]
    contents = [whole[:size] for size in sorted(sizes) if size < len(whole)]
    for bit in flips:
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        contents.append(bytes(changed))
    contents.append(whole + b"\0")
    assert len(contents) >= 200
    backups.verify(small)
    for each in contents:
        damaged.write_bytes(each)
        with pytest.raises(FileInvalid):
            backups.verify(damaged)


def test_what_does_not_verify_touches_nothing(site: Site, small: Path, cli: Cli):
    before, files = content(site.db.url), files_of(site)
    small.write_bytes(small.read_bytes()[:-20_480])
    done = cli("db", "restore", small, "--force")
    assert done.exit_code == 1 and "not whole" in done.stderr and "Traceback" not in done.stderr
    assert cli("db", "verify", small).exit_code == 1
    assert (content(site.db.url), files_of(site)) == (before, files)


def test_verify_says_what_is_in_the_file(small: Path, cli: Cli):
    done = cli("db", "verify", small)
    assert done.exit_code == 0, done.stderr
    assert "is whole" in done.stderr and f"schema {migrate.head()}" in done.stderr


@pytest.mark.parametrize("kind", [1, 2])
def test_a_backup_of_a_newer_version_is_refused_before_anything_is_touched(
    kind: int, site: Site, small: Path, cli: Cli, tmp_path: Path
):
    about = {"format": kind, "schema": "0099", "at": "2030-01-01T00:00:00+00:00"}
    newer = tmp_path / "newer.tar"
    with tarfile.open(newer, "w") as tar:
        for name, written in ((backups.ABOUT, json.dumps(about).encode()), ("database.dump", b"?")):
            member = tarfile.TarInfo(name)
            member.size = len(written)
            tar.addfile(member, io.BytesIO(written))
    before = content(site.db.url)
    for arguments in (("restore", newer), ("restore", newer, "--force"), ("verify", newer)):
        done = cli("db", *arguments)
        assert done.exit_code == 1 and "newer version of microtasks" in done.stderr, done.stderr
    assert content(site.db.url) == before


def test_rows_that_do_not_fit_leave_everything_as_it_was(
    site: Site, small: Path, monkeypatch: pytest.MonkeyPatch
):
    """Also an error late in the restore: the old schema is there until the very end."""
    before = content(site.db.url)
    verified = backups.verify(small)
    verified.tables[0].columns.append("no_such_column")
    monkeypatch.setattr(backups, "verify", lambda file: verified)
    with pytest.raises((MicrotasksError, psycopg.Error)):
        backups.restore(site, small, force=True)
    assert content(site.db.url) == before


# -- one moment ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_an_import_that_ends_while_a_backup_is_written_leaves_its_upload_to_it(
    where: str,
    settings: Settings,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
):
    """The rows say that the import waits; so its upload must be in the file, and it runs after a restore."""
    address = request.getfixturevalue("storage") if where == "bucket" else ""
    site = open_site(settings.model_copy(update={"storage": address}))
    project = builders.project(site)
    upload = Upload("t.csv", io.BytesIO(b"id,text\n1,one\n2,two\n"))
    batch = importing.create_batch(site, project.id, [upload])
    pack = backups._Writer._add_folder

    def import_first(writer: backups._Writer, of: Site, folder: str) -> None:
        run_all(of)  # after the rows were copied, before the files are packed
        pack(writer, of, folder)

    monkeypatch.setattr(backups._Writer, "_add_folder", import_first)
    backups.write(site, tmp_path / "backup.tar")
    assert state_of(site, batch) == "done"
    backups.restore(site, tmp_path / "backup.tar", force=True)
    assert state_of(site, batch) == "queued"
    run_all(site)
    assert state_of(site, batch) == "done"
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (2,)
    site.close()


def state_of(site: Site, batch: int) -> str:
    with site.db.connection() as connection:
        row = connection.execute("SELECT state FROM batch WHERE id = %s", (batch,)).fetchone()
    assert row is not None
    return str(row[0])


def test_an_export_whose_file_is_not_in_the_backup_can_be_asked_for_again(full: Site, tmp_path: Path):
    shutil.rmtree(full.settings.data / "exports")
    backups.write(full, tmp_path / "backup.tar")
    backups.restore(full, tmp_path / "backup.tar", force=True)
    with full.db.connection() as connection:
        states = connection.execute("SELECT DISTINCT state FROM export WHERE state = 'done'").fetchall()
    assert states == []


# -- other versions of PostgreSQL -----------------------------------------------------------------------


@pytest.fixture(params=DEBIAN_PROGRAMS or [None], ids=lambda path: path.parts[4] if path else "none")
def other_server(
    request: pytest.FixtureRequest, servers_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A database on a PostgreSQL of the distribution."""
    if request.param is None:
        pytest.skip("NO POSTGRESQL OF THE DISTRIBUTION: apt-get install postgresql (15 to 17)")
    with monkeypatch.context() as patch:
        patch.setattr(local, "_wheel", lambda name: None)
        patch.setenv("PATH", str(request.param.parent), prepend=":")
        folder = servers_folder / f"pg-{request.param.parts[4]}"
        process, url = local.start_postgres(folder, for_tests=True)
    yield url
    local.stop(process)
    shutil.rmtree(folder)


def test_a_backup_comes_back_on_another_version_and_back_again(
    full: Site, other_server: str, settings: Settings, tmp_path: Path
):
    other = open_site(settings.model_copy(update={"database_url": other_server, "data": tmp_path / "other"}))
    before = content(full.db.url)
    backups.write(full, tmp_path / "there.tar")
    backups.restore(other, tmp_path / "there.tar")
    assert comparable(content(other_server)) == comparable(before)
    assert migrate.is_current(other_server)
    written = backups.write(other, tmp_path / "back.tar")
    backups.restore(full, tmp_path / "back.tar", force=True)
    assert comparable(content(full.db.url)) == comparable(before)
    assert written.server.split(".")[0] != backups.verify(tmp_path / "there.tar").server.split(".")[0]
    other.close()


def old_backup(site: Site, file: Path) -> None:
    """A backup as version 0.1 wrote it: a dump, then the files."""
    (program, *_) = local.postgres_program("pg_dump")
    dump = file.with_suffix(".dump")
    subprocess.run(
        [program, "--format=custom", "--no-owner", "--no-privileges", f"--file={dump}", site.db.url],
        check=True,
    )
    with tarfile.open(file, "w") as tar:
        about = json.dumps({"format": 1, "schema": migrate.head(), "at": "2026-11-01"}).encode()
        member = tarfile.TarInfo(backups.ABOUT)
        member.size = len(about)
        tar.addfile(member, io.BytesIO(about))
        tar.add(dump, "database.dump")
        tar.add(site.settings.data / "media", "media")


def test_a_backup_of_version_0_1_comes_back_also_on_an_older_server(
    full: Site, other_server: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A newer pg_restore writes settings that an older server does not know."""
    file = tmp_path / "old.tar"
    old_backup(full, file)
    before = content(full.db.url)
    monkeypatch.setenv("DATABASE_URL", other_server)
    monkeypatch.setenv("MICROTASKS_DATA", str(tmp_path / "other"))
    done = cli("db", "restore", file)
    assert done.exit_code == 0, done.stderr
    expected = comparable(before)
    found = comparable(content(other_server))
    assert {name for name in expected if expected[name] != found[name]} <= {
        "export"
    }  # its files were not in it
    digest = hashlib.sha256(b"an image").hexdigest()
    assert (tmp_path / f"other/media/originals/{digest[:2]}/{digest}").read_bytes() == b"an image"


def test_a_backup_of_version_0_1_that_was_cut_between_two_files_is_refused(
    full: Site, cli: Cli, tmp_path: Path
):
    file = tmp_path / "old.tar"
    old_backup(full, file)
    with tarfile.open(file) as tar:
        edges = [member.offset for member in tar]
    before, whole = content(full.db.url), file.read_bytes()
    for edge in (*edges, *(edge + 100 for edge in edges)):
        file.write_bytes(whole[:edge])
        done = cli("db", "restore", file, "--force")
        assert done.exit_code == 1 and "backup" in done.stderr, done.stderr
    assert content(full.db.url) == before


# -- on a schedule --------------------------------------------------------------------------------------


def test_the_clock_has_backups_made_and_keeps_the_newest(site: Site, settings: Settings):
    every = open_site(settings.model_copy(update={"backup_every": 24.0, "backup_keep": 2}))
    backups.queue_due(site)  # not asked for
    assert backups.age_s(site) is None and not (settings.data / "backups").exists()
    backups.queue_due(every)
    backups.queue_due(every)
    run_all(every)
    (first,) = (settings.data / "backups").glob("*.tar")
    backups.verify(first)
    age = backups.age_s(every)
    assert age is not None and age < 3600
    backups.queue_due(every)  # it is young
    with every.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM job WHERE name = 'backup'").fetchone() == (1,)
    for name in ("microtasks-20200101T000000Z.tar", "microtasks-20210101T000000Z.tar"):
        (settings.data / "backups" / name).touch()
    backups.run(every)
    kept = sorted(path.name for path in (settings.data / "backups").iterdir())
    assert len(kept) == 2 and "microtasks-20200101T000000Z.tar" not in kept
    every.close()
