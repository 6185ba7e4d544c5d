"""Judges recorded histories: is every key linearizable?

`registers` and `counters` decide exactly, for millions of operations, what the load generator
does. `histories` decides any commands on strings and hashes, for thousands of operations on a key,
and shows why. `search` decides any commands on small histories, and is what the others are tested
against.
"""

from hosts.check.result import Result, Violation

__all__ = ["Result", "Violation"]
