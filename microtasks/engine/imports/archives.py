"""What an owner sent, as a flat list of members: files as they came, and the entries of ZIP files.

A ZIP is never extracted. Its directory is checked before anything is read (number of entries, unpacked size,
ratio, overlapping entries, methods), and each entry is counted while it is read. A name is only a label.
"""

from __future__ import annotations

import itertools
import json
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final, Self

from microtasks.core import faults
from microtasks.core.errors import FileInvalid, RowInvalid
from microtasks.core.parsing.rows import TABLE_ENDINGS, table_ending
from microtasks.core.parsing.rows.encoding import guess, label
from microtasks.engine.imports.names import IMAGE_ENDINGS, NameIndex
from microtasks.settings import Settings

MANIFEST: Final = "manifest.json"
#: Kinds of file that owners have and that are not read, with what to do.
ADVICE: Final = {
    ".svg": "SVG drawings are not accepted. Save it as PNG.",
    ".tif": "TIFF images are not accepted. Save it as PNG, which loses nothing.",
    ".tiff": "TIFF images are not accepted. Save it as PNG, which loses nothing.",
    ".heic": "HEIC photographs are not accepted. Save it as JPEG.",
    ".heif": "HEIC photographs are not accepted. Save it as JPEG.",
    ".avif": "AVIF images are not accepted. Save it as JPEG or PNG.",
    ".bmp": "BMP images are not accepted. Save it as PNG.",
    ".pdf": "PDF files are not accepted. Save its pages as PNG or JPEG images.",
    ".zip": "A ZIP inside a ZIP is not opened.",
    ".xls": "Old Excel workbooks are not read. Save the sheet as .xlsx or CSV and upload that.",
    ".numbers": "Numbers documents are not read. Export the sheet as CSV or Excel and upload that.",
    ".txt": "Text files are not read. A table must be named .csv, .tsv, .json or .jsonl.",
}
OTHERWISE: Final = "This is neither an image (JPEG, PNG, WebP, GIF) nor a table (CSV, TSV, JSON, Excel, ODS)."
#: Such a file is a table in another form: making tasks of the images alone would not be what was meant.
MEANT_AS_TABLES: Final = (".xls", ".numbers")
MAX_RATIO: Final = 100  # unpacked to packed, once it is more than RATIO_FROM_BYTES
RATIO_FROM_BYTES: Final = 64 << 20
MAX_DIRECTORY_BYTES: Final = 64 << 20
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: What reading a damaged ZIP raises.
DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)


#: Code pages in which systems write names into ZIP files without saying which.
CODE_PAGES: Final = (
    "cp850",
    "cp437",
    "cp866",
    "cp932",
    "gb18030",
    "cp949",
    "big5",
    "cp1252",
    "cp1251",
    "cp1250",
)
_JUNK_FOLDERS: Final = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"})
_JUNK_FILES: Final = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon", "picasa.ini", "zbthumbnail.info"}
)
#: Notes that cameras and programs keep beside an image of the same name.
_SIDE_ENDINGS: Final = (".xmp", ".aae", ".thm", ".pp3", ".dop")
_MAGIC: Final = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|RIFF....WEBP",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Member:
    """One file: its name as the owner gave it, with `/`; its 1-based place; its declared size in bytes.

    problem: why it cannot be read at all, or "".
    """

    name: str
    number: int
    n_bytes: int
    problem: str
    _open: Callable[[], IO[bytes]]
    other_names: tuple[str, ...] = ()

    @property
    def ending(self) -> str:
        return PurePosixPath(self.name).suffix.lower()

    @property
    def is_image(self) -> bool:
        """By its ending; where that says nothing, by how its content begins."""
        if self.ending in IMAGE_ENDINGS:
            return True
        if self.ending in ADVICE or table_ending(self.name) in TABLE_ENDINGS or self.problem:
            return False
        return _MAGIC.match(self.start(16)) is not None

    def start(self, n_bytes: int) -> bytes:
        """The first bytes, as far as they can be read."""
        try:
            with self.open() as stream:
                return stream.read(n_bytes)
        except (RowInvalid, *DAMAGE) as error:
            faults.raise_if_fault(error)
            return b""

    def open(self) -> IO[bytes]:
        """A stream of the content; raises RowInvalid when the file is damaged or not readable."""
        if self.problem:
            raise RowInvalid(self.problem)
        try:
            return self._open()
        except DAMAGE as error:
            faults.raise_if_fault(error)
            raise RowInvalid("This file is damaged inside the ZIP.") from None

    def read(self, at_most: int) -> bytes:
        """The whole content; raises RowInvalid when it is damaged, longer than declared or than `at_most`."""
        if self.n_bytes > at_most:
            raise RowInvalid(f"This file is larger than {at_most >> 20} MB.")
        try:
            with self.open() as stream:
                content = stream.read(self.n_bytes + 1)
        except DAMAGE as error:
            faults.raise_if_fault(error)
            raise RowInvalid("This file is damaged inside the ZIP.") from None
        if len(content) != self.n_bytes:
            raise RowInvalid("This file is damaged: its length is not what the ZIP says.")
        return content


