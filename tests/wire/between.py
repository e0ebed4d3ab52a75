"""Small servers in the place of one of a venue's, that do what no simulator of a venue would."""

import contextlib
import json

from aiohttp import web


@contextlib.asynccontextmanager
async def serving(handle):
    """Serve every path by ``handle`` on a port of its own; yield host and port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
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
