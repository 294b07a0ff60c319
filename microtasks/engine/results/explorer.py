"""The results explorer: why a consensus says what it says; ask for more answers. Decisions: deciding.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from microtasks import tasktypes
from microtasks.core.errors import Conflict, InputError, NotFound
from microtasks.core.values import Part
from microtasks.engine import audit
from microtasks.engine.results.review import pseudonym
from microtasks.engine.site import Site
from microtasks.store.assignment import hotpath
from microtasks.store.imports import media
from microtasks.store.results import explorer as stored
from microtasks.store.results.explorer import Filter
from microtasks.store.tables import Project

#: The widest picture that a page shows behind marks.
PICTURE_PX = 1600
MOST_MORE = 50
MOST_REDUNDANCY = 1000


@dataclass(frozen=True, slots=True)
class Picture:
    """One image: address of the derivative shown, size of the original in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class AnswerView:
    """One answer. number: the same for the same contributor, from 0; words: the value for a person."""

    id: int
    number: int
    contributor: str
    kind: str
    status: str
    words: str | None
    marks: Sequence[Mapping[str, Any]]
    seconds: float | None
    revision: int


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task with all that was said of it; `before` and `behind` are its neighbours under the filter.

    decisions: the last first. decision: the one that stands; decided_marks: its marks and squares, where it
    is not the consensus.
    """

    task: dict[str, Any]
    pictures: list[Picture]
    has_marks: bool
    said: list[AnswerView]
    marks: Sequence[Mapping[str, Any]]
    possible: Sequence[Mapping[str, Any]]
    gold_marks: Sequence[Mapping[str, Any]]
    words: str | None
    gold_words: str | None
    decisions: list[dict[str, Any]]
    decision: dict[str, Any] | None
    decided_marks: Sequence[Mapping[str, Any]]
    before: int | None
    behind: int | None


@dataclass(frozen=True, slots=True)
class VolunteerMarks:
    """What one volunteer marked on a whole big image, in its pixels. number: from 0, by who came first."""

    number: int
    contributor: str
    marks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class WholeImage:
    """A big image that was cut into tiles, in its own pixels. picture: None where it is not kept.

    hands: what every volunteer marked; is_all: False where there is more than a page can show. decided_marks:
    what experts decided for, where it is not the consensus; n_decided: of how many tiles.
    """

    name: str
    width: int
    height: int
    picture: Picture | None
    marks: Sequence[Mapping[str, Any]]
    possible: Sequence[Mapping[str, Any]]
    tiles: list[dict[str, Any]]
    reducer: str | None
    hands: list[VolunteerMarks]
    is_all: bool
    decided_marks: Sequence[Mapping[str, Any]]
    n_decided: int


def config(project: Project) -> Any:
    """The project's config, as its task type reads it."""
    return tasktypes.get(project.task_type).parse_config(project.config)


def parts(project: Project) -> tuple[Part, ...]:
    """What the project asks, as parts with their options."""
    return tasktypes.get(project.task_type).parts(config(project))


def view_task(site: Site, project: Project, task_id: int, wanted: Filter) -> TaskView:
    """One task of the project; NotFound if it has none of that id."""
    task_parts = parts(project)
    with site.db.connection() as connection:
        row = stored.task(connection, project.id, task_id)
        if row is None:
            raise NotFound("There is no such task.")
        answers = stored.answers(connection, task_id)
        decided = stored.decisions(connection, task_id)
        images = media.by_ids(connection, row["media_ids"])
        before, behind = stored.neighbours(connection, project.id, wanted, stored.key_of(row, wanted))
    has_marks = any(part.kind == "marks" for part in task_parts)
    detail = row["detail"] or {}
    decision = decided[0] if decided and decided[0]["choice"] != "taken_back" else None
    return TaskView(
        task=row,
        pictures=[
            picture for key in row["media_ids"] if key in images and (picture := _picture(images[key]))
        ],
        has_marks=has_marks,
        said=[
            AnswerView(
                answer["id"],
                number,
                pseudonym(site, answer["contributor_id"]),
                answer["kind"],
                answer["status"],
                describe(answer["value"], task_parts),
                (answer["value"] or {}).get("marks", ()) if has_marks else (),
                answer["seconds_spent"],
                answer["revision"],
            )
            for number, answer in enumerate(answers)
        ],
        marks=detail.get("marks", ()) if has_marks else (),
        possible=detail.get("possible", ()) if has_marks else (),
        gold_marks=(row["gold"] or {}).get("marks", ()) if has_marks else (),
        words=describe(row["value"], task_parts),
        gold_words=describe(row["gold"], task_parts),
        decisions=[{**one, "words": describe(one["value"], task_parts)} for one in decided],
        decision=decision,
        decided_marks=_drawn(decision["value"])
        if has_marks and decision and decision["choice"] in ("answer", "own")
        else (),
        before=before,
        behind=behind,
    )


def record_view(site: Site, project: Project, task_id: int, account_id: int) -> None:
    """Remember that this account has looked at the task; NotFound.

    It stands in a table of its own: the audit log is for changes.
    """
    with site.db.connection() as connection:
        if not stored.record_view(connection, project.id, task_id, account_id):
            raise NotFound("There is no such task.")


