"""Accounts as operators see them, the forgotten password, and what is told about API tokens."""

from __future__ import annotations

import re
import uuid

from flask import Flask
from people import Person, owner

from microtasks.engine.accounts import accounts, tokens
from microtasks.engine.site import Site

PASSWORD = {"password": "seven grey herons", "again": "seven grey herons"}


def address() -> str:
    return f"{uuid.uuid4().hex}@example.org"


def link(page: str) -> str:
    matched = re.search(r'value="https?://[^/"]+(/owner/sign-in/[^"]+)"', page)
    assert matched is not None
    return matched[1]


def test_an_operator_makes_disables_and_deletes_accounts(app: Flask, site: Site) -> None:
    boss, boss_id = owner(app, site, "boss@example.org", is_operator=True)
    made = boss.post("/owner/accounts", {"email": "<b>@example.org"})
    assert "&lt;b&gt;@example.org" in made.text and "<b>@" not in made.text
    assert boss.post("/owner/accounts", {"email": "BOSS@example.org"}).status_code == 409
    assert boss.post("/owner/accounts", {"email": "nobody"}).status_code == 400
    path = link(boss.post("/owner/accounts", {"email": "ada@example.org", "operator": "1"}).text)
    with site.db.connection() as connection:
        letters = connection.execute("SELECT body FROM mail WHERE recipient = 'ada@example.org'").fetchall()
    assert len(letters) == 1 and path in letters[0][0]
    ada = Person(app)
    assert ada.post(path).status_code == 303
    assert ada.get("/owner/accounts").status_code == 200
    ada_id = accounts.id_of(site, "ada@example.org")

    base = f"/owner/accounts/{ada_id}"
    assert boss.post(base, {"step": "end_operator"}).status_code == 303
    assert ada.get("/owner/accounts").status_code == 404
    assert boss.post(base, {"step": "disable"}).status_code == 303
    assert ada.get("/owner/").status_code == 302
    assert boss.post(base, {"step": "reset"}).status_code == 403  # of who is shut out
    assert boss.post(base, {"step": "enable"}).status_code == 303
    again = Person(app)
    assert again.post(link(boss.post(base, {"step": "reset"}).text)).status_code == 303
    assert boss.post(base, {"step": "delete", "address": "boss@example.org"}).status_code == 400
    assert boss.post(base, {"step": "delete", "address": "Ada@example.org "}).status_code == 303
    assert again.get("/owner/").status_code == 302
    assert boss.post(base, {"step": "disable"}).status_code == 404
    for step in ("disable", "reset", "delete"):
        mine = boss.post(f"/owner/accounts/{boss_id}", {"step": step, "address": "boss@example.org"})
        assert mine.status_code == 409
    assert boss.post(f"/owner/accounts/{boss_id}", {"step": "end_operator"}).status_code == 409
    assert boss.post(f"/owner/accounts/{boss_id}", {"step": "?"}).status_code == 400


def test_T23_a_forgotten_password_says_the_same_for_known_and_unknown(app: Flask, site: Site) -> None:
    email = address()
    owner(app, site, email)
    stranger = Person(app)
    pages = [stranger.post("/owner/forgotten", {"email": it}) for it in (email, address())]
    assert [page.status_code for page in pages] == [200, 200]
    plain = [re.sub(r'value="[^"]*"', "", page.text) for page in pages]
    assert plain[0] == plain[1] and email not in plain[0]
    assert stranger.post("/owner/forgotten", {"email": "nobody"}).status_code == 400
    with site.db.connection() as connection:
        ((recipient, body),) = connection.execute("SELECT recipient, body FROM mail").fetchall()
    matched = re.search(r"/owner/sign-in/\S+", body)
    assert recipient == email and matched is not None
    assert stranger.post(matched[0]).status_code == 303
    assert stranger.post("/owner/account/password", PASSWORD).status_code == 303


def test_T29_api_tokens_are_offered_for_revocation_and_told_of(app: Flask, site: Site) -> None:
    ada, ada_id = owner(app, site, address())
    assert "revoke_tokens" not in ada.get("/owner/account").text
    key = tokens.make(site, ada_id, name="notebook")
    assert ada.get("/owner/account").text.count('name="revoke_tokens" value="1" checked') == 2
    told = ada.client.post(
        "/owner/account/password", data={"csrf_token": ada.token(), **PASSWORD}, follow_redirects=True
    )
    assert "1 API token still works" in told.text and tokens.who(site, key)
    ada.post("/owner/account/sign-out-everywhere", {"revoke_tokens": "1"})
    assert tokens.who(site, key) is None


def test_T17_guesses_of_the_current_password_end_in_429(app: Flask, site: Site) -> None:
    email = address()
    ada, _ = owner(app, site, email)
    ada.post("/owner/account/password", PASSWORD)
    thief = Person(app)
    thief.post("/owner/sign-in", {"email": email, "password": PASSWORD["password"]})
    new = {"password": "another good one", "again": "another good one"}
    seen = [
        thief.post("/owner/account/password", new | {"current": f"guess {n}"}).status_code for n in range(12)
    ]
    assert seen == [400] * 10 + [429] * 2
