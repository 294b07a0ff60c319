"""Records of a table to Items: what each column is for, and what one record asks for, or why it cannot be.

Columns, whatever their case: `id`, `image` or `image_*`, `text`, `question`, `priority` (0..1), `redundancy`,
`gold_<field>` or `gold` (JSON); `#name` is hidden from volunteers, `!name` shown after answering; all others
are shown metadata. So are other tools' files; and an owner may say of each column what it is for: columns.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from microtasks.core.errors import FileInvalid, JsonInvalid, RowInvalid
from microtasks.core.parsing import jsonstrict
from microtasks.core.parsing.columns import NAMED, Columns, role, role_of, unwrapped

MAX_COLUMNS: Final = 200
MAX_ID_CHARACTERS: Final = 200
MAX_REDUNDANCY: Final = 1000
#: What a row of a JSON file counts for where memory is counted.
OBJECT_CHARACTERS: Final = 1_000
#: No cells. Never written to.
NOTHING: Final[Mapping[str, Any]] = {}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: A long number as a spreadsheet writes it once it has lost its last digits.
ROUNDED = re.compile(r"[0-9][.,]?[0-9]*E\+[0-9]{2,3}")


class Item(NamedTuple):
    """What one record asks for. `id` is empty if the owner gave none.

    gold: a raw value as in JSON, or None. gold_fields: filled cells of the columns `gold_<field>`.
    n_characters: about how much of the table it is. (A tuple, because it is made very often.)
    """

    line: int
    id: str = ""
    images: tuple[str, ...] = ()
    payload: Mapping[str, Any] = NOTHING
    hidden: Mapping[str, str] = NOTHING
    after: Mapping[str, str] = NOTHING
    priority: float = 0.0
    redundancy: int | None = None
    gold: Any = None
    gold_fields: Mapping[str, str] = NOTHING
    n_characters: int = 0


#: An Item's fields between `payload` and `n_characters`, where it is a text and no more.
_NOTHING_MORE: Final = tuple(Item._field_defaults[name] for name in Item._fields[4:-1])


@dataclass(frozen=True, slots=True)
class Failed:
    """A record or file that cannot become a task, and why, for a person."""

    line: int
    name: str
    reason: str


class Header:
    """The first record of a CSV or TSV: what each column is for. Raises FileInvalid for an unusable one."""

    def __init__(self, names: Sequence[str], columns: Columns = NOTHING) -> None:
        if len(names) > MAX_COLUMNS:
            raise FileInvalid(f"This table has {len(names):,} columns; at most {MAX_COLUMNS} can be used.")
        self.n_columns = len(names)
        self.notices: list[str] = []
        self._parts = [""] * len(names)  # what each column is, where it is the only one of its kind
        self._named: dict[str, list[tuple[str, int]]] = {}
        seen: set[tuple[str, str]] = set()
        for at, written in enumerate(names):
            part, name = role_of(written, columns)
            if not name:
                if not columns and any(
                    role(later)[1] for later in names[at:]
                ):  # a spreadsheet's trailing commas are no news
                    self.notices.append(f"Column {at + 1} of the table has no name and was left out.")
                continue
            if _CONTROL.search(name) or len(name) > MAX_ID_CHARACTERS:
                raise FileInvalid(f"The first line does not name the columns (column {at + 1}).")
            if (part, name.casefold()) in seen:
                raise FileInvalid(f"Two columns of the table are called “{name}”.")
            seen.add((part, name.casefold()))
            if part in NAMED:
                self._named.setdefault(part, []).append((name, at))
            else:
                self._parts[at] = part
        if not seen:
            raise FileInvalid("The first line of the table must name its columns.")
        # A plain table shows texts and no more. (Most large ones are plain, and a plan saves half the work.)
        texts = [(part, self._parts.index(part)) for part in ("text", "question") if part in self._parts]
        self._id_at = self._parts.index("id") if "id" in self._parts else None
        is_plain = not self._named and {*self._parts} <= {"", "id", "text", "question"}
        self._texts_at = texts if is_plain else None
        if not ({"id", "text", "question"} & set(self._parts) or "image" in self._named):
            self.notices.append(
                "No column of the table is called id, image, text or question: "
                "its first line was taken as names, and every column is shown as a fact."
            )

    def item(self, line: int, cells: Sequence[str]) -> Item | None:
        """Turn a record into an Item; None for one with empty cells only. Raises RowInvalid."""
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            return None
        if len(cells) > self.n_columns and not any(cells[self.n_columns :]):
            cells = cells[: self.n_columns]
        if len(cells) != self.n_columns:
            raise RowInvalid(f"This line has {len(cells)} cells, but the table has {self.n_columns} columns.")
        n_characters = sum(map(len, cells))
        if self._texts_at is not None:
            payload: dict[str, Any] = {}
            for part, at in self._texts_at:
                if cell := cells[at]:
                    payload[part] = cell
            identity = "" if self._id_at is None else _identity(cells[self._id_at])
            return Item._make((line, identity, (), payload, *_NOTHING_MORE, n_characters))
        named = NOTHING
        if self._named:
            named = {
                part: {name: cells[at] for name, at in listed if cells[at]}
                for part, listed in self._named.items()
            }
        return _item(line, dict(zip(self._parts, cells, strict=True)), named, n_characters)


def json_item(line: int, text: str, columns: Columns = NOTHING) -> Item | None:
    """Turn one line of JSONL into an Item; None for an empty line. Raises RowInvalid."""
    if not text.strip():
        return None
    try:
        raw = jsonstrict.loads(text.lstrip("\ufeff"))
    except JsonInvalid as error:
        raise RowInvalid(error.message) from None
    return object_item(line, raw, len(text), columns)


def object_item(line: int, raw: Any, n_characters: int, columns: Columns = NOTHING) -> Item:
    """Turn one object of JSON into an Item. Raises RowInvalid."""
    raw = unwrapped(raw)
    if len(raw) > MAX_COLUMNS:
        raise RowInvalid(f"This object has {len(raw):,} fields; at most {MAX_COLUMNS} can be used.")
    single: dict[str, str] = {}
    named: dict[str, dict[str, str]] = {part: {} for part in NAMED}
    gold: Any = None
    for key, value in raw.items():
        part, name = role_of(key, columns)
        if value is None or not name:
            continue
        if part == "gold":
            gold = value
        elif part == "image" and isinstance(value, list):
            named[part] |= {f"{name}_{index}": as_text(each) for index, each in enumerate(value)}
        elif part in NAMED:
            if name in named[part]:
                raise RowInvalid(f"Two fields are called “{name}”.")
            named[part][name] = as_text(value)
        else:
            single[part] = as_text(value)
    filled = {part: {name: cell for name, cell in cells.items() if cell} for part, cells in named.items()}
    return _item(line, single, filled, n_characters, gold)


def as_text(value: Any) -> str:
    return (
        value.strip() if isinstance(value, str) else orjson.dumps(value).decode() if value is not None else ""
    )


def _item(
    line: int,
    single: Mapping[str, str],
    named: Mapping[str, Mapping[str, str]],
    n_characters: int,
    gold: Any = None,
) -> Item:
    filled = single.get
    identity = _identity(filled("id") or "")
    payload: dict[str, Any] = {}
    if text := filled("text"):
        payload["text"] = text
    if question := filled("question"):
        payload["question"] = question
    if metadata := named.get("shown"):
        payload["metadata"] = metadata
    if gold is None and (written := filled("gold")):
        try:
            gold = jsonstrict.loads(written)
        except JsonInvalid as error:
            raise RowInvalid(f"Column gold: {error.message}") from None
    return Item(
        line,
        identity,
        tuple(named["image"].values()) if "image" in named else (),
        payload,
        named.get("hidden", NOTHING),
        named.get("after", NOTHING),
        _priority(cell) if (cell := filled("priority")) else 0.0,
        _redundancy(cell) if (cell := filled("redundancy")) else None,
        gold,
        named.get("gold_field", NOTHING),
        n_characters,
    )


def _identity(cell: str) -> str:
    if not cell.isascii():
        cell = unicodedata.normalize("NFC", cell)
    if len(cell) > MAX_ID_CHARACTERS or (not cell.isprintable() and _CONTROL.search(cell)):
        raise RowInvalid(f"The id must be one line of at most {MAX_ID_CHARACTERS} characters.")
    return cell


def number(cell: str) -> float:
    """A number as people and spreadsheets write it: 0.5, 0,5, 5.0, in digits of any script; ValueError."""
    plain = cell.strip().replace("\u066b", ".").replace("\u2212", "-")
    return float(plain.replace(",", ".") if plain.count(",") == 1 and "." not in plain else plain)


def _priority(cell: str) -> float:
    try:
        priority = number(cell)
    except ValueError:
        priority = -1.0
    if not 0 <= priority <= 1:
        raise RowInvalid(f"The priority must be a number from 0 to 1, not “{cell[:40]}”.")
    return priority


def _redundancy(cell: str) -> int:
    try:
        redundancy = number(cell)
    except ValueError:
        redundancy = 0.0
    if not (1 <= redundancy <= MAX_REDUNDANCY and redundancy.is_integer()):
        raise RowInvalid(
            f"The redundancy must be a whole number from 1 to {MAX_REDUNDANCY}, not “{cell[:40]}”."
        )
    return int(redundancy)
