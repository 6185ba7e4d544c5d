"""Copy-in, copy-out: of functions, actions and controls, with arguments that overlap."""

from __future__ import annotations

from tests.switch.backend.programs import fresh, one, program

HEADERS = "header h_t { bit<8> a; bit<8> b; bit<8> c; bit<8> d; }"


def _run(declarations: str, ingress: str, packet: bytes = b"\1\2\3\4") -> bytes:
    source = program(
        headers=HEADERS,
        members="h_t h; h_t g;",
        parser="state start { packet.extract(hdr.h); transition accept; }",
        declarations=declarations,
        ingress=ingress,
    )
    return one(fresh(source), packet)


def test_out_parameters_are_copied_out_from_left_to_right() -> None:
    swap = "void both(out bit<8> x, out bit<8> y) { x = 10; y = 20; }"
    assert _run(swap, "apply { both(hdr.h.a, hdr.h.a); }") == b"\x14\2\3\4"


def test_an_inout_argument_is_a_copy_while_the_action_runs() -> None:
    ingress = """
        action late(inout bit<8> x) { x = x + 1; hdr.h.b = hdr.h.a; x = x + 1; }
        apply { late(hdr.h.a); }
    """
    assert _run("", ingress) == b"\3\1\3\4"


def test_overlapping_header_and_field() -> None:
    both = "void both(inout h_t x, inout bit<8> y) { x.a = 50; y = y + 1; x.b = y; }"
    assert _run(both, "apply { both(hdr.h, hdr.h.a); }") == b"\2\2\3\4"
    other = "void both(inout bit<8> y, inout h_t x) { x.a = 50; y = y + 1; x.b = y; }"
    assert _run(other, "apply { both(hdr.h.a, hdr.h); }") == b"\x32\2\3\4"


def test_the_same_header_twice() -> None:
    both = "void both(inout h_t x, inout h_t y) { x.a = 50; y.b = 60; }"
    assert _run(both, "apply { both(hdr.h, hdr.h); }") == b"\1\x3c\3\4"


def test_an_out_header_starts_invalid_and_an_in_header_is_a_copy() -> None:
    move = """void move(in h_t x, out h_t y) { bool fresh = !y.isValid(); y = x;
              if (fresh) { y.d = 9; } }"""
    assert _run(move, "apply { hdr.g.setValid(); move(hdr.h, hdr.g); }") == b"\1\2\3\4\1\2\3\x09"
    assert _run(move, "apply { move(hdr.h, hdr.h); }") == b"\1\2\3\x09"


def test_operands_are_evaluated_from_left_to_right() -> None:
    bump = "bit<8> bump(inout bit<8> x) { x = x + 1; return x; }"
    ingress = "apply { hdr.h.d = hdr.h.a + (bump(hdr.h.a) << 4); }"
    assert _run(bump, ingress) == b"\2\2\3\x21"
    ingress = "apply { if (hdr.h.a == 9 && bump(hdr.h.b) == 3) { hdr.h.c = 0; } }"
    assert _run(bump, ingress) == b"\1\2\3\4"


def test_exit_copies_out_on_its_way() -> None:
    declarations = """
        control Inner(inout bit<8> x) {
            action leave(inout bit<8> y) { y = 7; exit; }
            apply { leave(x); x = 8; }
        }
    """
    ingress = "Inner() inner; apply { inner.apply(hdr.h.a); hdr.h.b = 9; }"
    assert _run(declarations, ingress) == b"\7\2\3\4"


def test_return_ends_only_its_own_block() -> None:
    declarations = """
        control Inner(inout bit<8> x) { apply { if (x == 1) { x = 5; return; } x = 6; } }
    """
    ingress = "Inner() inner; apply { inner.apply(hdr.h.a); hdr.h.b = 9; }"
    assert _run(declarations, ingress) == b"\5\x09\3\4"


def test_two_instances_of_a_control_are_two() -> None:
    declarations = """
        control Inner(out bit<8> x) {
            register<bit<8>>(1) last;
            apply { last.read(x, 0); last.write(0, x + 1); }
        }
    """
    ingress = """Inner() one; Inner() two;
                 apply { one.apply(hdr.h.a); one.apply(hdr.h.b); two.apply(hdr.h.c); }"""
    assert _run(declarations, ingress) == b"\0\1\0\4"
