"""Rating, keeping work, certificates, teams, being forgotten: the server's pages, without a script."""

from __future__ import annotations

import io
import re
import zlib
from html import unescape
from typing import Any

import builders as b
import pytest
from flask import Flask
from people import Person, owner

from microtasks.engine.assignment import serve, submit
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site
from microtasks.engine.volunteers import certificates
from microtasks.store.volunteers import contributions
from microtasks.web.request import contributor_of


def rows(site: Site, query: str, *parameters: Any) -> list[Any]:
    with site.db.connection() as connection:
        return connection.execute(query, parameters).fetchall()


def who(person: Person, site: Site) -> Any:
    cookie = person.client.get_cookie("mt")
    assert cookie is not None
    return contributor_of({"HTTP_COOKIE": f"mt={cookie.value}"}, site)


def helper(app: Flask, site: Site, project: b.ProjectRow, n: int = 1, seconds: float = 30.0) -> Person:
    """A browser whose volunteer has answered n tasks."""
    person = Person(app)
    person.get(f"/p/{project.slug}/work")
    for _ in range(n):
        (lease,) = serve.lease(site, project.slug, who(person, site)).leases
        submit.submit(site, who(person, site), [AnswerIn(lease.token, "value", b.YES, seconds)])
    return person


def letter(site: Site) -> tuple[str, str]:
    """(path of the link, code) of the last letter."""
    (text,) = rows(site, "SELECT body FROM mail ORDER BY id DESC LIMIT 1")[0]
    found = re.search(r"http://localhost(/keep/\S+)", text), re.search(r": (\w{4}-\w{4})", text)
    assert found[0] and found[1]
    return found[0][1], found[1][1]


def address(site: Site) -> str:
    return f"cy@{abs(hash(site.settings.data))}.org"


def published(site: Site, n: int = 4, **fields: Any) -> b.ProjectRow:
    made = b.project(site, **fields)
    b.tasks(site, made, n)
    return made


# -- the end of a visit -------------------------------------------------------------------------------


def test_the_end_of_a_visit_offers_everything_and_asks_for_nothing(app: Flask, site: Site) -> None:
    project = published(site)
    cy = helper(app, site, project, 2)
    page = cy.get(f"/p/{project.slug}/thanks").text
    for path in (f"/p/{project.slug}/rate", "/keep", "/certificate", "/teams", f"/p/{project.slug}/work"):
        assert path in page
    assert 'type="email"' not in page
    assert "/keep" not in Person(app).get(f"/p/{project.slug}/thanks").text  # nothing to keep


def test_a_rating_is_one_tap_kept_once_and_may_be_changed(app: Flask, site: Site) -> None:
    project = published(site)
    cy = helper(app, site, project)
    for score in ("2", "3"):
        assert cy.post(f"/p/{project.slug}/rate", {"score": score}).status_code == 303
    assert rows(site, "SELECT score FROM rating") == [(3,)]
    assert len(re.findall('value="3" aria-pressed="true"', cy.get(f"/p/{project.slug}/thanks").text)) == 1
    for score in ("0", "4", "x", ""):
        assert cy.post(f"/p/{project.slug}/rate", {"score": score}).status_code == 400
    ada, _ = owner(app, site, "ada@example.org", is_operator=True)
    assert "1 good, 0 all right, 0 not so good" in ada.get(f"/owner/projects/{project.slug}/dashboard").text


# -- keep my work -------------------------------------------------------------------------------------


def test_a_link_is_spent_by_its_button_never_by_looking(app: Flask, site: Site) -> None:
    project = published(site)
    phone = helper(app, site, project, 3)
    page = phone.post("/keep", {"email": address(site)})
    assert page.status_code == 200 and address(site) in page.text
    path, _ = letter(site)
    for _ in range(3):
        Person(app).get(path)  # a scanner of letters
        phone.client.head(path)
    assert "3 answers" in phone.get(path).text
    assert phone.post(path).status_code == 303
    assert address(site) in phone.get("/me").text
    assert phone.post(path).status_code == 403
    desk = helper(app, site, project)
    before = who(desk, site)
    desk.post("/keep", {"email": address(site)})
    path, code = letter(site)
    assert desk.post("/keep/code", {"code": "AAAA-AAAA", "email": address(site)}).status_code == 403
    assert desk.post("/keep/code", {"code": code}).status_code == 303
    assert who(desk, site) == who(phone, site) != before
    assert "devices together" in desk.get("/me").text
    assert invariants.check(site) == []


