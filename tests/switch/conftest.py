"""What tests of several parts of the switch need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.switch import pki as certificates


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of certificates."""
    return certificates.make(tmp_path_factory.mktemp("pki"))
