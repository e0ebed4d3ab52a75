"""Goal: frames go both ways whole and in order; a bad one costs itself, or its line, and no more.
Method: a server on loopback that sends what it is told to, and reads as slowly.
"""

import asyncio

import pytest
from hand_clock import HandClock, run, until, until_after
from socket_desk import DOWN, UP, Desk, whole
from ws_server import CONTINUATION, TEXT, WsServer, frame

from hedge.errors import Unreachable
from hedge.transport import SocketLimits, TroubleKind

# --- frames


def test_a_callback_that_raises_loses_its_message_and_nothing_else():
    async def main():
        got = []

        def on_frame(_line, view):
            got.append(bytes(view))
            raise {b"1": KeyError, b"2": ValueError, b"3": asyncio.CancelledError}.get(
                bytes(view), AssertionError
            )("bad")

        async with whole(on_frame=on_frame) as desk:
            server, socket = desk.server, desk.socket
            for text in ("1", "2", "3", "4"):
                server.peers[0].text(text)
            await until(lambda: len(got) == 4)
            await until(lambda: len(desk.troubles) == 4)
            assert socket.ready and socket.connects == 1 and desk.states == [UP]
            assert socket.troubles[TroubleKind.FRAME] == 4
            assert isinstance(desk.troubles[0].error, KeyError)
            socket.send(b"still here")
            await until(lambda: server.peers[0].got)

    run(main())


def test_sinks_that_raise_harm_nothing():
    async def main():
        def refuse(_):
            raise RuntimeError("a sink that breaks its contract")

        def on_frame(_line, _view):
            raise ValueError("bad")

        async with whole(on_frame=on_frame, on_state=refuse, on_trouble=refuse) as desk:
            server, socket = desk.server, desk.socket
            server.peers[0].text("x")
            server.peers[0].text("y")
            await until(lambda: socket.troubles[TroubleKind.FRAME] == 2)
            server.peers[0].reset()
            await until(lambda: not socket.ready)
            await until_after(desk.clock, lambda: socket.ready)

    complaints = []
    run(main(), complaints)
    assert set(complaints) == {"a sink that breaks its contract"} and len(complaints) >= 6


def test_a_burst_is_delivered_whole_and_in_order():
    async def main():
        async with whole() as desk:
            expected = [str(n).encode() for n in range(5_000)]
            desk.server.peers[0].raw(b"".join(map(frame, expected)))
            await until(lambda: len(desk.frames) == 5_000)
            assert desk.frames == expected

    run(main())


def test_fragments_are_put_together_and_a_ping_between_them_is_answered():
    async def main():
        async with whole() as desk:
            peer = desk.server.peers[0]
            peer.raw(frame(b'{"a":', TEXT, fin=False))
            peer.ping(b"are you there?")
            peer.raw(frame(b"1", CONTINUATION, fin=False) + frame(b"}", CONTINUATION))
            peer.raw(frame(b"\x01\x02", 0x2))
            await until(lambda: len(desk.frames) == 2)
            assert desk.frames == [b'{"a":1}', b"\x01\x02"]
            await until(lambda: peer.pongs == [b"are you there?"])

    run(main())


@pytest.mark.parametrize(
    ("bad", "kept"),
    [
        (frame(b"x" * 2_000), []),
        (frame(b"x" * 600, fin=False) + frame(b"x" * 600, CONTINUATION), []),
        (frame(b"x", CONTINUATION), []),
        (frame(b"x", fin=False) + frame(b"y", fin=False), []),
        (b"\x83\x01x", []),
        (b"\x81\x81abcdx", []),
        (frame(b"good") + b"\xff\xff\xff\xff", [b"good"]),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", []),
    ],
    ids=[
        "too long",
        "too long in fragments",
        "continuation of nothing",
        "message within a message",
        "unknown opcode",
        "masked",
        "garbage after a message",
        "HTTP",
    ],
)
def test_what_breaks_the_protocol_or_its_bounds_drops_the_line_and_only_that(bad, kept):
    async def main():
        async with whole(limits=SocketLimits(message_bytes_max=1_000)) as desk:
            server = desk.server
            server.peers[0].raw(bad)
            await until(lambda: desk.states == [UP, DOWN])
            await until(lambda: desk.kinds(TroubleKind.PROTOCOL))
            await until_after(desk.clock, lambda: desk.socket.ready)
            server.alive[-1].text("on")
            await until(lambda: desk.frames == [*kept, b"on"])

    run(main())


def test_a_view_that_is_kept_fails_where_it_is_used():
    async def main():
        kept = []
        async with whole(on_frame=lambda _, view: kept.append(view)) as desk:
            desk.server.peers[0].text("first")
            await until(lambda: kept)
            with pytest.raises(ValueError, match="released"):
                bytes(kept[0])

    run(main())


# --- sending


def fill(socket):
    for _ in range(10_000):
        socket.send(b"x" * 50_000)


def test_a_line_that_takes_no_more_refuses_before_a_byte_has_left():
    async def main():
        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock, limits=SocketLimits(send_buffer_bytes_max=100_000))
            async with desk.socket as socket:
                line = await socket.wait_ready(timeout_ms=1_000)
                server.peers[0].deafen()
                with pytest.raises(Unreachable, match="congested"):
                    fill(socket)
                assert line.open and socket.lines == (line,)
                server.peers[0].writer.transport.resume_reading()
                sends = len(server.peers[0].got)
                await until(lambda: not line.congested)
                socket.send(b"again")
                await until(lambda: server.peers[0].got[-1] == b"again")
                assert len(server.peers[0].got) > sends

    run(main())


def test_nothing_is_sent_after_a_close_frame():
    async def main():
        async with WsServer() as server:
            desk = Desk(server, HandClock())
            async with desk.socket as socket:
                line = await socket.wait_ready(timeout_ms=1_000)
                line._transport.send_close()
                with pytest.raises(Unreachable, match="line 1 is down"):
                    line.send(b"an order that picows would lose in silence")

    run(main())
