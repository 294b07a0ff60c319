"""Granian or gunicorn: the same site, the same load, in turns, so that a busy machine is busy for both.

    python -m benchmarks.web_servers [--seconds 2.5] [--rounds 5]

Needs gunicorn beside the project's packages (it is not one of them). Prints answers a second, milliseconds of
the median and of the 99th percentile, and granian's ratio to gunicorn.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import builders

from microtasks.engine.site import open_site
from microtasks.local import embedded
from microtasks.local.supervisor import Supervisor
from microtasks.settings import Settings
from microtasks.store.operations import migrate

CONNECTIONS, PROCESSES, THREADS = 16, 2, 4
PORTS = {"granian": 8801, "gunicorn": 8802}


def commands() -> dict[str, list[str]]:
    """How each server is started, with the same number of processes and threads."""
    gunicorn = ["gunicorn", "-k", "gthread", "-w", str(PROCESSES), "--threads", str(THREADS)]
    return {
        "granian": ["microtasks", "web", "--port", str(PORTS["granian"])],
        "gunicorn": [*gunicorn, "-b", f"127.0.0.1:{PORTS['gunicorn']}", "microtasks.web:create_app()"],
    }


def requests(slug: str) -> dict[str, bytes]:
    """What is asked for: nothing, a page, a task."""
    body = b'{"limit": 1}'
    lease = f"POST /api/v1/projects/{slug}/leases HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return {
        "healthz": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        "home": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "lease": lease.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(body), body),
    }


async def client(port: int, request: bytes, end: float, seconds: list[float]) -> None:
    """Ask again and again on one connection, as a browser would."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < end:
        begun = time.monotonic()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        if b" 200 " not in head[:20]:
            raise SystemExit(head.decode())
        seconds.append(time.monotonic() - begun)
        if b"connection: close" in head:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


async def load(port: int, request: bytes, duration_s: float) -> tuple[float, float, float]:
    """(answers a second, median ms, 99th percentile ms)."""
    seconds: list[float] = []
    end = time.monotonic() + duration_s
    await asyncio.gather(*(client(port, request, end, seconds) for _ in range(CONNECTIONS)))
    seconds.sort()
    return (
        len(seconds) / duration_s,
        seconds[len(seconds) // 2] * 1e3,
        seconds[len(seconds) * 99 // 100] * 1e3,
    )


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"Nothing answers on port {port}.")


def measure(slug: str, rounds: int, duration_s: float) -> None:
    for name, request in requests(slug).items():
        found: dict[str, list[tuple[float, float, float]]] = {server: [] for server in PORTS}
        for _ in range(rounds):
            for server, port in PORTS.items():
                found[server].append(asyncio.run(load(port, request, duration_s)))
        medians = {
            server: [statistics.median(column) for column in zip(*rows, strict=True)]
            for server, rows in found.items()
        }
        for server, (rate, middle, worst) in medians.items():
            print(f"{name:8} {server:9} {rate:7.0f}/s   median {middle:6.1f} ms   99th {worst:6.1f} ms")
        print(f"{name:8} ratio     {medians['granian'][0] / medians['gunicorn'][0]:7.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mt"))
    folder.chmod(0o755)
    settings = embedded.with_secret(
        Settings(data=folder / "data", web_processes=PROCESSES, web_threads=THREADS)
    )
    with embedded.started(settings, Supervisor(print)) as settings:
        migrate.upgrade(settings.database_url)
        site = open_site(settings)
        project = builders.project(site, redundancy=50)
        builders.bulk_tasks(site, project, 20_000, redundancy=50)
        site.close()
        environment = os.environ | {
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "MICROTASKS_DATA": str(settings.data),
            "MICROTASKS_SECRET_KEY": settings.secret_key.get_secret_value(),
        }
        servers = [
            subprocess.Popen([sys.executable, "-m", *command], env=environment, stderr=subprocess.DEVNULL)  # noqa: S603
            for command in commands().values()
        ]
        try:
            for port in PORTS.values():
                wait_for(port)
            measure(project.slug, options.rounds, options.seconds)
        finally:
            for server in servers:
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main()
