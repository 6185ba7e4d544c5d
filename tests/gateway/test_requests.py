"""The parser of requests: whatever is sent, however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.gateway.requests import RequestError, Requests
from hosts.wire.stream import MAX_BULK
from tests.agent.harness import resp

commands = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=5), max_size=5)


def read(requests: Requests) -> list[tuple[bytes, ...]]:
    found: list[tuple[bytes, ...]] = []
    while (request := requests.next()) is not None:
        found.append(request)
    return found


@given(commands, st.data())
def test_requests_survive_any_cut(sent: list[list[bytes]], data: st.DataObject) -> None:
    stream = b"".join(resp(*words) for words in sent)
    requests, found, at = Requests(), list[tuple[bytes, ...]](), 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        requests.feed(stream[at : at + step])
        found += read(requests)
        at += step
    assert found == [tuple(words) for words in sent]


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_rubbish_ends_in_requests_or_one_error(pieces: list[bytes]) -> None:
    requests = Requests()
    for piece in pieces:
        requests.feed(piece)
        try:
            assert all(read(requests))
        except RequestError as error:
            assert str(error)
            return


@given(st.lists(st.sampled_from([b"*", b"$", b"1", b"2", b"\r\n", b"-1", b"a", b"\n", b" "])))
def test_almost_requests(pieces: list[bytes]) -> None:
    requests = Requests()
    requests.feed(b"".join(pieces))
    try:
        assert all(read(requests))
    except RequestError as error:
        assert str(error)


def test_typed_by_hand() -> None:
    requests = Requests()
    requests.feed(b"\r\nGET  key\r\nPING\n")
    assert read(requests) == [(b"GET", b"key"), (b"PING",)]


@pytest.mark.parametrize(
    "stream",
    [
        b"*9999999999\r\n",
        b"*1\r\n$9999999999\r\n",
        b"*1\r\n$%d\r\n" % (MAX_BULK + 1),
        b"*1\r\n+OK\r\n",
        b"*1\r\n$3\r\nabcd\r\n",
        b"*1_0\r\n",
        b"x" * 70000,
    ],
)
def test_what_would_take_too_much(stream: bytes) -> None:
    requests = Requests()
    with pytest.raises(RequestError):
        for at in range(0, len(stream), 4096):
            requests.feed(stream[at : at + 4096])
            read(requests)
