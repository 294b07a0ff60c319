"""API tokens: as good as their account, their scope and their project, and no longer than they say."""

from __future__ import annotations

import builders
import pytest

from microtasks.core.errors import Conflict, Forbidden, InputError, NotFound
from microtasks.engine import audit
from microtasks.engine.accounts import accounts, tokens
from microtasks.engine.site import Site


def test_a_token_acts_for_its_account_within_its_scope(site: Site) -> None:
    ada = builders.account(site)
    token = tokens.make(site, ada, name="notebook", scope="import")
    bearer = tokens.who(site, token)
    assert bearer is not None
    assert (bearer.account_id, bearer.email, bearer.project_id) == (ada, "ada@example.org", None)
    assert [bearer.may(scope) for scope in tokens.SCOPES] == [True, True, False]


def test_only_its_hash_is_stored_and_its_day_of_use(site: Site) -> None:
    ada = builders.account(site)
    token = tokens.make(site, ada, name="notebook")
    assert token.startswith("mt_") and len(token) > 40
    assert tokens.listed(site, ada)[0][0].used_on is None
    tokens.who(site, token)
    with site.db.connection() as connection:
        (row,) = connection.execute("SELECT t::text, used_on = current_date FROM api_token t").fetchall()
        log = connection.execute("SELECT string_agg(a::text, '') FROM audit a").fetchone()
    assert token not in row[0] and token[3:] not in row[0] and row[1] is True
    assert log is not None and token[3:] not in log[0]


def test_what_is_wrong_old_revoked_or_of_a_disabled_account_is_nobody(site: Site) -> None:
    ada, ben = builders.account(site), builders.account(site, "ben@example.org")
    token = tokens.make(site, ada, name="one")
    for wrong in (
        "",
        "mt_",
        token[:-1],
        token + "x",
        token.removeprefix("mt_"),
        "mt_" + "x" * 5000,
        "mt_\x00",
    ):
        assert tokens.who(site, wrong) is None
    with site.db.connection() as connection:
        connection.execute("UPDATE api_token SET expires_at = now()")
    assert tokens.who(site, token) is None
    assert tokens.listed(site, ada) == []
    token = tokens.make(site, ada, name="two")
    ((row, _),) = tokens.listed(site, ada)
    with pytest.raises(NotFound):
        tokens.revoke(site, ben, row.id)
    assert tokens.who(site, token) is not None
    tokens.revoke(site, ada, row.id)
    assert tokens.who(site, token) is None
    token = tokens.make(site, ada, name="three")
    accounts.disable(site, "ada@example.org")
    assert tokens.who(site, token) is None


def test_a_token_reaches_what_both_account_and_token_reach(site: Site) -> None:
    ada, ben = builders.account(site), builders.account(site, "ben@example.org")
    hers, other, his = (builders.project(site, account_id=who) for who in (ada, ada, ben))
    builders.member(site, his, ada, "researcher")
    bearer = tokens.who(site, tokens.make(site, ada, name="all"))
    assert bearer is not None
    assert tokens.reached(site, bearer, hers.slug, "owner")[1] == "owner"
    assert tokens.reached(site, bearer, his.slug, "researcher")[1] == "researcher"
    with pytest.raises(Forbidden):
        tokens.reached(site, bearer, his.slug, "collaborator")
    bearer = tokens.who(site, tokens.make(site, ada, name="one", slug=hers.slug))
    assert bearer is not None
    assert tokens.reached(site, bearer, hers.slug, "owner")[1] == "owner"
    for slug in (other.slug, his.slug, "no-such-project"):
        with pytest.raises(NotFound):
            tokens.reached(site, bearer, slug, "researcher")
    with site.db.connection() as connection:  # who left a project has no token for it either
        connection.execute("DELETE FROM project_member")
    bearer = tokens.who(site, tokens.make(site, ada, name="all"))
    assert bearer is not None
    with pytest.raises(NotFound):
        tokens.reached(site, bearer, his.slug, "researcher")


def test_making_and_revoking_one_for_a_project_is_in_its_log(site: Site) -> None:
    ada = builders.account(site)
    of = builders.project(site, account_id=ada)
    tokens.make(site, ada, name="notebook", slug=of.slug)
    ((row, slug),) = tokens.listed(site, ada)
    assert slug == of.slug
    tokens.revoke(site, ada, row.id)
    assert [entry.action for entry in audit.page(site, of.id, None, 9)] == ["token.revoke", "token.make"]


def test_what_cannot_be_a_token_is_refused(site: Site) -> None:
    ada = builders.account(site)
    his = builders.project(site, account_id=builders.account(site, "ben@example.org"))
    for options in ({"name": ""}, {"name": "a\nb"}, {"name": "x", "scope": "all"}, {"name": "x", "days": 0}):
        with pytest.raises(InputError):
            tokens.make(site, ada, **options)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        tokens.make(site, ada, name="x", slug=his.slug)
    for n in range(tokens.TOKENS_MAX):
        tokens.make(site, ada, name=str(n))
    with pytest.raises(Conflict):
        tokens.make(site, ada, name="one more")
