"""The search and its model of the store."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.check.search import WRONGTYPE, Call, linearizable, order, store
from topology import stores


def test_order_is_found_and_explains() -> None:
    calls = [
        Call(("SET", b"a"), 0, 9, b"OK"),
        Call(("APPEND", b"b"), 1, 8, 2),
        Call(("GET",), 2, 3, b"a"),
        Call(("DEL",), 10, None),
        Call(("SET", b"x", "XX"), 11, 12, None),
    ]
    assert order(calls, store, None) == [0, 2, 1, 3, 4]


def test_conditional_write_done_twice_is_found() -> None:
    first = Call(("SET", b"a", "NX"), 0, 1, b"OK")
    assert not linearizable([first, Call(("SETNX", b"b"), 2, 3, 1)], store, None)
    assert linearizable([first, Call(("SETNX", b"b"), 2, 3, 0)], store, None)


def test_append_done_twice_is_found() -> None:
    once = Call(("APPEND", b"x"), 0, None)
    assert linearizable([once, Call(("GET",), 5, 6, b"x")], store, None)
    assert not linearizable([once, Call(("GET",), 5, 6, b"xx")], store, None)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    socket = Path(tmp_path_factory.mktemp("redis")) / "redis.sock"
    command = [stores.executable(), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.01)
        connection = redis.Redis(unix_socket_path=str(socket))
        connection.response_callbacks.clear()
        yield connection
    finally:
        process.terminate()
        process.wait()


values = st.sampled_from([b"", b"a", b"7"])
fields = st.sampled_from([b"f", b"g"])
commands = st.one_of(
    st.tuples(st.sampled_from(["GET", "GETDEL", "DEL", "EXISTS", "STRLEN", "INCR", "HLEN"])),
    st.tuples(st.just("SET"), values),
    st.tuples(st.just("SET"), values, st.sampled_from(["NX", "XX", "GET"])),
    st.tuples(st.sampled_from(["SETNX", "GETSET", "APPEND"]), values),
    st.tuples(st.just("INCRBY"), st.integers(-3, 3)),
    st.tuples(st.just("HSET"), fields, values),
    st.tuples(st.sampled_from(["HGET", "HDEL"]), fields),
)


@settings(max_examples=300, deadline=None)
@given(script=st.lists(commands, max_size=12))
def test_model_is_the_store(server: redis.Redis, script: list[tuple[Any, ...]]) -> None:
    server.execute_command("DEL", "key")  # type: ignore[no-untyped-call]
    state: Any = None
    for name, *arguments in script:
        state, expected = store(state, (name, *arguments))
        try:
            reply = server.execute_command(name, "key", *arguments)  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            reply = WRONGTYPE if WRONGTYPE in str(error) else "ERR"
        assert reply == expected, (name, arguments)
