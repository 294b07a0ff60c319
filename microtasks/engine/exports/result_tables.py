"""Tables of results: the consensus, the tasks, marks of big images; and for people an item a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from microtasks.core.parsing.lists import join_list
from microtasks.core.values import Column, Consensus, Part
from microtasks.engine.exports.columns import (
    Field,
    Record,
    TableSpec,
    computed,
    file_name_field,
    in_short,
    listed,
    project_field,
    same,
    stored,
    table,
    task_fields,
    tile_fields,
    type_of,
)
from microtasks.engine.exports.snapshots import View
from microtasks.engine.tabular.table import Table, to_json
from microtasks.store.exports import reads

_RETIRED_AT = stored(
    "retired_at",
    Column("retired_at", "datetime", "When the task needed no more answers, UTC; empty while it does."),
)
_REASON = stored(
    "retirement_reason",
    Column("retirement_reason", "string", "consensus, redundancy (all answers are in) or withdrawn."),
)


#: What columns of the table of items are called: an owner's own column by such a name gives way.
ITEM_COLUMNS = frozenset(
    (
        *("id", "file_name", "text", "result", "agreement", "confidence", "tied", "answers", "state"),
        *("retired_at", "decision", "decision_value", "source", "source_x", "source_y", "task"),
    )
)


def _state(row: Record) -> str:
    return "open" if row["retired_at"] is None else "retired"


def _decision_fields() -> tuple[Field, ...]:
    """What an expert decided about a task."""
    return (
        stored(
            "decision",
            Column(
                "decision",
                "string",
                "What an expert decided after looking, kept with the crowd's value: consensus (it is "
                "right), answer (what one volunteer said), own (the expert's own answer), none (nothing of "
                "it); empty if nobody decided, or it was taken back.",
            ),
        ),
        computed(
            Column(
                "decision_value", "string", "The value that the expert decided for, in short, as `value` is."
            ),
            lambda row: in_short(row["decided"]),
        ),
        stored(
            "decided_by_role",
            Column(
                "decided_by_role",
                "string",
                "What the expert is in the project: owner, collaborator, reviewer.",
            ),
        ),
        stored(
            "decided_at",
            Column("decided_at", "datetime", "When the expert decided, UTC; the last decision counts."),
        ),
    )


def consensus(view: View) -> Table:
    """What the answers add up to, as the type writes it: a row a task, a tag or a mark."""
    task_type, config = type_of(view.project)
    fields = (
        *task_fields(view),
        computed(
            Column(
                "value",
                "string",
                "The consensus in short; a list is joined by |, marks are counted; empty if none.",
            ),
            lambda row: in_short(row["value"]),
        ),
        stored(
            "agreement", Column("agreement", "number", "Share of counted answers that support it.", "0..1")
        ),
        stored(
            "confidence",
            Column(
                "confidence",
                "number",
                "Probability that it is right; empty where the method gives none.",
                "0..1",
            ),
        ),
        stored("n_reduced", Column("n_answers", "integer", "Counted answers that it rests on.")),
        _RETIRED_AT,
        _REASON,
        stored("reducer", Column("reducer", "string", "Name and version of the method.")),
        *listed("own", task_type.columns(config)),
        stored(
            "stopped",
            Column(
                "stopped",
                "string",
                "Where tasks stop when sure: sure; disputed (all answers are in and it is not sure: look "
                "yourself); full (all answers were needed); empty while it goes on.",
            ),
        ),
        stored(
            "is_audit",
            Column("is_audit", "boolean", "It was sure and got all answers all the same, as an audit."),
        ),
        *(tile_fields() if view.has_tiles else ()),
        *_decision_fields(),
        file_name_field(),
    )
    records = (
        {**row, "own": own}
        for row in view.walk(reads.consensus, "task_id")
        if row["n_reduced"] is not None  # else its first answers are later than the snapshot
        for own in task_type.rows(_consensus_of(row), config)
    )
    return table(fields, records)


def _consensus_of(row: Record) -> Consensus:
    return Consensus(
        value=row["value"],
        agreement=row["agreement"],
        confidence=row["confidence"],
        n_answers=row["n_reduced"],
        is_tied=row["is_tied"],
        detail=row["detail"],
        reducer=row["reducer"],
        parameters=row["parameters"],
    )


def tasks(view: View) -> Table:
    """Every task: content and state. The owner's own columns follow as meta_, hidden_ and after_."""
    with view.site.db.connection() as connection:
        names = reads.metadata_names(connection, view.snapshot.cut)
    fields = (
        *task_fields(view),
        stored("batch_id", Column("batch", "integer", "The upload that it came with.")),
        computed(Column("state", "string", "open, or retired: it needs no more answers."), _state),
        stored("n_answers", Column("n_answers", "integer", "Counted answers so far.")),
        stored(
            "redundancy",
            Column(
                "redundancy", "integer", "Answers that it may get at most: the project's number, or its own."
            ),
        ),
        _RETIRED_AT,
        _REASON,
        stored("agreement", Column("agreement", "number", "Agreement of its consensus so far.", "0..1")),
        stored("confidence", Column("confidence", "number", "Confidence of its consensus so far.", "0..1")),
        stored("is_gold", Column("is_gold", "boolean", "Is its right answer known?")),
        computed(Column("text", "string", "The text shown."), lambda row: row["payload"].get("text")),
        computed(
            Column("question", "string", "The question shown, if it has its own."),
            lambda row: row["payload"].get("question"),
        ),
        stored(
            "image_sha256",
            Column("image_sha256", "string", "SHA-256 of the (first) image's file, hexadecimal."),
        ),
        stored("width", Column("image_width", "integer", "Width of the image as shown upright.", "px")),
        stored("height", Column("image_height", "integer", "Height of the image as shown upright.", "px")),
        *tile_fields(),
        *_owner_fields(
            names["metadata"],
            "meta_",
            "Column of the owner, shown with the task.",
            lambda row: row["payload"].get("metadata", {}),
        ),
        *_owner_fields(
            names["hidden"], "hidden_", "Column of the owner, never shown.", lambda row: row["hidden"]
        ),
        *_owner_fields(
            names["after"], "after_", "Column of the owner, shown after answering.", lambda row: row["after"]
        ),
        file_name_field(),
    )
    return table(fields, view.walk(reads.tasks, "task_id"))


