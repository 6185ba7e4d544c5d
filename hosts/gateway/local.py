"""Commands that are about the connection, not about a key: who took it answers them."""

from collections.abc import Callable, Sequence
from typing import Final

from hosts.client import CommandTable
from hosts.client.errors import CommandError

OK: Final = b"+OK\r\n"
_EMPTY: Final = b"*0\r\n"


def error(text: str, code: str = "ERR") -> bytes:
    """Return a RESP error of one line."""
    return f"-{code} {' '.join(text.split())}\r\n".encode()


def bulk(text: bytes) -> bytes:
    """Return a RESP bulk string."""
    return b"$%d\r\n%s\r\n" % (len(text), text)


def array(items: Sequence[bytes]) -> bytes:
    """Return a RESP array of what is RESP already."""
    return b"*%d\r\n%s" % (len(items), b"".join(items))


def number(value: int) -> bytes:
    """Return a RESP integer."""
    return b":%d\r\n" % value


class Local:
    """One connection's own state, and the commands that ask for it."""

    def __init__(self, table: CommandTable, number: int, info: Callable[[], str]) -> None:
        self._table = table
        self._number = number
        self._info = info
        self._name = b""
        self.protocol = 2

    def answer(self, command: tuple[bytes, ...]) -> bytes | None:
        """Return the reply, or None for a command of the store's."""
        name, arguments = command[0].upper(), command[1:]
        match name:
            case b"PING":
                return bulk(arguments[0]) if arguments else b"+PONG\r\n"
            case b"ECHO" if len(arguments) == 1:
                return bulk(arguments[0])
            case b"SELECT" if arguments == (b"0",):
                return OK
            case b"SELECT":
                return error("there is one database, 0")
            case b"AUTH":
                return error("AUTH called, but there is no password here")
            case b"HELLO":
                return self._hello(arguments)
            case b"CLIENT":
                return self._client([each.upper() for each in arguments[:1]], arguments[1:])
            case b"INFO":
                return bulk(self._info().encode())
            case b"CONFIG" if [each.upper() for each in arguments[:1]] == [b"GET"]:
                return _EMPTY  # settings are those of the servers behind
            case b"COMMAND":
                return self._command([each.upper() for each in arguments[:1]], arguments[1:])
            case b"CLUSTER" | b"READONLY" | b"READWRITE" | b"ASKING":
                return error("This instance has cluster support disabled")
            case _:
                return None

    def _hello(self, arguments: Sequence[bytes]) -> bytes:
        if arguments and arguments[0] not in (b"2", b"3"):
            return error("unsupported protocol version", "NOPROTO")
        if len(arguments) > 1:
            return error("HELLO takes no options here: there is no password")
        if arguments:
            self.protocol = int(arguments[0])
        pairs: list[bytes] = []
        for name, value in (
            (b"server", bulk(b"netmigrate")),
            (b"proto", number(self.protocol)),
            (b"id", number(self._number)),
            (b"mode", bulk(b"standalone")),
            (b"role", bulk(b"master")),
            (b"modules", _EMPTY),
        ):
            pairs += [bulk(name), value]
        return (
            array(pairs)
            if self.protocol == 2
            else b"%%%d\r\n" % (len(pairs) // 2) + b"".join(pairs)
        )

    def _client(self, what: list[bytes], arguments: Sequence[bytes]) -> bytes:
        match what:
            case [b"ID"]:
                return number(self._number)
            case [b"GETNAME"]:
                return bulk(self._name)
            case [b"SETNAME"] if len(arguments) == 1:
                self._name = arguments[0]
                return OK
            case [b"SETINFO" | b"NO-EVICT" | b"NO-TOUCH"]:
                return OK
            case _:
                return error("CLIENT knows ID, GETNAME, SETNAME, SETINFO, NO-EVICT, NO-TOUCH here")

    def _command(self, what: list[bytes], arguments: Sequence[bytes]) -> bytes:
        if what != [b"GETKEYS"]:
            return _EMPTY  # the store's table; clients take it as a help text only
        try:
            return array([bulk(key) for key in self._table.keys(arguments)])
        except CommandError as wrong:
            return error(str(wrong))
