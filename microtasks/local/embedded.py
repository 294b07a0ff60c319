"""A data folder's own servers: who starts them, who joins them, and the secret that lies beside them."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from microtasks.core.errors import Conflict, SettingsInvalid
from microtasks.local import servers
from microtasks.local.servers import Process, write_whole
from microtasks.local.supervisor import Part, Supervisor
from microtasks.settings import Settings


def prepare(data: Path) -> Path:
    """Make the data folder if it is absent, and make sure it can be written. Errors: SettingsInvalid."""
    data = data.expanduser().resolve()
    try:
        data.mkdir(mode=0o755, parents=True, exist_ok=True)
        probe = data / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsInvalid(
            f"The data folder {data} cannot be written ({error.strerror}). Choose another with --data DIR."
        ) from error
    return data


def with_secret(settings: Settings) -> Settings:
    """The settings with a secret: the configured one, or one made once and kept in the data folder (0600).

    Production does not get one made. Errors: SettingsInvalid.
    """
    if settings.secret_key.get_secret_value() or settings.production:
        return settings
    path = prepare(settings.data) / "secret"
    if not path.exists():
        write_whole(path, secrets.token_urlsafe(48), replace=False)
    try:
        return settings.model_copy(update={"secret_key": SecretStr(path.read_text().strip())})
    except OSError as error:
        raise SettingsInvalid(f"The secret in {path} cannot be read ({error.strerror}).") from error


@contextmanager
def lock(path: Path, *, shared: bool = False, wait: bool = False) -> Iterator[bool]:
    """Hold a lock on the file for the block; False if another process has it. It ends with the process."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def state(data: Path) -> dict[str, Any] | None:
    """What the process that runs servers on this folder announced. Stale if nobody holds the lock."""
    try:
        state: dict[str, Any] = json.loads((data / "running.json").read_text())
    except (OSError, ValueError):
        return None
    return state


def announce(settings: Settings, **more: Any) -> None:
    """Tell other commands on this data folder how to reach the servers."""
    urls = {"database_url": settings.database_url, "redis_url": settings.redis_url}
    write_whole(settings.data / "running.json", json.dumps({"pid": os.getpid(), **urls, **more}))


@contextmanager
def started(settings: Settings, whole: Supervisor) -> Iterator[Settings]:
    """Start what has no URL, as parts of the whole; stop it at the end. Gives the settings with URLs.

    The caller holds the folder's lock. Errors: SettingsInvalid, Conflict.
    """
    data = prepare(settings.data)
    urls: dict[str, str] = {}
    parts: list[Part] = []

    def keep(name: str, start: Callable[[], tuple[Process, str]], end_signal: int) -> str:
        process, url = start()
        parts.append(whole.add(Part(name, lambda: start()[0], end_signal, process=process)))
        return url

    def remove_socket_folders() -> None:
        for url in urls.values():
            servers.remove_socket_folder(url)

    with contextlib.ExitStack() as stack:
        stack.callback(remove_socket_folders)
        stack.callback(whole.stop, parts, 20)
        stack.callback((data / "running.json").unlink, missing_ok=True)
        if not settings.redis_url:
            servers.valkey_program()  # before a database is made that would be left behind
        if not settings.database_url:
            folder = servers.postgres_folder(data)
            if folder.parent != data and not stack.enter_context(lock(folder.parent / "lock")):
                raise Conflict(f"The database of {data} is in use: another folder is a copy of this one.")
            start = functools.partial(servers.start_postgres, folder)
            urls["database_url"] = keep("PostgreSQL", start, signal.SIGINT)  # fast shutdown
        if not settings.redis_url:
            start = functools.partial(servers.start_valkey, data / "valkey")
            urls["redis_url"] = keep("Valkey", start, signal.SIGTERM)
        yield settings.model_copy(update={"data": data, **urls})


@contextmanager
def joined(settings: Settings, *, patience_s: float = 60) -> Iterator[tuple[Settings, bool]]:
    """Settings with URLs for one command, and whether its servers were started for it.

    1. With both URLs set there is nothing to do. 2. Otherwise whoever holds the data folder's lock starts the
    servers; 3. any other command joins, and holds `users`, 4. for which a starter waits before it stops them.
    Errors: SettingsInvalid, Conflict.
    """
    if settings.database_url and settings.redis_url:
        yield settings, False
        return
    data = prepare(settings.data)
    deadline = time.monotonic() + patience_s
    while True:
        with lock(data / "lock") as is_ours:
            if is_ours:
                with started(settings, Supervisor(print)) as settings:
                    announce(settings)
                    try:
                        yield settings, True
                    finally:
                        (data / "running.json").unlink(missing_ok=True)  # nobody joins any more
                        with lock(data / "users", wait=True):
                            pass
                return
        with lock(data / "users", shared=True, wait=True):
            if there := state(data):
                urls = {name: there[name] for name in ("database_url", "redis_url")}
                yield settings.model_copy(update={"data": data, **urls}), False
                return
        if time.monotonic() > deadline:
            raise Conflict(f"Another microtasks command uses {data}. Please try again when it is done.")
        time.sleep(0.1)
