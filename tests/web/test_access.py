"""Who may do what: tables over the site's whole URL map. A route that is missing from them fails."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import builders
import pytest
from flask import Flask
from people import Person, owner
from werkzeug.routing import Rule

from microtasks.engine.accounts import members as engine_people
from microtasks.engine.accounts import tokens
from microtasks.engine.accounts.tokens import SCOPES, Scope
from microtasks.engine.results import review
from microtasks.engine.site import Site
from microtasks.store.accounts.members import ROLES, Role, is_enough
from microtasks.web import create_app

SAFE = {"GET", "HEAD", "OPTIONS"}

#: Anybody may ask for these; what they may not see there is tested with the module.
PUBLIC = {
    *(
        "api.get_project",
        "api.lease_any_tasks",
        "api.lease_tasks",
        "api.list_projects",
        "api.openapi_document",
        "api.recent_answers",
    ),
    *("api.report_task", "api.revise_answer", "api.send_answers"),
    *("polls.result", "polls.tags"),
    *("api.tell_feedback", "tutorial.attempt", "tutorial.learn", "tutorial.leave", "tutorial.told"),
    *("site.about", "site.privacy", "site.accessibility", "site.robots", "site.sitemap"),
    *("assets.get", "assets.service_worker", "health.alive", "health.ready", "media.derived"),
    *(
        "volunteer.answer",
        "volunteer.home",
        "volunteer.last",
        "volunteer.last_of_visit",
        "volunteer.project",
        "volunteer.report",
    ),
    *(
        "volunteer.offline",
        "volunteer.set_language",
        "volunteer.start",
        "volunteer.thank",
        "volunteer.work",
    ),
    *("me.ask", "me.certificate", "me.certificate_file", "me.create_team", "me.delete_certificate"),
    *("me.disconnect", "me.find_team", "me.forget", "me.issue", "me.join_team", "me.keep", "me.keep_by_code"),
    *("me.keep_by_link", "me.leave_team", "me.link", "me.mine", "me.my_teams", "me.new_certificate"),
    *("me.rate", "me.team"),
    *("owner.sign_in", "owner.sign_in_by_password", "owner.link", "owner.sign_in_by_link", "owner.sign_out"),
    *("owner.forgotten", "owner.send_link"),
    *("owner.join", "owner.make_account", "owner.address_link", "owner.confirm_address"),
    *("owner.invitation", "owner.accept_invitation"),
}
#: Only a signed-in owner, each their own: (method, endpoint) -> status for an owner.
OWNERS = {
    ("GET", "owner.home"): 200,
    ("GET", "owner.choose_type"): 200,
    ("GET", "owner.new"): 200,
    ("POST", "owner.create"): 200,  # without the save button the form is drawn again
    ("POST", "owner.keep_draft"): 400,  # of no page
    ("GET", "owner.choose_package"): 200,
    ("POST", "owner.bring_package"): 400,  # no file
    ("GET", "owner.package"): 404,  # none of theirs
    ("GET", "owner.package_progress"): 404,
    ("POST", "owner.decide_package"): 404,
    ("POST", "owner.begin_package"): 400,  # of no file
    ("GET", "owner.package_sending"): 404,  # of nothing that was announced
    ("POST", "owner.receive_package_piece"): 400,  # from no offset
    ("POST", "owner.finish_package"): 404,
    ("GET", "owner.account_page"): 200,
    ("GET", "owner.mail"): 404,  # an operator's
    ("POST", "owner.send_again"): 404,
    ("GET", "owner.directory"): 404,  # an operator's
    ("POST", "owner.add_account"): 404,
    ("POST", "owner.change_account"): 404,
    ("GET", "owner.tokens"): 200,
    ("POST", "owner.make_token"): 400,  # without a name
    ("POST", "owner.revoke_token"): 404,  # none of theirs
    ("POST", "owner.set_password"): 400,  # an empty one
    ("POST", "owner.set_email"): 400,  # an empty one
    ("POST", "owner.sign_out_everywhere"): 303,
}
#: Those who have at least that role in the project: (method, endpoint) -> (role, status for them). A smaller
#: role gets 403; everybody else 404, as for a project that is not there.
PROJECTS: dict[tuple[str, str], tuple[Role, int]] = {
    ("GET", "owner.project"): ("researcher", 200),
    ("GET", "owner.progress"): ("researcher", 200),
    ("GET", "owner.edit"): ("collaborator", 200),
    ("GET", "owner.tutorial_page"): ("collaborator", 200),
    ("GET", "owner.translations"): ("collaborator", 200),
    ("POST", "owner.save_translations"): ("collaborator", 404),  # into no language
    ("POST", "owner.change_tutorial"): ("collaborator", 303),
    ("POST", "owner.save"): ("collaborator", 200),
    ("GET", "owner.setup"): ("collaborator", 200),
    ("POST", "owner.save_step"): ("collaborator", 200),
    ("POST", "owner.try_out"): ("collaborator", 303),
    ("POST", "owner.duplicate"): ("collaborator", 303),
    ("POST", "owner.move"): ("collaborator", 303),
    ("GET", "owner.preview"): ("researcher", 200),
    ("GET", "owner.tasks"): ("researcher", 200),
    ("GET", "owner.quality"): ("researcher", 200),
    ("GET", "owner.reliability_file"): ("researcher", 200),
    ("GET", "owner.confusion_file"): ("researcher", 200),
    ("GET", "owner.rarefaction_file"): ("researcher", 200),
    ("POST", "owner.review"): ("reviewer", 303),
    ("POST", "owner.weigh"): ("collaborator", 303),
    ("GET", "owner.reports"): ("researcher", 200),
    ("POST", "owner.close_report"): ("reviewer", 303),
    ("GET", "owner.upload"): ("collaborator", 200),
    ("POST", "owner.receive"): ("collaborator", 303),
    ("GET", "owner.batch"): ("researcher", 200),
    ("POST", "owner.decide_batch"): ("collaborator", 303),
    ("POST", "owner.import_again"): ("collaborator", 303),  # nothing to try again
    ("POST", "owner.begin_sending"): ("collaborator", 400),  # of no file
    ("GET", "owner.sending_state"): ("collaborator", 404),  # of nothing that was announced
    ("POST", "owner.receive_piece"): ("collaborator", 400),  # from no offset
    ("POST", "owner.finish_sending"): ("collaborator", 404),
    ("GET", "owner.batch_progress"): ("researcher", 200),
    ("GET", "owner.batch_failures"): ("researcher", 200),
    ("GET", "owner.dashboard"): ("researcher", 200),
    ("POST", "owner.show_teams"): ("collaborator", 303),
    ("GET", "owner.dashboard_file"): ("researcher", 200),
    ("GET", "owner.people"): ("researcher", 200),
    ("POST", "owner.invite"): ("owner", 200),
    ("POST", "owner.revoke_invitation"): ("owner", 303),
    ("POST", "owner.change_member"): ("owner", 303),
    ("POST", "owner.leave"): ("researcher", 303),
    ("GET", "owner.audit_log"): ("owner", 200),
    ("GET", "owner.audit_file"): ("owner", 200),
    ("GET", "explorer.tasks"): ("researcher", 200),
    ("GET", "explorer.task"): ("researcher", 200),
    ("GET", "explorer.source"): ("researcher", 200),
    ("POST", "explorer.looked"): ("researcher", 303),
    ("POST", "explorer.decide"): ("reviewer", 303),
    ("POST", "explorer.take_back"): ("reviewer", 303),
    ("GET", "explorer.own"): ("reviewer", 200),
    ("POST", "explorer.keep_own"): ("reviewer", 422),  # of no answer
    ("POST", "explorer.ask_more"): ("reviewer", 303),
    ("GET", "research.results"): ("researcher", 200),
    ("GET", "research.download"): ("researcher", 200),
    ("GET", "research.package"): ("researcher", 200),
    ("GET", "research.code_book"): ("researcher", 200),
    ("GET", "research.preview"): ("researcher", 200),
    ("POST", "research.request_export"): ("researcher", 303),
    ("GET", "research.export_progress"): ("researcher", 200),
    ("GET", "research.export_file"): ("researcher", 409),  # not written yet
    ("GET", "research.code_book_file"): ("researcher", 200),
    ("POST", "owner.undo_batch"): ("collaborator", 303),  # the last one: the task is gone then
}
#: With an API token: (method, endpoint) -> (scope, role, status for who has both). Cookies count for nothing.
TOKENS: dict[tuple[str, str], tuple[Scope, Role, int]] = {
    ("GET", "token.list_my_projects"): ("read", "researcher", 200),
    ("GET", "token.get_my_project"): ("read", "researcher", 200),
    ("GET", "token.read_table"): ("read", "researcher", 200),
    ("GET", "token.stream_table"): ("read", "researcher", 200),
    ("GET", "token.read_code_book"): ("read", "researcher", 200),
    ("GET", "token.read_figures"): ("read", "researcher", 200),
    ("GET", "token.get_image"): ("read", "researcher", 404),  # a task of words
    ("GET", "token.list_batches"): ("read", "researcher", 200),
    ("POST", "token.add_batch"): ("import", "collaborator", 400),  # without files
    ("GET", "token.get_batch"): ("read", "researcher", 200),
    ("GET", "token.list_failures"): ("read", "researcher", 200),
    ("GET", "token.list_exports"): ("read", "researcher", 200),
    ("POST", "token.request_export"): ("read", "researcher", 202),
    ("GET", "token.get_export"): ("read", "researcher", 200),
    ("GET", "token.get_export_file"): ("read", "researcher", 409),  # not written yet
    ("POST", "token.move_project"): ("manage", "collaborator", 200),
}
#: GET that hands out a task on purpose: a volunteer needs one without JavaScript, too.
GETS_THAT_LEASE = {"volunteer.start", "volunteer.work"}


@dataclass(frozen=True, slots=True)
class Scene:
    app: Flask
    site: Site
    values: dict[str, object]
    people: dict[str, Person]
    hers: builders.ProjectRow
    other: builders.ProjectRow

    def path(self, rule: Rule, **other: object) -> str:
        values = {name: (self.values | other)[name] for name in rule.arguments}
        built = rule.build(values, append_unknown=False)
        assert built is not None
        return built[1]

    def ask(self, who: str, method: str, endpoint: str, **other: object) -> int:
        if endpoint == "owner.revoke_invitation":
            other = {"invitation_id": self.invitation(), **other}
        path = self.path(rule_of(self.app, method, endpoint), **other)
        if method == "GET":
            return self.people[who].get(path).status_code
        data = {"move": "pause", "weigh": "out", "step": "role", "role": "reviewer"}
        if endpoint == "owner.receive":
            data["files"] = (io.BytesIO(b"id,text\na,b\n"), "rows.csv")  # type: ignore[assignment]
        status = self.people[who].post(path, data).status_code
        if endpoint == "owner.leave" and who in ROLES and status == 303:
            builders.member(self.site, self.hers, builders.account(self.site, f"{who}@example.org"), who)
        return status

    def bearer(self, email: str, scope: Scope, slug: str = "") -> str:
        """The header of a program with a new token."""
        account = builders.account(self.site, email)
        return "Bearer " + tokens.make(self.site, account, name="t", scope=scope, slug=slug)

    def program(self, method: str, endpoint: str, header: str) -> int:
        body = (
            {"json": {"move": "pause"} if endpoint == "token.move_project" else {}}
            if method == "POST"
            else {}
        )
        return (
            self.app.test_client()
            .open(
                self.path(rule_of(self.app, method, endpoint)),
                method=method,
                headers={"Authorization": header} if header else {},
                **body,  # type: ignore[arg-type]
            )
            .status_code
        )

    def invitation(self) -> int:
        """A new invitation of Ada's project; its id."""
        ada = builders.account(self.site, "ada@example.org")
        engine_people.invite(self.site, self.hers.id, ada, "reviewer")
        with self.site.db.connection() as connection:
            row = connection.execute("SELECT max(id) FROM invitation").fetchone()
        assert row is not None
        return int(row[0])


