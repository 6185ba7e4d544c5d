"""Agents with their TCP ports."""

from tests.agent.conftest import alone, each_two, peer, running, store, two

__all__ = ["alone", "each_two", "peer", "running", "store", "two"]
