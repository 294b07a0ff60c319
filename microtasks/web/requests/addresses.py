"""Addresses of this site as they work from outside."""

from __future__ import annotations

from flask import request as http

from microtasks.core.errors import Unavailable
from microtasks.settings import is_private
from microtasks.web.request import current_site
from microtasks.web.requests.guards import host_name


def absolute(path: str) -> str:
    """An address that works from outside. Never made from what a request says its host is, in public."""
    base = current_site().settings.base_url or http.host_url
    return base.rstrip("/") + path


def for_letter(path: str) -> str:
    """The same for a letter: who asks for it must not choose the address in it. Errors: Unavailable.

    Without a public address in the settings only one of this machine or its own network will do.
    """
    settings = current_site().settings
    if not settings.base_url and (settings.production or not is_private(host_name(http.host) or "")):
        raise Unavailable(
            "This site cannot write letters: its public address is not set (MICROTASKS_BASE_URL)."
        )
    return absolute(path)
