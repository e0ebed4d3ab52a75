"""Goal: messages arrive at Telegram, Slack and Apprise once, commands only from whom they may.

Method: the real SDKs against one local server that speaks the Bot API, the Slack Web API, Slack's
webhooks and a plain JSON hook, with faults on demand; and the real command line against it.
"""

import asyncio
import contextlib
import io
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hedge.errors import ConfigError, HedgeError, Limited, OutcomeUnknown, Refused, Unreachable
from hedge.model.numbers import SECOND
from hedge.roles import Alert, NotifierContext
from hedge.runtime.clock import RealClock
from hedge.runtime.logs import Redactor, set_up
from hedge.runtime.notify.notifications import url_secrets

pytestmark = pytest.mark.filterwarnings(
    # Apprise looks for a module that Python 3.13 no longer has; that is its own affair
    "ignore:'imghdr' is deprecated:DeprecationWarning"
)
pytest.importorskip("telegram", reason="the extra telegram is not installed")
pytest.importorskip("slack_sdk", reason="the extra slack is not installed")
pytest.importorskip("apprise", reason="the extra apprise is not installed")

TOKEN = "8123456789:AAcanarycanarycanarycanarycanary0"
SLACK_TOKEN = "xoxb-canary-222222222222-canarycanary"
HOOK = "/services/T0CANARY0/B0CANARY0/canarycanarycanary"
SECRETS = (TOKEN, SLACK_TOKEN, "canarycanary")
CHAT, STRANGER = 4242, 666
LIFE_S = 60
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
        app = web.Application()
        app.router.add_post("/bot{token}/{method}", self._bot)
        app.router.add_post("/api/{method}", self._slack)
        app.router.add_post(HOOK, self._hook)
        app.router.add_post("/json", self._json)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            if self._polling is not None and not self._polling.done():
                self._polling.set_result(None)
            await runner.cleanup()

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
        async with asyncio.timeout(LIFE_S), services.serve():
            await scene(services)

    asyncio.run(main())
    return services


KINDS = ("telegram", "slack", "hook", "apprise")


# -- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_arrives_once_with_its_level_its_hedge_and_its_text(kind: str) -> None:
    async def scene(services: Services) -> None:
        async with make(kind, context(services, kind)) as notifier:
            await notifier.send(alert("delta <!channel> *bold* & [x](http://y)"))
            await notifier.send(alert("mode INVENTORY", "event"))

    first, second = play(scene).got
    whole = json.dumps(first)
    assert first["service"] == kind
    assert "btc" in whole
    assert "alarm" in whole.lower()
    assert "mode INVENTORY" in second["text"]
    match kind:
        case "telegram":
            assert first["text"].endswith("\ndelta <!channel> *bold* & [x](http://y)")
            assert first["text"].startswith("ALARM btc 14 Nov 22:13:20Z")
            assert (first["quiet"], second["quiet"]) == (False, True)
        case "slack" | "hook":
            assert "<!channel>" not in first["text"], "nobody can be called by a text of ours"
            kinds = [block["type"] for block in first["blocks"]]
            assert kinds == ["header", "section", "context"]
            assert "mrkdwn" not in json.dumps(first["blocks"])
            assert [block["type"] for block in second["blocks"]] == ["section", "context"]
        case _:
            assert (first["kind"], second["kind"]) == ("failure", "info")


FAULTS: tuple[tuple[str, type[HedgeError], int], ...] = (
    ("429", Limited, 0), ("403", Refused, 0), ("500", OutcomeUnknown, 0),
    ("503", OutcomeUnknown, 0), ("lost", OutcomeUnknown, 1),
)  # fmt: skip
BODIES = (("nonsense", OutcomeUnknown, 1), ("huge", OutcomeUnknown, 1))
"""Of those whose answer has a body that counts; a JSON hook's answer is its status."""


@pytest.mark.parametrize(
    ("kind", "fault", "error", "kept"),
    [(kind, *fault) for kind in KINDS for fault in FAULTS + (() if kind == "apprise" else BODIES)],
)
def test_each_fault_is_what_it_is_and_nothing_is_sent_twice(
    kind: str, fault: str, error: type[HedgeError], kept: int
) -> None:
    async def scene(services: Services) -> None:
        services.fault = fault
        async with make(kind, context(services, kind)) as notifier:
            with pytest.raises(HedgeError) as caught:
                await notifier.send(alert())
            assert type(caught.value) is error, caught.value
            if fault == "429" and kind != "apprise":
                assert isinstance(caught.value, Limited)
                assert caught.value.retry_after_s == 17
            assert not any(secret in str(caught.value) for secret in SECRETS)
            assert len(services.got) == kept
            await notifier.send(alert("the next one"))
        assert len(services.got) == kept + 1

    play(scene)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_there_is_certain_not_to_have_got_it(kind: str) -> None:
    async def scene(services: Services) -> None:
        given = context(services, kind)
        async with contextlib.AsyncExitStack() as stack:
            gone = Services()
            async with gone.serve():
                given = context(gone, kind)
            notifier = await stack.enter_async_context(make(kind, given))
            with pytest.raises(Unreachable) as caught:
                await notifier.send(alert())
            assert not any(secret in str(caught.value) for secret in SECRETS)

    play(scene)


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("telegram", {"settings": {"chat": 404}}, "Chat not found"),
        ("telegram", {"settings": {"chat": 403}}, "write to the bot first"),
        ("telegram", {"secrets": {"token": "1:no"}}, "is the token right"),
        ("slack", {"settings": {"channel": "#other"}}, "channel_not_found"),
        ("slack", {"secrets": {"token": "xoxb-no"}}, "invalid_auth"),
    ],
)
def test_a_definite_no_says_why(kind: str, more: dict[str, Any], words: str) -> None:
    async def scene(services: Services) -> None:
        given = context(services, kind)
        settings = {**given.settings, **more.get("settings", {})}
        secrets = more.get("secrets", given.secrets)
        async with make(kind, context(services, kind, settings=settings, secrets=secrets)) as one:
            with pytest.raises(Refused) as caught:
                await one.send(alert())
        assert words in str(caught.value)

    play(scene)


