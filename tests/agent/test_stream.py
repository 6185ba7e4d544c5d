"""How the keys of groups are cut into chunks."""

from hosts.agent.agent import Agent
from hosts.agent.emigration.stream import Chunk, Stream
from hosts.agent.emigration.throttle import Throttle
from hosts.agent.pieces.frame import Outcome, Pieced
from hosts.agent.pieces.outgoing import Outgoing
from hosts.wire import group_of
from tests.agent.harness import Store, local, until

GROUP = group_of(b"k")


def fail(error: Exception) -> None:
    """The store is there."""
    raise error


async def chunks(stream: Stream, found: list[Chunk], count: int) -> list[Chunk]:
    """Return the next chunks."""

    def enough() -> bool:
        while stream and stream.begin():
            pass
        return len(found) >= count

    await until(enough, 5)
    return found


async def test_a_group_ends_after_its_big_values(alone: Agent, store: Store) -> None:
    """Also if these were pulled, and are at the destination before the group's turn comes."""
    store.client.mset({"k": bytes(1 << 20), "{k}2": b"v"})
    found: list[Chunk] = []
    stream = Stream(alone.node, Throttle(0), lambda: None, found.append, fail)
    values = Outgoing(alone.node, 1, stream)
    value = values.add(GROUP, b"k")
    stream.add([GROUP])
    one, *_ = await chunks(stream, found, 1)
    assert (one.keys, one.ended) == (1, [])
    alone.node.know(local(2))
    values.send(alone.node.link(2))
    values.answered(Pieced(value.attempt, 0, Outcome.ENOUGH))
    stream.clear()
    found.clear()
    stream.add([GROUP])
    one, end = await chunks(stream, found, 2)
    assert (one.keys, one.ended, end.keys, end.ended) == (1, [], 0, [GROUP])


async def test_a_large_group_is_cut(alone: Agent, store: Store) -> None:
    """Its keys go once each, and its end goes with the last of them."""
    store.client.mset({f"{{k}}{number}": "v" for number in range(2500)})
    found: list[Chunk] = []
    stream = Stream(alone.node, Throttle(0), lambda: None, found.append, fail)
    Outgoing(alone.node, 1, stream)
    stream.add([GROUP, GROUP + 1])

    def ended() -> bool:
        while stream and stream.begin():
            pass
        return [group for chunk in found for group in chunk.ended] == [GROUP, GROUP + 1]

    await until(ended, 5)
    assert sum(chunk.keys for chunk in found) == 2500
    assert len(found) > 10
    assert all(chunk.body.startswith(b"\5") for chunk in found[1:-1])
