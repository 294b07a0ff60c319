"""One state of a project for everything in one export, also while answers come in.

How is said in `store.exports.snapshots`.
Answers, marks and contributors are exactly those of the snapshot. A task that was answered since is told as
it was then: its consensus is made anew from the snapshot's answers, as it was when the last of them came in.
What an owner changes meanwhile (a task withdrawn, opened again or deleted) is told as it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from microtasks import tasktypes
from microtasks.core.pseudonyms import pseudonym
from microtasks.core.tasktype import TaskType
from microtasks.core.tiling import Seen, Tile, edges
from microtasks.core.values import Answer, Consensus
from microtasks.engine.site import Site
from microtasks.engine.tabular.table import iso
from microtasks.store.exports import reads, snapshots
from microtasks.store.exports.snapshots import Cut, Filter
from microtasks.store.results import sources
from microtasks.store.tables import Project

if TYPE_CHECKING:
    from microtasks.store.exports.answer_arrays import Answers

#: Names of contributors that are remembered: memory stays flat however many there are.
NAMES_MAX = 100_000


class Pseudonyms(dict[bytes, str]):
    """The pseudonyms of contributors, by the 16 bytes of their id."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def __missing__(self, contributor: bytes) -> str:
        if len(self) >= NAMES_MAX:
            self.clear()
        self[contributor] = name = pseudonym(contributor, self.key)
        return name


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of a project, its id, and what contributors are called in it.

    same_names: they have the names of every export made so; otherwise names of this state's own: exports of
    one state match each other, and none matches an export of another state.
    """

    cut: Cut
    id: str
    same_names: bool
    pseudonyms: Pseudonyms = field(repr=False)
    passed: Callable[[int], None] = field(default=lambda n: None, repr=False)  # so many rows more were read

    def pseudonym(self, contributor: UUID) -> str:
        """What a contributor is called: 16 hexadecimal digits, first a letter; nobody can undo the hash."""
        return self.pseudonyms[contributor.bytes]

    def counted_by(self, passed: Callable[[int], None]) -> Snapshot:
        """The same one; whoever reads it says how much."""
        return replace(self, passed=passed)

    def filtered(self, wanted: Filter) -> Snapshot:
        """The same state, of which only these rows are read."""
        return replace(self, cut=replace(self.cut, filter=wanted))

    @property
    def facts(self) -> dict[str, Any]:
        """What a package, a page and the API say of it."""
        return {
            "id": self.id,
            "at": iso(self.cut.at),
            "last_answer": self.cut.answer_max,
            "contributor_names": "the same in every export" if self.same_names else "of this state alone",
        }


def take(site: Site, project: Project, *, same_names: bool = False, for_page: bool = False) -> Snapshot:
    """The state of the project now. Errors: Unavailable when somebody writes answers for too long.

    for_page: it is read at once, so what a review found of contributors need not be kept for it.
    """
    cut = snapshots.take(site.db, project.id, with_records=not for_page)
    return of_cut(site, cut, same_names=same_names)


def of_cut(site: Site, cut: Cut, *, same_names: bool = False) -> Snapshot:
    """The snapshot of a cut."""
    key = site.settings.key("pseudonym")
    if not same_names:
        state = f"{cut.project_id}:{cut.answer_max}"
        key = hashlib.blake2b(state.encode(), key=key, digest_size=32).digest()
    mark = f"{cut.project_id}:{cut.answer_max}:{cut.at.isoformat()}"
    return Snapshot(cut, hashlib.sha256(mark.encode()).hexdigest()[:16], same_names, Pseudonyms(key))


@dataclass(slots=True)
class Bounds:
    """One page of a table: at most `limit` keys behind `after`.

    last: the last of them, or `after` if there is none; next: the same, None if there are no more.
    """

    after: Any
    limit: int
    last: Any = None
    next: Any = None


@dataclass(frozen=True, slots=True)
class View:
    """What tables are read from: a project at a snapshot, the whole of it or one page."""

    site: Site
    project: Project
    snapshot: Snapshot
    bounds: Bounds | None = None

    @property
    def has_tiles(self) -> bool:
        """Was any image of the project cut into tiles?"""
        with self.site.db.connection() as connection:
            return reads.has_tiles(connection, self.snapshot.cut)

    def answer_chunks(self, keys: Sequence[str] | None) -> Iterator[Answers]:
        """Every answer, or those of the page, as columns; keys: of an answer's value, None: the whole."""
        from microtasks.store.exports import answer_arrays  # brings numpy: not before somebody exports

        if self.bounds is None:
            for chunk in answer_arrays.walk(self.site.db, self.snapshot.cut, keys):
                self.snapshot.passed(chunk.n)
                yield chunk
        elif rows := list(self.walk(reads.answers, "id")):
            yield answer_arrays.of_rows(rows, keys)

    def contributors(self) -> Iterator[reads.Row]:
        """What each contributor gave, with what the last review before the snapshot had found of them."""
        rows = self.walk(reads.contributors, "contributor_id")
        records = self.snapshot.cut.records
        return rows if records is None else records.put_into(rows)

    def walk(self, read: reads.Read, key: str) -> Iterator[reads.Row]:
        """Every row of a read, each as it was at the snapshot."""
        for chunk in self.chunks(read, key):
            yield from chunk

    def chunks(self, read: reads.Read, key: str, limit: int | None = None) -> Iterator[list[reads.Row]]:
        """The same, a chunk at a time."""
        for chunk in self._as_stored(read, key, limit):
            self.snapshot.passed(len(chunk))
            if key == "source":
                yield list(self._merged(chunk))
            elif chunk and "is_later" in chunk[0]:
                yield list(self._set_back(chunk))
            else:
                yield chunk

    def _as_stored(self, read: reads.Read, key: str, limit: int | None) -> Iterator[list[reads.Row]]:
        """The rows as they are now."""
        if self.bounds is None:
            yield from reads.chunks(self.site.db, read, self.snapshot.cut, key, limit)
            return
        with self.site.db.connection() as connection:
            chunk = read(connection, self.snapshot.cut, self.bounds.after, self.bounds.limit + 1)
        if len(chunk) > self.bounds.limit:
            chunk = chunk[: self.bounds.limit]
            self.bounds.next = chunk[-1][key]
        self.bounds.last = chunk[-1][key] if chunk else self.bounds.after
        yield chunk

    def _set_back(self, rows: list[reads.Row]) -> Iterator[reads.Row]:
        """Rows of tasks, those that are later than the snapshot told as they were then.

        They hold `task_id`, `is_later`, `retired_at`, the task's number of answers as `n_answers`, and maybe
        its consensus: `agreement` and others under their own names, `n_reduced` for its number. One that was
        not there is all None.
        """
        later = list({row["task_id"] for row in rows if row["is_later"]})
        states: dict[int, snapshots.Then] = {}
        if later:
            with self.site.db.connection() as connection:
                states = snapshots.then(connection, self.snapshot.cut, later)
        task_type, config = self._type()
        for row in rows:
            past = states.get(row["task_id"]) if row["is_later"] else None
            if past is None:
                yield row
                continue
            retired = row["retired_at"]
            if retired is not None and (retired > self.snapshot.cut.at or retired in past.later):
                row |= {"retired_at": None, "retirement_reason": None}
                row |= {key: None for key in ("stopped", "is_audit") if key in row}
            if past.is_changed:
                if "agreement" in row:
                    made = task_type.reduce(_answers(past.counted), config) if past.counted else None
                    row |= _consensus(row, made)
                row |= {"n_answers": past.n_counted} if "n_answers" in row else {}
            yield row

    def _merged(self, rows: list[reads.Row]) -> Iterator[reads.Row]:
        """Rows of big images, merged from what their tiles' answers were at the snapshot."""
        task_type, config = self._type()
        cut = self.snapshot.cut
        for row in rows:
            if row["is_later"]:
                with self.site.db.connection() as connection:
                    tiles = sources.tiles(connection, cut.project_id, row["source"])
                    past = snapshots.then(connection, cut, [tile.task_id for tile in tiles])
                if any(each.is_changed for each in past.values()):
                    made = task_type.merge_tiles(_seen(tiles, past), config)
                    if made is None or not any(each.counted for each in past.values()):
                        continue
                    row |= {"detail": _as_stored(made.detail)}
            yield row

    def _type(self) -> tuple[TaskType[Any, Any, Any], Any]:
        task_type = tasktypes.get(self.project.task_type)
        return task_type, task_type.parse_config(self.project.config)


