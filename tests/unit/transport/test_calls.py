"""Goal: each request has one honest outcome, whatever the replies do and whenever the line drops.
Method: real sockets where the order of bytes matters, a fake line where the order of calls does.
"""

import asyncio
import random

import pytest
from hand_clock import HandClock, run, turns, until
from ws_server import WsServer

from hedge.errors import OutcomeUnknown, Refused, Unreachable
from hedge.transport import Calls, Socket, TroubleKind


class FakeLine:
    """A line whose send does what a test says."""

    def __init__(self, on_send=lambda payload: None):
        self.on_send = on_send
        self.why = ""
        self.watchers = {}

    def send(self, payload):
        self.on_send(payload)

    def when_down(self, callback):
        self.watchers[callback] = None

    def go_down(self, why):
        self.why = why
        for watcher in self.watchers:
            watcher(self)


def make(clock, **named):
    troubles = []
    calls = Calls(name="calls", clock=clock, on_trouble=troubles.append, **named)
    return calls, troubles


def ask(calls, line, call_id, **named):
    named = {"timeout_ms": 1_000, **named}
    return asyncio.ensure_future(calls.ask(line, call_id, b"order", **named))


def test_a_reply_that_comes_within_the_send_itself_finds_who_waits():
    async def main():
        calls, troubles = make(HandClock())
        line = FakeLine(lambda _: calls.answer("1", "ack"))
        assert await calls.ask(line, "1", b"order", timeout_ms=1_000) == "ack"
        assert calls.pending == 0 and not troubles

    run(main())


def test_no_reply_in_time_is_unknown_and_the_late_reply_kills_nothing():
    async def main():
        clock = HandClock()
        calls, troubles = make(clock)
        line = FakeLine()
        order, read = ask(calls, line, 1), ask(calls, line, 2, read=True)
        await turns(3)
        clock.advance(999)
        await turns(3)
        assert not order.done()
        clock.advance(1)
        with pytest.raises(OutcomeUnknown, match="calls: no reply in time"):
            await order
        with pytest.raises(Unreachable):
            await read
        assert calls.answer(1, "late") is False
        await turns(3)
        assert [t.kind for t in troubles] == [TroubleKind.STRAY] and "1" in troubles[0].text
        again = ask(calls, line, 3)
        await turns(3)
        assert calls.answer(3, "in time") is True
        assert await again == "in time"

    run(main())


def test_deadlines_hold_in_whatever_order_they_fall():
    async def main():
        clock = HandClock()
        calls, _ = make(clock)
        waits = [5_000, 1_000, 3_000, 1_000, 9_000, 2_000]
        asked = [ask(calls, FakeLine(), n, timeout_ms=ms) for n, ms in enumerate(waits)]
        await turns(3)
        for at in range(1_000, 9_001, 1_000):
            clock.advance(1_000)
            await turns(3)
            assert [a.done() for a in asked] == [wait <= at for wait in waits], at
        assert calls.pending == 0 and not clock.due
        for one in asked:
            with pytest.raises(OutcomeUnknown):
                await one

    run(main())


def test_a_drop_makes_all_that_waits_on_that_line_unknown_and_nothing_else():
    async def main():
        calls, _ = make(HandClock())
        old, new = FakeLine(), FakeLine()
        lost = [ask(calls, old, n) for n in range(3)]
        read = ask(calls, old, 3, read=True)
        kept = ask(calls, new, 4)
        await turns(3)
        old.go_down("reset")
        for one in lost:
            with pytest.raises(OutcomeUnknown, match="the line dropped: reset"):
                await one
        with pytest.raises(Unreachable):
            await read
        calls.answer(4, "ack")
        assert await kept == "ack"

    run(main())


def test_what_was_certainly_not_sent_is_unreachable():
    async def main():
        def refuse(_):
            raise Unreachable("line 1 is down")

        calls, _ = make(HandClock(), pending_max=2)
        with pytest.raises(Unreachable, match="line 1 is down"):
            await calls.ask(FakeLine(refuse), 1, b"order", timeout_ms=1_000)
        assert calls.pending == 0
        sent = []
        line = FakeLine(sent.append)
        waiting = [ask(calls, line, n) for n in range(2)]
        await turns(3)
        with pytest.raises(Unreachable, match="pending_max=2"):
            await calls.ask(line, 9, b"order", timeout_ms=1_000)
        assert len(sent) == 2
        for n in range(2):
            calls.answer(n, "ack")
        await asyncio.gather(*waiting)

    run(main())


