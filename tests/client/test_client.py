"""Both clients against a scripted service on loopback."""

import asyncio
import signal
import threading
import time

import pytest

from hosts.client import (
    AsyncClient,
    Client,
    CommandError,
    CrossSlot,
    NoKey,
    ReplyError,
    RequestTimeout,
)
from hosts.wire import Flags, Header, Op, group_of
from tests.client.responder import reply, responder

A = Flags.AUTHORITATIVE


def echo(header: Header, payload: bytes, tries: int) -> list[bytes]:
    """Answer a command with itself: a command is an array of strings, so it is a reply too."""
    return [reply(header, A, payload)]


def test_command_and_header_on_the_wire() -> None:
    with responder(echo) as served, Client("127.0.0.1", served.port, service=9) as client:
        assert client.execute_command("SET", b"\0k", 12, "EX", 1.5) == [
            b"SET", b"\0k", b"12", b"EX", b"1.5",
        ]  # fmt: skip
        client.execute_command("get", "x{tag}y")
        (first, payload), (second, _) = served.requests
        assert payload == b"*5\r\n$3\r\nSET\r\n$2\r\n\0k\r\n$2\r\n12\r\n$2\r\nEX\r\n$3\r\n1.5\r\n"
        assert (first.op, first.service, first.group) == (Op.WRITE, 9, group_of(b"\0k"))
        assert (second.op, second.group) == (Op.READ, group_of(b"tag"))
        assert (first.seq, first.acked, second.seq, second.acked) == (1, 0, 2, 1)
        assert first.client == second.client != 0


def test_resend_keeps_the_seq_and_merges_tries() -> None:
    source = Flags.DOUBLE | Flags.FROM_SOURCE

    def lossy(header: Header, payload: bytes, tries: int) -> list[bytes]:
        """First the destination's reply is lost, then the source's."""
        if tries == 1:
            return [reply(header, source, b"$1\r\nv\r\n", migration=3)]
        return [reply(header, Flags.DOUBLE, b"", migration=3)]

    with (
        responder(lossy) as served,
        Client("127.0.0.1", served.port, resend_after=0.02) as client,
    ):
        assert client.get("k") == b"v"
        assert [header.seq for header, _ in served.requests] == [1, 1]
        assert client.counts["resent"] == 1


def test_acked_waits_for_the_oldest() -> None:
    def stubborn(header: Header, payload: bytes, tries: int) -> list[bytes]:
        return [reply(header, A)] if header.seq != 2 or tries > 1 else []

    with (
        responder(stubborn) as served,
        Client("127.0.0.1", served.port, resend_after=0.05) as client,
    ):
        client.execute_many([("GET", "a"), ("GET", "b"), ("GET", "c")])
        client.get("d")
        acked = {(h.seq, n): h.acked for n, (h, _) in enumerate(served.requests)}
        assert acked[2, 3] == 1  # the resend of 2: 1 is finished, 3 is too but 2 is not
        assert acked[4, 4] == 3


def test_timeout_says_what_was_tried() -> None:
    with (
        responder(lambda *_: []) as served,
        Client("127.0.0.1", served.port, timeout=0.2, resend_after=0.05) as client,
    ):
        with pytest.raises(RequestTimeout) as caught:
            client.set("k", "v")
        expected = f"SET k: no usable reply from service 1 at 127.0.0.1:{served.port}"
        assert str(caught.value).startswith(expected)
        assert "0.2 s and 3 tries; it may have taken effect" in str(caught.value)
        assert isinstance(caught.value, TimeoutError)


def test_nobody_listens() -> None:
    with responder(echo) as served:
        port = served.port
    with (
        Client("127.0.0.1", port, timeout=0.2, resend_after=0.05) as client,
        pytest.raises(RequestTimeout),
    ):
        client.get("k")


def test_errors_are_told_before_anything_is_sent() -> None:
    with responder(echo) as served, Client("127.0.0.1", served.port) as client:
        with pytest.raises(CommandError, match="NOSUCH: unknown command"):
            client.execute_command("NOSUCH", "k")
        with pytest.raises(NoKey, match="PING: no key"):
            client.execute_command("PING")
        with pytest.raises(NoKey, match="GET: no key"):
            client.execute_command("GET")
        with pytest.raises(CrossSlot, match=r"one \{hash tag\}"):
            client.mget("a", "b")
        with pytest.raises(CommandError, match="BLPOP: not possible"):
            client.execute_command("BLPOP", "k", 0)
        with pytest.raises(CommandError, match="None"):
            client.execute_command("SET", "k", None)  # type: ignore[arg-type]
        with pytest.raises(CommandError, match="empty"):
            client.execute_command()
        assert served.requests == []


def test_largest_datagram() -> None:
    """What is longer goes by TCP: first it is asked where."""
    with responder(lambda h, *_: [reply(h, A, b"+OK\r\n")]) as served:
        with Client("127.0.0.1", served.port, timeout=0.2) as client:
            # *3 $3 SET $1 k $1408 …: 4 + 9 + 7 + 7 + 1408 + 2 bytes of RESP
            assert client.set("k", b"x" * (1444 - 29)) is True
            with pytest.raises(RequestTimeout):  # nobody here takes it
                client.set("k", b"x" * (1444 - 28))
        (header, payload), (question, nothing), *_ = served.requests
        assert len(header.pack() + payload) == 1472
        assert (question.op, question.flags, nothing) == (Op.READ, Flags.LONG, b"")


