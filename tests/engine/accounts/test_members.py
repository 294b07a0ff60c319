"""Invitations work once and as far as they say; nobody is removed who may not be; the owner is one."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import builders
import pytest

from microtasks.core.errors import Conflict, Forbidden, InputError, MicrotasksError, NotFound
from microtasks.engine import audit
from microtasks.engine.accounts import accounts
from microtasks.engine.accounts import members as account_members
from microtasks.engine.site import Site
from microtasks.store.accounts import members
from microtasks.store.accounts.members import Role
from microtasks.store.projects import projects

PASSWORD = "seven grey herons"


def role(site: Site, of: builders.ProjectRow, account_id: int) -> Role | None:
    """The account's role in the project, as every route finds it."""
    with site.db.session() as session:
        try:
            return members.reached(session, account_id, False, of.slug, "researcher")[1]
        except NotFound:
            return None


def crew(site: Site) -> tuple[builders.ProjectRow, int, int]:
    """A project of Ada's, Ada, and Ben, who is a stranger."""
    ada, ben = builders.account(site), builders.account(site, "ben@example.org")
    return builders.project(site, account_id=ada), ada, ben


def actions(site: Site, of: builders.ProjectRow) -> list[str]:
    return [entry.action for entry in reversed(audit.page(site, of.id, None, 100))]


def test_an_invitation_is_looked_at_often_and_used_once(site: Site) -> None:
    of, ada, ben = crew(site)
    token = account_members.invite(site, of.id, ada, "reviewer", note="Ben")
    for _ in range(2):
        found = account_members.look(site, token)
        assert found is not None
        assert (found.project.slug, found.role, found.by) == (of.slug, "reviewer", "ada@example.org")
    assert role(site, of, ben) is None
    assert account_members.accept(site, token, ben).slug == of.slug
    assert role(site, of, ben) == "reviewer"
    assert account_members.look(site, token) is None
    with pytest.raises(Forbidden):
        account_members.accept(site, token, builders.account(site, "cy@example.org"))
    assert actions(site, of) == ["people.invite", "people.join"]


def test_of_two_at_once_one_joins(site: Site) -> None:
    of, ada, ben = crew(site)
    cy = builders.account(site, "cy@example.org")
    token = account_members.invite(site, of.id, ada, "researcher")

    def try_it(who: int) -> bool:
        try:
            account_members.accept(site, token, who)
        except Forbidden:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(try_it, (ben, cy))) == [False, True]
    assert [role(site, of, ben), role(site, of, cy)].count("researcher") == 1


def test_only_the_hash_of_a_link_is_stored(site: Site) -> None:
    of, ada, _ = crew(site)
    token = account_members.invite(site, of.id, ada, "researcher")
    with site.db.connection() as connection:
        (row,) = connection.execute("SELECT i::text FROM invitation i").fetchall()
        (log,) = connection.execute("SELECT string_agg(a::text, '') FROM audit a").fetchall()
    assert token not in row[0] and token not in log[0]


def test_one_that_is_old_or_taken_back_does_not_work(site: Site) -> None:
    of, ada, ben = crew(site)
    old, back = (account_members.invite(site, of.id, ada, "reviewer") for _ in range(2))
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE invitation SET expires_at = now() WHERE id = (SELECT min(id) FROM invitation)"
        )
    with site.db.session() as session:
        (shown,) = account_members.listed(site, projects.get(session, of.id))[1]
    with pytest.raises(NotFound):
        account_members.revoke(site, builders.project(site).id, shown.id, ada)  # another project's
    account_members.revoke(site, of.id, shown.id, ada)
    for token in (old, back, "no-such-token"):
        assert account_members.look(site, token) is None
        with pytest.raises(Forbidden):
            account_members.accept(site, token, ben)
    assert role(site, of, ben) is None
    assert actions(site, of)[-1] == "people.revoke"


def test_who_is_in_it_already_keeps_the_greater_role_and_the_link_stays_good(site: Site) -> None:
    of, ada, ben = crew(site)
    builders.member(site, of, ben, "collaborator")
    token = account_members.invite(site, of.id, ada, "reviewer")
    for who in (ada, ben):
        with pytest.raises(Conflict):
            account_members.accept(site, token, who)
    assert account_members.look(site, token) is not None
    more = builders.account(site, "cy@example.org")
    builders.member(site, of, more, "researcher")
    account_members.accept(site, token, more)
    assert (role(site, of, ben), role(site, of, more)) == ("collaborator", "reviewer")


