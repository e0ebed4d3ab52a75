"""A plugin's half of a socket, for the tests of `Socket`."""

import contextlib
import random

from hand_clock import HandClock, until
from ws_server import WsServer

from hedge.model import StreamAlive, StreamDown, StreamKind, StreamUp
from hedge.transport import Socket, SocketLimits

UP, DOWN, ALIVE = StreamUp, StreamDown, StreamAlive


class Desk:
    """A plugin's half of a socket: it remembers what it was told."""

    def __init__(self, server, clock, *, limits=None, **hooks):
        self.server, self.clock = server, clock
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


@contextlib.asynccontextmanager
async def whole(**options):
    """Yield a `Desk` with a server and a clock of its own, once its first line is whole."""
    async with WsServer() as server:
        desk = Desk(server, HandClock(), **options)
        async with desk.socket:
            await until(lambda: desk.socket.ready)
            yield desk