def test_the_answer_to_asking_does_not_tell_whether_an_address_is_known(app: Flask, site: Site) -> None:
    phone, stranger = Person(app), Person(app)
    phone.post("/keep", {"email": address(site)})
    phone.post(letter(site)[0])
    known = stranger.post("/keep", {"email": address(site)}).text
    unknown = stranger.post("/keep", {"email": "x" + address(site)}).text
    assert re.sub('value="[^"]+"', "", known) == re.sub('value="[^"]+"', "", unknown).replace(
        "x" + address(site), address(site)
    )


def test_an_old_cookie_is_the_persons_on_pages_and_its_forms_still_work(app: Flask, site: Site) -> None:
    project = published(site)
    phone, desk = helper(app, site, project), helper(app, site, project)
    phone.post("/keep", {"email": address(site)})
    phone.post(letter(site)[0])
    old = desk.client.get_cookie("mt")
    assert old is not None
    form = desk.token()
    desk.post("/keep", {"email": address(site)})
    desk.post(letter(site)[0])
    assert (
        desk.client.post(f"/p/{project.slug}/rate", data={"csrf_token": form, "score": "3"}).status_code
        == 303
    )
    stale = Person(app)
    stale.client.set_cookie("mt", old.value)
    assert address(site) in stale.get("/me").text
    assert who(stale, site) == who(phone, site)  # it was set anew


def test_forgetting_wants_a_tick_and_leaves_a_stranger(app: Flask, site: Site) -> None:
    project = published(site)
    cy = helper(app, site, project, 2)
    cy.post("/keep", {"email": address(site)})
    cy.post(letter(site)[0])
    before = who(cy, site)
    cy.post("/me/forget")
    assert who(cy, site) == before
    cy.post("/me/forget", {"sure": "1"})
    assert who(cy, site) != before
    assert address(site) not in cy.get("/me").text and "2 answers" not in cy.get("/me").text
    assert rows(site, "SELECT count(*) FROM answer") == [(2,)]
    tables = rows(
        site,
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name IN ('contributor_id', 'old_id')",
    )
    for (table,) in tables:
        assert rows(site, f"SELECT 1 FROM {table} t WHERE t::text LIKE %s", f"%{before}%") == [], table  # noqa: S608


def test_an_address_is_in_no_export_and_no_page_of_owners(app: Flask, site: Site) -> None:
    ada, ada_id = owner(app, site, "ada@example.org")
    project = published(site, account_id=ada_id)
    cy = helper(app, site, project)
    cy.post("/keep", {"email": address(site)})
    cy.post(letter(site)[0])
    pages = ("", "/dashboard", "/quality", "/tasks", "/reports")
    said = "".join(ada.get(f"/owner/projects/{project.slug}{page}").text for page in pages)
    assert address(site) not in said
    assert ada.get("/owner/mail").status_code == 404


def test_operators_see_letters_and_what_they_say_where_no_server_is_set(app: Flask, site: Site) -> None:
    cy = Person(app)
    cy.post("/keep", {"email": address(site)})
    (mail_id,) = rows(site, "SELECT id FROM mail")[0]
    from microtasks.engine.accounts import mail

    mail.send(site, mail_id)
    boss, _ = owner(app, site, "boss@example.org", is_operator=True)
    page = unescape(boss.get("/owner/mail").text)
    assert address(site) in page and letter(site)[0] in page and "MICROTASKS_SMTP_URL" in page
    assert boss.post(f"/owner/mail/{mail_id}/again").status_code == 404  # it is done
    rows(site, "UPDATE mail SET state = 'failed', error = '550 no' RETURNING 1")
    assert boss.post(f"/owner/mail/{mail_id}/again").status_code == 303
    assert boss.get("/owner/mail?before=x").status_code == 400


# -- time and certificates ----------------------------------------------------------------------------


def at(site: Site, minutes: list[float], seconds: list[float | None]) -> contributions.Totals:
    """Totals of one person's answers at these minutes, with these seconds."""
    made, cy = b.project(site), b.contributor()
    for task, minute, spent in zip(b.tasks(site, made, len(minutes)), minutes, seconds, strict=True):
        rows(
            site,
            "INSERT INTO answer (project_id, task_id, contributor_id, kind, status, value, seconds_spent,"
            " config_version, created_at)"
            " VALUES (%s, %s, %s, 'value', 'counted', '{}', %s, 1, timestamptz '2026-11-01 12:00Z'"
            " + make_interval(secs => %s)) RETURNING 1",
            made.id, task, cy, spent, minute * 60,
        )  # fmt: skip
    with site.db.connection() as connection:
        return contributions.totals(connection, cy)


