"""The destination's side of migrations (docs/protocol.md)."""

from hosts.agent.immigration.arrival import Arrival, Packet
from hosts.agent.immigration.copies import Copies
from hosts.agent.immigration.immigration import Immigration
from hosts.agent.immigration.immigrations import Immigrations
from hosts.agent.immigration.queries import Queries

__all__ = ["Arrival", "Copies", "Immigration", "Immigrations", "Packet", "Queries"]
