"""The API's description of itself: OpenAPI 3.1, made from the models and one table of operations."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from microtasks import __version__
from microtasks.web.api import models
from microtasks.web.api.operation import Operation
from microtasks.web.api.token_operations import TOKEN

REF = "#/components/schemas/{model}"

PROBLEMS = {
    304: "Not modified: the ETag you sent still holds.",
    400: "The request cannot be used; `details` says where and why.",
    401: "The API token is missing, wrong, old or revoked.",
    403: "Not from this site's own pages, or not allowed.",
    404: "There is nothing by that name.",
    409: "Something is in the way now: not ready, archived, too many.",
    413: "The body is too large.",
    415: "The body is not sent as application/json.",
    429: "Too many requests: wait as long as Retry-After says.",
    503: "A server we depend on does not answer: try again after Retry-After.",
}
READ = (503,)
WRITE = (400, 403, 413, 415, 429, 503)


VOLUNTEER = (
    Operation(
        "get",
        "/projects",
        "listProjects",
        "Projects that take answers now",
        models.ProjectsOut,
        problems=(304,),
    ),
    Operation(
        "get",
        "/projects/{slug}",
        "getProject",
        "One project: facts and progress",
        models.ProjectOut,
        problems=(304, 404),
    ),
    Operation(
        "post",
        "/projects/{slug}/leases",
        "leaseTasks",
        "Be handed tasks",
        models.LeasesOut,
        models.LeasesIn,
        problems=(404,),
    ),
    Operation(
        "post",
        "/leases",
        "leaseAnyTasks",
        "Be handed tasks of whatever project needs help",
        models.LeasesOut,
        models.AnyLeasesIn,
    ),
    Operation(
        "post",
        "/answers",
        "sendAnswers",
        "Send answers, and be handed the next tasks",
        models.AnswersOut,
        models.AnswersIn,
    ),
    Operation(
        "post",
        "/reports",
        "reportTask",
        "Tell the owner that something is wrong with a task",
        models.ReportOut,
        models.ReportIn,
        problems=(404,),
    ),
    Operation(
        "post",
        "/revisions",
        "reviseAnswer",
        "Correct an answer of your own",
        models.ReceiptOut,
        models.RevisionIn,
        problems=(404,),
    ),
    Operation(
        "post",
        "/feedback",
        "tellFeedback",
        "Be told how your own answers turned out",
        models.FeedbackOut,
        models.FeedbackIn,
    ),
    Operation(
        "get",
        "/projects/{slug}/recent",
        "recentAnswers",
        "Your own last answers in a project",
        models.RecentOut,
        problems=(400, 404),
        query={"limit": {"type": "integer", "minimum": 1, "maximum": 20, "default": 3}},
    ),
    Operation("get", "/openapi.json", "openapi", "This document", None, problems=(304,)),
)

#: Every route of the API.
OPERATIONS = (*VOLUNTEER, *TOKEN)

DESCRIPTION = """\
Help with projects from a program of your own. No account and no key: the first reply sets a cookie, and \
whoever keeps it is one contributor. Each task is handed out with a lease that keeps a seat for you until it \
expires; an answer sent before that counts. Sending the same answer again changes nothing. Replies may gain \
fields and kinds one day: ignore what you do not know.

What lies under /my is for owners and researchers: it wants an API token (Authorization: Bearer mt_...), \
made on the page Account, API tokens. Lists are read a page at a time: as long as `next` is not null, ask \
again with after=next."""


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    used: list[type[BaseModel]] = [models.ErrorOut]
    for operation in OPERATIONS:
        used += [model for model in (operation.body, operation.reply) if model is not None]
    schemas_of: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in used if issubclass(model, models.In)),
        *((model, "serialization") for model in used if issubclass(model, models.Out)),
    ]
    _, schemas = models_json_schema(schemas_of, ref_template=REF)
    for name, schema in schemas["$defs"].items():
        if name.endswith("Out"):
            _open(schema)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "microtasks",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"contributor": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "contributor": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "mt",
                    "description": "Set with the first reply (__Host-mt where the site is served by https).",
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token: mt_ and 43 characters. Scopes: read, import, manage.",
                },
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    statuses = sorted({*operation.problems, *(WRITE if operation.method == "post" else READ)})
    content = (
        _json(operation.reply)
        if operation.reply
        else {mime: {"schema": _any(mime)} for mime in operation.mimes}
    )
    if operation.example is not None:
        content["application/json"]["example"] = operation.example
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": {operation.status: {"description": _first_line(operation.reply), "content": content}}
        | {str(status): _problem(status) for status in statuses},
    }
    parameters = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in operation.query.items()
    ]
    if "{slug}" in operation.path:
        parameters.insert(
            0,
            {
                "name": "slug",
                "in": "path",
                "required": True,
                "description": "The project's short name, as in its address.",
                "schema": {"type": "string"},
            },
        )
    parameters += [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in operation.path_parameters.items()
    ]
    if operation.scope:
        described["security"] = [{"token": []}]
        described["tags"] = ["With an API token"]
        described["description"] = f"Scope: {operation.scope}. Role in the project: {operation.role}."
    if parameters:
        described["parameters"] = parameters
    if operation.body:
        described["requestBody"] = {"required": True, "content": _json(operation.body)}
    elif operation.form:
        described["requestBody"] = {
            "required": True,
            "content": {"multipart/form-data": {"schema": operation.form}},
        }
    return described


def _open(schema: dict[str, Any]) -> None:
    """A reply may gain fields one day: a client that was made from this document must not refuse them."""
    schema["additionalProperties"] = True


def _problem(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {"description": PROBLEMS[status]}
    if status >= 400:
        described["content"] = _json(models.ErrorOut)
    if status in (429, 503):
        described["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return described


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REF.format(model=model.__name__)}}}


def _any(mime: str) -> dict[str, str]:
    return {"type": "object"} if mime == "application/json" else {"type": "string", "format": "binary"}


def _first_line(model: type[BaseModel] | None) -> str:
    return (model.__doc__ or "").strip().splitlines()[0] if model else "The document."
