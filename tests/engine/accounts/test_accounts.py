"""Owners' accounts: links that work once, passwords, sessions that end when they should."""

from __future__ import annotations

import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import builders
import psycopg
import pytest
from argon2 import PasswordHasher

from microtasks.core.errors import Conflict, Forbidden, InputError, TooMany
from microtasks.engine import audit
from microtasks.engine.accounts import accounts, tokens
from microtasks.engine.results import decisions
from microtasks.engine.site import Site
from microtasks.store.operations import limits
from microtasks.store.tables import Account

PASSWORD = "seven grey herons"


def address() -> str:
    """A new address: tries are counted per address, in a Redis that other tests use too."""
    return f"{uuid.uuid4().hex}@example.org"


def owner(site: Site, email: str | None = None) -> tuple[str, str]:
    """(email, session token) of an owner with a password."""
    email = email or address()
    session = accounts.sign_in_by_link(site, accounts.create_owner(site, email))
    return email, accounts.set_password(site, session, PASSWORD)


def who(site: Site, session: str) -> Account:
    found = accounts.who(site, session)
    assert found is not None
    return found


def test_the_first_account_is_the_operators_and_no_other(site: Site) -> None:
    first = accounts.sign_in_by_link(site, accounts.create_owner(site, address()))
    second = accounts.sign_in_by_link(site, accounts.create_owner(site, address()))
    assert who(site, first).is_operator
    assert not who(site, second).is_operator


def test_a_link_signs_in_once(site: Site) -> None:
    token = accounts.create_owner(site, "Ada@Example.org")
    assert accounts.link_is_good(site, token)  # looking does not spend it
    assert accounts.link_is_good(site, token)
    assert who(site, accounts.sign_in_by_link(site, token)).email == "Ada@Example.org"
    assert not accounts.link_is_good(site, token)
    with pytest.raises(Forbidden):
        accounts.sign_in_by_link(site, token)


def test_of_two_at_once_one_is_signed_in(site: Site) -> None:
    token = accounts.create_owner(site, address())

    def spend(_: int) -> bool:
        try:
            return bool(accounts.sign_in_by_link(site, token, address="127.0.0.1"))
        except Forbidden:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(spend, range(4))) == 1


def test_a_link_expires(site: Site) -> None:
    token = accounts.create_owner(site, address())
    with site.db.connection() as connection:
        connection.execute("UPDATE signin_link SET expires_at = now() - interval '1 second'")
    assert not accounts.link_is_good(site, token)
    with pytest.raises(Forbidden):
        accounts.sign_in_by_link(site, token)


def test_a_second_link_is_for_the_same_account_whatever_the_case(site: Site) -> None:
    first = accounts.sign_in_by_link(site, accounts.create_owner(site, "ada@example.org"))
    second = accounts.sign_in_by_link(site, accounts.create_owner(site, " ADA@example.org "))
    assert who(site, first).id == who(site, second).id


@pytest.mark.parametrize("text", ["", "ada", "@example.org", "a b@example.org", "a@b@c", "a@b\nc"])
def test_what_is_no_address_makes_no_account(site: Site, text: str) -> None:
    with pytest.raises(InputError):
        accounts.create_owner(site, text)


def test_tokens_and_passwords_are_not_in_the_database(site: Site) -> None:
    token = accounts.create_owner(site, address())
    session = accounts.sign_in_by_link(site, token)
    session = accounts.set_password(site, session, PASSWORD)
    unused = accounts.create_owner(site, address())
    with psycopg.connect(site.db.url) as connection:
        rows = [
            str(row)
            for query in (
                "SELECT t::text FROM account t",
                "SELECT t::text FROM signin_link t",
                "SELECT t::text FROM owner_session t",
            )
            for row in connection.execute(query)
        ]
    assert rows
    for secret in (token, session, unused, PASSWORD):
        assert not any(secret in row or secret.encode().hex() in row for row in rows)


