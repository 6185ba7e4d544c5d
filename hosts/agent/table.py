"""The ownership table (docs/protocol.md): per group a state, an owner, and its last migration here.

It lives in a memory-mapped file that the compiled core reads too, and so survives `kill -9`.
"""

import mmap
import os
from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from hosts.wire import GROUPS


class State(IntEnum):
    """What this agent is for a group."""

    ABSENT = 0
    OWNED = 1
    EMIGRATING = 2
    IMMIGRATING = 3


_LENGTH = GROUPS * 6


class Table:
    """What this agent knows of every group.

    `states[g]`; `owners[g]`: server index, 0 where nothing is known; `former[g]`: 1 if it was given
    away; `moving[g]`: number of the migration by which it last came or went here, or is to come.
    """

    def __init__(self, memory: mmap.mmap | bytearray) -> None:
        self.states: npt.NDArray[np.uint8] = np.frombuffer(memory, np.uint8, GROUPS)
        self.former: npt.NDArray[np.uint8] = np.frombuffer(memory, np.uint8, GROUPS, GROUPS)
        self.owners: npt.NDArray[np.uint16] = np.frombuffer(memory, np.uint16, GROUPS, 2 * GROUPS)
        self.moving: npt.NDArray[np.uint16] = np.frombuffer(memory, np.uint16, GROUPS, 4 * GROUPS)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map the table at `path`, creating an empty one where there is none."""
        with path.open("a+b") as file:
            size = file.seek(0, 2)
            if size not in (0, _LENGTH):
                raise ValueError(f"{path}: {size} bytes, an ownership table has {_LENGTH}")
            # a page without its place on the disk would end the agent when it is full
            os.posix_fallocate(file.fileno(), 0, _LENGTH)
            return cls(mmap.mmap(file.fileno(), _LENGTH))

    def set(
        self, groups: int | list[int], state: State, owner: int, *, former: bool = False
    ) -> None:
        """Move a group, or several as one, to a state: the last thing that is written, so that
        after `kill -9` the rest is right for it."""
        where = np.asarray(groups, np.intp)
        self.owners[where] = owner
        self.former[where] = former
        self.states[where] = state

    def are(self, groups: Sequence[int], state: State) -> list[bool]:
        """Return for each group whether it is in a state."""
        found: list[bool] = (self.states[np.asarray(groups, np.intp)] == state).tolist()
        return found

    def those(self, state: State) -> list[int]:
        """Return the groups in a state."""
        found: list[int] = np.flatnonzero(self.states == state).tolist()
        return found

    def counts(self) -> dict[str, int]:
        """Return how many groups are in each state."""
        count = np.bincount(self.states, minlength=len(State))
        return {state.name: int(count[state]) for state in State}

    def assign(self, server: int, placements: Iterable[tuple[range, int]]) -> None:
        """First placement of groups, at `server`. Idempotent; ValueError where it contradicts.

        Nobody may own a group twice, so a group that we know about keeps what we know; only the
        hint who else owns it may be renewed.
        """
        planned: list[tuple[int, int]] = []
        for groups, owner in placements:
            for group in groups:
                state = State(self.states[group])
                known = int(self.owners[group])
                if state is State.ABSENT and owner == server and known not in (0, server):
                    raise ValueError(
                        f"group {group} cannot be assigned to this server: server {known} has it"
                    )
                if state is State.OWNED and owner != server:
                    raise ValueError(
                        f"group {group} cannot be assigned to server {owner}: this server "
                        f"({server}) owns it"
                    )
                if state is State.ABSENT:
                    planned.append((group, owner))
        for group, owner in planned:
            if owner == server:
                self.set(group, State.OWNED, owner)
            else:
                self.owners[group] = owner
