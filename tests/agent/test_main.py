"""The command `netmigrate-agent` and its gRPC service, as the controller uses them."""

import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from hosts.agent import agent_pb2 as pb
from hosts.agent import agent_pb2_grpc
from hosts.agent.channel import Server
from hosts.wire import GROUPS
from tests.agent.harness import SERVICE, Process, Store, local, message


def arguments(server: Server, store: str, directory: Path) -> list[str]:
    """Return the command line of a server's agent."""
    return [
        *("--name", server.name, "--index", str(server.index), "--ip", server.ip),
        *("--udp-port", str(server.udp_port), "--channel-port", str(server.channel_port)),
        *("--redis", store, "--state", str(directory / f"state{server.index}")),
        *("--grpc", f"unix:{directory}/{server.name}.sock", "--grace", "0.1", "--tcp-port", "0"),
    ]


@pytest.fixture
def processes(
    running: list[Store], tmp_path: Path
) -> Iterator[tuple[list[Server], list[agent_pb2_grpc.AgentStub]]]:
    """Two agents, the first owning everything; its VIP leads to the second."""
    servers = [local(1), local(2)]
    for store in running[:2]:
        store.client.flushall()
    started = [
        Process(*arguments(server, store.url, tmp_path))
        for server, store in zip(servers, running, strict=False)
    ]
    stubs = []
    for server, process in zip(servers, started, strict=True):
        line = process.ready()
        assert line.startswith(
            f"ready: {server.name} (server {server.index}), queries on 127.0.0.1"
        )
        assert "store redis" in line or "store valkey" in line
        channel = grpc.insecure_channel(f"unix:{tmp_path}/{server.name}.sock")
        stubs.append(agent_pb2_grpc.AgentStub(channel))
    for stub in stubs:
        stub.AssignGroups(
            pb.AssignRequest(
                service=SERVICE,
                vip="127.0.0.1",
                port=servers[1].udp_port,
                servers=[message(server) for server in servers],
                placements=[pb.Placement(groups=pb.GroupRange(first=0, last=GROUPS - 1), server=1)],
            )
        )
    yield servers, stubs
    for process in started:
        assert process.stop() == (0, ""), "a clean stop on SIGTERM"


def test_a_migration_over_grpc(
    processes: tuple[list[Server], list[agent_pb2_grpc.AgentStub]], running: list[Store]
) -> None:
    """Accept, start, watch, and the truth afterwards."""
    servers, (source, destination) = processes
    for number in range(500):
        running[0].client.set(f"key{number}", number)
    groups = [pb.GroupRange(first=0, last=1023), pb.GroupRange(first=2048, last=3071)]
    destination.AcceptMigration(
        pb.AcceptRequest(migration=5, source=message(servers[0]), groups=groups)
    )
    source.StartMigration(
        pb.StartRequest(
            migration=5, destination=message(servers[1]), groups=groups, lanes=8, throttle=200000
        )
    )
    source.PauseMigration(pb.PauseRequest(migration=5, drain=False))
    truth = source.GetMigration(pb.MigrationRef(migration=5))
    assert truth.progress.state == pb.PAUSED
    assert list(truth.groups) == groups
    source.ResumeMigration(pb.MigrationRef(migration=5))
    changed = source.SetThrottle(pb.ThrottleRequest(migration=5, throttle=0))
    assert changed.throttle == 0
    *_, last = source.WatchMigration(pb.WatchRequest(migration=5, interval_ms=10))
    assert (last.state, last.groups_done, last.groups_total) == (pb.DONE, 2048, 2048)
    assert last.keys_sent == running[1].client.dbsize() > 0
    assert last.seconds > 0
    truth = source.GetMigration(pb.MigrationRef(migration=5))
    assert [group for group in range(GROUPS) if truth.migrated[group]] == [
        *range(1024),
        *range(2048, 3072),
    ]
    assert (list(truth.ongoing), len(truth.lane_sequences)) == ([], 8)
    assert sum(truth.lane_sequences) == 2 * 2048
    for stub, states, keys in ((source, (0, 1), 1), (destination, (1, 0), 2)):
        table = stub.GetGroups(pb.GroupsRequest())
        assert (table.states[0], table.states[1024]) == states
        assert (table.owners[:2], table.owners[2048:2050]) == (b"\0\2", b"\0\1")
        status = stub.GetStatus(pb.StatusRequest())
        assert status.service == SERVICE
        assert status.server == f"server{keys}"
        assert status.store_memory > 0
        assert status.agent_memory > 0
        assert status.counters["malformed"] == 0
        assert sum(status.groups.values()) == GROUPS