@pytest.mark.parametrize(
    ("kind", "secrets", "settings", "words"),
    [
        ("telegram", {}, {"chat": 1}, "notifiers__phone__token"),
        ("telegram", {"token": TOKEN}, {}, "chat"),
        ("telegram", {"token": TOKEN}, {"chat": 1, "chatt": 2}, "chatt"),
        ("telegram", {"token": TOKEN}, {"chat": 1, "api": "http://example.org"}, "unencrypted"),
        ("slack", {}, {}, "one secret"),
        ("slack", {"token": "t", "url": "https://h/x"}, {}, "one secret"),
        ("slack", {"token": "t"}, {}, "options.channel"),
        ("slack", {"url": "http://example.org/canarycanary"}, {}, "unencrypted"),
        ("apprise", {}, {}, "notifiers__phone__url"),
        ("apprise", {"url": "jsons://h/canarycanary?verify=no"}, {}, "verification"),
        ("apprise", {"url": "bogus://canarycanary"}, {}, "bogus://"),
    ],
)
def test_a_wrong_configuration_is_said_before_anything_is_opened(
    kind: str, secrets: dict[str, str], settings: dict[str, Any], words: str
) -> None:
    given = NotifierContext(name="phone", secrets=secrets, settings=settings, clock=RealClock())
    with pytest.raises(ConfigError) as caught:
        make(kind, given)
    assert words in str(caught.value)
    assert "canarycanary" not in str(caught.value)


def test_commands_need_a_list_of_chats() -> None:
    given = context(Services(), "telegram", desk=Desk())
    with pytest.raises(ConfigError, match=r"options\.allow"):
        make("telegram", given)


# -- commands ------------------------------------------------------------------------------------


def listening(services: Services, desk: Desk, claims: Path | None = None) -> Any:
    settings = {"chat": CHAT, "allow": [CHAT], "api": services.url}
    given = context(
        services, "telegram", settings=settings, desk=desk, claims_dir=str(claims or "")
    )
    return make("telegram", given)


