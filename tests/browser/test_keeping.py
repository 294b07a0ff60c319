"""Keeping one's work in a real browser: claim on one device, join on another; what axe says of the pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import builders
import pytest
import scene
from axe import faults
from playwright.sync_api import Page, expect
from visitors import DESKTOP, PHONE, Visitors

from microtasks.engine.accounts import mail
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site
from microtasks.engine.volunteers import teams

pytestmark = pytest.mark.browser


def rows(site: Site, query: str, *parameters: Any) -> list[Any]:
    with site.db.connection() as connection:
        return connection.execute(query, parameters).fetchall()


def letter(site: Site) -> tuple[str, str]:
    """(path of the link, code) of the last letter."""
    (text,) = rows(site, "SELECT body FROM mail ORDER BY id DESC LIMIT 1")[0]
    link, code = re.search(r"(/keep/\S+)", text), re.search(r": (\w{4}-\w{4})", text)
    assert link and code
    return link[1], code[1]


def answer(page: Page, n: int, *, script: bool) -> None:
    page.goto("/p/log/work")
    for _ in range(n):
        if script:
            page.wait_for_selector("body[data-ready]:not(:has(.fresh))")
        lease = page.locator("#work input[name=_lease]").input_value()
        page.get_by_role("button", name="Yes").click()
        expect(page.locator("#work input[name=_lease]")).not_to_have_value(lease)
    if script:
        page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('mt:out:'))")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_work_is_claimed_on_a_phone_and_joined_on_a_desktop(
    site: Site, visit: Callable[..., Page], script: bool
) -> None:
    scene.sentences(site, 6, redundancy=3)
    address = f"cy@{abs(hash(site.settings.data))}.org"
    phone = visit("/", **PHONE, java_script_enabled=script)
    answer(phone, 2, script=script)
    phone.goto("/p/log/thanks")
    phone.get_by_role("button", name="Good", exact=True).click()
    expect(phone.get_by_role("button", name="Good", exact=True)).to_have_attribute("aria-pressed", "true")
    phone.get_by_role("link", name="Keep my work").click()
    phone.get_by_label("E-mail address").fill(address)
    phone.get_by_role("button", name="Send me the link").click()
    expect(phone.get_by_role("heading")).to_have_text("Check your mail")
    phone.goto(letter(site)[0])
    expect(phone.locator("main")).to_contain_text("2 answers")
    phone.get_by_role("button", name="Yes, keep it").click()
    expect(phone.locator("main")).to_contain_text(address)

    desk = visit("/", java_script_enabled=script)
    answer(desk, 3, script=script)
    tab = desk.context.new_page()  # the task page stays open in the other tab
    tab.goto("/keep")
    tab.get_by_label("E-mail address").fill(address)
    tab.get_by_role("button", name="Send me the link").click()
    tab.get_by_label("Code").fill(letter(site)[1])
    tab.get_by_role("button", name="Keep my work").click()
    expect(tab.locator("main")).to_contain_text("devices together")
    # one person: who answered the same task on both counts once, and nothing is lost
    n_tasks = rows(site, "SELECT count(DISTINCT task_id) FROM answer")[0][0]
    expect(tab.locator(".stat").first).to_contain_text(f"{n_tasks}")
    assert rows(site, "SELECT count(*), count(DISTINCT task_id) FROM answer WHERE status = 'counted'") == [
        (n_tasks, n_tasks)
    ]
    assert rows(site, "SELECT count(*) FROM answer") == [(5,)]
    if script:  # a task that was handed out before, answered with the cookie of now
        lease = desk.locator("#work input[name=_lease]").input_value()
        desk.get_by_role("button", name="Yes").click()
        expect(desk.locator("#work input[name=_lease]")).not_to_have_value(lease)
        desk.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('mt:out:'))")
    assert rows(site, "SELECT count(DISTINCT contributor_id) FROM answer WHERE status = 'counted'") == [(1,)]
    phone.goto("/me")
    total = rows(site, "SELECT count(*) FROM answer WHERE status = 'counted'")[0][0]
    expect(phone.locator(".stat").first).to_contain_text(str(total))
    assert invariants.check(site) == []


@pytest.fixture
def everything(site: Site) -> dict[str, str]:
    """A site where all pages have something to show; their paths."""
    scene.sentences(site, 6, redundancy=3, shows_teams=True)
    account = builders.account(site)
    code = teams.create(site, "Class 7b", account_id=account)
    return {"team": f"/join/{code}"}


@pytest.mark.parametrize(
    ("language", "scheme", "screen"),
    [("en", "light", DESKTOP), ("ar", "dark", PHONE)],
    ids=["English-light-desktop", "Arabic-dark-phone"],
)
def test_axe_finds_nothing_on_what_a_volunteer_keeps(
    site: Site,
    visitors: Visitors,
    everything: dict[str, str],
    language: str,
    scheme: str,
    screen: dict[str, Any],
) -> None:
    visitors.expected = ("403", "404")
    page = visitors.open(**{**screen, "locale": "en"}, color_scheme=scheme)
    answer(page, 2, script=True)
    page.goto(f"/language/{language}")
    page.goto(everything["team"])
    page.locator("main form button").click()
    page.goto("/certificate")
    page.locator("#name").fill("محمد الأمين")
    page.locator("main form button").click()
    certificate = page.url
    page.goto("/keep")
    page.locator("#email").fill(f"cy@{abs(hash(site.settings.data))}.org")
    page.locator("main form button").click()
    found: list[str] = []

    def look(name: str) -> None:
        found.extend(f"{name} {fault}" for fault in faults(page))

    assert page.locator("html").get_attribute("dir") == ("rtl" if language == "ar" else "ltr")
    look("asked")
    link, _ = letter(site)
    for path in (link, "/keep/gone", "/keep", "/certificate", certificate, "/teams", everything["team"],
                 "/p/log/thanks", "/p/log", "/me"):  # fmt: skip
        page.goto(path)
        look(path)
    assert found == []


def test_axe_finds_nothing_on_mail_and_dashboard(
    site: Site, visitors: Visitors, everything: dict[str, str]
) -> None:
    from microtasks.engine.accounts import accounts

    with site.db.connection() as connection:
        mail.post(
            connection, "cy@example.org", "Keep your volunteer work", "Hello\nhttps://example.org/keep/x"
        )
    mail.send(site, rows(site, "SELECT id FROM mail")[0][0])
    token = accounts.create_owner(site, "boss@example.org", is_operator=True)
    page = visitors.open(f"/owner/sign-in/{token}")
    page.get_by_role("button", name="Sign in").click()
    for path in ("/owner/mail", "/owner/projects/log/dashboard"):
        page.goto(path)
        assert faults(page) == []
