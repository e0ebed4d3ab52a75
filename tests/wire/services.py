"""A server that speaks the Bot API, the Slack Web API, Slack's webhooks and a plain JSON hook.

On loopback, with faults on demand; and how a notifier and the command line are pointed at it.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from between import listening

from hedge.model.numbers import SECOND
from hedge.roles import Alert, NotifierContext
from hedge.runtime.clock import RealClock

TOKEN = "8123456789:AAcanarycanarycanarycanarycanary0"
SLACK_TOKEN = "xoxb-canary-222222222222-canarycanary"
HOOK = "/services/T0CANARY0/B0CANARY0/canarycanarycanary"
SECRETS = (TOKEN, SLACK_TOKEN, "canarycanary")
CHAT, STRANGER = 4242, 666
LIFE_S = 40
MEGABYTE = "x" * 1_048_576


class Services:
    """A server on loopback; ``fault`` is what happens to the next message only."""

    def __init__(self) -> None:
        self.fault = ""
        self.got: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self.polls = 0
        self._polling: asyncio.Future[None] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator["Services"]:
        routes = (
            web.post("/bot{token}/{method}", self._bot),
            web.post("/api/{method}", self._slack),
            web.post(HOOK, self._hook),
            web.post("/json", self._json),
        )
        async with listening(routes) as where:
            self.port = int(where.rpartition(":")[2])
            try:
                yield self
            finally:
                if self._polling is not None and not self._polling.done():
                    self._polling.set_result(None)

    @property
    def texts(self) -> list[str]:
        return [one["text"] for one in self.got]

    def keep(self, service: str, text: str, **more: Any) -> None:
        self.got.append({"service": service, "text": text, **more})
        self.news()

    def news(self) -> None:
        """Wake everybody who waits for something to have changed."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def change(self) -> "asyncio.Future[None]":
        """Return what is done at the next change from now on."""
        self._waiting.append(asyncio.get_running_loop().create_future())
        return self._waiting[-1]

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            await self.change()

    def write(self, text: str, chat: int = CHAT, at: int | None = None, user: int = 1) -> None:
        """Write to the bot."""
        number = 100 + len(self.updates)
        message = {
            "message_id": number, "date": at or int(time.time()), "text": text,
            "chat": {"id": chat, "type": "private"},
            "from": {"id": user, "is_bot": False, "first_name": "A"},
        }  # fmt: skip
        self.updates.append({"update_id": number, "message": message})
        self.news()

    async def _faulty(self, request: web.Request, keep: Callable[[], None]) -> web.Response | None:
        fault, self.fault = self.fault, ""
        match fault:
            case "":
                return None
            case "lost":
                keep()
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "huge":
                keep()
                return web.Response(text=MEGABYTE, content_type="text/html")
            case "nonsense":
                keep()
                return web.Response(text='{"ok": tru', content_type="application/json")
            case _:
                return web.Response(status=int(fault), text="Bad", headers={"Retry-After": "17"})

    async def _bot(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        if request.match_info["token"] != TOKEN:
            return _no(401, "Unauthorized")
        if request.match_info["method"] == "getUpdates":
            return await self._get_updates(int(str(form.get("offset") or 0)))
        assert request.match_info["method"] == "sendMessage"
        chat, text = str(form["chat_id"]), str(form["text"])

        def keep() -> None:
            self.keep("telegram", text, chat=chat, quiet=form.get("disable_notification") == "true")

        if self.fault == "429":
            self.fault = ""
            return _no(429, "Too Many Requests: retry after 17", parameters={"retry_after": 17})
        if (answer := await self._faulty(request, keep)) is not None:
            return answer
        if chat == "404":
            return _no(400, "Bad Request: chat not found")
        if chat == "403":
            return _no(403, "Forbidden: bot was blocked by the user")
        keep()
        sent = {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "text": text}
        return web.json_response({"ok": True, "result": sent})

    async def _get_updates(self, offset: int) -> web.Response:
        """Let one poller wait; the one before it is sent away, as Telegram does."""
        if self._polling is not None and not self._polling.done():
            self._polling.set_result(None)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._polling = mine
        self.polls += 1
        self.news()
        while True:
            found = [one for one in self.updates if one["update_id"] >= offset]
            if found:
                mine.cancel()
                return web.json_response({"ok": True, "result": found})
            if mine.done():
                return _no(409, "Conflict: terminated by other getUpdates request")
            await asyncio.wait({self.change(), mine}, return_when=asyncio.FIRST_COMPLETED)

    async def _slack(self, request: web.Request) -> web.Response:
        body = await request.json()
        if request.headers.get("Authorization") != f"Bearer {SLACK_TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})

        def keep() -> None:
            self.keep("slack", body["text"], blocks=body["blocks"])

        if (answer := await self._faulty(request, keep)) is not None:
            return answer
        if body["channel"] != "#hedge":
            return web.json_response({"ok": False, "error": "channel_not_found"})
        keep()
        return web.json_response({"ok": True, "channel": "C1", "ts": "1.1"})

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.json()

        def keep() -> None:
            self.keep("hook", body["text"], blocks=body["blocks"])

        if (answer := await self._faulty(request, keep)) is not None:
            return answer
        keep()
        return web.Response(text="ok")

    async def _json(self, request: web.Request) -> web.Response:
        body = await request.json()

        def keep() -> None:
            self.keep("apprise", body["message"], title=body["title"], kind=body["type"])

        if (answer := await self._faulty(request, keep)) is not None:
            return answer
        keep()
        return web.Response(text="fine")


def _no(status: int, text: str, **more: Any) -> web.Response:
    body = {"ok": False, "error_code": status, "description": text, **more}
    return web.json_response(body, status=status)


class Desk:
    """Answers at once, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def answer(self, line: str, *, by: str, request_id: str) -> str:
        self.asked.append((line, by, request_id))
        return f"you wrote {line}"


def context(services: Services, kind: str, **more: Any) -> NotifierContext:
    secrets, settings = {
        "telegram": ({"token": TOKEN}, {"chat": CHAT, "api": services.url}),
        "slack": ({"token": SLACK_TOKEN}, {"channel": "#hedge", "api": f"{services.url}/api"}),
        "hook": ({"url": services.url + HOOK}, {}),
        "apprise": ({"url": f"json://127.0.0.1:{services.port}/json?k=canarycanary"}, {}),
    }[kind]
    given = {"name": "phone", "secrets": secrets, "settings": settings, "clock": RealClock()}
    return NotifierContext(**{**given, **more})


def make(kind: str, given: NotifierContext) -> Any:
    import hedge_apprise.plugin
    import hedge_slack.plugin
    import hedge_telegram.plugin

    name = "slack" if kind == "hook" else kind
    plugins = (hedge_telegram.plugin, hedge_slack.plugin, hedge_apprise.plugin)
    made = [plugin.hedge_notifier(name=name, context=given) for plugin in plugins]
    assert len([one for one in made if one is not None]) == 1
    return next(one for one in made if one is not None)


def alert(text: str = "delta stands", level: str = "alarm") -> Alert:
    return Alert(key="btc:UNHEDGED", level=level, hedge="btc", text=text, at=1_700_000_000 * SECOND)


def play(scene: Callable[[Services], Any]) -> Services:
    services = Services()

    async def main() -> None:
        try:
            async with asyncio.timeout(LIFE_S), services.serve():
                await scene(services)
        except TimeoutError:
            pytest.fail("\n".join(("not in time; so far it was told:", *services.texts)))

    asyncio.run(main())
    return services


KINDS = ("telegram", "slack", "hook", "apprise")


async def hedge(folder: Path, *words: str) -> tuple[int, str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hedge.cli.main", *words, cwd=folder,
        env={**kept, "HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def config(folder: Path, services: Services, more: str = "", *, commands: bool = False) -> None:
    """Write a configuration with one target of each kind; ``commands`` with trade commands."""
    path = folder / "hedge.toml"
    path.write_text(f"""
[notifiers.phone]
plugin = "telegram"
on = ["fill", "mode", "funding", "warning", "alarm"]
token = "{TOKEN}"
commands = {str(commands).lower()}
trade = {str(commands).lower()}
[notifiers.phone.options]
chat = {CHAT}
allow = [{CHAT}]
api = "{services.url}"
[notifiers.team]
plugin = "slack"
url = "{services.url}{HOOK}"
[notifiers.any]
plugin = "apprise"
url = "json://127.0.0.1:{services.port}/json?k=canarycanary"
{more}
""")
    path.chmod(0o600)
