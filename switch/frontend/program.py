"""A whole program: top-level declarations and the v1model package (P4_16 section 17)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.arguments import is_static
from switch.frontend.blocks import BlockElaborator
from switch.frontend.context import Label
from switch.frontend.errors import CompileError, Diagnostic, error, unsupported
from switch.frontend.parameters import check_params, check_type_params
from switch.frontend.rules import check_meters, check_names
from switch.frontend.scopes import BlockEntry, ExternEntry, FunctionEntry, Plan
from switch.frontend.type_rules import VOID, TypeVariable, article, erase, sizes, varbit_fields

PACKAGE = "V1Switch"
D = TypeVar("D", bound=s.Decl)


class ProgramElaborator(BlockElaborator):
    """Elaborates from `main`."""

    def program(self, declarations: Sequence[s.Decl], files: tuple[str, ...]) -> ir.Program:
        main: s.InstanceDecl | None = None
        start = ir.Loc(files[0], 1, 1)
        for decl in declarations:
            if isinstance(decl, s.InstanceDecl) and decl.name == "main":
                if main is not None:
                    raise error(decl.loc, f"'main' is already declared at {main.loc}")
                main = decl
                continue
            with self.reporting():
                self._declare(decl)
        program: ir.Program | None = None
        with self.reporting():
            if main is None:
                raise error(start, "the program has no 'main' package instance")
            program = self._main(main, files)
        self._check_rest()
        if program is not None and not self.diagnostics:
            self.diagnostics += check_names(program) + check_meters(program)
        if self.diagnostics or program is None:
            raise CompileError(_sorted(self.diagnostics, files))
        return program

    def _declare(self, decl: s.Decl) -> None:
        match decl:
            case s.CompositeDecl():
                check_type_params(decl.type_params, decl.loc)
                self._or_broken(decl, self.declare_composite)
            case s.EnumDecl():
                self._or_broken(decl, self.declare_enum)
            case s.TypedefDecl():
                self._or_broken(decl, self.declare_typedef)
            case s.ErrorDecl():
                self.declare_errors(decl)
            case s.MatchKindDecl():
                self.declare_match_kinds(decl)
            case s.ConstDecl():
                self.declare_constant(decl)
            case s.ExternDecl():
                check_type_params(decl.type_params, decl.loc)
                for method in decl.methods:
                    check_params(method)
                self.declare(decl.name, ExternEntry(decl.loc, decl))
                self._check_methods(decl)
            case s.FunctionDecl():
                self._declare_function(decl)
            case s.ActionDecl():
                self.action(decl)
            case s.BlockTypeDecl(kind="package"):
                check_params(decl)
                self.declare(decl.name, BlockEntry(decl.loc, decl))
            case s.ControlDecl() | s.ParserDecl() | s.BlockTypeDecl():
                check_params(decl)
                self._check_constructor(decl)
                self.declare(decl.name, BlockEntry(decl.loc, decl))
            case s.InstanceDecl():
                self.instance(decl)
            case _:
                raise error(decl.loc, f"'{decl.name}' cannot be declared at top level")

    def _check_methods(self, decl: s.ExternDecl) -> None:
        """Types in the methods of an extern, which may never be called."""
        for method in decl.methods:
            with self.inner_scope():
                names = {*decl.type_params, *method.type_params}
                self.bind_types(names, map(TypeVariable, names), method.loc)
                self.resolve(method.result)
                for param in method.params:
                    type_ = self.resolve(param.type)
                    if param.direction and isinstance(type_, ir.Extern):
                        raise error(
                            param.loc,
                            f"parameter '{param.name}' of type {type_} cannot have a direction",
                        )

    def _check_constructor(self, decl: s.ControlDecl | s.ParserDecl | s.BlockTypeDecl) -> None:
        """What a control or parser may be given when it is made (section 15.1)."""
        if isinstance(decl, s.BlockTypeDecl):
            return
        for param in decl.constructor:
            if not isinstance(param.type, s.NamedType) or param.type.name in decl.type_params:
                continue
            entry = self.lookup(param.type.name, param.type.loc, param.type.from_global)
            if not isinstance(entry, BlockEntry):
                continue
            kind = "parser" if isinstance(decl, s.ParserDecl) else "control"
            if not isinstance(entry.decl, s.BlockTypeDecl):
                raise error(
                    param.loc,
                    f"parameter '{param.name}' cannot be of type '{entry.decl.name}': declare one "
                    "without a body",
                )
            if entry.decl.kind != kind:
                raise error(
                    param.loc,
                    f"a {kind} cannot be given a {entry.decl.kind}: it could not apply it",
                )

    def _or_broken(self, decl: D, declare: Callable[[D], None]) -> None:
        try:
            declare(decl)
        except CompileError:
            self.declare_broken(decl.name, decl.loc)
            raise

    def _declare_function(self, decl: s.FunctionDecl) -> None:
        check_params(decl)
        known = self.globals.names.get(decl.name)
        if isinstance(known, FunctionEntry):
            self.order += 1
            known.decls.append(decl)
            known.orders.append(self.order)
            return
        entry = FunctionEntry(decl.loc, [decl])
        self.declare(decl.name, entry)
        entry.orders.append(entry.order)

    def _check_rest(self) -> None:
        """What is not used, or generic, must be right too."""
        for name, entry in list(self.globals.names.items()):
            with self.reporting():
                if isinstance(entry, BlockEntry):
                    if name not in self.elaborated or entry.decl.type_params:
                        self.check_alone(entry)
                elif isinstance(entry, FunctionEntry):
                    for decl, order in zip(entry.decls, entry.orders, strict=True):
                        if decl.body is not None:
                            self._check_function(decl, order)

    def _check_function(self, decl: s.FunctionDecl, order: int) -> None:
        opaque = {n: TypeVariable(n) for n in decl.type_params}
        with self.global_scope(self.unit, order), self.inner_scope():
            self.bind_types(opaque.keys(), opaque.values(), decl.loc)
            statics = self.made_up(p for p in decl.params if is_static(p, self.resolve(p.type)))
        if statics is not None:
            self.function(decl, opaque, order, statics)

    # main

    def _main(self, main: s.InstanceDecl, files: tuple[str, ...]) -> ir.Program:
        type_ = main.type
        if not isinstance(type_, s.NamedType):
            raise error(main.loc, f"'main' must be an instance of {PACKAGE}")
        entry = self.lookup(type_.name, type_.loc, type_.from_global)
        if not isinstance(entry, BlockEntry) or not isinstance(entry.decl, s.BlockTypeDecl):
            raise error(main.loc, f"'main' must be an instance of {PACKAGE}")
        package = entry.decl
        if package.name != PACKAGE or not self._is_system(package.loc):
            raise unsupported(
                type_.loc, f"package '{package.name}' (other than {PACKAGE} of v1model.p4)"
            )
        bindings: dict[str, ir.Type] = dict.fromkeys(package.type_params, VOID)
        if type_.arguments:
            if len(type_.arguments) != len(bindings):
                raise error(main.loc, f"{PACKAGE} needs {len(bindings)} type arguments")
            for name, argument in zip(package.type_params, type_.arguments, strict=True):
                bindings[name] = self.resolve(argument)
        call = s.Call(main.loc, s.Name(main.loc, PACKAGE), [], main.arguments)
        bound = self.bind(package.params, call, PACKAGE)
        blocks: list[ir.Control | ir.Parser | None] = []
        for param, given in zip(package.params, bound, strict=True):
            assert given is not None
            block = None
            with self.reporting():
                block = self._pipeline_block(param, given, bindings)
            blocks.append(block)
        if any(block is None for block in blocks):
            raise CompileError([])
        return self._assemble(blocks, bindings, main, files)

    def _pipeline_block(
        self, param: s.ParamNode, given: s.Argument, bindings: dict[str, ir.Type]
    ) -> ir.Control | ir.Parser:
        call = given.value
        if isinstance(call, s.Call) and isinstance(call.callee, s.Name):
            self.lookup(call.callee.name, call.callee.loc, call.callee.from_global)
        if not (
            isinstance(call, s.Call)
            and isinstance(call.callee, s.TypeName)
            and isinstance(call.callee.type, s.NamedType)
        ):
            raise error(
                given.loc, f"argument '{param.name}' of {PACKAGE} must be a constructor call"
            )
        named = call.callee.type
        entry = self.lookup(named.name, named.loc, named.from_global)
        assert isinstance(param.type, s.NamedType)
        wanted = self.lookup(param.type.name, param.loc)
        assert isinstance(wanted, BlockEntry)
        assert isinstance(wanted.decl, s.BlockTypeDecl)
        if not isinstance(entry, BlockEntry) or isinstance(entry.decl, s.BlockTypeDecl):
            raise error(named.loc, f"'{named.name}' is not a {wanted.decl.kind} with a body")
        decl = entry.decl
        kind = "parser" if isinstance(decl, s.ParserDecl) else "control"
        if kind != wanted.decl.kind:
            raise error(
                named.loc, f"'{named.name}' is a {kind}, {PACKAGE} needs a {wanted.decl.kind} here"
            )
        _check_directions(wanted.decl, decl, named.loc)
        plan = self.plan(entry, named, call.arguments, Label(decl.name, (), call.loc))
        outer = [a.name for a in param.type.arguments if isinstance(a, s.NamedType)]
        local = {n: bindings[o] for n, o in zip(wanted.decl.type_params, outer, strict=True)}
        self._infer_generic(wanted.decl, plan, local)
        self.check_type_arguments(plan, named.loc)
        self._check_types(wanted.decl, plan, local)
        made = self.elaborate(plan, {})
        for name, type_ in zip(outer, local.values(), strict=True):
            bindings[name] = type_
        return made.block

    def _infer_generic(
        self, wanted: s.BlockTypeDecl, plan: Plan, local: dict[str, ir.Type]
    ) -> None:
        """Type arguments of a generic block from the architecture's types, as far as known."""
        if all(not isinstance(t, ir.Void) for t in plan.types.values()):
            return
        for param, node in zip(wanted.params, plan.decl.params, strict=True):
            with self.inner_scope():
                self.bind_types(local.keys(), local.values(), node.loc)
                type_ = self.resolve(param.type)
            if not isinstance(type_, ir.Void):
                self.infer(node.type, type_, plan.types, node.loc)

    def _check_types(self, wanted: s.BlockTypeDecl, plan: Plan, local: dict[str, ir.Type]) -> None:
        """The block's parameters must have the architecture's types; binds H and M in `local`."""
        decl = plan.decl
        with self.inside(plan):
            types = [self.resolve(node.type) for node in decl.params]
        for param, node, actual in zip(wanted.params, decl.params, types, strict=True):
            try:
                self.infer(param.type, actual, local, node.loc)
                with self.inner_scope():
                    self.bind_types(local.keys(), local.values(), node.loc)
                    fits = self.resolve(param.type) == actual
            except CompileError:
                fits = False
            if not fits:
                raise error(
                    node.loc,
                    f"parameter '{node.name}' of '{decl.name}' has type {article(actual)}, which "
                    f"does not fit v1model's {wanted.name} and the other blocks",
                )

    def _assemble(
        self,
        blocks: Sequence[ir.Control | ir.Parser | None],
        bindings: dict[str, ir.Type],
        main: s.InstanceDecl,
        files: tuple[str, ...],
    ) -> ir.Program:
        parser, verify, ingress, egress, compute, deparser = blocks
        assert isinstance(parser, ir.Parser)
        assert isinstance(verify, ir.Control)
        assert isinstance(ingress, ir.Control)
        assert isinstance(egress, ir.Control)
        assert isinstance(compute, ir.Control)
        assert isinstance(deparser, ir.Control)
        headers, metadata = (erase(t) for t in bindings.values())
        if not isinstance(headers, ir.Struct):
            raise error(main.loc, f"the headers of {PACKAGE} must be a struct, not {headers}")
        self._check_headers(headers)
        self._check_headers(metadata)
        standard = self.types["standard_metadata_t"]
        assert isinstance(standard, ir.Struct)
        return ir.Program(
            parser=parser,
            verify_checksum=verify,
            ingress=ingress,
            egress=egress,
            compute_checksum=compute,
            deparser=deparser,
            headers=headers,
            metadata=metadata,
            standard_metadata=standard,
            errors=tuple(self.errors),
            types=dict(self.types),
            actions=tuple(self.unit.owner.actions),
            functions=tuple(self.functions),
            externs=tuple(self.unit.owner.externs),
            field_lists=_field_lists(metadata),
            main_annotations=self.annotations(main.annotations),
            sources=files,
        )

    def _check_headers(self, type_: ir.Type) -> None:
        """What the target cannot lay out (as in p4c for BMv2): every header is whole bytes."""
        match type_:
            case ir.Header():
                size = sizes(type_)
                loc = self.declared_at[type_.name]
                if size is not None and size[1] % 8:
                    raise error(
                        loc, f"header '{type_.name}' has {size[1]} bits, not a multiple of 8"
                    )
                if varbit_fields(type_) > 1:
                    raise unsupported(loc, "a header with more than one varbit field")
            case ir.Struct() | ir.HeaderUnion():
                for field in type_.fields:
                    self._check_headers(field.type)
            case ir.HeaderStack():
                self._check_headers(type_.element)


