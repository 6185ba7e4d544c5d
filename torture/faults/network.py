"""Faults of the network: frames, links, and the TCP connections between agents."""

import random
from typing import Final

from topology import network
from torture.strikes import Strikes

_PORT: Final = str(network.AGENT_PORT)


def packets(strikes: Strikes, chooser: random.Random) -> None:
    """Some ways of the switch lose, duplicate, delay and reorder for a while."""
    rack = strikes.rack
    ports = range(1, len(rack.servers) + len(rack.clients) + 1)
    ways = [f"{port}/{way}" for port in ports for way in ("in", "out")]
    struck = chooser.sample(ways, chooser.randint(1, len(ways)))
    rates = {
        "loss": f"{chooser.uniform(0, chooser.choice([1, 5, 30, 80])):.2f}%",
        "duplicate": f"{chooser.uniform(0, 5):.2f}%",
        "delay": f"{chooser.uniform(0, 10):.2f}%:{chooser.choice([5, 50, 500, 3000])}ms",
        "reorder": f"{chooser.uniform(0, 5):.2f}%",
    }
    wanted = chooser.sample(sorted(rates), chooser.randint(1, len(rates)))
    _fault_ways(strikes, "packets", struck, ",".join(f"{k}={rates[k]}" for k in wanted), chooser)


def links(strikes: Strikes, chooser: random.Random) -> None:
    """One host hears nothing, is not heard, or both."""
    port = chooser.randint(1, len(strikes.rack.servers) + len(strikes.rack.clients))
    ways = chooser.choice([["in"], ["out"], ["in", "out"]])
    _fault_ways(strikes, "links", [f"{port}/{way}" for way in ways], "loss=100%", chooser)


def _fault_ways(
    strikes: Strikes, kind: str, ways: list[str], what: str, chooser: random.Random
) -> None:
    rack, seconds = strikes.rack, chooser.uniform(0.2, 2.5)
    with rack.lock("links"), strikes.striking(kind, f"{' '.join(ways)} {what}") as held:
        for way in ways:
            rack.set_faults(way, what)
        strikes.hold(seconds, held)
        for way in ways:
            rack.set_faults(way, "off")


def channels(strikes: Strikes, chooser: random.Random) -> None:
    """The TCP connections of a server to other agents are reset."""
    server = strikes.server(chooser)
    with strikes.striking("channels", server, server):
        strikes.rack.run_in(
            server, "ss", "--kill", "--numeric", "state", "established",
            "(", "sport", "=", _PORT, "or", "dport", "=", _PORT, ")",
        )  # fmt: skip


def stall(strikes: Strikes, chooser: random.Random) -> None:
    """A server's TCP connections to other agents stand still; all else goes on. Those that do so
    for more than five seconds, the kernel gives up."""
    server, seconds = strikes.server(chooser), chooser.uniform(0.5, chooser.choice([4, 8]))
    with strikes.rack.lock(f"{server} tcp"), strikes.striking("stall", server, server) as held:
        _route_channels(strikes, server, "add")
        strikes.hold(seconds, held)
        _route_channels(strikes, server, "del")


def _route_channels(strikes: Strikes, server: str, change: str) -> None:
    """Let what the server sends on its channels get lost, or reach the others again: then neither
    what it says comes through nor that it has heard."""
    for end in ("sport", "dport"):
        rule = ["ipproto", "tcp", end, _PORT, "blackhole"]
        done = strikes.rack.run_in(server, "ip", "rule", change, "pref", "1", *rule)
        if done.returncode:
            raise RuntimeError(f"ip rule {change} in {server}: {done.stderr.strip()}")
