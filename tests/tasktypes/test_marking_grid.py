"""Answers by squares: named, checked, scored, folded with drawn ones, told in exports."""

from __future__ import annotations

from typing import Any

import pytest

from microtasks import tasktypes
from microtasks.core.errors import AnswerInvalid
from microtasks.core.values import Answer, Media, Payload
from microtasks.tasktypes.marking import grid

TYPE = tasktypes.get("marking")
CIRCLES = TYPE.parse_config({"shape": "circle"})
MEDIA = [Media(width=600, height=300)]
CRATER = {"x": 150.0, "y": 150.0, "r": 30.0}  # of 6 x 3 squares in B2


def cells(*checked: str, columns: int = 6, rows: int = 3) -> dict[str, Any]:
    return {"marks": [], "cells": {"columns": columns, "rows": rows, "checked": list(checked)}}


def stored(*checked: str) -> dict[str, Any]:
    return TYPE.parse_value(cells(*checked), Payload(), CIRCLES, MEDIA)


def said(values: list[dict[str, Any]]) -> list[Answer]:
    return [Answer(f"p{n}", "value", value) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("width", "height", "size"), [(600, 600, (6, 6)), (600, 300, (6, 3)), (90, 900, (2, 6))]
)
def test_a_picture_has_squares_that_a_thumb_can_hit(width: int, height: int, size: tuple[int, int]) -> None:
    assert grid.size_for(width, height) == size
    assert [len(row) for row in grid.rows_for(width, height)] == [size[0]] * size[1]


def test_every_place_lies_in_the_square_that_is_named_after_it() -> None:
    of = stored("A1")["cells"]
    for x, y, name in [(0, 0, "A1"), (99.9, 100, "A2"), (100, 99.9, "B1"), (600, 300, "F3")]:
        assert grid.square_at(x, y, of) == name
        left, top, right, bottom = grid.box(name, of)
        assert left <= x < right and top <= y < bottom


def test_squares_are_kept_in_order_with_the_size_of_the_picture() -> None:
    assert stored("B2", "F1", "A2")["cells"] == {
        **{"columns": 6, "rows": 3, "width": 600.0, "height": 300.0},
        "checked": ["F1", "A2", "B2"],
    }
    lied = cells("B2")
    lied["cells"] |= {"width": 6.0, "height": 3.0}
    assert TYPE.parse_value(lied, Payload(), CIRCLES, MEDIA) == stored("B2")


def test_no_square_is_nothing_here() -> None:
    assert stored() == {"marks": []}
    assert TYPE.is_empty(stored()) and not TYPE.is_empty(stored("A1"))


@pytest.mark.parametrize(
    "value",
    [
        cells("G1"),
        cells("A4"),
        cells("A0"),
        cells("a1"),
        cells("A1", "A1"),
        cells("A1", columns=0),
        cells("A1", columns=27),
        {**cells("A1"), "marks": [CRATER]},
    ],
)
def test_squares_that_are_not_there_or_beside_marks_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(AnswerInvalid):
        TYPE.parse_value(value, Payload(), CIRCLES, MEDIA)


def test_a_plain_form_checks_squares() -> None:
    raw = TYPE.from_form({"grid": ["6x3"], "cells": ["B2", "C1"]}, CIRCLES)
    assert TYPE.parse_value(raw, Payload(), CIRCLES, MEDIA) == stored("C1", "B2")
    for nothing in ({}, {"grid": ["6x3"]}, {"cells": ["B2"]}, {"grid": ["x"], "cells": ["B2"]}):
        assert TYPE.from_form(nothing, CIRCLES) == {"marks": []}


def test_gold_is_known_as_marks_and_squares_are_scored_by_where_their_middles_lie() -> None:
    with pytest.raises(AnswerInvalid):
        TYPE.check_gold(cells("B2"), Payload(), CIRCLES, MEDIA)
    gold = {"marks": [CRATER, {"x": 420.0, "y": 20.0, "r": 15.0}]}  # B2, E1
    assert TYPE.score(stored("B2", "E1"), gold, CIRCLES) == 1.0
    assert TYPE.score(stored("B2"), gold, CIRCLES) == pytest.approx(2 / 3)
    assert TYPE.score(stored("A1"), gold, CIRCLES) == 0.0
    assert TYPE.score(stored("A1"), {"marks": []}, CIRCLES) == 0.0