def test_a_command_is_heard_from_an_allowed_chat_only_and_only_when_fresh(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()

    async def scene(services: Services) -> None:
        services.write("/pause btc", at=int(time.time()) - 3_600)
        services.write("/liquidate btc", chat=STRANGER)
        services.write("hello")
        async with listening(services, desk):
            services.write("/status btc", user=77)
            await services.until(lambda: "you wrote /status btc" in services.texts)
            services.write("/report")
            await services.until(lambda: "you wrote /report" in services.texts)

    got = play(scene).got
    assert desk.asked == [
        ("/status btc", f"telegram {CHAT}/77", "103"),
        ("/report", f"telegram {CHAT}/1", "104"),
    ]
    assert {one["chat"] for one in got} == {str(CHAT)}, "a stranger gets no answer"
    assert "more than 60 s ago and was not done" in got[0]["text"]
    assert f"chat {STRANGER} is not in options.allow" in caplog.text
    assert TOKEN not in caplog.text


def test_without_a_desk_nothing_is_listened_to() -> None:
    async def scene(services: Services) -> None:
        services.write("/status")
        async with make("telegram", context(services, "telegram")) as notifier:
            await notifier.send(alert())

    assert play(scene).polls == 0


def test_a_second_poller_elsewhere_is_explained_once_and_alerts_still_arrive(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(services: Services) -> None:
        async with listening(services, Desk()) as here:
            await services.until(lambda: services.polls == 1)
            async with listening(services, Desk()):
                await services.until(lambda: any("409" in text for text in services.texts))
                await here.send(alert())

    got = play(scene).got
    assert len([one for one in got if "409" in one["text"]]) == 1
    assert "give each engine a bot of its own" in got[0]["text"]
    assert "delta stands" in got[-1]["text"]
    assert "409" in caplog.text
    assert TOKEN not in caplog.text


def test_two_engines_of_one_machine_share_a_bot_one_of_them_listens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Desk(), Desk()

    async def scene(services: Services) -> None:
        async with listening(services, first, tmp_path):
            await services.until(lambda: services.polls == 1)
            async with listening(services, second, tmp_path) as other:
                services.write("/status")
                await services.until(lambda: "you wrote /status" in services.texts)
                await other.send(alert("from the second"))

    services = play(scene)
    assert [line for line, _, _ in first.asked] == ["/status"]
    assert second.asked == []
    assert "another engine here listens to this bot already" in caplog.text
    assert not any("409" in text for text in services.texts)
    assert "from the second" in services.texts[-1]
    assert all(TOKEN not in path.name for path in tmp_path.iterdir())


# -- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_no_token_reaches_a_log_even_when_every_library_talks(kind: str) -> None:
    out = io.StringIO()
    before = logging.getLogger().handlers[:], logging.getLogger().level
    loud = ("httpx", "httpcore", "telegram", "slack_sdk", "aiohttp", "apprise", "urllib3")
    levels = {name: logging.getLogger(name).level for name in loud}

    async def scene(services: Services) -> None:
        given = context(services, kind)
        redactor = Redactor(url_secrets(given.secrets.get("url", "")))
        redactor.add(given.secrets.get("token", ""))
        set_up(as_json=False, redactor=redactor, messages=out, level=logging.DEBUG)
        for name in loud:
            logging.getLogger(name).setLevel(logging.DEBUG)
        async with make(kind, given) as notifier:
            await notifier.send(alert())
            for services.fault in ("500", "lost", "429"):
                with contextlib.suppress(HedgeError):
                    await notifier.send(alert())

    try:
        play(scene)
    finally:
        logging.basicConfig(handlers=before[0], level=before[1], force=True)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    written = out.getvalue()
    assert kind == "apprise" or len(written) > 100, "nothing was logged, so nothing was tested"
    for secret in SECRETS:
        assert secret not in written


# -- the command line ----------------------------------------------------------------------------


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
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def config(folder: Path, services: Services, more: str = "") -> None:
    path = folder / "hedge.toml"
    path.write_text(f"""
[notifiers.phone]
plugin = "telegram"
on = ["fill", "mode", "funding", "warning", "alarm"]
token = "{TOKEN}"
[notifiers.phone.options]
chat = {CHAT}
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


def test_notify_test_says_one_line_a_target_with_its_own_result(tmp_path: Path) -> None:
    async def scene(services: Services) -> None:
        config(tmp_path, services)
        code, out, err = await hedge(tmp_path, "notify", "test")
        assert (code, err) == (0, "")
        assert [line.split() for line in out.splitlines()] == [
            ["phone", "telegram", "delivered"],
            ["team", "slack", "delivered"],
            ["any", "apprise", "delivered"],
        ]
        wrong = (
            '[notifiers.lost]\nplugin = "telegram"\ntoken = "1:AAno"\n[notifiers.lost.options]\n'
        )
        config(tmp_path, services, f'{wrong}chat = 1\napi = "{services.url}"')
        code, out, err = await hedge(tmp_path, "notify", "test", "--json")
        assert code == 4
        rows = {row["name"]: row["result"] for row in json.loads(out)["data"]}
        assert rows.pop("lost").startswith("refused: Telegram does not know this bot")
        assert set(rows.values()) == {"delivered"}
        assert not any(secret in out + err for secret in SECRETS)

    got = play(scene).got
    assert sorted(one["service"] for one in got) == ["apprise", "apprise", "hook", "hook"] + (
        ["telegram"] * 2
    )
    assert all("Nothing has happened" in one["text"] for one in got)


LIFE = """
[run]
speed = "max"
[venues.sim]
data = "bundled:btc-8h"
start = "2024-04-18T20:00:00Z"
[hedges.life]
spot = "sim"
futures = "sim"
symbol = "BTC/USDT"
usd = "1500"
action = "single"
[hedges.life.funding]
exit_confirmations = 1
"""


def test_a_whole_run_tells_its_life_to_every_target_and_no_secret_to_anybody(
    tmp_path: Path,
) -> None:
    async def scene(services: Services) -> None:
        config(tmp_path, services, LIFE)
        code, out, err = await hedge(
            tmp_path,
            "run",
            "life",
            "--enter",
            "now",
            "--no-view",
            "--state-dir",
            str(tmp_path / "s"),
        )
        assert code == 0, err
        assert "notifier" not in err
        for service in ("telegram", "hook", "apprise"):
            told = "\n".join(one["text"] for one in services.got if one["service"] == service)
            for words in ("mode INVENTORY", "fills: ", "mode LIQUIDATION", "end UNWOUND (exit 0)"):
                assert words in told, (service, told)
            assert len(told.split("fills: ")) < 5, "fills come in digests"
        kept = "".join(
            path.read_bytes().decode("latin-1")
            for path in (tmp_path / "s").rglob("*")
            if path.is_file()
        )
        assert not any(secret in out + err + kept for secret in SECRETS)

    play(scene)
