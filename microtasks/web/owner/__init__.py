"""The owner's pages: signing in, projects, uploads. A project that is not theirs does not exist for them."""

from microtasks.web.owner import (
    batches,
    dashboard,
    mail,
    packages,
    people,
    projects,
    quality,
    setup,
    signin,
    tokens,
    translations,
    tutorial,
)
from microtasks.web.owner.frame import blueprint

__all__ = [
    "batches",
    "blueprint",
    "dashboard",
    "mail",
    "packages",
    "people",
    "projects",
    "quality",
    "setup",
    "signin",
    "tokens",
    "translations",
    "tutorial",
]
