"""The volunteer's pages as the server makes them: what they show, keep, refuse and never show."""

from __future__ import annotations

import ast
import re
from html import unescape
from pathlib import Path
from typing import Any

import builders
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import ngettext

from microtasks.engine.site import Site
from microtasks.web import create_app, markdown, sentences
from microtasks.web.sentences import SENTENCES
from microtasks.web.texts import LANGUAGES, read_catalogue
from microtasks.web.translations.__main__ import gather, missing
from microtasks.web.volunteers.volunteer import FILTERS_FROM

TWO_FIELDS = {
    "fields": [
        {"id": "sure", "kind": "choice", "label": "Sure?", "choices": [{"id": "yes"}, {"id": "no"}]},
        {"id": "lease", "kind": "text", "label": "A field of an awkward name", "required": False},
    ]
}


@pytest.fixture
def cy(app: Flask) -> FlaskClient:
    return app.test_client()


def published(site: Site, kind: str = "question", n: int = 2, **fields: Any) -> builders.ProjectRow:
    made = builders.project(site, kind, published_at="2026-01-01T00:00:00Z", **fields)
    builders.tasks(site, made, n)
    return made


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the task page's form."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


def answer(client: FlaskClient, slug: str, **form: Any) -> Any:
    page = client.get(f"/p/{slug}/work").text
    return client.post(f"/p/{slug}/work", data={**hidden(page), **form})


def answers(site: Site) -> list[tuple[Any, ...]]:
    with site.db.connection() as connection:
        return connection.execute("SELECT kind, value, revision FROM answer ORDER BY id").fetchall()


def test_home_shows_only_published_projects_neediest_first(site: Site, cy: FlaskClient) -> None:
    done = published(site, n=1, redundancy=1, name="All done")
    [task] = _tasks(site, done)
    builders.answers(site, done, task, [builders.YES])
    fresh, begun = published(site, name="Fresh"), published(site, name="Begun")
    builders.answers(site, begun, _tasks(site, begun)[0], [builders.YES])
    builders.project(site, name="Secret draft", state="draft")
    published(site, name="Asleep", state="paused")
    page = unescape(cy.get("/").text)
    assert "Secret draft" not in page and "Asleep" not in page
    assert page.index("Fresh") < page.index("Begun") < page.index("All done")
    assert "All answers are in" in page and "1 person so far" in page
    assert any(it.slug in cy.get("/start?minutes=5").headers["Location"] for it in (fresh, begun))


def test_home_without_projects_says_so(cy: FlaskClient) -> None:
    page = cy.get("/").text
    assert "There is nothing to do here yet" in page and "Start helping" not in page


def test_start_passes_over_a_project_that_has_nothing_for_this_person(site: Site, cy: FlaskClient) -> None:
    first, second = published(site, n=1), published(site, n=3)
    answer(cy, first.slug, answer="yes")
    assert second.slug in cy.get("/start").headers["Location"]
    with site.db.connection() as connection:
        connection.execute("UPDATE project SET state = 'paused' WHERE id = %s", (second.id,))
    assert "No task for you just now" in cy.get("/start").text


def test_a_draft_is_not_found(site: Site, cy: FlaskClient) -> None:
    draft = builders.project(site, state="draft")
    for path in ("", "/work", "/thanks", "/last/1"):
        assert cy.get(f"/p/{draft.slug}{path}").status_code == 404


def test_the_same_task_stays_until_it_is_answered(site: Site, cy: FlaskClient) -> None:
    made = published(site)
    first = hidden(cy.get(f"/p/{made.slug}/work").text)["_lease"]
    assert hidden(cy.get(f"/p/{made.slug}/work").text)["_lease"] == first
    assert answer(cy, made.slug, answer="yes").status_code == 303
    assert hidden(cy.get(f"/p/{made.slug}/work").text)["_lease"] != first


def test_an_answer_that_does_not_fit_comes_back_with_what_was_filled_in(site: Site, cy: FlaskClient) -> None:
    made = published(site, config=TWO_FIELDS)
    page = answer(cy, made.slug, lease="kept words")
    assert page.status_code == 422
    assert "Please answer this one." in page.text and ">kept words</textarea>" in page.text
    assert answers(site) == []


def test_a_field_may_be_called_like_anything(site: Site, cy: FlaskClient) -> None:
    made = published(site, config=TWO_FIELDS)
    answer(cy, made.slug, sure="yes", lease="words")
    assert answers(site) == [("value", {"sure": "yes", "lease": "words"}, 1)]