def rule_of(app: Flask, method: str, endpoint: str) -> Rule:
    return next(r for r in app.url_map.iter_rules(endpoint) if method in (r.methods or ()))


@pytest.fixture
def scene(site: Site) -> Iterator[Scene]:
    app = create_app(site=site)
    people = {"nobody": Person(app), "volunteer": Person(app)}
    people["operator"], _ = owner(app, site, "operator@example.org", is_operator=True)
    people["ada"], ada = owner(app, site, "ada@example.org")
    people["ben"], ben = owner(app, site, "ben@example.org")
    hers = builders.project(site, account_id=ada)
    for role in ROLES[:-1]:
        people[role], who = owner(app, site, f"{role}@example.org", is_operator=False)
        builders.member(site, hers, who, role)
    dan = builders.account(site, "dan@example.org")
    builders.member(site, hers, dan, "researcher")
    his = builders.project(site, account_id=ben)
    (task,) = builders.tasks(site, hers, 1)
    cy = builders.contributor()
    with site.db.connection() as connection:
        row = connection.execute(
            "INSERT INTO report (project_id, task_id, contributor_id, reason, note)"
            " VALUES (%s, %s, %s, 'broken', '') RETURNING id",
            (hers.id, task, builders.contributor()),
        ).fetchone()
        connection.execute(
            "INSERT INTO contributor_record (project_id, contributor_id) VALUES (%s, %s)", (hers.id, cy)
        )
        connection.execute("UPDATE task_content SET source = 'plate' WHERE task_id = %s", (task,))
    assert row is not None
    people["volunteer"].get(f"/p/{hers.slug}")
    values = {
        **{"slug": hers.slug, "batch_id": hers.batch_id, "report_id": row[0], "task_type": "question"},
        **{"what": "answers", "format": "csv", "token": "no-such-token", "code": "ar", "back": 1},
        **{"pseudonym": review.pseudonym(site, cy)},
        **{"digest": "0" * 64, "tag": "0", "name": "css/app.css", "his": his},
        **{"mail_id": 1, "certificate_id": "no-such-id", "proof": "no-such-link"},
        **{"task_id": task, "source": "plate", "chart": "agreement"},
        **{"account_id": dan, "invitation_id": 1, "token_id": 1, "export_id": 1, "table": "answers"},
        **{"step": "task", "upload": "0" * 32, "number": 0, "restoration_id": 1},
    }
    yield Scene(app, site, values, people, hers, builders.project(site, account_id=ada))


