"""Throttle text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import InvalidError
from controller.rates import format_rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("40Mbps", 40_000_000),
        ("1Gbps", 1_000_000_000),
        ("500kbps", 500_000),
        ("1.5 Mbps", 1_500_000),
        ("2M", 2_000_000),
        ("12345", 12345),
        ("0", 0),
        (" 7bps ", 7),
    ],
)
def test_what_a_rate_may_look_like(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "fast", "-1", "4Tbps", "1e6", "40MB/s", "40mbps", "٣", "1.", "9" * 30]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="throttle"):
        parse_rate(text)


@given(st.integers(1, 9999), st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_what_is_printed_reads_back(number: int, factor: int) -> None:
    assert parse_rate(format_rate(number * factor)) == number * factor


def test_no_throttle() -> None:
    assert format_rate(0) == "unthrottled"
