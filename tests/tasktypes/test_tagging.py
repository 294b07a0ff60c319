"""Tagging: shares of viewers, custom tags, ties, and what the form without a script sends."""

from __future__ import annotations

import pytest

from microtasks.core.errors import AnswerInvalid, ConfigInvalid
from microtasks.core.values import Answer, Payload
from microtasks.tasktypes import get

TAGGING = get("tagging")


def config(**more):
    return TAGGING.parse_config({"tags": [{"id": "dunes", "label": "Sand dunes"}, {"id": "crater"}]} | more)


def reduce(settings, *tags):
    answers = [
        Answer(
            str(k),
            "cant_tell" if t is None else "value" if t else "empty",
            None if t is None else {"tags": t},
        )
        for k, t in enumerate(tags)
    ]
    return TAGGING.reduce(answers, settings)


def parse(settings, *tags):
    return TAGGING.parse_value({"tags": list(tags)}, Payload(), settings)["tags"]


def test_a_tag_is_accepted_by_more_than_half_of_its_viewers():
    result = reduce(config(), ["dunes"], ["dunes", "crater"], [])
    assert result.value == {"tags": ["dunes"]}
    assert result.detail["tags"]["crater"]["share"] == pytest.approx(1 / 3)
    assert result.agreement == pytest.approx(2 / 3)


def test_who_cant_tell_is_no_viewer():
    result = reduce(config(), ["dunes"], None, None)
    assert result.value == {"tags": ["dunes"]}
    assert (result.agreement, result.n_answers, result.detail["n_saw"]) == (1.0, 3, 1)


def test_exactly_half_is_a_tie():
    result = reduce(config(), ["dunes"], [])
    assert (result.value, result.is_tied, result.detail["tied"]) == (None, True, ["dunes"])


def test_a_third_is_enough_where_the_project_says_so():
    result = reduce(config(accept_share=1 / 3), ["dunes"], [], [])
    assert result.value == {"tags": ["dunes"]}
    assert not result.is_tied


def test_every_share_is_in_the_rows_also_of_tags_that_nobody_chose():
    settings = config()
    rows = list(TAGGING.rows(reduce(settings, ["dunes"], ["dunes"]), settings))
    assert [(row[0], row[1], row[3]) for row in rows] == [("dunes", 1.0, True), ("crater", 0.0, False)]


def test_own_tags_are_counted_in_one_spelling_and_a_listed_one_is_the_listed_one():
    settings = config(allow_own_tags=True)
    assert parse(settings, "  Dust  Devil", "SAND DUNES", "crater") == ["dunes", "crater", "dust devil"]
    result = reduce(settings, ["dust devil"], ["dust devil"], [])
    assert result.value == {"tags": ["dust devil"]}


def test_an_own_tag_of_one_voice_does_not_lower_the_agreement():
    result = reduce(config(allow_own_tags=True), ["dunes", "wow"], ["dunes"], ["dunes"])
    assert result.agreement == 1.0
    assert result.detail["tags"]["wow"]["is_accepted"] is False


@pytest.mark.parametrize(
    ("more", "tags"),
    [
        ({}, ["rocks"]),
        ({"min_tags": 1}, []),
        ({"max_tags": 1}, ["dunes", "crater"]),
        ({"allow_own_tags": True}, ["x" * 61]),
        ({"allow_own_tags": True}, ["a|b"]),
        ({"allow_own_tags": True}, ["  "]),
    ],
)
def test_what_is_not_allowed_is_refused(more, tags):
    with pytest.raises(AnswerInvalid):
        parse(config(**more), *tags)


def test_a_form_without_a_script_is_read_like_the_api():
    settings = config(allow_own_tags=True)
    form = {"tags": ["crater"], "own_tags": ["rock, dust devil"], "csrf_token": ["x"]}
    assert parse(settings, *TAGGING.from_form(form, settings)["tags"]) == ["crater", "dust devil", "rock"]
    assert TAGGING.from_form({}, settings) == {"tags": []}


@pytest.mark.parametrize("more", [{"tags": []}, {"min_tags": 3}, {"min_tags": 3, "max_tags": 2}])
def test_a_config_that_cannot_work_is_refused(more):
    with pytest.raises(ConfigInvalid):
        config(**more)


def test_the_model_hears_those_who_tag_well_where_others_forget():
    settings = config()
    # Two see dunes whenever they are there; three forget them mostly and never invent them.
    tasks = []
    for task in range(60):
        there = task % 2 == 0
        said = [there, there, there and task % 3 == 0, there and task % 5 == 0, there and task % 7 == 0]
        tasks.append(
            (
                task,
                [Answer(str(k), "value", {"tags": ["dunes"] if yes else []}) for k, yes in enumerate(said)],
            )
        )
    by_vote = dict(TAGGING.reduce_project(tasks, settings, "majority"))
    by_model = dict(TAGGING.reduce_project(tasks, settings, "model"))
    assert by_vote[2].value == {"tags": []}
    assert by_model[2].value == {"tags": ["dunes"]}
    detail = by_model[2].detail["tags"]["dunes"]
    assert (detail["vote"], detail["model"], detail["differs"]) == (False, True, True)
    right = [by_model[task].value == {"tags": ["dunes"] if task % 2 == 0 else []} for task in range(60)]
    assert all(right)


def test_gold_comes_from_a_column_and_is_scored_by_overlap():
    settings = config()
    gold = TAGGING.gold_from_columns({"tags": "dunes | crater"}, settings)
    assert gold == {"tags": ["dunes", "crater"]}
    assert TAGGING.score({"tags": ["dunes"]}, gold, settings) == 0.5
    assert TAGGING.score({"tags": []}, {"tags": []}, settings) == 1.0
