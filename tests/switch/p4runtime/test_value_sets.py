"""Value sets (P4Runtime spec section 9.6): members decide how real packets are parsed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import finsy as fy
import pytest
from finsy.p4entity import P4ValueSetMember
from finsy.proto import p4r

from switch.p4runtime import Server
from tests.switch.p4runtime.client import Client, Failure, delete, insert, modify
from tests.switch.p4runtime.entities import exact, ternary


def range_(field: int, low: int, high: int) -> p4r.FieldMatch:
    match = p4r.FieldMatch.Range(low=bytes([low]), high=bytes([high]))
    return p4r.FieldMatch(field_id=field, range=match)


def value_set(number: int, *members: list[p4r.FieldMatch]) -> p4r.Entity:
    entry = p4r.ValueSetEntry(value_set_id=number)
    for member in members:
        entry.members.add(match=member)
    return p4r.Entity(value_set_entry=entry)


@pytest.fixture
def types(sets_client: Client) -> int:
    return sets_client.id("types")


@pytest.fixture
def pairs(sets_client: Client) -> int:
    return sets_client.id("pairs")


def kind(client: Client, type_: int, station: int = 0) -> int:
    """Which state of the parser a packet reached."""
    assert client.stream
    payload = b"\0" + type_.to_bytes(2, "big") + bytes([station])
    client.stream.send(p4r.StreamMessageRequest(packet=p4r.PacketOut(payload=payload)))
    return client.stream.receive().packet.payload[0]


def ordered(entities: list[p4r.Entity]) -> list[list[str]]:
    """The members of each value set; they come in any order."""
    return [sorted(map(str, entity.value_set_entry.members)) for entity in entities]


def test_members_decide(sets_client: Client, types: int, pairs: int) -> None:
    client = sets_client
    assert [kind(client, number) for number in (5, 6)] == [0, 0]
    both = value_set(types, [exact(1, 5)], [exact(1, 6)])
    client.write(modify(both))
    assert [kind(client, number) for number in (5, 6, 7)] == [1, 1, 0]
    pair = value_set(
        pairs, [ternary(1, 0x0900, 0xFF00), range_(2, 3, 5)], [ternary(1, 0x0900, 0xFF00)]
    )
    client.write(modify(pair))
    assert [kind(client, 0x0912, 9), kind(client, 0x0A12, 4)] == [2, 0]
    assert ordered(client.read(value_set(types))) == ordered([both])
    assert ordered(client.read(value_set(0))) == ordered([both, pair])
    client.write(modify(value_set(types)))
    assert client.read(value_set(types)) == [value_set(types)]
    assert kind(client, 5) == 0


def test_a_failed_batch_is_taken_back(sets_client: Client, types: int) -> None:
    kept = value_set(types, [exact(1, 5)])
    sets_client.write(modify(kept))
    with pytest.raises(Failure) as failure:
        sets_client.write(
            modify(value_set(types, [exact(1, 6)])),
            modify(value_set(0)),
            atomicity=p4r.WriteRequest.ROLLBACK_ON_ERROR,
        )
    assert failure.value.details == ["ABORTED", "INVALID_ARGUMENT"]
    assert sets_client.read(value_set(types)) == [kept]


def test_what_is_refused(sets_client: Client, types: int, pairs: int) -> None:
    kept = value_set(types, [exact(1, 5)])
    sets_client.write(modify(kept))
    five, six, seven = ([exact(1, number)] for number in (5, 6, 7))
    bad = [
        ("INVALID_ARGUMENT", insert(value_set(types, six))),
        ("INVALID_ARGUMENT", delete(value_set(types))),
        ("INVALID_ARGUMENT", modify(value_set(pairs + 100))),
        ("RESOURCE_EXHAUSTED", modify(value_set(types, five, six, seven))),
        ("ALREADY_EXISTS", modify(value_set(types, six, six))),
        ("INVALID_ARGUMENT", modify(value_set(types, [exact(1, 1 << 16)]))),
        ("INVALID_ARGUMENT", modify(value_set(types, [exact(2, 6)]))),
        ("INVALID_ARGUMENT", modify(value_set(types, []))),
        ("INVALID_ARGUMENT", modify(value_set(types, [ternary(1, 6, 6)]))),
        ("INVALID_ARGUMENT", modify(value_set(pairs, [range_(2, 5, 4)]))),
    ]
    with pytest.raises(Failure) as failure:
        sets_client.write(*(update for _, update in bad))
    assert failure.value.details == [code for code, _ in bad]
    assert "value set SetsParser.types" in failure.value.messages[6]
    assert sets_client.read(value_set(types)) == [kept]
    with pytest.raises(Failure) as failure:
        sets_client.read(value_set(pairs + 100))
    assert failure.value.details == ["INVALID_ARGUMENT"]


def test_reconciling_keeps_members(sets_client: Client, types: int) -> None:
    kept = value_set(types, [exact(1, 5)])
    sets_client.write(modify(kept))
    sets_client.set_config("RECONCILE_AND_COMMIT", sets_client.get_config())
    assert sets_client.read(value_set(types)) == [kept]
    assert kind(sets_client, 5) == 1


async def test_finsy(sets_server: Server) -> None:
    async with fy.Switch("s1", f"127.0.0.1:{sets_server.port}") as switch:
        entry = fy.P4ValueSetEntry("types", members=[P4ValueSetMember(5)])
        await switch.write([~entry])
        found = switch.read(fy.P4ValueSetEntry("types", members=[]))
        assert [each async for each in cast(AsyncIterator[Any], found)] == [entry]
