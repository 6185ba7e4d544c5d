"""Values of every type that are too big for one DUMP, and how to compare them."""

import os
from collections.abc import Callable
from typing import Any

import redis

from tests.agent.harness import Store

STAGED = "netmigrate:arriving:*"


def fill(store: Store) -> dict[bytes, int]:
    """Write big values of every type under names of every kind; return their expiries, in ms since
    1970, -1: none."""
    c = store.command
    string = os.urandom(700_000)
    c("SET", b"string", string)
    c("SET", b"{tag}string", string)
    c("SET", b"a}b{", string)
    c("SET", b"", string)
    c("SET", b"\0\xff{}\r\n", string)
    c("PEXPIREAT", b"string", 4102444800123)
    for first in range(0, 60_000, 1000):
        numbers = range(first, first + 1000)
        c("RPUSH", "list", *(b"element%d" % n for n in numbers))
        c("SADD", "set", *(b"member%d" % n for n in numbers))
        c("HSET", "hash", *(word for n in numbers for word in (b"f%d" % n, b"\0%d" % n)))
        c("ZADD", "zset", *(word for n in numbers for word in (repr(n / 7), b"m%d" % n)))
    c("ZADD", "zset", "inf", "high", "-inf", "low", "-0.0", "zero", "1e-320", "tiny")
    c("PEXPIREAT", "list", 4102444800456)
    c("RPUSH", "long elements", *(os.urandom(60_000 + 1000 * n) for n in range(20)))
    c("HSET", "long fields", *(os.urandom(30_000) for _ in range(40)))
    stream(store)
    return {key: c("PEXPIRETIME", key) for key in store.command("KEYS", "*")}


def stream(store: Store, name: str = "stream") -> None:
    """Write a stream with groups, consumers, and entries that are pending; and one that is empty
    now, but remembers what it was."""
    c = store.command
    pipe: Any = store.client.pipeline(transaction=False)
    for number in range(1, 20_001):
        pipe.execute_command("XADD", name, f"{number}-{number % 3}", "f", number, "g", b"\xff")
    pipe.execute()
    c("XDEL", name, "7-1", "20000-2")
    c("XTRIM", name, "MINID", "5")
    c("XGROUP", "CREATE", name, "readers", "0")
    c("XGROUP", "CREATE", name, "others", "100-1")
    c("XGROUP", "CREATECONSUMER", name, "others", "idle")
    for count in (300, 700):
        for consumer in ("one", "two"):
            c("XREADGROUP", "GROUP", "readers", consumer, "COUNT", count, "STREAMS", name, ">")
    c("XREADGROUP", "GROUP", "readers", "one", "COUNT", 3, "STREAMS", name, "8-2")
    c("XACK", name, "readers", "50-2")
    c("XADD", f"{name} emptied", "5-5", "f", "v")
    c("XGROUP", "CREATE", f"{name} emptied", "readers", "5-5")
    c("XDEL", f"{name} emptied", "5-5")
    for number in range(3000):
        pipe.execute_command("XGROUP", "CREATECONSUMER", f"{name} emptied", "readers", number)
    pipe.execute()


def contents(store: Store) -> dict[bytes, tuple[object, int]]:
    """Return every key with its value, in full, and its expiry."""
    return {
        key: (_READERS[store.command("TYPE", key)](store, key), store.command("PEXPIRETIME", key))
        for key in store.command("KEYS", "*")
    }


def _stream(store: Store, key: bytes) -> object:
    """Return everything but the shape of its tree, and when consumers were last seen."""
    with redis.Redis(unix_socket_path=str(store.path), protocol=2) as client:
        client.response_callbacks.clear()  # the reply as it comes
        info = _fields(client.execute_command("XINFO", "STREAM", key, "FULL", "COUNT", 0))
    del info[b"radix-tree-keys"], info[b"radix-tree-nodes"]
    info[b"groups"] = [_fields(group) for group in info[b"groups"]]
    for group in info[b"groups"]:
        group[b"consumers"] = [_fields(consumer) for consumer in group[b"consumers"]]
        for consumer in group[b"consumers"]:
            consumer.pop(b"seen-time")
            consumer.pop(b"active-time", None)
    return info


def _fields(flat: list[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


_READERS: dict[bytes, Callable[[Store, bytes], object]] = {
    b"string": lambda store, key: store.client.get(key),
    b"list": lambda store, key: store.client.lrange(key, 0, -1),
    b"set": lambda store, key: store.client.smembers(key),
    b"hash": lambda store, key: store.client.hgetall(key),
    b"zset": lambda store, key: store.command("ZRANGE", key, 0, -1, "WITHSCORES"),
    b"stream": _stream,
}
