"""Throttle text: `40Mbps`, `1Gbps`, `500kbps`, or plain bits per second."""

import re
from typing import Final

from controller.errors import InvalidError

_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kMG]?)(?:bps|bit/s)?", re.ASCII)
_FACTOR: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


def parse_rate(text: str) -> int:
    """Return `text` in bits per second; 0 means unthrottled."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise InvalidError(
            f"throttle {text!r}: expected a rate such as 40Mbps, 1Gbps, 500kbps or plain bits/s"
        )
    number, prefix = match.groups()
    rate = round(float(number) * _FACTOR[prefix])
    if rate >= 1 << 63:
        raise InvalidError(f"throttle {text!r}: more than any link carries")
    return rate


def format_rate(rate: int) -> str:
    """Return `rate` (bits per second) as the shortest text that `parse_rate` reads back."""
    if rate == 0:
        return "unthrottled"
    for prefix, factor in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if rate >= factor:
            return f"{rate / factor:.4g}{prefix}bps"
    return f"{rate}bps"
