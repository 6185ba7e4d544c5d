"""`python -m hosts.scapy`: send one query or control packet from this host, show every reply."""

import argparse
import json
import sys
from typing import Any

from scapy.error import Scapy_Exception

from hosts.scapy.client import control, describe, exchange, meaning, query
from hosts.wire import Flags


def _flags(text: str) -> int:
    value = Flags.NONE
    for name in filter(None, text.upper().split(",")):
        if name not in Flags.__members__:
            raise argparse.ArgumentTypeError(f"flag {name}: one of {', '.join(Flags.__members__)}")
        value |= Flags[name]
    return int(value)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, ValueError):
        return f"error: {value}"
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hosts.scapy", description=__doc__)
    parser.add_argument("--vip", required=True)
    parser.add_argument("--port", type=int, default=4700)
    parser.add_argument("--service", type=int, default=1)
    parser.add_argument("--flags", type=_flags, default=0, help="names, separated by commas")
    parser.add_argument("--migration", type=int, default=0)
    parser.add_argument("--group", type=int, help="default: the key's")
    parser.add_argument("--timeout", type=float, default=0.5, help="seconds to wait for replies")
    parser.add_argument("--json", action="store_true")
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("query", help="a command, as READ or WRITE")
    one.add_argument("command", nargs="+")
    for name in ("start", "complete", "ack"):
        one = kinds.add_parser(name, help=f"a GROUP_{name.upper()}")
        one.add_argument("--lane", type=int, default=0)
        one.add_argument("--sequence", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    """Exit status 0: a reply came; 1: none did; 2: it could not be sent."""
    given = _arguments()
    fields: dict[str, Any] = {"service": given.service, "flags": given.flags, "port": given.port}
    try:
        if given.kind == "query":
            fields["migration"] = given.migration
            if given.group is not None:
                fields["group"] = given.group
            packet = query(given.vip, *given.command, **fields)
        else:
            packet = control(
                given.vip,
                given.kind,
                given.group or 0,
                migration=given.migration,
                lane=given.lane,
                sequence=given.sequence,
                **fields,
            )
        replies = exchange(packet, given.timeout)
    except PermissionError:
        print("scapy: sending raw packets needs root rights", file=sys.stderr)
        return 2
    except (OSError, ValueError, Scapy_Exception) as error:
        print(f"scapy: {error}", file=sys.stderr)
        return 2
    if given.json:
        told = [describe(packet) | {"meaning": meaning(packet)} for packet in replies]
        shown = [{name: _plain(value) for name, value in each.items()} for each in told]
        print(json.dumps({"sent": packet.command(), "replies": shown}))
    else:
        print(replies)
    return 0 if replies else 1


if __name__ == "__main__":
    sys.exit(main())
