"""Goal: a socket outlives every drop, refusal, silence and bad frame, and is ready only when whole.
Method: a server on loopback that misbehaves as told; the clock moves only when the test moves it.
"""

import asyncio
import contextlib
import itertools
import random
import socket as sockets

import pytest
from hand_clock import MS, HandClock, run, turns, until, until_after
from ws_server import CONTINUATION, TEXT, WsServer, behave, frame

from hedge.errors import ConfigError, Unreachable
from hedge.model import StreamAlive, StreamDown, StreamKind, StreamUp
from hedge.transport import Bucket, RateBudget, Socket, SocketLimits, TroubleKind

UP, DOWN, ALIVE = StreamUp, StreamDown, StreamAlive


class Desk:
    """A plugin's half of a socket: it remembers what it was told."""

    def __init__(self, server, clock, *, limits=None, **hooks):
        self.clock = clock
        self.frames = []
        self.by_line = []
        self.troubles = []
        self.news = []
        self.socket = Socket(
            hooks.pop("url", server.url),
            name="desk",
            clock=clock,
            on_frame=hooks.pop("on_frame", self.on_frame),
            on_trouble=hooks.pop("on_trouble", self.troubles.append),
            on_state=hooks.pop("on_state", self.news.append),
            kind=StreamKind.ACCOUNT,
            limits=limits or SocketLimits(),
            random=random.Random(7),
            **hooks,
        )

    def on_frame(self, line, view):
        self.frames.append(bytes(view))
        self.by_line.append(line.number)

    @property
    def states(self):
        return [type(news) for news in self.news]

    def kinds(self, kind):
        return [trouble for trouble in self.troubles if trouble.kind is kind]


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


async def hang_up_unanswered(peer):
    await peer.reader.readuntil(b"\r\n\r\n")


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


# --- frames


def test_a_callback_that_raises_loses_its_message_and_nothing_else():
    async def main():
        got = []

        def on_frame(_line, view):
            got.append(bytes(view))
            raise {b"1": KeyError, b"2": ValueError, b"3": asyncio.CancelledError}.get(
                bytes(view), AssertionError
            )("bad")

        async with WsServer() as server:
            desk = Desk(server, HandClock(), on_frame=on_frame)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
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

        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock, on_frame=on_frame, on_state=refuse, on_trouble=refuse)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                server.peers[0].text("x")
                server.peers[0].text("y")
                await until(lambda: socket.troubles[TroubleKind.FRAME] == 2)
                server.peers[0].reset()
                await until(lambda: not socket.ready)
                await until_after(clock, lambda: socket.ready)

    complaints = []
    run(main(), complaints)
    assert set(complaints) == {"a sink that breaks its contract"} and len(complaints) >= 6


def test_a_burst_is_delivered_whole_and_in_order():
    async def main():
        async with WsServer() as server:
            desk = Desk(server, HandClock())
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                expected = [str(n).encode() for n in range(5_000)]
                server.peers[0].raw(b"".join(map(frame, expected)))
                await until(lambda: len(desk.frames) == 5_000)
                assert desk.frames == expected

    run(main())


def test_fragments_are_put_together_and_a_ping_between_them_is_answered():
    async def main():
        async with WsServer() as server:
            desk = Desk(server, HandClock())
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                peer = server.peers[0]
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
        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock, limits=SocketLimits(message_bytes_max=1_000))
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                server.peers[0].raw(bad)
                await until(lambda: desk.states == [UP, DOWN])
                await until(lambda: desk.kinds(TroubleKind.PROTOCOL))
                await until_after(clock, lambda: socket.ready)
                server.alive[-1].text("on")
                await until(lambda: desk.frames == [*kept, b"on"])

    run(main())


def test_a_view_that_is_kept_fails_where_it_is_used():
    async def main():
        kept = []
        async with WsServer() as server:
            desk = Desk(server, HandClock(), on_frame=lambda _, view: kept.append(view))
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                server.peers[0].text("first")
                await until(lambda: kept)
                with pytest.raises(ValueError, match="released"):
                    bytes(kept[0])

    run(main())


# --- silence


def test_a_half_open_connection_is_found_and_replaced():
    async def main():
        async with WsServer() as server:
            clock = HandClock()
            limits = SocketLimits(ping_idle_ms=10_000, pong_timeout_ms=5_000)
            desk = Desk(server, clock, limits=limits)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                peer = server.peers[0]
                peer.deafen()
                clock.advance(9_999)
                await turns(50)
                assert socket.ready
                clock.advance(5_002)
                await until(lambda: desk.states == [UP, DOWN])
                assert desk.news[1].why == "no pong within pong_timeout_ms=5000"
                await until_after(clock, lambda: socket.ready)

    run(main())


def test_a_pong_or_any_frame_is_proof_that_the_line_lives():
    async def main():
        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                peer = server.peers[0]
                for _ in range(5):
                    clock.advance(10_000)
                    pings = len(peer.pings)
                    await until(lambda pings=pings: len(peer.pings) > pings or not socket.ready)
                    await until(lambda: socket.line.heard)
                    clock.advance(5_000)
                    await turns(20)
                peer.answer_pings = False
                pings = len(peer.pings)
                for n in range(20):
                    peer.text(str(n))
                    await until(lambda n=n: len(desk.frames) == n + 1)
                    clock.advance(4_000)
                    await turns(5)
                assert socket.connects == 1 and DOWN not in desk.states
                assert len(peer.pings) <= pings + 1, "no ping is needed where frames come"

    run(main())


