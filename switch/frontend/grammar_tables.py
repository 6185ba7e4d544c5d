"""Grammar of tables (P4_16 section 14.2)."""

from __future__ import annotations

from switch.frontend import syntax as s
from switch.frontend.errors import error
from switch.frontend.grammar_statements import StatementGrammar


class TableGrammar(StatementGrammar):
    def table(self, annotations: s.Annotations) -> s.TableDecl:
        self.expect("table")
        name = self.name("the table")
        self.declare(name.text)
        self.expect("{", "after the table's name")
        table = s.TableDecl(name.loc, annotations, name.text, None, None, None, False, [])
        while not self.accept("}"):
            if self.token.kind == "end":
                raise self.unexpected("'}'", f"to close table '{name.text}'")
            self._property(table)
        return table

    def _property(self, table: s.TableDecl) -> None:
        annotations = self.annotations()
        const = self.accept("const") is not None
        name = self.name("the table property")
        self.expect("=", "after the table property's name")
        known = {"key": table.keys, "actions": table.actions, "entries": table.entries}
        if name.text in known:
            if known[name.text] is not None:
                raise error(name.loc, f"table '{table.name}' has property '{name.text}' twice")
            if const and name.text != "entries":
                raise error(name.loc, f"property '{name.text}' cannot be const")
            self.expect("{", f"after '{name.text} ='")
            if name.text == "key":
                table.keys = self._keys()
            elif name.text == "actions":
                table.actions = self._actions()
            else:
                if table.keys is None and table.entries is None and self._key_follows():
                    raise error(name.loc, f"'entries' of table '{table.name}' must follow 'key'")
                table.const_entries = const
                table.entries = self._entries()
            return
        if name.text == "default_action" and table.actions is None:
            raise error(name.loc, "'default_action' must follow 'actions'")
        value = self.expression()
        self.expect(";", f"after property '{name.text}'")
        table.properties.append(s.PropertyNode(name.loc, annotations, name.text, const, value))

    def _key_follows(self) -> bool:
        """Whether this table, whose entries are being read, declares its key after them."""
        ahead, depth = 0, 1
        while depth >= 0 and self.peek(ahead).kind != "end":
            text = self.peek(ahead).text
            depth += (text == "{") - (text == "}")
            if depth == 0 and text == "key" and self.peek(ahead + 1).text == "=":
                return True
            ahead += 1
        return False

    def _keys(self) -> list[s.KeyNode]:
        keys: list[s.KeyNode] = []
        while not self.accept("}"):
            loc = self.loc
            expression = self.expression()
            self.expect(":", "between the key and its match kind")
            kind = self.name("the match kind")
            annotations = self.annotations()
            self.expect(";", "after the key")
            keys.append(s.KeyNode(loc, annotations, expression, kind.text, kind.loc))
        return keys

    def _actions(self) -> list[s.ActionRefNode]:
        actions: list[s.ActionRefNode] = []
        while not self.accept("}"):
            actions.append(self._action_reference())
            if not self.accept(";") and not self.accept(","):
                raise self.unexpected("';'", "after the action")
        return actions

    def _action_reference(self) -> s.ActionRefNode:
        annotations = self.annotations()
        loc = self.loc
        from_global = self.accept(".") is not None
        name = self.name("the action").text
        arguments = self.arguments() if self.at("(") else None
        return s.ActionRefNode(loc, annotations, name, from_global, arguments)

    def _entries(self) -> list[s.EntryNode]:
        entries: list[s.EntryNode] = []
        while not self.accept("}"):
            loc = self.loc
            const = self.accept("const") is not None
            priority = None
            if self.at("priority") and self.peek().text == "=":
                self.next()
                self.next()
                priority = self.expression()
                self.expect(":", "after the priority")
            keysets = self.keysets()
            self.expect(":", "between the keys and the action")
            action = self._action_reference()
            annotations = self.annotations()
            self.expect(";", "after the entry")
            entries.append(s.EntryNode(loc, annotations, const, priority, keysets, action))
        return entries