def test_T26_every_route_is_in_one_of_the_tables(site: Site) -> None:
    listed = PUBLIC | {endpoint for _, endpoint in (*OWNERS, *PROJECTS, *TOKENS)}
    assert {rule.endpoint for rule in create_app(site=site).url_map.iter_rules()} == listed


def test_T26_each_reaches_a_project_as_far_as_their_role_goes(scene: Scene) -> None:
    for (method, endpoint), (needed, status) in PROJECTS.items():
        found = {who: scene.ask(who, method, endpoint) for who in scene.people}
        wanted = {"nobody": 302, "volunteer": 302, "ben": 404, "operator": status, "ada": status}
        for role in ROLES[:-1]:
            wanted[role] = status if is_enough(role, needed) else 403
        assert found == wanted, f"{method} {endpoint}"


def test_T26_a_program_reaches_a_project_as_far_as_token_and_account_do(scene: Scene) -> None:
    emails = {who: f"{who}@example.org" for who in scene.people if who not in ("nobody", "volunteer")}
    given = {who: scene.bearer(email, "manage") for who, email in emails.items()}
    given |= {"nobody": "", "wrong": "Bearer mt_" + "x" * 43, "basic": "Basic YWRhOng="}
    given |= {"other project": scene.bearer("ada@example.org", "manage", str(scene.other.slug))}
    for (method, endpoint), (scope, needed, status) in TOKENS.items():
        found = {who: scene.program(method, endpoint, header) for who, header in given.items()}
        wanted = {"nobody": 401, "wrong": 401, "basic": 401, "operator": status, "ada": status}
        for role in ROLES[:-1]:
            wanted[role] = status if is_enough(role, needed) else 403
        anybody = endpoint == "token.list_my_projects"  # each sees their own
        wanted |= dict.fromkeys(("ben", "other project"), 200 if anybody else 404)
        assert found == wanted, f"{method} {endpoint}"
        for small in SCOPES[: SCOPES.index(scope)]:
            header = scene.bearer("ada@example.org", small)
            assert scene.program(method, endpoint, header) == 403, f"{method} {endpoint} {small}"
        cookie = scene.people["ada"].client.open(
            scene.path(rule_of(scene.app, method, endpoint)), method=method
        )
        assert cookie.status_code == 401, "a cookie is no token: another site's page could send it"
        assert cookie.headers["WWW-Authenticate"].startswith("Bearer")


