"""Addresses of this site as they work from outside."""

from __future__ import annotations

from flask import request as http

from microtasks.web.request import current_site


def absolute(path: str) -> str:
    """An address that works from outside. Never made from what a request says its host is, in public."""
    base = current_site().settings.base_url or http.host_url
    return base.rstrip("/") + path
