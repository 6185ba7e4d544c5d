"""Faults of links that the ports inject: what may be asked for, and what was done (faults.h)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_WHERE: Final = re.compile(r"(\*|\d+)(?:/(in|out))?")
_NUMBER: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(%?)")
_DELAY: Final = re.compile(r"([^:]+):(\d+(?:\.\d*)?)ms")
FORM: Final = (
    "WHERE:KIND=SHARE,... or WHERE:off; WHERE is PORT, PORT/in or PORT/out, with * for all ports; "
    "kinds are loss, duplicate, reorder and delay=SHARE:LONGESTms, as in *:loss=1%,delay=5%:20ms"
)


class FaultError(ValueError):
    """A specification of faults that cannot be read; the message says how it is written."""


class Direction(IntEnum):
    """Seen from the switch (`enum ports_direction`)."""

    IN = 0
    OUT = 1


@dataclass(frozen=True)
class FaultRates:
    """Probabilities from 0 to 1 for each frame (`struct faults_rates`)."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    reorder: float = 0.0
    longest: float = 0.0
    """Seconds: a delayed frame waits for a time between 0 and this, all alike."""


@dataclass(frozen=True)
class FaultCounts:
    """What one way has met (`struct faults_counts`); `frames` came while any rate was above 0."""

    frames: int
    lost: int
    duplicated: int
    delayed: int
    reordered: int


@dataclass(frozen=True)
class FaultSpec:
    """Rates for one port or all (None), in one direction or both (None)."""

    port: int | None
    direction: Direction | None
    rates: FaultRates


def parse(text: str) -> FaultSpec:
    """Read one specification (`FORM`)."""
    where, colon, what = text.partition(":")
    place = _WHERE.fullmatch(where)
    if not place or not colon:
        raise FaultError(f"faults {text!r}: write {FORM}")
    port = None if place[1] == "*" else int(place[1])
    direction = Direction[place[2].upper()] if place[2] else None
    values: dict[str, float] = {}
    for item in what.split(",") if what != "off" else ():
        kind, _, share = item.partition("=")
        if kind not in ("loss", "duplicate", "reorder", "delay") or kind in values:
            raise FaultError(f"faults {text!r}: {item!r}: write {FORM}")
        if kind == "delay":
            both = _DELAY.fullmatch(share)
            if not both:
                raise FaultError(f"faults {text!r}: {item!r}: write delay=SHARE:LONGESTms")
            share, values["longest"] = both[1], float(both[2]) / 1000
        values[kind] = _share(share, text)
    return FaultSpec(port, direction, FaultRates(**values))


def _share(text: str, whole: str) -> float:
    number = _NUMBER.fullmatch(text)
    value = float(number[1]) / (100 if number[2] else 1) if number else 2.0
    if value > 1:
        raise FaultError(f"faults {whole!r}: {text!r} is no share: write 0.01 or 1%")
    return value
