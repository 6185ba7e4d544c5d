"""C types for P4 types, defined as they are first used, and their equality."""

from __future__ import annotations

from collections.abc import Iterator

from switch import ir
from switch.backend import representation as rep
from switch.backend.text import Lines, Names, identifier


def members(type_: ir.Type) -> list[tuple[str, ir.Type]]:
    """C member names and types of a struct, header, union, tuple or stack."""
    match type_:
        case ir.Composite(fields=fields):
            return [(identifier(f.name), f.type) for f in fields]
        case ir.Tuple(elements=elements):
            return [(f"f{i}_", element) for i, element in enumerate(elements)]
        case ir.HeaderStack(element=element, size=size):
            return [(f"e[{i}]", element) for i in range(size)]
    raise AssertionError(type_)


def flatten(type_: ir.Type, path: str = "") -> Iterator[tuple[str, ir.Type]]:
    """(path, type) of each scalar or varbit in a value without unions, in order."""
    if rep.is_scalar(type_) or isinstance(type_, ir.Varbit):
        yield path, type_
        return
    for name, member in members(type_):
        yield from flatten(member, f"{path}.{name}")


def is_flat(type_: ir.Type) -> bool:
    """Whether `flatten` can take it."""
    if rep.is_scalar(type_) or isinstance(type_, ir.Varbit):
        return True
    if isinstance(type_, ir.Struct | ir.Header | ir.Tuple | ir.HeaderStack):
        return all(is_flat(member) for _, member in members(type_))
    return False


def bit_width(type_: ir.Type) -> int:
    """The fixed part of a value's width in a packet; a varbit counts 0."""
    return sum(
        0 if isinstance(leaf, ir.Varbit) else rep.width_of(leaf) for _, leaf in flatten(type_)
    )


def varbit_of(header: ir.Header) -> tuple[str, ir.Varbit] | None:
    for path, leaf in flatten(header):
        if isinstance(leaf, ir.Varbit):
            return path, leaf
    return None


class Types:
    """The struct definitions of one program."""

    def __init__(self) -> None:
        self.definitions = Lines()
        self._names = Names()
        self._defined: set[ir.Type] = set()
        self._compared: set[ir.Type] = set()

    def value(self, type_: ir.Type) -> str:
        """The C type of an expression or local variable."""
        if isinstance(type_, ir.Bool):
            return "bool"
        if isinstance(type_, ir.Void):
            return "void"
        bits = rep.bits_of(type_)
        return rep.c_type(bits) if bits is not None else self._struct(type_)

    def storage(self, type_: ir.Type) -> str:
        """The C type of a field or stack element."""
        bits = rep.bits_of(type_)
        return rep.c_storage(bits) if bits is not None else self.value(type_)

    def zero(self, type_: ir.Type) -> str:
        """A fresh value (see ir.Param)."""
        if isinstance(type_, ir.Bool):
            return "false"
        bits = rep.bits_of(type_)
        return rep.literal(0, bits) if bits is not None else f"(({self.value(type_)}){{0}})"

    def _struct(self, type_: ir.Type) -> str:
        match type_:
            case ir.Composite(name=name):
                wish = name
            case ir.Tuple():
                wish = "tuple"
            case ir.HeaderStack(element=element, size=size):
                wish = f"{element.name}_{size}"
            case ir.Varbit(max_width=width):
                wish = f"varbit_{width}"
            case _:
                raise AssertionError(type_)
        name = "struct " + self._names.of(type_, f"t_{wish}")
        if type_ not in self._defined:
            self._defined.add(type_)
            self._define(name, type_)
        return name

    def _define(self, name: str, type_: ir.Type) -> None:
        match type_:
            case ir.HeaderStack(element=element, size=size):
                # The last element takes what is written out of bounds.
                body = [f"{self.value(element)} e[{size + 1}];", "uint32_t next;"]
            case ir.Varbit(max_width=width):
                body = ["uint32_t bits;", f"uint8_t data[{max(1, -(-width // 8))}];"]
            case _:
                body = [f"{self.storage(member)} {field};" for field, member in members(type_)]
                if isinstance(type_, ir.Header):
                    body.append("bool valid;")
                if not body:
                    body = ["uint8_t empty;"]
        with self.definitions.block(name, "};"):
            for line in body:
                self.definitions.add(line)

    def equal(self, left: str, right: str, type_: ir.Type) -> str:
        """A C condition; left and right are places or scalar values (P4_16 sections 8.5, 8.16)."""
        bits = rep.bits_of(type_)
        if bits is not None:
            return rep.compare("==", left, right, bits)
        if isinstance(type_, ir.Bool):
            return f"({left} == {right})"
        return f"{self._equality(type_)}(&{left}, &{right})"

    def _equality(self, type_: ir.Type) -> str:
        name = "equal_" + self.value(type_).removeprefix("struct ")
        if type_ in self._compared:
            return name
        self._compared.add(type_)
        conditions = []
        match type_:
            case ir.HeaderStack(element=element, size=size):
                conditions = [self.equal(f"a->e[{i}]", f"b->e[{i}]", element) for i in range(size)]
            case ir.Varbit():
                conditions = ["a->bits == b->bits", "!memcmp(a->data, b->data, (a->bits + 7) / 8)"]
            case _:
                for field, member in members(type_):
                    conditions.append(self.equal(f"a->{field}", f"b->{field}", member))
        condition = " && ".join(conditions) or "true"
        if isinstance(type_, ir.Header):
            condition = f"a->valid == b->valid && (!a->valid || ({condition}))"
        c_type = self.value(type_)
        head = f"static P4_UNUSED bool {name}(const {c_type} *a, const {c_type} *b)"
        with self.definitions.block(head):
            self.definitions.add(f"return {condition};")
        return name
