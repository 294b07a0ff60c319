"""One table: what the site does, each line beside its target.

    python -m benchmarks [--size 100000] [--seconds 10] [--only hotpath,races,bulk]

`make bench SIZE=1000000` does the same for a million tasks, ten million answers and a thousand rounds of the
race. Counts (buffers, answers) do not depend on the machine. Processor times are ratios within this run; what
goes by the clock depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import time

from benchmarks import bulk, hotpath, races
from benchmarks.scene import fresh_site, say


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=int(os.environ.get("SIZE") or 100_000), help="of tasks")
    parser.add_argument("--seconds", type=float, default=10, help="of each way over HTTP")
    parser.add_argument("--only", default="hotpath,races,bulk")
    arguments = parser.parse_args()
    begin = time.monotonic()
    load = os.getloadavg()[0]
    say("WHAT", "MEASURED", "TARGET")
    say("load of the machine before, processors", f"{load:.1f}, {os.cpu_count()}")
    size = arguments.size
    with fresh_site() as site:
        if "hotpath" in arguments.only:
            hotpath.measure(site, size, arguments.seconds)
        if "races" in arguments.only:
            races.measure_race(site)
            races.measure_chaos(site, min(max(size // 1_000, 50), 1_000))
    with fresh_site() as site:
        if "bulk" in arguments.only:
            bulk.measure(site, size, 10 * size)
    say("minutes of all this", f"{(time.monotonic() - begin) / 60:.1f}", "< 10")


if __name__ == "__main__":
    main()