def test_nothing_here_is_said_on_purpose(site: Site, cy: FlaskClient) -> None:
    made = published(site, "tagging")
    assert answer(cy, made.slug, _kind="value").status_code == 422
    assert answers(site) == []
    answer(cy, made.slug, _kind="empty")
    assert answers(site) == [("empty", {"tags": []}, 1)]


@pytest.mark.parametrize("kind", ["empty", "cant_tell", "skip"])
def test_a_way_out_that_would_throw_work_away_asks_first(site: Site, cy: FlaskClient, kind: str) -> None:
    made = published(site, "tagging")
    asked = answer(cy, made.slug, _kind=kind, tags="dunes")
    assert asked.status_code == 422 and "would be lost" in asked.text
    assert 'value="dunes" data-choice checked' in asked.text  # it is still there
    assert answers(site) == []
    form = hidden(asked.text)
    assert cy.post(f"/p/{made.slug}/work", data={**form, "_kind": kind, "tags": "dunes"}).status_code == 303
    stored = {"empty": [("empty", {"tags": []}, 1)], "cant_tell": [("cant_tell", None, 1)], "skip": []}
    assert answers(site) == stored[kind]


def test_nothing_here_is_not_offered_where_it_is_no_answer(site: Site, cy: FlaskClient) -> None:
    asked = published(site)
    tagged = published(site, "tagging", config={"tags": [{"id": "a"}, {"id": "b"}], "min_tags": 1})
    for made in (asked, tagged):
        assert 'value="empty"' not in cy.get(f"/p/{made.slug}/work").text


def test_each_way_out_is_kept_as_what_it_is(site: Site, cy: FlaskClient) -> None:
    made = published(site, n=4)
    answer(cy, made.slug, answer="no")
    answer(cy, made.slug, _kind="cant_tell")
    answer(cy, made.slug, _kind="skip")
    form = hidden(cy.get(f"/p/{made.slug}/work").text)
    cy.post(f"/p/{made.slug}/report", data={**form, "reason": "invented", "note": "x" * 2000})
    assert [kind for kind, *_ in answers(site)] == ["value", "cant_tell"]
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM skip").fetchone() == (2,)
        assert connection.execute("SELECT reason, length(note) FROM report").fetchall() == [("other", 1000)]


def test_the_last_three_answers_can_be_corrected(site: Site, cy: FlaskClient) -> None:
    made = published(site, n=5)
    for _ in range(4):
        answer(cy, made.slug, answer="yes")
    page = cy.get(f"/p/{made.slug}/last/3").text
    assert 'value="yes" data-choice aria-current=true' in page
    cy.post(f"/p/{made.slug}/last/3", data={**hidden(page), "answer": "no"})
    assert answers(site)[1] == ("value", {"answer": "no"}, 2)
    assert cy.get(f"/p/{made.slug}/last/4").status_code == 303
    assert cy.get(f"/p/{made.slug}/last/0").status_code == 303


def test_a_correction_that_does_not_fit_changes_nothing(site: Site, cy: FlaskClient) -> None:
    made = published(site, config=TWO_FIELDS)
    answer(cy, made.slug, sure="yes")
    form = hidden(cy.get(f"/p/{made.slug}/last/1").text)
    assert cy.post(f"/p/{made.slug}/last/1", data={**form, "sure": "perhaps"}).status_code == 422
    assert answers(site) == [("value", {"sure": "yes"}, 1)]


def test_someone_elses_lease_is_not_taken(site: Site, app: Flask, cy: FlaskClient) -> None:
    made = published(site)
    theirs = hidden(app.test_client().get(f"/p/{made.slug}/work").text)["_lease"]
    answer(cy, made.slug, answer="yes", _lease=theirs)
    answer(cy, made.slug, answer="yes", _lease="nonsense")
    assert answers(site) == []


def test_gold_is_not_in_the_page(site: Site, cy: FlaskClient) -> None:
    made = builders.project(site, published_at="2026-01-01T00:00:00Z", gold_share=0.5)
    builders.tasks(site, made, 2, gold={"answer": "no"})
    with site.db.connection() as connection:
        connection.execute('UPDATE task_content SET hidden = \'{"source": "hidden-words"}\'')
    page = cy.get(f"/p/{made.slug}/work").text
    assert (
        "gold" not in page
        and "hidden-words" not in page
        and '"no"' not in page.split('id="task"')[1].split("config")[0]
    )


