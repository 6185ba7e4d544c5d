"""Whatever is written, the front end answers with a program or a CompileError, and soon."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.frontend import CompileError, SourceText, elaborate, preprocess
from switch.frontend.grammar_declarations import Grammar
from switch.frontend.lexer import Token, tokenize
from switch.frontend.program import ProgramElaborator
from tests.switch.frontend.programs import complaints, program, source

ROOT = Path(__file__).resolve().parents[3]
EVERYTHING = Path(__file__).with_name("everything.p4")
PROGRAMS = (EVERYTHING, ROOT / "p4src" / "netmigrate.p4")


@cache
def tokens(path: Path) -> tuple[SourceText, list[Token], int]:
    """The tokens of a program, and where its own (not the architecture's) begin."""
    text = preprocess(path)
    found = tokenize(text)
    own = next(i for i, t in enumerate(found) if "switch/include" not in t.loc.file)
    return text, found, own


def attempt(mutant: list[Token], files: tuple[str, ...]) -> None:
    try:
        ProgramElaborator().program(Grammar(mutant).program(), files)
    except CompileError as problem:
        assert problem.diagnostics
        assert all(d.message and d.line > 0 and d.column > 0 for d in problem.diagnostics)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_the_programs_themselves_are_right(path: Path) -> None:
    elaborate(preprocess(path))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_mutated_programs(path: Path, data: st.DataObject) -> None:
    text, original, own = tokens(path)
    mutant = list(original)
    for _ in range(data.draw(st.integers(1, 3))):
        last = len(mutant) - 2  # the end token stays
        at = data.draw(st.integers(own, last))
        other = copy.copy(mutant[data.draw(st.integers(own, last))])
        match data.draw(st.sampled_from(("delete", "replace", "insert", "swap", "cut"))):
            case "delete":
                del mutant[at]
            case "replace":
                mutant[at] = other
            case "insert":
                mutant.insert(at, other)
            case "swap":
                mutant[at : at + 2] = reversed(mutant[at : at + 2])
            case _:
                del mutant[at : min(at + data.draw(st.integers(2, 40)), last)]
    attempt(mutant, text.files)


@settings(max_examples=300, deadline=None)
@given(noise=st.text(max_size=60), where=st.floats(0, 1))
def test_random_text_inserted(noise: str, where: float) -> None:
    text, _, _ = tokens(EVERYTHING)
    start = text.text.index("const bit<16> TYPE_IPV4")
    at = start + int(where * (len(text.text) - start))
    changed = text.text[:at] + noise + text.text[at:]
    origins = (*text.origins, *[text.origins[-1]] * noise.count("\n"))
    try:
        elaborate(SourceText(changed, origins, text.files))
    except CompileError as problem:
        assert problem.diagnostics


DEEP = 3000
BOMBS = {
    "parentheses": {"body": f"meta.a = {'(' * DEEP}1{')' * DEEP};"},
    "operators": {"body": f"meta.a = {' + '.join(['meta.a'] * DEEP)};"},
    "members": {"body": f"meta.a = meta{'.x' * DEEP};"},
    "signs": {"body": f"meta.a = {'-' * DEEP}1;"},
    "blocks": {"body": "{" * DEEP + "}" * DEEP},
    "else-if": {"body": " else ".join(["if (meta.flag) { }"] * DEEP)},
    "types": {"fields": f"{'tuple<' * DEEP}bit<8>{'>' * DEEP} x;"},
    "structs": {
        "types": "struct s0 { bit<8> a; }"
        + "".join(f"struct s{i + 1} {{ s{i} a; s{i} b; }}" for i in range(40))
    },
    "tuples": {
        "types": "typedef tuple<bit<8>, bit<8>> t0;"
        + "".join(f"typedef tuple<t{i}, t{i}> t{i + 1};" for i in range(40))
    },
    "instances": {
        "top": "control c0() { apply { } }"
        + "".join(f"control c{i + 1}() {{ c{i}() a; c{i}() b; apply {{ }} }}" for i in range(30))
    },
    "shift": {"top": "const int x = 1 << 100000000000;"},
    "squares": {
        "top": "const int x0 = 3;"
        + "".join(f"const int x{i + 1} = x{i} * x{i};" for i in range(60))
    },
    "digits": {"top": f"const int x = {'9' * 100_000};"},
    "width": {"top": f"const bit<8> x = {'9' * 5000}w1;"},
    "include": {"top": '#include "program.p4"'},
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(tmp_path: Path, bomb: str) -> None:
    assert complaints(tmp_path, source(**BOMBS[bomb]))


@pytest.mark.parametrize(
    "body",
    [
        f"meta.a = {' + '.join(['meta.a'] * 150)};",
        " else ".join(f"if (meta.a == {i}) {{ meta.a = 1; }}" for i in range(80)),
        "{" * 40 + "}" * 40,
    ],
)
def test_long_but_sane(tmp_path: Path, body: str) -> None:
    program(tmp_path, body=body)
