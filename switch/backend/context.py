"""What all parts of the generator share: the program, its C names, types and object numbers."""

from __future__ import annotations

from switch import ir
from switch.backend import analysis
from switch.backend.profiles import Profile, profiles
from switch.backend.text import Lines, Names
from switch.backend.trace import Trace
from switch.backend.types import Types
from switch.frontend.errors import unsupported


def digest_type(node: analysis.Node) -> ir.Type | None:
    if isinstance(node, ir.ExternCall) and node.name == "digest":
        return node.arguments[1].type
    return None


class Context:
    """One program on its way to C."""

    def __init__(self, program: ir.Program, *, trace: bool = False) -> None:
        self.program = program
        self.trace = Trace(trace)
        self.types = Types()
        self.names = Names()
        self.exits = analysis.Exits()
        self.prototypes = Lines()
        self.frames = Lines()
        self.functions = Lines()
        self.tables = {table: i for i, table in enumerate(program.tables())}
        # Value sets are tables too, after the others.
        sets = (value_set for parser in program.parsers() for value_set in parser.value_sets)
        self.value_sets = {value_set: len(self.tables) + i for i, value_set in enumerate(sets)}
        self.registers = self._instances("register")
        self.counters = self._instances("counter")
        self.meters = self._instances("meter")
        self.profiles = {profile.instance: profile for profile in profiles(program)}
        self.digests = analysis.collect(program, digest_type)
        self._errors = {name: i for i, name in enumerate(program.errors)}

    def _instances(self, kind: str) -> dict[ir.ExternInstance, int]:
        found = [i for i in self.program.extern_instances() if i.type.name == kind]
        return {instance: i for i, instance in enumerate(found)}

    def profile(self, table: ir.Table) -> tuple[int, Profile] | None:
        """The profile that a table's actions are in, and its number."""
        if table.implementation is None:
            return None
        number = list(self.profiles).index(table.implementation)
        return number, self.profiles[table.implementation]

    def error(self, name: str) -> int:
        return self._errors[name]

    def function_name(self, callable_: analysis.Callable_ | ir.Parser) -> str:
        kind = type(callable_).__name__.lower()
        return self.names.of(callable_, f"{kind}_{callable_.name}")

    def frame(self, control: ir.Control) -> str:
        return self.names.of(("frame", control), f"frame_{control.name}")


def array_size(instance: ir.ExternInstance) -> int:
    """The size argument of a register, counter or meter."""
    size = instance.arguments[0]
    if not isinstance(size, ir.IntLiteral) or size.value < 0:
        raise unsupported(instance.loc, f"the size of '{instance.name}'")
    return size.value


def counts_bytes(instance: ir.ExternInstance) -> bool:
    """Whether a meter counts bytes (or packets)."""
    kind = instance.arguments[-1]
    return isinstance(kind, ir.EnumLiteral) and kind.member == "bytes"
