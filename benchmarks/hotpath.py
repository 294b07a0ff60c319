"""What handing out a task and taking its answer costs.

    python -m benchmarks.hotpath [--tasks 100000] [--seconds 15] [--only buffers,cpu,http]

Starts its own PostgreSQL (with fsync) and Valkey in a temporary folder. Buffers and counts do not depend on
the machine; processor times are given as multiples of a bare Flask reply measured in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from flask import Flask, jsonify

from benchmarks.scene import analyze, cpu_seconds, fresh_site, largest_mb, make_project, postgres_pid, say
from microtasks.engine.assignment import serve, submit, sweep
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site
from microtasks.web import create_app

YES = {"answer": "yes"}
LEASE = "SELECT * FROM hot_lease(%s, %s, 1, NULL, 600, false)"


# -- buffers ------------------------------------------------------------------------------------------


def buffers(site: Site, slug: str, who: Callable[[], uuid.UUID], n: int = 21) -> float:
    """Median of the pages that one `next` touches, with warm plans."""

    def once() -> int:
        [(found,)] = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {LEASE}", (slug, who()))
        plan = found[0]["Plan"]
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

    with site.db.connection() as connection:
        for _ in range(8):
            once()
        return statistics.median(once() for _ in range(n))


def veteran(site: Site, slug: str, n: int) -> uuid.UUID:
    """Somebody who answered the first `n` tasks of the walk, all open still."""
    who = uuid.uuid4()
    with site.db.connection() as connection:
        connection.execute(
            """WITH p AS (SELECT id FROM project WHERE slug = %(slug)s),
               done AS (SELECT id, project_id, pos FROM task WHERE project_id = (SELECT id FROM p)
                        ORDER BY pos LIMIT %(n)s),
               said AS (
                   INSERT INTO answer
                          (project_id, task_id, contributor_id, kind, status, config_version, value)
                   SELECT project_id, id, %(who)s, 'value', 'counted', 1, '{"answer": "yes"}' FROM done),
               counted AS (UPDATE task SET n_answers = n_answers + 1 FROM done WHERE task.id = done.id)
               INSERT INTO cursor (contributor_id, project_id, pos, n_served)
               SELECT %(who)s, (SELECT id FROM p), coalesce(max(pos), -1), %(n)s FROM done""",
            {"slug": slug, "n": n, "who": who},
        )
    return who


def measure_buffers(site: Site, large_slug: str, n_tasks: int) -> None:
    small = buffers(site, make_project(site, 10_000), uuid.uuid4)
    large = buffers(site, large_slug, uuid.uuid4)
    say(
        f"buffers of next, 10,000 -> {n_tasks:,} tasks",
        f"{small:.0f} -> {large:.0f} ({large / small:.2f}x)",
        "<= 1.2x",
    )
    slug = make_project(site, 10_000, redundancy=300)
    new = buffers(site, slug, iter([veteran(site, slug, 1) for _ in range(29)]).__next__)
    old = buffers(site, slug, iter([veteran(site, slug, 5_000) for _ in range(29)]).__next__)
    say(
        "buffers of next, 0 -> 5,000 answers in the contributor's history",
        f"{new:.0f} -> {old:.0f} ({old / new:.2f}x)",
        "<= 1.2x",
    )
    done = veteran(site, slug, 10_000)
    analyze(site)
    nothing = buffers(site, slug, lambda: done, 200)
    say(
        "buffers of next for who has answered all that is open",
        f"{nothing:.0f} ({nothing / new:.2f}x)",
        "<= 5x, no scan",
    )


# -- processor time -----------------------------------------------------------------------------------


def cpu_us(act: Callable[[], object], n: int = 100, batches: int = 25) -> float:
    """Microseconds of this process's processor time a call: the best of many short batches."""
    for _ in range(60):
        act()
    best = float("inf")
    for _ in range(batches):
        begin = time.process_time()
        for _ in range(n):
            act()
        best = min(best, (time.process_time() - begin) / n * 1e6)
    return best


