"""One route of the API, as its description of itself tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. `problems`: error statuses besides those that its kind (read or write) always has.

    scope, role: what a token and its account need; "" where no token is wanted. mimes: what a reply that is
    no model may be. form: JSON schema of a form with files.
    """

    method: str
    path: str  # as OpenAPI writes it: /projects/{slug}
    id: str
    summary: str
    reply: type[BaseModel] | None
    body: type[BaseModel] | None = None
    problems: tuple[int, ...] = ()
    query: dict[str, dict[str, Any]] = field(default_factory=dict)
    path_parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    scope: str = ""
    role: str = ""
    mimes: tuple[str, ...] = ("application/json",)
    form: dict[str, Any] | None = None
    example: Any = None
    status: str = "200"
