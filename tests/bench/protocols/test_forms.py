"""Figures as people read them."""

import math

from bench.protocols import forms


def test_latencies_have_three_digits() -> None:
    found = [forms.ms(value) for value in (0.0, 71.04, 1004.0, 5605.0, 99_940.0, 99_960.0, 1.2e6)]
    assert found == ["0.00", "0.0710", "1.00", "5.61", "99.9", "100", "1,200"]


def test_times_of_less_than_a_second_have_two_digits() -> None:
    assert [forms.seconds(value) for value in (0.081, 1.04, 32.84)] == ["0.08 s", "1.0 s", "32.8 s"]


def test_what_does_not_apply_is_a_dash() -> None:
    assert forms.number(math.nan, unit=" %") == forms.ms(math.nan) == "–"