def test_one_id_cannot_wait_twice():
    async def main():
        sent = []
        calls, _ = make(HandClock())
        line = FakeLine(sent.append)
        first = ask(calls, line, "1")
        await turns(3)
        with pytest.raises(AssertionError, match="waits already"):
            await calls.ask(line, "1", b"order", timeout_ms=1_000)
        assert len(sent) == 1 and calls.answer("1", "ack")
        assert await first == "ack"

    run(main())


@pytest.mark.parametrize("call_id", [None, 99, "1", "", [1], {"id": 1}, 1.5])
def test_a_reply_of_no_or_of_a_foreign_id_is_told_and_kills_nothing(call_id):
    async def main():
        calls, troubles = make(HandClock())
        waiting = ask(calls, FakeLine(), 1)
        await turns(3)
        assert calls.answer(call_id, "?") is False
        assert calls.fail(call_id, Refused("?")) is False
        calls.stray("code 401")
        await turns(3)
        assert [t.kind for t in troubles] == [TroubleKind.STRAY] * 3
        assert not waiting.done() and calls.answer(1, "ack")
        assert await waiting == "ack"

    run(main())


def test_a_refusal_is_raised_where_it_is_waited_for():
    async def main():
        calls, _ = make(HandClock())
        waiting = ask(calls, FakeLine(), 1)
        await turns(3)
        assert calls.fail(1, Refused("no margin", code="-2019"))
        with pytest.raises(Refused, match="no margin"):
            await waiting

    run(main())


def test_who_stops_waiting_leaves_nothing_behind():
    async def main():
        clock = HandClock()
        calls, troubles = make(clock)
        line = FakeLine()
        waiting = ask(calls, line, 1)
        await turns(3)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert calls.pending == 0
        assert calls.answer(1, "late") is False
        clock.advance(5_000)
        line.go_down("later")
        await turns(3)
        assert len(troubles) == 1

    run(main())


def test_over_a_socket_out_of_order_replies_all_find_their_request():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)

    async def main():
        held = []

        def on_text(peer, text):
            held.append(text)
            if len(held) == 20:
                rng.shuffle(held)
                for one in held:
                    peer.text(one)
                held.clear()

        clock = HandClock()
        calls, troubles = make(clock)

        def on_frame(_line, view):
            call_id, _, body = bytes(view).partition(b":")
            calls.answer(call_id, body)

        async with WsServer() as server:
            server.on_text = on_text
            socket = Socket(
                server.url, name="s", clock=clock, on_frame=on_frame, on_trouble=troubles.append
            )
            async with socket:
                line = await socket.wait_ready(timeout_ms=1_000)
                asked = {
                    n: asyncio.ensure_future(
                        calls.ask(line, b"%d" % n, b"%d:%d" % (n, n * n), timeout_ms=1_000)
                    )
                    for n in range(1_000)
                }
                for n, one in asked.items():
                    assert await one == b"%d" % (n * n)
        assert not troubles and calls.pending == 0

    run(main())


def test_over_a_socket_an_order_in_flight_when_the_line_drops_is_unknown_and_the_next_unreachable():
    async def main():
        clock = HandClock()
        calls, troubles = make(clock)
        async with WsServer() as server:
            server.on_text = lambda peer, _: peer.reset()
            socket = Socket(
                server.url,
                name="s",
                clock=clock,
                on_frame=lambda *_: None,
                on_trouble=troubles.append,
            )
            async with socket:
                line = await socket.wait_ready(timeout_ms=1_000)
                with pytest.raises(OutcomeUnknown, match="the line dropped"):
                    await calls.ask(line, 1, b"order", timeout_ms=60_000)
                with pytest.raises(Unreachable):
                    await calls.ask(line, 2, b"order", timeout_ms=60_000)
                await until(lambda: server.peers[0].gone)
                assert server.peers[0].got == [b"order"], "sent once, never again"
                assert calls.pending == 0

    run(main())


def test_leaving_the_socket_makes_what_waits_unknown():
    async def main():
        clock = HandClock()
        calls, troubles = make(clock)
        async with WsServer() as server:
            socket = Socket(
                server.url,
                name="s",
                clock=clock,
                on_frame=lambda *_: None,
                on_trouble=troubles.append,
            )
            async with socket:
                line = await socket.wait_ready(timeout_ms=1_000)
                waiting = ask(calls, line, 1)
                await until(lambda: server.peers[0].got)
            with pytest.raises(OutcomeUnknown):
                await waiting

    run(main())
