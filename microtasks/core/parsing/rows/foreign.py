"""Recognise result files of other tools, and columns that must not be shown to volunteers unasked.

A file of answers would become tasks that show names, addresses and answers: it is held back, before anything
is made, and the owner is told what it is and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from microtasks.core.errors import FileInvalid


class ResultFile(NamedTuple):
    """A kind of result file. needs: columns that are all there; one_of: sets, of each at least one is."""

    description: str
    instead: str
    needs: frozenset[str]
    one_of: tuple[frozenset[str], ...] = ()


def _kind(description: str, instead: str, needs: str, *one_of: str) -> ResultFile:
    return ResultFile(
        description, instead, frozenset(needs.split()), tuple(frozenset(each.split()) for each in one_of)
    )


_SUBJECTS: Final = "Upload the subject set instead: its manifest with the images, or the subjects export."
#: Names in small letters, with what stands before a double underscore left away.
RESULT_FILES: Final = (
    _kind(
        "the classifications of a Zooniverse project",
        _SUBJECTS,
        "classification_id",
        "annotations subject_data subject_ids user_name user_ip workflow_id extractor",
    ),
    _kind("extracts or reductions of a Zooniverse project", _SUBJECTS, "subject_id", "extractor reducer"),
    _kind(
        "the task runs of a PyBossa project",
        "Upload the project's tasks instead (Tasks, Export, the file named task).",
        "task_id",
        "finish_time user_ip timeout",
        "info created user_id user_ip external_uid",
    ),
    _kind(
        "an export of Label Studio with its annotations",
        "Upload the tasks as they were imported there, without annotations.",
        "",
        "annotation_id lead_time completed_by completions total_annotations cancelled_annotations",
        "annotator annotations lead_time completions updated_at completed_by",
    ),
    _kind(
        "the results of an Amazon Mechanical Turk batch",
        "Upload the input file of the batch instead.",
        "hitid",
        "workerid assignmentid",
    ),
    _kind(
        "the results of a Toloka pool",
        "Upload the pool's tasks instead.",
        "",
        "assignment:worker_id assignment:assignment_id",
    ),
    _kind(
        "annotations of Prodigy",
        "Upload the source file of the texts instead.",
        "_annotator_id",
        "answer _session_id _input_hash",
    ),
    _kind(
        "answers exported from this site",
        "Upload the file that the tasks were made of; answers are taken over with a project's package.",
        "project task contributor",
        "kind status answer",
    ),
    _kind(
        "answers, one a row, with who gave each",
        "Upload the items themselves. `microtasks consensus` makes a result of such a file.",
        "task worker",
        "label text tags answer annotation",
    ),
)

_PERSON: Final = re.compile(
    r"(?:(?:user|worker|annotator|contributor|volunteer|participant|respondent|observer_?id|completed_?by"
    r"|created_?by|updated_?by|recorded_?by_?id|classified_?by)(?:[_ .-].*)?|user.*"
    r"|e?[-_ ]?mail.*|.*[_ .-]e?mail"
    r"|ip|.*[_ .-]ip|ip[_ .-].*|phone.*|telephone.*|password.*|session(?:[_ .-].*)?)",
    re.IGNORECASE,
)
_ANSWERS: Final = re.compile(r"(?:.*_)?annotations?|predictions?|completions?|classifications?|results?_json")
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[A-Za-z]{2,}")
_ADDRESS: Final = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}", re.IGNORECASE)
_AS_JSON: Final = re.compile(r"\s*(?:\{.*\}|\[.*\])\s*", re.DOTALL)


def hold_back(names: Iterable[str]) -> None:
    """Raise FileInvalid when columns of these names make a result file of another tool."""
    plain = {name.strip().casefold().rpartition("__")[2] for name in names}
    for kind in RESULT_FILES:
        if kind.needs <= plain and all(plain & each for each in kind.one_of) and (kind.needs or kind.one_of):
            raise FileInvalid(
                f"This file holds {kind.description}, not tasks: volunteers would be shown other people's "
                f"names and answers. Nothing was made of it. {kind.instead} Answers cannot be taken over yet."
            )


def hold_back_object(raw: Any) -> None:
    """The same for an object of JSON: also annotations that are filled."""
    if not isinstance(raw, Mapping):
        return
    names = set(map(str, raw))
    for key in ("annotations", "completions"):
        filled = raw.get(key)
        if isinstance(filled, list) and any(
            isinstance(each, Mapping) and "result" in each for each in filled
        ):
            names |= {"annotation_id", "annotations"}
        else:
            names.discard(key)
    if isinstance(raw.get("data"), Mapping) and "annotations" not in names:
        return  # tasks of Label Studio, with their counts of annotations
    hold_back(names)


def is_private(name: str, cells: Sequence[str]) -> str:
    """Why a column should not be shown unasked, for a sentence about it; "" if it may."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    if _PERSON.fullmatch(name.strip()) or any(map(_EMAIL.fullmatch, filled)):
        return "people"
    if filled and all(map(_ADDRESS.fullmatch, filled)):
        return "people"
    if _ANSWERS.fullmatch(name.strip().casefold()):
        return "answers"
    if filled and all(map(_AS_JSON.fullmatch, filled)):
        return "data for programs"
    return ""
