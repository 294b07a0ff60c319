"""The API's description of itself is whole and true."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from microtasks.engine.site import Site
from microtasks.web import create_app
from microtasks.web.api import openapi

DOCUMENT = openapi.document()


def test_every_api_route_is_in_the_document_and_nothing_else(site: Site) -> None:
    app = create_app(site=site)
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix("/api/v1")))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert documented == routes


def test_the_document_is_served(site: Site) -> None:
    reply = create_app(site=site).test_client().get("/api/v1/openapi.json")
    assert reply.status_code == 200
    assert reply.json == json.loads(json.dumps(DOCUMENT))


def test_the_document_has_the_form_of_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert set(DOCUMENT["info"]) >= {"title", "version"}
    ids = set()
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            assert method in {"get", "post"}
            ids.add(operation["operationId"])
            in_path = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
            assert ("requestBody" in operation) == (method == "post")
            for status, reply in operation["responses"].items():
                assert re.fullmatch(r"[2345]\d\d", status)
                assert reply["description"]
    assert len(ids) == len(openapi.OPERATIONS), "operation ids are unique"


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    references = list(_references(DOCUMENT))
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in schemas, reference
    used = {reference.rsplit("/", 1)[1] for reference in references}
    assert used == set(schemas), "no schema that nothing speaks of"


def test_request_schemas_forbid_what_they_do_not_name_and_carry_an_example() -> None:
    for operation in openapi.OPERATIONS:
        if operation.body is not None:
            schema = DOCUMENT["components"]["schemas"][operation.body.__name__]
            assert schema["additionalProperties"] is False
            for example in schema["examples"]:
                operation.body.model_validate(example)


def test_a_typed_client_can_send_any_value_and_takes_replies_with_more_fields() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for name in ("AnswerIn", "RevisionIn"):
        value = schemas[name]["properties"]["value"]
        assert set(value["type"]) == {"object", "null"} and value["additionalProperties"] is True
    for name, schema in schemas.items():
        if name.endswith("Out"):
            assert schema.get("additionalProperties", True) is True, name


@pytest.mark.parametrize("operation", openapi.OPERATIONS, ids=lambda operation: operation.id)
def test_each_error_reply_has_the_one_shape(operation: openapi.Operation) -> None:
    replies = DOCUMENT["paths"][operation.path][operation.method]["responses"]
    errors = {status: reply for status, reply in replies.items() if status >= "400"}
    assert errors
    for reply in errors.values():
        assert reply["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorOut"}


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for item in node.values():
            yield from _references(item)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)
