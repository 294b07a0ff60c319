"""One table: what the site does, each line beside its target.

    python -m benchmarks [--size 100000] [--seconds 10] [--only hotpath,bulk]

`SIZE=1000000 make bench` does the same for a million tasks. Counts (buffers, answers) do not depend on the
machine. Processor times are ratios within this run; rates by the clock depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import time

from benchmarks import bulk, hotpath


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=int(os.environ.get("SIZE") or 100_000), help="of tasks")
    parser.add_argument("--seconds", type=float, default=10, help="of each way over HTTP")
    parser.add_argument("--only", default="hotpath,bulk")
    arguments = parser.parse_args()
    begin = time.monotonic()
    load = os.getloadavg()[0]
    hotpath.say("WHAT", "MEASURED", "TARGET")
    hotpath.say("load of the machine before, processors", f"{load:.1f}, {os.cpu_count()}")
    size = arguments.size
    if "hotpath" in arguments.only:
        with hotpath.fresh_site() as site:
            hotpath.measure_buffers(site, size)
            hotpath.measure_cpu(site, min(size, 100_000))
            hotpath.measure_http(site, size, arguments.seconds)
            hotpath.measure_race(site)
            hotpath.measure_chaos(site)
    if "bulk" in arguments.only:
        with hotpath.fresh_site() as site:
            bulk.measure_import(site, size)
            bulk.measure_export(site, size)
            bulk.measure_images(site)
    hotpath.say("minutes of all this", f"{(time.monotonic() - begin) / 60:.1f}", "< 10")


if __name__ == "__main__":
    main()
