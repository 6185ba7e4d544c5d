"""Runs an STF test on a pipeline: everything in the order of the file, packets one by one."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from switch.backend.context import array_size
from switch.runtime.entries import Entry, InvalidEntry, MeterConfig, NoSuchEntry, PipelineError
from switch.runtime.pipeline import Pipeline
from switch.runtime.trace import Trace
from switch.stf import names
from switch.stf.parser import StfError, parse
from switch.stf.profiles import Profiles
from switch.stf.statements import (
    ActionGroupCreate,
    Add,
    AddIndirect,
    CheckCounter,
    CounterWrite,
    Expect,
    GroupCreate,
    GroupMember,
    MemberCreate,
    MeterRates,
    Mirror,
    MirrorDelete,
    MirrorGet,
    NodeAssociate,
    NodeCreate,
    NodeUpdate,
    NoPacket,
    Packet,
    Pattern,
    Read,
    RegisterReset,
    RegisterWrite,
    RemoveAll,
    SetDefault,
    Statement,
    Wait,
)

_COMPARE: Final[dict[str, Callable[[int, int], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Something a test expected and did not see, or the other way round."""

    line: int
    what: str
    expected: Pattern | None = None
    seen: bytes | None = None
    trace: Trace | None = None
    """Of the packet that went wrong, as far as that is known."""


def run(pipeline: Pipeline, test: Path, *, log_packets: bool = False) -> list[Failure]:
    """What is not as the test says, with traces if wanted; raises StfError for a wrong test."""
    statements = parse(test)
    runner = _Runner(pipeline, log_packets)
    for statement in statements:
        try:
            runner.execute(statement)
        except PipelineError as error:
            raise StfError(test, statement.line, str(error)) from None
    connected = {s.port for s in statements if isinstance(s, Packet | Expect)}
    return sorted([*runner.failures, *runner.compare(connected)], key=lambda f: f.line)


@dataclass(slots=True)
class _Node:
    instance: int
    ports: tuple[int, ...]


class _Runner:
    def __init__(self, pipeline: Pipeline, log_packets: bool) -> None:
        self.failures: list[Failure] = []
        self._pipeline = pipeline
        self._log_packets = log_packets
        self._traces: dict[int, Trace] = {}
        self._expected: dict[int, list[Expect]] = defaultdict(list)
        self._seen: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        self._last: tuple[int, Sequence[tuple[int, bytes]]] | None = None
        self._labels: dict[str, tuple[str, Entry]] = {}
        self._replication = _Replication(pipeline)
        self._profiles = Profiles(pipeline)
        instances = list(pipeline.program.extern_instances())
        self._externs = {
            kind: [i.name for i in instances if i.type.name == kind]
            for kind in ("counter", "direct_counter", "register", "meter")
        }

    def _extern(self, kind: str, name: str) -> str:
        return names.resolve(name, self._externs[kind], kind)

    def execute(self, statement: Statement) -> None:
        """Raises PipelineError."""
        pipeline = self._pipeline
        match statement:
            case Packet(line=line, port=port, data=data):
                out = self._process(line, port, data)
                self._last = line, out
                for out_port, packet in out:
                    self._seen[out_port].append((line, packet))
            case Expect(port=port):
                self._expected[port].append(statement)
            case NoPacket():
                self._no_packet(statement.line)
            case Add():
                self._add(statement)
            case SetDefault(table=name, call=call):
                table = names.find_table(pipeline.program, name)
                pipeline.set_default(table.name, *names.bind(table, call))
            case AddIndirect(table=name):
                table = names.find_table(pipeline.program, name)
                pipeline.insert(table.name, names.indirect_entry(table, statement))
            case ActionGroupCreate() | GroupMember() | MemberCreate():
                self._profiles.execute(statement)
            case RemoveAll():
                self._remove_all()
            case CheckCounter():
                self._check_counter(statement)
            case Read(kind="counter", name=name, index=index):
                pipeline.counter(self._extern("counter", name), index)
            case Read(kind="register", name=name, index=index):
                pipeline.register(self._extern("register", name), index)
            case Read(kind="meter", name=name, index=index):
                pipeline.meter(self._extern("meter", name), index)
            case CounterWrite(counter=name, index=index):
                full = self._extern("counter", name)
                pipeline.set_counter(full, index, statement.packets, statement.bytes)
            case RegisterWrite(register=name, index=index, value=value):
                pipeline.set_register(self._extern("register", name), index, value)
            case RegisterReset(register=name):
                full = self._extern("register", name)
                pipeline.set_registers(full, [0] * len(pipeline.registers(full)))
            case MeterRates():
                self._set_meter(statement)
            case Wait():
                pass
            case _:
                self._replication.execute(statement)

    def _process(self, line: int, port: int, data: bytes) -> Sequence[tuple[int, bytes]]:
        if not self._log_packets:
            return self._pipeline.process(port, data)
        trace = self._pipeline.trace(port, data)
        self._traces[line] = trace
        return trace.out

    def _near(self, line: int) -> Trace | None:
        """Of the packet sent last before a line; of the first one if there is none."""
        before = [sent for sent in self._traces if sent < line]
        return self._traces.get(max(before) if before else min(self._traces, default=0))

    def _no_packet(self, line: int) -> None:
        if self._last is None:
            raise InvalidEntry("no_packet must stand after a packet")
        sent, out = self._last
        for port, packet in out:
            what = f"port {port}: the packet of line {sent} came out, expected was no packet"
            self.failures.append(Failure(line, what, None, packet, self._traces.get(sent)))

    def _add(self, add: Add) -> None:
        table = names.find_table(self._pipeline.program, add.table)
        entry = names.entry(table, add)
        self._pipeline.insert(table.name, entry)
        if add.label:
            self._labels[add.label] = table.name, entry

    def _remove_all(self) -> None:
        for table in self._pipeline.program.tables():
            if not table.const_entries:
                for entry in self._pipeline.entries(table.name):
                    self._pipeline.delete(table.name, entry)

    def _check_counter(self, check: CheckCounter) -> None:
        packets, octets = self._count(check.counter, check.index)
        if check.condition is None:
            return
        want = check.condition
        value = octets if want.unit == "bytes" else packets
        if not _COMPARE[want.operator](value, want.number):
            what = (
                f"counter {check.counter}({check.index}): {value} {want.unit}, "
                f"expected {want.operator} {want.number}"
            )
            self.failures.append(Failure(check.line, what))

    def _count(self, name: str, index: int | str) -> tuple[int, int]:
        if isinstance(index, int):
            return self._pipeline.counter(self._extern("counter", name), index)
        label = index.removeprefix("$")
        if label not in self._labels:
            raise InvalidEntry(f"no entry was added with '= {label}'")
        table, entry = self._labels[label]
        full = self._extern("direct_counter", name)
        instances = self._pipeline.program.extern_instances()
        counted = next(i.table for i in instances if i.name == full)
        if counted is None or counted.name != table:
            raise InvalidEntry(f"entry {label} is of table '{table}', which {full} does not count")
        return self._pipeline.direct_counter(table, entry)

    def _set_meter(self, meter: MeterRates) -> None:
        name = self._extern("meter", meter.meter)
        (committed, cburst), (peak, pburst) = meter.rates
        config = MeterConfig(round(committed * 1e6), cburst, round(peak * 1e6), pburst)
        if meter.index is not None:
            self._pipeline.set_meter(name, meter.index, config)
            return
        instances = self._pipeline.program.extern_instances()
        size = next(array_size(i) for i in instances if i.name == name)
        for index in range(size):
            self._pipeline.set_meter(name, index, config)

    def compare(self, connected: Iterable[int]) -> list[Failure]:
        """Per port, what came out against what was expected, in order.

        Ports that the test never names have no interface: what goes there is lost.
        """
        failures = []
        for port in sorted(connected):
            expected, seen = self._expected[port], self._seen[port]
            for want, (sent, packet) in zip(expected, seen, strict=False):
                if not want.pattern.matches(packet):
                    what = f"port {port}: the packet of line {sent} is not as expected"
                    trace = self._traces.get(sent)
                    failures.append(Failure(want.line, what, want.pattern, packet, trace))
            for want in expected[len(seen) :]:
                what = f"port {port}: no packet came out"
                failures.append(Failure(want.line, what, want.pattern, trace=self._near(want.line)))
            for sent, packet in seen[len(expected) :]:
                what = f"port {port}: a packet that nothing expects came out"
                failures.append(Failure(sent, what, None, packet, self._traces.get(sent)))
        return failures


