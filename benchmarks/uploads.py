"""A large upload through the site's own pages: memory of every process, and going on after a break.

    python -m benchmarks.uploads [--images 5000] [--rows 200000] [--part 20]

A web process and a worker of their own, as in production. A script makes a ZIP of images and a CSV; both go
in as the owner's page sends them: in pieces, looked through, made into tasks. First a small upload (a part of
the whole), then, with fresh processes, the whole one: the highest resident memory of each process, large
beside small. In the large run the web process is killed in the middle of the sending, and the worker in the
middle of making tasks; both are started again, the sending asks how much is there, and goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib import error, parse, request

from PIL import Image

from benchmarks.scene import CONFIG, fresh_site, say, settings_of
from microtasks.engine.accounts import accounts
from microtasks.engine.operations import invariants, jobs
from microtasks.engine.site import Site
from microtasks.store.imports import batches

PORT = 8790
ADDRESS = f"http://127.0.0.1:{PORT}"
CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
#: Pixels of each image: noise as JPEG, no two alike.
SIZE = (480, 360)
LINE = "{n},Statement {n} of a long list that nobody has read yet,box {box}\n"
ROLES = {"web": "the web process", "worker": "the worker and its helpers", "postgres": "a PostgreSQL backend"}


class Memory:
    """The highest resident memory of the processes of each role, in MB: looked at now and then."""

    def __init__(self, site: Site) -> None:
        self.roots: dict[str, int] = {}
        self.peak: dict[str, float] = defaultdict(float)
        with site.db.connection() as connection:
            [(own,)] = connection.execute("SELECT pg_backend_pid()")
        self.roots["postgres"] = _status(own)["PPid"]

    def look(self) -> None:
        """Take each process's own peak; of PostgreSQL what is not shared, as it is now."""
        children: dict[int, list[int]] = defaultdict(list)
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError, KeyError, ValueError):
                    found[int(folder.name)] = status = _status(int(folder.name))
                    children[status["PPid"]].append(int(folder.name))
        for role, root in self.roots.items():
            waiting = [root]
            while waiting:
                process = waiting.pop()
                waiting += children[process]
                size = found.get(process, {}).get("RssAnon" if role == "postgres" else "VmHWM", 0)
                self.peak[role] = max(self.peak[role], size / 1024)


