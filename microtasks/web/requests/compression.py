"""Compress pages and JSON: the site must be light also where no proxy stands in front of it."""

from __future__ import annotations

import gzip

from flask import Response
from flask import request as http

GZIP_FROM_BYTES = 1_000


def compress(response: Response) -> None:
    """Compress a page or JSON for who takes it so."""
    if response.mimetype not in ("text/html", "application/json") or response.is_streamed:
        return
    if http.method != "POST":  # nobody stores what a POST gets
        response.vary.add("Accept-Encoding")
    if "gzip" in http.environ.get("HTTP_ACCEPT_ENCODING", "") and "Content-Encoding" not in response.headers:
        body = response.get_data()
        if len(body) >= GZIP_FROM_BYTES:
            response.set_data(compressed(body))
            response.headers["Content-Encoding"] = "gzip"


def compressed(body: bytes) -> bytes:
    return gzip.compress(body, 5, mtime=0)
