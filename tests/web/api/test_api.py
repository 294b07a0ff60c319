"""The volunteer API: what it promises, what it refuses, and that nothing sent to it ends as a 500."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import builders
import pytest
from builders import NO, YES
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from werkzeug.test import TestResponse

from microtasks.engine.operations import invariants
from microtasks.engine.site import Site
from microtasks.web import create_app
from microtasks.web.api import models, openapi

API = "/api/v1"


class Volunteer:
    """A client that keeps cookies: one contributor."""

    def __init__(self, site: Site) -> None:
        self.http: FlaskClient = create_app(site=site).test_client()

    def post(self, path: str, body: object, **more: Any) -> TestResponse:
        return self.http.post(API + path, json=body, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.http.get(API + path, **more)

    def lease(self, slug: str, limit: int = 1) -> list[dict[str, Any]]:
        reply = self.post(f"/projects/{slug}/leases", {"limit": limit})
        assert reply.status_code == 200, reply.json
        return said(reply, models.LeasesOut)["leases"]

    def answer(self, *answers: dict[str, Any], next: int = 0) -> dict[str, Any]:
        reply = self.post("/answers", {"answers": list(answers), "next": next})
        assert reply.status_code == 200, reply.json
        return said(reply, models.AnswersOut)


def said(reply: TestResponse, model: type[BaseModel]) -> Any:
    """The reply, after holding it to the documented model: no field more, none less."""
    assert reply.mimetype == "application/json"
    model.model_validate_json(reply.data)
    return reply.json


def complaint(reply: TestResponse, status: int, code: str | None = None) -> dict[str, Any]:
    """The error, after checking its status and the one shape."""
    assert reply.status_code == status, reply.data
    error: dict[str, Any] = said(reply, models.ErrorOut)
    assert code is None or error["error"] == code
    assert error["message"]
    return error


def value(lease: dict[str, Any], said: dict[str, Any] = YES, **more: Any) -> dict[str, Any]:
    return {"lease": lease["lease"], "kind": "value", "value": said, **more}


@pytest.fixture
def project(site: Site) -> builders.ProjectRow:
    made = builders.project(site, redundancy=3)
    builders.tasks(site, made, 10)
    return made


@pytest.fixture
def cy(site: Site) -> Volunteer:
    return Volunteer(site)


@pytest.fixture(autouse=True)
def everything_holds(site: Site) -> Iterator[None]:
    """After each test the database keeps every invariant."""
    yield
    assert invariants.check(site) == []


def rows(site: Site, query: str, *parameters: Any) -> list[Any]:
    with site.db.connection() as connection:
        return connection.execute(query, parameters).fetchall()


# -- the loop -----------------------------------------------------------------------------------------


def test_a_lease_says_all_that_a_volunteer_needs(
    site: Site, project: builders.ProjectRow, cy: Volunteer
) -> None:
    [lease] = cy.lease(project.slug)
    assert set(lease) == {"lease", "expires_at", "task"}
    assert datetime.fromisoformat(lease["expires_at"]) > datetime.now(UTC)
    assert set(lease["task"]) == {"id", "type", "config", "payload", "media"}
    assert lease["task"]["type"] == "question"
    assert lease["task"]["config"]["fields"][0]["id"] == "answer"
    assert lease["task"]["payload"]["text"].startswith("Item")
    assert lease["task"]["media"] == []


def test_images_come_with_the_size_that_marks_are_given_in(site: Site, cy: Volunteer) -> None:
    made = builders.project(site, "marking")
    builders.tasks(site, made, 1, media_ids=[builders.media(site, 400, 300)])
    [image] = cy.lease(made.slug)[0]["task"]["media"]
    assert (image["width"], image["height"]) == (400, 300)
    assert image["url"].startswith("/media/")
    assert image["srcset"]


def test_leases_still_held_come_first(project: builders.ProjectRow, cy: Volunteer) -> None:
    first = cy.lease(project.slug, 2)
    again = cy.lease(project.slug, 3)
    assert [lease["task"]["id"] for lease in again][:2] == [lease["task"]["id"] for lease in first]
    assert len({lease["task"]["id"] for lease in again}) == 3


def test_the_cookie_is_the_contributor(site: Site, project: builders.ProjectRow, cy: Volunteer) -> None:
    [mine] = cy.lease(project.slug)
    [again] = cy.lease(project.slug)
    assert mine["task"]["id"] == again["task"]["id"]
    forgetful = Volunteer(site)
    for _ in range(2):
        forgetful.lease(project.slug)
        forgetful.http.delete_cookie("mt")
    assert rows(site, "SELECT count(DISTINCT contributor_id) FROM lease") == [(3,)]


def test_an_answer_brings_a_receipt_and_the_next_task(project: builders.ProjectRow, cy: Volunteer) -> None:
    [lease] = cy.lease(project.slug)
    reply = cy.answer(value(lease, seconds_spent=3.2), next=2)
    assert reply["receipts"] == [
        {"task": lease["task"]["id"], "status": "counted", "stored": "counted", "error": None}
    ]
    assert len(reply["leases"]) == 2
    assert lease["task"]["id"] not in {item["task"]["id"] for item in reply["leases"]}


def test_P04_the_same_answer_sent_again_is_a_duplicate_and_changes_nothing(
    site: Site, project: builders.ProjectRow, cy: Volunteer
) -> None:
    [lease] = cy.lease(project.slug)
    cy.answer(value(lease))
    before = rows(site, "SELECT * FROM answer")
    [receipt] = cy.answer(value(lease, YES))["receipts"]
    task = lease["task"]["id"]
    assert receipt == {"task": task, "status": "duplicate", "stored": "counted", "error": None}
    [receipt] = cy.answer(value(lease, NO))["receipts"]
    assert (receipt["status"], receipt["stored"]) == ("rejected", "counted")
    assert receipt["error"]["error"] == "already_answered"
    assert receipt["error"]["details"] == {"stored": {"status": "counted", "kind": "value", "value": YES}}
    assert rows(site, "SELECT * FROM answer") == before


def test_cant_tell_is_counted_and_a_skip_frees_the_seat(
    site: Site, project: builders.ProjectRow, cy: Volunteer
) -> None:
    one, other = cy.lease(project.slug, 2)
    reply = cy.answer({"lease": one["lease"], "kind": "cant_tell"}, {"lease": other["lease"], "kind": "skip"})
    assert [receipt["status"] for receipt in reply["receipts"]] == ["counted", "skipped"]
    assert rows(site, "SELECT task_id, kind FROM answer") == [(one["task"]["id"], "cant_tell")]
    assert rows(site, "SELECT n_leases FROM task WHERE id = %s", other["task"]["id"]) == [(0,)]


def test_one_rejected_answer_does_not_stop_the_others(project: builders.ProjectRow, cy: Volunteer) -> None:
    leases = cy.lease(project.slug, 5)
    reply = cy.answer(
        value(leases[0]),
        value(leases[1], {"answer": "perhaps"}),
        {"lease": "made-up", "kind": "value", "value": YES},
        {"lease": leases[2]["lease"], "kind": "banana", "value": YES},
        {"lease": leases[3]["lease"], "kind": "value"},
        value(leases[4]),
    )
    statuses = [receipt["status"] for receipt in reply["receipts"]]
    assert statuses == ["counted", "rejected", "rejected", "rejected", "rejected", "counted"]
    refused = reply["receipts"][1]["error"]
    assert refused["error"] == "answer_invalid"
    assert refused["details"]["problems"][0]["where"] == "answer"
    assert reply["receipts"][2]["task"] is None
    assert cy.answer(value(leases[1]))["receipts"][0]["status"] == "counted", "it may be put right"


def test_a_project_that_is_done_or_paused_says_so(site: Site, cy: Volunteer) -> None:
    done = builders.project(site, redundancy=1)
    builders.tasks(site, done, 1)
    cy.answer(value(cy.lease(done.slug)[0]))
    said = Volunteer(site).post(f"/projects/{done.slug}/leases", {}).json
    assert said == {"leases": [], "reason": "complete", "retry_after_s": None}
    paused = builders.project(site, state="paused")
    builders.tasks(site, paused, 1)
    said = cy.post(f"/projects/{paused.slug}/leases", {}).json
    assert said is not None
    assert (said["leases"], said["reason"]) == ([], "paused")


def test_nothing_is_left_for_whoever_answered_it_all(site: Site, cy: Volunteer) -> None:
    made = builders.project(site, redundancy=3)
    builders.tasks(site, made, 2)
    for lease in cy.lease(made.slug, 2):
        cy.answer(value(lease))
    said = cy.post(f"/projects/{made.slug}/leases", {"limit": 1}).json
    assert said is not None
    assert (said["leases"], said["reason"]) == ([], "none_for_you")
    assert said["retry_after_s"] > 0


# -- reports, revisions, own answers --------------------------------------------------------------------


def test_an_item_can_be_reported(site: Site, project: builders.ProjectRow, cy: Volunteer) -> None:
    [lease] = cy.lease(project.slug)
    reply = cy.post("/reports", {"lease": lease["lease"], "reason": "broken", "note": "black"})
    assert said(reply, models.ReportOut) == {"status": "reported"}
    assert rows(site, "SELECT task_id, reason, note FROM report") == [
        (lease["task"]["id"], "broken", "black")
    ]
    complaint(cy.post("/reports", {"lease": "x", "reason": "broken"}), 400, "lease_invalid")
    complaint(cy.post("/reports", {"lease": lease["lease"], "reason": "dull"}), 400, "invalid")


def test_T24_reports_have_a_limit_that_exempt_networks_do_not(
    project: builders.ProjectRow, cy: Volunteer, queue: object
) -> None:
    [lease] = cy.lease(project.slug)
    body = {"lease": lease["lease"], "reason": "other"}
    statuses = [
        cy.post("/reports", body, environ_base={"REMOTE_ADDR": "198.51.100.7"}).status_code for _ in range(61)
    ]
    assert statuses == [200] * 60 + [429]
    assert cy.post("/reports", body).status_code == 200, "the same person at home, on an exempt network"


def test_an_own_answer_can_be_corrected(site: Site, project: builders.ProjectRow, cy: Volunteer) -> None:
    [lease] = cy.lease(project.slug)
    cy.answer(value(lease, YES))
    own = said(cy.get(f"/projects/{project.slug}/recent"), models.RecentOut)["answers"]
    assert [(item["task"]["id"], item["value"]) for item in own] == [(lease["task"]["id"], YES)]
    reply = cy.post("/revisions", {"lease": own[0]["lease"], "kind": "value", "value": NO})
    assert said(reply, models.ReceiptOut)["status"] == "counted"
    assert rows(site, "SELECT value, revision FROM answer") == [(NO, 2)]
    complaint(
        cy.post("/revisions", {"lease": lease["lease"], "value": {"answer": "?"}}), 400, "answer_invalid"
    )
    [open_lease] = cy.lease(project.slug)
    complaint(cy.post("/revisions", {"lease": open_lease["lease"], "value": NO}), 404, "not_found")
    complaint(cy.get(f"/projects/{project.slug}/recent?limit=many"), 400, "invalid")
    complaint(cy.get("/projects/none-such/recent"), 404, "not_found")


# -- facts --------------------------------------------------------------------------------------------


def test_projects_are_listed_while_they_take_answers(
    site: Site, project: builders.ProjectRow, cy: Volunteer
) -> None:
    builders.project(site, state="draft")
    paused = builders.project(site, state="paused", published_at=datetime.now(UTC))
    listed = said(cy.get("/projects"), models.ProjectsOut)["projects"]
    assert [item["slug"] for item in listed] == [project.slug]
    assert said(cy.get(f"/projects/{paused.slug}"), models.ProjectOut)["state"] == "paused"


def test_progress_is_counted(site: Site, cy: Volunteer) -> None:
    made = builders.project(site, redundancy=2, published_at=datetime.now(UTC))
    builders.tasks(site, made, 3)
    cy.answer(value(cy.lease(made.slug)[0]))
    facts = said(cy.get(f"/projects/{made.slug}"), models.ProjectOut)
    assert facts["progress"] == {
        "tasks": 3,
        "retired": 0,
        "answers": 1,
        "answers_wanted": 6,
        "contributors": 1,
    }
    assert facts["type"] == "question"
    assert facts["redundancy"] == 2


def test_facts_are_sent_once_as_long_as_they_hold(site: Site, cy: Volunteer) -> None:
    made = builders.project(site, published_at=datetime.now(UTC))
    builders.tasks(site, made, 3)
    for path in ("/projects", f"/projects/{made.slug}", "/openapi.json"):
        first = cy.get(path)
        tag = first.headers["ETag"]
        again = cy.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
    cy.answer(value(cy.lease(made.slug)[0]))
    assert cy.get(f"/projects/{made.slug}", headers={"If-None-Match": tag}).status_code == 200


def test_reading_facts_makes_nobody_a_contributor(
    site: Site, project: builders.ProjectRow, cy: Volunteer
) -> None:
    for path in ("/projects", "/openapi.json"):
        assert "Set-Cookie" not in cy.get(path).headers


@pytest.mark.parametrize("state", ["draft", None])
def test_T41_a_draft_is_as_unknown_as_a_project_that_is_not_there(
    site: Site, cy: Volunteer, state: str | None
) -> None:
    slug = builders.project(site, state="draft").slug if state else "none-such"
    complaint(cy.get(f"/projects/{slug}"), 404, "not_found")
    complaint(cy.post(f"/projects/{slug}/leases", {}), 404, "not_found")


# -- gold ---------------------------------------------------------------------------------------------


def test_T33_nothing_tells_a_known_task_from_the_others(site: Site) -> None:
    made = builders.project(site, redundancy=3, gold_share=0.3)
    golds = [{"answer": "no"} if i % 3 == 0 else None for i in range(60)]
    ids = builders.tasks(site, made, 60, gold=golds)
    gold_ids = {task for task, gold in zip(ids, golds, strict=True) if gold}
    shapes: dict[bool, set[str]] = {True: set(), False: set()}
    receipts: dict[bool, set[str]] = {True: set(), False: set()}
    met: dict[bool, int] = {True: 0, False: 0}
    for _ in range(5):
        cy = Volunteer(site)
        leases = cy.lease(made.slug, 4)
        for _ in range(20):
            if not leases:
                break
            reply = cy.answer(value(leases[0], NO), next=4)
            is_gold = leases[0]["task"]["id"] in gold_ids
            met[is_gold] += 1
            shapes[is_gold].add(skeleton(leases[0]))
            receipts[is_gold].add(skeleton(reply["receipts"][0]) + reply["receipts"][0]["status"])
            assert b"gold" not in json.dumps(reply).encode()
            leases = reply["leases"]
    assert met[True] > 5
    assert met[False] > 5
    assert shapes[True] == shapes[False]
    assert receipts[True] == receipts[False]


def skeleton(node: Any) -> str:
    """Keys, order and kinds of a JSON value, without its texts and numbers."""
    if isinstance(node, dict):
        return "{" + ",".join(f"{key}:{skeleton(item)}" for key, item in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ",".join(skeleton(item) for item in node) + "]"
    return type(node).__name__ + (str(len(node)) if isinstance(node, str) and len(node) > 30 else "")


# -- misuse -------------------------------------------------------------------------------------------


def test_T35_a_lease_of_somebody_else_is_refused(
    site: Site, project: builders.ProjectRow, cy: Volunteer
) -> None:
    [mine] = cy.lease(project.slug)
    thief = Volunteer(site)
    thief.lease(project.slug)
    before = rows(site, "SELECT id, n_answers, n_leases FROM task ORDER BY id")
    [receipt] = thief.answer(value(mine))["receipts"]
    assert receipt["status"] == "rejected"
    assert receipt["error"]["error"] == "lease_invalid"
    complaint(thief.post("/revisions", {"lease": mine["lease"], "value": NO}), 400, "lease_invalid")
    complaint(thief.post("/reports", {"lease": mine["lease"], "reason": "other"}), 400, "lease_invalid")
    assert rows(site, "SELECT id, n_answers, n_leases FROM task ORDER BY id") == before
    assert rows(site, "SELECT count(*) FROM answer") == [(0,)]


def test_T35_a_changed_lease_token_is_refused(project: builders.ProjectRow, cy: Volunteer) -> None:
    [lease] = cy.lease(project.slug)
    rng = random.Random(1)
    token = lease["lease"]
    for _ in range(200):
        at = rng.randrange(len(token))
        changed = token[:at] + rng.choice([c for c in "ABCabc012-_" if c != token[at]]) + token[at + 1 :]
        [receipt] = cy.answer({"lease": changed, "kind": "value", "value": YES})["receipts"]
        assert receipt["status"] == "rejected"
    assert cy.answer(value(lease))["receipts"][0]["status"] == "counted"


def test_T30_a_changed_cookie_is_a_new_contributor(project: builders.ProjectRow, cy: Volunteer) -> None:
    [mine] = cy.lease(project.slug)
    cookie = cy.http.get_cookie("mt")
    assert cookie is not None
    rng = random.Random(2)
    for _ in range(50):
        at = rng.randrange(len(cookie.value))
        other = rng.choice([c for c in "ABCabc012-_" if c != cookie.value[at]])
        cy.http.set_cookie("mt", cookie.value[:at] + other + cookie.value[at + 1 :])
        [receipt] = cy.answer(value(mine))["receipts"]
        assert receipt["error"]["error"] == "lease_invalid"
    assert cookie.http_only
    assert cookie.same_site == "Lax"


BAD_BODIES = [
    ("not JSON", b"{", "json_invalid"),
    ("nothing", b"", "json_invalid"),
    ("NaN", b'{"limit": NaN}', "json_invalid"),
    ("overflow", b'{"limit": 1e999}', "json_invalid"),
    ("depth", b"[" * 100_000, "json_invalid"),
    ("deep but closed", b"[" * 5000 + b"]" * 5000, "json_invalid"),
    ("lone surrogate", b'{"limit": "\\ud800"}', "json_invalid"),
    ("NUL", b'{"limit": "\\u0000"}', "json_invalid"),
    ("a key twice", b'{"limit": 1, "limit": 2}', "json_invalid"),
    ("5,000 digits", b'{"limit": ' + b"9" * 5000 + b"}", "json_invalid"),
    ("Latin-1", b'{"limit": "\xe9"}', "json_invalid"),
    ("a list", b"[]", "invalid"),
    ("null", b"null", "invalid"),
    ("a number", b"5", "invalid"),
    ("unknown key", b'{"limit": 1, "project_id": 1}', "invalid"),
    ("zero", b'{"limit": 0}', "invalid"),
    ("too many", b'{"limit": 21}', "invalid"),
    ("negative", b'{"limit": -1}', "invalid"),
    ("text for a number", b'{"limit": "3"}', "invalid"),
    ("a fraction", b'{"limit": 1.5}', "invalid"),
    ("true", b'{"limit": true}', "invalid"),
]


def test_T09_a_malformed_body_is_refused_with_a_reason(project: builders.ProjectRow, cy: Volunteer) -> None:
    path = f"{API}/projects/{project.slug}/leases"
    for name, body, code in BAD_BODIES:
        reply = cy.http.post(path, data=body, content_type="application/json")
        assert reply.status_code == 400, name
        error = complaint(reply, 400, code)
        if code == "invalid":
            assert error["details"]["problems"][0].keys() == {"where", "what"}, name
        assert "Set-Cookie" not in reply.headers


BAD_ANSWERS: list[tuple[object, str]] = [
    ({}, "answers"),
    ({"answers": None}, "answers"),
    ({"answers": {}}, "answers"),
    ({"answers": ["x"]}, "answers.0"),
    ({"answers": [{}]}, "answers.0.lease"),
    ({"answers": [{"lease": 5}]}, "answers.0.lease"),
    ({"answers": [{"lease": ""}]}, "answers.0.lease"),
    ({"answers": [{"lease": "x" * 5000}]}, "answers.0.lease"),
    ({"answers": [{"lease": "x", "kind": 3}]}, "answers.0.kind"),
    ({"answers": [{"lease": "x", "seconds_spent": "3"}]}, "answers.0.seconds_spent"),
    ({"answers": [{"lease": "x", "status": "counted"}]}, "answers.0.status"),
    ({"answers": [{"lease": "x"}], "next": 21}, "next"),
    ({"answers": [{"lease": "x"}], "next": -1}, "next"),
    ({"answers": [{"lease": "x"}] * 21}, "answers"),
]


def test_a_request_of_the_wrong_shape_says_where(cy: Volunteer) -> None:
    for body, where in BAD_ANSWERS:
        error = complaint(cy.post("/answers", body), 400, "invalid")
        assert where in {problem["where"] for problem in error["details"]["problems"]}, body
        assert where in error["message"]


def test_answers_beside_the_question_are_rejected_each_with_its_reason(site: Site, cy: Volunteer) -> None:
    made = builders.project(site)
    builders.tasks(site, made, 1)
    [lease] = cy.lease(made.slug)
    for wrong in (None, [], "yes", 5, {}, {"answer": 1}, {"answer": "yes", "gold": 1}, {"answer": ["yes"]}):
        [receipt] = cy.answer({"lease": lease["lease"], "kind": "value", "value": wrong})["receipts"]
        assert receipt["status"] == "rejected"
        assert receipt["error"]["error"] == "answer_invalid"
    assert cy.answer(value(lease))["receipts"][0]["status"] == "counted"


def test_T10_a_body_over_the_limit_is_413(site: Site, project: builders.ProjectRow, cy: Volunteer) -> None:
    limit = site.settings.max_answer_bytes
    for path in ("/answers", f"/projects/{project.slug}/leases", "/reports", "/revisions"):
        for size, status in ((limit, 400), (limit + 1, 413)):
            reply = cy.http.post(API + path, data=b" " * size, content_type="application/json")
            complaint(reply, status)


def test_T16_only_json_from_our_own_pages_is_read(project: builders.ProjectRow, cy: Volunteer) -> None:
    path = f"{API}/projects/{project.slug}/leases"
    for each in (path, f"{API}/answers", f"{API}/reports", f"{API}/revisions"):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            complaint(cy.http.post(each, data=b"{}", content_type=kind), 415)
    foreign = {"Origin": "https://elsewhere.example"}
    complaint(cy.http.post(path, json={}, headers=foreign), 403, "forbidden")
    reply = cy.http.options(path, headers=foreign | {"Access-Control-Request-Method": "POST"})
    assert not [name for name in reply.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


def test_a_wrong_method_or_path_has_the_one_error_shape(cy: Volunteer) -> None:
    complaint(cy.get("/answers"), 405, "method_not_allowed")
    complaint(cy.get("/nothing"), 404, "not_found")
    complaint(cy.http.delete(f"{API}/projects"), 405)
    complaint(cy.get("/projects/" + "9" * 40), 404)
    complaint(cy.get("/projects/%00"), 404)


def test_T42_an_unforeseen_fault_says_nothing_of_the_inside(
    project: builders.ProjectRow, cy: Volunteer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(*_: object, **__: object) -> None:
        raise RuntimeError("secret /srv/path")

    monkeypatch.setattr("microtasks.engine.assignment.serve.lease", burst)
    reply = cy.post(f"/projects/{project.slug}/leases", {})
    complaint(reply, 500, "error")
    assert b"secret" not in reply.data


# -- any body at all ----------------------------------------------------------------------------------

LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=True),
    st.text(max_size=20),
    st.sampled_from(["LEASE", "value", "skip", "cant_tell", "yes", "broken", "\x00", "\ud800"]),
)
KEYS = st.sampled_from(
    ["answers", "next", "lease", "kind", "value", "seconds_spent", "limit", "answer", "reason", "note", "x"]
)
TREE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)
ANSWER = st.fixed_dictionaries(
    {"lease": st.just("LEASE") | LEAF},
    optional={"kind": LEAF, "value": TREE, "seconds_spent": LEAF},
)
BODY = TREE | st.fixed_dictionaries({"answers": st.lists(ANSWER | TREE, max_size=4)}, optional={"next": LEAF})
DOCUMENTED = {
    operation.path: {
        int(s) for s in openapi.document()["paths"][operation.path][operation.method]["responses"]
    }
    for operation in openapi.OPERATIONS
    if operation.method == "post"
}


@given(body=BODY, path=st.sampled_from(sorted(DOCUMENTED)))
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_T09_no_body_ends_as_a_500_or_as_an_undocumented_status(
    project: builders.ProjectRow, cy: Volunteer, body: Any, path: str
) -> None:
    [lease] = cy.lease(project.slug) or [{"lease": "none left"}]
    text = json.dumps(body).replace('"LEASE"', json.dumps(lease["lease"]))
    reply = cy.http.post(
        API + path.replace("{slug}", project.slug), data=text.encode(), content_type="application/json"
    )
    assert reply.status_code in DOCUMENTED[path], reply.data
    if reply.status_code >= 400:
        said(reply, models.ErrorOut)


@given(body=st.binary(max_size=200))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_T09_no_bytes_end_as_a_500(project: builders.ProjectRow, cy: Volunteer, body: bytes) -> None:
    reply = cy.http.post(f"{API}/answers", data=body, content_type="application/json")
    assert reply.status_code in DOCUMENTED["/answers"]
