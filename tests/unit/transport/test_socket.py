"""Goal: a socket outlives every drop and refusal, is ready only when whole, and leaves nothing.
Method: a server on loopback that misbehaves as told; the clock moves only when the test moves it.
"""

import asyncio
import contextlib
import itertools
import socket as sockets

import pytest
from hand_clock import MS, HandClock, run, turns, until, until_after
from socket_desk import DOWN, UP, Desk, whole
from ws_server import WsServer, behave, hang_up_unanswered

from hedge.errors import ConfigError, Unreachable
from hedge.transport import Bucket, RateBudget, SocketLimits, TroubleKind

# --- coming up, and coming up again


def test_messages_in_both_directions_and_nothing_offered_but_the_plain_protocol():
    async def main():
        async with WsServer() as server:
            desk = Desk(server, HandClock(), headers={"X-Who": "me"})
            async with desk.socket as socket:
                line = await socket.wait_ready(timeout_ms=1_000)
                server.peers[0].text("from the venue")
                await until(lambda: desk.frames)
                for payload in (b"a", bytearray(b"b"), memoryview(b"c")):
                    socket.send(payload)
                await until(lambda: len(server.peers[0].got) == 3)
                raw = line._transport.underlying_transport.get_extra_info("socket")
                assert raw.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY)
            assert desk.frames == [b"from the venue"]
            assert server.peers[0].got == [b"a", b"b", b"c"]
            assert b"\r\nX-Who: me\r\n" in server.peers[0].request
            assert b"extensions" not in server.peers[0].request.lower()
            await until(lambda: server.peers[0].gone)
            assert server.peers[0].closes, "a good-bye is said"
        assert desk.states == [UP], "the host that closes is not told that it closed"

    run(main())


@pytest.mark.parametrize("how", ["reset", "close", "hang up"])
def test_a_drop_is_told_at_once_and_the_line_is_ready_only_after_the_gap_is_filled(how):
    async def main():
        steps = []
        gate = asyncio.Event()
        gate.set()

        async def resubscribe(line):
            line.send(b"subscribe")
            steps.append(("resubscribed", line.number))

        async def fill_gap(line, since):
            await gate.wait()
            steps.append(("filled", line.number, since))

        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock, resubscribe=resubscribe, fill_gap=fill_gap)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                clock.advance(4_000)
                last_whole = clock.now()
                gate.clear()
                peer = server.peers[0]
                if how == "reset":
                    peer.reset()
                elif how == "close":
                    peer.close(1001, b"maintenance")
                else:
                    peer.writer.close()
                await until(lambda: desk.states == [UP, DOWN])
                assert not socket.ready
                with pytest.raises(Unreachable, match="desk is not ready"):
                    socket.send(b"an order")
                if how == "close":
                    assert desk.news[1].why == "closed by the server: 1001 maintenance"
                    await until(lambda: peer.closes)
                clock.advance(100)
                await until(lambda: ("resubscribed", 2) in steps)
                await turns()
                assert not socket.ready and desk.states == [UP, DOWN], "the gap is not filled"
                gate.set()
                await until(lambda: socket.ready)
                await until(lambda: desk.states == [UP, DOWN, UP])
            assert [step[:2] for step in steps] == [
                ("resubscribed", 1),
                ("filled", 1),
                ("resubscribed", 2),
                ("filled", 2),
            ]
            assert steps[1][2] is None
            assert last_whole - 10_000 * MS <= steps[3][2] <= last_whole
            assert server.peers[1].got == [b"subscribe"]
            assert [t.text for t in desk.kinds(TroubleKind.DROP)] == [desk.news[1].why]

    run(main())


def test_a_venue_that_refuses_for_hours_is_tried_for_ever_with_full_jitter_and_few_times():
    async def main():
        async with WsServer() as server:
            await server.stop()
            clock = HandClock()
            limits = SocketLimits(connects_max=20, connects_window_ms=300_000)
            desk = Desk(server, clock, limits=limits)
            began, tried = clock.now(), []
            async with desk.socket as socket:
                while clock.now() - began < 3 * 3600 * 1_000 * MS:
                    await until(lambda: clock.due and len(desk.troubles) == socket.connects)
                    if len(tried) < socket.connects:
                        tried.append(clock.now())
                    clock.advance(clock.due[0] + 1)
                waits = [(b - a) / MS for a, b in itertools.pairwise(tried)]
                assert len(tried) > 200, "it never gives up"
                assert all(
                    sum(1 for at in tried if start <= at < start + 300_000 * MS) <= 20
                    for start in tried
                ), "the connect rate is bounded in every window"
                assert all(wait <= 100 * 2**n for n, wait in enumerate(waits[:8])), waits[:8]
                assert len({round(wait) for wait in waits[8:18]}) > 5, "jitter, not a fixed step"
                server.server = await asyncio.start_server(server.serve, "127.0.0.1", server.port)
                await until_after(clock, lambda: socket.ready, ms=5_000)
                assert "OSError" in desk.troubles[0].text or "Refused" in desk.troubles[0].text

    run(main())


