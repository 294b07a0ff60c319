"""Browsers of different people for tests of pages: nobody, a volunteer, owners, an operator."""

from __future__ import annotations

import re
from typing import Any

import builders
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from microtasks.engine.accounts import accounts
from microtasks.engine.site import Site

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


class Person:
    """One browser. `get(path)`, `post(path, data)`: with a good form token unless told otherwise."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token(), **(data or {})}, **options)

    def token(self) -> str:
        """A good form token of this browser, from a page that always has one."""
        page = self.client.get("/owner/account").text
        found = CSRF.search(page) or CSRF.search(self.client.get("/owner/sign-in").text)
        assert found is not None
        return found[1]


def owner(app: Flask, site: Site, email: str, *, is_operator: bool = False) -> tuple[Person, int]:
    """A signed-in owner and the id of the account."""
    token = accounts.create_owner(site, email, is_operator=is_operator)
    person = Person(app)
    answer = person.client.get(f"/owner/sign-in/{token}")
    found = CSRF.search(answer.text)
    assert found is not None
    answer = person.client.post(f"/owner/sign-in/{token}", data={"csrf_token": found[1]})
    assert answer.status_code == 303
    return person, builders.account(site, email)
