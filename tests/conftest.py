"""A real PostgreSQL database per test by template clone, and a real Redis, from plain `pytest`.

TEST_DATABASE_URL and TEST_REDIS_URL name servers to use instead of starting the embedded ones.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from click.testing import CliRunner, Result
from databases import TEMPLATE, Databases, database_url
from processes import wait_until

from microtasks.engine.site import Site, open_site
from microtasks.local import servers as local
from microtasks.settings import Settings
from microtasks.store import tables
from microtasks.store.db import Database
from microtasks.store.operations import migrate


def find_chromium() -> str | None:
    """The browser that the tests drive, if this machine has one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser skip its tests, loudly; where CI is set they run, and fail."""
    if find_chromium() or os.environ.get("CI"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(
                pytest.mark.skip(reason="NO BROWSER: install chromium, or set CHROMIUM to its path")
            )


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """A folder with a short path, which the user that PostgreSQL runs as may enter."""
    base = Path(tempfile.mkdtemp(prefix="mt"))
    base.chmod(0o755)
    if not local.can_enter(base, local.user_of(base)):  # TMPDIR lies below a closed home
        base.rmdir()
        base = Path(tempfile.mkdtemp(prefix="mt", dir="/var/tmp"))
        base.chmod(0o755)
    yield base
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def servers(servers_folder: Path) -> Iterator[tuple[str, str]]:
    """(PostgreSQL URL, Redis URL) for the whole run; the database `template_microtasks` holds the schema."""
    database, queue = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_REDIS_URL")
    with contextlib.ExitStack() as stack:
        if not database:
            process, database = local.start_postgres(servers_folder / "pg", for_tests=True)
            stack.callback(local.stop, process)
        if not queue:
            process, queue = local.start_valkey(servers_folder / "vk", for_tests=True)
            stack.callback(local.stop, process)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        template = Database(database_url(database, TEMPLATE))
        # From the tables in code; test_migrations.py shows that migrations make exactly the same.
        tables.metadata.create_all(template.engine)
        template.close()
        migrate.stamp(template.url)
        yield database, queue


@pytest.fixture(scope="session")
def databases(servers: tuple[str, str]) -> Iterator[Databases]:
    """Where empty databases come from."""
    databases = Databases(servers[0])
    yield databases
    databases.close()


@pytest.fixture
def db_url(databases: Databases) -> Iterator[str]:
    """The URL of an empty database of this test's own, with the schema."""
    name = databases.take()
    yield database_url(databases.url, name)
    databases.give_back(name)


@pytest.fixture
def db(db_url: str) -> Iterator[Database]:
    """This test's own database."""
    database = Database(db_url)
    yield database
    database.close()


@pytest.fixture
def queue(servers: tuple[str, str]) -> Iterator[redis.Redis]:
    """The real Redis, emptied."""
    with redis.Redis.from_url(servers[1]) as client:
        client.flushdb()
        yield client


@pytest.fixture
def settings(db_url: str, servers: tuple[str, str], tmp_path: Path) -> Settings:
    """Settings for this test's own database, Redis and data folder."""
    return Settings(database_url=db_url, redis_url=servers[1], data=tmp_path / "data", secret_key="t" * 32)


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    """Everything a use case needs, for this test alone."""
    site = open_site(settings)
    yield site
    site.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A real S3 server over HTTP; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    wait_until(lambda: _is_there(address))
    yield address
    process.kill()
    process.wait()


def _is_there(address: str) -> bool:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(address).close()  # noqa: S310
        return True
    return False


@pytest.fixture
def storage(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket of this test, as MICROTASKS_STORAGE names it; its keys are in the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid.uuid4().hex}"
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/{name}", method="PUT")).close()  # noqa: S310
    return f"s3://{name}/site"


@pytest.fixture
def cli(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `microtasks` on this test's site; the result has exit_code, stdout and stderr."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("MICROTASKS_DATA", str(settings.data))
    monkeypatch.setenv("MICROTASKS_SECRET_KEY", settings.secret_key.get_secret_value())

    from microtasks.cli import main

    def run(*arguments: object, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)

    return run
