"""Pages of people, invitations, tokens and the log, as each of them sees them."""

from __future__ import annotations

import re
import uuid

import builders
from flask import Flask
from people import Person, owner

from microtasks.engine.accounts import members as engine
from microtasks.engine.site import Site

PASSWORD = "seven grey herons"


def address() -> str:
    return f"{uuid.uuid4().hex}@example.org"


def link(page: str) -> str:
    found = re.search(r'value="https?://[^/"]+(/owner/invitation/[^"]+)"', page)
    assert found is not None
    return found[1]


def letter(site: Site, email: str, begin: str) -> str:
    """The path of the link in the last letter to that address."""
    with site.db.connection() as connection:
        row = connection.execute(
            "SELECT body FROM mail WHERE recipient = %s ORDER BY id DESC LIMIT 1", (email,)
        ).fetchone()
    assert row is not None
    matched = re.search(rf"{begin}[\w-]+", row[0])
    assert matched is not None
    return matched[0]


def test_a_stranger_comes_in_by_a_link_and_sees_what_a_reviewer_may(app: Flask, site: Site) -> None:
    ada, ada_id = owner(app, site, "ada@example.org")
    of = builders.project(site, account_id=ada_id)
    (task,) = builders.tasks(site, of, 1)
    builders.answers(site, of, task, [builders.YES] * 3)
    base = f"/owner/projects/{of.slug}"
    made = ada.post(f"{base}/people", {"role": "reviewer", "note": "Ben <b>of</b> Bath"})
    path = link(made.text)
    assert "Ben &lt;b&gt;of&lt;/b&gt; Bath" in made.text
    assert path not in ada.get(f"{base}/people").text  # shown once

    ben, email = Person(app), address()
    assert "As a reviewer" in ben.get(path).text
    assert ben.post(path, {"email": "ada@example.org"}).status_code == 409
    asked = ben.post(path, {"email": email})
    assert asked.status_code == 200 and "on its way" in asked.text
    proof = letter(site, email, "/owner/join/")
    assert email in ben.get(proof).text
    form = {"password": PASSWORD, "again": "another"}
    assert "not the same" in ben.post(proof, form).text
    joined = ben.post(proof, form | {"again": PASSWORD})
    assert joined.status_code == 303 and joined.location == base
    assert ben.get(path).status_code == 403  # it is spent

    page = ben.get(base).text
    assert f"{base}/edit" not in page and f"{base}/upload" not in page and "Pause" not in page
    assert "Keep the decision" in ben.get(f"/research/{of.slug}/tasks/{task}").text
    seen = ben.get(f"{base}/people").text
    assert "Invite somebody" not in seen and "Leave the project" in seen and "Who changed what" not in seen
    assert "Project" in ben.get("/owner/").text
    refused = ben.get(f"{base}/edit")
    assert refused.status_code == 403 and "reviewer" in refused.text and "collaborator" in refused.text

    assert ben.post(f"{base}/leave").status_code == 303
    assert ben.get(base).status_code == 404


def test_who_has_an_account_signs_in_and_comes_back_to_the_invitation(app: Flask, site: Site) -> None:
    _, ada_id = owner(app, site, "ada@example.org")
    of = builders.project(site, account_id=ada_id)
    path = f"/owner/invitation/{engine.invite(site, of.id, ada_id, 'researcher')}"
    stranger = Person(app)
    assert f"next={path}" in stranger.get(path).text
    assert f'value="{path}"' in stranger.get(f"/owner/sign-in?next={path}").text
    ben, _ = owner(app, site, "ben@example.org")
    assert "signed in as ben@example.org" in ben.get(path).text
    assert ben.get(f"/owner/projects/{of.slug}").status_code == 404  # looking is not joining
    assert ben.post(path).status_code == 303
    page = ben.get(f"/research/{of.slug}/tasks").text
    assert "Explore" in page