def test_T17_a_new_session_at_each_sign_in_and_none_after_signing_out(site: Site) -> None:
    email, first = owner(site)
    second = accounts.sign_in_by_password(site, email, PASSWORD)
    assert first != second and len(second) >= 32
    accounts.sign_out(site, first)
    assert accounts.who(site, first) is None
    assert accounts.who(site, second) is not None
    accounts.sign_out_everywhere(site, who(site, second).id)
    assert accounts.who(site, second) is None


def test_T17_a_new_password_ends_every_session_and_link(site: Site) -> None:
    email, first = owner(site)
    link = accounts.create_owner(site, email)
    second = accounts.sign_in_by_password(site, email, PASSWORD)
    third = accounts.set_password(site, second, "another good one", PASSWORD)
    assert [accounts.who(site, token) is None for token in (first, second, third)] == [True, True, False]
    assert not accounts.link_is_good(site, link)
    with pytest.raises(Forbidden):
        accounts.sign_in_by_password(site, email, PASSWORD)


def test_T17_a_disabled_account_is_out_at_once(site: Site) -> None:
    email, session = owner(site)
    accounts.disable(site, email)
    assert accounts.who(site, session) is None
    with pytest.raises(Forbidden):
        accounts.sign_in_by_password(site, email, PASSWORD)
    with pytest.raises(Forbidden):
        accounts.create_owner(site, email)


def test_T17_a_session_ends_after_its_days(site: Site) -> None:
    _, session = owner(site)
    with site.db.connection() as connection:
        connection.execute("UPDATE owner_session SET expires_at = now()")
    assert accounts.who(site, session) is None


def test_a_password_is_changed_with_the_current_one_or_by_a_link(site: Site) -> None:
    email, _ = owner(site)
    session = accounts.sign_in_by_password(site, email, PASSWORD)
    assert accounts.needs_current_password(site, session)
    with pytest.raises(Forbidden):
        accounts.set_password(site, session, "another good one", "wrong one")
    assert accounts.who(site, session) is not None
    by_link = accounts.sign_in_by_link(site, accounts.create_owner(site, email))
    assert not accounts.needs_current_password(site, by_link)
    accounts.set_password(site, by_link, "another good one")
    assert accounts.sign_in_by_password(site, email, "another good one")


def test_T25_passwords_are_argon2id_with_a_salt_of_their_own(site: Site) -> None:
    for _ in range(2):
        owner(site)
    with site.db.connection() as connection:
        hashes = [row[0] for row in connection.execute("SELECT password_hash FROM account")]
    assert all(stored.startswith("$argon2id$") for stored in hashes)
    assert len(set(hashes)) == 2


def test_T36_a_hash_is_not_shown_when_an_account_is(site: Site) -> None:
    _, session = owner(site)
    account = who(site, session)
    assert account.password_hash and "argon2" not in f"{account!r} {account}"


def test_T25_an_old_hash_is_made_anew_at_sign_in(site: Site) -> None:
    email, _ = owner(site)
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    with site.db.connection() as connection:
        connection.execute("UPDATE account SET password_hash = %s", (weak,))
    accounts.sign_in_by_password(site, email, PASSWORD)
    with site.db.connection() as connection:
        row = connection.execute("SELECT password_hash FROM account").fetchone()
    assert row is not None and row[0] != weak and "m=19456" in row[0]
    assert accounts.sign_in_by_password(site, email, PASSWORD)


@pytest.mark.parametrize(
    ("password", "is_good"),
    [
        ("short", False),
        ("1234567", False),
        ("Password123", False),
        ("aaaaaaaaaaaa", False),
        ("ada.lovelace@example.org", False),
        ("lovelace", False),
        ("x" * 257, False),
        ("seven grey herons", True),
        ("ключ от неба", True),
        ("a1b2" * 16, True),
    ],
)
def test_T25_length_and_the_common_ones(password: str, is_good: bool) -> None:
    if is_good:
        accounts.check_password(password, "ada.lovelace@example.org")
    else:
        with pytest.raises(InputError):
            accounts.check_password(password, "ada.lovelace@example.org")


