"""The protocol keeps its invariants in every state of the formal model; broken ones do not."""

from pathlib import Path

import pytest

from tests.model.checks import BROKEN, DURABILITY, PROTOCOL, Check
from tests.model.spin import search

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("check", PROTOCOL, ids=lambda check: check.name)
def test_the_protocol_keeps_its_invariants(check: Check, tmp_path: Path) -> None:
    result = search(check.defines, tmp_path)
    assert result.violated == ""
    assert result.unreached == [], "a step that is never taken proves nothing"


@pytest.mark.parametrize("check", BROKEN, ids=lambda check: check.name)
def test_what_is_broken_is_found(check: Check, tmp_path: Path) -> None:
    assert check.violates in search(check.defines, tmp_path).violated


@pytest.mark.parametrize("check", DURABILITY, ids=lambda check: check.name)
def test_what_must_be_durable(check: Check, tmp_path: Path) -> None:
    violated = search(check.defines, tmp_path).violated
    assert check.violates in violated if check.violates else violated == ""
