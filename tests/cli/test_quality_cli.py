"""`microtasks quality` and `project create --stop-rule`."""

from __future__ import annotations

import json
from collections.abc import Callable

from builders import NO, YES, answers, contributor, project, tasks
from click.testing import Result

from microtasks.engine.site import Site
from microtasks.store.projects.projects import by_slug


def test_quality_says_what_the_owners_page_says(site: Site, cli: Callable[..., Result]) -> None:
    of = project(site, redundancy=4)
    people, spam = [contributor() for _ in range(3)], contributor()
    for number, task in enumerate(tasks(site, of, 20)):
        answers(site, of, task, [YES if number % 2 else NO] * 3 + [YES], contributors=[*people, spam])
    found = json.loads(cli("quality", of.slug, "--json").stdout)
    assert found["agreement"]["answer"]["alpha"] == 1.0
    (left_out,) = [one for one in found["volunteers"] if one["is_excluded"]]
    assert left_out["habits"] == ["always_the_same"]
    assert cli("quality", of.slug).stdout.count("always_the_same") == 1
    found = json.loads(cli("quality", of.slug, "--json", "--take-in", left_out["name"]).stdout)
    assert not any(one["is_excluded"] for one in found["volunteers"])
    assert found["agreement"]["answer"]["alpha"] < 1.0
    assert cli("quality", of.slug, "--leave-out", "nobody").exit_code != 0
    assert cli("quality", "no-such-project").exit_code != 0


def test_a_project_stops_when_sure_only_if_told_to(site: Site, cli: Callable[..., Result], tmp_path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"tags": [{"id": "gull"}]}')
    made = [
        cli("project", "create", "--type", "tagging", "--name", "Birds", "--config", config, *more).stdout
        for more in ([], ["--stop-rule", "confidence", "--redundancy", "10"])
    ]
    with site.db.session() as session:
        fixed, sure = (by_slug(session, slug.strip()) for slug in made)
    assert (fixed.stop_rule, fixed.redundancy, fixed.answers_min) == ("redundancy", 5, 5)
    assert (sure.stop_rule, sure.redundancy, sure.answers_min, sure.stop_threshold) == (
        ("confidence", 10, 2, 0.95)
    )


def test_quality_says_what_another_setting_would_have_needed(site: Site, cli: Callable[..., Result]) -> None:
    of = project(site, redundancy=4)
    people = [contributor() for _ in range(4)]
    for number, task in enumerate(tasks(site, of, 20)):
        answers(site, of, task, [YES if number % 2 else NO] * 4, contributors=people)
    found = json.loads(cli("quality", of.slug, "--json", "--what-if", "2", "--what-if", "4:0.9").stdout)
    assert [found["what_if"][0][name] for name in ("n_needed", "n_changed")] == [40, 0]
    assert found["alpha"] == 1.0
    assert found["for_reviewers"] == 0
    for wrong in ("many", "0", "3:2"):
        assert cli("quality", of.slug, "--what-if", wrong).exit_code != 0
