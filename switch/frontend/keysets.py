"""Keysets of select cases and table entries (P4_16 section 13.6)."""

from __future__ import annotations

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.constants import int_literal
from switch.frontend.errors import error
from switch.frontend.scopes import Value, ValueSetEntry
from switch.frontend.statements import StatementChecker
from switch.frontend.type_rules import article, erase, is_literal


class KeysetChecker(StatementChecker):
    """Keysets against the type of what they match."""

    def keyset(self, node: s.Expr, type_: ir.Type) -> ir.Keyset:
        """Checks a keyset; what it compares with is constant (as p4c wants it for BMv2)."""
        keyset = self._keyset(node, type_)
        self._check_constant(keyset)
        return keyset

    def _keyset(self, node: s.Expr, type_: ir.Type) -> ir.Keyset:
        match node:
            case s.DontCare():
                return ir.AnyKey(node.loc)
            case s.Mask():
                return self._mask(node, type_)
            case s.Range():
                low = self.expect(node.low, type_, "the range")
                high = self.expect(node.high, type_, "the range")
                if not isinstance(erase(type_), ir.Bits):
                    raise error(node.loc, f"a range is not defined on {article(type_)}")
                return ir.RangeKey(node.loc, low, high)
            case s.Name():
                entry = self.lookup(node.name, node.loc, node.from_global)
                if isinstance(entry, ValueSetEntry):
                    if entry.value_set.type != erase(type_):
                        raise error(
                            node.loc,
                            f"value_set '{node.name}' is of type {entry.value_set.type}, what it "
                            f"is to match of {article(type_)}",
                        )
                    return ir.ValueSetKey(node.loc, entry.value_set)
            case s.ListExpr(elements=[only]):
                return self._keyset(only, type_)
        return ir.ValueKey(node.loc, self.expect(node, type_, "the keyset"))

    def _mask(self, node: s.Mask, type_: ir.Type) -> ir.Keyset:
        plain = erase(type_)
        if isinstance(plain, ir.SerializableEnum):
            bits: ir.Type = plain.underlying
        elif isinstance(plain, ir.Bits):
            bits = type_
        else:
            raise error(node.loc, f"a mask is not defined on {article(type_)}")
        value = self._masked(node.value, bits)
        mask = self._masked(node.mask, bits)
        return ir.MaskKey(node.loc, self.cast_node(value, plain), self.cast_node(mask, plain))

    def _masked(self, node: s.Expr, bits: ir.Type) -> ir.Expression:
        value = self.expression(node)
        if isinstance(value.type, ir.SerializableEnum):
            value = Value(self.cast_node(value.node, value.type.underlying), value.type.underlying)
        return self.coerce(value, bits, "the mask")

    def entry_keyset(self, node: s.Expr, key: ir.Key, type_: ir.Type) -> ir.Keyset:
        """A keyset of a table entry: constant, and of a form the match kind allows."""
        keyset = self.keyset(node, type_)
        kind = key.match_kind
        match keyset:
            case ir.ValueSetKey():
                raise error(node.loc, "a value_set cannot be used in a table entry")
            case ir.ValueKey() if isinstance(erase(type_), ir.Error):
                raise error(node.loc, "BMv2 has no entries for a key of type error")
            case ir.AnyKey() if kind == "exact":
                raise error(node.loc, "an exact key needs a value")
            case ir.MaskKey() if kind not in ("ternary", "lpm"):
                raise error(node.loc, f"a mask cannot be given for a key of kind '{kind}'")
            case ir.RangeKey() if kind != "range":
                raise error(node.loc, f"a range cannot be given for a key of kind '{kind}'")
            case ir.MaskKey(mask=ir.IntLiteral(value=mask)) if kind == "lpm":
                bits = erase(type_)
                if isinstance(bits, ir.Bits):
                    self._check_prefix(node, mask, bits)
        return keyset

    def _check_constant(self, keyset: ir.Keyset) -> None:
        parts: tuple[ir.Expression, ...] = ()
        match keyset:
            case ir.ValueKey(value=value):
                parts = (value,)
            case ir.MaskKey(value=value, mask=mask):
                parts = (value, mask)
            case ir.RangeKey(low=low, high=high):
                parts = (low, high)
        for part in parts:
            if not is_literal(part):
                raise error(part.loc, "a keyset must be a compile-time constant")

    def _check_prefix(self, node: s.Expr, mask: int, bits: ir.Bits) -> None:
        ones = int_literal(ir.Bits(bits.width), node.loc, mask).value
        inverted = ones ^ ((1 << bits.width) - 1)
        if inverted & (inverted + 1):
            raise error(node.loc, f"mask {ones:#x} of an lpm key is not a prefix")
