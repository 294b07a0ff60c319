"""What the API with tokens reads and writes. In models are enforced; Out models describe."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from microtasks.web.api.models import In, Out, ProgressOut

State = Literal["draft", "published", "paused", "archived"]
Next = Field(description="Send it as `after` for the next page; null: this is the last one.")


class ExportIn(In):
    """Ask for an export; a worker writes it."""

    what: str = Field("all", description="A table (see the code book), or all: a package of every table.")
    format: str = Field("csv", description="csv, jsonl, parquet, or another that the project's page offers.")
    licence: str = Field("", description="The licence that a package names, such as CC-BY-4.0.")
    compress: Literal["", "gzip", "zstd"] = ""
    raw: bool = Field(False, description="In CSV: leave texts that look like formulas exactly as they are.")
    images: bool = Field(False, description="The images' files too, where the format can hold them.")
    language: str = Field(
        "", max_length=35, description="excel-csv: whose separator and decimal sign (BCP 47)."
    )
    same_names: bool = Field(
        False, description="Contributors have the names they have in every such export; else new ones."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"what": "answers", "format": "parquet"}]})


class MoveIn(In):
    """Publish, pause, resume or archive a project."""

    move: Literal["publish", "pause", "resume", "archive"]

    model_config = ConfigDict(json_schema_extra={"examples": [{"move": "pause"}]})


class MyProjectOut(Out):
    """A project that you own or are a member of."""

    slug: str
    name: str
    purpose: str
    topic: str
    language: str
    type: str = Field(description="The task type.")
    state: State
    role: Literal["researcher", "reviewer", "collaborator", "owner"] = Field(description="Yours in it.")
    config: dict[str, Any]
    config_version: int
    redundancy: int = Field(description="Answers wanted for each task, at most.")
    answers_min: int
    stop_rule: str
    stop_threshold: float
    method: str
    created_at: datetime
    published_at: datetime | None
    progress: ProgressOut


class MyProjectsOut(Out):
    """Your projects, newest first."""

    projects: list[MyProjectOut]
    next: str | None = Next


class RowsOut(Out):
    """A page of a table. Keys of a row are the columns of the export; the code book says what they mean."""

    rows: list[dict[str, Any]]
    next: str | None = Next
    last: str = Field(
        description="Send it as `after` another day for every row that is new or has changed since; where "
        "`next` is not null, the same as `next`."
    )


class ColumnOut(Out):
    """One column."""

    name: str
    type: str
    unit: str
    meaning: str


class CodeBookOut(Out):
    """Every table of the project, with its columns."""

    tables: dict[str, list[ColumnOut]]


class BatchOut(Out):
    """One upload."""

    id: int
    label: str
    state: str = Field(description="queued, running, done, failed; others may come.")
    phase: str
    n_rows: int | None
    rows_done: int
    n_tasks: int
    n_failed: int
    error: str | None
    notices: list[str]
    created_at: datetime
    finished_at: datetime | None


class BatchesOut(Out):
    """The project's uploads, newest first."""

    batches: list[BatchOut]
    next: str | None = Next


class FailureOut(Out):
    """A row or file that did not become a task."""

    row: int
    name: str
    reason: str


class FailuresOut(Out):
    """Rows that failed, in the order of the file."""

    failures: list[FailureOut]
    next: str | None = Next


class TasksByEndOut(Out):
    """Tasks that ended alike."""

    reason: str | None = Field(description="null: open.")
    n_tasks: int
    n_answers: int
    n_left: int = Field(description="Answers they may still take.")
    n_saved: int = Field(description="Answers never asked for, by stopping early.")


class ForecastOut(Out):
    """When the work ends at the pace of the last 24 hours."""

    n_left: int
    per_hour: float
    ends_at: datetime


class AmountOut(Out):
    """A number of something in an hour or on a day, UTC."""

    at: str
    n: int


class SlowTaskOut(Out):
    """A task that takes long."""

    task: int
    external_id: str
    median_seconds: float
    n: int


class FiguresOut(Out):
    """The figures of the dashboard. Bins are tenths from 0 to 1. Counts only; nothing says who."""

    made_at: datetime
    n_tasks: int
    n_done: int
    n_answers: int
    n_saved: int
    n_tied: int
    n_given: int = Field(description="Answers of every status among the last 200,000.")
    n_cant_tell: int
    n_skipped: int
    n_reported: int
    tasks: list[TasksByEndOut]
    forecast: ForecastOut | None
    answers_per_hour: list[AmountOut]
    answers_per_day: list[AmountOut]
    contributors_per_day: list[AmountOut]
    agreement: list[int]
    gold_scores: list[int] | None
    slow_tasks: list[SlowTaskOut]


class ExportOut(Out):
    """An export: how it was asked for, how far it is, and its file."""

    id: int
    state: str = Field(description="queued, running, done, failed, expired: its file is no longer kept.")
    what: str
    format: str
    parameters: dict[str, Any]
    snapshot: dict[str, Any] | None = Field(description="Which state of the project it holds.")
    software: str
    progress: float | None = Field(description="0 to 1; null: not known.")
    rows: int | None
    name: str
    bytes: int | None
    sha256: str | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None

    model_config = ConfigDict(extra="allow")


class ExportsOut(Out):
    """The project's exports, newest first."""

    exports: list[ExportOut]
    next: str | None = Next


class MovedOut(Out):
    """The project's state now."""

    state: State
