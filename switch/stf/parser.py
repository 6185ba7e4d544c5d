"""STF text to statements, one per line; the keyword says how the rest is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from switch.stf.statements import (
    ActionGroupCreate,
    Add,
    AddIndirect,
    Call,
    CheckCounter,
    Condition,
    CounterWrite,
    Expect,
    GroupCreate,
    GroupMember,
    KeyValue,
    Masked,
    MemberCreate,
    MeterRates,
    Mirror,
    MirrorDelete,
    MirrorGet,
    NodeAssociate,
    NodeCreate,
    NodeUpdate,
    NoPacket,
    Number,
    Packet,
    Pattern,
    Prefix,
    Read,
    RegisterReset,
    RegisterWrite,
    RemoveAll,
    SetDefault,
    Span,
    Statement,
    Unit,
    Wait,
)

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>0[xX][0-9a-fA-F*]+|0[bB][01*]+|0[oO][0-7*]+|[0-9]+(?:\.[0-9]+)?)(?![\w.*])
    | (?P<name>"[^"]+"|[A-Za-z_$][\w$]*)
    | (?P<symbol>&&&|->|=>|[=!<>]=|[<>:,./()\[\]=])
    )""",
    re.VERBOSE | re.ASCII,
)
_BASES: Final = {"x": 4, "b": 1, "o": 3}
_OPERATORS: Final = ("==", "!=", "<=", ">=", "<", ">")
_LONGEST_NUMBER: Final = 4000


