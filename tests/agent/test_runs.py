"""Replies of one length to one client leave the agent as one message to the kernel."""

import socket
import struct
from collections.abc import Iterator

import pytest

from hosts.agent.counters import CORE
from hosts.wire import HEADER_LENGTH, Flags, Header, Op
from tests.agent.harness import SERVICE, Store, bulk, resp
from tests.agent.test_core import GROUP, LOOPBACK, Bench, bench

UDP_GRO = 104
SO_NO_CHECK = 11
VALUES = [b"v" * 64] * 20 + [b"v"] + [b"w" * 64] * 3


@pytest.fixture
def owner(store: Store) -> Iterator[Bench]:
    """A core that owns the group of some keys."""
    one = bench(store)
    one.states[:] = 1
    for number, value in enumerate(VALUES):
        store.command("SET", f"{{k}}{number}", value)
    yield one
    one.close()


def ask_all(one: Bench, ports: list[int]) -> None:
    """Give the core one batch: a GET of each key, from these clients in turn."""
    one.core.given(
        [
            (
                LOOPBACK,
                ports[number % len(ports)],
                0,
                Header(Op.READ, Flags(0), SERVICE, GROUP, 0, 1, number + 1, 0).pack()
                + resp("GET", f"{{k}}{number}"),
            )
            for number in range(len(VALUES))
        ]
    )


def counted(one: Bench, name: str) -> int:
    return one.core.counters()[CORE.index(name)]


def value_in(datagram: bytes, number: int) -> bytes:
    """Return what the reply to request `number` says."""
    assert Header.unpack(datagram).seq == number + 1
    return datagram[HEADER_LENGTH:]


def test_equal_replies_are_one_message(owner: Bench) -> None:
    """A receiver that asks for it gets a run as it was sent: 20 equal ones and a shorter one."""
    owner.client.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    ask_all(owner, [owner.client.getsockname()[1]])
    data, (control,), *_ = owner.client.recvmsg(65535, 64)
    (size,) = struct.unpack_from("H", control[2])
    run = [data[at : at + size] for at in range(0, len(data), size)]
    assert [value_in(each, n) for n, each in enumerate(run)] == [bulk(v) for v in VALUES[:21]]
    assert len(owner.client.recv(65535)) == 3 * size
    assert counted(owner, "sent") == len(VALUES)


def test_replies_to_clients_in_turn(owner: Bench) -> None:
    """Each gets its own, one by one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.setblocking(False)
        clients = [owner.client, other]
        ask_all(owner, [each.getsockname()[1] for each in clients])
        for number, value in enumerate(VALUES):
            assert value_in(clients[number % 2].recv(2048), number) == bulk(value)


def test_where_the_kernel_refuses_runs_each_goes_alone(owner: Bench) -> None:
    owner.client.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    owner.own.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)  # then it does: EINVAL
    ask_all(owner, [owner.client.getsockname()[1]])
    for number, value in enumerate(VALUES):
        assert value_in(owner.client.recv(2048), number) == bulk(value)
    assert (counted(owner, "sent"), counted(owner, "send_failed")) == (len(VALUES), 0)
