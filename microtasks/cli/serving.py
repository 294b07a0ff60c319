"""Run the site, and look after its database: up, web, db, check."""

from __future__ import annotations

import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microtasks.cli import Failure, main, open_cli_site, read_settings
from microtasks.core.errors import Conflict, NotFound, SettingsInvalid

if TYPE_CHECKING:
    from microtasks.engine.operations.backups import Manifest
    from microtasks.engine.site import Site
    from microtasks.local.servers import Process
    from microtasks.local.supervisor import Part, Supervisor
    from microtasks.settings import Settings

OWNER = "owner@localhost"
READY_PATIENCE_S = 60.0
#: How long web, worker and clock may take to end. A job that is cut off starts again where it was.
STOP_PATIENCE_S = 4.0
#: How long the header of a request may take, and connections that one web process holds, idle ones too.
HEADER_MS = 10_000
CONNECTIONS_MAX = 4_000


def say(sentence: str) -> None:
    click.echo(sentence, err=True)


# up


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."
)
@click.option("--sample/--no-sample", default=None, help="Make the sample projects on the first start.")
def up(host: str, port: int, sample: bool | None) -> None:
    """Start everything: servers, web, worker and clock, in one process tree.

    Prints the address and a one-time sign-in link for the owner. Ctrl-C stops all and keeps the data.
    """
    from microtasks.local import embedded, supervisor

    settings = embedded.with_secret(read_settings())
    data = embedded.prepare(settings.data)
    port = free_port(host, port)
    address = f"http://{shown_host(host)}:{port}"
    with ExitStack() as stack:
        if not stack.enter_context(embedded.lock(data / "lock")):
            raise Conflict(_who_runs(data))
        try:
            stack.enter_context(supervisor.stopping_on_signals())
            _run(stack, settings, host, port, address, sample)
        except supervisor.Stopped:
            say("Stopping. The data is kept.")
            stack.close()
    say("Stopped.")


def _run(
    stack: ExitStack, settings: Settings, host: str, port: int, address: str, sample: bool | None
) -> None:
    """What `up` does. Ends only by an exception.

    1. Servers, unless there are URLs. 2. Migrations. 3. The owner's link; samples on the first start. 4. Web,
    worker and clock. 5. Wait until the site is ready; say where it is. 6. Look after all of them.
    """
    from microtasks.local import embedded
    from microtasks.local.supervisor import Supervisor
    from microtasks.store.operations import migrate

    whole = Supervisor(say)
    settings = stack.enter_context(embedded.started(settings, whole))
    migrate.upgrade(settings.database_url)
    link = _prepare_site(settings, address, sample)
    stack.enter_context(_children(whole, settings, host, port))
    embedded.announce(settings, address=address)
    if not _wait_until_ready(address, whole):
        say(
            "The site answers, but not all of it is ready:"
            f" see {address}/readyz and the logs in {settings.data}."
        )
    click.echo(f"\nmicrotasks is running at  {settings.base_url or address}")
    click.echo(f"Owner's sign-in link      {link}  (works once)")
    click.echo(f"Data                      {settings.data}")
    if (note := settings.data / "pg.path").exists():
        click.echo(f"Database                  {note.read_text()}  (PostgreSQL does not run as root)")
    click.echo("Ctrl-C stops it.")
    while True:
        whole.watch()
        time.sleep(0.2)


def free_port(host: str, port: int) -> int:
    """The port, made sure that it can be listened on; for 0 one that is free. Errors: SettingsInvalid."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        reason = {98: "is in use", 48: "is in use", 13: "needs more rights"}.get(error.errno or 0)
        if reason:
            raise SettingsInvalid(
                f"Port {port} {reason}. Choose another, such as --port {8080 if port != 8080 else 8081}."
            ) from None
        raise SettingsInvalid(
            f"It is not possible to listen on {host} port {port}: {error.strerror}."
        ) from None


def shown_host(host: str) -> str:
    """How a browser on this machine reaches a listening address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host


def _who_runs(data: Path) -> str:
    from microtasks.local import embedded

    state = embedded.state(data) or {}
    if "address" in state:
        return (
            f"microtasks already runs on {data} (process {state['pid']}, {state['address']})."
            " Stop it first, or choose another folder with --data DIR."
        )
    return f"Another microtasks command uses {data} at the moment. Try again when it is done."


def _prepare_site(settings: Settings, address: str, sample: bool | None) -> str:
    """The owner's account with a fresh one-time link; on the first start also the samples."""
    from microtasks.engine.accounts import accounts
    from microtasks.engine.site import open_site

    site = open_site(settings)
    try:
        token = accounts.create_owner(site, OWNER)
        if sample or (sample is None and not settings.production):
            _seed_once(site)
    finally:
        site.close()
    return f"{settings.base_url.rstrip('/') or address}/owner/sign-in/{token}"


def _seed_once(site: Site) -> None:
    """Make the sample projects in a site that has no project, or go on where a former start was stopped."""
    from microtasks.engine.operations import samples
    from microtasks.store.projects import projects

    note = site.settings.data / "samples"
    with site.db.session() as session:
        is_new = not projects.all_projects(session)
    begun = note.exists() and note.read_text() == "begun"
    if begun or (is_new and not note.exists()):
        say("Making the sample projects ...")
        note.write_text("begun")
        try:
            samples.seed(site)
        except NotFound as error:  # installed without the source code: no reason not to start
            say(error.message)
            note.unlink()
            return
        note.write_text("done")