def test_complaints(processes: tuple[list[Server], list[agent_pb2_grpc.AgentStub]]) -> None:
    """Each with the status code that fits, and what is wrong."""
    servers, (source, destination) = processes
    groups = [pb.GroupRange(first=0, last=9)]

    def start(**changes: object) -> pb.StartRequest:
        request = pb.StartRequest(
            migration=1, destination=message(servers[1]), groups=groups, lanes=4
        )
        for name, value in changes.items():
            request.ClearField(name)  # type: ignore[arg-type]
            if isinstance(value, list):
                getattr(request, name).extend(value)
            else:
                setattr(request, name, value)
        return request

    unknown = pb.MigrationRef(migration=99)
    for call, code, text in (
        (lambda: source.GetMigration(unknown), "NOT_FOUND", "not the source of a migration 99"),
        (lambda: source.StopMigration(unknown), "NOT_FOUND", "migration 99"),
        (lambda: list(source.WatchMigration(pb.WatchRequest(migration=99))), "NOT_FOUND", "99"),
        (lambda: source.StartMigration(start(lanes=0)), "INVALID_ARGUMENT", "1 to 64"),
        (lambda: source.StartMigration(start(groups=[])), "INVALID_ARGUMENT", "no groups"),
        (lambda: source.StartMigration(start(migration=0)), "INVALID_ARGUMENT", "1 to 65535"),
        (lambda: destination.StartMigration(start()), "INVALID_ARGUMENT", "this server itself"),
        (
            lambda: source.AcceptMigration(
                pb.AcceptRequest(migration=1, source=message(servers[1]), groups=groups)
            ),
            "FAILED_PRECONDITION",
            "group 0 is OWNED here",
        ),
        (
            lambda: source.AssignGroups(
                pb.AssignRequest(
                    service=SERVICE,
                    vip="127.0.0.1",
                    port=1,
                    servers=[message(server) for server in servers],
                    placements=[pb.Placement(groups=groups[0], server=2)],
                )
            ),
            "FAILED_PRECONDITION",
            "owns it",
        ),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code().name == code
        assert text in str(caught.value.details())


def refused(*words: str) -> str:
    """Start an agent that cannot start; return its complaint."""
    process = Process(*words)
    status, errors = process.end()
    assert status == 2
    assert errors.count("\n") == 1, errors
    return errors


def test_store_not_reachable(tmp_path: Path) -> None:
    """Which, and why."""
    path = f"unix:{tmp_path}/nothing.sock"
    assert f"no store answers at {tmp_path}/nothing.sock" in refused(
        *arguments(local(1), path, tmp_path)
    )


def test_store_named_wrongly(tmp_path: Path) -> None:
    """It must be a unix socket."""
    assert "expected unix:/" in refused(*arguments(local(1), "127.0.0.1:6379", tmp_path))


@pytest.mark.parametrize(
    ("cluster", "slots", "message"),
    [
        (False, "", "is not in cluster mode: set `cluster-enabled yes`"),
        (True, "", "does not own all slots"),
        (True, "0 100", "does not own all slots"),
    ],
)
def test_unfit_store(tmp_path: Path, cluster: bool, slots: str, message: str) -> None:
    """What to do about it."""
    store = Store(tmp_path, cluster=cluster, slots=slots)
    try:
        assert message in refused(*arguments(local(1), store.url, tmp_path))
    finally:
        store.stop()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_busy_port(store: Store, tmp_path: Path, kind: socket.SocketKind) -> None:
    """Which port, and that it is in use."""
    server = local(1)
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((server.ip, server.udp_port))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        name = "UDP" if kind is socket.SOCK_DGRAM else "TCP"
        complaint = refused(*arguments(server, store.url, tmp_path))
        assert f"{name} port 127.0.0.1:{server.udp_port}: Address already in use" in complaint


def test_state_that_is_no_directory(store: Store, tmp_path: Path) -> None:
    """Or that holds something else."""
    (tmp_path / "state1").write_text("")
    assert "--state" in refused(*arguments(local(1), store.url, tmp_path))


def test_damaged_state(store: Store, tmp_path: Path) -> None:
    """A table of another size is not guessed at."""
    (tmp_path / "state1").mkdir()
    (tmp_path / "state1/ownership").write_bytes(b"x" * 100)
    assert "100 bytes, an ownership table has 98304" in refused(
        *arguments(local(1), store.url, tmp_path)
    )


def test_bad_grpc_address(store: Store, tmp_path: Path) -> None:
    """The controller could not reach it."""
    words = arguments(local(1), store.url, tmp_path)
    words[words.index("--grpc") + 1] = "unix:/nonexistent/agent.sock"
    assert "--grpc unix:/nonexistent/agent.sock" in refused(*words)
