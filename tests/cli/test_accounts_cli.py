"""`microtasks owner`: an operator's power over accounts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from click.testing import Result

from microtasks.engine.accounts import accounts, tokens
from microtasks.engine.site import Site

Cli = Callable[..., Result]


def test_T17_create_for_an_account_that_exists_says_so_and_closes_it_to_whoever_has_it(
    site: Site, cli: Cli
) -> None:
    first = cli("owner", "create", "boss@example.org")
    assert "already" not in first.stderr
    session = accounts.sign_in_by_link(site, first.stdout.strip().rpartition("/")[2])
    key = tokens.make(site, accounts.id_of(site, "boss@example.org"), name="back door")
    second = cli("owner", "create", "Boss@example.org")
    assert second.exit_code == 0 and re.fullmatch(r"http://\S+/owner/sign-in/\S+\n", second.stdout)
    assert "already" in second.stderr and "1 API token" in second.stderr
    assert accounts.who(site, session) is None and tokens.who(site, key) is None


def test_one_more_link_changes_nothing_else(site: Site, cli: Cli) -> None:
    made = cli("owner", "create", "ada@example.org")
    session = accounts.sign_in_by_link(site, made.stdout.strip().rpartition("/")[2])
    more = cli("owner", "link", "ada@example.org")
    assert accounts.sign_in_by_link(site, more.stdout.strip().rpartition("/")[2])
    assert accounts.who(site, session) is not None
    assert cli("owner", "link", "ben@example.org").exit_code == 1


def test_accounts_are_listed_and_changed(cli: Cli) -> None:
    for name in ("boss", "ada"):
        cli("owner", "create", f"{name}@example.org")
    assert cli("owner", "delete", "boss@example.org", "--yes").exit_code == 1  # the only operator
    assert cli("owner", "operator", "ada@example.org").exit_code == 0
    assert cli("owner", "disable", "boss@example.org").exit_code == 0
    facts = {it["email"]: it for it in json.loads(cli("owner", "list", "--json").stdout)}
    assert facts["boss@example.org"]["is_disabled"] and facts["ada@example.org"]["is_operator"]
    head, *lines = cli("owner", "list").stdout.splitlines()
    assert head.split("\t")[:3] == ["email", "operator", "disabled"]
    assert [line.split("\t")[:3] for line in lines] == [
        ["ada@example.org", "yes", "no"],
        ["boss@example.org", "yes", "yes"],
    ]
    assert cli("owner", "enable", "boss@example.org").exit_code == 0
    assert cli("owner", "delete", "boss@example.org", stdin="n\n").exit_code == 1
    assert cli("owner", "delete", "boss@example.org", "--yes").exit_code == 0
    assert [it["email"] for it in json.loads(cli("owner", "list", "--json").stdout)] == ["ada@example.org"]
