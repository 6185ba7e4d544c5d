"""A plain IPv4 router to measure the switch with: its routes, and packets for them."""

import random
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from switch.runtime.pipeline import Entry, Lpm, Pipeline

PROGRAM: Final = Path(__file__).with_suffix(".p4")
TABLE: Final = "L3Ingress.route"
ROUTER_MAC: Final = 0x0200_0000_0001
NEXT_MAC: Final = 0x0200_0000_0002
LENGTHS: Final = (16, 20, 24, 28, 32)


def routes(count: int, port: int, seed: int = 1) -> Iterator[Entry]:
    """Return `count` different routes of a few prefix lengths, all by one port."""
    chooser = random.Random(seed)
    seen: set[Lpm] = set()
    while len(seen) < count:
        length = chooser.choice(LENGTHS)
        prefix = Lpm(chooser.getrandbits(length) << 32 - length, length)
        if prefix not in seen:
            seen.add(prefix)
            yield Entry((prefix,), "L3Ingress.next_hop", (ROUTER_MAC, NEXT_MAC, port))


def loaded(count: int, port: int) -> Pipeline:
    """Return the router with that many routes."""
    pipeline = Pipeline.compile(PROGRAM)
    for entry in routes(count, port):
        pipeline.insert(TABLE, entry)
    return pipeline


def packets(pipeline: Pipeline, count: int, seed: int = 1) -> list[bytes]:
    """Return frames of 64 bytes to addresses within randomly chosen routes."""
    chooser = random.Random(seed)
    prefixes = [entry.match[0] for entry in pipeline.entries(TABLE)]
    frames = []
    for _ in range(count):
        prefix = chooser.choice(prefixes)
        assert isinstance(prefix, Lpm)
        address = prefix.value | chooser.getrandbits(32) >> prefix.prefix_len
        packet = IP(src="10.9.9.9", dst=str(IPv4Address(address)), ttl=64) / UDP() / bytes(22)
        frames.append(bytes(Ether(src="02:00:00:00:00:09", dst="02:00:00:00:00:01") / packet))
    return frames