def test_T23_the_eleventh_try_is_refused_with_the_right_password_too(site: Site) -> None:
    email, _ = owner(site)
    for n in range(10):
        with pytest.raises(Forbidden):
            accounts.sign_in_by_password(
                site, email.upper() if n % 2 else email, f"wrong {n}", address="127.0.0.1"
            )
    with pytest.raises(TooMany):
        accounts.sign_in_by_password(site, email, PASSWORD, address="127.0.0.1")


def test_T23_tries_are_counted_by_ip_address_too(site: Site) -> None:
    visitor = f"2001:db8::{uuid.uuid4().hex[:4]}"
    for _ in range(10):
        with pytest.raises(Forbidden):
            accounts.sign_in_by_password(site, address(), "wrong", address=visitor)
    email, _ = owner(site)
    with pytest.raises(TooMany):
        accounts.sign_in_by_password(site, email, PASSWORD, address=visitor)
    for _ in range(10):
        with pytest.raises(Forbidden):
            accounts.sign_in_by_link(site, "no such link", address=visitor)
    with pytest.raises(TooMany):
        accounts.sign_in_by_link(site, "no such link", address=visitor)


def test_T23_what_one_budget_refuses_never_spends_another_s(site: Site) -> None:
    """One address that tries a thousand times locks neither an account nor the site."""
    email, _ = owner(site)
    stranger, everybody = f"2001:db8:{uuid.uuid4().hex[:4]}::1", uuid.uuid4().hex
    budgets = [("link", stranger), ("login", email), ("login_all", everybody)]
    assert [limits.allow_each(site, *budgets) for _ in range(15)] == [True] * 10 + [False] * 5
    left = limits.LIMITS["login_all"].item.amount - 10
    assert [limits.allow(site, "login_all", everybody) for _ in range(left + 1)] == [True] * left + [False]

    visitor, victim = f"2001:db8:{uuid.uuid4().hex[:4]}::1", owner(site)[0]
    for _ in range(10):
        with pytest.raises(Forbidden):
            accounts.sign_in_by_password(site, address(), "wrong", address=visitor)
    for _ in range(30):
        with pytest.raises(TooMany):
            accounts.sign_in_by_password(site, victim, "wrong", address=visitor)
    assert accounts.sign_in_by_password(site, victim, PASSWORD, address="2001:db8:ffff::2")


def test_T17_the_current_password_cannot_be_guessed_in_a_session(site: Site) -> None:
    email, _ = owner(site)
    session = accounts.sign_in_by_password(site, email, PASSWORD)
    for n in range(10):
        with pytest.raises(Forbidden):
            accounts.set_password(site, session, "another good one", f"guess {n}")
    for current in ("one more guess", PASSWORD):
        with pytest.raises(TooMany):
            accounts.set_password(site, session, "another good one", current)
    with pytest.raises(TooMany):
        accounts.ask_new_address(site, session, address(), lambda *_: ("", ""), PASSWORD)


@pytest.mark.parametrize("is_wanted", [True, False])
def test_T29_api_tokens_end_with_password_and_sessions_where_that_is_wanted(
    site: Site, is_wanted: bool
) -> None:
    email, session = owner(site)
    account = who(site, session)
    key = tokens.make(site, account.id, name="notebook")
    session = accounts.sign_in_by_link(site, accounts.link_for(site, email))
    accounts.set_password(site, session, "another good one", revoke_tokens=is_wanted)
    assert (tokens.who(site, key) is None) is is_wanted
    key = tokens.make(site, account.id, name="notebook")
    accounts.sign_out_everywhere(site, account.id, revoke_tokens=is_wanted)
    assert (tokens.who(site, key) is None) is is_wanted


