"""Type arguments from argument types, by matching type syntax against types (section 8.20)."""

from __future__ import annotations

from collections.abc import Sequence

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.convert import Converter
from switch.frontend.errors import error
from switch.frontend.type_rules import article, erase, is_untyped_struct


class Inference(Converter):
    """Binds type parameters."""

    def infer(
        self, node: s.TypeNode, actual: ir.Type, bindings: dict[str, ir.Type], loc: ir.Loc
    ) -> None:
        """Extends `bindings` (name → type) so that `node` becomes `actual`, where it can."""
        match node:
            case s.NamedType(name=name, arguments=[]) if name in bindings:
                self._bind(name, actual, bindings, loc)
            case s.NamedType(name=name, arguments=arguments) if arguments:
                self._infer_named(name, arguments, actual, bindings, loc)
            case s.TupleType(elements=elements):
                if isinstance(actual, ir.Tuple) and len(actual.elements) == len(elements):
                    for element, part in zip(elements, actual.elements, strict=True):
                        self.infer(element, part, bindings, loc)
            case s.StackType(element=element):
                if isinstance(actual, ir.HeaderStack):
                    self.infer(element, actual.element, bindings, loc)

    def _infer_named(
        self,
        name: str,
        arguments: list[s.TypeNode],
        actual: ir.Type,
        bindings: dict[str, ir.Type],
        loc: ir.Loc,
    ) -> None:
        types: Sequence[ir.Type] = ()
        if isinstance(actual, ir.Extern) and actual.name == name:
            types = actual.arguments
        elif isinstance(actual, ir.Composite) and actual.name in self.specialised:
            decl, bound = self.specialised[actual.name]
            types = bound if decl.name == name else ()
        for argument, type_ in zip(arguments, types, strict=False):
            self.infer(argument, type_, bindings, loc)

    def _bind(self, name: str, actual: ir.Type, bindings: dict[str, ir.Type], loc: ir.Loc) -> None:
        before = bindings[name]
        if (
            isinstance(before, ir.Void)
            or before == actual
            or (isinstance(before, ir.InfInt) and isinstance(actual, ir.Bits))
        ):
            bindings[name] = actual
        elif isinstance(actual, ir.InfInt) and isinstance(before, ir.Bits):
            pass  # the literal gets the width that is known
        elif isinstance(actual, ir.Tuple) and isinstance(before, ir.Struct | ir.Header | ir.Tuple):
            pass  # a list expression: conversion decides
        else:
            raise error(
                loc,
                f"type parameter '{name}' cannot be both {article(before)} and {article(actual)}",
            )

    def check_bound(self, bindings: dict[str, ir.Type], what: str, loc: ir.Loc) -> None:
        """Every type parameter must have become a type that a run-time value can have."""
        for name, type_ in bindings.items():
            if isinstance(type_, ir.Void):
                raise error(loc, f"cannot infer type parameter '{name}' of {what}: name it")
            if is_untyped_struct(type_):
                raise error(
                    loc,
                    f"cannot infer type parameter '{name}' of {what} from a structure expression: "
                    "cast it to its struct",
                )
            if _has_unsized(erase(type_)):
                raise error(
                    loc,
                    f"cannot infer a width for '{name}' of {what}: write for example 32w5 for 5",
                )


def _has_unsized(type_: ir.Type) -> bool:
    match type_:
        case ir.InfInt():
            return True
        case ir.Tuple():
            return any(_has_unsized(t) for t in type_.elements)
        case ir.Struct():
            return any(_has_unsized(f.type) for f in type_.fields)
    return False
