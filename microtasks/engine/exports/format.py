"""What an export format is: a writer of one table, or a maker of another tool's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from microtasks.core.values import Part
from microtasks.engine.exports.snapshots import View
from microtasks.engine.tabular.archive import ZIP_MIME
from microtasks.engine.tabular.table import File, Table

if TYPE_CHECKING:
    from microtasks.engine.site import Site
    from microtasks.store.tables import Project


@dataclass(frozen=True, slots=True)
class Options:
    """How an export is written, beyond its format. raw: texts in CSV as they are, formulas too.

    images: the images' own files go with it, where the format can hold them. language (BCP 47): whose numbers
    and separators a CSV for Excel has.
    """

    raw: bool = False
    images: bool = False
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Source:
    """What the files of another tool are made from: a project at a snapshot, and what its tasks ask."""

    view: View
    config: Any
    parts: tuple[Part, ...]
    table: str
    options: Options

    @property
    def site(self) -> Site:
        """The site whose project it is."""
        return self.view.site

    @property
    def project(self) -> Project:
        """The project."""
        return self.view.project

    def pseudonym(self, contributor: UUID) -> str:
        """What a contributor is called in this export."""
        return self.view.snapshot.pseudonym(contributor)

    def file(self, suffix: str, mime: str, chunks: Iterator[bytes]) -> File:
        """A file named after the project."""
        return File(f"{self.project.slug}-{suffix}", mime, chunks)


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write an export: a table (`write`), or the files of another tool (`files`).

    tables: those it can give, the first one where none is asked for; () for all. is_archive: several files,
    sent as one ZIP. is_packed: compressed in itself. fits: is it for what these parts ask? lacks: what this
    project's tasks must have and do not, as a sentence; "" if nothing. takes_images: can it hold the images'
    files? is_whole_table: a file has all columns of its table, as the code book describes them. caution: what
    a person should know before they use it for what these parts ask, as a sentence.
    """

    name: str
    label: str
    use: str  # "use this if ..."
    suffix: str
    mime: str
    tables: tuple[str, ...] = ()
    write: Callable[[Table, Source], Iterator[bytes]] | None = None
    files: Callable[[Source], Iterable[File]] | None = None
    is_archive: bool = False
    is_packed: bool = False
    takes_images: bool = False
    is_whole_table: bool = False
    fits: Callable[[tuple[Part, ...]], bool] = lambda parts: True
    lacks: Callable[[Site, int], str] = lambda site, project_id: ""
    caution: Callable[[tuple[Part, ...]], str] = lambda parts: ""

    @property
    def short_label(self) -> str:
        """Its name for a button, without whom it is for."""
        return self.label.partition(":")[0]

    def in_zip(self, options: Options) -> bool:
        """Is it several files, so that a person gets a ZIP?"""
        return self.is_archive or (self.takes_images and options.images)

    def file_suffix(self, options: Options) -> str:
        """How the one file ends that a person gets."""
        if self.in_zip(options) and not self.is_archive:
            return self.suffix.rpartition(".")[0] + ".zip"
        return self.suffix

    def file_mime(self, options: Options) -> str:
        """What that file is."""
        return ZIP_MIME if self.in_zip(options) else self.mime

    def packs(self, options: Options) -> bool:
        """Is that file compressed in itself?"""
        return self.is_packed or self.in_zip(options)
