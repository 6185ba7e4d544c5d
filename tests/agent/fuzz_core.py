"""Run by test_fuzz.py in a process of its own, with the core built for AddressSanitizer:

    python fuzz_core.py CORE.so REDIS.sock SEED ROUNDS

Feeds the core mutated datagrams, KEYS bodies, records and watermarks, and journals.
"""

import contextlib
import importlib.machinery
import importlib.util
import random
import select
import socket
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

LONG_REPLY = b"return {redis.call('GET', KEYS[1]), string.rep('x', ARGV[1])}"


def load(path: str) -> ModuleType:
    """Load the sanitized core instead of the installed one."""
    loader = importlib.machinery.ExtensionFileLoader("hosts.agent._core", path)
    spec = importlib.util.spec_from_loader("hosts.agent._core", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules["hosts.agent._core"] = module
    return module


def mutate(chance: random.Random, data: bytes) -> bytes:
    """Return `data` with something wrong with it, mostly."""
    out = bytearray(data)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(5):
            case 0:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del out[at:]
            case 2:
                out[at:at] = chance.randbytes(chance.randrange(20))
            case 3:
                out[at : at + 1] = chance.choice((b"\r\n", b"$", b"*", b"0", b"9", b"-1"))
            case _:
                del out[at : at + chance.randrange(8)]
    return bytes(out)


def commands(chance: random.Random) -> list[bytes]:
    """Return a command, good or odd."""
    key = chance.choice((b"k", b"{k}2", b"{k}", b"", b"{}k", b"other"))
    return chance.choice(
        (
            [b"GET", key],
            [b"SET", key, chance.randbytes(chance.randrange(1500))],
            [b"MGET", *[key] * chance.randrange(300)],
            [b"MSET", *[key] * chance.randrange(20)],
            [b"ZUNION", b"%d" % chance.randrange(5), key, key],
            [b"XREAD", b"STREAMS", key, b"0"],
            [b"OBJECT", chance.choice((b"ENCODING", b"nope", b"x" * 60)), key],
            [b"OBJECT"],
            [b"EVAL", b"return 1", b"1", key],
            [chance.randbytes(chance.randrange(60)), key],
            [b"APPEND", key, b"x" * 1400],
            [b"LRANGE", key, b"0", b"-1"],
        )
    )


def resp(words: list[bytes]) -> bytes:
    """Return a RESP array."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def check(entry: bytes) -> bytes:
    """Return what an entry of a journal begins with (core/journal.h)."""
    mask = (1 << 64) - 1
    mixed = len(entry)
    for at in range(0, len(entry) // 8 * 8 + 1, 8):
        word = int.from_bytes(entry[at : at + 8].ljust(8, b"\0"), sys.byteorder)
        mixed = (mixed ^ word) * 0x9E3779B97F4A7C15 & mask
        mixed ^= mixed >> 29
    return struct.pack("!I", mixed >> 32)


def changed(chance: random.Random, journal: bytes) -> bytes:
    """Return a journal with some entries changed, mostly with a check that fits."""
    half = int.from_bytes(journal[8:16], sys.byteorder)
    tail = int.from_bytes(journal[16 + 8 * half :][:8], sys.byteorder)
    at, out = 32 + half * ((len(journal) - 32) // 2), b""
    while at < tail:
        length, kind = struct.unpack_from("!IB", journal, at + 4)
        body = journal[at + 9 : at + 9 + length]
        at += 9 + length
        assert check(struct.pack("!IB", length, kind) + body) == journal[at - 9 - length :][:4]
        if chance.random() < 0.2:
            body = mutate(chance, body)
        if chance.random() < 0.2:
            kind = chance.randrange(10)
        entry = struct.pack("!IB", len(body) + (chance.random() < 0.02), kind) + body
        out += (chance.randbytes(4) if chance.random() < 0.02 else check(entry)) + entry
    end = 32 + len(out) + (chance.random() < 0.1)
    head = struct.pack("=QQQ", chance.random() < 0.05, end, chance.randrange(1 << 64))
    return journal[:8] + head + out + bytes(len(out) + chance.randrange(20))


def run(bulk: Any, begin: Callable[..., None], *arguments: object) -> list[Any]:
    """Begin a job, wait for all that are under way, and return the result of the last."""
    begin(*arguments)
    bulk.go_on()
    results: list[Any] = []
    while not bulk.idle:
        if (ended := bulk.next()) is not None:
            results = list(ended)
        else:
            select.select([bulk.connect()], [], [], 1)
            bulk.go_on()
    return results


def main() -> None:
    """Fuzz."""
    core_path, store_path, seed, rounds = sys.argv[1:]
    module = load(core_path)
    from hosts.agent import store
    from hosts.wire import group_of

    chance = random.Random(int(seed))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(sock.getsockname())
    states, former = np.ones(16384, np.uint8), np.zeros(16384, np.uint8)
    owners, moving = np.ones(16384, np.uint16), np.zeros(16384, np.uint16)
    core: Any = module.Core(
        sock.fileno(), store_path, states.data, owners.data, former.data, moving.data
    )
    store.check(core, store_path)
    bulk = module.Pipeline(core)
    bulk.connect()
    core.service = 1
    core.streams(lambda server, header, reply: None, 1, 2)
    core.missing(lambda group, keys: chance.choice((0, 1, 5000)))
    directory = tempfile.TemporaryDirectory()
    core.remember(f"{directory.name}/journal", 4 << 20)
    group = group_of(b"k")
    for turn in range(int(rounds)):
        for _ in range(chance.randrange(1, 40)):
            wanted = chance.choice((group, chance.randrange(20000)))
            head = struct.pack(
                "!HBBHHHHQII",
                0x4E4D,
                1,
                chance.randrange(8),
                chance.randrange(1024),
                1,
                wanted,
                0,
                chance.randrange(3),
                chance.randrange(200),
                chance.randrange(200),
            )
            datagram = head + resp(commands(chance))
            if chance.random() < 0.7:
                datagram = mutate(chance, datagram)
            sender.send(datagram[:60000])
        states[group] = chance.randrange(4)
        core.arriving(group, chance.choice((None, True, set(), {b"k"})))
        core.tell(group, group, chance.choice((None, bytearray(12), bytearray(3))))
        core.track(group, group, chance.choice((None, {}, {group: None}, {group: {b"k"}})))
        slow, _control = core.receive() or ([], [])
        states[group] = 1
        core.execute(slow, 4)
        for query in slow[:3]:
            core.refuse(query, "x" * 3000)
            core.retry([(query, 1)])
        core.room = chance.choice((-1, 0, 5000, 1 << 30))
        given = [
            (1, chance.choice((0, 9)), chance.randrange(9), mutate(chance, query.datagram))
            for query in slow
        ]
        core.given(given[:256])
        long = head + resp([b"EVAL", LONG_REPLY, b"1", b"k", b"%d" % chance.randrange(9000)])
        core.given([(1, chance.choice((0, 9)), 0, long)])
        names = [b"k", b"{k}2", b"missing"][: chance.randrange(1, 4)]
        keys = b"".join(struct.pack("!I", len(name)) + name for name in names)
        first, last = chance.random() < 0.5, chance.random() < 0.5
        (body, _, parts), *_ = run(bulk, bulk.dump, [(group, keys, first, last)])
        assert sum(size for size, _ in parts) == len(body)
        here: dict[int, set[bytes]] = {group: set()}
        run(bulk, bulk.restore, body, here)
        run(bulk, bulk.list_keys, [group, 0])
        bulk.restore(body, here)  # under way from here on
        core.restoring(group, b"k")
        for _ in range(5):
            changed_body = mutate(chance, body)
            one: dict[int, object] = {group: chance.choice((None, set(), True))}
            with contextlib.suppress(ValueError):
                bulk.restore(changed_body, one)
            with contextlib.suppress(ValueError, module.StoreError):
                core.restore(changed_body, one)
            with contextlib.suppress(ValueError):
                module.check_body(changed_body)
            with contextlib.suppress(ValueError):
                changed_keys = mutate(chance, keys)
                bulk.dump([(group, changed_keys, first, last)], chance.random() < 0.5)
        states[group] = 3
        core.arriving(group, here[group])
        core.given([(1, 9, 0, head + resp(commands(chance)))])
        states[group] = 1
        run(bulk, bulk.call, [[b"PING"], [b"CLUSTER", b"SLOTS"]])
        for _ in range(3):
            try:
                core.add_records(group, mutate(chance, core.records(group)))
                core.learn(mutate(chance, core.watermarks(0)[1]))
            except ValueError:
                continue
        core.cleared([chance.randrange(16384)], chance.randrange(3))
        if turn % 10 == 0:
            core.drop_records([group])
        if turn % 25 == 0:
            written = Path(directory.name, "journal").read_bytes()
            states[:] = 3
            for _ in range(4):
                Path(directory.name, "changed").write_bytes(changed(chance, written))
                other = module.Core(
                    sock.fileno(), store_path, states.data, owners.data, former.data, moving.data
                )
                try:
                    other.remember(f"{directory.name}/changed", 4 << 20)
                except ValueError:
                    continue
            states[:] = 1
        if turn % 100 == 0:
            core.learn(bytes(3_000_000))  # the journal is full
        if turn % 50 == 0:
            core.call([[b"FLUSHALL"]])
            core.forget(0)
        if turn % 97 == 0:  # the store goes away in the middle
            bulk.dump([(group, keys, first, last)])
            core.call([[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"no"]])
            with contextlib.suppress(ConnectionError):
                run(bulk, bulk.restore, body, here)
            bulk.close()
            bulk.connect()
    print("survived", core.counters()[:3])


main()
