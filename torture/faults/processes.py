"""Processes that end without a word, or stand still."""

import random

from torture.strikes import Strikes


def agents(strikes: Strikes, chooser: random.Random) -> None:
    """`kill -9` of an agent, mostly that of a source or destination."""
    server = strikes.server(chooser)
    _crash(strikes, "agents", f"{server}-agent", chooser, server)


def store(strikes: Strikes, chooser: random.Random) -> None:
    """`kill -9` of a store, which has all that it acknowledged in its append-only file."""
    server = strikes.server(chooser)
    _crash(strikes, "store", f"{server}-store", chooser, server)


def clients(strikes: Strikes, chooser: random.Random) -> None:
    """`kill -9` of a client; its sessions are gone for good, new ones begin."""
    _crash(strikes, "clients", f"{chooser.choice(strikes.rack.clients)}-load", chooser)


def controller(strikes: Strikes, chooser: random.Random) -> None:
    """`kill -9` of the controller, sometimes for longer than migrations last."""
    _crash(strikes, "controller", "controller", chooser)


def switch(strikes: Strikes, chooser: random.Random) -> None:
    """`kill -9` of the switch, which comes back empty."""
    _crash(strikes, "switch", "switch", chooser)


def _crash(
    strikes: Strikes, kind: str, part: str, chooser: random.Random, server: str = ""
) -> None:
    seconds = chooser.choice([0, 0.2, 1, 3]) * chooser.random()
    with strikes.rack.lock(server or part), strikes.striking(kind, part, server) as held:
        strikes.rack.kill(part)
        strikes.hold(seconds, held)
        strikes.rack.start(part)


def stop(strikes: Strikes, chooser: random.Random) -> None:
    """SIGSTOP of an agent for seconds, then SIGCONT: it knows nothing of the time between."""
    server = strikes.server(chooser)
    part, seconds = f"{server}-agent", chooser.uniform(0.1, 4)
    with strikes.rack.lock(server), strikes.striking("stop", part, server) as held:
        strikes.rack.freeze(part, frozen=True)
        strikes.hold(seconds, held)
        strikes.rack.freeze(part, frozen=False)