def test_T26_foreign_and_unknown_are_told_alike(scene: Scene) -> None:
    for method, endpoint in PROJECTS:
        rule = rule_of(scene.app, method, endpoint)
        if method != "GET":
            continue
        foreign = scene.people["ben"].get(scene.path(rule))
        unknown = scene.people["ben"].get(scene.path(rule, slug="no-such-project"))
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.text.replace(str(scene.values["slug"]), "no-such-project") == unknown.text


#: Arguments of routes that name a row, and others: a new one must be put into one of them.
IDS = {
    *("batch_id", "report_id", "pseudonym", "task_id", "source", "account_id", "invitation_id", "export_id"),
    "upload",
}
NO_IDS = {"slug", "what", "format", "chart", "table", "step", "number", "task_type", "code", "back"}
ROWS = (
    "batch",
    "report",
    "task",
    "contributor_record",
    "invitation",
    "project_member",
    "expert_decision",
    "export",
)


def test_T26_every_route_with_an_id_refuses_a_foreign_one_through_ones_own_project(scene: Scene) -> None:
    """Ben owns a project, and puts into its addresses every id of Ada's: by the URL map."""
    his = scene.values["his"]
    assert isinstance(his, builders.ProjectRow)
    with scene.site.db.connection() as connection:
        upload = "a" * 32
        connection.execute(
            "INSERT INTO upload (id, project_id, account_id, files) SELECT %s, id, account_id,"
            """ '[{"name": "a", "size": 5, "received": 0}]' FROM project WHERE id = %s""",
            (upload, scene.hers.id),
        )
    export_id = exports_requested(scene)
    scene.values.update(upload=upload, export_id=export_id, invitation_id=scene.invitation())

    def rows() -> list[object]:
        with scene.site.db.connection() as connection:
            return [
                connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()  # noqa: S608
                for name in ROWS
            ]

    before, asked = rows(), set()
    program = scene.bearer("ben@example.org", "manage")
    for rule in scene.app.url_map.iter_rules():
        if not {"slug"} < rule.arguments or rule.endpoint in PUBLIC:
            continue
        assert rule.arguments <= IDS | NO_IDS, f"{rule}: put its arguments into IDS or NO_IDS"
        if not rule.arguments & IDS:
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            path = scene.path(rule, slug=his.slug)
            if rule.endpoint == "owner.receive_piece":
                path += "?offset=0"
            if rule.endpoint.startswith("token."):
                status = (
                    scene.app.test_client()
                    .open(path, method=method, headers={"Authorization": program})
                    .status_code
                )
            elif method == "GET":
                status = scene.people["ben"].get(path).status_code
            else:
                data = {
                    "n": "1",
                    "weigh": "out",
                    "step": "role",
                    "role": "reviewer",
                    "choice": "none",
                    "decide": "make",
                }
                status = scene.people["ben"].post(path, data).status_code
            assert status == 404, f"{method} {rule}"
            asked.add(rule.endpoint)
    assert rows() == before
    assert {"owner.undo_batch", "owner.decide_batch", "explorer.decide", "token.get_batch"} <= asked


