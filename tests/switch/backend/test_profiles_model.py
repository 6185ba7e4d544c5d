"""Random changes of members, groups, entries and ports, against a model of what refers to what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from switch.runtime.pipeline import (
    Entry,
    EntryExists,
    Exact,
    Group,
    InUse,
    Member,
    NoSuchEntry,
    OneShot,
    PipelineError,
    Share,
    TableFull,
    ToGroup,
    ToMember,
    Weighted,
)
from tests.switch.backend.programs import fresh
from tests.switch.backend.test_profiles import CHOSEN, TO, T, chosen, out, selector

SIZE = 12

ids = st.integers(0, 4)
keys = st.integers(0, 3)
weights = st.integers(1, 4)
ports = st.integers(10, 14)
watched = st.sampled_from([None, None, 1, 2])
shares = st.lists(
    st.builds(Share, ids, weights, watched), max_size=4, unique_by=lambda share: share.member
)
one_shots = st.builds(
    OneShot,
    st.lists(
        st.builds(lambda port, *rest: Weighted(TO, (port,), *rest), ports, weights, watched),
        max_size=3,
    ).map(tuple),
)
targets = st.one_of(st.builds(ToMember, ids), st.builds(ToGroup, ids), one_shots)
Target = ToMember | ToGroup | OneShot


class ProfileMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.pipeline = fresh(selector("crc16", size=SIZE))
        self.members: dict[int, int] = {}
        self.groups: dict[int, tuple[Share, ...]] = {}
        self.entries: dict[int, Target] = {}
        self.down: set[int] = set()

    def teardown(self) -> None:
        for port in (1, 2):
            self.pipeline.set_port(port, up=True)  # a reset leaves ports alone

    def expect(self, refusal: type[PipelineError] | None, call: Callable[[], None]) -> bool:
        """Whether it is carried out."""
        if refusal is None:
            call()
            return True
        with pytest.raises(refusal):
            call()
        return False

    def used(self, without: Target | int | None = None) -> int:
        """What all groups weigh, without an entry's target or a group."""
        weight = sum(
            share.weight for n, group in self.groups.items() if n != without for share in group
        )
        for target in self.entries.values():
            if isinstance(target, OneShot) and target is not without:
                weight += sum(each.weight for each in target.actions)
        return weight

    @rule(number=ids, port=ports, insert=st.booleans())
    def set_member(self, number: int, port: int, insert: bool) -> None:
        known = number in self.members
        refusal: type[PipelineError] | None = None
        if insert and known:
            refusal = EntryExists
        elif not insert and not known:
            refusal = NoSuchEntry
        call = self.pipeline.insert_member if insert else self.pipeline.modify_member
        if self.expect(refusal, lambda: call(CHOSEN, Member(number, TO, (port,)))):
            self.members[number] = port

    @rule(number=ids)
    def delete_member(self, number: int) -> None:
        refusal: type[PipelineError] | None = None
        if number not in self.members:
            refusal = NoSuchEntry
        elif ToMember(number) in self.entries.values() or any(
            share.member == number for group in self.groups.values() for share in group
        ):
            refusal = InUse
        if self.expect(refusal, lambda: self.pipeline.delete_member(CHOSEN, number)):
            del self.members[number]

    @rule(number=ids, group=shares, insert=st.booleans())
    def set_group(self, number: int, group: list[Share], insert: bool) -> None:
        known = number in self.groups
        refusal: type[PipelineError] | None = None
        if insert and known:
            refusal = EntryExists
        elif (not insert and not known) or any(share.member not in self.members for share in group):
            refusal = NoSuchEntry
        elif self.used(number) + sum(share.weight for share in group) > SIZE:
            refusal = TableFull
        call = self.pipeline.insert_group if insert else self.pipeline.modify_group
        if self.expect(refusal, lambda: call(CHOSEN, Group(number, tuple(group)))):
            self.groups[number] = tuple(sorted(group, key=lambda share: share.member))

    @rule(number=ids)
    def delete_group(self, number: int) -> None:
        refusal: type[PipelineError] | None = None
        if number not in self.groups:
            refusal = NoSuchEntry
        elif ToGroup(number) in self.entries.values():
            refusal = InUse
        if self.expect(refusal, lambda: self.pipeline.delete_group(CHOSEN, number)):
            del self.groups[number]

    @rule(key=keys, wanted=targets, insert=st.booleans())
    def set_entry(self, key: int, wanted: Target, insert: bool) -> None:
        known = self.entries.get(key)
        refusal: type[PipelineError] | None = None
        missing = (isinstance(wanted, ToMember) and wanted.id not in self.members) or (
            isinstance(wanted, ToGroup) and wanted.id not in self.groups
        )
        weight = sum(a.weight for a in wanted.actions) if isinstance(wanted, OneShot) else 0
        full = isinstance(wanted, OneShot) and self.used(None if insert else known) + weight > SIZE
        if missing or (not insert and known is None):
            refusal = NoSuchEntry
        elif full:
            refusal = TableFull
        elif insert and known is not None:
            refusal = EntryExists
        call = self.pipeline.insert if insert else self.pipeline.modify
        if self.expect(refusal, lambda: call(T, Entry((Exact(key),), target=wanted))):
            self.entries[key] = wanted

    @rule(key=keys)
    def delete_entry(self, key: int) -> None:
        refusal = None if key in self.entries else NoSuchEntry
        if self.expect(refusal, lambda: self.pipeline.delete(T, Entry((Exact(key),)))):
            del self.entries[key]

    @rule(port=st.sampled_from([1, 2]), up=st.booleans())
    def set_port(self, port: int, up: bool) -> None:
        self.pipeline.set_port(port, up=up)
        (self.down.discard if up else self.down.add)(port)

    @rule(key=keys, x=st.integers(0, 50))
    def send(self, key: int, x: int) -> None:
        target = self.entries.get(key)
        parts: list[tuple[int, int, int | None]] = []
        match target:
            case ToMember(id=number):
                parts = [(self.members[number], 1, None)]
            case ToGroup(id=number):
                parts = [
                    (self.members[s.member], s.weight, s.watch_port) for s in self.groups[number]
                ]
            case OneShot(actions=actions):
                parts = [(a.params[0], a.weight, a.watch_port) for a in actions]
        alive = [(port, weight) for port, weight, watch in parts if watch not in self.down]
        expected = 100 if target is None else 0
        if alive:
            expected = chosen("crc16", x, 0, 0, alive)
        assert out(self.pipeline, key, 0, x) == expected

    @invariant()
    def reads_agree(self) -> None:
        members = {m.id: m.params[0] for m in self.pipeline.members(CHOSEN)}
        assert members == self.members
        assert {g.id: g.shares for g in self.pipeline.groups(CHOSEN)} == self.groups
        found = {}
        for entry in self.pipeline.entries(T):
            (key,) = entry.match
            assert isinstance(key, Exact)
            found[key.value] = entry.target
        assert found == self.entries


def test_profiles_equal_a_model() -> None:
    run_state_machine_as_test(
        ProfileMachine, settings=settings(max_examples=80, stateful_step_count=50, deadline=None)
    )