def test_error_reply() -> None:
    with (
        responder(lambda h, *_: [reply(h, A | Flags.ERROR, b"-WRONGTYPE no\r\n")]) as served,
        Client("127.0.0.1", served.port) as client,
        pytest.raises(ReplyError, match=r"^WRONGTYPE no$"),
    ):
        client.get("k")


def test_nested_replies() -> None:
    payload = b"*5\r\n:-5\r\n$-1\r\n*-1\r\n*2\r\n+a\r\n$0\r\n\r\n-ERR x\r\n"
    with (
        responder(lambda h, *_: [reply(h, A, payload)]) as served,
        Client("127.0.0.1", served.port) as client,
    ):
        *values, error = client.execute_command("LRANGE", "k", 0, -1)
        assert values == [-5, None, None, [b"a", b""]]
        assert isinstance(error, ReplyError)


def test_pipeline() -> None:
    with responder(echo) as served, Client("127.0.0.1", served.port) as client:
        pipeline = client.pipeline()
        for i in range(1000):
            pipeline.get(f"k{i}")
        assert pipeline.execute() == [[b"GET", b"k%d" % i] for i in range(1000)]
        pipeline.get("k").mget("a", "b")
        first, second = pipeline.execute(raise_on_error=False)
        assert first == [b"GET", b"k"]
        assert isinstance(second, CrossSlot)
        pipeline.mget("a", "b")
        with pytest.raises(CrossSlot):
            pipeline.execute()
        assert pipeline.execute() == []


def test_threads_share_a_client() -> None:
    with responder(echo) as served, Client("127.0.0.1", served.port) as client:
        wrong: list[object] = []

        def work(name: int) -> None:
            for i in range(50):
                reply = client.execute_command("GET", f"{name}-{i}")
                if reply != [b"GET", b"%d-%d" % (name, i)]:
                    wrong.append(reply)

        threads = [threading.Thread(target=work, args=[n]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


async def test_many_in_flight() -> None:
    with responder(echo) as served:
        async with AsyncClient("127.0.0.1", served.port) as client:
            replies = await asyncio.gather(*(client.get(f"k{i}") for i in range(2000)))
            assert replies == [[b"GET", b"k%d" % i] for i in range(2000)]


async def test_slow_replies_do_not_hold_up_others() -> None:
    def silent_for_slow(header: Header, payload: bytes, tries: int) -> list[bytes]:
        return [] if b"slow" in payload else echo(header, payload, tries)

    with responder(silent_for_slow) as served:
        async with AsyncClient("127.0.0.1", served.port, timeout=0.3) as client:
            slow = asyncio.ensure_future(client.get("slow"))
            await asyncio.sleep(0)
            for i in range(20):
                assert await client.get(f"k{i}") == [b"GET", b"k%d" % i]
            assert not slow.done()
            with pytest.raises(RequestTimeout):
                await slow


async def test_a_stuck_request_holds_up_the_window_only() -> None:
    """Agents remember all writes after the oldest unfinished one: there must not be too many."""

    def stuck(header: Header, payload: bytes, tries: int) -> list[bytes]:
        return [] if header.seq == 1 and not answered else echo(header, payload, tries)

    answered = False
    with responder(stuck) as served:
        async with AsyncClient("127.0.0.1", served.port, resend_after=0.1, timeout=60) as client:
            first = asyncio.ensure_future(client.get("first"))
            await asyncio.sleep(0)
            others = [asyncio.ensure_future(client.get(f"k{i}")) for i in range(5000)]
            while sum(other.done() for other in others) < 4095:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert max(header.seq for header, _ in served.requests) == 4096
            assert not first.done()
            answered = True
            assert await first == [b"GET", b"first"]
            assert len(await asyncio.gather(*others)) == 5000


def test_a_slow_service_is_not_given_everything_twice() -> None:
    """Resends adapt: after the first replies they wait for as long as replies take."""

    def slow(header: Header, payload: bytes, tries: int) -> list[bytes]:
        if tries == 1:
            time.sleep(0.06)
        return echo(header, payload, tries)

    with (
        responder(slow) as served,
        Client("127.0.0.1", served.port, resend_after=0.01) as client,
    ):
        for i in range(3):
            client.get(f"k{i}")
        before = client.counts["resent"]
        for i in range(10):
            client.get(f"k{i}")
        assert before > 0
        assert client.counts["resent"] - before <= 2


async def test_cancelled_call_is_forgotten() -> None:
    with responder(lambda h, p, n: [reply(h, A, p)] if b"never" not in p else []) as served:
        async with AsyncClient("127.0.0.1", served.port) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.get("never"), 0.05)
            assert await client.get("k") == [b"GET", b"k"]
            acked = served.requests[-1][0].acked
            assert acked == served.requests[-1][0].seq - 1


async def test_close_cancels() -> None:
    with responder(lambda *_: []) as served:
        client = AsyncClient("127.0.0.1", served.port)
        waiting = asyncio.ensure_future(client.get("k"))
        await asyncio.sleep(0.01)
        await client.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting


def test_interrupted_call_leaves_nothing_behind() -> None:
    """Ctrl-C during a call: the next call gets its own reply."""
    # A shell starts what it puts in the background with SIGINT ignored, and Python leaves it so.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.get_ident()
    interrupt = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
    with (
        responder(lambda h, p, n: [reply(h, A, p)] if b"never" not in p else []) as served,
        Client("127.0.0.1", served.port) as client,
    ):
        interrupt.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                client.get("never")
        finally:
            interrupt.join()
            signal.signal(signal.SIGINT, usual)
        assert client.get("k") == [b"GET", b"k"]
