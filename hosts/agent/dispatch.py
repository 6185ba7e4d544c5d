"""Frames of the channels: who takes what another agent sent, and who goes on when it can be reached
again."""

from hosts.agent.datagrams import Datagrams
from hosts.agent.emigration.emigrations import Emigrations
from hosts.agent.frames import Kind
from hosts.agent.immigration import Arrival, Copies
from hosts.agent.node import Node
from hosts.agent.pieces.arriving import Arriving
from hosts.agent.streams import Streams


class Dispatch:
    """Knows every part that talks to other agents."""

    def __init__(
        self,
        node: Node,
        datagrams: Datagrams,
        streams: Streams,
        emigrations: Emigrations,
        arrival: Arrival,
        copies: Copies,
        pieces: Arriving,
    ) -> None:
        self._node = node
        self._datagrams = datagrams
        self._streams = streams
        self._emigrations = emigrations
        self._arrival = arrival
        self._copies = copies
        self._pieces = pieces

    def frame(self, peer: int, kind: Kind, body: memoryview) -> None:
        """Take a frame; ValueError if it is malformed."""
        if kind is Kind.HANDOVER:
            self._datagrams.handed(body)
        elif kind is Kind.ANSWER:
            self._streams.queries.answers.arrived(body)
        elif kind is Kind.WATERMARKS:
            self._node.core.learn(body)
        elif kind in (Kind.PREPARE, Kind.KEYS, Kind.PULLED):
            self._arrival.handle(peer, kind, body)
        elif kind is Kind.PIECE:
            self._pieces.handle(peer, body)
        elif kind in (Kind.CLEAR, Kind.COPY, Kind.TAKE):
            self._copies.handle(peer, kind, body)
        else:
            self._emigrations.frame(peer, kind, body)

    def link_up(self, peer: int) -> None:
        """A connection to or from a peer is new: what was in the old one may be lost."""
        if peer not in self._node.servers or not self._node.link(peer).connected:
            return
        self._emigrations.resend(peer)
        self._arrival.resend(peer)
        self._streams.link_up(peer)

    def writable(self, peer: int) -> None:
        """The link to a peer takes bulk data again."""
        self._emigrations.writable(peer)
        self._streams.queries.answers.send(peer)