def test_T17_an_account_that_is_given_to_its_address_is_closed_to_whoever_made_it(site: Site) -> None:
    """Somebody registered an address that is not theirs, before its owner came."""
    email, session = owner(site)
    key = tokens.make(site, who(site, session).id, name="back door")
    unused = accounts.create_owner(site, email)
    given = accounts.give(site, email.upper())
    assert (given.is_new, given.n_tokens) == (False, 1)
    assert accounts.who(site, session) is None and tokens.who(site, key) is None
    assert not accounts.link_is_good(site, unused)
    with pytest.raises(Forbidden):
        accounts.sign_in_by_password(site, email, PASSWORD)
    assert who(site, accounts.sign_in_by_link(site, given.token)).email == email
    fresh = accounts.give(site, address())
    assert (fresh.is_new, fresh.n_tokens) == (True, 0)


def ask_both(site: Site, session: str, new: str, current: str = "") -> tuple[str, str]:
    """The links in the letters to the old and the new address."""
    letters: list[str] = []

    def write(token: str, old: str, new: str) -> tuple[str, str]:
        letters.append(token)
        return f"{old} {new}", token

    accounts.ask_new_address(site, session, new, write, current)
    return letters[0], letters[1]


@pytest.mark.parametrize("first", [0, 1], ids=["old first", "new first"])
def test_T17_an_address_changes_once_the_old_and_the_new_have_said_yes(site: Site, first: int) -> None:
    email, session = owner(site)
    new = address()
    links = ask_both(site, session, new, PASSWORD)
    with site.db.connection() as connection:
        rows = connection.execute("SELECT recipient, body FROM mail ORDER BY id").fetchall()
    assert rows == [(email, links[0]), (new, links[1])]
    assert accounts.address_change(site, links[first]) == new  # looking does not spend it
    assert accounts.confirm_address(site, links[first]) is False
    assert who(site, session).email == email
    with pytest.raises(Forbidden):
        accounts.confirm_address(site, links[first])
    assert accounts.confirm_address(site, links[1 - first]) is True
    assert who(site, session).email == new
    accounts.sign_in_by_password(site, new, PASSWORD)


def test_T17_of_two_at_once_one_completes_the_change_of_address(site: Site) -> None:
    _, session = owner(site)
    new = address()
    links = ask_both(site, session, new, PASSWORD)
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(lambda link: accounts.confirm_address(site, link), links)) == [False, True]
    assert who(site, session).email == new


def test_T17_an_address_that_is_another_s_meanwhile_is_not_taken(site: Site) -> None:
    email, session = owner(site)
    taken, new = owner(site)[0], address()
    with pytest.raises(Conflict):
        ask_both(site, session, taken, PASSWORD)
    former = ask_both(site, session, address(), PASSWORD)
    links = ask_both(site, session, new, PASSWORD)
    assert accounts.address_change(site, former[0]) is None  # the last request counts
    owner(site, new)
    accounts.confirm_address(site, links[0])
    with pytest.raises(Conflict):
        accounts.confirm_address(site, links[1])
    assert who(site, session).email == email
    accounts.set_address(site, email, address())  # by an operator's word
    assert who(site, session).email != email


def test_T39_logs_keep_the_address_as_it_was(site: Site) -> None:
    email, session = owner(site)
    of = builders.project(site, account_id=who(site, session).id)
    with site.db.connection() as connection:
        audit.note(connection, who(site, session).id, of.id, "project.pause")
    accounts.set_address(site, email, address())
    assert {entry.email for entry in audit.page(site, of.id, None, 9)} == {email}
    assert email in audit.people(site, of.id)


def test_T23_a_forgotten_password_is_replaced_by_mail_and_strangers_learn_nothing(site: Site) -> None:
    email, old = owner(site)
    visitor = f"2001:db8:{uuid.uuid4().hex[:4]}::1"
    letters: list[str] = []

    def write(token: str) -> tuple[str, str]:
        letters.append(token)
        return "Back", token

    for given in (email.upper(), address()):
        accounts.send_link(site, given, write, address=visitor)
    assert len(letters) == 1
    with site.db.connection() as connection:
        rows = connection.execute("SELECT recipient, body FROM mail").fetchall()
    assert rows == [(email, letters[0])]  # to the address as the account has it
    session = accounts.sign_in_by_link(site, letters[0])
    accounts.set_password(site, session, "another good one")
    assert accounts.who(site, old) is None
    for _ in range(2):
        accounts.send_link(site, email, write)
    with pytest.raises(TooMany):
        accounts.send_link(site, email, write)
    with pytest.raises(InputError):
        accounts.send_link(site, "no address", write)


