"""Files that belong to rows: in the data folder, or in a bucket of S3-compatible storage for all hosts.

Images are named by their content's hash (temporary name, fsync, rename, only then the row). Folders of files
(an upload until it is imported, an export until it is old) have random names. Never a user's name.

Nothing heavy is imported here: the processes that decode images have little memory and use `Files` alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlsplit

from microtasks.core.errors import SettingsInvalid, Unavailable

KINDS: Final = ("originals", "derived")
PIECE_BYTES: Final = 8 << 20
#: In the name of a piece of a file, before where it begins.
PIECE_MARK: Final = "@"
#: A bucket answers in some milliseconds each: many at once.
THREADS: Final = 16
ASKED_AT_ONCE: Final = 1_000
#: A request that fails is tried again for so long.
RETRY_SECONDS: Final = 20
#: Where backups that run leave their mark, and for how long it is believed.
HOLDS: Final = "holds"
HOLD_SECONDS: Final = 300


class Bucket:
    """One prefix of one bucket. Keys and endpoint come from the usual AWS_... variables.

    address: as s3://bucket/prefix. Errors: SettingsInvalid without the `s3` extra; every method Unavailable
    when the storage does not answer, FileNotFoundError for a name that is not there.
    """

    def __init__(self, address: str) -> None:
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError:
            raise SettingsInvalid("MICROTASKS_STORAGE needs the extra: pip install microtasks[s3].") from None
        self._obstore = obstore
        parts = urlsplit(address)
        # without encryption only where the operator has written so
        is_plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        self._store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options={"allow_http": is_plain, "connect_timeout": timedelta(seconds=5)},
            retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        )

    def put(self, name: str, content: bytes | Path) -> None:
        """Store the bytes, or the file's, under that name; large ones in parts."""
        with _reachable():
            self._obstore.put(self._store, name, content, chunk_size=PIECE_BYTES)

    def read(self, name: str) -> bytes:
        with _reachable():
            return bytes(self._obstore.get(self._store, name).bytes())

    def fetch(self, name: str, path: Path) -> None:
        """Add what is under that name to the end of a file, piece by piece."""
        with _reachable(), path.open("ab") as file:
            for piece in self._obstore.get(self._store, name).stream(min_chunk_size=PIECE_BYTES):
                file.write(piece)

    def stream(self, name: str) -> Iterator[bytes]:
        """What is under that name, piece by piece."""
        with _reachable():
            found = self._obstore.get(self._store, name)
        return (bytes(piece) for piece in found.stream(min_chunk_size=PIECE_BYTES))

    def exists(self, name: str) -> bool:
        try:
            with _reachable():
                self._obstore.head(self._store, name)
        except FileNotFoundError:
            return False
        return True

    def names(self, prefix: str) -> Iterator[tuple[str, float]]:
        """Every name below a prefix, and when it was written, in seconds of Unix time."""
        with _reachable():
            for page in self._obstore.list(self._store, prefix=prefix):
                yield from ((found["path"], found["last_modified"].timestamp()) for found in page)

    def delete(self, names: Iterable[str]) -> None:
        with _reachable():
            self._obstore.delete(self._store, list(names))


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable("The storage of images does not answer. Please try again later.") from error
    except Exception as error:
        if type(error).__module__.startswith("obstore"):
            raise Unavailable("The storage of images does not answer. Please try again later.") from error
        raise


class Files:
    """`originals/ab/abcdef...` and `derived/ab/abcdef....webp`, below a folder or below `media/` of a bucket.

    With a bucket the folder holds only what is on its way there.
    """

    def __init__(self, root: Path, bucket: Bucket | None = None) -> None:
        self.root, self.bucket = root, bucket

    def put(self, kind: str, content: bytes) -> str:
        """Store the bytes; return their SHA-256 (hex). Storing the same bytes again changes nothing."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.path(kind, digest)
        if self.bucket:
            self.bucket.put(self._name(kind, digest), content)
        elif not path.exists():
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

    def publish(self, named: Iterable[tuple[str, str]]) -> None:
        """Hand on to the bucket what another process wrote to the folder: (kind, digest)."""
        if self.bucket:
            for kind, digest in named:
                path = self.path(kind, digest)
                # not there: two images of one import share this file, and the other one was first
                with contextlib.suppress(FileNotFoundError):
                    self.bucket.put(self._name(kind, digest), path.read_bytes())
                    path.unlink()

    def read(self, kind: str, digest: str) -> bytes:
        """The stored bytes. Errors: FileNotFoundError; ValueError for what is no name of a file here."""
        path = self.path(kind, digest)
        return self.bucket.read(self._name(kind, digest)) if self.bucket else path.read_bytes()

    def missing(self, named: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those of the files (kind, digest) that are not there."""
        if self.bucket is None:
            return [each for each in named if not self.path(*each).is_file()]
        found, rest = [], iter(named)
        with ThreadPoolExecutor(THREADS) as threads:
            while part := list(islice(rest, ASKED_AT_ONCE)):
                there = threads.map(self.bucket.exists, (self._name(*each) for each in part))
                found += [each for each, is_there in zip(part, there, strict=True) if not is_there]
        return found

    def path(self, kind: str, digest: str) -> Path:
        """Where the file of that hash lies in the folder: kind is "originals" or "derived"."""
        return self.root / self._below(kind, digest)

    def _name(self, kind: str, digest: str) -> str:
        return f"media/{self._below(kind, digest)}"

    @staticmethod
    def _below(kind: str, digest: str) -> str:
        if kind not in KINDS or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise ValueError(f"not a stored file: {kind}/{digest}")
        return f"{kind}/{digest[:2]}/{digest}" + (".webp" if kind == "derived" else "")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(1 << 18):
            yield piece


