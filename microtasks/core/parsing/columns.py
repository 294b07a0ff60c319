"""What the columns of a table of tasks are for: by name, by what the owner says, or by what is in them.

Names of other tools are known, too: Zooniverse's manifests (`//name`, `%name`), PyBossa's tasks (`n_answers`,
`priority_0`, `info`), Label Studio's (`data`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from microtasks.core.errors import RowInvalid

#: What an owner may say that a column is for; or `gold_` and the name of a field.
ROLES: Final = (
    "id",
    "image",
    "text",
    "question",
    "shown",
    "after",
    "hidden",
    "priority",
    "redundancy",
    "gold",
    "",
)
#: Longest name of a field, with `gold_` before it.
MAX_FIELD_CHARACTERS: Final = 70
#: Cells of such a mean length are rather a text than a fact.
TEXT_CHARACTERS: Final = 20
#: Parts of a task that several columns make up, each under its name.
NAMED: Final = frozenset(("image", "gold_field", "hidden", "after", "shown"))
#: Columns of PyBossa that have another name here.
PYBOSSA: Final[Mapping[str, str]] = {"priority_0": "priority", "n_answers": "redundancy"}
#: Columns that other tools name their items by, the most telling first.
OTHER_IDS: Final = ("subject_id", "mediaid", "occurrenceid", "gbifid", "task_id", "observationid", "uuid")
Columns = Mapping[str, str]


@lru_cache(maxsize=1024)
def role(name: str) -> tuple[str, str]:
    """What a column is for, and its name there: ("gold_field", "answer") for `Gold_answer`."""
    name = name.strip().lstrip("\ufeff").strip()
    plain = re.sub(r"[\s-]+", "_", name).casefold()
    if name[:1] in ("#", "!"):
        return ("hidden" if name[0] == "#" else "after"), name[1:].strip()
    if name[:2] == "//":  # Zooniverse's other way to hide
        return "hidden", name[2:].strip()
    if name[:1] == "%":  # Zooniverse's mark of an index
        return "shown", name[1:].strip()
    if plain in PYBOSSA:
        return PYBOSSA[plain], PYBOSSA[plain]
    if plain in ("id", "text", "question", "priority", "redundancy", "gold"):
        return plain, plain
    if plain in ("image", "images") or plain.startswith("image_"):
        return "image", plain
    if plain.startswith("gold_"):
        return "gold_field", name[len("gold_") :].strip()
    return "shown", name


def is_known(name: str) -> bool:
    """Does the name itself say what the column is for?"""
    return role(name)[0] != "shown" or name.strip().casefold() in OTHER_IDS


def role_of(written: str, columns: Columns) -> tuple[str, str]:
    """What a column is for: what the owner said, or else as its name suggests. ("", "") to leave it out."""
    said = columns.get(written.strip())
    if said is None:
        return role(written)
    if said.startswith("gold_"):
        return "gold_field", said[len("gold_") :]
    if said in NAMED:
        return said, role(written)[1] or written.strip()
    return said, said


def unwrapped(raw: Any) -> dict[str, Any]:
    """The fields of a task: of Label Studio's below `data`, of PyBossa's below `info`. Raises RowInvalid."""
    if not isinstance(raw, dict):
        raise RowInvalid('Each task must be one JSON object, such as {"id": "1", "text": "..."}.')
    for within, beside in (("data", ("id",)), ("info", ("id", *PYBOSSA))):
        if isinstance(raw.get(within), dict):
            outside = {name: raw[name] for name in beside if raw.get(name) is not None}
            return {**outside, **raw[within]}
    return raw


def suggested(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    is_file: Callable[[str], bool],
    is_private: Callable[[str, Sequence[str]], str] = lambda name, cells: "",
) -> dict[str, str]:
    """What columns are probably for whose names do not say so: by the cells of some rows.

    is_file: is there a file of the upload with this name? A column of such names is images, where no column
    says that it is; without images, text and question the one with the longest cells is the text. Columns of
    people, answers and data for programs (is_private) start hidden; another tool's name of an item is the id.
    """
    roles: dict[str, str] = {}
    named_roles = {name: role(name)[0] for name in names}
    if any(re.sub(r"[\s-]+", "_", name).casefold() in PYBOSSA for name in names):
        roles |= {name: "" for name in names if name.casefold() in ("state", "quorum", "calibration")}
    cells_of = {
        name: [row[at].strip() for row in rows if at < len(row) and row[at].strip()]
        for at, name in enumerate(names)
        if name and named_roles[name] == "shown" and name not in roles
    }
    if "image" not in named_roles.values():
        roles |= {name: "image" for name, cells in cells_of.items() if cells and all(map(is_file, cells))}
    if "id" not in named_roles.values() and (name := _other_id(cells_of, len(rows))):
        roles[name] = "id"
    roles |= {
        name: "hidden" for name, cells in cells_of.items() if name not in roles and is_private(name, cells)
    }
    plain = [(name, cells) for name, cells in cells_of.items() if name not in roles]
    if not {"image", "text", "question"} & {*named_roles.values(), *roles.values()}:
        longest = max(plain, key=lambda it: sum(map(len, it[1])) / max(1, len(it[1])), default=("", []))
        if longest[1] and sum(map(len, longest[1])) / len(longest[1]) >= TEXT_CHARACTERS:
            roles[longest[0]] = "text"
    return roles


def _other_id(cells_of: Mapping[str, Sequence[str]], n_rows: int) -> str | None:
    """The column that another tool names its items by, if it names each of these rows differently."""
    for wanted in OTHER_IDS:
        for name, cells in cells_of.items():
            if re.sub(r"[\s_-]+", "", name).casefold() != wanted.replace("_", ""):
                continue
            if n_rows and len(set(cells)) == n_rows:
                return name
    return None