def _consensus(row: reads.Row, made: Consensus | None) -> reads.Row:
    """The columns of a consensus that the row has, of the one made anew."""
    names = ("value", "agreement", "confidence", "is_tied", "detail", "reducer", "parameters")
    changed = {name: _as_stored(getattr(made, name, None)) for name in names if name in row}
    return changed | ({"n_reduced": made.n_answers if made else None} if "n_reduced" in row else {})


def _as_stored(value: Any) -> Any:
    """The same JSON as the database gives it back: short keys first, and no zero below zero."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return {key: _as_stored(value[key]) for key in keys}
    if isinstance(value, list):
        return [_as_stored(item) for item in value]
    return value + 0.0 if isinstance(value, float) else value


def _seen(tiles: Iterable[sources.TileRow], past: dict[int, snapshots.Then]) -> list[Seen]:
    tiles = list(tiles)
    right = max((tile.x + tile.width for tile in tiles), default=0)
    bottom = max((tile.y + tile.height for tile in tiles), default=0)
    seen = []
    for each in tiles:
        tile = Tile(each.x, each.y, each.width, each.height)
        inner = edges(tile, each.source_width or right, each.source_height or bottom)
        seen.append(Seen(tile, inner, _answers(past[each.task_id].counted)))
    return seen


def _answers(counted: list[tuple[str, str, Any]]) -> list[Answer]:
    return [Answer(contributor, cast(Any, kind), value) for contributor, kind, value in counted]