class Folders:
    """Folders of files, each written on one host under a random name and then used by any.

    root: where they are written, and where they stay without a bucket; its name begins theirs in the bucket.
    """

    def __init__(self, root: Path, bucket: Bucket | None = None) -> None:
        self.root, self.bucket = root, bucket

    def path(self, name: str) -> Path:
        """Where the folder of that name lies on this host."""
        return self.root / name

    def append(self, name: str, file: str, offset: int, content: bytes) -> None:
        """Write a piece of a file; what was there from `offset` on is lost. Any host may write the next."""
        if self.bucket:
            self.bucket.put(f"{self.root.name}/{name}/{file}{PIECE_MARK}{offset:015}", content)
            return
        self.path(name).mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path(name) / file, os.O_WRONLY | os.O_CREAT, 0o640)
        with os.fdopen(descriptor, "wb") as written:
            written.truncate(offset)
            written.seek(offset)
            written.write(content)
            written.flush()
            os.fsync(descriptor)

    def keep(self, name: str) -> None:
        """What was written to `path(name)` is whole: let every host have it."""
        if self.bucket:
            folder = self.path(name)
            for path in sorted(folder.iterdir()):
                self.bucket.put(f"{self.root.name}/{name}/{path.name}", path)
            shutil.rmtree(folder)

    def fetch(self, name: str) -> Path:
        """The folder of that name, with its files, on this host.

        Errors: FileNotFoundError; Unavailable when no folder is there at all: a disk that is not mounted.
        """
        folder = self.path(name)
        if not self.bucket and not self.root.is_dir():
            raise Unavailable(f"The folder {self.root} is not there: is its disk mounted?")
        if self.bucket:
            shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
            for each in sorted(each for each, _ in self.bucket.names(f"{self.root.name}/{name}/")):
                folder.mkdir(parents=True, exist_ok=True)
                self.bucket.fetch(each, folder / each.rpartition("/")[2].split(PIECE_MARK)[0])
        if not folder.is_dir():
            raise FileNotFoundError(name)
        return folder

    def read(self, name: str, file: str) -> Iterator[bytes]:
        """The bytes of one file of the folder, piece by piece. Errors: FileNotFoundError, at once."""
        if self.bucket:
            return self.bucket.stream(f"{self.root.name}/{name}/{file}")
        return _pieces((self.path(name) / file).open("rb"))

    def exists(self, name: str) -> bool:
        """Whether there is a folder of that name."""
        if self.bucket:
            return next(self.bucket.names(f"{self.root.name}/{name}/"), None) is not None
        return self.path(name).is_dir()

    def has(self, name: str, file: str) -> bool:
        """Whether the folder has that file."""
        if self.bucket:
            return self.bucket.exists(f"{self.root.name}/{name}/{file}")
        return (self.path(name) / file).is_file()

    def drop(self, name: str) -> None:
        """Throw the folder away, everywhere. One that is gone is no error.

        While a backup runs nothing is thrown away: what nobody needs is found later, by its age.
        """
        if self._is_held():
            return
        if self.bucket:
            self.bucket.delete([each for each, _ in self.bucket.names(f"{self.root.name}/{name}/")])
        shutil.rmtree(self.path(name), ignore_errors=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the block runs no host throws a folder away: a backup still reads what its rows name."""
        name, is_over = f"{HOLDS}/{os.urandom(8).hex()}", threading.Event()

        def mark() -> None:
            if self.bucket:
                self.bucket.put(name, b"")
            else:
                path = self.root.parent / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

        def renew() -> None:
            while not is_over.wait(HOLD_SECONDS / 10):
                with contextlib.suppress(OSError, Unavailable):  # the next one may be in time
                    mark()

        mark()
        thread = threading.Thread(target=renew, name="hold", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
            if self.bucket:
                self.bucket.delete([name])
            else:
                (self.root.parent / name).unlink(missing_ok=True)

    def _is_held(self) -> bool:
        """Whether a backup runs, by its mark, which one that was killed does not renew."""
        if self.bucket:
            marked = (at for _, at in self.bucket.names(f"{HOLDS}/"))
        else:
            marked = (path.stat().st_mtime for path in (self.root.parent / HOLDS).glob("*"))
        return any(time.time() - at < HOLD_SECONDS for at in marked)

    def older(self, seconds: float) -> set[str]:
        """The names of the folders that were written longer ago."""
        before = time.time() - seconds
        found = {
            path.name
            for path in (self.root.iterdir() if self.root.is_dir() else ())
            if path.stat().st_mtime < before
        }
        if self.bucket:
            written: dict[str, float] = {}
            for name, at in self.bucket.names(f"{self.root.name}/"):
                folder = name.split("/")[1]
                written[folder] = max(at, written.get(folder, 0.0))
            found |= {folder for folder, at in written.items() if at < before}
        return found


def open_storage(data: Path, address: str) -> tuple[Files, Folders]:
    """Images and uploads: below the data folder, or in the bucket of that address if it is not empty."""
    bucket = Bucket(address) if address else None
    return Files(data / "media", bucket), Folders(data / "uploads", bucket)
