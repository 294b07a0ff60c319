"""Request bodies that come slowly: nobody who sends one, and no number of them, keeps others waiting.

The server hands over a request when its header is there; its body may take for ever. So there are many
threads and few turns: a thread has a turn while it works, and gives it back while it waits for a body. One
address may wait in so many threads only, and connections that have sent nothing for a while are closed.
"""

from __future__ import annotations

import io
import os
import socket
import stat
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.exceptions import TooManyRequests

from microtasks.web.requests import guards

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Threads of a process that may wait for bodies, besides those that work. Idle ones cost next to nothing.
WAITING_THREADS = 120
#: Bodies of one address that are waited for at once: such that have kept us waiting for a second, and any.
SLOW_PER_ADDRESS, ANY_PER_ADDRESS = 16, 60
SLOW_S = 1.0
#: With more waiting threads than this, connections that are waited for and silent are closed: after so long,
#: and sooner when most of the threads wait.
CALM_MAX = 8
SILENT_S, SILENT_S_WHEN_CROWDED = 10.0, 2.0
CROWDED = WAITING_THREADS * 2 // 3
WATCH_S = 1.0
#: A body of no more than this is read whole before the request gets a turn.
SMALL_BYTES = 64 << 10
#: Milliseconds since the last byte came, in Linux' struct tcp_info.
_LAST_DATA_RECEIVED = struct.Struct("52xI")


def init_app(app: Flask) -> None:
    """Put the turns around the app. Call last but for what finds out the client's address."""
    app.wsgi_app = Turns(app.wsgi_app, app.extensions["microtasks"].settings.web_threads)  # type: ignore[method-assign]


class _Tokens:
    """A semaphore in C. That of threading is Python around a lock: a quarter of a web process's time."""

    def __init__(self, n: int) -> None:
        self.tokens: SimpleQueue[None] = SimpleQueue()
        for _ in range(n):
            self.tokens.put(None)
        self.acquire = self.tokens.get

    def release(self) -> None:
        self.tokens.put(None)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.tokens.put(None)


class Turns:
    """A WSGI app that lets `n` requests be worked on at once, and any number wait for their bodies."""

    def __init__(self, app: WSGIApplication, n: int) -> None:
        self.app = app
        self.turns = _Tokens(n)
        self.lock = threading.Lock()
        self.since: dict[str, list[float]] = defaultdict(list)
        self.n_waiting = 0
        self.watcher: threading.Thread | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH") in (None, "", "0") and "HTTP_TRANSFER_ENCODING" not in environ:
            with self.turns:
                return self.app(environ, start_response)
        address, length = environ.get("REMOTE_ADDR", ""), environ.get("CONTENT_LENGTH", "")
        if length.isascii() and length.isdigit() and int(length) <= SMALL_BYTES:
            # Before its turn: nearly always all of it is here already, and two changes of turns are spared.
            try:
                begun = self.begin(address)
            except TooManyRequests:
                content, environ[guards.IS_CROWDED] = b"", True
            else:
                try:
                    content = environ["wsgi.input"].read(int(length))
                finally:
                    self.end(address, begun)
            environ["wsgi.input"] = io.BytesIO(content)
            with self.turns:
                return self.app(environ, start_response)
        body = Body(self, environ["wsgi.input"], address)
        environ["wsgi.input"] = body
        with self.turns:
            try:
                return self.app(environ, start_response)
            finally:
                body.has_turn = False

    def begin(self, address: str) -> float:
        """Wait for a body from there: note it. Errors: TooManyRequests (429)."""
        now = time.monotonic()
        with self.lock:
            since = self.since[address]
            n_slow = sum(now - begun > SLOW_S for begun in since)
            if n_slow >= SLOW_PER_ADDRESS or len(since) >= ANY_PER_ADDRESS:
                raise TooManyRequests(guards.CROWDED)
            since.append(now)
            self.n_waiting += 1
            if self.n_waiting > CALM_MAX and self.watcher is None:
                self.watcher = threading.Thread(target=self.watch, daemon=True, name="silent connections")
                self.watcher.start()
        return now

    def end(self, address: str, begun: float) -> None:
        with self.lock:
            self.n_waiting -= 1
            self.since[address].remove(begun)
            if not self.since[address]:
                del self.since[address]

    def watch(self) -> None:
        """Close silent connections as long as this process lives."""
        while True:
            time.sleep(WATCH_S)
            limit_s = SILENT_S_WHEN_CROWDED if self.n_waiting > CROWDED else SILENT_S
            now = time.monotonic()
            with self.lock:
                late = {address for address, since in self.since.items() if now - min(since) > limit_s}
            if late:
                close_silent(late, limit_s)


def close_silent(addresses: Collection[str], silent_s: float) -> int:
    """Close connections with these addresses that have sent nothing for so long; return how many.

    Idle ones go, too: a browser opens another. Linux alone says how long a connection was silent; elsewhere
    nothing is closed, and a proxy has to do it.
    """
    n_closed = 0
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as connection:
                peer = connection.getpeername()
                if connection.family not in (socket.AF_INET, socket.AF_INET6):
                    continue
                address = peer[0].removeprefix("::ffff:")
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
                if address in addresses and _LAST_DATA_RECEIVED.unpack_from(info)[0] > silent_s * 1000:
                    connection.shutdown(socket.SHUT_RDWR)
                    n_closed += 1
        except OSError:
            continue  # closed meanwhile, or not connected
    return n_closed


class Body:
    """`wsgi.input`: gives the turn back while it waits."""

    def __init__(self, turns: Turns, inner: Any, address: str) -> None:
        self.turns, self.inner, self.address = turns, inner, address
        self.has_turn = True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all there are for -1. Errors: TooManyRequests (429)."""
        if not self.has_turn:
            return bytes(self.inner.read(size))
        begun = self.turns.begin(self.address)
        self.turns.turns.release()
        try:
            return bytes(self.inner.read(size))
        finally:
            self.turns.turns.acquire()
            self.turns.end(self.address, begun)

    def readline(self, size: int = -1) -> bytes:
        return bytes(self.inner.readline(size))

    def readlines(self, hint: int = -1) -> list[bytes]:
        return list(self.inner.readlines(hint))

    def __iter__(self) -> Iterator[bytes]:
        yield from self.inner
