"""Rules for parameter lists that need no types (P4_16 sections 6.8 and 7.2.14)."""

from __future__ import annotations

from collections.abc import Sequence

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.errors import error


def check_type_params(names: Sequence[str], loc: ir.Loc) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise error(loc, f"type parameter '{name}' is declared twice")


def check_params(
    decl: s.FunctionDecl | s.ActionDecl | s.ControlDecl | s.ParserDecl | s.BlockTypeDecl,
) -> None:
    """Names, directions and defaults of parameters."""
    if not isinstance(decl, s.ActionDecl):
        check_type_params(decl.type_params, decl.loc)
    seen: dict[str, ir.Loc] = {}
    constructor = decl.constructor if isinstance(decl, s.ControlDecl | s.ParserDecl) else []
    for param in [*decl.params, *constructor]:
        if param.name in seen:
            raise error(
                param.loc, f"parameter '{param.name}' is already declared at {seen[param.name]}"
            )
        seen[param.name] = param.loc
        if any(a.name == "optional" for a in param.annotations) and not _is_interface(decl):
            raise error(param.loc, f"parameter '{param.name}' of '{decl.name}' cannot be @optional")
        if param.direction and isinstance(param.type, s.SimpleType) and param.type.name == "string":
            raise error(param.loc, f"string parameter '{param.name}' cannot have a direction")
        if param.default is not None and param.direction in ("out", "inout"):
            raise error(param.loc, f"'{param.direction}' parameter '{param.name}' has a default")
    if isinstance(decl, s.BlockTypeDecl) and decl.kind == "package":
        constructor = decl.params
    for param in constructor:
        if param.direction:
            raise error(param.loc, f"constructor parameter '{param.name}' cannot have a direction")


def _is_interface(decl: s.Decl) -> bool:
    """Whether something else gives the body: an extern, or what a package takes."""
    return isinstance(decl, s.BlockTypeDecl) or (
        isinstance(decl, s.FunctionDecl) and decl.body is None
    )
