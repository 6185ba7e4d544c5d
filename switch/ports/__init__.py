"""Ports of the embedded switch (AF_PACKET), and a generator of traffic to measure it with."""

from switch.ports.faults import (
    Direction,
    FaultCounts,
    FaultError,
    FaultRates,
    FaultSpec,
)
from switch.ports.generator import Flood, Generator
from switch.ports.links import Links
from switch.ports.ports import PortError, Ports, PortStatistics, Totals

__all__ = [
    "Direction",
    "FaultCounts",
    "FaultError",
    "FaultRates",
    "FaultSpec",
    "Flood",
    "Generator",
    "Links",
    "PortError",
    "PortStatistics",
    "Ports",
    "Totals",
]
