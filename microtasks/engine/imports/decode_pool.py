"""A few child processes that decode images: limited in memory and time, replaced when they die.

A thread of the parent talks to one child at a time over pipes: a line of JSON and the content go in, lines of
JSON come out. No fork of a process with threads, and a killed parent takes its children along, because their
input ends. `python -m microtasks.engine.imports.decode_pool` is the child.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

from PIL import Image

from microtasks.core import faults
from microtasks.core.errors import InputError, RowInvalid, Unavailable
from microtasks.engine.imports.decode import Derived, derive
from microtasks.store.files import Files

MEMORY_BYTES: Final = 1 << 30
#: Between two lines of a child: one image, or one tile of it.
SECONDS: Final = 30.0
MAX_PROCESSES: Final = 4
UNREADABLE: Final = "This image could not be read: it takes too much time or memory."


class Pool:
    """Children for `derive`; a context manager. Threads may use it at once: each gets a child."""

    def __init__(self, root: Path, max_pixels: int, seconds: float = SECONDS) -> None:
        self.n_processes = min(MAX_PROCESSES, len(os.sched_getaffinity(0)))
        self._root, self._max_pixels, self._seconds = root, max_pixels, seconds
        self._idle: list[_Child] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._idle:
            child.close()

    def derive(
        self,
        content: bytes,
        ending: str,
        tile_px: int | None = None,
        overlap_px: int = 0,
        *,
        is_look: bool = False,
    ) -> list[Derived]:
        """The image and then its tiles, as `images.derive`. Raises RowInvalid; Unavailable for a full disk.

        A child that dies or hangs is replaced, and the image tried once more before it is listed.
        """
        order = {
            "n_bytes": len(content),
            "ending": ending,
            "root": str(self._root),
            "max_pixels": self._max_pixels,
            "tile_px": tile_px,
            "overlap_px": overlap_px,
            "is_look": is_look,
        }
        for _ in range(2):
            with self._lock:
                child = self._idle.pop() if self._idle else None
            child = child or _Child()
            try:
                found = list(child.ask(order, content, self._seconds))
            except (RowInvalid, Unavailable):
                self._put_back(child)
                raise
            except TimeoutError:
                child.close()
                break
            except OSError:
                child.close()
            except BaseException:
                child.close()
                raise
            else:
                self._put_back(child)
                return found
        raise RowInvalid(UNREADABLE)

    def _put_back(self, child: _Child) -> None:
        with self._lock:
            self._idle.append(child)


class _Child:
    """One child process. OSError when it is gone; TimeoutError when it is silent too long."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "microtasks.engine.imports.decode_pool"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        self._unread = b""

    def ask(self, order: dict[str, Any], content: bytes, seconds: float) -> Iterator[Derived]:
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.write(content)
        self._process.stdin.flush()
        while (said := json.loads(self._line(seconds))) != {}:
            if "fault" in said:
                raise Unavailable(said["fault"])
            if "reason" in said:
                raise RowInvalid(said["reason"])
            yield Derived(**said)

    def _line(self, seconds: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101
        while b"\n" not in self._unread:
            if not select.select([self._process.stdout], [], [], seconds)[0]:
                raise TimeoutError
            received = os.read(self._process.stdout.fileno(), 1 << 16)
            if not received:
                raise ConnectionResetError
            self._unread += received
        line, self._unread = self._unread.split(b"\n", 1)
        return line

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what was not written yet goes nowhere
                pipe.close()  # type: ignore[union-attr]
        self._process.wait()


def _answers(order: dict[str, Any], content: bytes) -> Iterator[dict[str, Any]]:
    try:
        for derived in derive(
            content,
            order["ending"],
            Files(Path(order["root"])),
            order["max_pixels"],
            order["tile_px"],
            order["overlap_px"],
            is_look=order["is_look"],
        ):
            yield derived.to_json()
    except InputError as error:
        yield {"reason": error.message}
    except MemoryError:
        yield {"reason": UNREADABLE}
    except OSError as error:  # of the disk: the image is as good as it was
        sentence = faults.reason(error)
        if sentence is None:
            raise
        yield {"fault": sentence}
    else:
        yield {}


def main() -> None:
    """Answer orders until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    orders, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := orders.readline():
        order = json.loads(line)
        Image.MAX_IMAGE_PIXELS = order["max_pixels"]
        content = orders.read(order["n_bytes"])
        for answer in _answers(order, content):
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()
