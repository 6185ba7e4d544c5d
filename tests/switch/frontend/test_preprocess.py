"""Includes, macros and where errors in them are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from switch.frontend import CompileError, load
from tests.switch.frontend.programs import complaints, source


def test_error_in_an_included_file(tmp_path: Path) -> None:
    (tmp_path / "part.p4").write_text("/* two\n   lines */ const bit<8> x = missing;\n")
    (found,) = complaints(tmp_path, source(top='#include "part.p4"'))
    assert (found.file, found.line, found.column) == (str(tmp_path / "part.p4"), 2, 30)


def test_lines_after_an_include_and_a_comment(tmp_path: Path) -> None:
    (tmp_path / "part.p4").write_text("const bit<8> ok = 1;\n")
    text = source(top='#include "part.p4"\n/* a\n b */ /* c */ const bit<8> x = missing; // d')
    (found,) = complaints(tmp_path, text)
    line = text.splitlines()[found.line - 1]
    assert line[found.column - 1 :].startswith("missing")
    assert found.file == str(tmp_path / "program.p4")


def test_defines_and_include_directories(tmp_path: Path) -> None:
    (tmp_path / "inc").mkdir()
    (tmp_path / "inc" / "width.p4").write_text("#define FULL(w) bit<w>\n")
    path = tmp_path / "program.p4"
    path.write_text(
        source(
            top="#include <width.p4>\nconst FULL(WIDTH) top = 1;",
            body="meta.b = top;",
        )
    )
    result = load(path, include=[tmp_path / "inc"], defines={"WIDTH": "16"})
    assert str(tmp_path / "inc" / "width.p4") in result.sources
    assert result.sources[0] == str(path)
    with pytest.raises(CompileError):
        load(path, include=[tmp_path / "inc"], defines={"WIDTH": "8"})


def test_a_macro_of_the_program_selects_a_newer_v1model(tmp_path: Path) -> None:
    text = "#define V1MODEL_VERSION 20200408\n" + source(
        locals="register<bit<8>, bit<4>>(16) r; PortId_t p;", body="r.write(4w1, meta.a);"
    )
    path = tmp_path / "program.p4"
    path.write_text(text)
    load(path)
    (found, *_) = complaints(tmp_path, text.replace("20200408", "20300101"))
    assert "V1MODEL_VERSION must be" in found.message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('\n#include "nowhere.p4"\n', 2, "cannot find the file of #include"),
        ("\n\n#error stop here\n", 3, "#error stop here"),
        ("#if 1\n", 1, "#if"),
        ("#nonsense\n", 1, "unknown #nonsense"),
    ],
)
def test_directives(tmp_path: Path, text: str, line: int, message: str) -> None:
    found = complaints(tmp_path, text)[0]
    assert message in found.message
    assert found.line == line


def test_errors_in_disabled_text_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "program.p4"
    path.write_text(source(top="#ifdef NOT_DEFINED\n#error no\nbad $ text\n#endif"))
    load(path)


def test_unreadable_programs(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="cannot read the program: No such file"):
        load(tmp_path / "absent.p4")
    (tmp_path / "binary.p4").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CompileError, match="not UTF-8"):
        load(tmp_path / "binary.p4")
    with pytest.raises(CompileError, match="cannot read the program: Is a directory"):
        load(tmp_path)


def test_relative_names_stay_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "part.p4").write_text("const bit<8> x = missing;\n")
    (tmp_path / "src" / "main.p4").write_text(source(top='#include "part.p4"'))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CompileError) as caught:
        load(Path("src/main.p4"))
    assert str(caught.value) == "src/part.p4:1:18: 'missing' is not declared"
