"""Controls: a frame for what actions and tables share, then actions, tables and the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from switch import ir
from switch.backend import representation as rep
from switch.backend.analysis import has_effects
from switch.backend.calls import is_packet, writes
from switch.backend.context import Context, counts_bytes
from switch.backend.keys import KeyLayout, data_offsets, key_layout, matched_keys
from switch.backend.profiles import Profile, selector_keys
from switch.backend.statements import StatementWriter
from switch.frontend.errors import unsupported


def write_control(
    context: Context, control: ir.Control, variables: Mapping[ir.Variable, str]
) -> None:
    """`variables` binds the parameters of a top-level block; those of others are C parameters."""
    _ControlWriter(context, control, variables).write()


def write_top_action(context: Context, action: ir.Action) -> None:
    _write_action(context, action, {}, "")


def write_function(context: Context, function: ir.Function) -> None:
    writer = StatementWriter(context, context.functions, {})
    signature = ", ".join(writer.signature(function, function.params))
    result = context.types.value(function.result)
    head = f"static inline {result} {context.function_name(function)}({signature})"
    context.prototypes.add(f"{head};")
    with context.functions.block(head):
        writer.statements(function.body.statements)


def _write_action(
    context: Context, action: ir.Action, variables: Mapping[ir.Variable, str], frame: str
) -> None:
    writer = StatementWriter(context, context.functions, dict(variables), "f")
    signature = ", ".join(writer.signature(action, action.params, frame))
    head = f"static inline void {context.function_name(action)}({signature})"
    context.prototypes.add(f"{head};")
    with context.functions.block(head):
        data = [
            (param.source_name or param.name, writer.variables[param], param.type)
            for param in action.params
            if rep.is_scalar(param.type) and param.direction != "out"
        ]
        writer.hook("action", action.name, action.loc, *data)
        writer.statements(action.body.statements)


class _ControlWriter:
    def __init__(
        self, context: Context, control: ir.Control, variables: Mapping[ir.Variable, str]
    ) -> None:
        self.context = context
        self.control = control
        self.out = context.functions
        self.top = bool(variables)
        self.variables = dict(variables)
        self.frame = context.frame(control)

    def write(self) -> None:
        self._frame()
        for action in self.control.actions:
            _write_action(self.context, action, self.variables, self.frame)
        for table in self.control.tables:
            _TableWriter(self.context, table, self.variables, self.frame).write()
        self._body()

    def _frame(self) -> None:
        """Parameters and the variables of the prologue: actions and tables may use them."""
        types, names = self.context.types, self.context.names
        with self.context.frames.block(f"struct {self.frame}", "};"):
            for param in self.control.params:
                if is_packet(param.type) or self.top:
                    continue
                name = names.of(("frame", param), param.name)
                by_value = rep.is_scalar(param.type) and not writes(param)
                star = "" if by_value else "*"
                self.context.frames.add(f"{types.value(param.type)} {star}{name};")
                self.variables[param] = f"f->{name}" if by_value else f"(*f->{name})"
            for statement in self.control.prologue:
                if isinstance(statement, ir.Declare):
                    variable = statement.variable
                    name = names.of(("frame", variable), variable.name)
                    self.context.frames.add(f"{types.value(variable.type)} {name};")
                    self.variables[variable] = f"f->{name}"

    def _body(self) -> None:
        control = self.control
        writer = StatementWriter(self.context, self.out, {}, "f")
        params = [] if self.top else list(control.params)
        signature = ", ".join(writer.signature(control, params))
        head = f"static void {self.context.function_name(control)}({signature})"
        self.context.prototypes.add(f"{head};")
        with self.out.block(head):
            self.out.add(f"struct {self.frame} frame, *f = &frame;")
            self.out.add("(void)f;")
            for param in params:
                if not is_packet(param.type):
                    name = self.context.names.of(("frame", param), param.name)
                    own = self.context.names.of((control, param), param.name)
                    self.out.add(f"f->{name} = {own};")
            writer.variables = self.variables
            writer.statements(control.prologue)
            writer.statements(control.body.statements)


class _TableWriter(StatementWriter):
    """One C function that looks up and runs the action: its number, the top bit for a hit."""

    def __init__(
        self,
        context: Context,
        table: ir.Table,
        variables: Mapping[ir.Variable, str],
        frame: str,
    ) -> None:
        super().__init__(context, context.functions, dict(variables), "f")
        self.table = table
        self.frame_type = frame
        self.leave = "return 0;"

    def write(self) -> None:
        table = self.table
        layout = key_layout(table)
        name = self.context.function_name(table)
        frame = f"struct {self.frame_type} *f"
        head = f"static inline uint32_t {name}(struct p4s *s, struct packet *c, {frame})"
        self.context.prototypes.add(f"{head};")
        with self.out.block(head):
            self.out.add(f"const struct p4_table *t = &s->tables[{self.context.tables[table]}];")
            self._look_up(layout)
            self._count()
            words = layout.words * (3 if layout.ranges else 1)
            self.out.add(f"P4_UNUSED const uint64_t *d = e->words + {words};")
            self.out.add("uint32_t action = e->action;")
            self._dereference()
            with self.out.block("switch (action)"):
                for i, ref in enumerate(table.actions):
                    self.out.add(f"case {i}:")
                    with self.out.block():
                        self._run(ref)
                    self.out.add("break;")
            self.out.add("return (uint32_t)hit << 31 | action;")

    def _look_up(self, layout: KeyLayout) -> None:
        if not layout.fields:
            self.out.add("struct p4_entry *e = t->missed;")
            self.out.add("bool hit = false;")
            self.context.trace.table(self.out, self.table, [])
            return
        matched = matched_keys(self.table)
        keys = [(self._key(key.expression), key.expression.type) for key in matched]
        words = [list(self.words(*key)) for key in keys]
        self.out.add(f"struct p4_entry *e = {self.find_entry('t', layout, words)};")
        self.out.add("bool hit = e != NULL;")
        self.out.add("if (!hit) e = t->missed;")
        self.context.trace.table(self.out, self.table, keys)

    def _key(self, expression: ir.Expression) -> str:
        """The value of a key; a field of an invalid header matches as 0, as in simple_switch."""
        value = self.value(expression)
        valid = self.validity(expression) if isinstance(expression, ir.Member) else None
        if valid is not None:
            return f"({valid} ? {value} : {self.types.zero(expression.type)})"
        return value

    def _count(self) -> None:
        table = self.table
        if table.meter is not None:
            unit = "true" if counts_bytes(table.meter) else "false"
            colour = f"p4_meter_execute(e->meter, {unit}, c->p.ingress_length, s->origin_ns)"
            # simple_switch has no meter for a miss; here there is one, once a controller sets it.
            self.out.add(f"c->colour = hit || e->meter->configured ? {colour} : P4_NONE;")
        if table.counter is not None:
            self.out.add("e->packets++;")
            self.out.add("e->bytes += c->p.ingress_length;")
        if table.support_timeout:
            self.out.add("if (hit) e->used_ns = p4_now_ns();")

    def _dereference(self) -> None:
        """What an entry refers to in the table's action profile takes its place."""
        found = self.context.profile(self.table)
        if found is None:
            return
        _, profile = found
        # The hash is only needed for a group, unless computing it has effects of its own.
        keys = selector_keys(self.table)
        early = any(has_effects(key.expression) for key in keys)
        digest = self._selector_hash(profile, keys) if profile.selector and early else ""
        with self.out.block("if (action >= P4_MEMBER)"):
            self.out.add("const struct p4_member *m = (const struct p4_member *)(uintptr_t)d[0];")
            if profile.selector:
                with self.out.block("if (action != P4_MEMBER)"):
                    digest = digest or self._selector_hash(profile, keys)
                    group = "(const struct p4_action_group *)(uintptr_t)d[0]"
                    self.out.add(f"m = p4_choose({group}, (uint32_t){digest});")
            positions = ", ".join(map(str, profile.positions(self.table))) or "0"
            self.out.add(f"static const uint32_t position[] = {{{positions}}};")
            self.out.add("action = m ? position[m->action] : P4_NOTHING;")
            self.out.add("if (m) d = m->data;")
            chosen = [("chosen", "m != NULL", ir.Bool()), ("id", "m ? m->id : 0", ir.Bits(32))]
            self.hook("member", profile.instance.name, self.table.loc, *chosen)

    def _selector_hash(self, profile: Profile, keys: Sequence[ir.Key]) -> str:
        """BMv2 hashes the keys as `hash` does a list of them."""
        elements = tuple(key.expression for key in keys)
        type_ = ir.Tuple(tuple(element.type for element in elements))
        data = ir.TupleValue(type_, self.table.loc, elements)
        return self.checksum(profile.instance.arguments[0], data, payload=False)

    def _run(self, ref: ir.ActionRef) -> None:
        offsets, _ = data_offsets(ref.action)
        data: list[ir.Expression] = []
        for param, offset in zip(ref.action.data, offsets, strict=True):
            if not rep.is_scalar(param.type):
                raise unsupported(param.loc, f"action data of type {param.type}")
            name = self.temporary(param.type, self._datum(param.type, offset))
            variable = ir.Variable(name, param.type, param.loc)
            self.variables[variable] = name
            data.append(ir.Var(param.type, param.loc, variable))
        frame = "f" if self.owns(ref.action) else ""
        self.call_p4(ref.action, ref.action.params, (*ref.bound, *data), ir.Void(), frame)

    @staticmethod
    def _datum(type_: ir.Type, offset: int) -> str:
        bits = rep.bits_of(type_)
        if bits is None:
            return f"d[{offset}] != 0"
        if bits.width <= 64:
            return f"d[{offset}]"
        if bits.width <= rep.BIG:
            return f"U128(d[{offset + 1}], d[{offset}])"
        limbs = ", ".join(f"d[{offset + i}]" for i in range(rep.words_of(type_)))
        return f"((p4_big){{{{{limbs}}}}})"
