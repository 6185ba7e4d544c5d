"""What an agent counts; `netmigrate counters` and the run's summary show these names."""

from typing import Final

from hosts.agent._core import Core

# In the order of `enum counter` in core/core.h.
CORE: Final = (
    "received",
    "reads",
    "writes",
    "duplicates",
    "late_duplicates",
    "double_reads_from_source",
    "double_reads_not_here_yet",
    "double_reads_gone",
    "immigrating_queries",  # queries of groups that are just arriving
    "double_reads_authoritative",  # double reads answered by the destination
    "retries",  # clients told to ask again, because the key was not here yet
    "sent_to_source",  # reads that the client was told to ask the source for
    "slow",
    "sent",
    "send_failed",
    "store_lost",
    "too_long_replies",  # for a datagram: the client was sent to TCP, or refused
    "streamed",  # answers to queries that came by TCP
    "malformed",
    "refused_service",
    "refused_payload",
    "refused_command",
    "refused_group",
    "refused_op",
    "refused_unassigned",
    "refused_sessions",
    "refused_store",
    "refused_other",
)

AGENT: Final = (
    "held",  # writes and plain reads that waited for PREPARE to be acknowledged
    "handed_over",  # of those, handed to the destination
    "forwarded",  # handed to the owner of a group that is not ours (any more)
    "dropped_full",  # too many wait already; the client resends
    "dropped_unreachable",  # no channel to the owner; the client resends
    "stuck_connections",  # of TCP clients, ended for the memory that they held
    "dropped_hops",  # handed on too often: the agents' tables disagree for the moment
    "priority_pulls",  # keys pulled ahead of their group
    "keys_sent",
    "keys_applied",
    "keys_dropped",  # migrated copies of keys whose truth was here already
    "pieces_sent",  # of big values
    "values_in_pieces",  # big values that went so
    "values_whole",  # big values that could not, and blocked both stores
    "keys_purged",  # left-over copies deleted before their group came (back)
    "keys_deleted",  # the source's copies, after the grace period
    "groups_sent",
    "groups_received",
    "channel_group_bytes",  # KEYS frames sent
    "channel_pull_bytes",  # PULL and PULLED frames sent
    "channel_handover_bytes",  # queries handed on, both kinds
    "channel_other_bytes",
    "control_sent",
    "control_resent",
    "control_ignored",  # START, COMPLETE or ACK that no migration of ours expects
    "channel_malformed",
    "store_lost_data",  # how often the store was started again without all that it had
)


class Counters:
    """The agent's own counters, and the core's, under one roof."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._own = dict.fromkeys(AGENT, 0)

    def add(self, name: str, count: int = 1) -> None:
        """Count; an unknown name is a KeyError."""
        self._own[name] += count

    def __getitem__(self, name: str) -> int:
        return self.all()[name]

    def all(self) -> dict[str, int]:
        """Return every counter by name."""
        return dict(zip(CORE, self._core.counters(), strict=True)) | self._own