class Contents:
    """The members of one upload folder; a context manager, because ZIP files stay open.

    Raises FileInvalid when a ZIP cannot be used at all, or there is more than the settings allow.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._stack = ExitStack()
        self._settings = settings
        self.members: list[Member] = []
        self._names: set[str] = set()
        #: What the owner should know of the files.
        self.notices: list[str] = []
        try:
            for entry in json.loads((folder / MANIFEST).read_bytes()):
                path = folder / entry["file"]
                if is_junk(entry["name"]):
                    continue
                if PurePosixPath(entry["name"]).suffix.lower() == ".zip":
                    self._add_zip(path)
                else:
                    self._add(entry["name"], path.stat().st_size, "", partial(path.open, "rb"))
        except BaseException:
            self._stack.close()
            raise
        self._leave_side_files_out()
        self._index = NameIndex(self.members)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _add(
        self,
        name: str,
        n_bytes: int,
        problem: str,
        opened: Callable[[], IO[bytes]],
        other_names: tuple[str, ...] = (),
    ) -> None:
        number = len(self.members) + 1
        if number > self._settings.max_batch_files:
            raise FileInvalid(f"There are more than {self._settings.max_batch_files:,} files in this upload.")
        if name in self._names:
            problem = "There is another file with this name in the upload."
        self._names.add(name)
        self.members.append(Member(name, number, n_bytes, problem, opened, other_names))

    def _add_zip(self, path: Path) -> None:
        check_directory_size(path)
        try:
            archive = self._stack.enter_context(zipfile.ZipFile(path))
        except (*DAMAGE, UnicodeError) as error:
            faults.raise_if_fault(error)
            raise FileInvalid("This ZIP file is damaged, or it is not a ZIP file.") from None
        entries = archive.infolist()
        check_entries(entries, archive.start_dir, path.stat().st_size, self._settings)
        times = Counter(info.filename for info in entries)
        named = [(info, *_name(info)) for info in entries]
        unclear = [raw for info, name, raw in named if raw and not is_junk(name)]
        codec = guess(b"\n".join(unclear), CODE_PAGES) if unclear else ""
        if unclear:
            shown = _decoded(unclear[0], codec).rpartition("/")[2]
            self.notices.append(
                f"The names of {len(unclear):,} files in the ZIP do not say which letters they are in. "
                f"They were read as {label(codec)}: “{shown}”. A table may name them in any other, too."
            )
        for info, written, raw in named:
            name = _decoded(raw, codec) if raw else written
            if info.is_dir() or is_junk(name):
                continue
            problem = _problem(info)
            if times[info.filename] > 1:
                problem = "This name is in the ZIP more than once."
            others = tuple(_decoded(raw, page) for page in CODE_PAGES if page != codec) if raw else ()
            self._add(name, info.file_size, problem, partial(archive.open, info), others)

    def _leave_side_files_out(self) -> None:
        """Leave out what photo services and cameras write beside each image, as Google Takeout's .json."""
        images = {member.name.casefold() for member in self.members if member.ending in IMAGE_ENDINGS}
        stems = {name.rpartition(".")[0] for name in images}
        sides = [member for member in self.members if _is_side(member.name.casefold(), images, stems)]
        if not sides:
            return
        folders = {member.name.rpartition("/")[0] for member in sides}
        sides += [
            member
            for member in self.members
            if member.name.rpartition("/")[0] in folders and member.name.endswith("/metadata.json")
        ]
        left_out = {member.number for member in sides}
        self.members = [member for member in self.members if member.number not in left_out]
        self.notices.append(
            f"{len(left_out):,} files that describe the images beside them were left out "
            f"(such as {sides[0].name})."
        )

    def table(self) -> Member | None:
        """The one table, if there is one: of several, those deepest in folders do not count."""
        tables = [member for member in self.members if table_ending(member.name) in TABLE_ENDINGS]
        if not tables:
            tables = [
                member
                for member in self.members
                if member.ending == ".txt" and b"\t" in member.start(4096).split(b"\n")[0]
            ]
        if not tables:
            return None
        depth = min(member.name.count("/") for member in tables)
        tables = [member for member in tables if member.name.count("/") == depth]
        if len(tables) > 1:
            names = ", ".join(member.name for member in tables[:5])
            raise FileInvalid(
                f"There are {len(tables)} tables in this upload ({names}). Upload one at a time."
            )
        return tables[0]

    def find(self, name: str, beside: str = "") -> Member:
        """The member a table means by an image's name, `beside` being the table's own; RowInvalid if none."""
        return self._index.find(name, beside)


