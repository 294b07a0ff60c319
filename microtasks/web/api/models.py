"""What the API reads and writes. In models are enforced; Out models describe, and the tests hold us to it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from microtasks.engine.assignment.leases import BLOCK_MAX

Reason = Literal["complete", "none_for_you", "paused"]
ReportReason = Literal["broken", "unclear", "offensive", "other"]

#: An answer's value: an object of whatever keys. Without the last words clients in TypeScript and Python are
#: generated that can send none but an empty one.
ANY_OBJECT: dict[str, Any] = {"type": ["object", "null"], "additionalProperties": True}

MAX_LEASES = MAX_ANSWERS = BLOCK_MAX

LeaseToken = Annotated[
    str, Field(min_length=1, max_length=4096, description="The token that came with the task, unchanged.")
]


class In(BaseModel):
    """A request body: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Out(BaseModel):
    """A reply."""

    model_config = ConfigDict(extra="forbid")


# -- in -----------------------------------------------------------------------------------------------


class LeasesIn(In):
    """Ask for tasks."""

    limit: int = Field(1, ge=1, le=MAX_LEASES, description="How many tasks to hold at once, at most.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"limit": 1}]})


class FeedIn(In):
    """What fits you and your device, where any project will do."""

    language: str = Field(
        "", max_length=35, description="BCP 47; projects in it come first, others when there is none."
    )
    types: list[Annotated[str, Field(max_length=40)]] | None = Field(
        None, max_length=40, description="The task types that you can show; absent or null: all."
    )
    low_data: bool = Field(False, description="No projects with images.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"language": "ar", "types": ["question"]}]})


class AnyLeasesIn(FeedIn):
    """Ask for tasks of whatever project needs help."""

    limit: int = Field(1, ge=1, le=MAX_LEASES, description="How many tasks to hand out, at most.")
    after: str = Field(
        "", max_length=100, description="Slug of the project that you have had enough of: others come first."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"limit": 1, "language": "ar"}]})


class AnswerIn(In):
    """What you say about one task."""

    lease: LeaseToken
    # a plain string, so that an unknown kind is a receipt of its own and not the end of the whole list
    kind: str = Field(
        "value",
        max_length=40,
        description="value: an answer. cant_tell: looked, and it cannot be said (an answer too). "
        "skip: not an answer; the task goes to somebody else.",
        json_schema_extra={"enum": ["value", "cant_tell", "skip"]},
    )
    value: Any = Field(
        None,
        description="For kind value: an object as the task's type asks for. Otherwise absent or null.",
        json_schema_extra=ANY_OBJECT,
    )
    seconds_spent: float | None = Field(
        None, description="Seconds from seeing the task to answering it. What cannot be true is not kept."
    )


class AnswersIn(In):
    """Answers, and how many new tasks to send with the receipts."""

    answers: list[AnswerIn] = Field(min_length=0, max_length=MAX_ANSWERS)
    next: int = Field(0, ge=0, le=MAX_LEASES, description="How many tasks of the same project to hand out.")
    feed: FeedIn | None = Field(
        None, description="Go on with any project that needs help: `next` tasks as POST /leases gives them."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "answers": [
                        {
                            "lease": "k3J...",
                            "kind": "value",
                            "value": {"answer": "yes"},
                            "seconds_spent": 3.2,
                        }
                    ],
                    "next": 1,
                }
            ]
        }
    )


class ReportIn(In):
    """Tell the project's owner that something is wrong with a task."""

    lease: LeaseToken
    reason: ReportReason
    note: str = Field("", max_length=1000, description="In your own words; do not name persons.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"lease": "k3J...", "reason": "broken", "note": "The image is black."}]
        }
    )


class FeedbackIn(In):
    """Ask how own answers turned out. An answer that you were told about can no longer be corrected."""

    leases: list[LeaseToken] = Field(min_length=1, max_length=MAX_LEASES)

    model_config = ConfigDict(json_schema_extra={"examples": [{"leases": ["k3J..."]}]})


class RevisionIn(In):
    """Correct an answer of your own."""

    lease: LeaseToken
    kind: Literal["value", "cant_tell"] = "value"
    value: Any = Field(None, json_schema_extra=ANY_OBJECT)

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"lease": "k3J...", "kind": "value", "value": {"answer": "no"}}]}
    )


# -- out ----------------------------------------------------------------------------------------------


class ErrorOut(Out):
    """Every error has this shape."""

    error: str = Field(description="A code for programs, snake_case.", examples=["answer_invalid"])
    message: str = Field(description="One or two sentences for a person.")
    details: dict[str, Any] = Field(
        description="More for programs: often `problems`, a list of {where, what}.",
        examples=[{"problems": [{"where": "answers.0.kind", "what": "Input should be 'value' or 'skip'"}]}],
    )


class ImageOut(Out):
    """One image of a task. Marks are in pixels of `width` x `height`, whatever size you show it in."""

    url: str
    width: int
    height: int
    srcset: str


