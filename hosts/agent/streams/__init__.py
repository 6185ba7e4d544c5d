"""Clients by TCP: RESP, or queries as in datagrams, of any length (docs/protocol.md, "By TCP")."""

from hosts.agent.streams.streams import CONNECTIONS, ROOM, Streams, Tcp

__all__ = ["CONNECTIONS", "ROOM", "Streams", "Tcp"]
