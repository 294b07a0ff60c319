"""`simulate`: volunteers of known skill, in parallel, through the public API."""

from __future__ import annotations

import http.client
import json
import logging
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from microtasks.cli import Failure, main, open_cli_site
from microtasks.core.errors import Unavailable

if TYPE_CHECKING:
    from microtasks.engine.operations.simulate import Volunteer
    from microtasks.engine.site import Site

TIMEOUT_S = 60
#: A reply may be lost on the way, a server may restart: the same request is sent so many times in all.
TRIES = 6
#: Told that there is nothing for now, a volunteer asks again so many times before they go.
PATIENCE, PAUSE_S = 8, 0.25


@main.command()
@click.argument("slug")
@click.option("--volunteers", "n", type=click.IntRange(1, 2000), required=True, help="How many, all at once.")
@click.option(
    "--accuracy",
    type=click.FloatRange(0, 1),
    default=0.85,
    show_default=True,
    help="How often they are right, on average; some are better, some worse.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same people.")
@click.option(
    "--url", metavar="BASE", help="Address of the site. Default: the running `up`, or a server of its own."
)
def simulate(slug: str, n: int, accuracy: float, seed: int, url: str | None) -> None:
    """Let N simulated volunteers work on project SLUG until nothing is left for them.

    They use the public API as any client does, each with a cookie and a skill of their own. They know the
    right answers from gold or a hidden column `#truth`; where there is none they share a made-up truth.
    Prints what became of their answers, and how near the consensus comes to the truth where it is known.
    """
    from microtasks.engine.operations import simulate as engine

    with open_cli_site() as site, _address(site, url) as base:
        right = engine.known_truth(site, slug)
        people = engine.volunteers(n, accuracy, seed)
        wanted = _wanted(base, slug)
        counts = _work(base, slug, people, right, wanted)
        lines: dict[str, int | str] = {
            name: counts[name] for name in ("counted", "surplus", "duplicate", "rejected", "errors")
        }
        if right:
            compared = engine.compare(site, slug, right)
            lines["consensus"] = compared.n_with_consensus
            lines["consensus_accuracy"] = "" if compared.score is None else f"{compared.score:.3f}"
    for name, value in lines.items():
        click.echo(f"{name}: {value}")
    for example in list(counts.examples)[:3]:
        click.echo(example, err=True)
    if counts["errors"] or counts["rejected"]:
        raise Failure("Some answers did not get through.")
    if not counts["counted"]:
        raise Failure("There was nothing to do: no answer was counted.")


def _wanted(base: str, slug: str) -> int:
    """Answers still wanted. Errors: Failure when the project is not there."""
    status, body = Client(base).send("GET", f"/projects/{slug}")
    if status != 200:
        raise Failure(f"{base}: {body.get('message', status)}")
    progress = body["progress"]
    return int(progress["answers_wanted"] - progress["answers"])


class Counts(Counter[str]):
    """What became of the answers, and a few of the complaints. Guarded by `lock`."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.examples: set[str] = set()

    def note(self, name: str, example: str = "") -> None:
        with self.lock:
            self[name] += 1
            if example and len(self.examples) < 10:
                self.examples.add(example)


def _work(
    base: str, slug: str, people: list[Volunteer], right: Mapping[int, Mapping[str, Any]], wanted: int
) -> Counts:
    """Let all work at once, showing progress; return the counts."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    counts, stop = Counts(), threading.Event()
    threads = [
        threading.Thread(target=_volunteer, args=(base, slug, person, right, counts, stop), daemon=True)
        for person in people
    ]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(f"{len(people)} volunteers", total=wanted)
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                threads[0].join(0.1)
                next((thread for thread in threads if thread.is_alive()), threads[0]).join(0.1)
                progress.update(bar, completed=counts["counted"])
        except KeyboardInterrupt:
            stop.set()
            raise
        progress.update(bar, completed=counts["counted"])
    return counts


