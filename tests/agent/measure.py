"""Measures the agent alone, on loopback: `python -m tests.agent.measure steady|migrate|journal`.

steady: GETs over UDP with 50 outstanding, against `redis-benchmark -c 50 -P 1` on the same store.
migrate: an unthrottled migration of 64-byte records, against a loop of GETKEYSINSLOT and MIGRATE.
journal: writes with and without the memory that survives `kill -9`.
"""

import os
import random
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import grpc
import typer

from hosts.agent import agent_pb2 as pb
from hosts.agent import agent_pb2_grpc
from hosts.agent.agent import JOURNAL_BYTES
from hosts.agent.channel import Server
from hosts.wire import GROUPS, Flags, Header, Op, group_of
from tests.agent.harness import SERVICE, Process, Store, local, message, resp, stores
from tests.agent.test_journal import Run

app = typer.Typer(add_completion=False)


@contextmanager
def agents(
    directory: Path, running: list[Store], grace: float = 600
) -> Iterator[list[tuple[Server, str, Process]]]:
    """Run one agent process a store; yield their servers, gRPC addresses and themselves."""
    servers = [local(index + 1) for index in range(len(running))]
    where = [f"unix:{directory}/agent{server.index}.sock" for server in servers]
    processes = [
        Process(
            *("--name", server.name, "--index", str(server.index), "--ip", server.ip),
            *("--udp-port", str(server.udp_port), "--channel-port", str(server.channel_port)),
            *("--redis", store.url, "--state", f"{directory}/state{server.index}", "--grpc", at),
            *("--grace", str(grace), "--tcp-port", "0"),
        )
        for server, store, at in zip(servers, running, where, strict=True)
    ]
    try:
        for process in processes:
            print(process.ready().strip())
        yield list(zip(servers, where, processes, strict=True))
    finally:
        for process in processes:
            print(process.stop()[1], end="")


def assign(stub: agent_pb2_grpc.AgentStub, servers: list[Server], vip: Server) -> None:
    """Give all groups to the first server; `vip` stands for the switch."""
    stub.AssignGroups(
        pb.AssignRequest(
            service=SERVICE,
            vip=vip.ip,
            port=vip.udp_port,
            servers=[message(server) for server in servers],
            placements=[pb.Placement(groups=pb.GroupRange(first=0, last=GROUPS - 1), server=1)],
        )
    )


def load(store: Store, keys: int) -> None:
    """Write `keys` records of 64 bytes."""
    for first in range(0, keys, 10000):
        pipe = store.client.pipeline(transaction=False)
        for number in range(first, min(first + 10000, keys)):
            pipe.set(f"user{number:012d}", b"x" * 64)
        pipe.execute()