@pytest.mark.parametrize(
    ("minutes", "seconds", "counted"),
    [
        ([0, 1, 2], [20, 30, 40], 90),
        ([0, 60], [3000, 20], 320),  # one answer: five minutes at most
        ([0, 0.1, 0.2], [300, 300, 300], 612),  # faster than any clock: the sitting's length, and ten minutes
        ([0, 600, 1200], [300, 300, 300], 900),  # three sittings
        ([0, 1], [None, 10], 10),
        ([0], [0], 0),
    ],
)
def test_time_is_counted_honestly(
    site: Site, minutes: list[float], seconds: list[float | None], counted: float
) -> None:
    found = at(site, minutes, seconds)
    assert (found.n_answers, found.seconds) == (len(minutes), pytest.approx(counted))


def test_a_certificate_shows_the_same_on_paper_and_by_its_link(app: Flask, site: Site) -> None:
    project = published(site, name="Craters & plains")
    cy = helper(app, site, project, 3, seconds=120)
    made = cy.post("/certificate", {"name": "  Zoë   Müller "})
    path = made.headers["Location"]
    assert re.fullmatch(r"/certificate/[\w-]{22}", path)
    anybody = Person(app)
    page = unescape(anybody.get(path).text)
    for fact in ("Zoë Müller", "3 answers", "6 minutes", "Craters & plains", f"http://localhost{path}"):
        assert fact in page
    assert "Delete it" not in page and "Delete it" in cy.get(path).text
    paper = anybody.get(path + ".pdf")
    assert paper.data.startswith(b"%PDF-") and paper.content_type == "application/pdf"
    assert f"http://localhost{path}".encode() in paper.data  # as a link to press
    helper(app, site, project)
    assert unescape(anybody.get(path).text) == page  # as it was when it was made
    assert anybody.post(path + "/delete").status_code == 404
    assert cy.post(path + "/delete").status_code == 303
    assert anybody.get(path).status_code == anybody.get(path + ".pdf").status_code == 404
    assert rows(site, "SELECT 1 FROM certificate") == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "Cy\x00", "Cy\x1b[1m", "\u202eevil"])
def test_a_name_that_cannot_be_printed_is_refused(app: Flask, site: Site, name: str) -> None:
    cy = helper(app, site, published(site))
    assert cy.post("/certificate", {"name": name}).status_code == 400
    assert rows(site, "SELECT 1 FROM certificate") == []


def test_without_an_answer_there_is_nothing_to_certify(app: Flask) -> None:
    assert Person(app).post("/certificate", {"name": "Cy"}).status_code == 409


@pytest.mark.parametrize(
    ("name", "has_pdf"),
    [("محمد الأمين", True), ("שרה כהן", True), ("Ελένη Жанна Łukasz", True), ("李明", False), ("देवी", False)],
)
def test_a_name_beyond_the_font_is_certified_by_the_page(
    app: Flask, site: Site, name: str, has_pdf: bool
) -> None:
    cy = helper(app, site, published(site))
    path = cy.post("/certificate", {"name": name}).headers["Location"]
    page = unescape(cy.get(path).text)
    assert name in page and ("Download as PDF" in page) is has_pdf
    assert cy.get(path + ".pdf").status_code == (200 if has_pdf else 404)


def outlines(font: Any, names: list[str]) -> set[tuple[Any, ...]]:
    """The drawn shapes of these letters."""
    return {tuple(font["glyf"][name].getCoordinates(font["glyf"])[0]) for name in names}