def _status(process: int) -> dict[str, int]:
    lines = (line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return {name: int(text.split()[0]) for name, text in lines if name in ("PPid", "VmHWM", "RssAnon")}


class Processes:
    """A web process and a worker of the site, which can be killed and started again."""

    def __init__(self, site: Site, memory: Memory) -> None:
        known = settings_of(site)
        self.memory = memory
        self.environment = os.environ | {
            "DATABASE_URL": known["database_url"],
            "REDIS_URL": known["redis_url"],
            "MICROTASKS_DATA": known["data"],
            "MICROTASKS_SECRET_KEY": known["secret_key"],
            "MICROTASKS_WEB_PROCESSES": "1",
            "MICROTASKS_JOB_STALE_SECONDS": "5",
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str) -> None:
        command = {
            "web": [str(Path(sys.executable).parent / "microtasks"), "web", "--port", str(PORT)],
            "worker": [sys.executable, "-m", "workers"],
        }
        self.running[role] = subprocess.Popen(  # noqa: S603
            command[role], env=self.environment, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self.memory.roots[role] = self.running[role].pid
        if role == "web":
            until(Owner.is_up, seconds=120)

    def kill(self, role: str) -> None:
        """End it and its children at once, without a word."""
        process = self.running.pop(role)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(is_so: Callable[[], Any], seconds: float = 3600, pause: float = 0.2) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit("This took too long.")
        time.sleep(pause)


class Owner:
    """The owner's browser."""

    def __init__(self, link: str) -> None:
        self.opener = request.build_opener(request.HTTPCookieProcessor(CookieJar()))
        self.token = CSRF.search(self.get(link))[1]  # type: ignore[index]
        self.form(link)
        self.token = CSRF.search(self.get("/owner/account"))[1]  # type: ignore[index]

    @staticmethod
    def is_up() -> bool:
        with contextlib.suppress(OSError):
            request.urlopen(f"{ADDRESS}/healthz").close()  # noqa: S310  (our own site)
            return True
        return False

    def get(self, path: str) -> str:
        with self.opener.open(ADDRESS + path, timeout=600) as answer:
            return str(answer.read().decode())

    def form(self, path: str, **fields: str) -> None:
        body = parse.urlencode({"csrf_token": self.token, **fields}).encode()
        self.opener.open(ADDRESS + path, body, timeout=600).close()

    def send(self, path: str, body: bytes, kind: str = "application/octet-stream") -> dict[str, Any]:
        headers = {"X-CSRF-Token": self.token, "Content-Type": kind, "Accept": "application/json"}
        asked = request.Request(ADDRESS + path, body, headers)  # noqa: S310  (our own site)
        with self.opener.open(asked, timeout=600) as answer:
            return dict(json.load(answer))


def images(path: Path, n: int, seed: int) -> None:
    """A ZIP of n different photographs of nothing."""
    rng = random.Random(seed)  # noqa: S311
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(n):
            file = io.BytesIO()
            small = Image.frombytes("L", (120, 90), rng.randbytes(120 * 90))
            small.resize(SIZE).convert("RGB").save(file, "JPEG", quality=80)
            archive.writestr(f"plate-{number:05}.jpg", file.getvalue())


def table(path: Path, n: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("id,text,#box\n")
        file.writelines(LINE.format(n=number, box=number // 100) for number in range(n))


def put(owner: Owner, processes: Processes, slug: str, path: Path, memory: Memory, *, is_cut: bool) -> int:
    """Send a file in pieces as the page's script does; return the batch. is_cut: the server dies once."""
    size = path.stat().st_size
    begin = f"/owner/projects/{slug}/sendings"
    listed = json.dumps({"files": [{"name": path.name, "size": size}]}).encode()
    state = owner.send(begin, listed, "application/json")
    at, again = 0, 0
    with path.open("rb") as file:
        while at < size:
            if is_cut and not again and at >= size // 2:
                processes.kill("web")
                with contextlib.suppress(error.URLError, OSError):
                    owner.send(f"{begin}/{state['id']}/0?offset={at}", b"lost")
                    raise SystemExit("A dead server has answered.")
                processes.start("web")
                at = again = json.loads(owner.get(f"{begin}/{state['id']}"))["files"][0]["received"]
            file.seek(at)
            piece = file.read(state["piece_bytes"])
            at = owner.send(f"{begin}/{state['id']}/0?offset={at}", piece)["received"]
            memory.look()
    if is_cut:
        say(f"{path.name}: went on after the server's end at", f"{again >> 20:,} of {size >> 20:,} MB", "> 0")
    address = owner.send(f"{begin}/{state['id']}/finish", b"{}", "application/json")["location"]
    return int(address.rsplit("/", 1)[1])


def make(
    owner: Owner, processes: Processes, site: Site, slug: str, batch: int, memory: Memory, *, is_cut: bool
) -> dict[str, Any]:
    """Look through the upload and make its tasks; return the last progress. is_cut: the worker dies once."""
    page = f"/owner/projects/{slug}/batches/{batch}"
    facts: dict[str, Any] = {}

    def look(is_so: Callable[[dict[str, Any]], Any]) -> bool:
        facts.update(json.loads(owner.get(f"{page}.json")))
        memory.look()
        jobs.ring_waiting(site)  # what the clock does
        if facts["state"] == "failed":
            raise SystemExit(facts["error"])
        return bool(is_so(facts))

    until(lambda: look(lambda now: now["is_looked_through"]))
    owner.form(f"{page}/look", step="make")
    if is_cut:
        until(lambda: look(lambda now: now["rows_done"]), pause=0.02)
        processes.kill("worker")
        with site.db.session() as session:
            there = batches.get(session, batch).n_tasks
        say("tasks there when the worker was killed", f"{there:,}", "> 0, not all")
        processes.start("worker")
    until(lambda: look(lambda now: now["state"] == "done"))
    return facts


def run(site: Site, folder: Path, n_images: int, n_rows: int, *, is_cut: bool) -> dict[str, float]:
    """Both uploads with fresh processes; return the highest memory of each role in MB."""
    memory = Memory(site)
    processes = Processes(site, memory)
    images(folder / "plates.zip", n_images, n_images)
    table(folder / "lines.csv", n_rows)
    try:
        for role in ("web", "worker"):
            processes.start(role)
        email = f"owner-{n_images}@example.org"
        owner = Owner(f"/owner/sign-in/{accounts.create_owner(site, email)}")
        for name, wanted in (("plates.zip", n_images), ("lines.csv", n_rows)):
            slug = project(site, email)
            begin = time.monotonic()
            batch = put(owner, processes, slug, folder / name, memory, is_cut=is_cut)
            facts = make(owner, processes, site, slug, batch, memory, is_cut=is_cut)
            minutes = (time.monotonic() - begin) / 60
            say(f"{name}: tasks, failed rows", f"{facts['n_tasks']:,}, {facts['n_failed']}", f"{wanted:,}, 0")
            say(f"{name}: {(folder / name).stat().st_size >> 20:,} MB, minutes from first piece to last task",
                f"{minutes:.1f}")  # fmt: skip
            owner.get(f"/owner/projects/{slug}/batches/{batch}")
            memory.look()
    finally:
        for role in tuple(processes.running):
            processes.kill(role)
    return dict(memory.peak)


def project(site: Site, email: str) -> str:
    """A draft of that owner."""
    slug = f"upload-{random.randrange(1 << 32):08x}"  # noqa: S311
    with site.db.connection() as connection:
        connection.execute(
            """WITH made AS (
                   INSERT INTO project (account_id, slug, name, purpose, instructions, thanks, topic,
                                        task_type, config, state)
                   SELECT id, %s, 'Upload', '', '', '', '', 'question', %s, 'draft'
                   FROM account WHERE email = %s RETURNING id, config)
               INSERT INTO project_config (project_id, version, config) SELECT id, 1, config FROM made""",
            (slug, json.dumps(CONFIG), email),
        )
    return slug


@contextlib.contextmanager
def a_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mtu", dir="/var/tmp") as name:
        yield Path(name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--part", type=int, default=20, help="the small upload is one part of so many")
    options = parser.parse_args()
    if Owner.is_up():
        raise SystemExit(f"Something answers on port {PORT} already.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    say("WHAT", "MEASURED", "TARGET")
    say("load of the machine before, processors", f"{os.getloadavg()[0]:.1f}, {os.cpu_count()}")
    with fresh_site() as site, a_folder() as folder:
        part = options.part
        small = run(site, folder, options.images // part, options.rows // part, is_cut=False)
        large = run(site, folder, options.images, options.rows, is_cut=True)
        for role, name in ROLES.items():
            ratio = large[role] / small[role]
            say(
                f"peak memory of {name}, small -> large",
                f"{small[role]:.0f} -> {large[role]:.0f} MB ({ratio:.2f}x)",
                "flat",
            )
        say("broken promises after that", str(len(invariants.check(site))), "0")


if __name__ == "__main__":
    main()
