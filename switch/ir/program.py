"""The whole program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from switch.ir.actions import Action, Function
from switch.ir.controls import Control
from switch.ir.externs import ExternInstance
from switch.ir.parsers import Parser
from switch.ir.source import Annotations
from switch.ir.tables import Table
from switch.ir.types import Struct, Type


@dataclass(eq=False, slots=True)
class Program:
    """A whole v1model program: `V1Switch(parser, verify_checksum, ingress, egress, …) main`.

    Parameters of the six blocks are v1model's, in its order:
    parser (packet_in, out H, inout M, inout standard_metadata_t), verify and compute (inout H,
    inout M), ingress and egress (inout H, inout M, inout standard_metadata_t), deparser
    (packet_out, in H).
    """

    parser: Parser
    verify_checksum: Control
    ingress: Control
    egress: Control
    compute_checksum: Control
    deparser: Control
    headers: Type
    """H."""
    metadata: Type
    """M."""
    standard_metadata: Struct
    errors: tuple[str, ...]
    types: dict[str, Type]
    """Named types by name (Composites, enums, NewTypes), in source order; specialised generics
    under their specialised name. Includes those of core.p4 and v1model.p4."""
    actions: tuple[Action, ...]
    """Top-level actions that are used, NoAction among them."""
    functions: tuple[Function, ...]
    """Called functions, callees first."""
    externs: tuple[ExternInstance, ...]
    """Top-level extern instances."""
    field_lists: dict[int, tuple[tuple[str, ...], ...]]
    """@field_list(n): paths of annotated fields from the metadata M: ("group",), ("a", "b")."""
    main_annotations: Annotations = ()
    sources: tuple[str, ...] = ()
    """All files read, the program first."""

    def controls(self) -> Iterator[Control]:
        """Every control instance, outer before inner, in pipeline order."""
        stack = [
            self.deparser,
            self.compute_checksum,
            self.egress,
            self.ingress,
            self.verify_checksum,
        ]
        while stack:
            control = stack.pop()
            yield control
            stack.extend(reversed(control.controls))

    def parsers(self) -> Iterator[Parser]:
        stack = [self.parser]
        while stack:
            parser = stack.pop()
            yield parser
            stack.extend(reversed(parser.parsers))

    def tables(self) -> Iterator[Table]:
        for control in self.controls():
            yield from control.tables

    def all_actions(self) -> Iterator[Action]:
        yield from self.actions
        for control in self.controls():
            yield from control.actions

    def extern_instances(self) -> Iterator[ExternInstance]:
        yield from self.externs
        for parser in self.parsers():
            yield from parser.externs
        for control in self.controls():
            yield from control.externs
