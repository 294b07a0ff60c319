"""Forms drawn from a JSON schema: a task type declares its Config once, and the owner's form follows.

`nodes(schema)` says what to draw; `read(nodes, form)` turns the post back into plain JSON. Lists of objects
are rows: blank rows vanish, so a form works without JavaScript by having spare ones and an "add" button.
Names of inputs are dotted paths: `config.fields.0.label`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from werkzeug.datastructures import MultiDict

#: Rows that a list may have in a form; more are made by a config file on the command line.
MAX_ROWS = 200
LONG_TEXT = 200


@dataclass(frozen=True, slots=True)
class Node:
    """One property of an object. kind: text, long, number, integer, bool, choice, words, object, list."""

    name: str
    kind: str
    title: str
    hint: str = ""
    default: Any = None
    is_required: bool = False
    options: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    max_length: int | None = None
    max_items: int = MAX_ROWS
    is_extra: bool = False  # rarely needed: drawn behind "more settings" of its row
    parts: tuple[Node, ...] = ()  # of an object, or of one row of a list


def nodes(schema: Mapping[str, Any]) -> tuple[Node, ...]:
    """What to draw for an object's JSON schema (as pydantic writes it), in the order declared.

    A `label` comes first; its `id` is an extra, made from the label when left empty.
    """
    return _parts(schema, schema.get("$defs", {}))


def _parts(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> tuple[Node, ...]:
    required = set(schema.get("required", ()))
    nodes = [_node(name, part, name in required, defs) for name, part in schema.get("properties", {}).items()]
    if {"id", "label"} <= {node.name for node in nodes}:
        nodes.sort(key=lambda node: node.name != "label")
        nodes = [
            replace(node, is_extra=True, is_required=False) if node.name == "id" else node for node in nodes
        ]
    return tuple(nodes)


def _node(name: str, schema: Mapping[str, Any], is_required: bool, defs: Mapping[str, Any]) -> Node:
    outer = schema
    schema = _resolve(schema, defs)
    kind, parts, options = _kind(schema, defs)
    return Node(
        name=name,
        kind=kind,
        title=outer.get("title") or schema.get("title") or name.replace("_", " ").capitalize(),
        hint=outer.get("description", ""),
        default=outer.get("default", schema.get("default")),
        is_required=is_required,
        options=options,
        low=schema.get("minimum", schema.get("exclusiveMinimum")),
        high=schema.get("maximum", schema.get("exclusiveMaximum")),
        max_length=schema.get("maxLength"),
        max_items=min(schema.get("maxItems", MAX_ROWS), MAX_ROWS),
        is_extra=not is_required and kind not in ("list", "choice") and name != "label",
        parts=parts,
    )


def _resolve(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and take the first alternative that is not null."""
    if "$ref" in schema:
        return _resolve(defs[schema["$ref"].rsplit("/", 1)[-1]], defs)
    for several in ("anyOf", "allOf", "oneOf"):
        for option in schema.get(several, ()):
            if option.get("type") != "null":
                return _resolve(option, defs)
    return schema


def _kind(
    schema: Mapping[str, Any], defs: Mapping[str, Any]
) -> tuple[str, tuple[Node, ...], tuple[str, ...]]:
    if "enum" in schema or "const" in schema:
        return "choice", (), tuple(str(value) for value in schema.get("enum") or [schema["const"]])
    match schema.get("type"):
        case "boolean":
            return "bool", (), ()
        case "number" | "integer" as number:
            return number, (), ()
        case "object":
            return "object", _parts(schema, defs), ()
        case "array":
            item = _resolve(schema.get("items", {}), defs)
            return ("list", _parts(item, defs), ()) if item.get("type") == "object" else ("words", (), ())
        case _:
            return ("long" if schema.get("maxLength", 0) > LONG_TEXT * 3 else "text"), (), ()


# -- reading ------------------------------------------------------------------------------------------


def read(
    parts: Sequence[Node], form: MultiDict[str, str], prefix: str, *, is_draft: bool = False
) -> dict[str, Any]:
    """The plain JSON of a posted form. What was left empty is absent; numbers that are none stay text.

    is_draft: to be drawn again, not to be used: blank rows stay where they are, and no ids are made.
    """
    config: dict[str, Any] = {}
    for node in parts:
        value = _read(node, form, f"{prefix}.{node.name}", is_draft)
        if value is not None:
            config[node.name] = value
    if not is_draft:
        _name_rows(parts, config)
    return config


def _read(node: Node, form: MultiDict[str, str], path: str, is_draft: bool) -> Any:
    entry = form.get(path, "").strip()
    match node.kind:
        case "bool":
            return path in form if f"{path}.shown" in form else None
        case "number" | "integer":
            return _number(entry, node.kind == "integer") if entry else None
        case "words":
            return [line.strip() for line in entry.splitlines() if line.strip()] or None
        case "object":
            value = read(node.parts, form, path, is_draft=is_draft)
            return None if _is_blank(value, node.parts) else value
        case "list":
            rows = [
                read(node.parts, form, f"{path}.{number}", is_draft=is_draft)
                for number in row_numbers(form, path)
            ]
            return [row for row in rows if is_draft or not _is_blank(row, node.parts)]
        case _:
            return entry or None


def row_numbers(form: Mapping[str, Any], path: str) -> list[int]:
    """The rows of a list that were posted, in order; their numbers may have gaps."""
    pattern = re.compile(re.escape(path) + r"\.(\d{1,4})\.")
    return sorted({int(match[1]) for name in form if (match := pattern.match(name))})[:MAX_ROWS]


def _number(entry: str, is_integer: bool) -> int | float | str:
    entry = entry.replace(",", ".") if entry.count(",") == 1 and "." not in entry else entry
    try:
        return int(entry) if is_integer or re.fullmatch(r"[+-]?\d{1,15}", entry) else float(entry)
    except ValueError:
        return entry  # the config's own check says what is wrong with it


def _is_blank(value: Mapping[str, Any], parts: Sequence[Node]) -> bool:
    """Was nothing entered? Choices and check boxes always have a value, so they do not count."""
    return not any(
        value.get(node.name) not in (None, [], "") and node.kind not in ("bool", "choice") for node in parts
    )


def _name_rows(parts: Sequence[Node], config: dict[str, Any]) -> None:
    """Give rows with a label and no id an id made from the label, unique among its sisters."""
    for node in parts:
        if node.kind != "list" or not {"id", "label"} <= {part.name for part in node.parts}:
            continue
        rows = config.get(node.name, [])
        taken = {row["id"] for row in rows if "id" in row}
        for number, row in enumerate(rows, 1):
            if "id" not in row and "label" in row:
                row["id"] = _identifier(row["label"], f"{node.name[0]}{number}", taken)
                taken.add(row["id"])


def _identifier(label: str, fallback: str, taken: set[str]) -> str:
    """Lower-case ASCII words joined by _, as a column name needs; the fallback for other scripts."""
    text = unicodedata.normalize("NFKD", label.casefold()).encode("ascii", "ignore").decode()
    base = re.sub(r"[^a-z0-9]+", "_", text).strip("_")[:30].strip("_")
    base = base if base[:1].isalpha() else fallback
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def remove_row(form: MultiDict[str, str], path: str) -> MultiDict[str, str]:
    """The same form without the row at this path (`config.fields.2`)."""
    return MultiDict(
        (name, value) for name, value in form.items(multi=True) if not (name + ".").startswith(path + ".")
    )
