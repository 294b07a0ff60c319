"""Squares over the picture: the way to answer for people who cannot draw, and for pages without a script.

A square is named like one of a chessboard: B3 is in the second column from the left, third row from the top.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, model_validator

from microtasks.core.values import Frozen

#: So many squares along the longer side of a picture.
LONG_SIDE = 6
SIDE_MAX = 26
_NAME = re.compile(r"([A-Z])([1-9][0-9]?)")


class Cells(Frozen):
    """The squares that a volunteer checked, of so many columns and rows over the whole picture.

    width, height: the picture's, in pixels of the oriented original; the server writes them.
    """

    columns: int = Field(ge=1, le=SIDE_MAX)
    rows: int = Field(ge=1, le=SIDE_MAX)
    width: float | None = Field(None, gt=0)
    height: float | None = Field(None, gt=0)
    checked: list[str] = Field(max_length=SIDE_MAX * SIDE_MAX)

    @model_validator(mode="after")
    def _named(self) -> Cells:
        if len(set(self.checked)) < len(self.checked):
            raise ValueError("A square is named twice.")
        for name in self.checked:
            match = _NAME.fullmatch(name)
            if not match or ord(match[1]) - 65 >= self.columns or int(match[2]) > self.rows:
                raise ValueError(f"There is no square {name!r}.")
        return self


def size_for(width: float, height: float) -> tuple[int, int]:
    """(columns, rows) for a picture: squares, nearly, that a thumb can hit."""
    longer = max(width, height)
    return max(2, round(LONG_SIDE * width / longer)), max(2, round(LONG_SIDE * height / longer))


def rows_for(width: float, height: float) -> list[list[str]]:
    """The names of the squares, a list a row."""
    n_columns, n_rows = size_for(width, height)
    return [[name(column, row) for column in range(n_columns)] for row in range(n_rows)]


def name(column: int, row: int) -> str:
    """The name of a square; column and row from 0."""
    return f"{chr(65 + column)}{row + 1}"


def in_order(names: Iterable[str]) -> list[str]:
    """Row by row, as one reads."""
    return sorted(names, key=lambda it: (int(it[1:]), it[0]))


def square_at(x: float, y: float, cells: Mapping[str, Any]) -> str:
    """The square in which a place lies (x, y in px)."""
    column = math.floor(x / cells["width"] * cells["columns"])
    row = math.floor(y / cells["height"] * cells["rows"])
    return name(min(max(column, 0), cells["columns"] - 1), min(max(row, 0), cells["rows"] - 1))


def box(square: str, cells: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a square in px; what lies on the right or lower edge is the next one's."""
    column, row = ord(square[0]) - 65, int(square[1:]) - 1
    wide, high = cells["width"] / cells["columns"], cells["height"] / cells["rows"]
    # The picture's own last column and row keep what lies right on its edge.
    right = (column + 1) * wide + (column + 1 == cells["columns"])
    bottom = (row + 1) * high + (row + 1 == cells["rows"])
    return column * wide, row * high, right, bottom


def shares(answers: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Of those who answered by squares or said "nothing here": the share who checked each square.

    {"columns", "rows", "n_saw", "shares": {square: 0..1}}; None when nobody checked any. Where grids differ,
    the one that most used (of equals the finest).
    """
    values = list(answers)
    by_grid: dict[tuple[int, int], list[list[str]]] = {}
    for value in values:
        if cells := value.get("cells"):
            by_grid.setdefault((cells["columns"], cells["rows"]), []).append(cells["checked"])
    if not by_grid:
        return None
    columns, n_rows = max(by_grid, key=lambda it: (len(by_grid[it]), it))
    ticked = by_grid[columns, n_rows]
    n_saw = len(ticked) + sum(not value["marks"] and not value.get("cells") for value in values)
    checked = in_order({square for squares in ticked for square in squares})
    return {
        "columns": columns,
        "rows": n_rows,
        "n_saw": n_saw,
        "shares": {it: round(sum(it in squares for squares in ticked) / n_saw, 6) for it in checked},
    }
