"""Compress files while they are written: one as .gz or .zst, several as one ZIP."""

from __future__ import annotations

import importlib.util
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from microtasks.core.errors import InputError
from microtasks.engine.tabular.table import File

ZIP_MIME = "application/zip"
#: By what they are called: the ending of a compressed file, and its kind.
COMPRESSIONS = {"": ("", ""), "gzip": (".gz", "application/gzip"), "zstd": (".zst", "application/zstd")}
MIMES = {ending.lstrip("."): mime for ending, mime in COMPRESSIONS.values() if ending}
ZSTD_LEVEL = 6
#: What is compressed in itself is stored in a ZIP as it is.
_PACKED = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".zip", ".xlsx", ".parquet")


def gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, compressed as a .gz file, still streamed."""
    packer = zlib.compressobj(6, wbits=31)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


def check_compression(name: str) -> None:
    """Refuse a compression that cannot be done here. Errors: InputError."""
    if name not in COMPRESSIONS:
        raise InputError(f"There is no compression {name!r}. There are: gzip, zstd.")
    if name == "zstd" and importlib.util.find_spec("zstandard") is None:
        raise InputError("zstd needs the package zstandard: pip install 'microtasks[zstd]'.")


def compressed(file: File, name: str) -> File:
    """The same file, compressed while it is written. name: "", "gzip" or "zstd"."""
    check_compression(name)
    if not name:
        return file
    ending, mime = COMPRESSIONS[name]
    chunks = gzipped(file.chunks) if name == "gzip" else _zstd(file.chunks)
    return replace(file, name=file.name + ending, mime=mime, chunks=chunks)


def _zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard

    packer = zstandard.ZstdCompressor(ZSTD_LEVEL).compressobj()
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


def zipped(files: Iterable[File], at: datetime) -> Iterator[bytes]:
    """Several files as one ZIP, streamed: each is read to its end before the next one begins.

    at: the time that all entries bear, so that one state of a project is one file to the byte.
    """
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            with archive.open(_entry(file.name, at), "w", force_zip64=True) as entry:
                for chunk in file.chunks:
                    entry.write(chunk)
                    yield sink.take()
            yield sink.take()
    yield sink.take()


def _entry(name: str, at: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, at.astimezone(UTC).timetuple()[:6])
    is_packed = name.lower().endswith(_PACKED)
    entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


class Sink:
    """A file that can only be written, and gives away what it holds."""

    closed = False

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Hold the bytes until they are taken."""
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing lies between."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._held)
        self._held.clear()
        return taken
