"""What an order of the controller to move groups must be; rpc.py tells it what is wrong."""

from collections.abc import Sequence

from hosts.agent.channel import Server
from hosts.agent.node import Node
from hosts.wire import GROUPS, MAX_BATCH, is_batch


class NotReadyError(Exception):
    """What is asked needs something first, or contradicts what the agent knows."""


def check(node: Node, other: Server, ranges: Sequence[range], batch: int) -> None:
    """Raise ValueError unless these can be groups that move between this server and another one,
    NotReadyError if no service has been assigned yet."""
    if not node.core.service:
        raise NotReadyError(f"{node.own.name} has no service yet: assign groups first")
    _check_groups(ranges, batch)
    if other.index == node.own.index:
        raise ValueError(f"{other.name} is this server itself")


def _check_groups(ranges: Sequence[range], batch: int) -> None:
    if not is_batch(batch):
        raise ValueError(f"batches of {batch} groups: a power of two from 1 to {MAX_BATCH}")
    seen: set[int] = set()
    for groups in ranges:
        if groups.start % batch or groups.stop % batch:
            raise ValueError(
                f"groups {groups.start} to {groups.stop - 1} are not whole batches of {batch}"
            )
        if not 0 <= groups.start < groups.stop <= GROUPS:
            raise ValueError(f"groups {groups.start} to {groups.stop - 1}: 0 to {GROUPS - 1} exist")
        if not seen.isdisjoint(groups):
            raise ValueError(f"groups {groups.start} to {groups.stop - 1} are named twice")
        seen.update(groups)
    if not seen:
        raise ValueError("no groups are named")
