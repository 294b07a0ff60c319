"""The owner's page on quality: agreement, reliability, volunteers by pseudonym, and who is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from builders import NO, YES, answers, contributor, project, tasks
from flask import Flask
from people import Person

from microtasks.engine.results import review
from microtasks.engine.results.aggregate import aggregate
from microtasks.engine.site import Site
from microtasks.store.projects.projects import by_slug
from microtasks.web import create_app


@pytest.fixture
def app(site: Site) -> Iterator[Flask]:
    yield create_app(site=site)


def test_new_question_and_tagging_projects_stop_when_sure_unless_told_otherwise(
    ada: Person, site: Site
) -> None:
    for task_type in ("question", "tagging", "marking"):
        page = ada.get(f"/owner/new/{task_type}").text
        box = re.search(r'<input type="checkbox" name="stop_early"[^>]*>', page)
        assert box is not None
        assert ("checked" in box[0]) == (task_type != "marking")
        assert ("Stop when sure" in page) == (task_type != "marking")
    form = {"save": "1", "name": "Birds", "config.tags.0.label": "Gull", "redundancy": "10"}
    ada.post("/owner/new/tagging", form | {"stop_early": "1", "weigh": "1"})
    ada.post("/owner/new/tagging", form)
    with site.db.session() as session:
        made, fixed = by_slug(session, "birds"), by_slug(session, "birds-2")
    assert (made.stop_rule, made.answers_min, made.redundancy, made.stop_threshold) == (
        ("confidence", 2, 10, 0.95)
    )
    assert (made.method, fixed.method) == ("model", "majority")
    assert (fixed.stop_rule, fixed.answers_min) == ("redundancy", 10)


def test_a_project_that_began_with_agreement_keeps_it(ada: Person, site: Site) -> None:
    with site.db.connection() as connection:
        (who,) = connection.execute("SELECT id FROM account").fetchone()
    of = project(site, account_id=who, answers_min=2, stop_rule="agreement")
    page = ada.get(f"/owner/projects/{of.slug}/edit").text
    assert "Stop earlier when they agree" in page


def test_the_page_shows_agreement_and_volunteers_by_pseudonym(ada: Person, site: Site) -> None:
    with site.db.connection() as connection:
        (who,) = connection.execute("SELECT id FROM account").fetchone()
    of = project(site, account_id=who, redundancy=4)
    people, spam = [contributor() for _ in range(3)], contributor()
    for number, task in enumerate(tasks(site, of, 20)):
        answers(site, of, task, [YES if number % 2 else NO] * 3 + [YES], contributors=[*people, spam])
    address = f"/owner/projects/{of.slug}/quality"
    assert "Nobody has looked through the answers yet." in ada.get(address).text
    assert ada.post(address).status_code == 303
    with site.db.connection() as connection:
        assert connection.execute("SELECT name, target_id FROM job").fetchall() == [("aggregate", of.id)]
    review.review(site, of.id)
    page = ada.get(address).text
    assert all(review.pseudonym(site, one) in page for one in (*people, spam))
    assert not any(one.hex in page or str(one) in page for one in (*people, spam))
    assert "always the same answer" in page
    assert page.count("Left out") == 1
    assert "1.00" in page  # alpha of the rest
    take_in = f"/owner/projects/{of.slug}/volunteers/{review.pseudonym(site, spam)}"
    assert ada.post(take_in, {"weigh": "in"}).status_code == 303
    assert "Left out" not in ada.get(address).text
    assert ada.post(take_in, {"weigh": "sideways"}).status_code == 400
    assert ada.post(f"/owner/projects/{of.slug}/volunteers/0123", {"weigh": "in"}).status_code == 404


def test_the_page_says_where_the_vote_decides_although_volunteers_shall_weigh(
    ada: Person, site: Site
) -> None:
    with site.db.connection() as connection:
        (who,) = connection.execute("SELECT id FROM account").fetchone()
    of = project(site, account_id=who, redundancy=3, method="model")
    for task in tasks(site, of, 20):
        answers(site, of, task, [YES, YES, NO])
    review.review(site, of.id)
    address = f"/owner/projects/{of.slug}/quality"
    assert "So far everybody weighs the same (answer)" in ada.get(address).text
    people = [contributor() for _ in range(3)]
    for number, task in enumerate(tasks(site, of, 80)):
        answers(site, of, task, [YES if number % 2 else NO] * 3, contributors=people)
    review.review(site, of.id)
    assert "So far everybody weighs the same" not in ada.get(address).text


def test_the_page_shows_what_is_taken_for_what(ada: Person, site: Site) -> None:
    with site.db.connection() as connection:
        (who,) = connection.execute("SELECT id FROM account").fetchone()
    choices = [{"id": each, "label": each.title()} for each in ("fresh", "old", "ghost")]
    config = {"fields": [{"id": "age", "label": "How old?", "choices": choices}]}
    of = project(site, account_id=who, redundancy=4, config=config)
    said = [["fresh"] * 3 + ["old"], ["old"] * 4, ["ghost", "ghost", "old", "old"]]
    for task, given in zip(tasks(site, of, 3), said, strict=True):
        answers(site, of, task, [{"age": one} for one in given])
    address = f"/owner/projects/{of.slug}/quality"
    assert "What is taken for what" not in ada.get(address).text
    review.review(site, of.id)
    page = ada.get(address).text
    assert "What is taken for what" in page
    assert "<b>75 %</b>" in page
    sheet = ada.get(f"{address}/confusion.csv").text.strip().lstrip("\ufeff").splitlines()
    assert sheet[0] == "field,consensus,said,n_answers,share"
    assert {"age,fresh,fresh,3,0.75", "age,fresh,old,1,0.25", "age,old,old,4,1.0"} <= set(sheet)
    assert "age,ghost,ghost,0,0.0" in sheet  # a tie is no result


def test_the_page_shows_how_many_answers_would_have_been_enough(ada: Person, site: Site) -> None:
    with site.db.connection() as connection:
        (who,) = connection.execute("SELECT id FROM account").fetchone()
    of = project(site, account_id=who, redundancy=3)
    for number, task in enumerate(tasks(site, of, 12)):
        answers(site, of, task, [YES if number % 2 else NO] * 3)
    address = f"/owner/projects/{of.slug}/quality"
    review.review(site, of.id)
    assert "How many answers are enough" in ada.get(address).text
    sheet = ada.get(f"{address}/rarefaction.csv").text.strip().lstrip("\ufeff").splitlines()
    assert sheet[0] == "field,n_answers,same,same_low,same_high,n_tasks"
    assert sheet[1:] == [f"answer,{n},1.0,1.0,1.0,12" for n in (1, 2, 3)]


def test_known_tasks_show_whether_what_is_sure_is_right(ada: Person, site: Site) -> None:
    with site.db.connection() as connection:
        (who,) = connection.execute("SELECT id FROM account").fetchone()
    of = project(site, account_id=who, redundancy=4)
    address = f"/owner/projects/{of.slug}/quality"
    assert "how often right" not in ada.get(address).text
    right = tasks(site, of, 8, gold=YES)
    wrong = tasks(site, of, 2, gold=NO)
    tied = tasks(site, of, 1, gold=YES)
    for task in (*right, *wrong):
        answers(site, of, task, [YES] * 4)
    answers(site, of, tied[0], [YES, NO])
    aggregate(site, of.id)
    page = ada.get(address).text
    assert "10 known tasks have a result." in page
    assert "80 %" in page
    sheet = ada.get(f"{address}/reliability.csv")
    assert sheet.headers["Content-Type"].startswith("text/csv")
    header, line = sheet.text.strip().lstrip("\ufeff").splitlines()
    assert header == "stated_from,stated_to,n_tasks,stated,right,right_low,right_high"
    found = dict(zip(header.split(","), map(float, line.split(",")), strict=True))
    assert (found["n_tasks"], found["right"]) == (10, 0.8)
    assert found["stated_from"] <= found["stated"] <= found["stated_to"]
    assert found["right_low"] < 0.8 < found["right_high"]


def test_disputed_tasks_wait_for_a_reviewer_until_one_has_decided(ada: Person, site: Site) -> None:
    with site.db.connection() as connection:
        (who,) = connection.execute("SELECT id FROM account").fetchone()
    of = project(site, account_id=who, redundancy=2)
    tied, clear, going = tasks(site, of, 3)
    answers(site, of, tied, [YES, NO])
    answers(site, of, clear, [YES, YES])
    answers(site, of, going, [NO])
    unsure = tasks(site, of)[0]
    answers(site, of, unsure, [YES, YES])
    review.review(site, of.id)
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO stopping (task_id, project_id, outcome, n_answers) VALUES (%s, %s, 'disputed', 2)",
            (unsure, of.id),
        )
    listed = f"/research/{of.slug}/tasks?disputed=1&order=number"

    def waiting() -> list[int]:
        return [int(n) for n in re.findall(r"/tasks/([0-9]+)\?", ada.get(listed).text)]

    assert waiting() == [tied, unsure]
    page = ada.get(f"/owner/projects/{of.slug}/quality").text
    assert re.search(r"<b>2</b>.*tasks wait for a reviewer", page)
    assert "disputed=1" in page
    ada.post(f"/research/{of.slug}/tasks/{unsure}/decision", {"choice": "none"})
    assert waiting() == [tied]
    assert review.overview(site, of.id).n_disputed == 1
    ada.post(f"/research/{of.slug}/tasks/{tied}/more", {"n": "1"})  # open again: not the reviewer's turn
    assert waiting() == []


def test_the_page_says_in_plain_words_what_another_setting_would_have_needed(ada: Person, site: Site) -> None:
    with site.db.connection() as connection:
        (who,) = connection.execute("SELECT id FROM account").fetchone()
    of = project(site, account_id=who, redundancy=5)
    for number, task in enumerate(tasks(site, of, 20)):
        answers(site, of, task, [NO, NO, YES, YES, YES] if number == 0 else [YES] * 5)
    review.review(site, of.id)
    page = re.sub(r"<[^>]+>", " ", ada.get(f"/owner/projects/{of.slug}/quality").text)
    assert re.search(r"3 answers for each task\s+40 % fewer answers, and 1 of 20 results changed", page)
    assert re.search(r"Answers per task\s+5", page)
    with site.db.connection() as connection:
        connection.execute("UPDATE project SET stop_rule = 'confidence', answers_min = 2, redundancy = 10")
    page = re.sub(r"<[^>]+>", " ", ada.get(f"/owner/projects/{of.slug}/quality").text)
    assert re.search(r"Ask more when disputed\s+up to 10, then a reviewer decides", page)
