"""What marks, views and objects are, as columns. See `marks.py` for what is made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]

#: What reaches this near the edge (in radii) may have been drawn to fit in.
EDGE_MARGIN = 0.05

ACCEPTED_FROM = 0.4
POSSIBLE_FROM = 0.2
#: With two or three viewers half of them, and two at least: one person alone makes no object.
FEW_VIEWERS = 3
FEW_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Scale:
    """How marks of one object scatter: sd of each axis is hypot(position_share x diameter, position_px), of
    ln(size) hypot(size_share, size_px / diameter). Pixels are the image's own.

    Where a thing with a rim lies is a matter of judgement: people share errors (a shadow, an unsharp edge),
    and a careful expert's mark scatters too. So some variance is left with any number of marks.
    position_floor: that of x and of y, as a share of one mark's. size_floor: that of ln(size) itself, for
    everybody may draw rims too wide or too narrow by a tenth, however well they agree; without gold at most
    one mark's. The defaults are from experts' marks of craters and cells (benchmarks/consensus/regions.py).
    is_estimated: the floors are these defaults; else they are fitted to gold.
    """

    position_share: float = 0.05
    position_px: float = 0.8
    size_share: float = 0.08
    size_px: float = 1.3
    position_floor: float = 0.58
    size_floor: float = 0.01
    is_estimated: bool = True

    def position_sd(self, one_mark_var: Floats, n_effective: Floats) -> Floats:
        """Standard deviation of the x (or y) of an object of so many marks from a careful expert's, px."""
        return np.sqrt(one_mark_var * (1 / n_effective + self.position_floor))

    def log_size_sd(self, one_mark_var: Floats, n_effective: Floats) -> Floats:
        """The same of ln(size); one_mark_var: a column a measure."""
        floor = np.minimum(self.size_floor, one_mark_var) if self.is_estimated else self.size_floor
        return np.sqrt(one_mark_var / n_effective[:, None] + floor)

    def position_var(self, radius: Floats) -> Floats:
        """Variance of x (and of y), in px²."""
        return np.square(self.position_share * 2 * radius) + self.position_px**2

    def size_var(self, radius: Floats) -> Floats:
        """Variance of ln(size)."""
        return np.square(self.size_px / (2 * radius)) + self.size_share**2

    def widened(self, position: float, size: float) -> Scale:
        """The same, all standard deviations times these factors."""
        return replace(
            self,
            position_share=self.position_share * position,
            position_px=self.position_px * position,
            size_share=self.size_share * size,
            size_px=self.size_px * size,
        )


@dataclass(frozen=True, slots=True)
class Views:
    """Who saw what, one row a view: image, person, and the part of the image that was shown.

    edges: left, top, right, bottom in px, (n, 4); infinite where the image itself ends there.
    checked: of views that name places instead of marking, a row each: view, left, top, right, bottom.
    """

    image: Ints
    person: Ints
    edges: Floats
    checked: Floats | None = None

    @staticmethod
    def whole(image: Ints, person: Ints) -> Views:
        """Views of whole images."""
        edges = np.tile([-np.inf, -np.inf, np.inf, np.inf], (len(image), 1))
        return Views(image, person, edges)

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks as columns; view: row of the view it was made in; image: that view's.

    size: one column a measure (none for points, r for circles, width and height for boxes, whose x and y are
    the centre here); all above 0.
    """

    image: Ints
    view: Ints
    x: Floats
    y: Floats
    size: Floats

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[np.intp]) -> Marks:
        """Return some of the rows."""
        return Marks(self.image[rows], self.view[rows], self.x[rows], self.y[rows], self.size[rows])

    @property
    def radius(self) -> Floats:
        """Size in distances, px: r; half the geometric mean of a box's sides; 1 for points."""
        return radius_of(self.size)


def radius_of(size: Floats) -> Floats:
    """See `Marks.radius`."""
    if size.shape[1] == 0:
        return np.ones(len(size))
    radius: Floats = np.exp(np.log(size).mean(axis=1)) / size.shape[1]
    return radius


def is_cut_off(x: Floats, y: Floats, radius: Floats, edges: Floats) -> Bools:
    """Does a thing at x, y reach over (or right to) the edges (n, 4) of what was shown?"""
    radius = radius * (1 + EDGE_MARGIN)
    reach = np.column_stack([x - radius, y - radius, -x - radius, -y - radius])
    limit = edges * np.array([1, 1, -1, -1])
    cut: Bools = (reach < limit).any(axis=1)
    return cut


@dataclass(frozen=True, slots=True)
class Objects:
    """What the marks add up to, one row an object, sorted by image, y and x.

    position_var, log_size_var: scatter of one mark about the object, of x and y each in px², of ln(size).
    n_effective: marks that their weights are worth. n_marked, n_saw: people. member: for each mark that was
    put in, the row of its object. scale: the scatter that was reckoned with.
    """

    image: Ints
    x: Floats
    y: Floats
    size: Floats
    position_var: Floats
    log_size_var: Floats
    n_effective: Floats
    n_marked: Ints
    n_saw: Ints
    probability: Floats
    member: Ints
    scale: Scale

    def __len__(self) -> int:
        return len(self.x)

    @property
    def radius(self) -> Floats:
        """As of marks, in px."""
        return radius_of(self.size)

    def with_floors(self, position: float, size: float) -> Objects:
        """The same with floors that were fitted to gold."""
        scale = replace(self.scale, position_floor=position, size_floor=size, is_estimated=False)
        return replace(self, scale=scale)

    @property
    def position_sd(self) -> Floats:
        """Of x and of y each, px."""
        return self.scale.position_sd(self.position_var, self.n_effective)

    @property
    def log_size_sd(self) -> Floats:
        """Of ln(size), a column a measure."""
        return self.scale.log_size_sd(self.log_size_var, self.n_effective)

    @property
    def is_accepted(self) -> Bools:
        """Does the object count as found?"""
        few = self.n_saw <= FEW_VIEWERS
        by_share = (self.n_marked >= 2) & (self.n_marked >= FEW_SHARE * self.n_saw - 1e-9)
        return np.where(few, by_share, self.probability >= ACCEPTED_FROM)

    @property
    def is_possible(self) -> Bools:
        """Not accepted, but seen by some: worth a look."""
        return ~self.is_accepted & (self.probability >= POSSIBLE_FROM)


@dataclass(frozen=True, slots=True)
class Found:
    """Objects before it is asked whether they exist; columns as in Objects."""

    image: Ints
    x: Floats
    y: Floats
    size: Floats
    position_var: Floats
    log_size_var: Floats
    n_effective: Floats

    def __len__(self) -> int:
        return len(self.x)
