"""Pages about the site itself: true of this site, and open to crawlers where they should be."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import builders
import pytest
from flask import Flask
from flask.testing import FlaskClient

from microtasks.engine.projects import projects as use_cases
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings
from microtasks.web import create_app

PAGES = ("/about", "/privacy", "/accessibility")


@pytest.fixture
def public_site(settings: Settings) -> Iterator[Site]:
    """A site with an address of its own, an operator and somebody to write to."""
    named = settings.model_copy(
        update={
            "base_url": "https://tasks.example.org",
            "operator": "Museum of <Maps>",
            "contact": "hello@example.org",
        }
    )
    site = open_site(named)
    yield site
    site.close()


@pytest.fixture
def cy(public_site: Site) -> FlaskClient:
    return create_app(site=public_site).test_client()


def get(client: FlaskClient, path: str, language: str = "en") -> str:
    response = client.get(path, headers={"Host": "tasks.example.org", "Accept-Language": language})
    assert response.status_code == 200, path
    return response.get_data(as_text=True)


@pytest.mark.parametrize("path", PAGES)
def test_pages_about_the_site_name_who_runs_it_and_escape_it(cy: FlaskClient, path: str) -> None:
    page = get(cy, path)
    assert "hello@example.org" in page and 'href="mailto:hello@example.org"' in page
    assert "<Maps>" not in page


@pytest.mark.parametrize("path", PAGES)
def test_pages_about_the_site_are_in_the_readers_language(cy: FlaskClient, path: str) -> None:
    page = get(cy, path, "ar")
    assert 'dir="rtl"' in page
    main = page[page.index("<main") : page.index("</main>")]
    english = {"the", "and", "you", "your", "is", "are", "not"} & set(main.lower().split())
    assert not english


def test_privacy_says_what_the_settings_say(app: Flask, settings: Settings) -> None:
    assert "This site sends no mail at present." in app.test_client().get("/privacy").get_data(as_text=True)
    mail = {
        "smtp_url": type(settings.smtp_url)("smtp://mail:25"),
        "mail_from": "tasks@example.org",
        "base_url": "http://localhost",
    }
    site = open_site(settings.model_copy(update=mail))
    try:
        page = create_app(site=site).test_client().get("/privacy").get_data(as_text=True)
    finally:
        site.close()
    assert "mail server of this site" in page and "sends no mail" not in page


def test_the_way_to_my_work_and_to_being_forgotten_is_on_each_page_once_i_answered(
    cy: FlaskClient, public_site: Site
) -> None:
    project = builders.project(public_site)
    builders.tasks(public_site, project, 1)
    assert "/me#forget" not in get(cy, "/")
    get(cy, f"/p/{project.slug}/work")
    for path in ("/", f"/p/{project.slug}", *PAGES):
        assert 'href="/me"' in get(cy, path) and 'href="/me#forget"' in get(cy, path)


def test_the_sitemap_lists_public_projects_by_the_public_address_and_no_other(
    cy: FlaskClient, public_site: Site
) -> None:
    open_one = builders.project(public_site)
    draft = builders.project(public_site, state="draft")
    paused = builders.project(public_site)
    use_cases.pause(public_site, paused.id)
    tree = ElementTree.fromstring(get(cy, "/sitemap.xml"))  # noqa: S314
    places = [element.text for element in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert f"https://tasks.example.org/p/{open_one.slug}" in places
    assert all(place and place.startswith("https://tasks.example.org/") for place in places)
    assert not [place for place in places if draft.slug in str(place) or paused.slug in str(place)]
    assert "Sitemap: https://tasks.example.org/sitemap.xml" in get(cy, "/robots.txt")


def test_a_shared_link_shows_the_project_by_absolute_addresses(cy: FlaskClient, public_site: Site) -> None:
    project = builders.project(public_site)
    page = get(cy, f"/p/{project.slug}")
    assert f'<meta property="og:url" content="https://tasks.example.org/p/{project.slug}">' in page
    assert '<meta property="og:title"' in page


@pytest.mark.parametrize("contact", ["javascript:alert(1)", "http://x.example", "a b@c", 'x"@y'])
def test_a_contact_that_is_no_address_is_refused_at_start(contact: str) -> None:
    with pytest.raises(ValueError, match="contact"):
        Settings(contact=contact)
