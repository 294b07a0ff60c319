"""The site's pages without a server, and an owner who is signed in."""

from __future__ import annotations

import pytest
from flask import Flask
from people import Person, owner

from microtasks.engine.site import Site
from microtasks.web import create_app


@pytest.fixture
def app(site: Site) -> Flask:
    return create_app(site=site)


@pytest.fixture
def ada(app: Flask, site: Site) -> Person:
    return owner(app, site, "ada@example.org")[0]
