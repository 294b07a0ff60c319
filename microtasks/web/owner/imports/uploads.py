"""Big uploads to disk: each file of a form goes to a file of its own below the data folder, never to memory.

Werkzeug keeps small files in memory and holds every bigger one open until the request ends: a folder of
thousands of images would need gigabytes, and more open files than a process may have.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from flask import Request, current_app

from microtasks.engine.site import Site

#: What a killed process left behind is removed after a day.
LEFTOVER_SECONDS = 86400
#: Routes that take as many files as a batch may have.
TAKE_FILES = ("owner.receive", "token.add_batch")


class UploadRequest(Request):
    """A request whose files are written below `data/incoming`, and gone when it ends."""

    _folder: Path | None = None

    @property  # type: ignore[misc]  # nobody sets it on our requests
    def max_form_parts(self) -> int | None:  # type: ignore[override]
        site: Site = current_app.extensions["microtasks"]
        return site.settings.max_batch_files + 20 if self.endpoint in TAKE_FILES else 5_000

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        if self._folder is None:
            self._folder = _folder(current_app.extensions["microtasks"])
            self._parts: list[Part] = []
        self._parts.append(Part(self._folder / str(len(self._parts))))
        return self._parts[-1]  # type: ignore[return-value]

    def close(self) -> None:
        super().close()
        if self._folder is not None:
            for part in self._parts:
                part.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


class Part:
    """One file of a form, on disk at `path`; open only while it is written or read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] = path.open("w+b")

    def write(self, content: bytes) -> int:
        return self._file.write(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Close: the reader of forms rewinds a part once it is complete."""
        self._file.close()
        return 0

    def close(self) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        if self._file.closed:
            self._file = self.path.open("rb")
        return getattr(self._file, name)


def _folder(site: Site) -> Path:
    parent = site.settings.data / "incoming"
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.iterdir():
        if old.stat().st_mtime < time.time() - LEFTOVER_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=parent))