def closed_loop(server: Server, keys: int, outstanding: int, seconds: float) -> float:
    """Return GETs per second with that many outstanding, from one plain socket."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.connect((server.ip, server.udp_port))
    sock.settimeout(1.0)
    queries = []
    for number in random.sample(range(keys), min(keys, 20000)):
        key = b"user%012d" % number
        header = Header(Op.READ, service=SERVICE, group=group_of(key), client=7, seq=1)
        queries.append(header.pack() + resp("GET", key))
    for query in queries[:outstanding]:
        sock.send(query)
    count, end = 0, time.perf_counter() + seconds
    started = time.perf_counter()
    while time.perf_counter() < end:
        for query in queries:
            sock.recv(2048)
            sock.send(query)
        count += len(queries)
    return count / (time.perf_counter() - started)


@app.command()
def steady(keys: int = 100000, seconds: float = 5.0) -> None:
    """GETs through the agent against redis-benchmark."""
    with tempfile.TemporaryDirectory() as name, stores(Path(name), 1) as running:
        store = running[0]
        load(store, keys)
        with agents(Path(name), running) as ((server, where, _),):
            with grpc.insecure_channel(where) as channel:
                assign(agent_pb2_grpc.AgentStub(channel), [server], server)
            rate = closed_loop(server, keys, 50, seconds)
        command = ["redis-benchmark", "-p", str(store.port), "-c", "50", "-P", "1", "-q"]
        command += ["-n", "300000", "-r", str(keys), "GET", "user__rand_int__"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        line = [part for part in output.replace("\r", "\n").split("\n") if "requests per" in part]
        print(f"agent: {rate:,.0f} GET/s (one Python client, 50 outstanding)")
        print(f"redis-benchmark -c 50 -P 1: {line[-1].strip()}")


def processor(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def plain_loop(source: Store, destination: Store) -> float:
    """Move every key with GETKEYSINSLOT and MIGRATE; return keys per second."""
    count = source.client.dbsize()
    started = time.perf_counter()
    for slot in range(GROUPS):
        keys = source.command("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        if keys:
            source.command(
                "MIGRATE", "127.0.0.1", destination.port, "", 0, 5000, "REPLACE", "KEYS", *keys
            )
    return float(count / (time.perf_counter() - started))


@app.command()
def migrate(
    keys: int = 200000,
    lanes: int = 64,
    throttle: Annotated[int, typer.Option(help="Bits per second of group data, 0: none.")] = 0,
    groups: Annotated[int, typer.Option(help="Groups 0 to this one less.")] = GROUPS,
    batch: Annotated[int, typer.Option(help="Groups that move as one.")] = 1,
    loop: Annotated[bool, typer.Option(help="Measure the plain loop too.")] = True,
) -> None:
    """An unthrottled migration against the plain loop."""
    with tempfile.TemporaryDirectory() as name, stores(Path(name), 2) as running:
        load(running[0], keys)
        rate = plain_loop(*running) if loop else 0.0
        if loop:
            print(f"GETKEYSINSLOT + MIGRATE loop: {rate:,.0f} keys/s")
            running[1].client.flushall()
            load(running[0], keys)
        with agents(Path(name), running) as found:
            servers = [server for server, _, _ in found]
            stubs = [agent_pb2_grpc.AgentStub(grpc.insecure_channel(at)) for _, at, _ in found]
            for stub in stubs:
                assign(stub, servers, servers[1])
            time.sleep(0.3)
            ranges = [pb.GroupRange(first=0, last=groups - 1)]
            stubs[1].AcceptMigration(
                pb.AcceptRequest(
                    migration=1, source=message(servers[0]), groups=ranges, group_batch=batch
                )
            )
            processes = {
                "source agent": found[0][2].process.pid,
                "source store": running[0].process.pid,
                "destination agent": found[1][2].process.pid,
                "destination store": running[1].process.pid,
            }
            used = {part: processor(pid) for part, pid in processes.items()}
            started = time.perf_counter()
            stubs[0].StartMigration(
                pb.StartRequest(
                    migration=1,
                    destination=message(servers[1]),
                    groups=ranges,
                    lanes=lanes,
                    throttle=throttle,
                    group_batch=batch,
                )
            )
            for progress in stubs[0].WatchMigration(pb.WatchRequest(migration=1)):
                last = progress
            seconds = time.perf_counter() - started
            print(f"{8 * last.bytes_sent / seconds:,.0f} bit/s of group data")
            print(
                f"migration: {last.keys_sent / seconds:,.0f} keys/s, {last.groups_done} groups in "
                f"{seconds:.2f} s"
                + (f" ({last.keys_sent / seconds / rate:.2f} of the loop)" if loop else "")
            )
            spent = {part: processor(pid) - used[part] for part, pid in processes.items()}
            print(", ".join(f"{part} {each:.2f} s" for part, each in spent.items()), "of processor")


def open_loop(server: Server, names: list[bytes], rate: int, seconds: float) -> list[float]:
    """Send GETs at a fixed rate; return their latencies in ms, counted from when each was due."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((server.ip, server.udp_port))
    sock.setblocking(False)
    due: dict[int, float] = {}
    latencies: list[float] = []
    started = time.perf_counter()
    seq = 0
    while True:
        now = time.perf_counter()
        while started + seq / rate <= now < started + seconds:
            key = random.choice(names)
            header = Header(Op.READ, service=SERVICE, group=group_of(key), client=9, seq=seq + 1)
            seq += 1
            due[seq] = started + (seq - 1) / rate
            sock.send(header.pack() + resp("GET", key))
        try:
            answered = Header.unpack(sock.recv(2048)).seq
            latencies.append(1000 * (time.perf_counter() - due.pop(answered)))
        except BlockingIOError:
            if now > started + seconds + 1 or (now > started + seconds and not due):
                return latencies
            time.sleep(0.00005)


def percentiles(name: str, latencies: list[float]) -> None:
    """Print some."""
    ordered = sorted(latencies)
    shown = ", ".join(
        f"p{100 * share:g} {ordered[int(share * (len(ordered) - 1))]:.2f} ms"
        for share in (0.5, 0.9, 0.99, 0.999, 1)
    )
    print(f"{name}: {len(ordered)} GETs, {shown}")