def _owner_fields(
    names: list[str], prefix: str, meaning: str, holder: Callable[[Record], Mapping[str, Any]]
) -> Iterator[Field]:
    """The owner's own columns of one kind, as they were uploaded."""

    def cell(name: str) -> Callable[[Record], Any]:
        return lambda row: holder(row).get(name)

    for name in names:
        shown_name = f"{prefix}{name}"
        if shown_name in ITEM_COLUMNS or shown_name.startswith("result_"):
            shown_name = f"own_{shown_name}"
        yield computed(Column(shown_name, "string", meaning), cell(name))


def items(view: View) -> Table:
    """One row an item, for people: the owner's own columns, the file's name, the result and its agreement."""
    task_type, config = type_of(view.project)
    parts = task_type.parts(config)
    with view.site.db.connection() as connection:
        names = reads.metadata_names(connection, view.snapshot.cut)
    fields = (
        stored("external_id", Column("id", "string", "The owner's own id of the task, or its file name.")),
        file_name_field(),
        computed(Column("text", "string", "The text shown."), lambda row: row["payload"].get("text")),
        *_owner_fields(
            names["metadata"],
            "",
            "Column of the owner, shown with the task.",
            lambda row: row["payload"].get("metadata", {}),
        ),
        *_owner_fields(names["hidden"], "#", "Column of the owner, never shown.", lambda row: row["hidden"]),
        *_owner_fields(
            names["after"], "!", "Column of the owner, shown after answering.", lambda row: row["after"]
        ),
        *_result_fields(parts),
        stored(
            "agreement", Column("agreement", "number", "Share of counted answers that support it.", "0..1")
        ),
        stored(
            "confidence",
            Column(
                "confidence",
                "number",
                "Probability that it is right; empty where the method gives none.",
                "0..1",
            ),
        ),
        computed(
            Column("tied", "boolean", "Several results have as many answers."), lambda row: row["is_tied"]
        ),
        stored("n_answers", Column("answers", "integer", "Counted answers so far.")),
        computed(Column("state", "string", "open, or retired: it needs no more answers."), _state),
        _RETIRED_AT,
        stored(
            "decision", Column("decision", "string", "What an expert decided, as in the table consensus.")
        ),
        computed(
            Column("decision_value", "string", "The value that the expert decided for, in words."),
            lambda row: _in_words(parts, row["decided"]),
        ),
        *(tile_fields() if view.has_tiles else ()),
        stored("task_id", Column("task", "integer", "The task's number in this site, as in other tables.")),
    )
    return table(fields, view.walk(reads.items, "task_id"))


