"""One command through the client library, run inside a host; prints the reply as redis-cli does."""

import json
import sys
from typing import Any

from hosts.client import Client, NetMigrateError, ReplyError


def main() -> int:
    """Run the request in the first argument."""
    request = json.loads(sys.argv[1])
    command = [word.encode("utf-8", "surrogateescape") for word in request["command"]]
    try:
        with Client(request["vip"], request["port"], service=request["service"]) as client:
            reply = client.execute_command(*command)
    except ReplyError as error:
        print(f"netmigrate: {error}", file=sys.stderr)
        return 1
    except (NetMigrateError, OSError) as error:
        print(f"netmigrate: {error}", file=sys.stderr)
        return 2
    print(json.dumps(_plain(reply), indent=2) if request["json"] else "\n".join(_lines(reply)))
    return 0


def _plain(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "backslashreplace")
    return [_plain(item) for item in reply] if isinstance(reply, list) else reply


def _lines(reply: Any) -> list[str]:
    if reply is None:
        return ["(nil)"]
    if isinstance(reply, int):
        return [f"(integer) {reply}"]
    if not isinstance(reply, list):
        return [_plain(reply)]
    if not reply:
        return ["(empty)"]
    lines = []
    for number, item in enumerate(reply, 1):
        head = f"{number}) "
        first, *rest = _lines(item)
        lines += [head + first, *(" " * len(head) + line for line in rest)]
    return lines


if __name__ == "__main__":
    sys.exit(main())
