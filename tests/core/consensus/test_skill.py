"""Models that weigh volunteers: invariances, gold, and what they promise on answers of known skill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microtasks.core.consensus import skill


def crowd(seed: int, n_tasks: int = 200, n_people: int = 20, n_labels: int = 3, n_each: int = 5):
    """Answers of people of different skill; returns votes and truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_labels, n_tasks)
    ability = rng.uniform(0.35, 0.95, n_people)
    task = np.repeat(np.arange(n_tasks), n_each)
    person = np.concatenate([rng.choice(n_people, n_each, replace=False) for _ in range(n_tasks)])
    right = rng.random(len(task)) < ability[person]
    wrong = (truth[task] + rng.integers(1, n_labels, len(task))) % n_labels
    label = np.where(right, truth[task], wrong)
    return skill.sort(task, person, label, n_tasks, n_people, n_labels), truth, ability


def accuracy(posterior, truth) -> float:
    return float((posterior.argmax(axis=1) == truth).mean())


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_answers_in_any_order_give_the_same_bytes(seed):
    votes, _, _ = crowd(seed, 40)
    order = np.random.default_rng(seed).permutation(len(votes.task))
    mixed = skill.sort(votes.task[order], votes.person[order], votes.label[order], 40, 20, 3)
    assert skill.fit(mixed).posterior.tobytes() == skill.fit(votes).posterior.tobytes()


@settings(max_examples=5)
@given(st.integers(0, 1000), st.sampled_from(["model", "committee"]))
def test_renaming_people_tasks_and_labels_changes_nothing_else(seed, method):
    votes, _, _ = crowd(seed, 40)
    rng = np.random.default_rng(seed)
    people, tasks, labels = rng.permutation(20), rng.permutation(40), rng.permutation(3)
    renamed = skill.sort(tasks[votes.task], people[votes.person], labels[votes.label], 40, 20, 3)
    one = skill.fit(votes, method=method).posterior
    other = skill.fit(renamed, method=method).posterior
    if method == "model":
        np.testing.assert_allclose(other[tasks][:, labels], one, atol=1e-9)
    else:  # kinds of items start by rank, and tasks of equal rank are told apart by their number
        assert np.abs(other[tasks][:, labels] - one).mean() < 0.05


@pytest.mark.parametrize("seed", range(5))
def test_the_model_beats_the_vote_where_skill_differs(seed):
    votes, truth, _ = crowd(seed, 400)
    assert accuracy(skill.fit(votes).posterior, truth) > accuracy(skill.counts(votes), truth)


def test_unanimous_tasks_keep_their_answer():
    votes, _, _ = crowd(3)
    tallies = skill.counts(votes)
    unanimous = (tallies == tallies.sum(axis=1, keepdims=True)).any(axis=1)
    posterior = skill.fit(votes).posterior
    assert (posterior.argmax(axis=1) == tallies.argmax(axis=1))[unanimous].all()


def test_a_newcomer_counts_as_the_average_volunteer():
    votes, _, _ = crowd(4)
    tables = skill.confusion(votes)
    longer = skill.sort(votes.task, votes.person, votes.label, 200, 21, 3)
    newcomer = skill.confusion(longer).log_table[20]
    np.testing.assert_allclose(newcomer, tables.log_crowd, atol=0.01)


def test_skills_come_out_in_the_order_of_ability():
    votes, _, ability = crowd(5, 2000)
    known = skill.skills(votes, skill.confusion(votes))
    assert np.corrcoef(known.skill, ability)[0, 1] > 0.95
    assert (known.n_answers == np.bincount(votes.person)).all()


def test_guessers_are_found_after_twenty_answers():
    rng = np.random.default_rng(1)
    votes, _, _ = crowd(6, 300)
    task = np.r_[votes.task, np.arange(100)]
    person = np.r_[votes.person, np.full(100, 20)]
    label = np.r_[votes.label, rng.integers(0, 3, 100)]
    more = skill.sort(task, person, label, 300, 21, 3)
    assert skill.skills(more, skill.confusion(more)).is_lost[20]