class TaskOut(Out):
    """A task as a volunteer sees it."""

    id: int
    type: str = Field(description="The task type: question, tagging, marking, ...")
    config: dict[str, Any] = Field(description="What is asked, as the task type defines it.")
    payload: dict[str, Any] = Field(description="What is shown: text, question, metadata.")
    media: list[ImageOut]


class ProjectNameOut(Out):
    """The project of a task."""

    slug: str
    name: str


class LeaseOut(Out):
    """A task handed out to you: your seat is kept until it expires."""

    lease: str = Field(description="Send it back with the answer.")
    expires_at: datetime = Field(description="UTC. An answer after that may come too late to be counted.")
    task: TaskOut
    project: ProjectNameOut | None = Field(None, description="Where you did not ask for a certain one.")


class LeasesOut(Out):
    """Tasks you hold: those you held already come first."""

    leases: list[LeaseOut]
    reason: Reason | None = Field(
        description="Why there are none: the project is complete; there is nothing (for now) for you; the "
        "project is paused."
    )
    retry_after_s: int | float | None = Field(description="When to ask again, if that may help.")


class ReceiptOut(Out):
    """What became of one answer."""

    task: int | None = Field(description="The task; null when the lease is not one of yours.")
    status: Literal["counted", "surplus", "duplicate", "skipped", "rejected"] = Field(
        description="counted: thank you. surplus: came after the lease ended and no seat was free; kept, not "
        "counted. duplicate: it is here already, nothing changed. skipped. rejected: see error."
    )
    stored: Literal["counted", "surplus", "skipped"] | None = Field(
        description="What the site has of it now, also where this one changed nothing; null: nothing. "
        "The same answer sent again is a duplicate; another to the same lease is rejected (already_answered)."
    )
    error: ErrorOut | None


class AnswersOut(Out):
    """A receipt for each answer, in order, and new tasks if you asked for them."""

    receipts: list[ReceiptOut]
    leases: list[LeaseOut]
    reason: Reason | None = Field(description="Why there are no new tasks, though you asked for some.")
    retry_after_s: int | float | None = Field(description="When to ask again, if that may help.")


class ReportOut(Out):
    """The report is stored."""

    status: Literal["reported"]


class OwnAnswerOut(Out):
    """One of your last answers, with what is needed to correct it."""

    lease: str
    kind: Literal["value", "empty", "cant_tell"] = Field(description="empty: a value that says nothing here.")
    value: dict[str, Any] | None
    task: TaskOut


class RecentOut(Out):
    """Your last answers in a project, newest first."""

    answers: list[OwnAnswerOut]


class ProgressOut(Out):
    """How far a project is."""

    tasks: int
    retired: int = Field(description="Tasks that need no more answers.")
    answers: int = Field(description="Answers counted.")
    answers_wanted: int = Field(description="Answers when all is done; an estimate where tasks stop early.")
    contributors: int


class ProjectOut(Out):
    """Public facts of a project."""

    slug: str
    name: str
    purpose: str
    instructions: str = Field(description="Markdown.")
    thanks: str
    topic: str
    language: str = Field(description="Of the owner's texts, BCP 47.")
    type: str = Field(description="The task type.")
    config: dict[str, Any]
    state: Literal["published", "paused", "archived"]
    redundancy: int = Field(description="Answers wanted for each task, at most.")
    seconds_per_task: float | None = Field(description="Median of the last answers.")
    cover: ImageOut | None
    published_at: datetime | None
    progress: ProgressOut


class ProjectsOut(Out):
    """The projects that take answers now."""

    projects: list[ProjectOut]


class FeedbackItemOut(Out):
    """One part of an answer beside what is right."""

    outcome: Literal["matched", "missed", "extra", "right", "other"]
    part: str | None = Field(None, description="Tells the parts of what is right apart.")
    label: str | None = Field(None, description="What the part is: a field, a tag, a square.")
    said: str | None = Field(None, description="Your value, in words.")
    right: str | None = Field(None, description="The right one, in words.")
    mark: dict[str, Any] | None = Field(None, description="Your mark.")
    target: dict[str, Any] | None = Field(None, description="The mark that is there.")
    cell: list[float] | None = Field(None, description="Left, top, right, bottom of a square in pixels.")
    n_same: int | None = Field(None, description="People who said the same as the consensus here.")
    n_people: int | None = Field(None, description="People who answered.")


class TaskFeedbackOut(Out):
    """How one answer turned out."""

    task: int
    source: Literal["known", "consensus"] = Field(description="What it is compared with.")
    is_tied: bool = Field(description="People did not agree on anything.")
    items: list[FeedbackItemOut]


class FeedbackOut(Out):
    """Only of tasks that there is something to tell of, and only where the project's owner allows it."""

    feedback: list[TaskFeedbackOut]