class StfError(Exception):
    """A test that cannot be run as it is written; the message begins with file and line."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")


class _Malformed(Exception):
    """What is wrong with a line."""


def parse(path: Path) -> list[Statement]:
    """Raises StfError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StfError(path, 1, f"cannot read the test: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StfError(path, 1, "the test is not UTF-8 text") from None
    return parse_text(text, path)


def parse_text(text: str, path: Path) -> list[Statement]:
    """As `parse`; `path` is for messages."""
    statements = []
    for line, content in enumerate(text.split("\n"), 1):
        words = content.partition("#")[0].split(maxsplit=1)
        if not words:
            continue
        keyword = words[0].lower()
        try:
            if keyword not in COMMANDS:
                raise _Malformed(f"there is no command '{words[0]}'")
            cursor = _Cursor(line, words[1] if len(words) > 1 else "")
            statement = COMMANDS[keyword](cursor)
            cursor.end()
        except _Malformed as error:
            raise StfError(path, line, str(error)) from None
        statements.append(statement)
    return statements


class _Cursor:
    """The rest of a line after its keyword."""

    def __init__(self, line: int, text: str) -> None:
        self.line = line
        self._text = text.rstrip()
        self._at = 0

    def rest(self) -> list[str]:
        """All words that are left, as packet data is written."""
        words = self._text[self._at :].split()
        self._at = len(self._text)
        return words

    def _peek(self) -> re.Match[str] | None:
        if self._at == len(self._text):
            return None
        match = _TOKEN.match(self._text, self._at)
        if not match:
            raise _Malformed(f"cannot read '{self._text[self._at :].strip()}'")
        return match

    def _missing(self, what: str) -> _Malformed:
        match = self._peek()
        return _Malformed(
            f"{what} must stand where '{match[0].strip()}' is" if match else f"{what} is missing"
        )

    def _take(self, kind: str, what: str) -> str:
        match = self._peek()
        if match is None or match[kind] is None:
            raise self._missing(what)
        self._at = match.end()
        return match[kind]

    def at(self, kind: str, *symbols: str) -> bool:
        """Whether the next token is of that kind (and one of these)."""
        match = self._peek()
        return bool(match and match[kind] and (not symbols or match[kind] in symbols))

    def accept(self, symbol: str) -> bool:
        if not self.at("symbol", symbol):
            return False
        self._take("symbol", symbol)
        return True

    def symbol(self, symbol: str) -> None:
        if not self.accept(symbol):
            raise self._missing(f"'{symbol}'")

    def end(self) -> None:
        if self._at < len(self._text):
            raise _Malformed(f"'{self._text[self._at :].strip()}' is too much")

    def word(self, what: str) -> str:
        return self._take("name", what).strip('"')

    def operator(self) -> str:
        operator = self._take("symbol", "a comparison")
        if operator not in _OPERATORS:
            raise _Malformed(f"'{operator}' is not one of {' '.join(_OPERATORS)}")
        return operator

    def name(self, what: str) -> str:
        """`a.b[0].c`, parts quoted or not."""
        parts = [self.word(what)]
        while True:
            if self.accept("["):
                parts.append(f"[{self.number('an index')}]")
                self.symbol("]")
            elif self.accept("."):
                parts.append("." + self.word(what))
            else:
                return "".join(parts)

    def literal(self, what: str) -> Number:
        text = self._take("number", what)
        if len(text) > _LONGEST_NUMBER:
            raise _Malformed(f"{what} has more than {_LONGEST_NUMBER} digits")
        bits = _BASES.get(text[1:2].lower())
        if bits is None:
            if "." in text:
                raise _Malformed(f"{what} must be a whole number, not {text}")
            return Number(int(text))
        digits, most = text[2:], (1 << bits) - 1
        value = wild = 0
        for digit in digits:
            value = value << bits | (0 if digit == "*" else int(digit, 16))
            wild = wild << bits | (most if digit == "*" else 0)
        return Number(value, wild, (1 << bits * len(digits)) - 1)

    def number(self, what: str) -> int:
        literal = self.literal(what)
        if literal.wild:
            raise _Malformed(f"{what} may not have wildcards")
        return literal.value

    def fraction(self, what: str) -> float:
        text = self._take("number", what)
        if not re.fullmatch(r"[0-9.]{1,30}", text):
            raise _Malformed(f"{what} must be a decimal number, not {text}")
        return float(text)

    def key_value(self) -> KeyValue:
        literal = self.literal("a value")
        for symbol, kind, what in (
            ("/", Prefix, "a prefix length"),
            ("&&&", Masked, "a mask"),
            ("->", Span, "the end of a range"),
        ):
            if self.accept(symbol):
                if literal.wild:
                    raise _Malformed(f"a value before '{symbol}' may not have wildcards")
                return kind(literal.value, self.number(what))
        return literal

    def call(self) -> Call:
        return self.arguments(self.name("an action"))

    def arguments(self, action: str) -> Call:
        self.symbol("(")
        arguments: list[tuple[str, int]] = []
        while not self.accept(")"):
            if arguments:
                self.symbol(",")
            name = self.word("a parameter")
            self.symbol(":")
            arguments.append((name, self.number("an argument")))
        return Call(action, tuple(arguments))

    def numbers(self, what: str) -> tuple[int, ...]:
        numbers = [self.number(what)]
        while self.at("number"):
            numbers.append(self.number(what))
        return tuple(numbers)


# --- packets --------------------------------------------------------------------------------------


def _port_and_data(cursor: _Cursor) -> tuple[int, str]:
    words = cursor.rest()
    if not words or not re.fullmatch(r"[0-9]{1,9}", words[0]):
        raise _Malformed("a port number must follow")
    return int(words[0]), "".join(words[1:]).lower()


def _packet(cursor: _Cursor) -> Statement:
    port, digits = _port_and_data(cursor)
    wrong = re.search(r"[^0-9a-f]", digits)
    if wrong:
        raise _Malformed(f"'{wrong[0]}' is not a hexadecimal digit")
    if len(digits) % 2:
        raise _Malformed(f"half a byte at the end: {len(digits)} hexadecimal digits")
    return Packet(cursor.line, port, bytes.fromhex(digits))


def _expect(cursor: _Cursor) -> Statement:
    port, digits = _port_and_data(cursor)
    exact = digits.endswith("$")
    digits = digits.removesuffix("$")
    wrong = re.search(r"[^0-9a-f*]", digits)
    if wrong:
        raise _Malformed(f"'{wrong[0]}' is neither a hexadecimal digit nor * nor a final $")
    return Expect(cursor.line, port, Pattern(digits, exact))


# --- tables ---------------------------------------------------------------------------------------


def _add(cursor: _Cursor) -> Statement:
    table = cursor.name("a table")
    priority = cursor.number("a priority") if cursor.at("number") else None
    keys: list[tuple[str, KeyValue]] = []
    while True:
        name = cursor.name("a key or an action")
        if not cursor.accept(":"):
            break
        keys.append((name, cursor.key_value()))
    call = cursor.arguments(name)
    label = cursor.word("a label") if cursor.accept("=") else None
    return Add(cursor.line, table, priority, tuple(keys), call, label)


def _add_indirect(cursor: _Cursor, *, is_group: bool) -> Statement:
    table = cursor.name("a table")
    priority = cursor.number("a priority") if cursor.at("number") else None
    keys: list[tuple[str, KeyValue]] = []
    while not cursor.accept("=>"):
        name = cursor.name("a key or '=>'")
        cursor.symbol(":")
        keys.append((name, cursor.key_value()))
    target = cursor.number("a group" if is_group else "a member")
    return AddIndirect(cursor.line, table, priority, tuple(keys), target, is_group)


def _group_member(cursor: _Cursor, *, comes: bool) -> Statement:
    profile = cursor.name("an action profile")
    return GroupMember(
        cursor.line, profile, cursor.number("a member"), cursor.number("a group"), comes
    )


def _remove(cursor: _Cursor) -> Statement:
    if cursor.word("'all'").lower() != "all":
        raise _Malformed("only 'remove all' is possible")
    return RemoveAll(cursor.line)


# --- counters, registers, meters ------------------------------------------------------------------


def _check_counter(cursor: _Cursor) -> Statement:
    counter = cursor.name("a counter")
    # `name[3]` reads as part of the name; `name(3)` is what p4c writes.
    bracketed = re.fullmatch(r"(.*)\[([0-9]+)\]", counter)
    index: int | str
    if bracketed:
        counter, index = bracketed[1], int(bracketed[2])
    else:
        cursor.symbol("(")
        index = cursor.number("an index") if cursor.at("number") else cursor.word("an index")
        cursor.symbol(")")
    if not cursor.at("name") and not cursor.at("symbol"):
        return CheckCounter(cursor.line, counter, index, None)
    unit: Unit = "packets"
    if cursor.at("name"):
        word = cursor.word("packets or bytes").lower()
        if word not in ("packets", "bytes"):
            raise _Malformed(f"a counter counts packets or bytes, not {word}")
        unit = "bytes" if word == "bytes" else "packets"
    operator = cursor.operator()
    return CheckCounter(
        cursor.line, counter, index, Condition(unit, operator, cursor.number("a number"))
    )


def _meter_rates(cursor: _Cursor, *, indexed: bool) -> Statement:
    meter = cursor.name("a meter")
    index = cursor.number("an index") if indexed else None
    rates = []
    for what in ("committed", "peak"):
        rate = cursor.fraction(f"the {what} rate")
        cursor.symbol(":")
        rates.append((rate, cursor.number(f"the {what} burst")))
    return MeterRates(cursor.line, meter, index, (rates[0], rates[1]))


_Parse = Callable[[_Cursor], Statement]

COMMANDS: Final[dict[str, _Parse]] = {
    "packet": _packet,
    "expect": _expect,
    "no_packet": lambda c: NoPacket(c.line),
    "wait": lambda c: Wait(c.line),
    "add": _add,
    "remove": _remove,
    "act_prof_create_member": lambda c: MemberCreate(c.line, c.name("an action profile"), c.call()),
    "act_prof_create_group": lambda c: ActionGroupCreate(c.line, c.name("an action profile")),
    "act_prof_add_member_to_group": lambda c: _group_member(c, comes=True),
    "act_prof_remove_member_from_group": lambda c: _group_member(c, comes=False),
    "table_indirect_add": lambda c: _add_indirect(c, is_group=False),
    "table_indirect_add_with_group": lambda c: _add_indirect(c, is_group=True),
    "setdefault": lambda c: SetDefault(c.line, c.name("a table"), c.call()),
    "check_counter": _check_counter,
    "counter_read": lambda c: Read(c.line, "counter", c.name("a counter"), c.number("an index")),
    "counter_write": lambda c: CounterWrite(
        c.line, c.name("a counter"), c.number("an index"), c.number("packets"), c.number("bytes")
    ),
    "register_read": lambda c: Read(c.line, "register", c.name("a register"), c.number("an index")),
    "register_write": lambda c: RegisterWrite(
        c.line, c.name("a register"), c.number("an index"), c.number("a value")
    ),
    "register_reset": lambda c: RegisterReset(c.line, c.name("a register")),
    "meter_get_rates": lambda c: Read(c.line, "meter", c.name("a meter"), c.number("an index")),
    "meter_set_rates": lambda c: _meter_rates(c, indexed=True),
    "meter_array_set_rates": lambda c: _meter_rates(c, indexed=False),
    "mirroring_add": lambda c: Mirror(c.line, c.number("a session"), c.number("a port"), None),
    "mirroring_add_mc": lambda c: Mirror(c.line, c.number("a session"), None, c.number("a group")),
    "mirroring_delete": lambda c: MirrorDelete(c.line, c.number("a session")),
    "mirroring_get": lambda c: MirrorGet(c.line, c.number("a session")),
    "mc_mgrp_create": lambda c: GroupCreate(c.line, c.number("a group")),
    "mc_node_create": lambda c: NodeCreate(c.line, c.number("an instance"), c.numbers("a port")),
    "mc_node_update": lambda c: NodeUpdate(c.line, c.number("a node"), c.numbers("a port")),
    "mc_node_associate": lambda c: NodeAssociate(c.line, c.number("a group"), c.number("a node")),
}
