"""Volunteers of known skill through the HTTP API: do consensus, skills and answers come out as promised?

    python -m benchmarks.crowd [--tasks 600] [--seed 1]

A question project with four choices whose truth is known, answered by good, average and poor volunteers, two
who always say the same, two who click at random, and two who agree on answers that have nothing to do with
the task. Once with five answers a task, then with "stop when sure": everybody at once, and one by one. What
comes out hangs on the seed and, for the audit and the order of tasks, on chance; no time is measured.
"""

from __future__ import annotations

import argparse
import io
import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from flask import Flask

from microtasks.engine.imports import importing
from microtasks.engine.imports.staging import Upload
from microtasks.engine.operations import invariants, jobs, simulate
from microtasks.engine.operations.simulate import Volunteer
from microtasks.engine.projects import projects
from microtasks.engine.projects.projects import ProjectIn
from microtasks.engine.results import review
from microtasks.engine.site import Site
from microtasks.store import jobs as waiting
from microtasks.store.results import ground_truth
from microtasks.web import create_app

LABELS = {"elliptical": 0.4, "spiral": 0.3, "edge_on": 0.2, "merger": 0.1}
CONFIG = {"fields": [{"id": "shape", "kind": "choice", "choices": [{"id": label} for label in LABELS]}]}
#: (how many, how often right) of each kind of honest volunteer; then those who are not.
HONEST = {"good": (8, 0.95), "average": (14, 0.8), "poor": (6, 0.6)}
OTHERS = {"same answer": 2, "at random": 2, "colluding": 2}
#: A review after so many answers at first, later after a tenth more.
REVIEW_EVERY = 100


@dataclass
class Person:
    """One volunteer with a browser of their own. said: the label by task, as acknowledged."""

    kind: str
    volunteer: Volunteer
    client: Any
    said: dict[int, str] = field(default_factory=dict)
    name: str = ""

    def label(self, task: Mapping[str, Any], right: Mapping[str, Any]) -> str:
        if self.kind == "same answer":
            return "elliptical"
        if self.kind == "colluding":  # a secret of the pair, not of the task
            shared = random.Random(self.volunteer.seed * 7919 + task["id"])  # noqa: S311
            return shared.choice(list(LABELS))
        said: str = self.volunteer.answer(task, right)["shape"]
        return said


@dataclass(frozen=True)
class Figures:
    """What came out. vote, model: accuracy of the consensus, 0..1. skills: by kind, (true, found) means.

    skill_error: mean difference between a volunteer's share of right answers and the skill found, for honest
    ones. left_out: how many of each kind weigh nothing. lost: acknowledged answers not stored as sent.
    """

    n_tasks: int
    n_answers: int
    vote: float
    model: float
    skills: dict[str, tuple[float, float]]
    skill_error: float
    left_out: dict[str, int]
    stops: Any
    lost: int
    broken: list[str]

    @property
    def per_task(self) -> float:
        return self.n_answers / self.n_tasks


def run(site: Site, n_tasks: int, seed: int, *, is_adaptive: bool, is_one_by_one: bool = False) -> Figures:
    """Let the crowd work until nothing is left. is_one_by_one: nobody holds a task while others answer."""
    project_id, slug = _project(site, n_tasks, seed, is_adaptive)
    app = create_app(site=site)
    right = simulate.known_truth(site, slug)
    people = _people(app, seed)
    _work(site, project_id, slug, people, right, random.Random(seed), is_one_by_one)  # noqa: S311
    review.review(site, project_id)
    return _figures(site, project_id, people, right)


def _project(site: Site, n_tasks: int, seed: int, is_adaptive: bool) -> tuple[int, str]:
    form: dict[str, Any] = {"stop_rule": "confidence", "redundancy": 10} if is_adaptive else {"redundancy": 5}
    made = projects.create(
        site, None, ProjectIn(name=f"Galaxies {seed}", task_type="question", config=CONFIG, **form)
    )
    assert made.id is not None  # noqa: S101  (stored)
    rng = random.Random(seed)  # noqa: S311
    rows = ["id,text,#truth"]
    for number in range(n_tasks):
        (label,) = rng.choices(list(LABELS), list(LABELS.values()))
        value = json.dumps({"shape": label}).replace('"', '""')
        rows.append(f'g{number},Galaxy {number},"{value}"')
    batch = importing.create_batch(
        site, made.id, [Upload("galaxies.csv", io.BytesIO("\n".join(rows).encode()))]
    )
    with site.db.connection() as connection:
        job = waiting.add(connection, "import", batch)  # the one that waits already
    jobs.run(site, job)
    projects.publish(site, made.id)
    return made.id, made.slug


def _people(app: Flask, seed: int) -> list[Person]:
    kinds = [(kind, skill) for kind, (n, skill) in HONEST.items() for _ in range(n)]
    kinds += [(kind, 1 / len(LABELS)) for kind, n in OTHERS.items() for _ in range(n)]
    return [
        Person(kind, Volunteer(number, skill, random.Random(seed * 1009 + number), seed), app.test_client())  # noqa: S311
        for number, (kind, skill) in enumerate(kinds)
    ]


