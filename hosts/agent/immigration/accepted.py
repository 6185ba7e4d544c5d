"""The migrations to this server, in a file that outlives the process: what the controller told us
once, and what a source that is still sending takes for granted."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from hosts.agent.channel import Server
from hosts.agent.protocols import Protocol


@dataclass(frozen=True, slots=True)
class Accepted:
    """A migration as the controller described it."""

    number: int
    protocol: Protocol
    source: Server
    ranges: list[range]
    batch: int


def write(path: Path, those: Iterable[Accepted]) -> None:
    """Replace the file as a whole."""
    content = [
        {
            "number": one.number,
            "protocol": one.protocol.name,
            "source": asdict(one.source),
            "groups": [[groups.start, groups.stop - 1] for groups in one.ranges],
            "batch": one.batch,
        }
        for one in those
    ]
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(content))
    draft.replace(path)


def read(path: Path) -> list[Accepted]:
    """Return what was written, nothing if nothing was; ValueError if it is damaged."""
    if not path.exists():
        return []
    try:
        return [
            Accepted(
                int(one["number"]),
                Protocol[one["protocol"]],
                Server(**one["source"]),
                [range(first, last + 1) for first, last in one["groups"]],
                int(one["batch"]),
            )
            for one in json.loads(path.read_text())
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error})") from None
