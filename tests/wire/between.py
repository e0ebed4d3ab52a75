"""Small servers in the place of one of a venue's, that do what no simulator of a venue would."""

import asyncio
import contextlib
import json

import aiohttp
from aiohttp import web


def serving(handle):
    """Serve every path by ``handle``; yield host and port."""
    return listening([web.route("*", "/{path:.*}", handle)])


@contextlib.asynccontextmanager
async def listening(routes):
    """Serve ``routes`` on a port of their own; yield host and port."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()


class Raw:
    """A WebSocket server; ``told(number, line, message)`` hears of each message of each line."""

    def __init__(self, told, opened=None, lines_max=100):
        self.lines = []
        self._told, self._opened, self._lines_max = told, opened, lines_max

    async def handle(self, request):
        if len(self.lines) >= self._lines_max:
            return web.Response(status=503)
        line = web.WebSocketResponse()
        await line.prepare(request)
        self.lines.append(line)
        number = len(self.lines)
        if self._opened is not None:
            await self._opened(number, line)
        async for message in line:
            await self._told(number, line, json.loads(message.data))
        return line


class Relay:
    """A WebSocket server that hands all on, to ``url`` and back, and keeps what it heard by line.

    ``meddle(message)`` returns what is answered in the venue's place (nothing: ``[]``), or None
    for a message that is handed on.
    """

    def __init__(self, meddle=None):
        self.url = ""
        self.heard = []
        self._meddle = meddle or (lambda _: None)

    async def handle(self, request):
        near = web.WebSocketResponse()
        await near.prepare(request)
        heard = []
        self.heard.append(heard)
        async with aiohttp.ClientSession() as http, http.ws_connect(self.url) as far:
            back = asyncio.create_task(self._back(far, near))
            try:
                async for frame in near:
                    message = json.loads(frame.data)
                    heard.append(message)
                    answers = self._meddle(message)
                    if answers is None:
                        await far.send_str(frame.data)
                    for answer in answers or ():
                        await near.send_json(answer)
            finally:
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
        return near

    async def _back(self, far, near):
        async for frame in far:
            await near.send_str(frame.data)
        await near.close()