def test_arabic_letters_are_joined_and_run_from_right_to_left(app: Flask, site: Site) -> None:
    """The paper holds the joined shapes that HarfBuzz picks, and not those of letters that stand alone."""
    import uharfbuzz
    from fontTools.ttLib import TTFont

    name = "\u0645\u062d\u0645\u062f"  # meem, hah, meem, dal
    shaped = uharfbuzz.Buffer()
    shaped.add_str(name)
    shaped.guess_segment_properties()
    font = uharfbuzz.Font(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(certificates.FONT))))
    uharfbuzz.shape(font, shaped)
    assert [info.cluster for info in shaped.glyph_infos] == [3, 2, 1, 0]  # drawn from the last letter on
    cy = helper(app, site, published(site))
    path = cy.post("/certificate", {"name": name}).headers["Location"]
    paper = cy.get(path + ".pdf").data
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", paper, re.DOTALL)
    streams = [zlib.decompress(raw) for raw in streams if raw.startswith(b"x\x9c")]
    (embedded,) = [raw for raw in streams if raw.startswith(b"\0\1\0\0")]
    with TTFont(certificates.FONT) as whole, TTFont(io.BytesIO(embedded)) as part:
        joined = outlines(whole, [whole.getGlyphName(info.codepoint) for info in shaped.glyph_infos])
        alone = outlines(whole, [whole.getBestCmap()[0x645], whole.getBestCmap()[0x62D]])
        drawn = outlines(
            part, [one for one in part.getGlyphOrder() if part["glyf"][one].numberOfContours > 0]
        )
    assert joined <= drawn
    assert not alone & drawn


def test_a_certificate_is_in_the_language_it_was_asked_for_in(app: Flask, site: Site) -> None:
    cy = helper(app, site, published(site))
    cy.get("/language/ar")
    path = cy.post("/certificate", {"name": "Cy"}).headers["Location"]
    assert b"/Lang (ar)" in Person(app).get(path + ".pdf").data


# -- teams --------------------------------------------------------------------------------------------


def make_team(app: Flask, site: Site, name: str = "Class 7b") -> str:
    teacher, _ = owner(app, site, "teacher@example.org")
    made = teacher.post("/teams", {"name": name})
    assert made.status_code == 303
    return str(made.headers["Location"].rsplit("/", 1)[1])


def test_a_team_counts_what_its_members_give_from_joining_to_leaving(app: Flask, site: Site) -> None:
    project = published(site, 8, redundancy=5)
    code = make_team(app, site)
    cy = helper(app, site, project, 1)  # before: not the team's
    page = cy.get(f"/join/{code.lower()[:4]}-{code[4:]}").text
    assert "Class 7b" in page and "Join" in page
    assert rows(site, "SELECT 1 FROM team_member") == []  # looking is not joining
    cy.post(f"/join/{code}")
    cy.post(f"/join/{code}")
    for step in (2, 3):
        for _ in range(step):
            (lease,) = serve.lease(site, project.slug, who(cy, site)).leases
            submit.submit(site, who(cy, site), [AnswerIn(lease.token, "value", b.YES, 60.0)])
        if step == 2:
            assert cy.post(f"/join/{code}/leave").status_code == 303
    found = Person(app).get(f"/join/{code}").text
    assert re.search(r"<b>0</b><span>members", found) and re.search(r"<b>2</b><span>answers", found)
    assert "2 minutes" in found
    assert cy.post(f"/join/{code}/leave").status_code == 404


def test_who_may_make_a_team(app: Flask, site: Site) -> None:
    cy = helper(app, site, published(site))
    assert cy.post("/teams", {"name": "Ours"}).status_code == 403
    cy.post("/keep", {"email": address(site)})
    cy.post(letter(site)[0])
    made = cy.post("/teams", {"name": "Ours"})
    assert made.status_code == 303
    assert "Leave the team" in cy.get(made.headers["Location"]).text  # its maker is in it
    assert cy.post("/teams", {"name": " "}).status_code == 400
    assert Person(app).get("/join/NOSUCHXX").status_code == 404
    assert Person(app).get("/join?code=NOSUCHXX").status_code == 404


def test_team_totals_are_shown_to_everybody_only_where_the_owner_wants_it(app: Flask, site: Site) -> None:
    ada, ada_id = owner(app, site, "ada@example.org")
    project = published(site, account_id=ada_id)
    code = make_team(app, site)
    cy = helper(app, site, project, 0)
    cy.post(f"/join/{code}")
    (lease,) = serve.lease(site, project.slug, who(cy, site)).leases
    submit.submit(site, who(cy, site), [AnswerIn(lease.token, "value", b.YES, 60.0)])
    assert "Class 7b" not in cy.get(f"/p/{project.slug}").text
    assert ada.post(f"/owner/projects/{project.slug}/teams", {"show": "1"}).status_code == 303
    assert "Class 7b" in Person(app).get(f"/p/{project.slug}").text
    ada.post(f"/owner/projects/{project.slug}/teams", {"show": "0"})
    assert "Class 7b" not in cy.get(f"/p/{project.slug}").text
