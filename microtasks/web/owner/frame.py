"""What the owner's pages share: their blueprint, and the one helper that says whose project it is."""

from __future__ import annotations

import re
from typing import cast

from flask import Blueprint, Response, g
from flask import request as http

from microtasks.core.errors import InputError, NotFound, SignInRequired
from microtasks.store.accounts import members
from microtasks.store.accounts.members import Role
from microtasks.store.tables import Account, Project
from microtasks.web.request import account, current_site

blueprint = Blueprint("owner", __name__, url_prefix="/owner")

#: Rows of a table on one page.
PAGE = 50


def owner() -> Account:
    """Who is signed in; SignInRequired."""
    signed_in = account()
    if signed_in is None:
        raise SignInRequired
    return cast(Account, signed_in)


def operator_only() -> Account:
    """Who is signed in, if they run this site; for everybody else there is no such page (NotFound)."""
    who = owner()
    if not who.is_operator:
        raise NotFound
    return who


def mine(slug: str, role: Role = "owner") -> Project:
    """The project, for who has at least this role in it: researcher < reviewer < collaborator < owner.

    Errors: NotFound alike for foreign and unknown projects, Forbidden for a member whose role is too small.
    """
    who = owner()
    with current_site().db.session() as session:
        project, g.role = members.reached(session, who.id, who.is_operator, slug, role)
    return project


def may(role: Role) -> bool:
    """Does who is signed in have at least this role in the page's project?"""
    return "role" in g and members.is_enough(g.role, role)


def after() -> int:
    """The key that a page of a table begins behind (`?after=`); InputError for what is no number."""
    given = http.args.get("after", "0")
    if not re.fullmatch(r"[0-9]{1,18}", given):
        raise InputError("The page asked for does not exist.")
    return int(given)


def private(response: Response) -> Response:
    """Keep an owner's page out of caches, so that it is gone after signing out."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


blueprint.after_request(private)
blueprint.add_app_template_global(may)
