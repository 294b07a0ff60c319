"""The supervisor: order, restarts with patience, and an end that ends everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from microtasks.local.servers import Process, spawn
from microtasks.local.supervisor import Part, Stopped, Supervisor, stopping_on_signals


def part(name: str, code: str, log: Path | None = None) -> Part:
    """A part that runs these lines of Python."""

    def start() -> Process:
        with open(log or os.devnull, "ab") as out:
            return spawn([sys.executable, "-c", code], stdout=out, stderr=out)

    return Part(name, start, log=log)


SLEEP = "import time; time.sleep(60)"


def until(condition: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_dies_is_started_again_and_its_last_words_are_told(tmp_path: Path):
    said: list[str] = []
    whole = Supervisor(said.append)
    one = whole.add(part("one", f"print('no more ink', flush=True); {SLEEP}", tmp_path / "log"))
    assert one.process is not None
    first = one.process
    until(lambda: "ink" in (tmp_path / "log").read_text())
    first.kill()
    first.wait()
    until(lambda: (whole.watch(), one.process not in (None, first))[1])
    assert "one was killed by signal 9" in said[0] and "no more ink" in said[0]
    whole.stop()


def test_a_part_that_always_dies_is_tried_more_and_more_rarely():
    whole = Supervisor(lambda _: None)
    one = whole.add(part("one", "raise SystemExit(3)"))
    waits = []
    for _ in range(8):
        assert one.process is not None
        one.process.wait()
        whole.watch()
        waits.append(one.wait_s)
        one.due_at = 0.0
        whole.watch()
    assert waits == sorted(waits) and waits[0] < 1 and waits[-1] == 30
    whole.stop()


def test_a_part_that_cannot_be_started_does_not_stop_the_others():
    said: list[str] = []
    whole = Supervisor(said.append)
    broken = Part("broken", lambda: spawn(["/nowhere"]), process=spawn([sys.executable, "-c", "pass"]))
    whole.add(broken)
    other = whole.add(part("other", SLEEP))
    assert broken.process is not None
    broken.process.wait()
    whole.watch()
    broken.due_at = 0.0
    whole.watch()
    assert any("broken could not be started" in sentence for sentence in said)
    assert other.process is not None and other.process.poll() is None
    whole.stop()


def test_the_end_takes_grandchildren_and_the_stubborn_along(tmp_path: Path):
    """Also a grandchild in a process group of its own, as a job's process is."""
    code = f"""
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], process_group=0)
print(child.pid, flush=True)
{SLEEP}
"""
    whole = Supervisor(lambda _: None)
    one = whole.add(part("one", code, tmp_path / "log"))
    until(lambda: (tmp_path / "log").read_text().strip())
    grandchild = os.pidfd_open(int((tmp_path / "log").read_text()))
    process = one.process
    whole.stop(seconds=0.2)
    assert process is not None and process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        until(lambda: signal.pidfd_send_signal(grandchild, 0))
    os.close(grandchild)


def test_signals_stop_the_block_even_where_they_were_ignored():
    """A shell's background job inherits an ignored SIGINT."""
    code = """
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from microtasks.local.supervisor import Stopped, stopping_on_signals
try:
    with stopping_on_signals():
        os.kill(os.getpid(), signal.SIGINT)
except Stopped:
    print('stopped')
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "stopped\n"
    with pytest.raises(Stopped), stopping_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