def test_gold_is_held_fast_while_tables_are_learnt():
    votes, truth, _ = crowd(7, 60, n_each=3)
    gold = np.full(60, -1)
    gold[:40] = truth[:40]
    with_gold, without = skill.fit(votes, gold), skill.fit(votes)
    rest = slice(40, None)
    assert (
        accuracy(with_gold.posterior[rest], truth[rest])
        >= accuracy(without.posterior[rest], truth[rest]) - 0.051
    )
    assert with_gold.n_gold == 40
    assert without.n_gold == 0


def test_with_gold_the_probabilities_mean_what_they_say():
    votes, truth, _ = crowd(8, 1500, n_each=4)
    gold = np.full(1500, -1)
    gold[:50] = truth[:50]
    posterior = skill.fit(votes, gold).posterior[50:]
    sure = posterior.max(axis=1)
    assert abs(sure.mean() - accuracy(posterior, truth[50:])) < 0.06


def test_a_task_without_answers_is_open():
    votes, _, _ = crowd(9, 30)
    longer = skill.sort(votes.task, votes.person, votes.label, 31, 20, 3)
    posterior = skill.fit(longer).posterior
    assert posterior.shape == (31, 3)
    assert posterior[30].max() < 0.6


def test_a_choice_of_one_label_only_does_not_fail():
    votes = skill.sort(np.array([0, 1]), np.array([0, 0]), np.array([0, 0]), 2, 1, 2)
    assert (skill.fit(votes).posterior.argmax(axis=1) == 0).all()


def test_rare_choices_share_one_table_and_frequent_ones_have_their_own():
    rng = np.random.default_rng(2)
    n_tasks, n_people = 300, 9
    task = np.repeat(np.arange(n_tasks), n_people)
    person = np.tile(np.arange(n_people), n_tasks)
    frequent, rare = rng.random(n_tasks) < 0.4, rng.random(n_tasks) < 0.02
    sees = rng.random(len(task)) < 0.45
    chosen = [np.flatnonzero(frequent[task] & sees), np.flatnonzero(rare[task] & sees)]
    found = skill.fit_each(task, person, chosen, n_tasks, n_people)
    assert ((found[0] > 0.5) == frequent).mean() > 0.98
    assert ((found[1] > 0.5) == rare).mean() > 0.98


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["model", "committee"]))
def test_one_voice_with_little_record_never_wins_against_two_who_agree(seed, method):
    rng = np.random.default_rng(seed)
    n_tasks, n_people, n_labels = 40, 12, int(rng.integers(2, 5))
    truth, skill_of = rng.integers(0, n_labels, n_tasks), rng.choice([0.3, 0.99], n_people)
    task = np.repeat(np.arange(n_tasks), 4)
    person = np.concatenate([rng.permutation(n_people)[:4] for _ in range(n_tasks)])
    is_right = rng.random(len(task)) < skill_of[person]
    label = np.where(is_right, truth[task], rng.integers(0, n_labels, len(task)))
    votes = skill.sort(task, person, label, n_tasks, n_people, n_labels)
    posterior = skill.fit(votes, method=method).posterior
    record = np.bincount(person, minlength=n_people)
    top, tallies = posterior.argmax(axis=1), skill.counts(votes)
    for lone in np.flatnonzero((tallies.max(axis=1) >= 2) & (tallies[np.arange(n_tasks), top] <= 1)):
        said = votes.person[(votes.task == lone) & (votes.label == top[lone])]
        assert (record[said] >= skill.VOICE_MIN).all()
        assert len(said) == 1
    np.testing.assert_allclose(posterior.sum(axis=1), 1)


def test_one_voice_with_a_record_may_win_against_two_newcomers():
    truth = np.arange(60) % 2
    good = [(t, p, truth[t]) for t in range(60) for p in range(3)]
    bad = [(t, 3 + (t + k) % 8, 1 - truth[t]) for t in range(60) for k in range(2)]
    alone = [(60, 0, 1), (60, 3, 0), (60, 4, 0)]
    task, person, label = np.array(good + bad + alone).T
    assert skill.fit(skill.sort(task, person, label, 61, 11, 2)).posterior[60].argmax() == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 39))