def _work(
    site: Site,
    project_id: int,
    slug: str,
    people: list[Person],
    right: Mapping[int, Mapping[str, Any]],
    rng: random.Random,
    is_one_by_one: bool,
) -> None:
    """One request at a time, of a volunteer drawn at random; all hold a task meanwhile unless one by one."""
    held: dict[int, dict[str, Any] | None] = {}
    active = list(range(len(people)))
    n_answers, next_review = 0, REVIEW_EVERY
    while active:
        number = rng.choice(active)
        person = people[number]
        lease = held.pop(number, None)
        if lease is None:
            reply = person.client.post(f"/api/v1/projects/{slug}/leases", json={"limit": 1}).get_json()
            if not reply["leases"]:
                # Done, or every seat taken: the others may free one as long as any of them goes on.
                if reply["reason"] == "complete" or not held:
                    active.remove(number)
                continue
            (lease,) = reply["leases"]
            if not is_one_by_one:
                held[number] = lease
                continue
        task = lease["task"]
        label = person.label(task, right[task["id"]])
        sent = {"lease": lease["lease"], "kind": "value", "value": {"shape": label}, "seconds_spent": 5}
        body = {"answers": [sent], "next": 0 if is_one_by_one else 1}
        reply = person.client.post("/api/v1/answers", json=body).get_json()
        if reply["receipts"][0]["status"] != "counted":
            raise RuntimeError(reply)
        person.said[task["id"]] = label
        if reply["leases"]:
            held[number] = reply["leases"][0]
        n_answers += 1
        if n_answers >= next_review:
            review.review(site, project_id)
            next_review = n_answers + max(REVIEW_EVERY, n_answers // 10)


def _figures(
    site: Site, project_id: int, people: list[Person], right: Mapping[int, Mapping[str, Any]]
) -> Figures:
    with site.db.connection() as connection:
        values = ground_truth.consensus_values(connection, project_id)
        models = dict(
            connection.execute(
                "SELECT task_id, detail #>> '{fields,shape,model}' FROM consensus WHERE project_id = %s",
                (project_id,),
            ).fetchall()
        )
        stored: dict[str, dict[int, str]] = defaultdict(dict)
        for who, task, label in connection.execute(
            "SELECT contributor_id, task_id, value ->> 'shape' FROM answer WHERE project_id = %s",
            (project_id,),
        ):
            stored[review.pseudonym(site, who)][task] = label
    overview = review.overview(site, project_id, limit=1000)
    records = dict(overview.records)
    lost = 0
    for person in people:
        # Whose answers these are, nobody says: they are found by what was answered.
        person.name = next((name for name, said in stored.items() if said == person.said), "")
        lost += len(person.said) if not person.name else 0
    skills, errors, left_out = {}, [], Counter[str]()
    for kind in dict.fromkeys(person.kind for person in people):
        group = [person for person in people if person.kind == kind and person.name in records]
        found = [records[person.name].skill or 0.0 for person in group]
        shares = [mean(right[t]["shape"] == label for t, label in person.said.items()) for person in group]
        skills[kind] = (mean(shares), mean(found))
        if kind in HONEST:
            errors += [abs(a - b) for a, b in zip(shares, found, strict=True)]
        left_out[kind] = sum(records[person.name].is_excluded for person in group)
    return Figures(
        len(right),
        sum(len(person.said) for person in people),
        mean((values.get(task) or {}).get("shape") == value["shape"] for task, value in right.items()),
        mean(models.get(task) == value["shape"] for task, value in right.items()),
        skills,
        mean(errors),
        dict(left_out),
        overview.stops,
        lost,
        invariants.check(site),
    )


def table(figures: Mapping[str, Figures]) -> str:
    """The figures as a Markdown table, a column a run."""
    rows = [
        ("Answers a task", [f"{f.per_task:.2f}" for f in figures.values()]),
        ("Right by the vote", [f"{f.vote:.1%}" for f in figures.values()]),
        ("Right by the model", [f"{f.model:.1%}" for f in figures.values()]),
        (
            "Sure / full / disputed",
            [f"{f.stops.n_sure} / {f.stops.n_full} / {f.stops.n_disputed}" for f in figures.values()],
        ),
        ("Audited / overturned", [f"{f.stops.n_audited} / {f.stops.n_flipped}" for f in figures.values()]),
        ("Skill: mean error, honest volunteers", [f"{f.skill_error:.3f}" for f in figures.values()]),
    ]
    first = next(iter(figures.values()))
    for kind in first.skills:
        rows.append(
            (
                f"{kind}: right in truth, skill found, left out",
                [
                    f"{f.skills[kind][0]:.2f}, {f.skills[kind][1]:.2f}, {f.left_out[kind]}"
                    for f in figures.values()
                ],
            )
        )
    rows += [
        ("Acknowledged answers not stored as sent", [str(f.lost) for f in figures.values()]),
        ("Invariants broken", [str(len(f.broken)) for f in figures.values()]),
    ]
    lines = ["| |" + "|".join(f" {name} " for name in figures) + "|", "| --- |" + " --- |" * len(figures)]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows]
    return "\n".join(lines)


def main() -> None:
    from benchmarks.hotpath import fresh_site

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    figures = {}
    for name, is_adaptive, is_one_by_one in (
        ("five answers, vote", False, False),
        ("stop when sure, all at once", True, False),
        ("stop when sure, one by one", True, True),
    ):
        with fresh_site() as site:
            figures[name] = run(
                site, given.tasks, given.seed, is_adaptive=is_adaptive, is_one_by_one=is_one_by_one
            )
    print(table(figures))


if __name__ == "__main__":
    main()
