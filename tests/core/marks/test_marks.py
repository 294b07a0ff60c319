"""Marks become objects: invariances, who counts as a viewer, and how sure a place is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microtasks.core.marks import objects as core
from microtasks.core.marks import regions


def scene(seed: int, n_people: int = 5, n_craters: int = 15, scatter: float = 0.05, n_images: int = 2):
    """Marks, views and truth (image, x, y, r) of people who find four in five and invent one in ten."""
    rng = np.random.default_rng(seed)
    truth, rows, image, person = [], [], [], []
    for i in range(n_images):
        x, y, r = rng.random(n_craters) * 500, rng.random(n_craters) * 500, rng.uniform(6, 40, n_craters)
        truth += [(i, *c) for c in zip(x, y, r, strict=True)]
        for p in range(n_people):
            view = len(image)
            image.append(i)
            person.append(p)
            for k in np.flatnonzero(rng.random(n_craters) < 0.8):
                moved = rng.normal(0, scatter * 2 * r[k], 2)
                rows.append((view, x[k] + moved[0], y[k] + moved[1], r[k] * np.exp(rng.normal(0, scatter))))
            for _ in range(rng.poisson(n_craters * 0.08)):
                rows.append((view, *(rng.random(2) * 500), rng.uniform(6, 40)))
    table = np.array(rows)
    view = table[:, 0].astype(int)
    images, people = np.array(image), np.array(person)
    views = core.Views.whole(images, people)
    return core.Marks(images[view], view, table[:, 1], table[:, 2], table[:, 3:4]), views, np.array(truth)


def accepted(objects: core.Objects) -> np.ndarray:
    return np.column_stack([objects.image, objects.x, objects.y, objects.radius])[objects.is_accepted]


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_marks_in_any_order_give_the_same_bytes(seed):
    marks, views, _ = scene(seed)
    order = np.random.default_rng(seed).permutation(len(marks))
    one, other = core.consensus(marks, views), core.consensus(marks.take(order), views)
    for name in ("image", "x", "y", "size", "position_sd", "probability", "n_marked", "n_saw"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert (one.member[order] == other.member).all()


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_renaming_the_people_changes_nothing(seed):
    marks, views, _ = scene(seed)
    people = np.random.default_rng(seed).permutation(5)
    renamed = core.Views.whole(views.image, people[views.person])
    one, other = core.consensus(marks, views), core.consensus(marks, renamed)
    np.testing.assert_allclose(accepted(one), accepted(other), atol=1e-9)
    np.testing.assert_allclose(one.probability, other.probability, atol=1e-9)


@settings(max_examples=5)
@given(st.integers(0, 1000), st.floats(0.5, 8))
def test_another_pixel_size_scales_the_result(seed, factor):
    marks, views, _ = scene(seed)
    scale = core.Scale()
    larger = core.Scale(
        scale.position_share, scale.position_px * factor, scale.size_share, scale.size_px * factor
    )
    big = core.Marks(marks.image, marks.view, marks.x * factor, marks.y * factor, marks.size * factor)
    one = accepted(core.consensus(marks, views, scale))
    other = accepted(core.consensus(big, views, larger))
    assert len(one) == len(other)
    np.testing.assert_allclose(other[:, 1:], one[:, 1:] * factor, rtol=1e-6)


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_every_mark_twice_changes_nothing(seed):
    marks, views, _ = scene(seed)
    twice = marks.take(np.r_[np.arange(len(marks)), np.arange(len(marks))])
    np.testing.assert_allclose(
        accepted(core.consensus(twice, views, adapts=False)),
        accepted(core.consensus(marks, views, adapts=False)),
        atol=1e-9,
    )


@pytest.mark.parametrize("seed", range(3))
def test_an_object_holds_at_most_one_mark_of_a_view(seed):
    marks, views, _ = scene(seed, n_craters=60)
    objects = core.consensus(marks, views)
    n = {}
    for member, view in zip(objects.member, marks.view, strict=True):
        n[member, view] = n.get((member, view), 0) + 1
    # More than one only where a double click was merged: those lie within two pixels of each other.
    for (member, view), count in n.items():
        if count > 1:
            rows = (objects.member == member) & (marks.view == view)
            assert np.ptp(marks.x[rows]) < 0.3 * 2 * marks.size[rows].max()


@pytest.mark.parametrize("scatter", [0.03, 0.07, 0.15])
def test_craters_are_found_also_where_people_scatter_more_than_expected(scatter):
    marks, views, truth = scene(1, n_people=15, n_craters=40, scatter=scatter)
    found = accepted(core.consensus(marks, views))
    near = [
        np.hypot(found[:, 1] - x, found[:, 2] - y)[found[:, 0] == image].min() < 0.5 * r
        for image, x, y, r in truth
    ]
    assert np.mean(near) > 0.9
    assert len(found) < 1.1 * len(truth)


def test_who_saw_and_did_not_mark_counts_against():
    view = np.array([0, 1])
    marks = core.Marks(
        np.zeros(2, int), view, np.array([50.0, 50.0]), np.array([50.0, 50.0]), np.full((2, 1), 10.0)
    )
    few = core.consensus(marks, core.Views.whole(np.zeros(3, int), np.arange(3)))
    many = core.consensus(marks, core.Views.whole(np.zeros(12, int), np.arange(12)))
    assert few.probability[0] > many.probability[0]
    assert few.is_accepted[0]
    assert not many.is_accepted[0]
    assert many.n_saw[0] == 12


@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_one_mark_alone_is_never_accepted(n):
    marks = core.Marks(
        np.zeros(1, int), np.zeros(1, int), np.array([50.0]), np.array([50.0]), np.full((1, 1), 10.0)
    )
    assert not core.consensus(marks, core.Views.whole(np.zeros(n, int), np.arange(n))).is_accepted.any()


@given(st.integers(2, 8), st.integers(0, 6))
@settings(max_examples=12)
def test_one_more_who_marks_it_never_lowers_the_probability(n_marked, n_not):
    def probability(yes: int, no: int) -> float:
        view = np.arange(yes)
        where = np.full(yes, 50.0)
        marks = core.Marks(np.zeros(yes, int), view, where, where, np.full((yes, 1), 10.0))
        return float(
            core.consensus(marks, core.Views.whole(np.zeros(yes + no, int), np.arange(yes + no))).probability[
                0
            ]
        )

    assert probability(n_marked + 1, n_not) >= probability(n_marked, n_not) - 1e-9


@pytest.mark.parametrize("scatter", [0.05, 0.12])
@pytest.mark.parametrize("is_expert", [False, True])
def test_the_95_percent_region_holds_the_true_place_or_an_experts_mark_in_91_to_99_of_100(scatter, is_expert):
    scale = core.Scale() if is_expert else core.Scale(position_floor=0.03)
    inside = []
    for seed in range(6):
        marks, views, truth = scene(seed, n_people=10, n_craters=30, scatter=scatter)
        if is_expert:  # careful, but no more than eight tenths of a volunteer's scatter
            truth = experts(truth, 0.8 * scatter, seed)
        inside += held(core.consensus(marks, views, scale), truth)
    assert 0.91 < np.mean(inside) < 0.99


def experts(truth, scatter, seed):
    moved = np.random.default_rng(seed).normal(0, scatter, (len(truth), 2)) * 2 * truth[:, 3:4]
    return np.column_stack([truth[:, 0], truth[:, 1:3] + moved, truth[:, 3]])


def held(objects, truth):
    """For each true object that was found, does its 95 % region hold it?"""
    inside = []
    for image, x, y, r in truth:
        near = np.hypot(objects.x - x, objects.y - y) + 1e9 * (
            (objects.image != image) | ~objects.is_accepted
        )
        k = int(near.argmin())
        if near[k] < r:
            inside.append(near[k] < 2.4477 * objects.position_sd[k])
    return inside


def test_with_enough_gold_regions_are_as_wide_as_its_marks_need():
    marks, views, truth = scene(3, n_people=10, n_craters=40, scatter=0.08)
    objects = core.consensus(marks, views)
    gold = [truth[:, k] for k in (0, 1, 2)]
    fitted = regions.fitted(objects, gold[0].astype(int), gold[1], gold[2], truth[:, 3:4])
    assert np.mean(held(objects, truth)) > 0.99  # nobody errs in common here: too wide
    assert fitted.scale.position_floor < 0.2
    other_marks, other_views, other = scene(4, n_people=10, n_craters=40, scatter=0.08)
    there = core.consensus(other_marks, other_views).with_floors(
        fitted.scale.position_floor, fitted.scale.size_floor
    )
    assert np.mean(held(there, other)) > 0.92
    assert np.all(there.position_sd < core.consensus(other_marks, other_views).position_sd)
    few = slice(0, regions.GOLD_MIN - 1)
    same = regions.fitted(objects, gold[0][few].astype(int), gold[1][few], gold[2][few], truth[few, 3:4])
    assert same is objects


def test_more_people_make_no_region_narrower_than_what_people_share():
    widths = []
    for n_people in (3, 10, 40):
        marks, views, _ = scene(5, n_people=n_people, n_craters=20, scatter=0.05)
        objects = core.consensus(marks, views)
        kept = objects.is_accepted
        widths.append(
            (
                np.median(objects.position_sd[kept] / objects.radius[kept]),
                np.median(objects.log_size_sd[kept]),
            )
        )
    assert np.all(np.array(widths[2]) > 0.8 * np.array(widths[1]))
    assert np.all(np.array(widths[2]) > 0.6 * np.array(widths[0]))


def test_sizes_that_all_draw_alike_have_an_error_of_their_own_unless_nothing_was_judged():
    marks, views, _ = scene(6, n_people=8, n_craters=30, scatter=0.05)
    assert np.median(core.consensus(marks, views).log_size_sd) > 0.05
    fixed = core.Marks(marks.image, marks.view, marks.x, marks.y, np.full_like(marks.size, 25.0))
    assert np.median(core.consensus(fixed, views).log_size_sd) < 0.045  # a tool of one size


def test_regions_are_called_estimated_until_gold_fits_them():
    marks, views, truth = scene(3, n_people=10, n_craters=40, scatter=0.08)
    objects = core.consensus(marks, views)
    fitted = regions.fitted(objects, truth[:, 0].astype(int), truth[:, 1], truth[:, 2], truth[:, 3:4])
    assert (objects.scale.is_estimated, fitted.scale.is_estimated) == (True, False)


def test_no_marks_and_no_views_are_no_objects():
    nothing = core.Marks(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros(0), np.zeros((0, 1)))
    assert len(core.consensus(nothing, core.Views.whole(np.zeros(0, int), np.zeros(0, int)))) == 0
