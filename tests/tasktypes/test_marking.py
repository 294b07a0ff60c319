"""Marking: what may be marked, what many marks become, classes, boxes and points."""

from __future__ import annotations

import pytest

from microtasks.core.errors import AnswerInvalid
from microtasks.core.values import Answer, Media, Payload
from microtasks.tasktypes import get

MARKING = get("marking")
MEDIA = [Media(width=400, height=300)]


def config(**more):
    return MARKING.parse_config({"shape": "circle"} | more)


def circle(x=100.0, y=100.0, r=20.0, **more):
    return {"x": x, "y": y, "r": r, **more}


def reduce(settings, *marks):
    answers = [
        Answer(str(k), "cant_tell" if m is None else "value", None if m is None else {"marks": m})
        for k, m in enumerate(marks)
    ]
    return MARKING.reduce(answers, settings)


def parse(settings, *marks):
    return MARKING.parse_value({"marks": list(marks)}, Payload(), settings, MEDIA)


@pytest.mark.parametrize(
    ("more", "mark"),
    [
        ({}, {"x": 1.0, "y": 1.0}),
        ({}, circle(r=0)),
        ({}, circle(r=-3)),
        ({}, circle(x=401)),
        ({}, circle(y=-1)),
        ({}, circle(r=600)),
        ({}, circle(x=float("nan"))),
        ({}, circle(r=float("inf"))),
        ({}, circle(width=3.0)),
        ({}, {**circle(), "class": "fresh"}),
        ({"min_diameter_px": 10}, circle(r=4.9)),
        ({"classes": [{"id": "fresh"}]}, {**circle(), "class": "stale"}),
        ({"shape": "point"}, circle()),
        ({"shape": "box"}, {"x": 1.0, "y": 1.0, "width": 3.0}),
        ({"shape": "box"}, {"x": 399.0, "y": 1.0, "width": 10.0, "height": 3.0}),
    ],
)
def test_marks_that_do_not_fit_the_image_or_the_project_are_refused(more, mark):
    with pytest.raises(AnswerInvalid):
        parse(config(**more), mark)


def test_too_many_marks_are_refused():
    with pytest.raises(AnswerInvalid):
        parse(config(max_marks=2), circle(), circle(50), circle(200))


def test_the_class_is_kept_under_its_name_in_the_contract():
    settings = config(classes=[{"id": "fresh"}])
    assert parse(settings, {**circle(), "class": "fresh"}) == {"marks": [{**circle(), "class": "fresh"}]}


def test_nothing_here_is_a_value_and_unanimous():
    result = reduce(config(), [], [], [])
    assert (result.value, result.agreement) == ({"marks": []}, 1.0)


def test_marks_of_three_people_on_one_crater_are_one():
    result = reduce(config(), [circle()], [circle(101, 99, 21)], [circle(99, 100, 20)])
    (mark,) = result.detail["marks"]
    assert (mark["n_marked"], mark["n_saw"]) == (3, 3)
    assert abs(mark["x"] - 100) < 1 and abs(mark["r"] - 20.3) < 1
    assert mark["r_low"] < 20.3 < mark["r_high"]


def test_one_person_alone_makes_no_object():
    assert reduce(config(), [circle()], [], []).value == {"marks": []}
    assert reduce(config(), [circle()], []).value == {"marks": []}
    assert reduce(config(), [circle()]).detail["marks"] == []


def test_a_double_click_is_one_mark():
    result = reduce(config(), [circle(), circle(100.5)], [circle()], [])
    (mark,) = result.detail["marks"]
    assert mark["n_marked"] == 2


def test_two_craters_that_each_person_marked_both_stay_two():
    both = [circle(100, 100, 20), circle(112, 100, 20)]
    result = reduce(config(), both, both, both)
    assert [mark["x"] for mark in result.value["marks"]] == [100, 112]


def test_who_cant_tell_is_no_viewer_of_marks():
    result = reduce(config(), [circle()], [circle()], None)
    (mark,) = result.detail["marks"]
    assert (mark["n_saw"], result.n_answers) == (2, 3)


def test_the_class_is_voted_and_a_tie_leaves_it_open():
    settings = config(classes=[{"id": "fresh"}, {"id": "ghost"}])
    fresh, ghost = {**circle(), "class": "fresh"}, {**circle(), "class": "ghost"}
    (mark,) = reduce(settings, [fresh], [fresh], [ghost]).detail["marks"]
    assert (mark["class"], mark["class_share"]) == ("fresh", pytest.approx(2 / 3, abs=1e-6))
    (mark,) = reduce(settings, [fresh], [ghost]).detail["marks"]
    assert mark["class"] is None


def test_what_few_saw_is_possible_and_kept_apart():
    few = reduce(config(), *[[circle(50)]] * 2, *[[circle(200)]] * 6)
    assert [mark["x"] for mark in few.value["marks"]] == [200]
    assert [mark["x"] for mark in few.detail["possible"]] in ([50], [])


def test_points_and_boxes_go_the_same_way():
    points = reduce(config(shape="point"), [{"x": 10, "y": 10}], [{"x": 11, "y": 10}], [{"x": 10, "y": 11}])
    assert len(points.value["marks"]) == 1 and "r" not in points.value["marks"][0]
    box = {"x": 100, "y": 50, "width": 40, "height": 20}
    boxes = reduce(config(shape="box"), [box], [box], [{**box, "x": 101}])
    (mark,) = boxes.detail["marks"]
    assert (mark["width"], mark["height"], mark["n_marked"]) == (40, 20, 3)
    assert 100 <= mark["x"] < 101


def test_score_is_1_for_the_same_marks_and_less_for_missed_and_invented_ones():
    settings = config()
    gold = {"marks": [circle(), circle(200)]}
    assert MARKING.score({"marks": [circle(201), circle(101)]}, gold, settings) == 1.0
    assert MARKING.score({"marks": [circle()]}, gold, settings) == pytest.approx(2 / 3)
    assert MARKING.score({"marks": [circle(r=60), circle(300)]}, gold, settings) == 0.0
    assert MARKING.score({"marks": []}, {"marks": []}, settings) == 1.0


def test_project_wide_skills_are_learnt_and_each_task_keeps_its_own_marks():
    settings = config()
    tasks = [
        (task, [Answer(str(k), "value", {"marks": [circle(50 + task)]}) for k in range(3)])
        for task in range(5)
    ]
    results = dict(MARKING.reduce_project(tasks, settings))
    assert [results[task].value["marks"][0]["x"] for task in range(5)] == [50, 51, 52, 53, 54]


def test_three_viewers_without_a_mark_make_a_blank_image_at_a_glance():
    settings = config()

    def glance(*marks):
        return MARKING.glance(
            [Answer(str(k), "value", None if m is None else {"marks": m}) for k, m in enumerate(marks)],
            settings,
        )

    assert glance([], [], []).value == {"marks": []}
    assert glance([], []) is None
    assert glance([], [], None) is None
    assert glance([], [], [], [circle()]) is None


def test_one_viewers_marks_alone_are_no_consensus():
    alone = reduce(config(), [circle()], None)
    assert (alone.value, alone.agreement, alone.confidence, alone.n_answers) == (None, 0.0, None, 2)
    assert reduce(config(), [circle()], []).value == {"marks": []}


def test_where_nobody_could_tell_there_is_no_consensus():
    assert (reduce(config(), None, None).value, reduce(config(), None, None).agreement) == (None, 0.0)
    assert reduce(config(), None, []).value == {"marks": []}
