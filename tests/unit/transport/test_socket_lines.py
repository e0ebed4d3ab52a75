"""Goal: a line that is silent is found out, and one that is replaced leaves no gap.
Method: a server on loopback that keeps still; the clock moves only when the test moves it.
"""

import asyncio

import pytest
from hand_clock import MS, HandClock, run, turns, until, until_after
from socket_desk import ALIVE, DOWN, UP, Desk, whole
from ws_server import WsServer, behave, hang_up_unanswered

from hedge.errors import Limited, Refused, Unreachable
from hedge.transport import SocketLimits, TroubleKind

# --- silence


def test_a_half_open_connection_is_found_and_replaced():
    async def main():
        limits = SocketLimits(ping_idle_ms=10_000, pong_timeout_ms=5_000)
        async with whole(limits=limits) as desk:
            clock, socket = desk.clock, desk.socket
            peer = desk.server.peers[0]
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
        async with whole() as desk:
            clock, socket = desk.clock, desk.socket
            peer = desk.server.peers[0]
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
        async with whole() as desk:
            server, clock, socket = desk.server, desk.clock, desk.socket
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

        async with whole(resubscribe=resubscribe) as desk:
            socket = desk.socket
            socket.rotate("serverShutdown")
            await until_after(desk.clock, lambda: socket.line.number == 3)
            assert desk.states.count(UP) == 1 and DOWN not in desk.states

    run(main())


def test_every_line_is_asked_and_the_one_that_does_not_answer_is_dropped():
    async def main():
        async with whole() as desk:
            socket, asked = desk.socket, []
            old = socket.line
            socket.rotate("10019")
            await until_after(desk.clock, lambda: socket.line is not old)

            async def refused(line):
                raise Refused("no such topic", code="1")

            async def unanswered_by_the_old(line):
                asked.append(line.number)
                if line is old:
                    raise Unreachable("no reply in time")

            with pytest.raises(Refused):
                await socket.ask_each(refused)
            await socket.ask_each(unanswered_by_the_old)
            assert asked == [1, 2]
            assert socket.lines == (socket.line,) and "no reply in time" in old.why

    run(main())


def test_a_request_that_is_refused_is_made_part_by_part_unless_no_part_is_to_blame():
    async def main():
        async with whole() as desk:
            socket, asked, answers = desk.socket, [], {}
            parts = {"btc": ("btc.book", "btc.mark"), "eth": ("eth.book",), "old": ("old.book",)}

            async def request(_, names):
                asked.append(tuple(names))
                for name in names:
                    if name in answers:
                        raise answers[name]

            async def ask():
                asked.clear()
                return await socket.ask_apart(socket.line, parts, request)

            everything = sum(parts.values(), ())
            assert await ask() == {} and asked == [everything]
            answers["old.book"] = no = Refused("no such topic", code="1")
            assert await ask() == {"old": no} and asked == [everything, *parts.values()]
            assert socket.troubles[TroubleKind.REFUSED] == 1
            answers["btc.mark"] = Limited("too many", code="2")
            with pytest.raises(Limited):
                await ask()
            assert asked == [everything], "another would be one more too many"
            answers |= dict.fromkeys(("btc.mark", "eth.book"), no)
            with pytest.raises(Refused, match="no such topic"):
                await ask()
            answers |= {"btc.mark": no, "eth.book": Unreachable("no reply in time")}
            with pytest.raises(Unreachable):
                await ask()
            assert socket.troubles[TroubleKind.REFUSED] == 1, "nothing more is left out"

    run(main())


def test_a_dropped_line_is_a_gap():
    async def main():
        async with whole() as desk:
            socket = desk.socket
            socket.drop("listenKeyExpired")
            assert not socket.ready
            await until(lambda: desk.states == [UP, DOWN])
            assert desk.news[1].why == "listenKeyExpired"
            await until_after(desk.clock, lambda: desk.states == [UP, DOWN, UP])

    run(main())
