"""Temporarily lower the interpreter's thread switch interval, for a thread that reads while another computes.

libpq delivers a little at a time. For each piece the reading thread would wait another 5 ms, Python's default
switch interval, for the computing one: a fifth of the time of a long export.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERVAL_S = 0.0002

_lock = threading.Lock()
_n_active = 0
_default_s = sys.getswitchinterval()


@contextmanager
def short_turns() -> Iterator[None]:
    """Switch this process's threads every `INTERVAL_S` seconds until the last caller leaves."""
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(step: int) -> None:
    global _n_active  # the interpreter has one interval for all threads
    with _lock:
        _n_active += step
        sys.setswitchinterval(INTERVAL_S if _n_active else _default_s)