def _check_directions(
    wanted: s.BlockTypeDecl, decl: s.ControlDecl | s.ParserDecl, loc: ir.Loc
) -> None:
    """The block's parameters must be those of the architecture."""
    if len(decl.params) != len(wanted.params):
        raise error(
            loc,
            f"'{decl.name}' has {len(decl.params)} parameters, {wanted.name} of v1model has "
            f"{len(wanted.params)}",
        )
    for param, node in zip(wanted.params, decl.params, strict=True):
        if node.direction != param.direction:
            raise error(
                node.loc,
                f"parameter '{node.name}' of '{decl.name}' must be "
                f"'{param.direction or 'without direction'}' as in v1model's {wanted.name}",
            )


def _field_lists(metadata: ir.Type) -> dict[int, tuple[tuple[str, ...], ...]]:
    """The metadata fields of each @field_list number."""
    lists: dict[int, list[tuple[str, ...]]] = {}

    def visit(type_: ir.Type, path: tuple[str, ...]) -> None:
        if not isinstance(type_, ir.Struct):
            return
        for field in type_.fields:
            here = (*path, field.name)
            found = False
            for note in field.annotations:
                if note.name != "field_list":
                    continue
                found = True
                for value in note.values:
                    if isinstance(value, bool) or not isinstance(value, int):
                        raise error(
                            note.loc or ir.Loc("", 0, 0), "@field_list needs numbers of lists"
                        )
                    lists.setdefault(value, []).append(here)
            if not found:
                visit(field.type, here)

    visit(metadata, ())
    return {number: tuple(paths) for number, paths in sorted(lists.items())}


def _sorted(diagnostics: Iterable[Diagnostic], files: tuple[str, ...]) -> list[Diagnostic]:
    place = {file: index for index, file in enumerate(files)}
    return sorted(diagnostics, key=lambda d: (place.get(d.file, len(place)), d.line, d.column))
