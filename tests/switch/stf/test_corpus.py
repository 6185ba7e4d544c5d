"""One small program and its STF test for each feature of the language and each extern."""

from __future__ import annotations

from pathlib import Path

import pytest

from switch.stf import Pair, pairs, run_all

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("pair", pairs([CORPUS]), ids=lambda pair: pair.test.stem)
def test_feature(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    status = run_all([pair])
    assert status == 0, capsys.readouterr().out


def test_every_program_has_a_test() -> None:
    assert {p.stem for p in CORPUS.glob("*.p4")} == {p.stem for p in CORPUS.glob("*.stf")}
