"""The command table, for stores of every age."""

import pytest

from hosts.agent.commands import Trait, rows


def entry(name: bytes, flags: list[bytes], keys: tuple[int, int, int] = (1, 1, 1)) -> list[object]:
    """Return an entry of COMMAND as Redis 6 gives it."""
    return [name, -2, flags, *keys, [b"@all"]]


def test_redis_6() -> None:
    """No key specs, no subcommands, no flag for blocking commands."""
    table = {
        row[0]: row
        for row in rows(
            [
                entry(b"get", [b"readonly", b"fast"]),
                entry(b"set", [b"write", b"denyoom"]),
                entry(b"blpop", [b"write", b"noscript"], (1, -2, 1)),
                entry(b"xread", [b"readonly", b"movablekeys"]),
                entry(b"eval", [b"noscript", b"movablekeys"], (0, 0, 0)),
                entry(b"object", [b"readonly", b"random"], (2, 2, 1)),
                entry(b"config", [b"admin", b"loading"], (0, 0, 0)),
                entry(b"ping", [b"stale", b"fast"], (0, 0, 0)),
            ]
        )
    }
    assert table[b"get"] == (b"get", -2, 1, 1, 1, 0, None)
    assert table[b"set"][5] == Trait.WRITE | Trait.BLIND_SET
    assert table[b"xread"][5:] == (Trait.MOVABLE | Trait.NO_BLOCK, None)
    assert table[b"eval"][5:] == (Trait.WRITE | Trait.MOVABLE | Trait.WHOLE, None)
    assert table[b"object"][2:5] == (2, 2, 1)
    for name, reason in ((b"blpop", "it blocks"), (b"config", "administers"), (b"ping", "no key")):
        assert reason in str(table[name][6])


def test_subcommands() -> None:
    """Redis 7: the container needs one, each is an entry of its own."""
    container = [b"object", -2, [], 0, 0, 0, [], [], [], [entry(b"object|freq", [b"readonly"])]]
    found = {row[0]: row for row in rows([container])}
    assert found[b"object"][5] == Trait.CONTAINER
    assert found[b"object|freq"][5] == 0


@pytest.mark.parametrize("reply", [b"OK", [b"get"], [[b"get", 1]]])
def test_odd_replies(reply: object) -> None:
    """A store that answers something else is refused at start."""
    with pytest.raises(ValueError, match="COMMAND"):
        rows(reply)
