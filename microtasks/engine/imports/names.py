"""Find the file that a table means by a name: as people, spreadsheets and other tools write names."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Generic, Protocol, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from microtasks.core.errors import RowInvalid

IMAGE_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif")
#: What Label Studio puts before the name of an uploaded file.
_PREFIX = re.compile(r"[0-9a-f]{8}-(?=.)")
#: Names that are listed in a sentence.
_LISTED = 3


class Named(Protocol):
    """A file of an upload. name: its path; other_names: what it may also be called."""

    @property
    def name(self) -> str: ...

    @property
    def other_names(self) -> Sequence[str]: ...


File = TypeVar("File", bound=Named)


class NameIndex(Generic[File]):
    """Files by their path, whatever case, accents' form and direction of slashes.

    A name fits a path if one is the end of the other, folder by folder: `album/a.jpg` is found in
    `museum/album/a.jpg`, and `C:\\pics\\a.jpg` is `a.jpg`, but never `other/a.jpg`.
    """

    def __init__(self, files: Iterable[File]) -> None:
        self._by_name: dict[str, list[tuple[tuple[str, ...], File]]] = defaultdict(list)
        self._by_stem: dict[str, list[tuple[tuple[str, ...], File]]] = defaultdict(list)
        self._exact: dict[str, File] = {}
        for file in files:
            self._exact.setdefault(file.name, file)
            for path in dict.fromkeys(_parts(name) for name in (file.name, *file.other_names)):
                if path:
                    self._by_name[path[-1]].append((path, file))
                    if bare := _PREFIX.sub("", path[-1], count=1):
                        if bare != path[-1]:
                            self._by_name[bare].append(((*path[:-1], bare), file))
                        self._by_stem[PurePosixPath(bare).stem].append((path, file))

    def find(self, name: str, beside: str = "") -> File:
        """The file; RowInvalid if there is none, or several. beside: path of the table that names it."""
        if re.match(r"(?:https?|ftp|s3|gs)://", name.lower()):
            raise RowInvalid(
                "This image is a web address. Images are taken from the upload, not from web addresses: "
                "download them and upload them together with the table."
            )
        folder = _parts(beside)[:-1]
        for written in _spellings(name):
            if written in self._exact:
                return self._exact[written]
            path = _parts(written)
            if not path:
                continue
            fitting = self._fitting(self._by_name.get(path[-1], ()), path, folder)
            if not fitting and PurePosixPath(path[-1]).suffix not in IMAGE_ENDINGS:
                same_stem = self._by_stem.get(path[-1], ())
                fitting = self._fitting(
                    [((*where[:-1], path[-1]), file) for where, file in same_stem], path, folder
                )
            if len(fitting) == 1:
                return fitting[0]
            if fitting:
                listed = ", ".join(file.name for file in fitting[:_LISTED])
                raise RowInvalid(
                    f"There are {len(fitting)} files that “{name}” could mean ({listed}). "
                    f"Add the folder's name, as in “{fitting[0].name}”."
                )
        if re.match(r"[a-z]:[\\/]", name.strip().lower()):
            # A path of the owner's own computer says nothing of the upload's folders.
            same = list(dict.fromkeys(file for _, file in self._by_name.get(_parts(name)[-1], ())))
            if len(same) == 1:
                return same[0]
        others = [file.name for _, file in self._by_name.get((_parts(name) or ("",))[-1], ())]
        elsewhere = f" There is “{others[0]}”: is that the one? Then name it so." if others else ""
        raise RowInvalid(f"The image “{name}” is not in the upload.{elsewhere}")

    @staticmethod
    def _fitting(
        candidates: Iterable[tuple[tuple[str, ...], File]], path: tuple[str, ...], folder: tuple[str, ...]
    ) -> list[File]:
        """Those whose path fits, the closest alone: in the table's folder, or exactly so, before others."""
        listed = list(candidates)
        for wanted in ((*folder, *path), path):
            if same := [file for where, file in listed if where == wanted]:
                return list(dict.fromkeys(same))
        fitting = [(where, file) for where, file in listed if _fits(where, path, folder)]
        return list(dict.fromkeys(file for _, file in fitting))


def _fits(where: tuple[str, ...], path: tuple[str, ...], folder: tuple[str, ...]) -> bool:
    if where[-len(path) :] == path or path[-len(where) :] == where:
        return True
    inside = where[len(folder) :] if folder and where[: len(folder)] == folder else ()
    return bool(inside) and path[-len(inside) :] == inside


def _parts(name: str) -> tuple[str, ...]:
    """The folders and the name of a path, to be compared."""
    plain = unicodedata.normalize("NFC", name).casefold().replace("\\", "/")
    parts = (part.strip() for part in plain.split("/"))
    return tuple(part for part in parts if part not in ("", ".") and not re.fullmatch("[a-z]:", part))


def _spellings(name: str) -> Iterator[str]:
    """The name as it is written, and as other tools meant it."""
    name = name.strip()
    yield name
    if "?" in name and (meant := parse_qs(urlsplit(name).query).get("d")):
        yield meant[0]
    if name.lower().startswith("file:"):
        name = re.sub(r"^file:/{0,3}", "/", name, flags=re.IGNORECASE)
        yield name
    if "%" in name:
        name = unquote(name)
        yield name
    folder, _, bare = name.replace("\\", "/").rpartition("/")
    if short := _PREFIX.match(bare):
        yield bare[short.end() :]
    elif folder.startswith(("/data/", "data/")):
        yield bare
