"""Judges recorded histories: is every key linearizable?

`registers` and `counters` decide exactly, for millions of operations, what the load generator
does. `search` decides any commands on small histories, and is what the other two are tested
against.
"""

from hosts.check.result import Result, Violation

__all__ = ["Result", "Violation"]
