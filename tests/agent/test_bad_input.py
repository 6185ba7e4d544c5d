"""Queries that are refused, each with an error that names what was wrong."""

import pytest

from hosts.agent.agent import Agent
from hosts.wire import Flags, Header, Op, group_of
from tests.agent.harness import SERVICE, Client, Store, resp

GROUP = group_of(b"k")


@pytest.mark.parametrize(
    ("op", "words", "message"),
    [
        (Op.READ, ("SET", "k", "v"), "writes: send it as WRITE"),
        (Op.READ, ("GETDEL", "k"), "writes: send it as WRITE"),
        (Op.READ, ("EVAL", "return 1", "1", "k"), "writes: send it as WRITE"),
        (Op.READ, ("NOSUCH", "k"), "unknown command 'NOSUCH'"),
        (Op.READ, ("GET",), "wrong number of arguments"),
        (Op.READ, ("GET", "k", "k"), "wrong number of arguments"),
        (Op.READ, ("KEYS", "*"), "it has no key"),
        (Op.WRITE, ("FLUSHALL",), "it has no key"),
        (Op.WRITE, ("EVAL", "return 1", "0"), "refused"),
        (Op.WRITE, ("CONFIG", "SET", "k", "v"), "it administers the store"),
        (Op.WRITE, ("CONFIG",), "it needs a subcommand"),
        (Op.WRITE, ("CONFIG", "NOSUCH"), "unknown command"),
        (Op.WRITE, ("DEBUG", "SLEEP", "1"), "refused"),
        (Op.WRITE, ("SHUTDOWN",), "refused"),
        (Op.WRITE, ("BLPOP", "k", "0"), "it blocks"),
        (Op.READ, ("XREAD", "BLOCK", "0", "STREAMS", "k", "$"), "refused with BLOCK"),
        (Op.READ, ("SUBSCRIBE", "k"), "publish/subscribe"),
        (Op.WRITE, ("SPUBLISH", "k", "m"), "publish/subscribe"),
        (Op.WRITE, ("MULTI",), "it has no key"),
        (Op.WRITE, ("WATCH", "k"), "transactions need a connection"),
        (Op.WRITE, ("MIGRATE", "h", "1", "k", "0", "1"), "the agents' work"),
        (Op.READ, ("MGET", "k", "other"), "the keys of one command must be in one group"),
        (Op.READ, ("ZUNION", "2", "k", "other"), "the keys of one command must be in one group"),
        (
            Op.WRITE,
            ("MSET", "k", "1", "other", "2"),
            "the keys of one command must be in one group",
        ),
        (Op.READ, ("GET", "other"), "but the header says"),
        (Op.READ, ("A" * 60, "k"), "unknown command"),
    ],
)
async def test_refused_commands(
    alone: Agent, client: Client, op: Op, words: tuple[str, ...], message: str
) -> None:
    """The command, and why."""
    answer = await client.ask(alone.settings.own, op, *words, group=GROUP)
    assert answer.flags == Flags.ERROR
    assert answer.payload.startswith(b"-ERR netmigrate: ")
    assert answer.payload.endswith(b"\r\n")
    assert message.encode() in answer.payload