@app.command()
def latency(
    keys: int = 200000, throttle: int = 40_000_000, rate: int = 5000, lanes: int = 64
) -> None:
    """How much a migration of half of the groups delays reads of the other half at the source."""
    with tempfile.TemporaryDirectory() as name, stores(Path(name), 2) as running:
        load(running[0], keys)
        staying = [
            key
            for key in (b"user%012d" % number for number in range(keys))
            if group_of(key) >= GROUPS // 2
        ]
        with agents(Path(name), running) as found:
            servers = [server for server, _, _ in found]
            stubs = [agent_pb2_grpc.AgentStub(grpc.insecure_channel(at)) for _, at, _ in found]
            for stub in stubs:
                assign(stub, servers, servers[1])
            time.sleep(0.3)
            percentiles("before", open_loop(servers[0], staying, rate, 5.0))
            ranges = [pb.GroupRange(first=0, last=GROUPS // 2 - 1)]
            stubs[1].AcceptMigration(
                pb.AcceptRequest(migration=1, source=message(servers[0]), groups=ranges)
            )
            stubs[0].StartMigration(
                pb.StartRequest(
                    migration=1,
                    destination=message(servers[1]),
                    groups=ranges,
                    lanes=lanes,
                    throttle=throttle,
                )
            )
            percentiles("during", open_loop(servers[0], staying, rate, 2.5))
            progress = stubs[0].GetMigration(pb.MigrationRef(migration=1)).progress
            print(f"{progress.groups_done} of {progress.groups_total} groups moved meanwhile")
            percentiles("after", open_loop(servers[0], staying, rate, 5.0))


@dataclass(slots=True)
class Spent:
    """What batches of writes cost a core, in seconds: in all, of processor time, the slowest."""

    total: float = 0.0
    processor: float = 0.0
    slowest: float = 0.0


def write(one: Run, batches: int, batch: int, first: int) -> Spent:
    """Let a core find so many SETs at once, so many times; return what they cost it."""
    spent = Spent()
    key = b"user%012d" % 1
    group = group_of(key)
    payload = resp("SET", key, b"x" * 64)
    for number in range(first, first + batches * batch, batch):
        for seq in range(number, number + batch):
            # of each of 64 clients the last write but one has been acknowledged
            client, count = seq % 64, seq // 64
            acked = max(0, count - 1)
            header = Header(Op.WRITE, Flags.NONE, SERVICE, group, 0, 1 + client, 1 + count, acked)
            one.client.send(header.pack() + payload)
        began, processor = time.perf_counter(), time.process_time()
        one.core.receive()
        took = time.perf_counter() - began
        spent.processor += time.process_time() - processor
        spent.total += took
        spent.slowest = max(spent.slowest, took)
        for _ in range(batch):
            one.client.recv(2048)
    return spent


@app.command()
def journal(
    turns: Annotated[int, typer.Option(help="40 fill a half of the file.")] = 100,
    batch: Annotated[int, typer.Option(help="Writes that the agent finds at once.")] = 32,
    sessions: Annotated[int, typer.Option(help="Idle client sessions to remember.")] = 10000,
) -> None:
    """What the journal costs: the same writes by two cores in turns, one of which has none."""
    batches = 4000 // batch
    with tempfile.TemporaryDirectory() as name, stores(Path(name), 1) as running:
        path = Path(name) / "journal"
        kept = Run.begin(running[0], path, least=JOURNAL_BYTES)
        without = Run.begin(running[0], path, least=0)
        for one in (kept, without):
            one.core.learn(b"".join(struct.pack("!QI", 1000 + n, 7) for n in range(sessions)))
        found: list[tuple[Spent, Spent]] = []
        for turn in range(turns + 1):  # the first warms up
            pair = {
                one is kept: write(one, batches, batch, turn * batches * batch)
                for one in random.sample((kept, without), 2)
            }
            found.append((pair[True], pair[False]))
    del found[0]
    print(f"{turns} turns of {batches * batch} writes, {batch} at once; with a journal")
    for what, ratios in (
        ("time", [one.total / other.total for one, other in found]),
        ("processor time", [one.processor / other.processor for one, other in found]),
    ):
        low, median, high = statistics.quantiles(ratios)
        print(f"  {what} is {median:.3f} of that without (quartiles {low:.3f} and {high:.3f})")
    slowest, other = (max(one[side].slowest for one in found) for side in (0, 1))
    print(f"  the slowest batch took {1000 * slowest:.1f} ms, without {1000 * other:.1f} ms")


if __name__ == "__main__":
    app()
