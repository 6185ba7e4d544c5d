"""How long big values block the stores while they move: `python -m tests.agent.measure_big`.

For each type one value moves between two agents, unthrottled. Every millisecond a process of its
own sends PING to either store. How long that waits says also what else the machine does, so it is
shown beside the same without a migration; what the store's thread has worked meanwhile (processor
time) does not, and is what the migration is to blame for. The store's own view is the longest
command in its SLOWLOG, which is wall time again.
"""

import ctypes
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import grpc
import typer

from hosts.agent import agent_pb2 as pb
from hosts.agent import agent_pb2_grpc
from hosts.wire import GROUPS
from tests.agent.harness import Store, message, stores
from tests.agent.measure import agents, assign

Longest: TypeAlias = "SynchronizedArray[float]"

_AT_ONCE = 1000
_GROUPS = [pb.GroupRange(first=0, last=GROUPS - 1)]
_IDLE_SECONDS = 5.0


def _work(pid: int) -> int:
    """Return the processor time of a process's main thread, in ns."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0])


def _ping(path: str, pid: int, longest: Longest) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        while True:
            began, work = time.perf_counter(), _work(pid)
            sock.sendall(b"PING\r\n")
            sock.recv(64)
            took = time.perf_counter() - began, (_work(pid) - work) / 1e9
            for index, each in enumerate(took):
                longest[index] = max(longest[index], each)
            time.sleep(0.001)


@contextmanager
def probe(store: Store) -> Iterator[Longest]:
    """Ask a store every millisecond; yield the longest that it let an answer wait and that it
    worked meanwhile, in seconds."""
    longest: Longest = multiprocessing.Array(ctypes.c_double, 2)
    process = multiprocessing.Process(
        target=_ping, args=(str(store.path), store.process.pid, longest), daemon=True
    )
    process.start()
    yield longest
    process.kill()
    process.join()


def taken(longest: Longest) -> str:
    """Return what a probe has found since the last call."""
    wait, work = (1000 * each for each in longest[:])
    longest[:] = [0.0, 0.0]
    return f"PING waited {wait:.1f} ms, for {work:.1f} ms of work"


def slowest(store: Store) -> str:
    """Return the longest command since the last call, and how long it took; forget them all."""
    log = [
        (each["duration"] / 1000, each["command"].split()[0].decode())
        for each in store.client.slowlog_get(10_000)
    ]
    store.client.slowlog_reset()
    took, name = max(log, default=(0.0, "none"))
    return f"{name} {took:.1f} ms"


def fill(store: Store, kind: str, elements: int, megabytes: int) -> None:
    """Write the value `k`."""
    if kind == "string":
        store.client.set("k", os.urandom(megabytes << 20))
        return
    pipe: Any = store.client.pipeline(transaction=False)
    one: dict[str, Callable[[int], tuple[object, ...]]] = {
        "RPUSH": lambda n: (f"element{n:012d}",),
        "HSET": lambda n: (f"field{n:012d}", f"value{n}"),
        "SADD": lambda n: (f"member{n:012d}",),
        "ZADD": lambda n: (n / 7, f"member{n:012d}"),
        "XADD": lambda n: (f"{n + 1}-1", "field", f"value{n}"),
    }
    command = {"list": "RPUSH", "hash": "HSET", "set": "SADD", "zset": "ZADD", "stream": "XADD"}
    name, at_once = command[kind], 1 if kind == "stream" else _AT_ONCE
    for first in range(0, elements, at_once):
        words = [word for n in range(first, first + at_once) for word in one[name](n)]
        pipe.execute_command(name, "k", *words)
        if first % 20_000 == 0:
            pipe.execute()
    pipe.execute()


def move(name: str, running: list[Store], grace: float) -> float:
    """Migrate everything, wait until the source's copies are deleted; return how many seconds the
    migration took."""
    with agents(Path(name), running, grace) as found:
        servers = [server for server, _, _ in found]
        stubs = [agent_pb2_grpc.AgentStub(grpc.insecure_channel(at)) for _, at, _ in found]
        for stub in stubs:
            assign(stub, servers, servers[1])
        stubs[1].AcceptMigration(
            pb.AcceptRequest(migration=1, source=message(servers[0]), groups=_GROUPS)
        )
        began = time.perf_counter()
        stubs[0].StartMigration(
            pb.StartRequest(
                migration=1, destination=message(servers[1]), groups=_GROUPS, lanes=64, throttle=0
            )
        )
        for last in stubs[0].WatchMigration(pb.WatchRequest(migration=1)):
            progress = last
        seconds = time.perf_counter() - began
        assert progress.state == pb.DONE, progress.error
        while running[0].client.dbsize():
            time.sleep(0.05)
    return seconds


def main(
    kinds: Annotated[str, typer.Option(help="Types, with commas.")] = (
        "string,list,hash,set,zset,stream"
    ),
    elements: Annotated[int, typer.Option(help="Of each value but the string.")] = 1_000_000,
    megabytes: Annotated[int, typer.Option(help="Of the string.")] = 100,
) -> None:
    """One value of each type."""
    for kind in kinds.split(","):
        with ExitStack() as stack:
            name = stack.enter_context(tempfile.TemporaryDirectory())
            running = stack.enter_context(stores(Path(name), 2))
            for store in running:
                store.command("CONFIG", "SET", "slowlog-max-len", 10_000)
                store.command("CONFIG", "SET", "slowlog-log-slower-than", 500)
            fill(running[0], kind, elements, megabytes)
            size = running[0].command("MEMORY", "USAGE", "k") / 1e6
            probes = [stack.enter_context(probe(store)) for store in running]
            time.sleep(_IDLE_SECONDS)
            idle = [taken(each) for each in probes]
            for store in running:
                store.client.slowlog_reset()
            seconds = move(name, running, grace=1)
            print(f"{kind}: {size:.0f} MB in {seconds:.1f} s")
            for side, store, each, before in zip(
                ("source", "destination"), running, probes, idle, strict=True
            ):
                print(f"  {side}: {slowest(store)}; {taken(each)} (idle: {before})")
            value = running[1].client.dump("k")
            assert value is not None
            running[0].command("RESTORE", "k", 0, value)
            print(f"  whole: {slowest(running[1])}; {taken(probes[1])}")
            print(f"         {slowest(running[0])}; {taken(probes[0])}")


if __name__ == "__main__":
    typer.run(main)
