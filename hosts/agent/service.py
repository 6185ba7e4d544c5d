"""The service whose queries this agent answers: assigned once, remembered across restarts."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from hosts.agent.channel import Server
from hosts.agent.node import Node, address
from hosts.agent.orders import NotReadyError


class Service:
    """Its number, its address, and the servers that have its groups; the file at `path` outlives
    the process."""

    def __init__(self, node: Node, path: Path) -> None:
        self._node = node
        self._path = path

    def assign(
        self,
        number: int,
        vip: tuple[str, int],
        servers: Sequence[Server],
        placements: Sequence[tuple[range, int]],
    ) -> None:
        """First placement of a service's groups."""
        own = self._node.own
        if self._node.core.service not in (0, number):
            raise NotReadyError(
                f"{own.name} serves service {self._node.core.service}, it cannot serve {number} too"
            )
        known = {server.index for server in servers}
        for _, owner in placements:
            if owner not in known:
                raise ValueError(f"server {owner} has groups but is not among the servers")
        try:
            self._node.table.assign(own.index, placements)
        except ValueError as error:
            raise NotReadyError(str(error)) from None
        self._configure(number, vip, servers)
        content = {"service": number, "vip": list(vip), "servers": [asdict(s) for s in servers]}
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(content))
        draft.replace(self._path)

    def restore(self) -> None:
        """Take up what an earlier process of this agent was assigned; ValueError if the file is
        damaged."""
        if not self._path.exists():
            return
        try:
            content = json.loads(self._path.read_text())
            vip = content["vip"][0], int(content["vip"][1])
            servers = [Server(**server) for server in content["servers"]]
            self._configure(int(content["service"]), vip, servers)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self._path} is damaged ({error})") from None

    def _configure(self, number: int, vip: tuple[str, int], servers: Iterable[Server]) -> None:
        self._node.core.service = number
        self._node.vip = address(vip[0]), vip[1]
        for server in servers:
            if server.index != self._node.own.index:
                self._node.know(server)
