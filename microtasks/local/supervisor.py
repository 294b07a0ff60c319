"""Keep a few processes running: start them in order, start again what dies, stop them in reverse."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from microtasks.local.servers import Process

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
#: A process that ran for so long is not in a crash loop.
_HEALTHY_S = 60.0


class Stopped(BaseException):
    """Someone asked this process to end. Not an error: nothing but the supervisor may catch it."""


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise Stopped in the block on Ctrl-C, SIGTERM, or a closed terminal; afterwards ignore them.

    Set explicitly: a shell's background job inherits an ignored SIGINT.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, frame: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped

    former = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class Part:
    """One process of the whole, how it is started, and what it takes to end it."""

    name: str
    start: Callable[[], Process]
    end_signal: int = signal.SIGTERM
    log: Path | None = None
    process: Process | None = None
    started_at: float = 0.0
    wait_s: float = 0.0
    due_at: float = field(default=0.0)

    def launch(self) -> None:
        self.process = self.start()
        self.started_at = time.monotonic()


class Supervisor:
    """Parts in their order of start. `say` gets one sentence when something happens to one of them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.parts: list[Part] = []
        self.say = say

    def add(self, part: Part) -> Part:
        """Take a part under care, and start it unless it runs already."""
        self.parts.append(part)
        if part.process is None:
            part.launch()
        else:
            part.started_at = time.monotonic()
        return part

    def watch(self) -> None:
        """Start again, after a growing pause, what has ended. Call it often; it does not block."""
        now = time.monotonic()
        for part in self.parts:
            if part.process is None:
                if now >= part.due_at:
                    self._again(part)
            elif part.process.poll() is not None:
                code = part.process.returncode
                end_session(part.process.pid)  # its own children
                part.wait_s = (
                    0.0 if now - part.started_at > _HEALTHY_S else min(part.wait_s * 2 or _FIRST_WAIT_S, 30)
                )
                part.process, part.due_at = None, now + part.wait_s
                how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
                self.say(f"{part.name} {how} and is started again.{_last_line(part.log)}")

    def _again(self, part: Part) -> None:
        try:
            part.launch()
        except Exception as error:  # the rest goes on while this one cannot
            part.wait_s = min(part.wait_s * 2 or _FIRST_WAIT_S, _LONGEST_WAIT_S)
            part.due_at = time.monotonic() + part.wait_s
            self.say(f"{part.name} could not be started: {error}")

    def stop(self, parts: list[Part] | None = None, seconds: float = 10) -> None:
        """End these parts (all of them), the last one first; kill what does not end in time."""
        parts = self.parts if parts is None else parts
        running = [part for part in reversed(parts) if part.process is not None]
        for part in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(part.process.pid, part.end_signal)  # type: ignore[union-attr]
        deadline = time.monotonic() + seconds
        for part in running:
            assert part.process is not None  # noqa: S101
            while part.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            end_session(part.process.pid)
            part.process.wait()
            part.process = None


def end_session(session: int) -> None:
    """Kill every process of a session: a part and all its descendants, also those in groups of their own."""
    if sys.platform != "linux":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGKILL)
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(int(entry.name)) == session:
                    os.kill(int(entry.name), signal.SIGKILL)


def _last_line(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return f" Its log ({log}) ends: {lines[-1][:300]}" if lines else ""