@contextmanager
def _children(whole: Supervisor, settings: Settings, host: str, port: int) -> Iterator[None]:
    """Start web, worker and clock; stop them together, before the servers they need."""
    from microtasks.local.servers import keep_short, spawn
    from microtasks.local.supervisor import Part

    environment = os.environ | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "MICROTASKS_DATA": str(settings.data),
        "MICROTASKS_SECRET_KEY": settings.secret_key.get_secret_value(),
        "PYTHONUNBUFFERED": "1",
    }
    programs = [("web", ["-m", "microtasks", "web", "--host", host, "--port", str(port)])]
    programs += [("worker", ["-m", "workers"]), ("clock", ["-m", "workers.clock"])]

    def start(arguments: list[str], log: Path) -> Process:
        keep_short(log)
        with open(log, "ab") as out:
            return spawn([sys.executable, *arguments], env=environment, stdout=out, stderr=out)

    mine: list[Part] = []
    try:
        for name, arguments in programs:
            log = settings.data / f"{name}.log"
            mine.append(whole.add(Part(name, partial(start, arguments, log), log=log)))
        yield
    finally:
        whole.stop(mine, STOP_PATIENCE_S)


def _wait_until_ready(address: str, whole: Supervisor) -> bool:
    """Wait for /readyz. False if it answers, but never with 200. Errors: Failure if nothing answers."""
    deadline, answered = time.monotonic() + READY_PATIENCE_S, False
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5):  # noqa: S310  (our own address)
                return True
        except urllib.error.HTTPError:
            answered = True
        except OSError:
            pass
        whole.watch()
        time.sleep(0.1)
    if not answered:
        raise Failure(f"The site did not answer within {READY_PATIENCE_S:.0f} seconds.")
    return False


# web


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), envvar="PORT")
def web(host: str, port: int) -> None:
    """Serve the site alone, on the configured servers: the web process of a production."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    from microtasks.engine.operations import startup
    from microtasks.engine.site import open_site
    from microtasks.web import create_app
    from microtasks.web.requests.bodies import WAITING_THREADS

    settings = read_settings()
    site = open_site(settings)
    startup.check(site)
    create_app(site=site)  # what it imports is there already in the forked processes
    site.close()
    Granian(
        "microtasks.cli.serving:web_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=host,
        port=port,
        workers=settings.web_processes,
        # As many work at once as the setting says; the others wait for bodies that come slowly.
        blocking_threads=settings.web_threads + WAITING_THREADS,
        backpressure=CONNECTIONS_MAX,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS),
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        log_access=False,
        websockets=False,
    ).serve()


def web_app() -> Any:
    """The WSGI application of one web process."""
    from microtasks import logs
    from microtasks.local.servers import die_with_parent
    from microtasks.web import create_app

    die_with_parent(os.getppid())
    logs.configure()
    return create_app()


# database


@main.group()
def db() -> None:
    """Migrate, back up and restore the database."""


@db.command()
def upgrade() -> None:
    """Bring the database to this version."""
    from microtasks.local import embedded
    from microtasks.store.operations import migrate

    settings = embedded.with_secret(read_settings())
    with embedded.joined(settings) as (settings, _):
        settings.check()
        migrate.upgrade(settings.database_url)
    say("The database is up to date.")


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write one file with the database, images, uploads and exports, as they are at one moment."""
    from microtasks.engine.operations import backups

    with open_cli_site() as site:
        manifest = backups.write(site, file)
    say(f"Wrote {file} ({file.stat().st_size / 1e6:.1f} MB): {_contents(manifest)}.")


@db.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def verify(file: Path) -> None:
    """Read all of a backup and compare it with its checksums. Needs no database."""
    from microtasks.engine.operations import backups

    manifest = backups.verify(file)
    say(f"{file} is whole: {_contents(manifest)}, schema {manifest.schema}, written {manifest.at[:16]} UTC.")


@db.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace what is in the database.")
def restore(file: Path, force: bool) -> None:
    """Bring back what `db backup` wrote, into an empty database.

    The whole file is verified before anything is touched; the old data give way at the very end.
    """
    from microtasks.engine.operations import backups
    from microtasks.local import old_backups

    kind = backups.format_of(file)
    with open_cli_site(any_schema=True) as site:
        if kind == old_backups.FORMAT:
            old_backups.restore(site, file, force=force)
        else:
            backups.restore(site, file, force=force)
    say(f"Restored {file}.")


def _contents(manifest: Manifest) -> str:
    return f"{manifest.n_rows} rows, {manifest.n_files} files"


# check


@main.command()
def check() -> None:
    """Look for unsafe settings, and for anything in the database that breaks a promise."""
    from microtasks.engine.operations import invariants, startup

    with open_cli_site() as site:
        problems = startup.problems(site) + invariants.check(site)
    for sentence in problems:
        click.echo(sentence)
    if problems:
        raise Failure(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found.")
    say("All is well.")
