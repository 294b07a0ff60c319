"""The site: Flask, one blueprint per audience. `create_app` is the only way to get one."""

from __future__ import annotations

import importlib

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings
from microtasks.web import assets, errors, presenters, request, texts
from microtasks.web.api import fastlane
from microtasks.web.requests import bodies, converters, guards

#: One module per audience; each has a `blueprint`.
BLUEPRINTS = (
    "health",
    "media",
    "site_pages",
    "volunteers.volunteer",
    "volunteers.me",
    "volunteers.tutorial",
    "volunteers.polls",
    "owner",
    "exports.download",
    "results.explorer",
    "api",
    "api.read",
)


def create_app(settings: Settings | None = None, site: Site | None = None) -> Flask:
    """Build the site. Nothing is connected until the first request needs it."""
    site = site or open_site(settings or Settings())
    settings = site.settings
    app = Flask(__name__, static_folder=None)  # assets.py serves them under their hash
    app.config.update(
        SECRET_KEY=settings.key("flask"),
        MAX_CONTENT_LENGTH=settings.max_form_bytes,
        MAX_FORM_MEMORY_SIZE=settings.max_form_bytes,
        MAX_FORM_PARTS=5_000,
        SESSION_COOKIE_NAME="mt_flash",
        SESSION_COOKIE_SECURE=settings.is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["microtasks"] = site
    converters.init_app(app)
    fastlane.init_app(app)
    guards.init_app(app)
    request.init_app(app)
    errors.init_app(app)
    texts.init_app(app)
    assets.init_app(app)
    presenters.init_app(app)
    for name in BLUEPRINTS:
        app.register_blueprint(importlib.import_module(f"{__name__}.{name}").blueprint)
    bodies.init_app(app)
    if n := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n)  # type: ignore[method-assign]
    return app