class Client:
    """A WSGI client without a server: one cookie, JSON bodies."""

    def __init__(self, app: Any) -> None:
        self.app, self.cookie = app, ""

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        data = b"" if body is None else orjson.dumps(body)
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "SCRIPT_NAME": "",
            "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr, "wsgi.input": io.BytesIO(data),
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(data)),
            "HTTP_COOKIE": self.cookie, "wsgi.multithread": True,
        }  # fmt: skip
        headers: list[tuple[str, str]] = []
        reply = b"".join(self.app(environ, lambda status, given, *_: headers.extend(given)))
        for name, value in headers:
            if name == "Set-Cookie" and not self.cookie:
                self.cookie = value.split(";")[0]
        return orjson.loads(reply)


def measure_cpu(site: Site, slug: str) -> None:
    bare = Flask("bare")
    bare.add_url_rule("/", view_func=lambda: jsonify(ok=True))
    hello_client = Client(bare)
    hello = cpu_us(lambda: hello_client("GET", "/"))
    say("bare Flask JSON reply, CPU", f"{hello:.0f} us")
    people = [uuid.uuid4() for _ in range(40)]
    turn = iter(lambda: people[random.randrange(40)], None)  # noqa: S311

    def engine_loop() -> None:
        who = next(turn)
        (lease,) = serve.lease(site, slug, who).leases
        submit.submit(site, who, [AnswerIn(lease.token, "value", YES, 3.0)])

    held = {who: serve.lease(site, slug, who).leases[0].token for who in people}

    def engine_combined() -> None:
        who = next(turn)
        said = submit.submit(site, who, [AnswerIn(held[who], "value", YES, 3.0)], next_limit=1)
        held[who] = said.leases[0].token

    combined = cpu_us(engine_combined)
    loop = cpu_us(engine_loop)
    say("engine alone: next + answer, CPU", f"{loop:.0f} us ({loop / hello:.1f}x)")
    say("engine alone: answer -> next, CPU", f"{combined:.0f} us ({combined / hello:.1f}x)")

    app = create_app(site=site)
    clients = [Client(app) for _ in range(40)]

    def leased(client: Client) -> str:
        return client("POST", f"/api/v1/projects/{slug}/leases", {"limit": 1})["leases"][0]["lease"]

    def send(client: Client, token: str, next_limit: int) -> Any:
        answer = {"lease": token, "kind": "value", "value": YES, "seconds_spent": 3.2}
        return client("POST", "/api/v1/answers", {"answers": [answer], "next": next_limit})

    def web_loop() -> None:
        client = clients[random.randrange(40)]  # noqa: S311
        send(client, leased(client), 0)

    loop = cpu_us(web_loop)
    tokens = {client: leased(client) for client in clients}

    def web_combined() -> None:
        client = clients[random.randrange(40)]  # noqa: S311
        tokens[client] = send(client, tokens[client], 1)["leases"][0]["lease"]

    combined = cpu_us(web_combined)
    say("web process: next + answer, CPU", f"{loop:.0f} us ({loop / hello:.1f}x)", "<= 8x")
    say("web process: answer -> next, CPU", f"{combined:.0f} us ({combined / hello:.1f}x)", "<= 6x")

    def block() -> None:
        client = clients[random.randrange(40)]  # noqa: S311
        leases = client("POST", f"/api/v1/projects/{slug}/leases", {"limit": 10})["leases"]
        answers = [
            {"lease": one["lease"], "kind": "value", "value": YES, "seconds_spent": 3.2} for one in leases
        ]
        client("POST", "/api/v1/answers", {"answers": answers, "next": 0})

    each = cpu_us(block, 20) / 10
    say("web process: blocks of 10, CPU a task", f"{each:.0f} us ({each / hello:.1f}x)")


# -- over HTTP ----------------------------------------------------------------------------------------


