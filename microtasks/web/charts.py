"""Bar charts as SVG, drawn by the server: each with a title, a description, its numbers as table and CSV.

Bars stretch with the page; words stand beside them as HTML, so that they stay as large as other text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: Height that the bars are drawn in; the page stretches it.
HEIGHT = 100
FEW = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it lies in a box of the chart's `width` x HEIGHT, and what it says."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of labelled numbers. name: of its CSV; columns: heads of its table; unit: behind its values."""

    name: str
    title: str
    description: str
    columns: tuple[str, str]
    rows: Sequence[tuple[str, float]]
    unit: str = ""
    links: Sequence[str] = field(default_factory=tuple)  # addresses of the rows, if they have any

    @property
    def width(self) -> int:
        """Width of the box in bars."""
        return max(len(self.rows), 1)

    @property
    def is_short(self) -> bool:
        """Are there so few bars that each can have its label below?"""
        return len(self.rows) <= FEW

    @property
    def top(self) -> float:
        """The largest value."""
        return max((value for _, value in self.rows), default=0)

    @property
    def bars(self) -> list[Bar]:
        """Bars from the left to the right; one that is not nothing is always seen."""
        top = self.top or 1
        width = 0.4 if self.is_short else 0.8
        bars = []
        for place, (label, value) in enumerate(self.rows):
            height = max(value / top * HEIGHT, 1.5) if value > 0 else 0.0
            box = (place + (1 - width) / 2, round(HEIGHT - height, 2), width, round(height, 2))
            bars.append(Bar(*box, label, value, self.say(value)))
        return bars

    def say(self, value: float) -> str:
        """A value with its unit; whole numbers without a point."""
        number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
        return f"{number} {self.unit}".rstrip()
