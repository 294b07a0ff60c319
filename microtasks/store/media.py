"""Files by their content's hash: temporary name, fsync, rename, and only then the row that names them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path


class Files:
    """`originals/ab/abcdef...` and `derived/ab/abcdef....webp` below one folder. Names are SHA-256, never a user's."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, kind: str, content: bytes) -> str:
        """Store the bytes; return their SHA-256 (hex). Storing the same bytes again changes nothing."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.path(kind, digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
        return digest

    def path(self, kind: str, digest: str) -> Path:
        """Where the file of that hash lies: kind is "originals" or "derived"."""
        if (
            kind not in ("originals", "derived")
            or len(digest) != 64
            or not set(digest) <= set("0123456789abcdef")
        ):
            raise ValueError(f"not a stored file: {kind}/{digest}")
        return self.root / kind / digest[:2] / (digest + (".webp" if kind == "derived" else ""))