def test_thanks_says_what_was_done_and_how_often_others_agreed(site: Site, cy: FlaskClient) -> None:
    made = published(site, n=2, redundancy=2, answers_min=2, thanks="It dates the ground.")
    assert "Thank you for looking in" in cy.get(f"/p/{made.slug}/thanks").text
    for said in ("yes", "yes"):
        answer(cy, made.slug, answer=said)
    assert "agree with the others" not in cy.get(f"/p/{made.slug}/thanks").text  # none is finished yet
    other = create_app(site=site).test_client()
    for said in ("yes", "yes"):
        answer(other, made.slug, answer=said)
    page = cy.get(f"/p/{made.slug}/thanks").text
    assert "2 tasks in 1 minute" in page
    assert "2 of 2" in page and "It dates the ground." in page


def test_language_goes_back_to_a_page_of_this_site_only(cy: FlaskClient) -> None:
    assert cy.get("/language/ar?next=/p/x").headers["Location"] == "/p/x"
    for evil in ("//evil.example", "https://evil.example", "/\\evil.example", ""):
        assert cy.get("/language/ar", query_string={"next": evil}).headers["Location"] == "/"
    assert cy.get("/language/xx").status_code == 404


def test_the_browsers_language_is_used_until_one_is_chosen(cy: FlaskClient) -> None:
    arabic = {"Accept-Language": "ar-EG,ar;q=0.9,en;q=0.5"}
    assert '<html lang="ar" dir="rtl">' in cy.get("/", headers=arabic).text
    cy.get("/language/en")
    assert '<html lang="en" dir="ltr">' in cy.get("/", headers=arabic).text


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_the_volunteers_side_is_whole_in_every_language(code: str) -> None:
    texts = gather()
    lacking = set(missing(code, texts))
    ours = {
        message.id if isinstance(message.id, str) else message.id[0]
        for message in texts
        if message.id and any(not re.search("owner|research|explorer", path) for path, _ in message.locations)
    }
    assert len(ours) > 100
    assert lacking & ours == set()


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_translations_keep_what_texts_are_filled_with(code: str) -> None:
    for message in read_catalogue(code):
        if not message.id or not message.string:
            continue
        ids = (message.id,) if isinstance(message.id, str) else message.id
        names = set(re.findall(r"%\(\w+\)s", " ".join(ids)))
        strings = (message.string,) if isinstance(message.string, str) else message.string
        for string in filter(None, strings):
            found = set(re.findall(r"%\(\w+\)s", string))
            # "one minute" and "two tasks" of a plural may say the number in words
            assert found == names or (len(ids) > 1 and found <= names), (code, message.id, string)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("en", ["0 tasks", "1 task", "2 tasks", "3 tasks", "11 tasks"]),
        ("fr", ["0 tâche", "1 tâche", "2 tâches", "3 tâches", "11 tâches"]),
        ("es", ["0 tareas", "1 tarea", "2 tareas", "3 tareas", "11 tareas"]),
        ("ar", ["لا مهام", "مهمة واحدة", "مهمتان", "3 مهام", "11 مهمة"]),
    ],
)
def test_plurals_follow_the_language(app: Flask, code: str, words: list[str]) -> None:
    with app.test_request_context(headers={"Accept-Language": code}):
        assert [ngettext("%(num)s task", "%(num)s tasks", n) for n in (0, 1, 2, 3, 11)] == words


