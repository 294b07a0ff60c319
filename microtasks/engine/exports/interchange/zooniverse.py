"""Zooniverse: the classification, workflow and subject tables that its aggregation tools read.

A project is a workflow, a version of its config a version of the workflow (`-v 3.1` is config version 3), a
task a subject, a counted answer a classification. Written as panoptes' own exporter writes it (classifier 1):
labels as text, marks in pixels of the image with the number of their tool. Only answers that count are in it
(no surplus, no checks, nobody's who was left out): the aggregators count all. "I can't tell" is the answer
null of a choice; for all else the annotation is left out, because their extractors fail on null there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from microtasks import tasktypes
from microtasks.core.values import Column, Part
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange.labels import NO_CLASS, as_text, options_of
from microtasks.engine.tabular.csv_format import MIME, Dialect, write_csv
from microtasks.engine.tabular.table import File, Table, to_json, utc
from microtasks.store.exports import reads

#: Every version of a config is one major version; there are no minor ones.
MINOR_VERSION = 1
SHAPES = {"circle": "circle", "point": "point", "box": "rectangle"}
REASONS = {"redundancy": "classification_count", "consensus": "consensus", "withdrawn": "other"}

CLASSIFICATIONS = (
    "classification_id,user_name,user_id,user_ip,workflow_id,workflow_name,workflow_version,created_at,"
    "gold_standard,expert,metadata,annotations,subject_data,subject_ids"
)
WORKFLOWS = (
    "workflow_id,display_name,version,active,classifications_count,pairwise,grouped,prioritized,"
    "primary_language,first_task,tutorial_subject_id,retired_set_member_subjects_count,tasks,retirement,"
    "strings,minor_version"
)
SUBJECTS = (
    "subject_id,project_id,workflow_id,subject_set_id,metadata,locations,classifications_count,retired_at,"
    "retirement_reason,created_at,updated_at"
)


def files(source: Source) -> list[File]:
    """The three tables; the classifications, which can do without the others, first."""
    tables = (
        ("classifications.csv", CLASSIFICATIONS, _classifications(source)),
        ("workflows.csv", WORKFLOWS, _workflows(source)),
        ("subjects.csv", SUBJECTS, _subjects(source)),
    )
    return [source.file(name, MIME, _written(source, columns, rows)) for name, columns, rows in tables]


def _written(source: Source, names: str, rows: Iterator[tuple[Any, ...]]) -> Iterator[bytes]:
    columns = tuple(Column(name, "string", "") for name in names.split(","))
    return write_csv(Table(columns, rows), Dialect(raw=source.options.raw))


def _classifications(source: Source) -> Iterator[tuple[Any, ...]]:
    task_type = tasktypes.get(source.project.task_type)
    with source.site.db.connection() as connection:
        versions = reads.configs(connection, source.project.id)
    parts = {version: task_type.parts(task_type.parse_config(config)) for version, config in versions}
    for row in source.view.walk(reads.classifications, "id"):
        version, task = row["config_version"], row["task_id"]
        shown_parts = parts.get(version, source.parts)
        name = source.pseudonym(row["contributor_id"])
        subject = {
            "retired": _retired(source, row),
            "filename": row["external_id"],
            **_metadata(row),
        }
        yield (
            *(row["id"], f"not-logged-in-{name}", None, name, source.project.id, source.project.name),
            *(f"{version}.{MINOR_VERSION}", _stamp(row["created_at"]), None, None),
            to_json(_circumstances(source, row, name)).decode(),
            to_json(_annotations(shown_parts, row["value"])).decode(),
            to_json({str(task): subject}).decode(),
            task,
        )


def _annotations(parts: tuple[Part, ...], value: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    annotations = []
    for number, part in enumerate(parts):
        given = None if value is None else part.answered(value)
        if value is not None and given is None and part.kind in ("choice", "choices", "scale"):
            continue  # it was not asked, or left blank
        if given is None and part.kind not in ("choice", "choices", "scale"):
            continue
        annotation = {"task": f"T{number}", "task_label": part.label, "value": _value(part, given)}
        annotations.append(annotation)
    return annotations


def _value(part: Part, value: Any) -> Any:
    if value is None:
        return None
    if part.kind == "marks":
        return _marks(part, value)
    options = dict(options_of(part))
    if part.kind == "choices":
        return [options.get(item, item) for item in value]
    if part.kind == "choice":
        return options.get(value, value)
    return as_text(value)


def _marks(part: Part, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tools = [name for name, _ in options_of(part)]
    labels = [label for _, label in options_of(part)]
    written = []
    for mark in value:
        name = mark.get("class", NO_CLASS)
        tool = tools.index(name) if name in tools else len(tools) - 1
        measures = {key: size for key, size in mark.items() if key != "class"}
        written.append({**measures, "tool": tool, "frame": 0, "details": [], "tool_label": labels[tool]})
    return written


def _circumstances(source: Source, row: reads.Row, name: str) -> dict[str, Any]:
    """The column metadata; `microtasks` holds what Zooniverse has no place for."""
    finished = row["created_at"]
    return {
        "source": "microtasks",
        "session": name,
        "viewport": {},
        "started_at": finished - timedelta(seconds=row["seconds_spent"] or 0),
        "finished_at": finished,
        "user_agent": "",
        "utc_offset": "0",
        "user_language": source.project.language,
        "subject_dimensions": [
            row["width"]
            and {
                "clientWidth": row["width"],
                "clientHeight": row["height"],
                "naturalWidth": row["width"],
                "naturalHeight": row["height"],
            }
        ],
        "microtasks": {key: row[key] for key in ("kind", "revision", "seconds_spent")},
    }


def _workflows(source: Source) -> Iterator[tuple[Any, ...]]:
    task_type = tasktypes.get(source.project.task_type)
    with source.site.db.connection() as connection:
        versions = reads.configs(connection, source.project.id)
    n_answers = n_retired = 0
    for task in source.view.walk(reads.states, "task_id"):
        n_answers += task["n_answers"]
        n_retired += task["retired_at"] is not None
    for version, config in versions:
        tasks, strings = _tasks(task_type.parts(task_type.parse_config(config)))
        yield (
            *(source.project.id, source.project.name, version, source.project.state == "published"),
            *(n_answers, False, False, False, source.project.language, "T0", None),
            *(n_retired, to_json(tasks).decode()),
            to_json(
                {"criteria": "classification_count", "options": {"count": source.project.redundancy}}
            ).decode(),
            # Read as Python by panoptes_aggregation: texts alone, no null, true or false.
            *(to_json(strings).decode(), MINOR_VERSION),
        )


def _tasks(parts: tuple[Part, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """The columns tasks and strings: texts stand in `strings` under the names that `tasks` holds."""
    tasks: dict[str, Any] = {}
    strings: dict[str, str] = {}
    for number, part in enumerate(parts):
        key = f"T{number}"
        following = f"T{number + 1}" if number + 1 < len(parts) else None
        word = "question" if part.kind in ("choice", "choices", "scale") else "instruction"
        strings[f"{key}.{word}"] = part.label
        task: dict[str, Any] = {word: f"{key}.{word}", "help": f"{key}.help", "next": following}
        strings[f"{key}.help"] = ""
        options = [label for _, label in options_of(part)]
        if part.kind == "marks":
            task |= {"type": "drawing", "tools": []}
            for place, label in enumerate(options):
                named = f"{key}.tools.{place}.label"
                strings[named] = label
                task["tools"].append({"type": SHAPES[part.shape or "point"], "label": named, "details": []})
        elif word == "question":
            task |= {"type": "multiple" if part.kind == "choices" else "single", "answers": []}
            for place, label in enumerate(options):
                named = f"{key}.answers.{place}.label"
                strings[named] = label
                task["answers"].append({"label": named})
        elif part.kind == "number":
            task |= {"type": "slider", "min": part.low, "max": part.high}
        else:
            task |= {"type": "text"}
        tasks[key] = task
    return tasks, strings


def _subjects(source: Source) -> Iterator[tuple[Any, ...]]:
    base = source.site.settings.base_url.rstrip("/")
    for row in source.view.walk(reads.items, "task_id"):
        address = f"{base}/media/{row['derivatives'][-1]['sha256']}.webp" if row["derivatives"] else None
        yield (
            *(row["task_id"], source.project.id, source.project.id, row["batch_id"]),
            to_json({"filename": row["external_id"], **_metadata(row)}).decode(),
            to_json({"0": address} if address else {}).decode(),
            *(row["n_answers"], row["retired_at"] and _stamp(row["retired_at"])),
            REASONS.get(row["retirement_reason"]),
            *(_stamp(row["created_at"]), _stamp(row["retired_at"] or row["created_at"])),
        )


def _metadata(row: reads.Row) -> dict[str, Any]:
    """The owner's own columns under the names of a manifest: # hidden, ! shown after answering."""
    payload = row["payload"]
    return {
        **{key: payload[key] for key in ("text", "question") if payload.get(key)},
        **payload.get("metadata", {}),
        **{f"#{name}": text for name, text in row["hidden"].items()},
        **{f"!{name}": text for name, text in row["after"].items()},
    }


def _retired(source: Source, row: reads.Row) -> dict[str, Any] | None:
    if row["retired_at"] is None:
        return None
    return {
        "id": row["task_id"],
        "workflow_id": source.project.id,
        "classifications_count": row["n_answers"],
        "retired_at": row["retired_at"],
        "subject_id": row["task_id"],
        "retirement_reason": REASONS.get(row["retirement_reason"]),
    }


def _stamp(moment: datetime) -> str:
    """2026-01-02 10:21:42 UTC, as Zooniverse writes times."""
    return f"{utc(moment):%Y-%m-%d %H:%M:%S} UTC"


FORMAT = Format(
    "zooniverse",
    "Zooniverse tables",
    "You aggregate with panoptes_aggregation or have scripts for Zooniverse: classifications, workflow and "
    "subjects as CSV.",
    ".zooniverse.zip",
    "application/zip",
    ("answers",),
    files=files,
    is_archive=True,
    is_packed=True,
    fits=bool,
)
