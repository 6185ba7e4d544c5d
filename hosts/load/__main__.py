"""`python -m hosts.load`: one run from this host. Progress as JSON lines; a last line sums up.

It ends with its trace, at SIGTERM, or when its standard input says `stop`; the history is written
in any case.
"""

import argparse
import json
import os
import select
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

# numpy's BLAS would start threads that take turns on the cores for nothing.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from hosts.load.cluster import Cluster
from hosts.load.driver import Driver, Pace, Target
from hosts.load.history import History, Status
from hosts.load.keys import Names
from hosts.load.trace import SWEEPS, WORKLOADS, TraceError, make

# What a closed loop may do in a second at most; its trace must not end before its time.
MOST_PER_SECOND: Final = 200_000
MOST_OVER_TCP: Final = 80_000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hosts.load", description=__doc__)
    add = parser.add_argument
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--vip", help="address of the service")
    where.add_argument(
        "--cluster",
        metavar="HOST:PORT,…",
        help="nodes of a stock Redis or Valkey cluster, over TCP",
    )
    add("--port", type=int, default=4700, help="of the service")
    add("--service", type=int, default=1, help="service id")
    add("--connections", type=int, default=50, help="to each node of the cluster, at most")
    add("--workload", required=True, help=f"{', '.join(WORKLOADS)}; or W10: 10 % writes")
    add("--keys", type=int, required=True, help="number of records (of counters)")
    add("--value-size", type=int, default=64, help="bytes, at least 16")
    add("--rate", type=float, default=0.0, help="open loop: operations per second")
    add("--closed", type=int, default=0, metavar="N", help="closed loop: N outstanding")
    add("--seconds", type=float, default=10.0, help="how long to start operations")
    add("--seed", type=int, default=1)
    add("--run", type=int, default=0, help="number of this run over the same data, below 1024")
    add("--share", default="0/1", metavar="I/N", help="this is generator I (from 0) of N")
    add("--names", type=Path, help="names of the first keys (hosts.load.keys.Names), if not YCSB's")
    add("--timeout", type=float, default=5.0, help="seconds until an operation is given up")
    add("--resend-after", type=float, default=0.05, help="seconds until the first resend")
    add("--history", type=Path, help="write every operation to this .npz file")
    add("--interval", type=float, default=0.2, help="seconds between progress lines")
    return parser.parse_args()


def _target(settings: argparse.Namespace) -> Target | Cluster:
    if settings.cluster:
        return Cluster.parse(settings.cluster, settings.connections, settings.timeout)
    return Target(
        settings.vip, settings.port, settings.service, settings.timeout, settings.resend_after
    )


def _driver(settings: argparse.Namespace) -> Driver:
    index, _, of = settings.share.partition("/")
    sweep = settings.workload in SWEEPS
    if not sweep and (settings.rate > 0) == (settings.closed > 0):
        raise TraceError("give either --rate (open loop) or --closed (outstanding operations)")
    per_second = settings.rate or (MOST_OVER_TCP if settings.cluster else MOST_PER_SECOND)
    trace = make(
        settings.workload,
        records=settings.keys,
        operations=int(per_second * settings.seconds),
        seed=settings.seed,
        share=(int(index), int(of or 1)),
    )
    outstanding = settings.closed or Pace.outstanding
    pace = Pace(settings.rate, outstanding, 1e8 if sweep else settings.seconds)
    # Ids name a write among those of all generators and runs: the loading one's start from 1.
    first_id = 1 + int(index) * (1 << 40) + (settings.run << 46) + (0 if sweep else 1 << 56)
    return Driver(
        _target(settings),
        trace,
        pace,
        records=settings.keys,
        value_size=settings.value_size,
        first_id=first_id,
        names=Names.load(settings.names) if settings.names else None,
    )


def _say(line: dict[str, Any]) -> None:
    shown = {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in line.items()}
    print(json.dumps(shown), flush=True)


def summary(history: History) -> dict[str, Any]:
    """What a run came to."""
    rows = history.records[history.records["status"] != Status.UNSENT]
    seconds = (rows["responded"].max() - rows["invoked"].min()) / 1e9 if rows.size else 0.0
    latencies = history.latencies
    marks = np.percentile(latencies, [50, 99, 99.9]) if latencies.size else [float("nan")] * 3
    counted = {s.name.lower(): int(np.count_nonzero(rows["status"] == s)) for s in Status}
    del counted["unsent"]
    counts = history.about["counts"]
    return {
        "final": True,
        "operations": int(rows.size),
        "errors": int(rows.size) - counted["ok"],
        "seconds": round(float(seconds), 3),
        "throughput": round(counted["ok"] / seconds, 1) if seconds else 0.0,
        **{f"p{q}": round(float(v), 1) for q, v in zip(("50", "99", "999"), marks, strict=True)},
        **counted,
        "counts": counts,
        "cpu_us_per_operation": round(history.about["cpu_seconds"] * 1e6 / max(1, rows.size), 2),
        "messages": history.about["messages"],
    }


def _watch(driver: Driver, thread: threading.Thread, interval: float) -> None:
    """Print progress until the run ends; pass on a stop."""
    inputs: list[Any] = [] if sys.stdin.isatty() else [sys.stdin]
    started = last = time.monotonic()
    done = 0
    while thread.is_alive():
        ready, _, _ = select.select(inputs, [], [], max(0.0, last + interval - time.monotonic()))
        if ready:
            line = sys.stdin.readline()
            if line.strip() == "stop":
                driver.stop()
            elif not line:
                inputs = []
            continue
        now, progress = time.monotonic(), driver.progress()
        rate = (progress.done - done) / (now - last)
        _say({"t": round(now - started, 3), **asdict(progress), "rate": round(rate, 1)})
        last, done = now, progress.done


def main() -> int:
    """Exit status 0: every operation succeeded; 1: some did not; 2: it could not start."""
    settings = _arguments()
    try:
        driver = _driver(settings)
    except (ValueError, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: driver.stop())
    signal.signal(signal.SIGINT, lambda *_: driver.stop())
    ended: list[History | Exception] = []

    def run() -> None:
        try:
            ended.append(driver.run())
        except ValueError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    _watch(driver, thread, settings.interval)
    thread.join()
    (history,) = ended
    if isinstance(history, Exception):
        print(f"load: {history}", file=sys.stderr)
        return 2
    history.about.update(workload=settings.workload, keys=settings.keys, seed=settings.seed)
    if settings.history:
        history.save(settings.history)
    final = summary(history)
    _say(final)
    return 1 if final["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