def exports_requested(scene: Scene) -> int:
    """An export of Ada's project; its id."""
    assert scene.ask("ada", "POST", "research.request_export") == 303
    with scene.site.db.connection() as connection:
        row = connection.execute("SELECT max(id) FROM export").fetchone()
    assert row is not None
    return int(row[0])


def test_owners_pages_are_for_those_who_signed_in(scene: Scene) -> None:
    for (method, endpoint), status in OWNERS.items():
        found = {who: scene.ask(who, method, endpoint) for who in ("nobody", "volunteer", "ben")}
        assert found == {"nobody": 302, "volunteer": 302, "ben": status}, f"{method} {endpoint}"


def test_T28_no_form_makes_an_operator_or_another_owner(scene: Scene) -> None:
    form = {"save": "1", "name": "x", "config.tags.0.label": "Dunes"}
    for field in ("id", "account_id", "is_operator", "state", "slug", "gold", "head_pos", "config_version"):
        answer = scene.people["ada"].post("/owner/new/tagging", form | {field: "1"})
        assert answer.status_code == 400, field
    assert scene.people["ada"].post("/owner/new/tagging", form).status_code == 303
    with scene.site.db.connection() as connection:
        rows = connection.execute("SELECT email FROM account WHERE is_operator").fetchall()
    assert rows == [("operator@example.org",)]