def test_a_stream_that_is_silent_is_probed_and_alive_as_long_as_the_probe_is_answered():
    async def main():
        probes = []
        answer = "answered"

        async def probe(line):
            probes.append(line.number)
            if answer == "raises":
                raise KeyError("session.status: not logged on")
            if answer == "hangs":
                await asyncio.Event().wait()
            seen = len(desk.frames)
            line.send(b"status")
            await until(lambda: len(desk.frames) > seen)

        async with WsServer() as server:
            clock = HandClock()
            server.on_text = lambda peer, text: peer.text(b"ok " + text)
            limits = SocketLimits(silence_max_ms=5_000, probe_timeout_ms=2_000)
            desk = Desk(server, clock, limits=limits, probe=probe)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                for n in range(1, 4):
                    clock.advance(5_000)
                    await until(lambda n=n: desk.states.count(ALIVE) == n)
                assert probes == [1, 1, 1], "its own answer is no news: it is asked each time"
                server.peers[0].text("news")
                await until(lambda: desk.frames[-1] == b"news")
                clock.advance(5_000)
                await until(lambda: desk.states.count(ALIVE) == 4)
                assert len(probes) == 3, "who speaks is not asked"
                for how, why in (("raises", "not logged on"), ("hangs", "probe_timeout_ms=2000")):
                    answer = how
                    await until_after(clock, lambda: not socket.ready, ms=500)
                    assert why in socket._why
                    answer = "answered"
                    await until_after(clock, lambda: socket.ready, ms=500)
                assert desk.states.count(DOWN) == 2

    run(main())


# --- make before break


def test_a_line_is_replaced_before_its_life_ends_without_a_gap_and_without_a_word():
    async def main():
        order = []

        async def resubscribe(line):
            order.append(("resubscribe", line.number, len(server.alive)))

        async def fill_gap(line, since):
            order.append(("fill", line.number, socket.ready))
            assert since is None or clock.now() - since <= 20_000 * MS

        async with WsServer() as server:
            clock = HandClock()
            limits = SocketLimits(life_ms=60_000, linger_ms=3_000)
            desk = Desk(server, clock, limits=limits, resubscribe=resubscribe, fill_gap=fill_gap)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                old = socket.line
                await until_after(clock, lambda: socket.line is not old, ms=1_000)
                assert order[1:] == [("fill", 1, False), ("resubscribe", 2, 2), ("fill", 2, True)]
                assert old.open and socket.lines == (old, socket.line)
                for peer in server.alive:
                    peer.text("both")
                await until(lambda: desk.by_line[-2:] in ([1, 2], [2, 1]))
                clock.advance(3_000)
                await until(lambda: server.peers[0].gone)
                assert server.peers[0].closes and not old.open
                server.peers[1].text("new")
                await until(lambda: desk.frames[-1] == b"new")
                assert set(desk.states) <= {UP, ALIVE} and desk.states.count(UP) == 1
                assert not desk.troubles

    run(main())


def test_on_demand_a_line_is_replaced_and_what_waits_on_the_old_one_is_answered():
    async def main():
        from hedge.transport import Calls

        clock = HandClock()
        calls = Calls(name="calls", clock=clock, on_trouble=print)

        def on_frame(line, view):
            if bytes(view) == b"serverShutdown":
                desk.socket.rotate("serverShutdown", line)
            else:
                calls.answer(bytes(view), "filled")

        async with WsServer() as server:
            desk = Desk(server, clock, on_frame=on_frame)
            async with desk.socket as socket:
                old = await socket.wait_ready(timeout_ms=1_000)
                asking = asyncio.ensure_future(calls.ask(old, b"1", b"order", timeout_ms=10_000))
                server.peers[0].text("serverShutdown")
                await until_after(clock, lambda: socket.line is not old)
                server.peers[0].text("serverShutdown")
                server.peers[0].text("1")
                assert await asking == "filled"
                await turns()
                clock.advance(5_000)
                await turns()
                assert socket.connects == 2, "of a line that is being replaced it is no news"
                assert UP in desk.states and DOWN not in desk.states

    run(main())


def test_the_old_line_stays_while_its_successor_fails_and_a_loss_meanwhile_is_told():
    async def main():
        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                server.behaviour = hang_up_unanswered
                socket.rotate("10019")
                await until_after(clock, lambda: len(desk.kinds(TroubleKind.CONNECT)) >= 4)
                assert socket.ready and socket.line.number == 1
                server.peers[0].text("old")
                await until(lambda: desk.frames == [b"old"])
                server.peers[0].reset()
                await until(lambda: desk.states == [UP, DOWN])
                server.behaviour = behave
                await until_after(clock, lambda: desk.states == [UP, DOWN, UP])
                before = socket.connects
                clock.advance(60_000)
                await turns()
                assert socket.connects == before, "the loss of the old line is no wish for more"

    run(main())


def test_a_new_line_that_is_about_to_end_as_well_is_replaced_in_its_turn():
    async def main():
        async def resubscribe(line):
            if line.number == 2:
                desk.socket.rotate("serverShutdown", line)

        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock, resubscribe=resubscribe)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                socket.rotate("serverShutdown")
                await until_after(clock, lambda: socket.line.number == 3)
                assert desk.states.count(UP) == 1 and DOWN not in desk.states

    run(main())


def test_a_dropped_line_is_a_gap():
    async def main():
        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                socket.drop("listenKeyExpired")
                assert not socket.ready
                await until(lambda: desk.states == [UP, DOWN])
                assert desk.news[1].why == "listenKeyExpired"
                await until_after(clock, lambda: desk.states == [UP, DOWN, UP])

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
        async with WsServer() as server:
            clock = HandClock()
            desk = Desk(server, clock)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
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
