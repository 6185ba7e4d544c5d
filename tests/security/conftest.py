"""Real stores and agents, and certificates."""

from tests.agent.conftest import alone, client, peer, running, store, two
from tests.switch.conftest import pki

__all__ = ["alone", "client", "peer", "pki", "running", "store", "two"]