@pytest.mark.parametrize(
    ("op", "words", "message"),
    [
        (Op.READ, ("HGETDEL", "k", "FIELDS", "1", "f"), "writes: send it as WRITE"),
        (Op.READ, ("HGETEX", "k", "FIELDS", "1", "f"), "writes: send it as WRITE"),
        (Op.READ, ("DELIFEQ", "k", "v"), "writes: send it as WRITE"),
        (Op.READ, ("DELEX", "k"), "writes: send it as WRITE"),
        (Op.READ, ("MSETEX", "1", "k", "v"), "writes: send it as WRITE"),
        (Op.WRITE, ("MSETEX", "2", "k", "v", "other", "v"), "must be in one group"),
        (Op.READ, ("VADD", "k", "VALUES", "1", "1", "x"), "writes: send it as WRITE"),
        (Op.READ, ("VSIM", "k", "ELE"), "wrong number of arguments"),
        (Op.READ, ("CLUSTERSCAN", "k"), "it lists what one server has"),
    ],
)
async def test_commands_of_newer_stores(
    alone: Agent, client: Client, store: Store, op: Op, words: tuple[str, ...], message: str
) -> None:
    """To a store that has none of that name, it is an unknown one."""
    answer = await client.ask(alone.settings.own, op, *words, group=GROUP)
    unknown = store.lacks(words[0])
    assert (f"unknown command '{words[0]}'" if unknown else message).encode() in answer.payload
    assert answer.flags == Flags.ERROR
    assert store.client.dbsize() == 0


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "not a RESP array"),
        (b"GET k\r\n", "not a RESP array"),
        (b"*1\r", "not a RESP array"),
        (b"*-1\r\n", "not a RESP array"),
        (b"*01\r\n$3\r\nGET\r\n", "not a RESP array"),
        (b"*0\r\n", "the command is empty"),
        (b"*999999999\r\n", "not a RESP bulk string"),
        (b"*2\r\n$3\r\nGET\r\n", "not a RESP bulk string"),
        (b"*2\r\n$3\r\nGET\r\n:1\r\n", "not a RESP bulk string"),
        (b"*2\r\n$3\r\nGET\r\n$5\r\nk\r\n", "cut short"),
        (b"*2\r\n$3\r\nGET\r\n$1\r\nkk\r\n", "longer than its RESP length"),
        (resp("GET", "k") + b"x", "bytes follow the RESP array"),
        (resp("GET", "k") * 2, "bytes follow the RESP array"),
        (resp("SET", "k", "v" * 1500), "the limit of a datagram"),
        (resp("SET", "k", "v" * 3000), "the limit of a datagram"),
    ],
)
async def test_refused_payloads(alone: Agent, client: Client, payload: bytes, message: str) -> None:
    """What is wrong with the RESP array."""
    header = Header(Op.WRITE, service=SERVICE, group=GROUP, client=client.client, seq=1)
    client.send_raw(alone.settings.own, header.pack() + payload)
    answer = await client.answer()
    assert answer.flags == Flags.ERROR
    assert message.encode() in answer.payload


async def test_wrong_service(alone: Agent, client: Client) -> None:
    """Another service's query is refused."""
    header = Header(Op.READ, service=9, group=GROUP, client=client.client, seq=1)
    client.send_raw(alone.settings.own, header.pack() + resp("GET", "k"))
    assert b"service 9 is not served here, service 1 is" in (await client.answer()).payload


@pytest.mark.parametrize(
    "datagram",
    [
        b"x",
        b"x" * 27,
        b"\0" * 64,
        Header(Op.READ).pack()[:27],
        Header(Op.REPLY).pack(),
        Header(Op.READ, group=GROUP).pack().replace(b"NM\x01", b"NM\x02"),
        Header(Op.READ, group=0xFFFF).pack(),
        Header(Op.GROUP_START).pack() + b"\0" * 5,
        Header(Op.GROUP_ACK).pack() + b"\0" * 7,
    ],
)
async def test_what_is_not_ours_is_dropped_and_counted(
    alone: Agent, client: Client, datagram: bytes
) -> None:
    """No answer: it may not even be from a client of ours."""
    before = alone.counters["malformed"]
    client.send_raw(alone.settings.own, datagram)
    assert await client.silent(0.05)
    assert alone.counters["malformed"] == before + 1
    assert (await client.ask(alone.settings.own, Op.READ, "GET", "k")).flags


async def test_control_packets_from_a_client_are_ignored(alone: Agent, client: Client) -> None:
    """START, COMPLETE and ACK of no migration."""
    for op in (Op.GROUP_START, Op.GROUP_COMPLETE, Op.GROUP_ACK):
        header = Header(op, service=SERVICE, group=GROUP, migration=1)
        client.send_raw(alone.settings.own, header.pack() + b"\0\0\0\0\0\1")
    assert await client.silent()
    assert alone.counters["control_ignored"] == 3


async def test_not_assigned(alone: Agent, client: Client) -> None:
    """Before AssignGroups, nothing is served."""
    alone.core.service = 0
    answer = await client.ask(alone.settings.own, Op.READ, "GET", "k")
    assert b"no groups assigned yet" in answer.payload
