"""How figures are written for people."""

import math


def number(value: float, form: str = ",.0f", unit: str = "") -> str:
    """Return a figure as text; a dash where it does not apply."""
    return "–" if math.isnan(value) else format(value, form) + unit


def ms(microseconds: float) -> str:
    """Return a latency in milliseconds, to three digits."""
    return number(microseconds / 1000, ",.0f" if microseconds >= 99_950 else "#.3g")


def seconds(value: float) -> str:
    """Return a time as long as migrations take."""
    return number(value, ".1f" if value >= 1 else ".2f", " s")
