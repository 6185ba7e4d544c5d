"""Open files: what clients may open must leave the agent those that it needs itself."""

import resource
from typing import Final

_OWN: Final = 128
"""State, stores, links to other agents, gRPC."""


class LimitError(Exception):
    """The system allows too few; the message says what to do."""


def allow(connections: int) -> None:
    """Let this process have so many connections beside its own files."""
    needed = connections + _OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LimitError(
            f"{connections} connections need {needed} open files, {hard} are allowed: "
            "raise that (ulimit -Hn, LimitNOFILE=), or take fewer --tcp-connections"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
