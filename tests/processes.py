"""Real worker and web processes for tests, and waiting for what they do."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from microtasks.settings import Settings

ROOT = Path(__file__).parents[1]


def wait_until(is_so: Callable[[], object], seconds: float = 120) -> None:
    """Poll; fail after so long."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def children(pid: int) -> set[int]:
    """Process ids of the children of all threads of a process."""
    found: set[int] = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(child) for child in (thread / "children").read_text().split()}
    return found


def is_running(pid: int) -> bool:
    """Is there such a process, and not only its remains?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Workers:
    """Starts `python -m workers` on a test's own servers; none is left at the end of the block."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers"],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "DATABASE_URL": self._settings.database_url,
                "REDIS_URL": self._settings.redis_url,
                "MICROTASKS_DATA": str(self._settings.data),
                "MICROTASKS_SECRET_KEY": self._settings.secret_key.get_secret_value(),
                "MICROTASKS_STORAGE": self._settings.storage,
                **environment,
            },
        )
        self._started.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()


class Web:
    """The site's real web server, killed and started again on the same port."""

    def __init__(self, settings: Settings, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = os.environ | {
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "MICROTASKS_DATA": str(settings.data),
            "MICROTASKS_SECRET_KEY": settings.secret_key.get_secret_value(),
            "MICROTASKS_STORAGE": settings.storage,
            "MICROTASKS_WEB_PROCESSES": "1",
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "microtasks", "web", "--port", str(self.port)],
            cwd=ROOT, env=self.environment, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        wait_until(self.answers)

    def answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", "/healthz")
                return connection.getresponse().status == 200
        return False

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            wait_until(lambda: not self.answers())


class Volunteer:
    """One cookie and the API. OSError or HTTPException: the outcome is unknown."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = ""

    def post(self, path: str, body: object) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json", "Cookie": self.cookie}
            connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
            reply = connection.getresponse()
            content = reply.read()
            if reply.status != 200:
                raise http.client.HTTPException(f"{reply.status}: {content!r}")
            self.cookie = (reply.getheader("Set-Cookie") or self.cookie).split(";")[0]
            return json.loads(content)