def test_squares_count_for_and_against_the_marks_that_others_drew() -> None:
    drawn = {"marks": [CRATER]}
    near = {"marks": [{"x": 152.0, "y": 149.0, "r": 31.0}]}
    of_drawers = TYPE.reduce(said([drawn, near]), CIRCLES).detail["marks"][0]
    result = TYPE.reduce(said([drawn, near, stored("B2", "E1"), stored("A1"), {"marks": []}]), CIRCLES)
    [mark] = result.detail["marks"]
    assert (mark["n_marked"], mark["n_saw"]) == (3, 5)
    for measure in ("x", "y", "r", "x_sd", "r_sd"):  # squares have no place and no size
        assert mark[measure] == of_drawers[measure]
    fewer = TYPE.reduce(said([drawn, near, stored("A1"), stored("A1"), {"marks": []}]), CIRCLES)
    assert all(
        it["probability"] < mark["probability"] for it in fewer.detail["marks"] + fewer.detail["possible"]
    )
    assert "cells" not in result.detail


def test_where_nobody_drew_there_is_no_consensus_but_a_share_of_each_square() -> None:
    result = TYPE.reduce(said([stored("B2"), stored("B2", "E1"), stored("B2"), {"marks": []}]), CIRCLES)
    assert (result.value, result.agreement, result.confidence, result.n_answers) == (None, 0.0, None, 4)
    assert result.detail["cells"] == {
        **{"columns": 6, "rows": 3, "n_saw": 4},
        "shares": {"E1": 0.25, "B2": 0.75},
    }
    assert list(TYPE.rows(result, CIRCLES)) == []


def test_a_picture_with_a_checked_square_is_not_blank() -> None:
    nothing = {"marks": []}
    assert TYPE.glance(said([nothing] * 3), CIRCLES) is not None
    assert TYPE.glance(said([nothing, nothing, stored("A1")]), CIRCLES) is None


def test_squares_on_a_tile_lie_where_the_tile_lies() -> None:
    from microtasks.core.tiling import Seen, Tile

    whole = (-1e9, -1e9, 1e9, 1e9)
    tiles = [
        Seen(
            Tile(1000, 2000, 600, 300), whole, said([{"marks": [CRATER]}, {"marks": [CRATER]}, stored("B2")])
        )
    ]
    [mark] = TYPE.merge_tiles(tiles, CIRCLES).detail["marks"]  # type: ignore[union-attr]
    assert (mark["n_marked"], mark["n_saw"]) == (3, 3) and mark["x"] == pytest.approx(1150, abs=1)


def test_the_export_tells_squares_from_nothing_here() -> None:
    names = [column.name for column in TYPE.answer_columns(CIRCLES)]
    assert names == ["n_marks", "cells", "grid"]
    assert TYPE.answer_row(stored("B2", "C1"), CIRCLES) == (None, "C1|B2", "6x3")
    assert TYPE.answer_row({"marks": []}, CIRCLES) == (0, None, None)
    assert TYPE.answer_row(None, CIRCLES) == (None, None, None)
    assert list(TYPE.mark_rows(stored("B2"), CIRCLES)) == []


def test_an_answer_is_compared_part_by_part_with_what_is_right() -> None:
    missed = {"x": 420.0, "y": 20.0, "r": 15.0}
    right = {"marks": [CRATER, missed]}
    mine = {"marks": [{"x": 300.0, "y": 200.0, "r": 20.0}, {"x": 151.0, "y": 150.0, "r": 30.0}]}
    compared = TYPE.compare(mine, right, CIRCLES)
    assert [(it.outcome, it.part) for it in compared] == [("matched", "0"), ("missed", "1"), ("extra", "")]
    assert compared[0].mark == mine["marks"][1] and compared[0].target == CRATER
    assert compared[1].target == missed and compared[2].mark == mine["marks"][0]
    by_squares = TYPE.compare(stored("B2", "C2"), right, CIRCLES)
    assert [(it.outcome, it.label) for it in by_squares] == [
        ("missed", "E1"),
        ("matched", "B2"),
        ("extra", "C2"),
    ]
    assert by_squares[1].cell == (100.0, 100.0, 200.0, 200.0)