class _Replication:
    """Multicast groups of nodes and clone sessions, as BMv2's command line builds them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._nodes: list[_Node] = []
        self._groups: dict[int, list[_Node]] = {}
        self._sessions: dict[int, Mirror] = {}

    def execute(self, statement: Statement) -> None:
        match statement:
            case GroupCreate(group=group):
                self._groups.setdefault(group, [])
            case NodeCreate(instance=instance, ports=ports):
                self._nodes.append(_Node(instance, ports))
            case NodeUpdate(node=node, ports=ports):
                self._node(node).ports = ports
            case NodeAssociate(group=group, node=node):
                if group not in self._groups:
                    raise NoSuchEntry(f"no multicast group {group}: mc_mgrp_create makes one")
                self._groups[group].append(self._node(node))
            case Mirror(session=session):
                self._sessions[session] = statement
            case MirrorDelete(session=session):
                self._session(session)
                del self._sessions[session]
                self._pipeline.delete_clone_session(session)
            case MirrorGet(session=session):
                self._session(session)
            case _:
                raise AssertionError(statement)
        self._install()

    def _node(self, number: int) -> _Node:
        if number >= len(self._nodes):
            raise NoSuchEntry(f"no multicast node {number}: there are {len(self._nodes)} so far")
        return self._nodes[number]

    def _session(self, number: int) -> Mirror:
        if number not in self._sessions:
            raise NoSuchEntry(f"no mirroring session {number}: mirroring_add makes one")
        return self._sessions[number]

    def _replicas(self, group: int) -> list[tuple[int, int]]:
        nodes = self._groups.get(group, [])
        return [(port, node.instance) for node in nodes for port in node.ports]

    def _install(self) -> None:
        for group in self._groups:
            self._pipeline.set_multicast_group(group, self._replicas(group))
        for number, session in self._sessions.items():
            if session.port is not None:
                replicas = [(session.port, 0)]
            else:
                replicas = self._replicas(session.group or 0)
            self._pipeline.set_clone_session(number, replicas)
