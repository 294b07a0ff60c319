"""A stranger with many identities against a project: what can be flipped, starved and found.

    python -m benchmarks.attack [--tasks 300] [--identities 1000]

Through the engine, with the networks that the web would give it; counts alone, which no machine changes. The
right answer of every task is "yes"; the attacker says "no". Every tenth task is a known one.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import builders

from benchmarks.scene import fresh_site, say
from microtasks.core.errors import TooMany
from microtasks.engine.assignment import serve, submit, sweep
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.site import Site

HONEST = 100


@dataclass
class Project:
    slug: str
    n_tasks: int
    redundancy: int
    gold: set[int]


@dataclass
class Person:
    network: bytes
    id: uuid.UUID = field(default_factory=uuid.uuid4)


def make(site: Site, n: int, redundancy: int) -> Project:
    made = builders.project(site, redundancy=redundancy, gold_share=0.1)
    tasks = builders.tasks(site, made, n, gold=[builders.YES if i % 10 == 5 else None for i in range(n)])
    sweep.advance_heads(site)
    return Project(made.slug, n, redundancy, set(tasks[5::10]))


def crowd(n: int, n_networks: int, name: str) -> list[Person]:
    return [Person(builders.network(f"{name} {i % n_networks}")) for i in range(n)]


def lease(site: Site, project: Project, who: Person, limit: int) -> list[serve.Lease]:
    return serve.lease(site, project.slug, who.id, limit=limit, network=who.network).leases


def answer(site: Site, project: Project, who: Person, value: dict[str, str], limit: int) -> list[int]:
    """Do up to `limit` tasks; return which."""
    held = lease(site, project, who, limit)
    try:
        submit.submit(site, who.id, [AnswerIn(it.token, "value", value) for it in held], network=who.network)
    except TooMany:
        return []
    return [it.task["id"] for it in held]


def starve(site: Site, project: Project, attackers: list[Person]) -> None:
    """Everybody takes all they can get and answers nothing; then ten others come; later all come again."""
    seats = project.n_tasks * project.redundancy
    held: Counter[bytes] = Counter()
    for who in attackers:
        held[who.network] += len(lease(site, project, who, 20))
    served = sum(len(lease(site, project, who, 20)) for who in crowd(10, 10, "honest"))
    with site.db.connection() as connection:
        connection.execute("UPDATE lease SET expires_at = now() - interval '1 s'")
    sweep.sweep(site)
    again = sum(len(lease(site, project, who, 20)) for who in attackers[:100])
    say(
        f"R={project.redundancy}, {len(held)} network(s): seats held by one, by all",
        f"{max(held.values()) / seats:.0%}, {sum(held.values()) / seats:.0%}",
        "<= 20 % each",
    )
    say("  tasks that ten others then got, of 200 asked for", f"{served}")
    say("  seats that the first 100 get once these lapsed", f"{again / seats:.0%}")


def flip(site: Site, project: Project, attackers: list[Person], honest_share: float) -> None:
    """The attacker's identities and honest volunteers answer in turns, five tasks each, to the end."""
    rng = random.Random(1)  # noqa: S311
    honest = crowd(HONEST, HONEST, "honest")
    waiting = [attackers[:], honest[:]]
    for each in waiting:
        rng.shuffle(each)
    while any(waiting):
        side = 1 if waiting[1] and (not waiting[0] or rng.random() < honest_share) else 0
        who = waiting[side].pop()
        if answer(site, project, who, builders.YES if side else builders.NO, 5) and side:
            waiting[1].insert(0, who)
    with site.db.connection() as connection:
        rows = connection.execute(
            "SELECT c.value->>'answer', count(*) FROM task t LEFT JOIN consensus c ON c.task_id = t.id"
            " JOIN project p ON p.id = t.project_id"
            " WHERE p.slug = %s AND t.retired_at IS NOT NULL GROUP BY 1",
            (project.slug,),
        ).fetchall()
    said = Counter(dict(rows))
    n_networks = len({who.network for who in attackers})
    done = sum(said.values()) or 1
    say(
        f"R={project.redundancy}, {n_networks} network(s), {honest_share:.0%} honest requests: tasks flipped",
        f"{said['no'] / done:.1%} of {done}",
        "0 for 1 network" if n_networks == 1 else "",
    )


def find_gold(site: Site, project: Project, attackers: list[Person]) -> None:
    """Identities answer twenty tasks each and compare: how often, by whom and in which order each came."""
    seen: dict[int, Counter[bytes]] = defaultdict(Counter)
    orders: list[list[int]] = []
    for who in attackers:
        done: list[int] = []
        for _ in range(4):
            done += answer(site, project, who, builders.NO, 5)
        for task in done:
            seen[task][who.network] += 1
        orders.append(done)
        if sum(map(len, orders)) > project.n_tasks * project.redundancy:
            break
    cap = max(1, (project.redundancy - 1) // 2)
    over = {
        task for task, by in seen.items() if sum(by.values()) > project.redundancy or max(by.values()) > cap
    }
    place = [{task: i for i, task in enumerate(order)} for order in orders]
    moved: Counter[int] = Counter()
    for one in place[:60]:
        for other in place[:60]:
            common = sorted(one.keys() & other.keys(), key=one.__getitem__)
            for a, b in itertools.pairwise(common):
                if other[a] > other[b]:
                    moved[a] += 1
                    moved[b] += 1
    by_order = {task for task, _ in moved.most_common(len(project.gold))}
    gold = project.gold & seen.keys()
    for name, found in (("seen more often than there are seats", over), ("out of order", by_order)):
        right = len(found & gold)
        say(
            f"R={project.redundancy}, {len({w.network for w in attackers})} network(s): tasks {name}",
            f"{len(found)}, {right} of {len(gold)} known ones",
            "0",
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--identities", type=int, default=1000)
    arguments = parser.parse_args()
    say("WHAT", "MEASURED", "TARGET")
    with fresh_site() as site:
        for redundancy in (3, 5):
            for n_networks in (1, 10):
                attackers = crowd(arguments.identities, n_networks, "attacker")
                starve(site, make(site, arguments.tasks, redundancy), attackers)
                for honest_share in (0.0, 0.5, 0.9):
                    flip(site, make(site, arguments.tasks, redundancy), attackers, honest_share)
                find_gold(site, make(site, arguments.tasks, redundancy), attackers)


if __name__ == "__main__":
    main()