def test_a_server_that_accepts_and_hangs_up_is_not_hammered():
    async def main():
        async def flap(peer):
            await peer.upgrade()

        async with WsServer(flap) as server:
            clock = HandClock()
            desk = Desk(server, clock)
            async with desk.socket as socket:
                for _ in range(60):
                    await turns(30)
                    clock.advance(1_000)
                assert 3 <= socket.connects <= 20, "a minute of flapping, and the backoff grows"

    run(main())


async def never_answer(peer):
    await peer.reader.readuntil(b"\r\n\r\n")
    await peer.reader.read()


async def talk_nonsense(peer):
    await peer.reader.readuntil(b"\r\n\r\n")
    peer.raw(b"\x00\x01\x02 no HTTP at all\r\n\r\n")
    await peer.reader.read()


async def answer_with_a_page(peer):
    await peer.reader.readuntil(b"\r\n\r\n")
    peer.raw(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>")
    await peer.reader.read()


@pytest.mark.parametrize(
    "behaviour", [hang_up_unanswered, never_answer, talk_nonsense, answer_with_a_page]
)
def test_an_upgrade_that_fails_in_any_way_is_one_attempt_and_leaves_nothing_open(behaviour):
    async def main():
        async with WsServer(behaviour) as server:
            clock = HandClock()
            desk = Desk(server, clock, limits=SocketLimits(connect_timeout_ms=60_000))
            async with desk.socket as socket:
                await until(lambda: server.peers and server.peers[0].reader)
                await until_after(clock, lambda: desk.kinds(TroubleKind.CONNECT), ms=5_000)
                assert not socket.ready
                server.behaviour = behave
                await until_after(clock, lambda: socket.ready, ms=500)
                await until(lambda: len(server.alive) == 1)
                assert desk.states == [UP]

    run(main())


def test_nobody_can_send_us_to_another_host():
    async def main():
        async with WsServer() as stranger, WsServer() as server:

            async def redirect(peer):
                await peer.reader.readuntil(b"\r\n\r\n")
                there = (
                    f"HTTP/1.1 302 Found\r\nLocation: {stranger.url}\r\nContent-Length: 0\r\n\r\n"
                )
                peer.raw(there.encode())
                await peer.reader.read()

            server.behaviour = redirect
            desk = Desk(server, HandClock())
            async with desk.socket as socket:
                await until(lambda: desk.kinds(TroubleKind.CONNECT))
                assert not socket.ready and not stranger.peers

    run(main())


@pytest.mark.parametrize(("header", "wait_s"), [("120", 120), ("soon", 0), ("9" * 5_000, 259_200)])
def test_a_ban_is_waited_out(header, wait_s):
    async def refuse(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.raw(f"HTTP/1.1 418 x\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode())
        await peer.reader.read()

    async def main():
        async with WsServer(refuse) as server:
            clock = HandClock()
            desk = Desk(server, clock)
            async with desk.socket as socket:
                await until(lambda: desk.troubles)
                began = clock.now()
                await until_after(clock, lambda: socket.connects > 1, ms=100 + wait_s)
                assert clock.now() - began >= wait_s * 1_000 * MS
                assert wait_s or clock.now() - began < 2_000 * MS

    run(main())


def test_the_address_is_asked_for_at_each_connect_and_may_fail():
    async def main():
        asked = []

        async def url():
            asked.append(len(asked))
            if len(asked) == 2:
                raise Unreachable("no listenKey")
            if len(asked) == 3:
                raise KeyError("a bug of the plugin")
            return f"{server.url}?key={len(asked)}"

        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock, url=url)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                server.peers[0].reset()
                await until_after(clock, lambda: desk.states == [UP, DOWN, UP])
            assert [p.request.split(b" ")[1] for p in server.peers] == [b"/ws?key=1", b"/ws?key=4"]
            assert "no listenKey" in desk.kinds(TroubleKind.CONNECT)[0].text
            assert isinstance(desk.kinds(TroubleKind.CONNECT)[1].error, KeyError)

    run(main())


@pytest.mark.parametrize("how", ["raises", "hangs", "loses the line", "is cancelled inside"])
def test_a_resubscription_that_fails_is_another_attempt_and_never_a_ready_line(how):
    async def main():
        async def resubscribe(line):
            if line.number > 1:
                return
            if how == "raises":
                raise ValueError("auth refused")
            if how == "is cancelled inside":
                raise asyncio.CancelledError
            if how == "loses the line":
                server.peers[0].reset()
            await asyncio.Event().wait()

        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(
                server, clock, resubscribe=resubscribe, limits=SocketLimits(ready_timeout_ms=9_000)
            )
            async with desk.socket as socket:
                if how == "hangs":
                    await until(lambda: server.peers and server.peers[0].request)
                    await turns()
                    clock.advance(8_000)
                    await turns()
                    assert socket.connects == 1
                else:
                    await until(lambda: desk.kinds(TroubleKind.CONNECT))
                assert desk.states == []
                await until_after(clock, lambda: socket.ready, ms=500)
                await until(lambda: desk.states == [UP])
                assert socket.line.number == 2
                await until(lambda: server.peers[0].gone)
                assert len(desk.kinds(TroubleKind.CONNECT)) == 1

    run(main())


def test_waiting_for_a_socket_that_does_not_come_up_ends_with_the_reason():
    async def main():
        async with WsServer() as server:
            await server.stop()
            clock = HandClock()
            desk = Desk(server, clock)
            async with desk.socket as socket:
                await until(lambda: desk.troubles)
                waiting = asyncio.ensure_future(socket.wait_ready(timeout_ms=2_000))
                await until_after(clock, waiting.done)
                with pytest.raises(Unreachable, match=r"within 2000 ms: .*Connect"):
                    await waiting

    run(main())


# --- leaving, and what is never reached


def test_leaving_while_it_connects_leaves_nothing_behind():
    async def main():
        async with WsServer(never_answer) as server:
            desk = Desk(server, HandClock())
            async with desk.socket:
                await until(lambda: server.peers)
            await until(lambda: not server.alive)

    run(main())


def test_leaving_while_it_subscribes_waits_for_the_plugin_to_tidy_up():
    async def main():
        steps = []

        async def resubscribe(_line):
            try:
                steps.append("asked")
                await asyncio.Event().wait()
            finally:
                await turns(20)
                steps.append("tidied up")

        async with WsServer() as server:
            desk = Desk(server, HandClock(), resubscribe=resubscribe)
            async with desk.socket:
                await until(lambda: steps)
            assert steps == ["asked", "tidied up"]

    run(main())


@pytest.mark.parametrize(
    "url",
    [
        "ws://venue.example/ws",
        "ws://10.0.0.1/ws",
        "http://127.0.0.1/ws",
        "wss://",
        "wss://user@venue.example/",
        "wss://a..b/",
        "wss://venue.example:99999/",
    ],
)
def test_an_address_that_is_not_safe_is_never_connected_to(url):
    async def main():
        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock, url=url)
            async with desk.socket:
                await until(lambda: desk.kinds(TroubleKind.CONNECT))
                assert isinstance(desk.troubles[0].error, ConfigError)

    run(main())


def test_sockets_of_one_address_share_its_connects():
    async def main():
        async with WsServer() as server:
            clock = HandClock()
            budget = RateBudget(clock, [Bucket(name="connects", capacity=3, window_ms=60_000)])
            desks = [Desk(server, clock, connects=budget) for _ in range(4)]
            async with contextlib.AsyncExitStack() as stack:
                for desk in desks:
                    await stack.enter_async_context(desk.socket)
                await until(lambda: sum(desk.socket.ready for desk in desks) == 3)
                clock.advance(59_000)
                await turns()
                assert len(server.peers) == 3
                await until_after(clock, lambda: all(desk.socket.ready for desk in desks))

    run(main())


def test_a_socket_that_nothing_keeps_any_more_says_so():
    async def main():
        async with WsServer() as server:
            clock = HandClock()
            nonsense = RateBudget(clock, [Bucket(name="other", capacity=3, window_ms=60_000)])
            desk = Desk(server, clock, connects=nonsense)
            async with desk.socket as socket:
                await until(lambda: desk.kinds(TroubleKind.BROKEN))
                with pytest.raises(Unreachable, match="the keeper ended"):
                    socket.send(b"order")

    run(main())


def test_many_lives_leave_no_task_no_line_and_no_timer_behind():
    async def main():
        async with whole() as desk:
            server, clock, socket = desk.server, desk.clock, desk.socket
            tasks, timers = len(asyncio.all_tasks()), len(clock.due)
            for n in range(30):
                line = socket.line
                if n % 2:
                    socket.rotate("again")
                else:
                    server.alive[-1].reset()
                await until_after(
                    clock, lambda line=line: socket.ready and socket.line is not line, ms=1_000
                )
                clock.advance(11_000)
                await until(lambda: len(server.alive) == 1)
                await turns(20)
            assert len(asyncio.all_tasks()) <= tasks
            assert len(clock.due) <= timers + 1
            assert len(socket.lines) == 1 and len(socket._lines) == 1

    run(main())
