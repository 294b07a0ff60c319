"""Somebody is invited, joins with a new account, and sees what their role may. axe looks on."""

from __future__ import annotations

import re
from typing import Any

import pytest
import scene
from axe import faults
from playwright.sync_api import Page, expect
from visitors import DESKTOP, PHONE, Visitors

from microtasks.engine.accounts import accounts
from microtasks.engine.site import Site

pytestmark = pytest.mark.browser


def wanted(page: Page) -> None:
    assert faults(page) == []


@pytest.mark.parametrize("screen", [PHONE, DESKTOP | {"color_scheme": "dark"}], ids=["phone", "dark"])
def test_a_colleague_is_invited_joins_and_reviews(
    site: Site, visitors: Visitors, screen: dict[str, Any]
) -> None:
    made = scene.craters(site, 2)
    link = accounts.create_owner(site, "ada@example.org")
    with site.db.connection() as connection:
        connection.execute("UPDATE account SET is_operator = false")
        connection.execute("UPDATE project SET account_id = (SELECT min(id) FROM account)")
    ada = visitors.open(f"/owner/sign-in/{link}", **screen)
    ada.get_by_role("main").get_by_role("button", name="Sign in").click()
    ada.wait_for_url("**/owner/")
    ada.goto(f"/owner/projects/{made.slug}/people")
    wanted(ada)
    ada.get_by_label("Reviewer").check()
    ada.get_by_label("For whom").fill("Ben, from the museum")
    ada.get_by_role("button", name="Make a link").click()
    expect(ada.get_by_role("heading", name="The invitation is ready")).to_be_visible()
    wanted(ada)
    address = ada.get_by_label("Link", exact=True).input_value()

    ben = visitors.open(address.removeprefix(visitors.address), **screen)
    wanted(ben)
    ben.get_by_label("Email address").fill("ben@example.org")
    ben.get_by_role("button", name="Send me the link").click()
    expect(ben.get_by_role("heading", name="Please look at your mail")).to_be_visible()
    wanted(ben)
    with site.db.connection() as connection:
        row = connection.execute("SELECT body FROM mail WHERE recipient = 'ben@example.org'").fetchone()
    link = re.search(r"/owner/join/[\w-]+", str(row))
    assert link is not None
    ben.goto(link[0])
    wanted(ben)
    ben.get_by_label("Password").fill("seven grey herons")
    ben.get_by_label("The same once more").fill("seven grey herons")
    ben.get_by_role("button", name="Make an account and join").click()
    ben.wait_for_url(f"**/projects/{made.slug}")
    expect(ben.get_by_text("Welcome to the project.")).to_be_visible()
    expect(ben.get_by_role("link", name="Uploads")).to_have_count(0)
    wanted(ben)
    ben.goto(f"/owner/projects/{made.slug}/people")
    expect(ben.get_by_role("button", name="Leave the project")).to_be_visible()
    wanted(ben)

    ada.goto(f"/owner/projects/{made.slug}/people")
    ada.get_by_text("Change ben@example.org").click()
    ada.get_by_label("Role").select_option("collaborator")
    ada.get_by_role("button", name="Change the role").click()
    ada.get_by_text("Change ben@example.org").click()
    wanted(ada)
    ada.get_by_role("link", name="Who changed what").click()
    expect(ada.get_by_role("cell", name="changed a role")).to_be_visible()
    wanted(ada)

    ada.goto("/owner/account")
    wanted(ada)
    ada.get_by_role("link", name="See and make tokens").click()
    ada.get_by_label("What is it for?").fill("Notebook")
    ada.get_by_role("button", name="Make a token").click()
    expect(ada.get_by_label("Token", exact=True)).to_have_value(re.compile("^mt_"))
    wanted(ada)
    ada.get_by_role("button", name="Revoke").click()
    expect(ada.get_by_text("does not work any more")).to_be_visible()
    wanted(ada)
