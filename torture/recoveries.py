"""How long it took until all was well again after each fault."""

import bisect
import statistics
import threading
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic_ns
from typing import Any, Final

import grpc

from hosts.agent import agent_pb2 as pb
from hosts.agent.agent_pb2_grpc import AgentStub
from hosts.check.search import Call
from hosts.wire import group_of
from torture.rack import Rack
from torture.strikes import Strike

_INTERVAL: Final = 0.05
_MOVED: Final = ("keys_sent", "keys_applied", "groups_sent", "groups_received")
RESTARTS: Final = ("switch", "agents", "controller", "store")


class Movement:
    """Notes while it is entered when each agent got on with a migration, by its counters."""

    def __init__(self, rack: Rack) -> None:
        self.moved: dict[str, list[int]] = {server: [] for server in rack.servers}
        """By server: when it had sent or taken more than at the look before."""
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(server, rack.agent(server)), name=server)
            for server in rack.servers
        ]

    def __enter__(self) -> "Movement":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, server: str, where: str) -> None:
        options = [
            ("grpc.max_reconnect_backoff_ms", 100),
            ("grpc.initial_reconnect_backoff_ms", 50),
        ]
        known = 0
        with grpc.insecure_channel(where, options=options) as channel:
            stub: Any = AgentStub(channel)
            while not self._over.wait(_INTERVAL):
                try:
                    counters = stub.GetStatus(pb.StatusRequest(), timeout=1.0).counters
                except grpc.RpcError:
                    continue
                found = sum(counters[name] for name in _MOVED)
                if found > known:
                    self.moved[server].append(monotonic_ns())
                known = found


def recoveries(
    strikes: Iterable[Strike],
    calls: Mapping[str, Sequence[Call]],
    moved: Mapping[str, Sequence[int]],
) -> list[dict[str, Any]]:
    """Return each fault and, in seconds: for how long it was held; from its beginning until the
    first command on one of the struck groups that was sent after it was answered; the same until a
    struck server that took part in a migration got on with it, if it did; and how long after its
    end clients still waited for what they had asked before."""
    everything = [(call, group_of(key.encode())) for key, each in calls.items() for call in each]
    answers = sorted(
        (call.end, call.begin, group) for call, group in everything if call.end is not None
    )
    return [
        {
            "kind": strike.kind,
            "what": strike.what,
            "seconds": _seconds(strike.end - strike.begin),
            "held": round(strike.held, 3),
            "served_after": _served(strike, answers),
            "moved_after": _moved(strike, moved),
            "recovered_after": _waited(strike, [call for call, _ in everything]),
        }
        for strike in strikes
    ]


def _seconds(nanoseconds: int) -> float:
    return round(nanoseconds / 1e9, 3)


def _served(strike: Strike, answers: Sequence[tuple[int, int, int]]) -> float | None:
    for end, begin, group in answers[bisect.bisect(answers, (strike.begin,)) :]:
        if begin > strike.begin and any(group in groups for groups in strike.groups):
            return _seconds(end - strike.begin)
    return None


def _moved(strike: Strike, moved: Mapping[str, Sequence[int]]) -> float | None:
    if not strike.moving:
        return None
    servers = [strike.server] if strike.server else moved
    # migrations go on without the controller; what moved while something else was down is no
    # sign that it is back
    since = strike.begin if strike.kind == "controller" else strike.end
    later = [when for server in servers for when in moved[server] if when > since]
    return _seconds(min(later) - strike.begin) if later else None


def _waited(strike: Strike, calls: Iterable[Call]) -> float:
    waiting = [
        call.end
        for call in calls
        if call.begin < strike.end and call.end is not None and call.end > strike.end
    ]
    return _seconds(max(waiting, default=strike.end) - strike.end)


def table(found: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return of each kind of restart how long it was until its groups were served and migrations
    went on, the time for which the part was kept away taken off: median and longest."""
    result: dict[str, dict[str, float]] = {}
    for kind in RESTARTS:
        row: dict[str, float] = {}
        for name in ("served_after", "moved_after"):
            times = [
                max(0.0, each[name] - each["held"])
                for each in found
                if each["kind"] == kind and each[name] is not None
            ]
            if times:
                row[f"{name}_median"] = round(statistics.median(times), 3)
                row[f"{name}_longest"] = round(max(times), 3)
                row[f"{name}_count"] = len(times)
        if row:
            result[kind] = row
    return result