def _volunteer(
    base: str,
    slug: str,
    person: Volunteer,
    right: Mapping[int, Mapping[str, Any]],
    counts: Counts,
    stop: threading.Event,
) -> None:
    """Work until told that the project is complete, or several times that there is nothing for me."""
    client = Client(base)
    empty = 0
    leases: list[dict[str, Any]] = []
    try:
        while not stop.is_set():
            if not leases:
                status, body = client.send("POST", f"/projects/{slug}/leases", {"limit": 1})
                if status != 200:
                    counts.note("errors", f"{status}: {body.get('message')}")
                    return
                leases = body["leases"]
                if not leases:
                    empty += 1
                    if body["reason"] in ("complete", "paused") or empty > PATIENCE:
                        return
                    stop.wait(min(body["retry_after_s"] or PAUSE_S, PAUSE_S))
                    continue
            empty = 0
            lease = leases[0]
            task = lease["task"]
            sent = {
                "lease": lease["lease"],
                "kind": "value",
                "value": person.answer(task, right.get(task["id"])),
                "seconds_spent": person.seconds(task["type"]),
            }
            status, body = client.send("POST", "/answers", {"answers": [sent], "next": 1})
            if status != 200:
                counts.note("errors", f"{status}: {body.get('message')}")
                return
            receipt = body["receipts"][0]
            if receipt["status"] == "rejected":
                counts.note("rejected", f"{receipt['error']['message']} {receipt['error']['details']}")
                return
            counts.note(receipt["status"])
            leases = body["leases"]
    except Exception as error:
        counts.note("errors", f"{type(error).__name__}: {error}")
    finally:
        client.close()


class Client:
    """One contributor's connection: keep-alive, a cookie jar, and the same request again if it got lost."""

    def __init__(self, base: str) -> None:
        address = urlsplit(base if "//" in base else f"http://{base}")
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(address.netloc, timeout=TIMEOUT_S)
        self._path = address.path.rstrip("/") + "/api/v1"
        self._cookies: dict[str, str] = {}

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the reply. Errors: Unavailable after several tries."""
        sent = None if body is None else json.dumps(body).encode()
        problem: object = None
        for attempt in range(TRIES):
            if attempt:
                time.sleep(min(0.1 * 2**attempt, 2))
            headers = {"Accept": "application/json"}
            if sent is not None:
                headers["Content-Type"] = "application/json"
            if self._cookies:
                headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            try:
                self._connection.request(method, self._path + path, sent, headers)
                reply = self._connection.getresponse()
                content = reply.read()
            except (OSError, http.client.HTTPException) as error:
                problem = error
                self._connection.close()
                continue
            for line in reply.headers.get_all("Set-Cookie", []):
                for name, morsel in SimpleCookie(line).items():
                    self._cookies[name] = morsel.value
            if reply.status in (429, 503):
                problem = f"{reply.status}"
                continue
            try:
                return reply.status, json.loads(content)
            except ValueError:
                return reply.status, {"message": "The reply was not JSON."}
        raise Unavailable(f"The site does not answer: {problem}")

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _address(site: Site, url: str | None) -> Iterator[str]:
    """Where the site is: as told, the running `up`, or a server in this process for this command."""
    running = url or _running(site)
    if running:
        yield running.rstrip("/")
        return
    from werkzeug.serving import WSGIRequestHandler, make_server

    from microtasks.web import create_app

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # keep-alive

        def log(self, *_: object, **__: object) -> None:
            pass

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, create_app(site=site), threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _running(site: Site) -> str | None:
    """The address of an `up` that serves this very site, if it answers."""
    from microtasks.local import embedded

    state = embedded.state(site.settings.data) or {}
    address = state.get("address")
    if not address or state.get("database_url") != site.settings.database_url:
        return None
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=5):  # noqa: S310  (an address of our own)
            return str(address)
    except OSError:
        return None
