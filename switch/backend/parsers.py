"""Parsers: one C function per instance, states as labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from switch import ir
from switch.backend import representation as rep
from switch.backend.analysis import has_loop
from switch.backend.context import Context
from switch.backend.keys import value_set_layout
from switch.backend.source import source
from switch.backend.statements import StatementWriter
from switch.backend.text import identifier
from switch.frontend.errors import unsupported

MOST_STEPS = 10_000
"""States that one packet may visit in a parser with a loop; then error.ParserTimeout."""


def write_parser(context: Context, parser: ir.Parser, variables: Mapping[ir.Variable, str]) -> None:
    """Sub-parsers take their parameters as C parameters, the top one finds them in the packet."""
    _ParserWriter(context, parser, variables).write()


class _ParserWriter(StatementWriter):
    def __init__(
        self, context: Context, parser: ir.Parser, variables: Mapping[ir.Variable, str]
    ) -> None:
        super().__init__(context, context.functions, dict(variables))
        self.parser = parser
        self.loop = has_loop(parser)

    def write(self) -> None:
        parser = self.parser
        params = [] if self.variables else list(parser.params)
        signature = ", ".join(self.signature(parser, params))
        head = f"static bool {self.context.function_name(parser)}({signature})"
        self.context.prototypes.add(f"{head};")
        with self.out.block(head):
            self.statements(parser.prologue)
            self.out.add(f"goto {self._label('start')};")
            for state in parser.states.values():
                self._state(state)
            self.out.add("accept: P4_UNUSED;")
            self.out.add("return true;")
            self.out.add("reject: P4_UNUSED;")
            self.out.add("return false;")

    @staticmethod
    def _label(state: str) -> str:
        return state if state in ("accept", "reject") else f"state_{identifier(state)}"

    def _state(self, state: ir.State) -> None:
        self.out.add(f"{self._label(state.name)}: P4_UNUSED;")
        with self.out.block():
            top = self.parser is self.context.program.parser
            self.hook("state", state.name if top else f"{self.parser.name}.{state.name}", state.loc)
            if self.loop:
                self.fail("ParserTimeout", f"++c->p.steps > {MOST_STEPS}")
            self.statements(state.body)
            match state.transition:
                case ir.Goto(state=target):
                    self.out.add(f"goto {self._label(target)};")
                case ir.Select() as select:
                    self._select(select)

    def _select(self, select: ir.Select) -> None:
        values = [
            self.temporary(expression.type, self.value(expression))
            for expression in select.expressions
        ]
        types = [expression.type for expression in select.expressions]
        shown = zip(map(source, select.expressions), values, types, strict=True)
        self.hook("select", "select", select.loc, *shown)
        for case in select.cases:
            target = self._label(case.state)
            match case.keysets:
                case (ir.ValueSetKey(value_set=value_set),):
                    # Of a struct or tuple: it spans all of the select's expressions.
                    conditions = [self._member(value_set, values, types)]
                case keysets:
                    conditions = [
                        self._matches(value, keyset, type_)
                        for value, keyset, type_ in zip(values, keysets, types, strict=True)
                        if not isinstance(keyset, ir.AnyKey)
                    ]
            if not conditions:
                self.out.add(f"goto {target};")
                return
            self.out.add(f"if ({' && '.join(conditions)}) goto {target};")
        # simple_switch ends the parser here without an error: it never raises NoMatch.
        self.out.add("goto reject;")

    def _matches(self, value: str, keyset: ir.Keyset, type_: ir.Type) -> str:
        bits = rep.bits_of(type_)
        match keyset:
            case ir.ValueSetKey(value_set=value_set):
                return self._member(value_set, [value], [type_])
            case ir.ValueKey(value=wanted):
                return self.types.equal(value, self.value(wanted), type_)
            case ir.MaskKey(value=wanted, mask=mask) if bits is not None:
                kept = rep.arithmetic("&", value, self.value(mask), bits)
                other = rep.arithmetic("&", self.value(wanted), self.value(mask), bits)
                return rep.compare("==", kept, other, bits)
            case ir.RangeKey(low=low, high=high) if bits is not None:
                above = rep.compare(">=", value, self.value(low), bits)
                return f"({above} && {rep.compare('<=', value, self.value(high), bits)})"
        raise unsupported(keyset.loc, "this keyset")

    def _member(
        self, value_set: ir.ValueSet, values: Sequence[str], types: Sequence[ir.Type]
    ) -> str:
        """Whether the control plane has put these values into the set."""
        keys = [list(self.words(*item)) for item in zip(values, types, strict=True)]
        table = f"&s->tables[{self.context.value_sets[value_set]}]"
        return f"({self.find_entry(table, value_set_layout(value_set), keys)} != NULL)"
