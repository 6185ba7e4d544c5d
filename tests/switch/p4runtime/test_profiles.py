"""Action profiles (P4Runtime spec section 9.2): real packets do what members and groups say."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, cast

import finsy as fy
import pytest
from finsy.proto import p4r
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switch.p4runtime import DeviceConfig, Server
from tests.switch.p4runtime.client import Client, Failure, delete, insert, modify
from tests.switch.p4runtime.entities import Entities, exact, shortest, ternary
from tests.switch.p4runtime.servers import controlling, looped

FIRST, SECOND, BALANCE, NARROW, HEAVY, LEVEL = 1, 2, 3, 4, 5, 6
ActionSet = p4r.ActionProfileActionSet


@pytest.fixture
def profiles_server(empty_server: Server, profiles_config: DeviceConfig) -> Server:
    empty_server.load(profiles_config)
    return empty_server


@pytest.fixture
def client(profiles_server: Server) -> Iterator[Client]:
    with controlling(profiles_server) as client:
        yield client


class Profiles(Entities):
    """Entities of the program, short to write."""

    def result(self, value: int) -> p4r.Action:
        return self.action("result", (1, shortest(value))).action

    def member(self, profile: str, number: int, value: int | None = None) -> p4r.Entity:
        action = self.result(value) if value is not None else None
        message = p4r.ActionProfileMember(
            action_profile_id=self.id(profile), member_id=number, action=action
        )
        return p4r.Entity(action_profile_member=message)

    def group(
        self, profile: str, number: int, *members: tuple[int, int], max_size: int = 0, **more: Any
    ) -> p4r.Entity:
        """Members are (id, weight)."""
        parts = [
            p4r.ActionProfileGroup.Member(member_id=member, weight=weight, **more)
            for member, weight in members
        ]
        message = p4r.ActionProfileGroup(
            action_profile_id=self.id(profile), group_id=number, members=parts, max_size=max_size
        )
        return p4r.Entity(action_profile_group=message)

    def to_member(self, table: str, number: int, member: int, **options: Any) -> p4r.Entity:
        return self.refer(table, number, action_profile_member_id=member, **options)

    def to_group(self, table: str, number: int, group: int) -> p4r.Entity:
        return self.refer(table, number, action_profile_group_id=group)

    def one_shot(
        self, table: str, number: int, *actions: tuple[int, int], **options: Any
    ) -> p4r.Entity:
        """Actions are (result, weight)."""
        parts = [
            p4r.ActionProfileAction(action=self.result(value), weight=weight)
            for value, weight in actions
        ]
        found = ActionSet(action_profile_actions=parts, **options)
        return self.refer(table, number, action_profile_action_set=found)

    def refer(self, table: str, number: int, priority: int = 0, **action: Any) -> p4r.Entity:
        match = [ternary(1, number, 0xFF) if table == "second" else exact(1, number)]
        return self.entry(table, match, p4r.TableAction(**action), priority=priority)


@pytest.fixture
def make(client: Client) -> Profiles:
    return Profiles(client)


def seen(client: Client, which: int, number: int, flow: int = 0) -> int:
    """The result that a packet comes back with."""
    assert client.stream
    payload = bytes([which, number]) + flow.to_bytes(2, "big") + b"\0"
    client.stream.send(p4r.StreamMessageRequest(packet=p4r.PacketOut(payload=payload)))
    return client.stream.receive().packet.payload[4]


def shares(client: Client, which: int, number: int, flows: int) -> list[int]:
    return [seen(client, which, number, flow) for flow in range(flows)]


def text(entities: Sequence[p4r.Entity]) -> list[str]:
    return sorted(map(str, entities))


def codes(client: Client, *refused: tuple[str, p4r.Update]) -> Failure:
    """Each update is refused with the code beside it."""
    with pytest.raises(Failure) as failure:
        client.write(*(update for _, update in refused))
    assert failure.value.details == [code for code, _ in refused]
    return failure.value


# --- members --------------------------------------------------------------------------------------


def test_members_of_two_tables(client: Client, make: Profiles) -> None:
    one, two = make.member("shared", 7, 70), make.member("shared", 9, 90)
    entries = [
        make.to_member("first", 1, 7),
        make.to_member("first", 2, 9),
        make.to_member("second", 1, 9, priority=3),
    ]
    client.write(insert(one), insert(two), *map(insert, entries))
    assert [seen(client, FIRST, n) for n in (1, 2, 3)] == [70, 90, 0]
    assert seen(client, SECOND, 1) == 90
    changed = make.member("shared", 9, 99)
    client.write(modify(changed))
    assert [seen(client, FIRST, 2), seen(client, SECOND, 1)] == [99, 99]
    assert text(client.read(make.member("shared", 0))) == text([one, changed])
    assert client.read(make.member("shared", 9)) == [changed]
    assert client.read(make.member("shared", 8)) == []
    every = p4r.Entity(action_profile_member=p4r.ActionProfileMember())
    assert text(client.read(every)) == text([one, changed])
    wild = p4r.Entity(table_entry=p4r.TableEntry())
    assert text(client.read(wild)) == text(entries)
    client.write(modify(make.to_member("first", 1, 9)))
    client.write(delete(one))
    assert seen(client, FIRST, 1) == 99


def test_direct_resources_of_indirect_tables(client: Client, make: Profiles) -> None:
    entry = make.to_member("first", 1, 7)
    entry.table_entry.idle_timeout_ns = 10**12
    entry.table_entry.controller_metadata = 5
    client.write(insert(make.member("shared", 7, 70)), insert(entry))
    assert [seen(client, FIRST, 1) for _ in range(3)] == [70] * 3
    wanted = make.entry("first", [exact(1, 1)], counter_data=p4r.CounterData())
    (found,) = client.read(wanted)
    assert found.table_entry.counter_data.packet_count == 3
    assert (found.table_entry.idle_timeout_ns, found.table_entry.controller_metadata) == (10**12, 5)
    keep = make.entry("first", [exact(1, 1)])
    client.write(modify(keep))  # without an action it stays
    assert seen(client, FIRST, 1) == 70


def test_what_is_refused_of_members(client: Client, make: Profiles) -> None:
    client.write(insert(make.member("shared", 1, 1)), insert(make.to_member("first", 1, 1)))
    strange = make.member("shared", 2, 1)
    strange.action_profile_member.action.action_id = client.id("NoAction")
    strange.action_profile_member.action.ClearField("params")
    default = make.entry("first", is_default_action=True)
    plain = make.entry("first", [exact(1, 2)], p4r.TableAction(action=make.result(1)))
    failure = codes(
        client,
        ("ALREADY_EXISTS", insert(make.member("shared", 1, 1))),
        ("INVALID_ARGUMENT", insert(make.member("shared", 0, 1))),
        ("INVALID_ARGUMENT", insert(make.member("shared", 2))),
        ("INVALID_ARGUMENT", insert(strange)),
        ("NOT_FOUND", modify(make.member("shared", 2, 1))),
        ("INVALID_ARGUMENT", modify(make.member("shared", 1))),
        ("NOT_FOUND", delete(make.member("shared", 2))),
        ("FAILED_PRECONDITION", delete(make.member("shared", 1))),
        ("NOT_FOUND", insert(make.to_member("first", 2, 2))),
        ("NOT_FOUND", modify(make.to_member("first", 1, 2))),
        ("INVALID_ARGUMENT", insert(plain)),
        ("INVALID_ARGUMENT", insert(make.to_group("first", 2, 1))),
        ("INVALID_ARGUMENT", insert(make.one_shot("first", 2, (1, 1)))),
        ("INVALID_ARGUMENT", insert(make.group("shared", 1))),
        ("INVALID_ARGUMENT", insert(make.to_member("plain", 1, 1))),
        ("PERMISSION_DENIED", modify(default)),
    )
    assert "ProfilesIngress.shared" in failure.messages[1]
    unknown = make.member("shared", 3, 1)
    unknown.action_profile_member.action_profile_id += 100
    codes(client, ("INVALID_ARGUMENT", insert(unknown)))
    client.write(*(insert(make.member("shared", number, 1)) for number in (2, 3, 4)))
    codes(client, ("RESOURCE_EXHAUSTED", insert(make.member("shared", 5, 1))))
    for wrong in (unknown, make.group("shared", 1)):
        with pytest.raises(Failure) as refused:
            client.read(wrong)
        assert refused.value.details == ["INVALID_ARGUMENT"]


# --- groups ---------------------------------------------------------------------------------------


def _three(client: Client, make: Profiles, profile: str = "balanced") -> None:
    client.write(*(insert(make.member(profile, number, number)) for number in (1, 2, 3)))


def test_groups_choose_by_weight(client: Client, make: Profiles) -> None:
    _three(client, make)
    group = make.group("balanced", 1, (3, 1), (1, 2))
    client.write(insert(group), insert(make.to_group("balance", 9, 1)))
    assert shares(client, BALANCE, 9, 6) == [1, 1, 3, 1, 1, 3]
    assert client.read(make.group("balanced", 1)) == [group]
    changed = make.group("balanced", 1, (2, 1))
    client.write(modify(changed))
    assert shares(client, BALANCE, 9, 3) == [2, 2, 2]
    other = make.group("balanced", 2)
    client.write(insert(other))
    assert text(client.read(make.group("balanced", 0))) == text([changed, other])
    every = p4r.Entity(action_profile_group=p4r.ActionProfileGroup())
    assert text(client.read(every)) == text([changed, other])
    client.write(modify(make.member("balanced", 2, 22)))
    assert seen(client, BALANCE, 9) == 22
    client.write(modify(make.group("balanced", 1)))
    assert seen(client, BALANCE, 9) == 0  # an empty group does nothing


def test_what_is_refused_of_groups(client: Client, make: Profiles) -> None:
    _three(client, make)
    kept = make.group("balanced", 1, (1, 1))
    client.write(insert(kept), insert(make.to_group("balance", 1, 1)))
    codes(
        client,
        ("ALREADY_EXISTS", insert(make.group("balanced", 1, (1, 1)))),
        ("INVALID_ARGUMENT", insert(make.group("balanced", 0, (1, 1)))),
        ("NOT_FOUND", insert(make.group("balanced", 2, (4, 1)))),
        ("NOT_FOUND", modify(make.group("balanced", 2, (1, 1)))),
        ("NOT_FOUND", modify(make.group("balanced", 1, (4, 1)))),
        ("INVALID_ARGUMENT", modify(make.group("balanced", 1, (1, 1), (1, 1)))),
        ("INVALID_ARGUMENT", modify(make.group("balanced", 1, (1, 0)))),
        ("INVALID_ARGUMENT", modify(make.group("balanced", 1, (1, -1)))),
        ("INVALID_ARGUMENT", modify(make.group("balanced", 1, (1, 1), max_size=4))),
        ("INVALID_ARGUMENT", modify(make.group("balanced", 1, (1, 1), watch_port=b"\1"))),
        ("INVALID_ARGUMENT", modify(make.group("balanced", 1, (1, 1), watch=1))),
        ("RESOURCE_EXHAUSTED", modify(make.group("balanced", 1, (1, 65)))),
        ("RESOURCE_EXHAUSTED", insert(make.group("balanced", 2, (1, 1), max_size=65))),
        ("FAILED_PRECONDITION", delete(make.group("balanced", 1))),
        ("FAILED_PRECONDITION", delete(make.member("balanced", 1))),
        ("NOT_FOUND", delete(make.group("balanced", 2))),
        ("NOT_FOUND", insert(make.to_group("balance", 2, 2))),
        ("INVALID_ARGUMENT", insert(make.one_shot("balance", 2, (1, 1)))),
    )
    assert client.read(make.group("balanced", 0)) == [kept]
    assert seen(client, BALANCE, 1) == 1


def test_sizes_of_groups(client: Client, make: Profiles) -> None:
    """`limited` counts members, up to 4 in a group and 6 in all; `weighed` counts weights."""
    client.write(*(insert(make.member("limited", n, n)) for n in range(1, 6)))
    codes(
        client,
        ("INVALID_ARGUMENT", insert(make.group("limited", 1, (1, 1)))),
        ("INVALID_ARGUMENT", insert(make.group("limited", 1, (1, 1), max_size=5))),
        ("INVALID_ARGUMENT", insert(make.group("limited", 1, (1, 11), max_size=4))),
        ("RESOURCE_EXHAUSTED", insert(make.group("limited", 1, (1, 1), (2, 1), max_size=1))),
    )
    four = [(n, 10) for n in range(1, 5)]
    client.write(insert(make.group("limited", 1, *four, max_size=4)))
    codes(client, ("RESOURCE_EXHAUSTED", insert(make.group("limited", 2, *four, max_size=4))))
    client.write(insert(make.group("limited", 2, (1, 1), (2, 1), max_size=4)))
    _three(client, make, "weighed")
    codes(client, ("RESOURCE_EXHAUSTED", insert(make.group("weighed", 1, (1, 6), max_size=5))))
    client.write(insert(make.group("weighed", 1, (1, 2), (2, 3), max_size=5)))


# --- one-shots ------------------------------------------------------------------------------------


def test_one_shots(client: Client, make: Profiles) -> None:
    entry = make.one_shot("balance", 1, (5, 1), (6, 2), (5, 1))
    client.write(insert(entry))
    assert shares(client, BALANCE, 1, 8) == [5, 6, 6, 5] * 2
    assert client.read(make.entry("balance", [exact(1, 1)])) == [entry]
    semantics = make.one_shot(
        "balance",
        1,
        (7, 1),
        action_selection_mode=ActionSet.HASH,
        size_semantics=ActionSet.SUM_OF_WEIGHTS,
    )
    client.write(modify(semantics))
    assert shares(client, BALANCE, 1, 3) == [7] * 3
    assert client.read(make.entry("balance")) == [semantics]
    client.write(modify(make.entry("balance", [exact(1, 1)])))
    assert client.read(make.entry("balance")) == [semantics]
    assert client.read(make.member("balanced", 0), make.group("balanced", 0)) == []
    client.write(delete(entry))
    assert shares(client, BALANCE, 1, 2) == [0, 0]


def test_what_is_refused_of_one_shots(client: Client, make: Profiles) -> None:
    client.write(insert(make.one_shot("balance", 1, (5, 1))))
    wrong = make.one_shot("balance", 2, (5, 1))
    (part,) = wrong.table_entry.action.action_profile_action_set.action_profile_actions
    part.action.action_id = client.id("NoAction")
    part.action.ClearField("params")
    unwatched = make.one_shot("balance", 2, (5, 1))
    (part,) = unwatched.table_entry.action.action_profile_action_set.action_profile_actions
    part.watch_port = b"\7"
    codes(
        client,
        ("INVALID_ARGUMENT", insert(make.one_shot("balance", 2, (5, 0)))),
        ("PERMISSION_DENIED", insert(wrong)),
        ("INVALID_ARGUMENT", insert(unwatched)),
        (
            "UNIMPLEMENTED",
            insert(make.one_shot("balance", 2, (5, 1), action_selection_mode=ActionSet.RANDOM)),
        ),
        (
            "UNIMPLEMENTED",
            insert(make.one_shot("balance", 2, (5, 1), size_semantics=ActionSet.SUM_OF_MEMBERS)),
        ),
        ("RESOURCE_EXHAUSTED", insert(make.one_shot("balance", 2, (5, 64)))),
        ("INVALID_ARGUMENT", insert(make.one_shot("narrow", 1, *[(n, 1) for n in range(5)]))),
        ("INVALID_ARGUMENT", insert(make.one_shot("narrow", 1, (1, 11)))),
        ("INVALID_ARGUMENT", insert(make.one_shot("heavy", 1, (1, 6)))),
        # one style of programming at a time
        ("INVALID_ARGUMENT", insert(make.member("balanced", 1, 1))),
        ("INVALID_ARGUMENT", insert(make.group("balanced", 1))),
        ("INVALID_ARGUMENT", insert(make.to_member("balance", 2, 1))),
        ("INVALID_ARGUMENT", insert(make.to_group("balance", 2, 1))),
    )
    client.write(delete(make.one_shot("balance", 1)))
    client.write(insert(make.member("balanced", 1, 1)))


def test_weights_that_are_not_the_controllers(client: Client, make: Profiles) -> None:
    shot = make.one_shot("level", 1, (5, 0), (6, 0))
    client.write(insert(shot))
    assert shares(client, LEVEL, 1, 4) == [5, 6, 5, 6]
    assert client.read(make.entry("level")) == [shot]
    codes(client, ("INVALID_ARGUMENT", insert(make.one_shot("level", 2, (5, 1)))))
    client.write(delete(shot))
    _three(client, make, "unweighed")
    codes(client, ("INVALID_ARGUMENT", insert(make.group("unweighed", 1, (1, 1)))))
    group = make.group("unweighed", 1, (3, 0), (1, 0))
    client.write(insert(group), insert(make.to_group("level", 1, 1)))
    assert shares(client, LEVEL, 1, 4) == [1, 3, 1, 3]
    assert client.read(make.group("unweighed", 1)) == [group]


def test_a_new_program_without_the_profiles(
    client: Client, make: Profiles, config: DeviceConfig
) -> None:
    client.write(insert(make.member("balanced", 1, 1)))
    other = p4r.ForwardingPipelineConfig(p4_device_config=config.serialize())
    with pytest.raises(Failure) as failure:
        client.set_config("RECONCILE_AND_COMMIT", other)
    assert failure.value.code == "INVALID_ARGUMENT"
    assert "ProfilesIngress.balanced" in failure.value.messages[0]
    assert client.read(make.member("balanced", 0)) == [make.member("balanced", 1, 1)]


# --- batches and new programs ---------------------------------------------------------------------


def test_a_failed_batch_is_taken_back(client: Client, make: Profiles) -> None:
    _three(client, make)
    group, entry = make.group("balanced", 1, (1, 1)), make.to_group("balance", 1, 1)
    shot = make.one_shot("narrow", 1, (9, 2))
    client.write(insert(group), insert(entry), insert(shot))
    with pytest.raises(Failure) as failure:
        client.write(
            insert(make.member("balanced", 4, 4)),
            modify(make.member("balanced", 1, 11)),
            modify(make.group("balanced", 1, (2, 1), (4, 1))),
            insert(make.group("balanced", 2, (3, 1))),
            modify(make.to_member("balance", 1, 4)),
            insert(make.to_group("balance", 2, 2)),
            delete(make.group("balanced", 1)),
            modify(make.one_shot("narrow", 1, (8, 1), (7, 1))),
            delete(shot),
            insert(make.member("balanced", 0, 1)),
            atomicity=p4r.WriteRequest.ROLLBACK_ON_ERROR,
        )
    assert failure.value.details == ["ABORTED"] * 9 + ["INVALID_ARGUMENT"]
    assert client.read(make.group("balanced", 0)) == [group]
    wild = p4r.Entity(table_entry=p4r.TableEntry())
    assert text(client.read(wild)) == text([entry, shot])
    members = [make.member("balanced", number, number) for number in (1, 2, 3)]
    assert text(client.read(make.member("balanced", 0))) == text(members)
    assert [seen(client, BALANCE, 1), seen(client, NARROW, 1)] == [1, 9]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_random_batches_are_done_or_taken_back(
    client: Client, make: Profiles, data: st.DataObject
) -> None:
    number, weight = st.integers(1, 3), st.integers(1, 3)
    pair = st.tuples(number, weight)
    parts = st.lists(pair, max_size=3, unique_by=lambda part: part[0])
    entity = st.one_of(
        st.builds(make.member, st.just("balanced"), number, number),
        st.builds(lambda n, ps: make.group("balanced", n, *ps), number, parts),
        st.builds(make.to_member, st.just("balance"), number, number),
        st.builds(make.to_group, st.just("balance"), number, number),
        st.builds(lambda n, ps: make.one_shot("heavy", n, *ps), number, parts),
        st.builds(lambda n, ps: make.one_shot("balance", n, *ps), number, parts),
    )
    update = st.builds(
        lambda kind, what: kind(what), st.sampled_from([insert, modify, delete]), entity
    )
    batch = data.draw(st.lists(update, min_size=1, max_size=7))
    everything = [
        p4r.Entity(table_entry=p4r.TableEntry()),
        p4r.Entity(action_profile_member=p4r.ActionProfileMember()),
        p4r.Entity(action_profile_group=p4r.ActionProfileGroup()),
    ]
    before = text(client.read(*everything))
    try:
        client.write(*batch, atomicity=p4r.WriteRequest.ROLLBACK_ON_ERROR)
    except Failure as failure:
        assert "INTERNAL" not in failure.details
        assert text(client.read(*everything)) == before


def test_reconciling_keeps_profiles(client: Client, make: Profiles) -> None:
    _three(client, make)
    group, entry = make.group("balanced", 1, (1, 1), (2, 1)), make.to_group("balance", 1, 1)
    shot = make.one_shot("heavy", 1, (9, 2), action_selection_mode=ActionSet.HASH)
    client.write(insert(group), insert(entry), insert(shot))
    client.set_config("RECONCILE_AND_COMMIT", client.get_config())
    assert client.read(make.group("balanced", 0)) == [group]
    wild = p4r.Entity(table_entry=p4r.TableEntry())
    assert text(client.read(wild)) == text([entry, shot])
    assert shares(client, BALANCE, 1, 4) == [1, 2, 1, 2]
    assert seen(client, HEAVY, 1) == 9
    client.set_config("VERIFY_AND_COMMIT", client.get_config())
    assert client.read(make.group("balanced", 0), make.member("balanced", 0), wild) == []


async def test_finsy(profiles_server: Server, client: Client) -> None:
    client.close()
    async with fy.Switch("s1", f"127.0.0.1:{profiles_server.port}") as switch:

        async def found(entity: Any) -> list[Any]:
            return [each async for each in cast(AsyncIterator[Any], switch.read(entity))]

        members = [
            fy.P4ActionProfileMember(
                "balanced", member_id=number, action=fy.P4TableAction("result", value=number)
            )
            for number in (1, 2)
        ]
        group = fy.P4ActionProfileGroup(
            "balanced",
            group_id=1,
            members=[fy.P4Member(1, weight=1), fy.P4Member(2, weight=3)],
        )
        entry = fy.P4TableEntry(
            "balance",
            match=fy.P4TableMatch({"hdr.packet.number": 1}),
            action=fy.P4IndirectAction(group_id=1),
        )
        weighted = [
            (2, fy.P4TableAction("result", value=5)),
            (1, fy.P4TableAction("result", value=6)),
        ]
        shot = fy.P4TableEntry(
            "heavy",
            match=fy.P4TableMatch({"hdr.packet.number": 1}),
            action=fy.P4IndirectAction(action_set=weighted),
        )
        await switch.write([*(+member for member in members), +group, +entry, +shot])
        assert await found(fy.P4ActionProfileMember()) == members
        assert await found(fy.P4ActionProfileGroup()) == [group]
        assert [each.action for each in await found(fy.P4TableEntry("balance"))] == [entry.action]
        assert [each.action for each in await found(fy.P4TableEntry("heavy"))] == [shot.action]
        await switch.delete([entry, group])
        assert await found(fy.P4ActionProfileGroup()) == []


# --- watched ports --------------------------------------------------------------------------------


@pytest.fixture
def wired(profiles_config: DeviceConfig) -> Iterator[Client]:
    with looped(profiles_config, *(f"w{os.getpid()}{end}" for end in "ab")) as client:
        yield client


def _until(client: Client, number: int, wanted: set[int]) -> None:
    """News of a link take a moment."""
    for _ in range(500):
        if set(shares(client, BALANCE, number, 6)) == wanted:
            return
        time.sleep(0.01)
    assert set(shares(client, BALANCE, number, 6)) == wanted


@pytest.mark.root
def test_a_member_whose_port_is_down_is_not_chosen(wired: Client) -> None:
    make, name = Profiles(wired), f"w{os.getpid()}a"
    shot = make.one_shot("balance", 1, (1, 1), (3, 2))
    first, _ = shot.table_entry.action.action_profile_action_set.action_profile_actions
    first.watch_port = b"\1"
    wired.write(insert(shot))
    assert wired.read(make.entry("balance")) == [shot]
    _until(wired, 1, {1, 3})
    subprocess.run(["ip", "link", "set", name, "down"], check=True)
    _until(wired, 1, {3})
    wired.set_config("RECONCILE_AND_COMMIT", wired.get_config())
    assert set(shares(wired, BALANCE, 1, 6)) == {3}
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    _until(wired, 1, {1, 3})
    wired.write(delete(shot), insert(make.member("balanced", 1, 1)))
    watching = make.group("balanced", 1, (1, 1), watch_port=b"\0\2")
    wired.write(insert(watching), insert(make.to_group("balance", 2, 1)))
    (found,) = wired.read(make.group("balanced", 1))
    assert found.action_profile_group.members[0].watch_port == b"\2"
    subprocess.run(["ip", "link", "set", name, "down"], check=True)  # the other end's carrier
    _until(wired, 2, {0})
    codes(
        wired,
        ("INVALID_ARGUMENT", modify(make.group("balanced", 1, (1, 1), watch_port=b"\3"))),
    )
