"""Answers as columns: nothing is lost, and the order in which they came does not matter."""

from __future__ import annotations

import random

import numpy as np

from microtasks.core.columnar import Columns, read
from microtasks.core.values import Answer


def plain(columns: Columns) -> list[tuple[int, str, str, object]]:
    return [
        (int(columns.task_ids[t]), columns.people[p], columns.spoken[s].kind, columns.spoken[s].value)
        for t, p, s in zip(columns.task, columns.person, columns.said, strict=True)
    ]


def test_columns_hold_what_was_said_by_task_and_person() -> None:
    rng = random.Random(1)
    said = [
        Answer(f"p{k}", "value", {"a": rng.choice(["x", "y"]), "n": rng.choice([1, 2])}) for k in range(6)
    ]
    tasks = [(7, said[:3]), (2, []), (5, [*said[3:], Answer("p0", "cant_tell", None)])]
    mixed = [(task, rng.sample(answers, len(answers))) for task, answers in tasks]
    assert plain(read(tasks)) == plain(read(mixed))
    assert {(who, kind) for _, who, kind, _ in plain(read(tasks))} == {
        *((a.contributor, a.kind) for a in said),
        ("p0", "cant_tell"),
    }
    assert read(tasks).places([5, 6, 7]) == {7: 0, 5: 2}
    assert np.diff(read(tasks).starts).tolist() == [3, 0, 4]


def test_tasks_to_which_the_same_was_said_are_one_pattern() -> None:
    yes, no = {"a": "yes"}, {"a": "no"}
    tasks = [
        (1, [Answer("p", "value", yes), Answer("q", "value", no)]),
        (2, [Answer("r", "value", no), Answer("p", "value", dict(yes))]),
        (3, [Answer("p", "value", yes), Answer("q", "value", yes)]),
    ]
    columns = read(tasks)
    keys = [key for _, key, _ in columns.patterns()]
    assert keys[0] == keys[1] != keys[2]
    (_, _, own), *_ = columns.patterns()
    assert sorted(str(one.value) for one in columns.given(own)) == [str(no), str(yes)]


def test_true_and_one_are_two_answers() -> None:
    columns = read([(1, [Answer("p", "value", {"a": True}), Answer("q", "value", {"a": 1})])])
    assert len(columns.spoken) == 2
