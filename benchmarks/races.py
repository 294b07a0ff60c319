"""Does the engine stay exact when everybody wants the same tasks at once?

    python -m benchmarks.races [--rounds 1000]

Starts its own PostgreSQL and Valkey. Only counts come out; time does not matter.
"""

from __future__ import annotations

import argparse
import multiprocessing
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from benchmarks.scene import fresh_site, make_project, say, settings_of
from microtasks.engine.assignment import serve, submit, sweep
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings

YES = {"answer": "yes"}
N_CLIENTS, N_PROCESSES = 64, 2


def measure_race(site: Site) -> None:
    """The closest peer's race: 20 volunteers, 50 ms to think, 30 tasks x 3 (the peer collected 514)."""
    slug = make_project(site, 30, redundancy=3)
    receipts: Counter[str] = Counter()

    def volunteer(_: int) -> None:
        who = uuid.uuid4()
        while True:
            served = serve.lease(site, slug, who)
            if served.reason == "complete":
                return
            time.sleep(0.05)
            for lease in served.leases:
                said = submit.submit(site, who, [AnswerIn(lease.token, "value", YES)])
                receipts.update(receipt.status for receipt in said.receipts)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(volunteer, range(20)))
    say("20 volunteers, 50 ms think time, 30 tasks x 3: answers", f"{receipts['counted']}", "90")


def measure_chaos(site: Site, rounds: int = 50) -> None:
    """The last task, over and over: 64 clients, abandoned leases, answers twice and late, two sweepers."""
    slugs = [make_project(site, 1, redundancy=3, is_analyzed=False) for _ in range(rounds)]
    with site.db.connection() as connection:  # every second one by need, as near the end, not by the walk
        connection.execute("UPDATE project SET is_ending = true WHERE slug = ANY(%s)", (slugs[1::2],))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(N_PROCESSES, context) as pool:
        shares = [
            (settings_of(site), slugs[share * rounds // N_PROCESSES : (share + 1) * rounds // N_PROCESSES])
            for share in range(N_PROCESSES)
        ]
        for done in [pool.submit(chaos, *share) for share in shares]:
            done.result()
    broken: Counter[str] = Counter()
    with site.db.connection() as connection:
        found = connection.execute(
            """SELECT t.n_answers, t.redundancy, t.retired_at IS NOT NULL,
                      count(a.id) FILTER (WHERE a.status = 'counted'),
                      count(a.id) - count(DISTINCT a.contributor_id)
               FROM task t JOIN project p ON p.id = t.project_id LEFT JOIN answer a ON a.task_id = t.id
               WHERE p.slug = ANY(%s) GROUP BY t.id""",
            (slugs,),
        ).fetchall()
    assert len(found) == rounds  # noqa: S101
    for n, wanted, is_retired, n_rows, n_doubled in found:
        broken["over"] += n > wanted
        broken["short"] += n < wanted
        broken["stuck"] += not is_retired
        broken["double"] += n_doubled > 0
        broken["counters"] += n != n_rows
    names = ("over", "short", "double", "stuck", "counters")
    say(
        f"{N_CLIENTS} clients on the last task, 30 % gone, twice, late; {rounds:,} rounds",
        ", ".join(f"{name} {broken[name]}" for name in names),
        "0 each",
    )
    say("invariants broken after that", str(len(invariants.check(site))), "0")


def chaos(settings: dict[str, Any], slugs: list[str]) -> None:
    """Each project's one task until it is complete; in a process of its own."""
    site = open_site(Settings(**settings))
    for slug in slugs:
        stop = threading.Event()

        def sweeper(stop: threading.Event = stop) -> None:
            while not stop.is_set():
                with site.db.connection() as connection:  # who walked away comes no more
                    connection.execute("UPDATE lease SET expires_at = now() WHERE network = 'gone'")
                sweep.sweep(site)
                time.sleep(0.01)

        def client(number: int, slug: str = slug) -> None:
            who, is_gone = uuid.uuid4(), number % 10 < 3
            for _ in range(40):
                served = serve.lease(site, slug, who, network=b"gone" if is_gone else None)
                if served.reason == "complete":
                    return
                for lease in served.leases:
                    if is_gone:
                        time.sleep(0.03)  # late: the lease was taken back, or is about to be
                    for _ in range(2):
                        submit.submit(site, who, [AnswerIn(lease.token, "value", YES)])

        with ThreadPoolExecutor(N_CLIENTS + 2) as pool:
            sweepers = [pool.submit(sweeper) for _ in range(2)]
            list(pool.map(client, range(N_CLIENTS)))
            stop.set()
            for done in sweepers:
                done.result()
    site.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1_000)
    arguments = parser.parse_args()
    with fresh_site() as site:
        measure_race(site)
        measure_chaos(site, arguments.rounds)


if __name__ == "__main__":
    main()
