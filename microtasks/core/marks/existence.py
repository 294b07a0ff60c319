"""Does an object exist? Everybody who saw its place votes: marked it, or saw and did not mark.

A two-coin model (Dawid and Skene 1979) with strong priors, mixed with the plain share of the viewers: on
so few votes the model alone drifts, and the share alone forgets who is good at finding.
"""

from __future__ import annotations

import numpy as np

from microtasks.core.marks.mark_types import Bools, Floats, Found, Ints, Marks, Views, is_cut_off, radius_of

ROUNDS = 10
SIZE_CLASSES = 3
HIT_PRIOR, HIT_PRIOR_WEIGHT, HIT_RANGE = 0.7, 30.0, (0.22, 0.92)
FALSE_PRIOR, FALSE_PRIOR_WEIGHT, FALSE_RANGE = 0.12, 30.0, (0.02, 0.35)
PERSON_WEIGHT = 20.0
REAL_PRIOR_WEIGHT, REAL_RANGE = 20.0, (0.25, 0.75)
#: The vote's own say in log odds: a line through 0 at a share of 0.2: untrained people overlook
#: more than they invent. Model and vote count half each.
SHARE_SLOPE, SHARE_ZERO, START_ZERO = 12.0, 0.2, 0.37


def existence(found: Found, marks: Marks, label: Ints, views: Views) -> tuple[Ints, Ints, Floats]:
    """Return for each object how many people marked it, how many saw it, and the probability that it is.

    A person's chance to mark what is there depends on its size (three classes) and on the person; the chance
    to mark what is not, on the person; both are shrunk to the crowd's. label: the object of each mark.
    """
    n = len(found)
    if n == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    row, who, marked, n_people = ballots(found, marks, label, views)
    n_saw = np.bincount(row, minlength=n)
    n_marked = np.bincount(row[marked], minlength=n)

    radius = radius_of(found.size)
    edges = np.quantile(radius, np.linspace(0, 1, SIZE_CLASSES + 1)[1:-1])
    size_class = np.searchsorted(edges, radius)
    row_class = size_class[row]
    share = n_marked / n_saw
    p = _sigmoid((share - START_ZERO) * SHARE_SLOPE)
    n_in_class = np.bincount(size_class, minlength=SIZE_CLASSES)
    for _ in range(ROUNDS):
        real = p[row]
        unreal = 1 - real
        in_class = np.bincount(row_class, weights=real, minlength=SIZE_CLASSES)
        hits = np.bincount(row_class, weights=real * marked, minlength=SIZE_CLASSES)
        hit_rate = (hits + HIT_PRIOR_WEIGHT * HIT_PRIOR) / (in_class + HIT_PRIOR_WEIGHT)
        false_rate = (np.sum(unreal * marked) + FALSE_PRIOR_WEIGHT * FALSE_PRIOR) / (
            np.sum(unreal) + FALSE_PRIOR_WEIGHT
        )
        own_hits = np.bincount(who, weights=real * marked, minlength=n_people)
        expected = np.bincount(who, weights=real * hit_rate[row_class], minlength=n_people)
        better = (own_hits + PERSON_WEIGHT) / (expected + PERSON_WEIGHT)
        hit = np.clip(hit_rate[None, :] * better[:, None], *HIT_RANGE)
        own_false = np.bincount(who, weights=unreal * marked, minlength=n_people)
        own_unreal = np.bincount(who, weights=unreal, minlength=n_people)
        false = (own_false + PERSON_WEIGHT * false_rate) / (own_unreal + PERSON_WEIGHT)
        false = np.clip(false, *FALSE_RANGE)
        real_share = np.bincount(size_class, weights=p, minlength=SIZE_CLASSES) + REAL_PRIOR_WEIGHT / 2
        real_share = np.clip(real_share / (n_in_class + REAL_PRIOR_WEIGHT), *REAL_RANGE)
        h, f = hit[who, row_class], false[who]
        evidence = np.where(marked, np.log(h / f), np.log((1 - h) / (1 - f)))
        log_odds = np.log(real_share / (1 - real_share))[size_class]
        log_odds += np.bincount(row, weights=evidence, minlength=n)
        p = _sigmoid(log_odds)
    p = np.clip(p, 1e-4, 1 - 1e-4)
    mixed = 0.5 * (np.log(p / (1 - p)) + SHARE_SLOPE * (share - SHARE_ZERO))
    return n_marked, n_saw, _sigmoid(mixed)


def ballots(found: Found, marks: Marks, label: Ints, views: Views) -> tuple[Ints, Ints, np.ndarray, int]:
    """Return the votes: object, person (numbered from 0), and whether they marked it; and how many people.

    One vote for each object and each person who was shown it whole. An object that nobody was shown whole is
    voted on by those who were shown its centre, and by those who marked it. Each object has a voter.
    """
    people, person = np.unique(views.person, return_inverse=True)
    n_people = len(people)
    order = np.argsort(views.image, kind="stable")
    begin = np.searchsorted(views.image[order], found.image, "left")
    n_views = np.searchsorted(views.image[order], found.image, "right") - begin
    # One row for each object and each view of its image.
    row = np.repeat(np.arange(len(found)), n_views)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(n_views) - n_views, n_views)
    view = order[begin[row] + offset]
    marked = np.isin(row * len(views) + view, label * len(views) + marks.view)
    if views.checked is not None:
        marked |= is_checked(found.x[row], found.y[row], view, views.checked)
    if np.isfinite(views.edges).any():
        x, y, edges = found.x[row], found.y[row], views.edges[view]
        radius = radius_of(found.size)[row] if found.size.shape[1] else np.zeros(len(row))
        is_whole = ~is_cut_off(x, y, radius, edges)
        has_whole = np.bincount(row, weights=is_whole, minlength=len(found)) > 0
        has_centre = ~is_cut_off(x, y, np.zeros(len(row)), edges)
        keep = np.where(has_whole[row], is_whole, has_centre | marked)
        row, view, marked = row[keep], view[keep], marked[keep]
    # The same person may have been shown it in several views: one vote, and it is yes if any is.
    ballot, place = np.unique(row * n_people + person[view], return_inverse=True)
    said_yes = np.bincount(place, weights=marked, minlength=len(ballot)) > 0
    return ballot // n_people, ballot % n_people, said_yes, n_people


def is_checked(x: Floats, y: Floats, view: Ints, checked: Floats) -> Bools:
    """Does each place lie in a box that its view checked? checked: view, left, top, right, bottom a row."""
    checked = checked[np.argsort(checked[:, 0], kind="stable")]
    begin = np.searchsorted(checked[:, 0], view, "left")
    n_boxes = np.searchsorted(checked[:, 0], view, "right") - begin
    row = np.repeat(np.arange(len(view)), n_boxes)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(n_boxes) - n_boxes, n_boxes)
    box = checked[begin[row] + offset]
    is_in = (x[row] >= box[:, 1]) & (x[row] < box[:, 3]) & (y[row] >= box[:, 2]) & (y[row] < box[:, 4])
    return np.bincount(row[is_in], minlength=len(view)) > 0


def _sigmoid(values: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-values))
    return result
