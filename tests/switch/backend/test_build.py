"""From source to shared object: the cache, two processes at once, what BMv2 lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from switch.backend.build import build
from switch.cc import BuildError
from switch.frontend import CompileError
from switch.runtime.pipeline import InvalidEntry, Pipeline
from tests.switch.backend.programs import program

ROOT = Path(__file__).resolve().parents[3]

SMALL = program(
    headers="header h_t { bit<8> a; }",
    members="h_t h;",
    parser="state start { packet.extract(hdr.h); transition accept; }",
    ingress="apply { hdr.h.a = hdr.h.a + NUMBER; std.egress_spec = 3; }",
)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program, and an empty cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "small.p4"
    path.write_text(SMALL)
    return path


def test_a_second_compilation_needs_no_c_compiler(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Pipeline.compile(source, defines={"NUMBER": "1"})
    monkeypatch.setattr("switch.cc.subprocess.run", None)
    second = Pipeline.compile(source, defines={"NUMBER": "1"})
    assert first.process(1, b"a") == second.process(1, b"a") == [(3, b"b")]


def test_defines_make_another_program(source: Path) -> None:
    assert Pipeline.compile(source, defines={"NUMBER": "1"}).process(1, b"a") == [(3, b"b")]
    assert Pipeline.compile(source, defines={"NUMBER": "2"}).process(1, b"a") == [(3, b"c")]


def test_a_damaged_cache_is_rebuilt(source: Path, tmp_path: Path) -> None:
    Pipeline.compile(source, defines={"NUMBER": "1"})
    (cached,) = (tmp_path / "cache" / "p4switch").glob("*.ir")
    cached.write_bytes(cached.read_bytes()[:100])
    assert Pipeline.compile(source, defines={"NUMBER": "1"}).process(1, b"a") == [(3, b"b")]


def test_several_processes_may_compile_the_same_program_at_once(source: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from switch.runtime.pipeline import Pipeline; "
        "p = Pipeline.compile(Path(sys.argv[1]), defines={'NUMBER': '1'}); "
        "print(p.process(1, b'a'))"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(source)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert [child.communicate(timeout=100)[0] for child in children] == ["[(3, b'b')]\n"] * 3


def test_instances_of_one_program_share_nothing(source: Path) -> None:
    read = "register<bit<8>>(1) r; apply { r.read(hdr.h.a, 0);"
    source.write_text(SMALL.replace("apply { hdr.h.a = hdr.h.a + NUMBER;", read))
    one, other = Pipeline.compile(source), Pipeline.compile(source)
    one.set_register("MyIngress.r", 0, 0x41)
    assert one.process(1, b"x") == [(3, b"A")]
    assert other.process(1, b"x") == [(3, b"\0")]


def test_a_missing_c_compiler_is_named(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BuildError, match="install gcc"):
        Pipeline.compile(source, defines={"NUMBER": "1"})


def test_a_failing_c_compiler_keeps_what_it_failed_on(source: Path) -> None:
    assert source.exists()
    with pytest.raises(BuildError, match="error"):
        build("this is not C")


LACKING = {
    "Checksum16": (
        "state start { packet.extract(hdr.h); transition accept; }",
        "Checksum16() sum; apply { hdr.h.a = (bit<8>)sum.get(hdr.h.a); }",
    ),
}


@pytest.mark.parametrize("construct", LACKING)
def test_what_bmv2_lacks_is_a_compile_error_at_its_place(construct: str, source: Path) -> None:
    parser, ingress = LACKING[construct]
    source.write_text(
        program(
            headers="header h_t { bit<8> a; }", members="h_t h;", parser=parser, ingress=ingress
        )
    )
    with pytest.raises(CompileError, match=rf"small\.p4:\d+:\d+: .*{construct}.*: BMv2 has none"):
        Pipeline.compile(source)


def test_ports_must_fit_their_field(source: Path) -> None:
    with pytest.raises(InvalidEntry, match="drop port"):
        Pipeline.compile(source, defines={"NUMBER": "1"}, drop_port=512)
    pipeline = Pipeline.compile(source, defines={"NUMBER": "1"}, drop_port=3)
    assert pipeline.process(1, b"a") == []
    with pytest.raises(InvalidEntry, match="512"):
        pipeline.process(512, b"a")