def _result_fields(parts: tuple[Part, ...]) -> Iterator[Field]:
    """A column for each thing that was asked, in the words that volunteers read."""

    def result(part: Part) -> Callable[[Record], Any]:
        return lambda row: in_words(part, part.answered(row["value"] or {}))

    for part in parts:
        name = "result" if len(parts) == 1 else f"result_{part.id}"
        column = Column(name, "string", f"What the answers add up to, in words: {part.label}")
        yield computed(column, result(part))
    if not parts:
        yield computed(
            Column("result", "string", "What the answers add up to."), lambda row: in_short(row["value"])
        )


def _in_words(parts: tuple[Part, ...], value: Mapping[str, Any] | None) -> Any:
    """A whole value in words: its parts joined by semicolons."""
    if value is None or not parts:
        return in_short(value)
    worded = [(part, in_words(part, part.answered(value))) for part in parts]
    if len(worded) == 1:
        return worded[0][1]
    return "; ".join(f"{part.label}: {words}" for part, words in worded if words is not None)


def in_words(part: Part, value: Any) -> Any:
    """What was said about one part, as volunteers read it: labels for ids, marks counted by class."""
    if value is None:
        return None
    labels = dict(part.options)
    if part.kind == "marks":
        counts: dict[str, int] = {}
        for mark in value:
            name = mark.get("class") or ""
            counts[name] = counts.get(name, 0) + 1
        if set(counts) <= {""}:
            return str(len(value))
        return ", ".join(f"{labels.get(name, name) or 'no class'}: {n}" for name, n in sorted(counts.items()))
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        return join_list(labels.get(str(item), item) for item in value)
    if isinstance(value, (list, dict)):  # a type's own structure
        return to_json(value).decode()
    return labels.get(value, value) if isinstance(value, str) else value


def sources(view: View) -> Table:
    """Consensus marks of tiled images, merged across the tiles' borders, in the big image's pixels."""
    task_type, config = type_of(view.project)
    fields = (
        project_field(view),
        stored("source", Column("source", "string", "The big image, by the owner's id or file name.")),
        *listed("own", task_type.columns(config)),
        stored("reducer", Column("reducer", "string", "Name and version of the method.")),
        same(
            Column("updated_at", "datetime", "The moment whose answers the marks are merged from, UTC."),
            view.snapshot.cut.at,
        ),
        file_name_field(),
    )
    records = (
        {**row, "own": own}
        for row in view.walk(reads.sources, "source")
        for own in task_type.rows(
            Consensus(None, 0.0, None, 0, detail=row["detail"], reducer=row["reducer"]), config
        )
    )
    return table(fields, records)


TABLES = (
    TableSpec(
        "items",
        "Items and results",
        "One row an item: your own columns, the file's name, the result in words and its agreement.",
        items,
        ("task",),
    ),
    TableSpec(
        "consensus",
        "Consensus",
        "What the answers add up to, with agreement: the results.",
        consensus,
        ("task",),
    ),
    TableSpec("tasks", "Tasks", "Every task with its state and your own columns.", tasks, ("task",)),
    TableSpec(
        "sources",
        "Merged catalogue",
        "Marks of big images, merged across the borders of their tiles.",
        sources,
    ),
)