def test_accounts_are_disabled_enabled_and_deleted_and_one_operator_stays(site: Site) -> None:
    boss, session = owner(site)  # the first: an operator
    email, other = owner(site)
    with pytest.raises(Conflict):
        accounts.delete(site, boss)
    with pytest.raises(Conflict):
        accounts.set_operator(site, boss, is_operator=False)
    accounts.disable(site, email)
    assert accounts.who(site, other) is None
    with pytest.raises(Conflict):  # nobody who is shut out runs the site
        accounts.set_operator(site, email, is_operator=True)
    accounts.enable(site, email)
    accounts.set_operator(site, email, is_operator=True)
    accounts.set_operator(site, boss, is_operator=False)
    assert not who(site, session).is_operator
    listed = {row.account.email: row for row in accounts.listed(site)}
    assert listed[email].account.is_operator and listed[boss].n_projects == 0

    of = builders.project(site, account_id=who(site, session).id)
    (task,) = builders.tasks(site, of, 1)
    builders.answers(site, of, task, [builders.YES] * 3)
    with pytest.raises(Conflict, match=of.slug):
        accounts.delete(site, boss)
    decisions.record(site, of, task, who(site, session).id, "none")
    with site.db.connection() as connection:
        connection.execute("UPDATE project SET account_id = %s", (listed[email].account.id,))
    accounts.delete(site, boss)
    with pytest.raises(InputError):
        accounts.id_of(site, boss)
    with site.db.connection() as connection:
        rows = connection.execute("SELECT account_id, choice FROM expert_decision").fetchall()
    assert rows == [(None, "none")]


def test_T23_an_unknown_address_says_and_costs_the_same(site: Site) -> None:
    def try_one(email: str) -> tuple[float, str]:
        began = time.process_time()
        with pytest.raises(Forbidden) as refused:
            accounts.sign_in_by_password(site, email, "not the password")
        return time.process_time() - began, refused.value.message

    known = [owner(site)[0] for _ in range(2)]
    try_one(address())  # the first makes the hash to work on
    by_known = [try_one(known[n % 2]) for n in range(5)]
    by_unknown = [try_one(address()) for _ in range(5)]
    assert {said for _, said in by_known} == {said for _, said in by_unknown}
    # Work, not wall clock: without the dummy hash the ratio is far below a half.
    ratio = statistics.median(t for t, _ in by_unknown) / statistics.median(t for t, _ in by_known)
    assert 0.5 < ratio < 2


def test_lifetimes_come_from_the_settings(site: Site) -> None:
    accounts.sign_in_by_link(site, accounts.create_owner(site, address()))
    accounts.create_owner(site, address())
    with site.db.connection() as connection:
        row = connection.execute(
            "SELECT (SELECT max(expires_at - now()) FROM owner_session),"
            " (SELECT max(expires_at - now()) FROM signin_link)"
        ).fetchone()
    assert row is not None
    assert abs(row[0] - timedelta(days=site.settings.session_days)) < timedelta(minutes=1)
    assert abs(row[1] - timedelta(minutes=site.settings.signin_link_minutes)) < timedelta(minutes=1)


def test_T25_the_3000_most_common_passwords_of_that_length_are_refused() -> None:
    common = accounts._common()
    assert len(common) >= 3000
    assert all(len(word) >= accounts.PASSWORD_MIN for word in common)
    for word in ("password", "Football", "1qaz2wsx", "qwertyuiop", "microtasks", *sorted(common)[::100]):
        with pytest.raises(InputError):
            accounts.check_password(word)
    accounts.check_password("seven grey herons")
