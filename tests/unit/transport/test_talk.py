"""Goal: a stream of JSON is up when its subscription was answered, and says so when it was refused.
Method: a server on loopback that answers, refuses, keeps silent or talks nonsense as told.
"""

import json

from hand_clock import HandClock, run, turns, until, until_after
from ws_server import WsServer

from hedge.model import StreamDown, StreamKind, StreamUp
from hedge.transport import Talk, TroubleKind, Verdicts

VERDICTS = Verdicts(name="acme", refused=frozenset({"KEY"}))


class Desk:
    def __init__(self, server, clock):
        self.rows, self.news, self.troubles, self.refreshed = [], [], [], 0
        self.talk = Talk(
            server.url,
            verdicts=VERDICTS,
            clock=clock,
            kind=StreamKind.ACCOUNT,
            on_row=self.rows.append,
            on_state=self.news.append,
            on_trouble=self.troubles.append,
            subscribe=lambda: {"sub": "mine", "nonce": len(self.news)},
            beat={"beat": True},
            silence_ms=1_000,
            refresh=self.refresh,
        )

    async def refresh(self):
        self.refreshed += 1

    @property
    def states(self):
        return [type(one) for one in self.news if not type(one).__name__.endswith("Alive")]


def answering(peer, text):
    peer.text(json.dumps({"id": json.loads(text)["id"]}))


def refusing(peer, text):
    peer.text(json.dumps({"id": json.loads(text)["id"], "code": "KEY", "msg": "who"}))


def test_it_is_up_once_subscribed_and_every_row_is_handed_over():
    async def main():
        async with WsServer() as server:
            server.on_text = answering
            desk = Desk(server, HandClock())
            async with desk.talk:
                await until(lambda: desk.states)
                assert desk.states == [StreamUp] and desk.refreshed == 1
                (asked,) = (json.loads(text) for text in server.peers[0].got)
                assert asked == {"id": 1, "sub": "mine", "nonce": 0}
                for text in ("]", "7", '{"id": "x"}', '{"deal": 1}'):
                    server.peers[0].text(text)
                await until(lambda: any("deal" in row for row in desk.rows))
                assert desk.states == [StreamUp], "nonsense is trouble, not the end"
                await until(lambda: [one.kind for one in desk.troubles] == [TroubleKind.FRAME] * 3)

    run(main())


def test_a_refused_subscription_is_not_up_and_is_tried_again():
    async def main():
        async with WsServer() as server:
            server.on_text = refusing
            clock = HandClock()
            desk = Desk(server, clock)
            async with desk.talk:
                await until_after(clock, lambda: len(server.peers) > 1)
                assert not desk.states and not desk.refreshed
                assert any("KEY who" in one.text for one in desk.troubles)
                server.on_text = answering
                await until_after(clock, lambda: desk.states == [StreamUp])

    run(main())


def test_a_silent_venue_is_asked_and_one_that_does_not_answer_is_left():
    async def main():
        async with WsServer() as server:
            server.on_text = answering
            clock = HandClock()
            desk = Desk(server, clock)
            async with desk.talk:
                await until(lambda: desk.states)
                await until_after(clock, lambda: len(server.peers[0].got) > 1)
                assert json.loads(server.peers[0].got[1]) == {"id": 2, "beat": True}
                await turns()
                assert desk.states == [StreamUp]
                server.on_text = lambda peer, text: None
                await until_after(clock, lambda: StreamDown in desk.states)

    run(main())
