"""What happened to a packet: the records of runtime/trace.h as Python objects, and as text."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from switch import ir
from switch.backend import representation as rep
from switch.backend.source import number
from switch.backend.trace import FIRST_SITE, Site
from switch.runtime.entries import (
    Entry,
    Exact,
    Lpm,
    Match,
    OneShot,
    Optional,
    Range,
    Target,
    Ternary,
    ToGroup,
    ToMember,
)
from switch.runtime.objects import Objects, Table

_EVENTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("parsed", ("error", "bytes")),
    ("ingress", ("port", "instance_type")),
    ("egress", ("port", "rid")),
    ("clone", ("copy", "session", "port", "rid")),
    ("no session", ("session",)),
    ("multicast", ("copy", "group", "port", "rid")),
    ("no group", ("group",)),
    ("resubmit", ("copy",)),
    ("recirculate", ("copy", "bytes")),
    ("dropped", ()),
    ("failed", ()),
    ("endless", ()),
    ("out", ("port", "bytes", "whole")),
)
"""enum p4_trace_event."""
_RECORD_HEAD: Final = 5
_COLOURS: Final = ("green", "yellow", "red")
_ORIGINS: Final = {4: "recirculated", 6: "resubmitted"}
"""By standard_metadata.instance_type."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to one copy of the packet (0 is the one that came in).

    `kind` says what, `name` and `loc` where in the program, `values` are by their names there: the
    fields of a header, keys of a table, parameters of an action, index and value of a register, ….
    """

    copy: int
    kind: str
    name: str = ""
    loc: ir.Loc | None = None
    values: dict[str, int] = field(default_factory=dict)
    hit: bool = False
    """Of a table: whether an entry matched."""
    entry: Entry | None = None
    """Of a table that hit: the entry."""
    text: str = ""
    """As a line of a log says it."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A packet's way through the program; str() of it is the text of the log."""

    number: int
    """Counts the packets since the program was loaded; 0: no trace, only messages of the program"""
    time_ns: int
    port: int
    length: int
    steps: tuple[Step, ...]
    out: tuple[tuple[int, bytes], ...] = ()
    """What came out, for `Pipeline.trace`."""

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """One per step, each with the number of its packet and copy."""
        clock = time.strftime("%H:%M:%S", time.localtime(self.time_ns // 10**9))
        at = f"{clock}.{self.time_ns // 1000 % 10**6:06}"
        places = [_place(step.loc) for step in self.steps]
        if self.number == 0:
            for place, step in zip(places, self.steps, strict=True):
                yield f"{at} {place} {step.text}"
            return
        width = max(map(len, places), default=0)
        yield f"{self.number}.0 {at} port {self.port}: {self.length} bytes came in"
        for place, step in zip(places, self.steps, strict=True):
            yield f"{self.number}.{step.copy} {place:{width}} {step.text}"


def _place(loc: ir.Loc | None) -> str:
    """As BMv2's log has it."""
    return f"{loc.file.rpartition('/')[2]}({loc.line})" if loc else ""


class Decoder:
    """Records of one program."""

    def __init__(self, program: ir.Program, sites: Sequence[Site], objects: Objects) -> None:
        self._sites = [
            (site, [(v.name, v.type, _words(v.type)) for v in site.values]) for site in sites
        ]
        self._tables = objects.tables
        self._errors = program.errors

    def traces(self, data: bytes) -> Iterator[Trace]:
        """All records in what p4s_trace_take gave."""
        words = struct.unpack(f"={len(data) // 8}Q", data)
        at = 0
        while at < len(words):
            yield self._trace(words[at : at + words[at]])
            at += words[at]

    def _trace(self, record: Sequence[int]) -> Trace:
        _, time_ns, sequence, port, length = record[:_RECORD_HEAD]
        story = _Story()
        at = _RECORD_HEAD
        while at < len(record):
            head = record[at]
            site, copy, count = head & 0xFFFFFFFF, head >> 32 & 0xFFFF, head >> 48
            words = record[at + 1 : at + 1 + count]
            if site < FIRST_SITE:
                story.add(self._event(site, copy, words, story))
            else:
                story.add(self._step(*self._sites[site - FIRST_SITE], copy, words))
            at += 1 + count
        return Trace(sequence, time_ns, port, length, tuple(story.steps))

    def _event(self, event: int, copy: int, words: Sequence[int], story: _Story) -> Step:
        kind, names = _EVENTS[event]
        values: dict[str, int] = dict(zip(names, words, strict=True))
        return Step(copy, kind, values=values, text=self._told(kind, copy, values, story))

    def _told(self, kind: str, copy: int, v: dict[str, int], story: _Story) -> str:
        match kind:
            case "parsed" if v["error"]:
                return f"parser stops after {v['bytes']} bytes: error.{self._errors[v['error']]}"
            case "parsed":
                return f"parser done, {v['bytes']} bytes of headers"
            case "ingress":
                origin = _ORIGINS.get(v["instance_type"], f"port {v['port']}")
                return f"ingress, {origin}"
            case "egress":
                return f"egress, port {v['port']}{_instance(v)}"
            case "clone":
                to = f"port {v['port']}{_instance(v)}"
                return f"clone session {v['session']}: copy {v['copy']} to {to}"
            case "no session":
                return f"clone session {v['session']} has no ports: no copy"
            case "multicast":
                to = f"port {v['port']}{_instance(v)}"
                return f"multicast group {v['group']}: copy {v['copy']} to {to}"
            case "no group":
                return f"multicast group {v['group']} has no ports: dropped"
            case "resubmit":
                return f"resubmitted as copy {v['copy']}"
            case "recirculate":
                return f"recirculated as copy {v['copy']}, {v['bytes']} bytes"
            case "dropped":
                return f"dropped at the end of {story.why_dropped(copy)}"
            case "failed":
                return "dropped: an assertion failed"
            case "endless":
                return "dropped: it went round too often"
        cut = f" of {v['whole']}" if v["bytes"] != v["whole"] else ""
        return f"out of port {v['port']}, {v['bytes']}{cut} bytes"

    def _step(
        self, site: Site, shape: list[tuple[str, ir.Type, int]], copy: int, words: Sequence[int]
    ) -> Step:
        values: dict[str, int] = {}
        shown: dict[str, str] = {}
        at = 0
        for name, type_, size in shape:
            values[name], shown[name] = self._value(type_, words[at : at + size])
            at += size
        if site.kind == "table":
            table, hit = self._tables[site.name], bool(words[at])
            entry = table.entry(words[at + 1 :]) if hit else None
            text = f"table {site.name}({_list(shown)}) {_found(table, site, entry)}"
            return Step(copy, site.kind, site.name, site.loc, values, hit, entry, text)
        text = _text(site, values, shown)
        return Step(copy, site.kind, site.name, site.loc, values, text=text)

    def _value(self, type_: ir.Type, words: Sequence[int]) -> tuple[int, str]:
        if isinstance(type_, ir.Varbit):
            data = _varbit(type_, words)
            return int.from_bytes(data, "big"), f"0x{data.hex()}"
        value = words[0] if len(words) == 1 else sum(w << 64 * i for i, w in enumerate(words))
        if isinstance(type_, ir.Error):
            return value, f"error.{self._errors[value]}"
        return value, number(value, type_)


def _words(type_: ir.Type) -> int:
    """As `trace.words_of` of the back end has it."""
    return 1 + -(-type_.max_width // 64) if isinstance(type_, ir.Varbit) else rep.words_of(type_)


def _varbit(type_: ir.Varbit, words: Sequence[int]) -> bytes:
    """The bytes of a varbit, whose width comes first; the last word has what is left of them."""
    room = -(-type_.max_width // 8)
    sizes = [min(8, room - at) for at in range(0, room, 8)]
    parts = [word.to_bytes(size, "big") for word, size in zip(words[1:], sizes, strict=True)]
    return b"".join(parts)[: words[0] // 8]


class _Story:
    """The steps so far, and where each copy is in its way."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._stage: dict[int, str] = {}
        self._marked: dict[int, ir.Loc | None] = {}

    def add(self, step: Step) -> None:
        self.steps.append(step)
        if step.kind in ("ingress", "egress"):
            self._stage[step.copy] = step.kind
            self._marked.pop(step.copy, None)
        elif step.kind == "request" and step.name == "mark_to_drop":
            self._marked[step.copy] = step.loc

    def why_dropped(self, copy: int) -> str:
        loc = self._marked.get(copy)
        why = f"mark_to_drop in {_place(loc)}" if loc else "egress_spec is the drop port"
        return f"{self._stage.get(copy, 'ingress')}: {why}"


def _instance(values: dict[str, int]) -> str:
    return f", instance {values['rid']}" if values["rid"] else ""


def _list(shown: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in shown.items())


def _text(site: Site, values: dict[str, int], shown: dict[str, str]) -> str:
    name = site.name
    match site.kind:
        case "state":
            return f"state {name}"
        case "extract":
            return f"extract {name}: {_list(shown)}"
        case "emit":
            return f"emit {name}: {_list(shown)}"
        case "advance":
            return f"advance {values['bits']} bits"
        case "condition":
            return f"if ({name}) is {shown['']}"
        case "switch":
            return f"switch ({name}) is {shown['']}"
        case "assign":
            return f"{name} = {shown['']}" if shown else name
        case "member":
            return f"{name}: member {values['id']}" if values["chosen"] else f"{name}: no member"
        case "action":
            return f"action {name}({_list(shown)})"
        case "read":
            return f"register {name}[{values['index']}] is {shown['value']}"
        case "write":
            return f"register {name}[{values['index']}] = {shown['value']}"
        case "counter":
            return f"counter {name}[{values['index']}]"
        case "meter":
            at = f"[{values['index']}]" if "index" in values else ""
            return f"meter {name}{at} is {_COLOURS[values['colour']]}"
        case "result":
            return f"{name}: {_list(shown)}"
        case "digest":
            return f"digest {name}: {_list(shown)}"
        case "log_msg":
            return f"log_msg: {message(name, list(values.values()))}"
        case "assert" | "assume":
            return f"{site.kind}({name}) failed: the packet is dropped"
        case "exit":
            return "exit"
        case _:
            return f"{name}({_list(shown)})"


def message(text: str, values: Sequence[int]) -> str:
    """BMv2's format: what stands between braces is replaced, values are decimal, \\{ is a brace."""
    left = [str(value) for value in values]

    def shown(found: re.Match[str]) -> str:
        if found[0][0] == "\\":
            return found[0][1]
        return left.pop(0) if left else found[0]

    return " ".join([re.sub(r"\\[{}]|\{[^}]*\}", shown, text), *left])


def _found(table: Table, site: Site, entry: Entry | None) -> str:
    if not table.layout.fields:
        return "has no key: default action"
    if entry is None:
        return "miss: default action"
    to = _target(entry.target)
    if all(isinstance(match, Exact) for match in entry.match):
        return f"hit{to}"
    matches = ", ".join(
        f"{key.name}={_match(match, value.type)}"
        for key, match, value in zip(table.layout.fields, entry.match, site.values, strict=True)
    )
    priority = f", priority {entry.priority}" if entry.priority else ""
    return f"hit {matches}{priority}{to}"


def _target(target: Target | None) -> str:
    """What an entry of a table with an action profile refers to."""
    match target:
        case ToMember(id=number):
            return f", member {number}"
        case ToGroup(id=number):
            return f", group {number}"
        case OneShot():
            return ", one-shot"
    return ""


def _match(match: Match, type_: ir.Type) -> str:
    match match:
        case Exact(value=value):
            return number(value, type_)
        case Lpm(value=value, prefix_len=length):
            return f"{number(value, type_)}/{length}"
        case Ternary(mask=0) | Optional(value=None):
            return "*"
        case Ternary(value=value, mask=mask):
            return f"{number(value, type_)}&&&{number(mask, type_)}"
        case Range(low=low, high=high):
            return f"{number(low, type_)}..{number(high, type_)}"
        case Optional(value=value):
            return number(value or 0, type_)
