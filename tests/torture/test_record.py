"""The record of a client, also of one that was killed."""

from pathlib import Path

from hosts.check.search import Call
from torture.record import Recorder, read


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "client"
    recorder = Recorder(path)
    first = recorder.invoked("a", "k", ("SET", b"\xff\n", "NX"))
    second = recorder.invoked("b", "k", ("GET",))
    third = recorder.invoked("c", "other", ("INCR",))
    recorder.replied(second, b"\xff\n")
    long = recorder.invoked("a", "long", ("SET", b"12" + b"." * 1000))
    recorder.replied(long, b"." * 1000)
    recorder.replied(first, None)
    recorder.failed(third, "no usable reply")
    recorder.refused(recorder.invoked("c", "other", ("DEL",)))
    recorder.invoked("a", "k", ("DEL",))
    path.write_bytes(path.read_bytes() + b'[6, 17, "b", "k", ["AP')  # killed while it wrote
    calls = read([path])
    assert set(calls) == {"k", "other", "long"}
    (dots,) = calls["long"]
    assert (dots.command, dots.reply) == (("SET", b"12" + b"." * 1000), b"." * 1000)
    assert path.stat().st_size < 1000
    one, two, left = calls["k"]
    assert (one.command, one.reply, one.by) == (("SET", b"\xff\n", "NX"), None, "a")
    assert (two.command, two.reply) == (("GET",), b"\xff\n")
    assert one.begin < two.begin and two.end is not None and one.end is not None
    assert two.end < one.end
    assert (left.command, left.end) == (("DEL",), None)
    (unknown,) = calls["other"]
    assert unknown == Call(("INCR",), unknown.begin, None, None, "c")