class Wire:
    """The cheapest HTTP client there is: the load must not eat the machine that it measures."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")
        self.cookie = b""

    def post(self, path: bytes, body: bytes) -> Any:
        self.socket.sendall(
            b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n%s\r\n%s"
            % (path, len(body), b"Cookie: %s\r\n" % self.cookie if self.cookie else b"", body)
        )
        status, length = self.file.readline(), 0
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"set-cookie" and not self.cookie:
                self.cookie = value.strip().split(b";")[0]
        reply = self.file.read(length)
        if b" 200 " not in status:
            raise RuntimeError(f"{status!r} {reply!r}")
        return orjson.loads(reply)


def load(port: int, slug: str, way: str, n_clients: int, seconds: float, counts: Any) -> None:
    """One process of `n_clients` threads that work through the project for so long."""
    until = time.monotonic() + seconds
    path = f"/api/v1/projects/{slug}/leases".encode()
    n_wanted = 10 if way == "blocks of 10" else 1

    def one(_: int) -> int:
        wire, done, leases = Wire(port), 0, []
        while time.monotonic() < until:
            leases = leases or wire.post(path, b'{"limit":%d}' % n_wanted)["leases"]
            answers = [{"lease": one["lease"], "kind": "value", "value": YES} for one in leases]
            said = wire.post(
                b"/api/v1/answers", orjson.dumps({"answers": answers, "next": int(way == "answer -> next")})
            )
            done += sum(receipt["status"] == "counted" for receipt in said["receipts"])
            leases = said["leases"]
        return done

    with ThreadPoolExecutor(n_clients) as pool:
        done = sum(pool.map(one, range(n_clients)))
    counts.put((done, time.process_time()))


def measure_http(site: Site, slug: str, n_tasks: int, seconds: float) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = site.settings
    log = settings.data.parent / "web.log"
    environment = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "MICROTASKS_DATA": str(settings.data),
        "MICROTASKS_SECRET_KEY": settings.secret_key.get_secret_value(),
        "MICROTASKS_WEB_PROCESSES": "2",
        "PATH": "/usr/bin:/bin",
    }
    with open(log, "wb") as out:
        web = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "microtasks", "web", "--port", str(port)],
            env=environment,
            stdout=out,
            stderr=out,
        )
    stop = threading.Event()

    def clock() -> None:
        while not stop.wait(2):
            sweep.sweep(site)
            sweep.advance_heads(site)

    threading.Thread(target=clock, daemon=True).start()
    try:
        until = time.monotonic() + 90
        while web.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError):
                Wire(port)
                break
            time.sleep(0.2)
        else:
            raise SystemExit(f"The web processes did not start; see {log}.")
        for way in ("next + answer", "answer -> next", "blocks of 10"):
            counts: Any = multiprocessing.Queue()
            loads = [
                multiprocessing.Process(target=load, args=(port, slug, way, 8, seconds, counts))
                for _ in range(2)
            ]
            pids = web.pid, postgres_pid(site)
            before = [cpu_seconds(pid) for pid in pids]
            begin = time.monotonic()
            for process in loads:
                process.start()
            sums = [counts.get() for _ in loads]
            elapsed = time.monotonic() - begin
            spent = [cpu_seconds(pid) - former for pid, former in zip(pids, before, strict=True)]
            for process in loads:
                process.join()
            done = sum(n for n, _ in sums)
            say(
                f"HTTP, 2 web processes, 16 clients, {n_tasks:,} tasks: {way}",
                f"{done / elapsed * 3600:,.0f} an hour",
                "> 2,000,000" if way != "blocks of 10" else "",
            )
            web_us, postgres_us, load_us = (
                each / done * 1e6 for each in (*spent, sum(cpu for _, cpu in sums))
            )
            say(
                "    CPU of each: web processes, PostgreSQL, the load itself",
                f"{web_us:.0f} + {postgres_us:.0f} + {load_us:.0f} us",
            )
        say("    memory of a web process after that", f"{largest_mb(web.pid):.0f} MB")
    finally:
        stop.set()
        web.terminate()
        web.wait()
    say("invariants broken after that", str(len(invariants.check(site))), "0")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=15, help="of each way over HTTP")
    parser.add_argument("--only", default="buffers,cpu,http")
    arguments = parser.parse_args()
    with fresh_site() as site:
        measure(site, arguments.tasks, arguments.seconds, arguments.only.split(","))


def measure(
    site: Site, n_tasks: int, seconds: float, only: Sequence[str] = ("buffers", "cpu", "http")
) -> None:
    """All of it on one project of that many tasks."""
    slug = make_project(site, n_tasks)
    if "buffers" in only:
        measure_buffers(site, slug, n_tasks)
    if "cpu" in only:
        measure_cpu(site, slug)
    if "http" in only:
        measure_http(site, slug, n_tasks, seconds)


if __name__ == "__main__":
    main()
