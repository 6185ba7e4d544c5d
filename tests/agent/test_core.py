"""Laws of the core: what it takes for a request, and exactly-once across handovers."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.agent import store as stores
from hosts.agent._core import Core
from hosts.wire import Flags, Header, Op, group_of
from tests.agent.harness import SERVICE, Store, resp

GROUP = group_of(b"k")
LOOPBACK = 0x7F000001


@dataclass
class Bench:
    """A core without an agent, and the socket that its replies go to."""

    core: Core
    states: "np.ndarray[tuple[int], np.dtype[np.uint8]]"
    own: socket.socket
    client: socket.socket

    def give(self, datagram: bytes) -> tuple[list[bytes], bytes | None]:
        """Serve one datagram; return the keys if it is for another owner, and the reply if any."""
        port = self.client.getsockname()[1]
        slow, _ = self.core.given([(LOOPBACK, port, 0, datagram)])
        try:
            reply = self.client.recv(2048)
        except BlockingIOError:
            reply = None
        return (slow[0].keys if slow else []), reply

    def close(self) -> None:
        """Close both sockets."""
        self.own.close()
        self.client.close()


def bench(store: Store) -> Bench:
    """Make a core that knows another owner for every group."""
    own, client = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for one in (own, client):
        one.bind(("127.0.0.1", 0))
        one.setblocking(False)
    states, former = np.zeros(16384, np.uint8), np.zeros(16384, np.uint8)
    owners, moving = np.full(16384, 2, np.uint16), np.zeros(16384, np.uint16)
    core = Core(own.fileno(), str(store.path), states.data, owners.data, former.data, moving.data)
    stores.check(core, str(store.path))
    core.service = SERVICE
    return Bench(core, states, own, client)


@pytest.fixture(scope="module")
def elsewhere(running: list[Store]) -> Iterator[Bench]:
    """A core that owns nothing: what is good comes back with its keys."""
    one = bench(running[0])
    yield one
    one.close()


def parsed(payload: bytes) -> list[bytes] | None:
    """What docs/protocol.md says a payload is: one RESP array of bulk strings. None: it is not."""
    head = re.match(rb"\*([1-9][0-9]{0,3})\r\n", payload)
    if head is None:
        return None
    at, words = head.end(), []
    for _ in range(int(head[1])):
        size = re.compile(rb"\$(0|[1-9][0-9]{0,3})\r\n").match(payload, at)
        if size is None or payload[size.end() + int(size[1]) :][:2] != b"\r\n":
            return None
        words.append(payload[size.end() : size.end() + int(size[1])])
        at = size.end() + int(size[1]) + 2
    return words if at == len(payload) else None


PIECES = st.one_of(
    st.sampled_from(
        [
            b"*2\r\n",
            b"*3\r\n",
            b"$3\r\n",
            b"$1\r\n",
            b"GET\r\n",
            b"k\r\n",
            b"\r\n",
            b"*",
            b"$",
            b"0",
        ]
    ),
    st.binary(max_size=3),
)


@settings(max_examples=500, deadline=None)
@given(
    payload=st.one_of(
        st.lists(PIECES, max_size=8).map(b"".join),
        st.binary(max_size=60).map(lambda key: resp("GET", key)),
        st.tuples(st.integers(0, 19), PIECES).map(
            lambda cut: resp("GET", "k")[: cut[0]] + cut[1] + resp("GET", "k")[cut[0] + 1 :]
        ),
    )
)
def test_what_is_a_request(elsewhere: Bench, payload: bytes) -> None:
    """The core takes exactly what is a good GET; everything else is refused with an error."""
    words = parsed(payload)
    good = words is not None and len(words) == 2 and words[0].upper() == b"GET"
    group = group_of(words[1]) if good and words else GROUP
    header = Header(Op.READ, service=SERVICE, group=group, client=1, seq=1)
    keys, reply = elsewhere.give(header.pack() + payload)
    if good and words:
        assert (keys, reply) == ([words[1]], None)
    else:
        assert keys == []
        assert reply is not None
        assert Header.unpack(reply).flags == Flags.ERROR


@given(datagram=st.binary(max_size=200))
def test_random_datagrams(elsewhere: Bench, datagram: bytes) -> None:
    """What has no header of ours gets no answer."""
    assert elsewhere.give(datagram) == ([], None)


@given(key=st.binary(max_size=200), group=st.integers(0, 16383))
def test_the_group_is_checked(elsewhere: Bench, key: bytes, group: int) -> None:
    """The core recomputes it as hosts/wire/groups.py does."""
    header = Header(Op.READ, service=SERVICE, group=group, client=1, seq=1)
    keys, _ = elsewhere.give(header.pack() + resp("GET", key))
    assert (keys == [key]) == (group_of(key) == group)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 2), st.integers(1, 5), st.integers(0, 1)),
        st.tuples(st.just("finish"), st.integers(1, 2), st.integers(1, 5), st.integers(0, 1)),
        st.tuples(st.just("move"), st.just(0), st.just(0), st.just(0)),
    ),
    min_size=20,
    max_size=80,
)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_exactly_once_across_handovers(
    running: list[Store], steps: list[tuple[str, int, int, int]]
) -> None:
    """Invariant 5: a group goes to and fro between two cores while two clients write, resend and
    acknowledge, whichever core they reach. Every write that was answered was executed once, also
    when copies of its datagram come late, with the `acked` of old."""
    running[0].client.flushall()
    cores = [bench(running[0]), bench(running[0])]
    owner = 0
    cores[owner].states[GROUP] = 1
    acked = {1: 0, 2: 0}
    answers: dict[tuple[int, int], bytes] = {}
    sent: dict[tuple[int, int], bytes] = {}
    try:
        for what, client, seq, at in steps:
            if what == "move":
                source, destination = cores[owner], cores[1 - owner]
                source.states[GROUP] = 0
                destination.core.learn(source.core.watermarks(0)[1])
                destination.core.add_records(GROUP, source.core.records(GROUP))
                source.core.drop_records([GROUP])
                destination.states[GROUP] = 1
                owner = 1 - owner
                continue
            if what == "finish":
                acked[client] = max(acked[client], seq)
                header = Header(Op.READ, Flags(0), SERVICE, GROUP, 0, client, 99, acked[client])
                cores[at].give(header.pack() + resp("GET", "k"))
                continue
            finished, known = seq <= acked[client], answers.get((client, seq))
            if finished and known is None:
                continue  # a client does not begin a request that it has finished with
            header = Header(Op.WRITE, Flags(0), SERVICE, GROUP, 0, client, seq, acked[client])
            datagram = sent.setdefault((client, seq), header.pack() + resp("INCR", "k"))
            before = int(running[0].client.get("k") or 0)
            _, reply = cores[at].give(datagram)
            after = int(running[0].client.get("k") or 0)
            if reply is None:
                assert after == before
                assert finished or at != owner
            elif known is None:
                assert after == before + 1
                answers[client, seq] = reply[28:]
            else:
                assert (reply[28:], after) == (known, before)
        assert int(running[0].client.get("k") or 0) == len(answers)
    finally:
        for one in cores:
            one.close()