def test_an_agreeing_answer_never_turns_the_model_away(seed, task):
    """A newcomer who says what the model says already leaves it there, and no less sure."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 40)
    tasks, people = np.repeat(np.arange(40), 5), np.tile(np.arange(5), 40)
    label = np.where(rng.random(200) < 0.75, truth[tasks], rng.integers(0, 3, 200))
    before = skill.fit(skill.sort(tasks, people, label, 40, 6, 3)).posterior[task]
    top = int(before.argmax())
    more = skill.sort(np.r_[tasks, task], np.r_[people, 5], np.r_[label, top], 40, 6, 3)
    after = skill.fit(more).posterior[task]
    assert after.argmax() == top
    assert after[top] >= before[top] - 1e-9


def expected(posterior, truth) -> float:
    """Accuracy; a tie counts as a part."""
    is_top = posterior >= posterior.max(axis=1, keepdims=True) - 1e-9
    right = is_top[np.arange(len(is_top)), np.asarray(truth, int)]
    return float((right / is_top.sum(axis=1)).mean())


def said(n_tasks: int, n_people: int, n_labels: int, answers) -> skill.Votes:
    task, person, label = np.array(answers).T
    return skill.sort(task, person, label, n_tasks, n_people, n_labels)


def unlike_crowds():
    """Crowds at the edges: name, votes, truth."""
    rng = np.random.default_rng(0)

    def draw(n_tasks, n_people, n_labels, n_each, right=0.8, share=None, low=0, one_each=False):
        truth = rng.choice(n_labels, n_tasks, p=share)
        n = np.full(n_tasks, n_each) if low == 0 else rng.integers(low, n_each + 1, n_tasks)
        task = np.repeat(np.arange(n_tasks), n)
        person = np.concatenate([rng.choice(n_people, k, replace=False) for k in n])
        if one_each:
            person = np.arange(len(task))
        is_right = rng.random(len(task)) < right
        label = np.where(is_right, truth[task], rng.integers(0, n_labels, len(task)))
        return skill.sort(task, person, label, n_tasks, int(person.max()) + 1, n_labels), truth

    yield "one answer a task", *draw(100, 10, 3, 1)
    yield "two answers a task", *draw(300, 15, 2, 2)
    yield "from one to thirty answers a task", *draw(300, 40, 3, 30, low=1)
    yield "a hundred answers a task", *draw(40, 120, 2, 100, right=0.6)
    yield "one answer a volunteer", *draw(200, 9, 2, 5, one_each=True)
    yield "a hundred labels", *draw(400, 20, 100, 5)
    yield "one label in fifty", *draw(1000, 20, 2, 5, share=(0.98, 0.02))
    yield "one class in three is nearly all", *draw(600, 20, 3, 5, share=(0.96, 0.02, 0.02))
    for n_labels in (5, 10, 30, 100):
        share = (0.92, *[0.08 / (n_labels - 1)] * (n_labels - 1))
        crowd_and_truth = draw(2000, 60, n_labels, 5, right=0.7, share=share)
        yield f"one class in {n_labels} is nearly all", *crowd_and_truth
    yield (
        "everybody says the same",
        said(50, 5, 3, [(t, p, 1) for t in range(50) for p in range(5)]),
        np.ones(50),
    )
    yield "nobody is any good", *draw(200, 15, 2, 5, right=0.0)
    yield "two tasks", *draw(2, 5, 2, 5)


@pytest.mark.parametrize("method", ["model", "committee"])
@pytest.mark.parametrize(
    ("name", "votes", "truth"), list(unlike_crowds()), ids=lambda it: it if isinstance(it, str) else ""
)
def test_no_crowd_makes_the_model_fail_or_fall_far_under_the_vote(name, votes, truth, method):
    posterior = skill.fit(votes, method=method).posterior
    assert np.isfinite(posterior).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    if name != "nobody is any good":
        assert expected(posterior, truth) >= expected(skill.counts(votes), truth) - 0.015


@pytest.mark.parametrize("name", ["one answer a task", "one answer a volunteer", "two tasks"])
def test_where_there_is_too_little_to_learn_from_the_vote_decides_and_says_so(name):
    votes = next(votes for each, votes, _ in unlike_crowds() if each == name)
    fit = skill.fit(votes)
    assert fit.decided_by == "vote"
    np.testing.assert_allclose(fit.posterior, skill.plain_vote(votes))
    tallies = skill.counts(votes)
    is_top = fit.posterior >= fit.posterior.max(axis=1, keepdims=True) - skill.SAME
    assert (is_top == (tallies == tallies.max(axis=1, keepdims=True))).all()


def test_gold_decides_where_a_crowd_is_too_small_to_learn_from():
    votes, truth, _ = crowd(11, 24, n_people=20)  # six answers a volunteer
    assert skill.fit(votes).decided_by == "vote"
    assert skill.fit(votes, truth).decided_by == "model"


@pytest.mark.parametrize("n_labels", [2, 4])
def test_many_volunteers_are_taken_in_parts_with_the_same_result(monkeypatch, n_labels):
    votes, _, _ = crowd(12, 200, n_people=30, n_labels=n_labels)
    whole = skill.fit(votes).posterior
    table = skill.confusion(votes).log_table
    monkeypatch.setattr("microtasks.core.consensus.votes.CELLS_AT_ONCE", 100)
    np.testing.assert_allclose(skill.fit(votes).posterior, whole, atol=1e-9)
    np.testing.assert_allclose(skill.confusion(votes).log_table, table, atol=1e-9)


def test_kinds_learnt_on_a_part_of_the_tasks_say_what_kinds_learnt_on_all_say(monkeypatch):
    votes, truth, _ = crowd(13, 3000, n_people=40, n_labels=2)
    whole = skill.fit(votes).posterior
    monkeypatch.setattr("microtasks.core.consensus.subtypes.SAMPLE", 5000)
    part = skill.fit(votes).posterior
    assert (part.argmax(axis=1) == whole.argmax(axis=1)).mean() > 0.98
    assert accuracy(part, truth) >= accuracy(whole, truth) - 0.01


def test_answers_that_hang_together_make_the_model_less_sure():
    rng = np.random.default_rng(3)
    truth, task = rng.integers(0, 2, 400), np.repeat(np.arange(400), 9)
    person = np.tile(np.arange(9), 400)
    alone = np.where(rng.random(len(task)) < 0.8, truth[task], 1 - truth[task])
    is_hard = rng.random(400) < 0.3
    together = np.where(
        rng.random(len(task)) < np.where(is_hard, 0.45, 0.95)[task], truth[task], 1 - truth[task]
    )
    each, crowd_error = (skill.sort(task, person, label, 400, 9, 2) for label in (alone, together))
    assert skill.shared_error(each) < 0.05 < skill.shared_error(crowd_error)
    assert skill.fit(crowd_error).learnt_part < skill.fit(each).learnt_part


def test_where_everybody_errs_at_the_same_items_the_model_stays_near_the_vote():
    """Some items look like another class to everybody: no table of volunteers can know it."""
    rng = np.random.default_rng(4)
    losses = []
    for _ in range(5):
        truth, task = rng.integers(0, 4, 500), np.repeat(np.arange(500), 7)
        person = np.concatenate([rng.choice(30, 7, replace=False) for _ in range(500)])
        seems = np.where(rng.random(500) < 0.25, (truth + 1) % 4, truth)
        label = np.where(rng.random(len(task)) < 0.7, seems[task], rng.integers(0, 4, len(task)))
        votes = skill.sort(task, person, label, 500, 30, 4)
        losses.append(accuracy(skill.counts(votes), truth) - accuracy(skill.fit(votes).posterior, truth))
    assert np.mean(losses) < 0.01


def test_a_tie_of_equal_people_stays_a_tie():
    answers = [(t, p, t % 2) for t in range(40) for p in range(4)]
    answers += [(40, 0, 0), (40, 1, 0), (40, 2, 1), (40, 3, 1)]
    posterior = skill.fit(said(41, 4, 2, answers)).posterior[40]
    assert abs(posterior[0] - posterior[1]) < skill.SAME