def whole_image(site: Site, project: Project, source: str) -> WholeImage:
    """A big image with its merged consensus and its tiles; NotFound."""
    with site.db.connection() as connection:
        row = stored.source(connection, project.id, source)
        if row is None:
            raise NotFound("There is no such image.")
        tiles = stored.tiles(connection, project.id, source)
        key = next((part.id for part in parts(project) if part.kind == "marks"), "")
        marks, is_all = stored.tile_marks(connection, project.id, source, key)
        decided = stored.decided_tiles(connection, project.id, source)
    detail = row["detail"] or {}
    return WholeImage(
        name=source,
        width=row["width"] or max((tile["x"] + tile["width"] for tile in tiles), default=1),
        height=row["height"] or max((tile["y"] + tile["height"] for tile in tiles), default=1),
        picture=_picture(row) if row["derivatives"] else None,
        marks=detail.get("marks", ()),
        possible=detail.get("possible", ()),
        tiles=tiles,
        reducer=row["reducer"],
        hands=_marks_by_volunteer(site, marks),
        is_all=is_all,
        decided_marks=[mark for tile in decided for mark in _moved(_drawn(tile["value"]), tile)],
        n_decided=len(decided),
    )


def _marks_by_volunteer(site: Site, answers: Sequence[Mapping[str, Any]]) -> list[VolunteerMarks]:
    """Each volunteer's marks of all tiles together, in the big image's pixels."""
    by_contributor: dict[Any, list[Mapping[str, Any]]] = {}
    for tile in answers:
        by_contributor.setdefault(tile["contributor_id"], []).extend(_moved(tile["marks"], tile))
    return [
        VolunteerMarks(n, pseudonym(site, who), marks)
        for n, (who, marks) in enumerate(by_contributor.items())
    ]


def _moved(marks: Iterable[Mapping[str, Any]], tile: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A tile's marks in the big image's pixels."""
    for mark in marks:
        yield {**mark, "x": mark["x"] + tile["x"], "y": mark["y"] + tile["y"]}


def _drawn(value: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The marks of a value; squares (letter the column, number the row) as boxes."""
    marks = list((value or {}).get("marks", ()))
    if isinstance(cells := (value or {}).get("cells"), dict):
        wide, high = cells["width"] / cells["columns"], cells["height"] / cells["rows"]
        marks += [
            {"x": (ord(it[0]) - 65) * wide, "y": (int(it[1:]) - 1) * high, "width": wide, "height": high}
            for it in cells["checked"]
        ]
    return marks


def ask_more(site: Site, project: Project, task_id: int, n: int, *, by: int | None = None) -> None:
    """Send a task back for up to n more answers; a retired one is open again. NotFound, InputError, Conflict.

    1. Lock the task; raise what it may get. 2. Let newcomers' walk begin before it.
    The project's stopping rule goes on deciding: it may have enough before all n are in.
    """
    if not 1 <= n <= MOST_MORE:
        raise InputError(f"Please ask for 1 to {MOST_MORE} more answers.")
    with site.db.connection() as connection:
        outcome = stored.ask_more(connection, project.id, task_id, n, MOST_REDUNDANCY)
        if outcome == "none":
            raise NotFound("There is no such task.")
        if outcome == "withdrawn":
            raise Conflict("This task was withdrawn: it takes no more answers.")
        if outcome == "full":
            raise Conflict(f"A task takes at most {MOST_REDUNDANCY} answers.")
        hotpath.lower_head(connection, project.id)
        audit.note(connection, by, project.id, "task.ask_more", task=task_id, n=n)


def describe(value: Mapping[str, Any] | None, task_parts: Sequence[Part]) -> str | None:
    """A value as its own labels; None where there is none. With several parts each is named."""
    if value is None:
        return None
    if isinstance(cells := value.get("cells"), dict):
        return ", ".join(cells["checked"])  # squares, by who did not draw
    words = []
    for part in task_parts:
        if (given := value.get(part.id)) is not None:
            word = _word(given, part)
            words.append(word if len(task_parts) == 1 else f"{part.label}: {word}")
    return " · ".join(words)


def _word(given: Any, part: Part) -> str:
    labels = dict(part.options)
    if part.kind == "marks":
        return str(len(given))
    if isinstance(given, list):
        return ", ".join(labels.get(one, str(one)) for one in given)
    return labels.get(given, given) if isinstance(given, str) else str(given)


def _picture(image: Any) -> Picture | None:
    """The smallest derivative that is wide enough for a page; for a row or an Image."""
    get = image.__getitem__ if isinstance(image, dict) else image.__getattribute__
    derivatives = get("derivatives")
    if not derivatives:
        return None
    wide = [one for one in derivatives if one["width"] >= PICTURE_PX]
    one = min(wide, key=_width) if wide else max(derivatives, key=_width)
    return Picture(f"/media/{one['sha256']}.webp", get("width"), get("height"))


def _width(derivative: Mapping[str, Any]) -> int:
    return int(derivative["width"])