def test_T16_every_unsafe_route_wants_a_token_and_our_own_origin(scene: Scene) -> None:
    ada = scene.people["ada"]
    unsafe = [
        (rule, method)
        for rule in scene.app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - SAFE)
    ]
    assert len(unsafe) > 15
    token = ada.token()
    for rule, method in unsafe:
        path = scene.path(rule)
        for options in (
            {"data": {"name": "x"}},
            {"data": {"csrf_token": "forged", "name": "x"}},
            {"data": {"csrf_token": Person(scene.app).token(), "name": "x"}},  # another browser's
            {"data": {"csrf_token": token, "name": "x"}, "headers": {"Origin": "https://evil.example"}},
            {"json": {}, "headers": {"Origin": "https://evil.example"}},
            {"data": "{}", "content_type": "text/plain"},
        ):
            answer = ada.client.open(path, method=method, **options)  # type: ignore[arg-type]
            # 415: the API reads JSON only, which another site cannot send; or it wants a token, and it cannot
            # send that either
            assert answer.status_code == 403 or (rule.endpoint.partition(".")[0], answer.status_code) in (
                ("api", 415),
                ("token", 401),
            )


def test_T16_get_changes_nothing(scene: Scene) -> None:
    before = _dump(scene.site)
    for rule in scene.app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and rule.endpoint not in GETS_THAT_LEASE:
            for who in ("ada", "volunteer"):
                scene.people[who].get(scene.path(rule))
            assert _dump(scene.site) == before, rule.rule


def test_T41_ids_beside_known_ones_show_nothing(scene: Scene) -> None:
    ben, batch = scene.people["ben"], scene.values["batch_id"]
    assert isinstance(batch, int)
    slug = scene.values["slug"]
    for n in range(max(1, batch - 5), batch + 5):
        assert ben.get(f"/owner/projects/{slug}/batches/{n}").status_code == 404
        assert ben.get(f"/research/{slug}/export/answers.csv?after={n}").status_code == 404


def _dump(site: Site) -> dict[str, object]:
    """A fingerprint of every table; of the log without who downloaded what, which tells of the GET itself."""
    with site.db.connection() as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        ).fetchall()
        return {
            name: connection.execute(
                f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t"  # noqa: S608
                + (" WHERE action <> 'export.download'" if name == "audit" else "")
            ).fetchone()
            for (name,) in tables
        }
