"""Projects as read: by slug and owner, with the figures of their cards."""

from __future__ import annotations

import builders
import pytest

from microtasks.core.errors import Forbidden, NotFound
from microtasks.engine.site import Site
from microtasks.store.accounts import members
from microtasks.store.projects import projects


def test_T26_foreign_and_unknown_are_told_alike(site: Site) -> None:
    ada, ben = builders.account(site), builders.account(site, "ben@example.org")
    made = builders.project(site, account_id=ada)
    with site.db.session() as session:
        assert members.reached(session, ada, False, made.slug)[0].id == made.id
        assert members.reached(session, ben, True, made.slug)[1] == "owner"  # an operator
        for needed in members.ROLES:
            with pytest.raises(NotFound) as foreign:
                members.reached(session, ben, False, made.slug, needed)
            with pytest.raises(NotFound) as unknown:
                members.reached(session, ben, False, "no-such-project", needed)
            assert foreign.value.message == unknown.value.message


@pytest.mark.parametrize("role", members.ROLES[:-1])
def test_a_member_may_what_the_role_and_all_below_it_may(site: Site, role: members.Role) -> None:
    ada, ben = builders.account(site), builders.account(site, "ben@example.org")
    made, other = builders.project(site, account_id=ada), builders.project(site, account_id=ada)
    builders.member(site, made, ben, role)
    with site.db.session() as session:
        for needed in members.ROLES:
            if members.ROLES.index(needed) <= members.ROLES.index(role):
                assert members.reached(session, ben, False, made.slug, needed)[1] == role
            else:
                with pytest.raises(Forbidden):
                    members.reached(session, ben, False, made.slug, needed)
        with pytest.raises(NotFound):
            members.reached(session, ben, False, other.slug, "researcher")
        assert [item.id for item in projects.list_for_account(session, ben)] == [made.id]


def test_an_owner_sees_their_own_and_an_operator_all(site: Site) -> None:
    ada, ben = builders.account(site), builders.account(site, "ben@example.org")
    first = builders.project(site, account_id=ada)
    second = builders.project(site, account_id=ben)
    third = builders.project(site)
    with site.db.session() as session:
        assert [item.id for item in projects.list_for_account(session, ada)] == [first.id]
        everything = [third.id, second.id, first.id]
        assert [item.id for item in projects.list_for_account(session, ada, True)] == everything


def test_the_public_sees_no_drafts(site: Site) -> None:
    made = {
        state: builders.project(site, state=state) for state in ("draft", "published", "paused", "archived")
    }
    with site.db.session() as session:
        assert [item.id for item in projects.public(session)] == [made["published"].id]
        with pytest.raises(NotFound):
            projects.visible_by_slug(session, made["draft"].slug)
        assert projects.visible_by_slug(session, made["paused"].slug).id == made["paused"].id


def test_progress_counts_tasks_answers_and_people(site: Site) -> None:
    made = builders.project(site, redundancy=3)
    first, second, _ = builders.tasks(site, made, 3)
    people = builders.answers(site, made, first, [builders.YES] * 3)
    builders.answers(site, made, second, [builders.NO], contributors=people[:1])
    builders.answers(site, made, second, [builders.NO], status="surplus")
    other = builders.project(site)
    with site.db.session() as session:
        assert projects.progress(session, made.id) == {
            "tasks": 3,
            "retired": 1,
            "answers": 4,
            "answers_wanted": 9,
            "contributors": 4,
        }
        assert projects.progress(session, other.id)["answers_wanted"] == 0


def test_a_task_retired_early_wants_no_more(site: Site) -> None:
    made = builders.project(site, redundancy=5)
    (task,) = builders.tasks(site, made, 1)
    builders.answers(site, made, task, [builders.YES] * 3)
    with site.db.connection() as connection:
        connection.execute("UPDATE task SET retired_at = now(), retirement_reason = 'consensus'")
    with site.db.session() as session:
        assert projects.progress(session, made.id)["answers_wanted"] == 3


def test_a_card_has_the_first_image_and_the_median_pace(site: Site) -> None:
    made = builders.project(site)
    image = builders.media(site)
    builders.tasks(site, made, 1)
    (task,) = builders.tasks(site, made, 1, media_ids=[image])
    builders.answers(site, made, task, [builders.YES, builders.NO])
    text_only = builders.project(site)
    builders.tasks(site, text_only, 1)
    with site.db.session() as session:
        cards = {card.project.id: card for card in projects.cards(session)}
    assert cards[made.id].cover is not None and cards[made.id].cover.id == image
    assert cards[made.id].median_seconds == 3.5
    assert (cards[text_only.id].cover, cards[text_only.id].median_seconds) == (None, None)


def test_answers_wanted_is_an_estimate_where_tasks_stop_when_sure(site: Site) -> None:
    made = builders.project(site, redundancy=10, answers_min=2, stop_rule="confidence", stop_threshold=0.95)
    done, *_ = builders.tasks(site, made, 101, redundancy=2)

    def wanted() -> int:
        with site.db.session() as session:
            return projects.progress(session, made.id)["answers_wanted"]

    assert wanted() == 101 * 4  # nothing is known: four a task, not two seats and not the most
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE task SET n_answers = 6, redundancy = 6, retired_at = now(),"
            " retirement_reason = 'consensus' WHERE project_id = %s AND id < %s",
            (made.id, done + 50),
        )
    assert wanted() == round(50 * 6 + 51 * (50 * 6 + 10 * 4) / 60)
    with site.db.connection() as connection:
        connection.execute("UPDATE project SET stop_rule = 'redundancy' WHERE id = %s", (made.id,))
    assert wanted() == 50 * 6 + 51 * 2