def test_the_owner_changes_roles_hands_over_and_cannot_just_leave(app: Flask, site: Site) -> None:
    ada, ada_id = owner(app, site, "ada@example.org")
    ben, ben_id = owner(app, site, "ben@example.org")
    of = builders.project(site, account_id=ada_id)
    builders.member(site, of, ben_id, "researcher")
    base = f"/owner/projects/{of.slug}"
    assert ada.post(f"{base}/leave").status_code == 303
    assert "Hand the project over" in ada.get(f"{base}/people").text
    ada.post(f"{base}/people/{ben_id}", {"step": "role", "role": "collaborator"})
    assert ben.get(f"{base}/edit").status_code == 200
    ada.post(f"{base}/people/{ben_id}", {"step": "transfer"})
    assert ada.get(f"{base}/audit").status_code == 403
    log = ben.get(f"{base}/audit").text
    assert "handed the project over" in log and "changed a role" in log
    ben.post(f"{base}/people/{ada_id}", {"step": "remove"})
    assert ada.get(base).status_code == 404


def test_the_log_is_filtered_and_downloaded(app: Flask, site: Site) -> None:
    ada, _ = owner(app, site, "ada@example.org")
    form = {"save": "1", "name": "Dunes", "config.tags.0.label": "Dunes"}
    base = ada.post("/owner/new/tagging", form).location.removesuffix("/upload")
    ada.post(f"{base}/edit", form | {"name": "<b>Old</b> dunes"})
    page = ada.get(f"{base}/audit").text
    assert "made the project" in page and "&lt;b&gt;Old&lt;/b&gt; dunes" in page
    assert "changed settings" not in ada.get(f"{base}/audit?action=people").text
    file = ada.get(f"{base}/audit.csv?action=project.update")
    assert file.mimetype == "text/csv" and len(file.text.splitlines()) == 2
    assert ada.get(f"{base}/audit?after=x").status_code == 400


def test_a_token_is_shown_once_and_revoked(app: Flask, site: Site) -> None:
    ada, _ = owner(app, site, "ada@example.org")
    page = ada.post("/owner/tokens", {"name": "my <notebook>", "scope": "read"}).text
    found = re.search(r'value="(mt_[^"]+)"', page)
    assert found is not None
    again = ada.get("/owner/tokens").text
    assert found[1] not in again and "my &lt;notebook&gt;" in again
    number = re.search(r'action="(/owner/tokens/\d+)"', again)
    assert number is not None
    assert ada.post(number[1]).status_code == 303
    assert "my &lt;notebook&gt;" not in ada.get("/owner/tokens").text


def test_the_address_changes_for_who_knows_the_password(app: Flask, site: Site) -> None:
    ada, _ = owner(app, site, email := address())
    owner(app, site, "ben@example.org")
    new = address()
    for wrong in ("", "no address", "Ben@example.org"):
        assert ada.post("/owner/account/email", {"email": wrong}).status_code == 400
    assert ada.post("/owner/account/email", {"email": new}).status_code == 303
    assert new not in ada.get("/owner/account").text  # both are asked first
    stranger = Person(app)
    for recipient, sentence in ((new, "the other address"), (email, "is changed")):
        path = letter(site, recipient, "/owner/address/")
        assert new in stranger.get(path).text
        assert sentence in stranger.post(path).text
        assert stranger.get(path).status_code == stranger.post(path).status_code == 403
    assert new in ada.get("/owner/account").text
    ada.post("/owner/account/password", {"password": PASSWORD, "again": PASSWORD})
    other = Person(app)
    assert other.post("/owner/sign-in", {"email": email, "password": PASSWORD}).status_code == 403
    assert other.post("/owner/sign-in", {"email": new, "password": PASSWORD}).status_code == 303
    assert (
        other.post("/owner/account/email", {"email": email}).status_code == 400
    )  # not by a link: the password
    assert other.post("/owner/account/email", {"email": email, "current": PASSWORD}).status_code == 303