def ask_to_join(site: Site, token: str, email: str) -> str:
    """The link in the letter that somebody invited gets."""
    letters: list[str] = []

    def write(proof: str) -> tuple[str, str]:
        letters.append(proof)
        return "Join", proof

    account_members.ask_to_join(site, token, email, write)
    return letters[0]


def test_T17_a_stranger_joins_with_an_address_that_is_proven(site: Site) -> None:
    of, ada, _ = crew(site)
    email = f"{uuid.uuid4().hex}@example.org"
    token = account_members.invite(site, of.id, ada, "collaborator")
    refused: tuple[tuple[str, type[MicrotasksError]], ...] = (
        ("no address", InputError),
        ("Ada@example.org", Conflict),
    )
    for given, error in refused:
        with pytest.raises(error):
            ask_to_join(site, token, given)
    proof = ask_to_join(site, token, email)
    with pytest.raises(InputError):  # nobody has the address before it is proven
        accounts.id_of(site, email)
    offer = account_members.proven(site, proof)
    assert offer is not None and (offer[0], offer[1].role) == (email, "collaborator")
    with pytest.raises(InputError):
        account_members.join(site, proof, "12345678")
    session, project = account_members.join(site, proof, PASSWORD)  # the link is still good
    account = accounts.who(site, session)
    assert account is not None
    assert (account.email, account.is_operator, project.slug) == (email, False, of.slug)
    assert role(site, of, account.id) == "collaborator"
    accounts.sign_in_by_password(site, email, PASSWORD)
    for spent in (proof, token):
        with pytest.raises(Forbidden):
            account_members.join(site, spent, PASSWORD)
    with pytest.raises(Forbidden):
        ask_to_join(site, token, f"x{email}")


def test_T17_an_invitation_that_was_taken_back_makes_no_account(site: Site) -> None:
    of, ada, _ = crew(site)
    email = f"{uuid.uuid4().hex}@example.org"
    proof = ask_to_join(site, account_members.invite(site, of.id, ada, "reviewer"), email)
    with site.db.connection() as connection:
        connection.execute("UPDATE invitation SET expires_at = now() - interval '1 second'")
    assert account_members.proven(site, proof) is None
    with pytest.raises(Forbidden):
        account_members.join(site, proof, PASSWORD)
    with pytest.raises(InputError):
        accounts.id_of(site, email)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        *(("owner", {}), ("", {}), ("boss", {}), ("reviewer", {"days": 0}), ("reviewer", {"days": 91})),
        *(("reviewer", {"note": "a\nb"}), ("reviewer", {"note": "x" * 201})),
    ],
)
def test_what_cannot_be_invited_to_is_refused(site: Site, given: str, options: dict[str, object]) -> None:
    of, ada, _ = crew(site)
    with pytest.raises(InputError):
        account_members.invite(site, of.id, ada, given, **options)  # type: ignore[arg-type]


def test_roles_change_and_members_go(site: Site) -> None:
    of, ada, ben = crew(site)
    builders.member(site, of, ben, "researcher")
    account_members.change_role(site, of.id, ben, "collaborator", ada)
    assert role(site, of, ben) == "collaborator"
    with pytest.raises(InputError):
        account_members.change_role(site, of.id, ben, "owner", ada)
    account_members.remove(site, of.id, ben, ben)
    assert role(site, of, ben) is None
    for who in (ben, ada):  # gone; and the owner is no member who could go
        with pytest.raises(NotFound):
            account_members.remove(site, of.id, who, ada)
        with pytest.raises(NotFound):
            account_members.change_role(site, of.id, who, "researcher", ada)
    assert role(site, of, ada) == "owner"
    assert actions(site, of) == ["people.role", "people.leave"]


def test_a_project_is_handed_over_and_has_one_owner_all_the_time(site: Site) -> None:
    of, ada, ben = crew(site)
    with pytest.raises(NotFound):
        account_members.transfer(site, of.id, ben, ada)  # a stranger
    builders.member(site, of, ben, "researcher")
    account_members.transfer(site, of.id, ben, ada)
    assert (role(site, of, ben), role(site, of, ada)) == ("owner", "collaborator")
    with site.db.session() as session:
        project = projects.get(session, of.id)
        found = [(one.email, one.role) for one in members.listed(session, project)]
    assert found == [("ben@example.org", "owner"), ("ada@example.org", "collaborator")]
    (entry,) = audit.page(site, of.id, None, 9)
    assert entry.detail == {"before": "ada@example.org", "after": "ben@example.org"}
