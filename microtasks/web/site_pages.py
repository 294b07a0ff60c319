"""Pages about the site itself: about, privacy, accessibility; what crawlers may read, and the sitemap."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urljoin
from xml.sax.saxutils import escape

from flask import Blueprint, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue

from microtasks.store.operations.housekeeping import NETWORK_PERIOD_DAYS
from microtasks.store.projects import projects
from microtasks.web.request import CONTRIBUTOR_SECONDS, current_site, known_contributor

blueprint = Blueprint("site", __name__)

#: Each look at a task takes a seat for a while; the rest is nobody's business but the visitor's.
CLOSED = ("/start", "/p/*/work", "/p/*/thanks", "/p/*/last/", "/p/*/learn", "/language/", "/owner", "/api/")


@blueprint.get("/about")
def about() -> ResponseReturnValue:
    return render_template("volunteer/about.html")


@blueprint.get("/privacy")
def privacy() -> ResponseReturnValue:
    """What is stored about a volunteer, written from the settings in force."""
    return render_template(
        "volunteer/privacy.html",
        cookie_days=CONTRIBUTOR_SECONDS // 86400,
        network_days=NETWORK_PERIOD_DAYS,
        sends_mail=bool(current_site().settings.smtp_url.get_secret_value()),
        has_bucket=bool(current_site().settings.storage),
    )


@blueprint.get("/accessibility")
def accessibility() -> ResponseReturnValue:
    return render_template("volunteer/accessibility.html")


@blueprint.get("/robots.txt")
def robots() -> ResponseReturnValue:
    """Ask crawlers to leave tasks alone, and show them the sitemap."""
    lines = [
        "User-agent: *",
        *(f"Disallow: {path}" for path in CLOSED),
        "",
        f"Sitemap: {absolute('/sitemap.xml')}",
    ]
    return "\n".join(lines) + "\n", 200, {"Content-Type": "text/plain; charset=utf-8"}


@blueprint.get("/sitemap.xml")
def sitemap() -> ResponseReturnValue:
    """The pages that anybody may find: the home page, pages about the site, projects that take answers."""
    with current_site().db.session() as session:
        rows = [(project.slug, project.published_at) for project in projects.public(session)]
    entries: list[tuple[str, datetime | None]] = [("/", None)]
    entries += [(url_for(f"site.{name}"), None) for name in ("about", "privacy", "accessibility")]
    entries += [(url_for("volunteer.project", slug=slug), at) for slug, at in rows]
    urls = "".join(
        f"<url><loc>{escape(absolute(path))}</loc>"
        + (f"<lastmod>{at.astimezone(UTC):%Y-%m-%d}</lastmod>" if at else "")
        + "</url>"
        for path, at in entries
    )
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>\n'
    )
    return document, 200, {"Content-Type": "application/xml; charset=utf-8"}


@blueprint.app_template_global()
def absolute(path: str) -> str:
    """The address of a page as others know the site: by its public address where one is configured."""
    return urljoin(current_site().settings.base_url or http.url_root, path)


@blueprint.app_template_global()
def has_answered() -> bool:
    """Has this browser begun to answer? Then each page leads to its work, and to being forgotten."""
    return known_contributor() is not None


@blueprint.app_template_global()
def operator() -> tuple[str, str, str]:
    """Who runs the site, the address to write to, and its link; empty where the operator named none."""
    settings = current_site().settings
    is_page = settings.contact.startswith("https://")
    link = settings.contact if is_page or not settings.contact else f"mailto:{settings.contact}"
    return settings.operator, settings.contact, link
