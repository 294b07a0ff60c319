"""The owner's pages: signing in, projects, uploads. A project that is not theirs does not exist for them."""

from microtasks.web.owner.accounts import directory, mail, members, signin, tokens
from microtasks.web.owner.exports import packages
from microtasks.web.owner.frame import blueprint
from microtasks.web.owner.imports import batches
from microtasks.web.owner.projects import dashboard, projects, setup, translations
from microtasks.web.owner.results import quality
from microtasks.web.owner.volunteers import tutorial

__all__ = [
    "batches",
    "blueprint",
    "dashboard",
    "directory",
    "mail",
    "members",
    "packages",
    "projects",
    "quality",
    "setup",
    "signin",
    "tokens",
    "translations",
    "tutorial",
]
