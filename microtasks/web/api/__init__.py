"""The volunteer API, version 1: JSON over HTTP under /api/v1, described by itself at /api/v1/openapi.json."""

from microtasks.web.api.views import blueprint

__all__ = ["blueprint"]
