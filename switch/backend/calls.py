"""Calls of actions, functions, controls and parsers: copy-in, call, copy-out (P4_16 section 6.8).

A scalar goes by value when it only goes in, else through a temporary. A composite goes by address:
its own where nothing else in the call can reach it, else that of a copy.
"""

from __future__ import annotations

from collections.abc import Sequence

from switch import ir
from switch.backend import analysis
from switch.backend import representation as rep
from switch.backend.expressions import ExpressionWriter, Place


def is_packet(type_: ir.Type) -> bool:
    """packet_in and packet_out need not be passed: there is one packet."""
    return isinstance(type_, ir.Extern) and type_.name in ("packet_in", "packet_out")


def writes(param: ir.Param) -> bool:
    return param.direction in ("out", "inout")


class CallWriter(ExpressionWriter):
    """Calls of P4 code, with what the six kinds of blocks do after one."""

    leave = "return;"
    """How an `exit` in something called leaves this C function."""

    def call_p4(
        self,
        callee: analysis.Callable_ | ir.Parser,
        params: Sequence[ir.Param],
        arguments: Sequence[ir.Expression],
        result: ir.Type,
        frame: str = "",
    ) -> str:
        private = not isinstance(callee, ir.Action)
        passed: list[str] = []
        copies: list[tuple[Place, str]] = []
        fresh: list[str] = []
        # What only goes in as a scalar is a value: it cannot overlap anything.
        paths = [
            () if rep.is_scalar(p.type) and not writes(p) else analysis.place_path(a)
            for p, a in zip(params, arguments, strict=True)
        ]
        for i, (param, argument) in enumerate(zip(params, arguments, strict=True)):
            if is_packet(param.type):
                continue
            path = paths[i]
            others = [p for j, p in enumerate(paths) if j != i and p != ()]
            alone = private and path is not None and analysis.disjoint(path, others)
            later = arguments[i + 1 :]
            if rep.is_scalar(param.type):
                if writes(param):
                    passed.append(f"&{self._scalar_copy(param, argument, copies)}")
                else:
                    value = self.value(argument)
                    if any(analysis.has_effects(a) for a in later):
                        value = self.temporary(param.type, value)
                    passed.append(value)
            elif alone:
                name = self.place(argument).c
                passed.append(f"&{name}")
                if param.direction == "out":
                    fresh.append(f"{name} = {self.types.zero(param.type)};")
            elif writes(param) and not isinstance(argument, ir.DontCare):
                passed.append(f"&{self._composite_copy(param, argument, copies)}")
            else:
                passed.append(f"&{self.temporary(param.type, self.value(argument))}")
        for line in fresh:
            self.out.add(line)
        name = self.context.function_name(callee)
        call = f"{name}({', '.join(['s', 'c', *([frame] if frame else []), *passed])})"
        returned = ""
        if isinstance(callee, ir.Parser):
            returned = self.temporary(ir.Bool(), call)
        elif isinstance(result, ir.Void):
            self.out.add(f"{call};")
        else:
            returned = self.temporary(result, call)
        for place, copy in copies:
            self.store(place, copy)
        if isinstance(callee, ir.Parser):
            self.out.add(f"if (!{returned}) goto reject;")
            returned = ""
        elif self.context.exits.may_exit(callee):
            self.out.add(f"if (c->p.exited) {self.leave}")
        return returned

    def _scalar_copy(
        self, param: ir.Param, argument: ir.Expression, copies: list[tuple[Place, str]]
    ) -> str:
        if isinstance(argument, ir.DontCare):
            return self.temporary(param.type)
        place = self.place(argument)
        initial = self.load(place) if param.direction == "inout" else None
        copy = self.temporary(param.type, initial)
        copies.append((place, copy))
        return copy

    def _composite_copy(
        self, param: ir.Param, argument: ir.Expression, copies: list[tuple[Place, str]]
    ) -> str:
        place = self.place(argument)
        copy = self.temporary(param.type, place.c if param.direction == "inout" else None)
        copies.append((place, copy))
        return copy

    def signature(
        self, callee: analysis.Callable_ | ir.Parser, params: Sequence[ir.Param], frame: str = ""
    ) -> list[str]:
        """C parameters; binds the P4 ones to them."""
        names = ["struct p4s *s", "struct packet *c"]
        if frame:
            names.append(f"struct {frame} *f")
        for param in params:
            if is_packet(param.type):
                continue
            name = self.context.names.of((callee, param), param.name)
            by_value = rep.is_scalar(param.type) and not writes(param)
            self.variables[param] = name if by_value else f"(*{name})"
            names.append(f"{self.types.value(param.type)} {'' if by_value else '*'}{name}")
        return names