def test_every_translated_sentence_is_one_that_is_said() -> None:
    package = Path(sentences.__file__).parents[1]
    code = "".join(  # what the parser reads: a literal that goes over several lines is one
        f"{node.value}\n"
        for path in package.rglob("*.py")
        if path.name != "sentences.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    for sentence in SENTENCES:
        for part in re.split(r"%\(\w+\)s", sentence):
            assert part in code, sentence


def test_errors_that_volunteers_meet_are_in_their_language(site: Site, cy: FlaskClient) -> None:
    made = published(site, config=TWO_FIELDS)
    cy.set_cookie("lang", "fr")
    page = answer(cy, made.slug, sure="maybe")
    assert "Veuillez choisir une des réponses proposées." in page.text
    leases = cy.post(f"/api/v1/projects/{made.slug}/leases", json={"limit": 1}).get_json()["leases"]
    sent = {"lease": leases[0]["lease"], "kind": "value", "value": {"sure": "maybe"}}
    [receipt] = cy.post("/api/v1/answers", json={"answers": [sent]}).get_json()["receipts"]
    assert receipt["error"]["message"] == "Veuillez choisir une des réponses proposées."


def test_many_projects_can_be_searched_and_filtered(site: Site, cy: FlaskClient) -> None:
    for n in range(FILTERS_FROM - 1):
        published(site, slug=f"p{n}", name=f"Number {n}", topic="Space", language="en")
    assert 'role="search"' not in cy.get("/").text
    published(site, slug="ships", name="Logs of Ships", purpose="Read them", topic="History", language="fr")
    page = cy.get("/").text
    assert 'role="search"' in page and "Number 3" in page and "Logs of Ships" in page
    for query in ("q=SHIPS+read", "topic=History", "language=fr", "light=1&q=ships", "q=ships&topic=History"):
        page = cy.get(f"/?{query}").text
        assert "Logs of Ships" in page and "Number 3" not in page
    published(site, "marking", slug="drawn", name="Craters to draw")
    assert "easier on a large screen" in cy.get("/?q=craters+to").text
    page = cy.get("/?thumb=1").text
    assert "Craters to draw" not in page and "Logs of Ships" in page
    page = cy.get("/?q=ships&topic=Space").text
    assert "No project fits all of that." in page and "Show all projects" in page
    assert "&lt;b&gt;" in cy.get("/?q=<b>").text


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://evil.example/tracker.png)",
        "![x](//evil.example/tracker.png)",
        '<img src=x onerror="alert(1)">',
        "[x](vbscript:alert(1) 'title\" onclick=\"alert(1)')",
        "<style>*{display:none}</style>",
    ],
)
def test_T15_markdown_gives_no_markup_but_its_own(text: str) -> None:
    html = str(markdown.render(text))
    assert not re.search(r"<script|<style|<[^>]+\son\w+=|<[^>]+(javascript|data|vbscript):|<[^>]+evil", html)


def test_markdown_keeps_what_owners_write() -> None:
    html = markdown.render("# How\n\n**Press** and drag:\n\n1. one\n2. two\n\n![a](/media/x.webp)")
    assert "<h2>How</h2>" in html and "<strong>Press</strong>" in html and "<ol>" in html
    assert 'src="/media/x.webp"' in html


def _tasks(site: Site, of: builders.ProjectRow) -> list[int]:
    with site.db.connection() as connection:
        rows = connection.execute("SELECT id FROM task WHERE project_id = %s ORDER BY pos", (of.id,))
        return [row[0] for row in rows]


# -- a visit over several projects ----------------------------------------------------------------------


def test_a_visit_over_several_projects_counts_thanks_and_corrects_as_one(site: Site, cy: FlaskClient) -> None:
    first, second = published(site), published(site)
    answer(cy, first.slug, answer="no")
    answer(cy, first.slug, answer="no")
    answer(cy, second.slug, answer="yes")
    page = cy.get(f"/p/{second.slug}/work").text
    assert "3 done" in page
    thanks = cy.get(f"/p/{second.slug}/thanks").text
    assert "3 tasks in 1 minute" in thanks
    assert f"/p/{first.slug}" in thanks and f"/p/{second.slug}" in thanks
    # The second last answer is of the first project: it is corrected, and the visit goes on where it was.
    there = cy.get(f"/last/2?came_from={second.slug}")
    assert there.location.startswith(f"/p/{first.slug}/last/1?")
    shown = cy.get(there.location).text
    assert f'href="/last/3?came_from={second.slug}"' in shown
    form = hidden(shown)
    done = cy.post(there.location, data={**form, "_kind": "value", "answer": "yes"})
    assert done.location == f"/p/{second.slug}/work"
    said = [value["answer"] for _, value, _ in answers(site) if value]
    assert sorted(said) == ["no", "yes", "yes"]


def test_a_visit_that_ends_in_a_project_without_answers_is_thanked_all_the_same(
    site: Site, cy: FlaskClient
) -> None:
    first, second = published(site), published(site)
    answer(cy, first.slug, answer="no")
    cy.get(f"/p/{second.slug}/work")
    assert "1 task in 1 minute" in cy.get(f"/p/{second.slug}/thanks").text


@pytest.mark.parametrize("slug", ["//evil.example", "/evil", "..", "a/b"])
def test_the_way_back_leads_to_no_other_site(site: Site, cy: FlaskClient, slug: str) -> None:
    assert cy.get("/last/1", query_string={"came_from": slug}).location == "/"
