"""The table that ships with the client, against a real store's own opinion."""

import json

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from hosts.client import CommandError, CommandTable, NoKey
from hosts.client.commands import TABLE as COMMANDS_JSON
from hosts.client.write_commands import table_of
from hosts.wire import Op
from tests.agent.harness import Store

TABLE = CommandTable.load()


COMMANDS = [
    "GET a", "SET a b EX 5 NX", "MSET a 1 b 2 c 3", "DEL a b c", "OBJECT ENCODING a",
    "ZUNIONSTORE d 2 a b WEIGHTS 1 2", "ZINTER 2 a b", "LMPOP 2 a b LEFT", "SINTERCARD 2 a b",
    "EVAL return 2 a b c", "EVAL_RO return 1 a b", "XREAD COUNT 5 STREAMS a b 0 0",
    "XREADGROUP GROUP g c STREAMS a b > >", "XGROUP CREATE a g $", "BITOP AND d a b",
    "SORT a STORE d", "SORT_RO a", "GEORADIUS a 1 2 3 m", "GEORADIUS a 1 2 3 m STORE d",
    "GEOSEARCHSTORE d a FROMMEMBER m BYBOX 1 1 m", "RENAME a b", "COPY a b", "LCS a b",
    "PFMERGE d a b", "RPOPLPUSH a b", "STRALGO LCS", "MEMORY USAGE a", "TOUCH a b",
]  # fmt: skip


@pytest.mark.parametrize("text", COMMANDS)
def test_keys_are_where_the_store_finds_them(store: Store, text: str) -> None:
    command = text.encode().split()
    connection = redis.Redis(unix_socket_path=str(store.path))
    connection.response_callbacks.clear()
    try:
        expected = connection.execute_command("COMMAND", "GETKEYS", *command)  # type: ignore[no-untyped-call]
    except redis.ResponseError:
        with pytest.raises(CommandError):
            TABLE.keys(command)
        return
    found = TABLE.keys(command)
    if command[0] == b"SORT":  # the table does not tell where STORE's key is
        expected = expected[:1]
    assert found == expected


def test_table_is_this_store_s_where_both_know_a_command(store: Store) -> None:
    theirs = CommandTable(table_of(redis.Redis(unix_socket_path=str(store.path), protocol=3)))
    for text in COMMANDS:
        command = [
            b"{t}" + w if w in (b"a", b"b", b"c", b"d") else w for w in text.encode().split()
        ]
        try:
            expected = theirs.route(command)
        except CommandError as error:
            with pytest.raises(type(error)):
                TABLE.route(command)
        else:
            assert TABLE.route(command) == expected


NEWER = [
    "MSETEX 2 a 1 b 2 EX 5", "HGETEX a EX 5 FIELDS 1 f", "HSETEX a FNX FIELDS 1 f v",
    "HGETDEL a FIELDS 1 f",
    "HEXPIRE a 5 FIELDS 1 f", "HTTL a FIELDS 1 f", "DELIFEQ a b", "DELEX a IFEQ b", "DIGEST a",
    "INCREX a BYINT 2", "XACKDEL a g IDS 1 1-1", "XDELEX a IDS 1 1-1", "SUNIONCARD 2 a b LIMIT 1",
    "VADD a VALUES 2 1 2 x", "VSIM a ELE x", "ARSET a 1 x", "ARGET a 1",
]  # fmt: skip


def test_keys_of_newer_commands(store: Store) -> None:
    known = [text for text in NEWER if not store.lacks(text.split(maxsplit=1)[0])]
    if not known:
        pytest.skip("the store has none of the commands that came after Redis 7.0")
    for text in known:
        test_keys_are_where_the_store_finds_them(store, text)


def test_what_a_command_is_is_what_the_store_says(store: Store) -> None:
    """Of those that are in the table; a store that is newer may have others."""
    theirs = table_of(redis.Redis(unix_socket_path=str(store.path), protocol=3))
    ours = json.loads(COMMANDS_JSON.read_text())
    telling = {"readonly", "admin", "pubsub", "blocking"}
    assert len(theirs.keys() & ours.keys()) > 300
    for name in theirs.keys() & ours.keys():
        assert ours[name]["keys"] == theirs[name]["keys"], name
        if ours[name]["keys"]:
            flags = [set(row[name]["flags"]) & telling for row in (ours, theirs)]
            assert flags[0] == flags[1], name


@pytest.mark.parametrize(
    ("text", "op"),
    [
        ("GET k", Op.READ), ("get k", Op.READ), ("SET k v", Op.WRITE), ("EVAL x 1 k", Op.WRITE),
        ("EVAL_RO x 1 k", Op.READ), ("GETEX k", Op.WRITE), ("OBJECT FREQ k", Op.READ),
        ("XREAD STREAMS k 0", Op.READ), ("PFCOUNT k", Op.READ), ("SORT k", Op.WRITE),
        ("HGETEX k FIELDS 1 f", Op.WRITE), ("HTTL k FIELDS 1 f", Op.READ),
        ("HGETDEL k FIELDS 1 f", Op.WRITE), ("DELIFEQ k v", Op.WRITE), ("VSIM k ELE x", Op.READ),
        ("DELEX k", Op.WRITE), ("DIGEST k", Op.READ), ("XNACK k g FAIL IDS 1 1-1", Op.WRITE),
        ("vadd k VALUES 1 1 x", Op.WRITE), ("INCREX k", Op.WRITE), ("MSETEX 1 k v", Op.WRITE),
        ("XDELEX k IDS 1 1-1", Op.WRITE),
    ],
)  # fmt: skip
def test_read_or_write(text: str, op: Op) -> None:
    assert TABLE.route(text.encode().split()).op == op


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SUBSCRIBE k", "subscriptions"), ("BLPOP k 0", "waits"), ("CONFIG GET x", "administers"),
        ("XREAD BLOCK 0 STREAMS k 0", "waits"), ("MULTI", "no key"), ("EVAL x 0", "no key"),
        ("OBJECT NOSUCH k", "OBJECT NOSUCH: unknown"), ("EVAL x many k", "number of keys"),
    ],
)  # fmt: skip
def test_refused(text: str, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        TABLE.route(text.encode().split())


WORDS = b"GET EVAL XREAD STREAMS KEYS MIGRATE BLOCK OBJECT k 2 -9 99999999999".split()


@given(st.lists(st.sampled_from([*WORDS, b""])))
def test_any_words_are_routed_or_refused(command: list[bytes]) -> None:
    try:
        route = TABLE.route(command)
    except CommandError as error:
        assert str(error)
        if isinstance(error, NoKey):
            assert "no key" in str(error)
    else:
        assert 0 <= route.group < 16384
