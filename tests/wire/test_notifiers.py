"""Goal: messages arrive at Telegram, Slack and Apprise once, and no secret arrives anywhere.

Method: the real SDKs against one local server that speaks their protocols, with faults on demand;
and the real command line against it.
"""

import contextlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from services import (
    KINDS,
    SECRETS,
    TOKEN,
    Services,
    alert,
    config,
    context,
    hedge,
    make,
    play,
)

from hedge.cli.notify_cmd import Nobody
from hedge.errors import ConfigError, HedgeError, Limited, OutcomeUnknown, Refused, Unreachable
from hedge.roles import NotifierContext
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
        ("telegram", {"token": TOKEN}, {"chat": 1, "chatt": 2}, "`chatt`; known: chat, allow, api"),
        ("telegram", {"token": TOKEN}, {"chat": 1, "api": "http://example.org"}, "unencrypted"),
        ("slack", {}, {}, "one secret"),
        ("slack", {"token": "t", "url": "https://h/x"}, {}, "one secret"),
        ("slack", {"token": "t"}, {}, "options.channel"),
        ("slack", {"token": "t"}, {"chanel": "#x"}, "`chanel`; known: channel, api"),
        ("slack", {"url": "http://example.org/canarycanary"}, {}, "unencrypted"),
        ("apprise", {}, {}, "notifiers__phone__url"),
        ("apprise", {}, {"url": "json://h"}, "`url`; known: none"),
        ("apprise", {"url": "jsons://h/canarycanary?verify=no"}, {}, "verification"),
        # No key that is searched for: pytest hears Apprise's own log, and nobody else does.
        ("apprise", {"url": "bogus://of-nobody"}, {}, "bogus://"),
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
    assert "of-nobody" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "secrets", "settings", "words"),
    [
        ("telegram", {"token": TOKEN}, {"chat": 1}, "needs options.allow"),
        ("slack", {"url": "https://127.0.0.1/x"}, {}, "nobody listens to Slack"),
        ("apprise", {"url": "json://127.0.0.1"}, {}, "Apprise only sends"),
    ],
)
def test_commands_that_nobody_could_give_are_no_configuration(
    kind: str, secrets: dict[str, str], settings: dict[str, Any], words: str
) -> None:
    given = NotifierContext(
        name="ears", secrets=secrets, settings=settings, clock=RealClock(), desk=Nobody()
    )
    with pytest.raises(ConfigError, match=words):
        make(kind, given)


def test_what_a_start_refuses_fails_at_the_test_as_well(tmp_path: Path) -> None:
    async def scene(services: Services) -> None:
        ears = f'plugin = "telegram"\ncommands = true\ntoken = "{TOKEN}"\noptions.chat = 1'
        config(tmp_path, services, f"[notifiers.ears]\n{ears}")
        code, out, _ = await hedge(tmp_path, "notify", "test", "ears")
        assert (code, "needs options.allow" in out) == (4, True), out
        hedged = ("--spot", "sim", "--futures", "sim", "--symbol", "BTC/USDT", "--usd", "600")
        code, _, err = await hedge(tmp_path, "run", *hedged, "--no-view")
        assert (code, "needs options.allow" in err) == (3, True), err

    assert not play(scene).got


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
        lines = [line for line in err.splitlines() if "notifier" in line]
        assert len(lines) == 3 and all(line.endswith("(hedge-engine 0.1.0)") for line in lines), err
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