def _is_side(name: str, images: set[str], stems: set[str]) -> bool:
    """Is it a file about an image? name: in small letters, as all of them are."""
    if name.endswith(".json"):
        stem = name.removesuffix(".json")
        stem = re.sub(r"(\.[a-z0-9]+)\((\d+)\)$", r"(\2)\1", stem)  # a.jpg(1).json is about a(1).jpg
        stem = re.sub(r"\.s[a-z-]*$", "", stem) if stem not in images else stem  # .supplemental-metadata
        return stem in images or stem in stems
    ending = PurePosixPath(name).suffix
    return ending in _SIDE_ENDINGS and (
        name.removesuffix(ending) in images or name.removesuffix(ending) in stems
    )


def is_junk(name: str) -> bool:
    """Files that systems put beside the owner's own, and that nobody means."""
    parts = name.replace("\\", "/").split("/")
    return (
        any(part in _JUNK_FOLDERS for part in parts[:-1])
        or any(part.startswith(".") and part not in (".", "..") for part in parts)
        or parts[-1].startswith("~$")
        or parts[-1].strip().lower() in _JUNK_FILES
    )


def _name(info: zipfile.ZipInfo) -> tuple[str, bytes]:
    """The entry's name with `/`; and its bytes if nothing says what characters they are.

    Info-ZIP writes the name once more in UTF-8; others write UTF-8 without saying so.
    """
    name, raw = info.filename, b""
    if not info.flag_bits & 0x800 and not name.isascii():
        with suppress(UnicodeError):
            raw = name.encode("cp437")
        if (unicode_path := _unicode_path(info.extra)) is not None:
            name, raw = unicode_path, b""
        else:
            with suppress(UnicodeError):
                name, raw = raw.decode(), b""
    return name.replace("\\", "/"), raw


def _unicode_path(extra: bytes) -> str | None:
    """The name in an entry's Info-ZIP Unicode path field (0x7075)."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 0x7075 and length > 5:
            with suppress(UnicodeError):
                return extra[9 : 4 + length].decode()
        extra = extra[4 + length :]
    return None


def _decoded(raw: bytes, codec: str) -> str:
    return raw.decode(codec, "replace").replace("\\", "/")


def _problem(info: zipfile.ZipInfo) -> str:
    """Why this one entry is not read, or ""."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 0x41:
        return "This file is encrypted. Make the ZIP without a password."
    if kind not in (0, stat.S_IFREG):
        return "This is a link or a device, not a file."
    if info.compress_type not in _METHODS:
        return "This file is packed in an unusual way. Make an ordinary ZIP."
    parts = info.filename.replace("\\", "/").split("/")
    if ".." in parts or info.filename[:1] in ("/", "\\") or re.match("[A-Za-z]:", info.filename):
        return "The name of this file points outside the ZIP."
    if len(info.filename) > 255 or any(ord(character) < 32 for character in info.filename):
        return "The name of this file is too long or has control characters."
    return ""


def check_directory_size(path: Path) -> None:
    """Refuse a ZIP whose directory alone would fill the memory: FileInvalid. `zipfile` reads it whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 65_557))  # the end record and its longest comment
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < 22:
            raise FileInvalid("This ZIP file is damaged, or it is not a ZIP file.")
        n_bytes = struct.unpack_from("<L", tail, at + 12)[0]
        at = tail.rfind(b"PK\x06\x06")
        if at >= 0 and len(tail) - at >= 56:
            n_bytes = max(n_bytes if n_bytes != 0xFFFFFFFF else 0, struct.unpack_from("<Q", tail, at + 40)[0])
    if n_bytes > MAX_DIRECTORY_BYTES:
        raise FileInvalid("This ZIP file lists too many files.")


def check_entries(entries: Sequence[zipfile.ZipInfo], end: int, packed: int, settings: Settings) -> None:
    """Refuse a ZIP that is made to do harm, before reading any of it: FileInvalid.

    end: where the directory begins; packed: bytes of the whole file.
    """
    if len(entries) > settings.max_batch_files * 2:
        raise FileInvalid(f"There are more than {settings.max_batch_files:,} files in this ZIP.")
    unpacked = sum(info.file_size for info in entries)
    if unpacked > settings.max_unpacked_bytes:
        raise FileInvalid(f"Unpacked, this ZIP would be larger than {settings.max_unpacked_bytes >> 30} GB.")
    if unpacked > RATIO_FROM_BYTES and unpacked > MAX_RATIO * packed:
        raise FileInvalid("This ZIP unpacks to more than a hundred times its size. Such files are refused.")
    ordered = sorted(entries, key=lambda info: info.header_offset)
    starts = [info.header_offset for info in ordered] + [end]
    for info, (start, following) in zip(ordered, itertools.pairwise(starts), strict=True):
        # 30 bytes of local header, the name again, the content
        if start + 30 + len(info.orig_filename) + info.compress_size > following:
            raise FileInvalid("Files overlap in this ZIP. Such files are refused.")
