"""Tests in the Simple Test Framework format: packets in, packets expected, tables filled."""

from __future__ import annotations

from switch.stf.files import Pair, pairs
from switch.stf.parser import StfError
from switch.stf.session import run_all

__all__ = ["Pair", "StfError", "pairs", "run_all"]
