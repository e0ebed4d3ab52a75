"""Goal: commands from a phone are heard only from whom they may be, once, and while fresh.

Method: the real Telegram SDK against a local server that speaks the Bot API; and an engine that
is really running, told by a phone what to do.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from services import (
    CHAT,
    STRANGER,
    TOKEN,
    Desk,
    Services,
    alert,
    config,
    context,
    hedge,
    make,
    play,
)

from hedge.errors import ConfigError

pytest.importorskip("telegram", reason="the extra telegram is not installed")


def test_commands_need_a_list_of_chats() -> None:
    given = context(Services(), "telegram", desk=Desk())
    with pytest.raises(ConfigError, match=r"options\.allow"):
        make("telegram", given)


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


# -- an engine that runs --------------------------------------------------------------------------

HOLDING = """
[run]
speed = "600"
[venues.sim]
data = "bundled:btc-8h"
start = "2024-04-18T20:00:00Z"
[hedges.life]
spot = "sim"
futures = "sim"
symbol = "BTC/USDT"
usd = "1500"
action = "single"
"""


def test_an_engine_is_paused_and_unwound_by_a_phone_and_by_nobody_else(tmp_path: Path) -> None:
    async def scene(services: Services) -> None:
        config(tmp_path, services, HOLDING, commands=True)
        life = asyncio.create_task(
            hedge(tmp_path, "run", "life", "--enter", "now", "--state-dir", str(tmp_path / "s"))
        )

        async def ask(line: str, words: str, **more: Any) -> str:
            seen = len(services.texts)
            services.write(line, **more)
            await services.until(lambda: any(words in text for text in services.texts[seen:]))
            return next(text for text in services.texts[seen:] if words in text)

        await services.until(lambda: any("mode HALT" in text for text in services.texts))
        services.write("/liquidate life", chat=STRANGER)
        await ask("/pause", "pause asked")
        shown = await ask("/status", "futures")
        assert ", paused" in shown
        preview = await ask("/liquidate life", "/confirm")
        assert "spot SELL" in preview
        assert "futures BUY" in preview
        code = preview.rpartition("/confirm ")[2].split()[0]
        wrong = f"{(int(code) + 1) % 10**6:06d}"
        assert "nothing was done" in await ask(f"/confirm {wrong}", "not the code")
        preview = await ask("/liquidate life", "/confirm")
        await ask(f"/confirm {preview.rpartition('/confirm ')[2].split()[0]}", "life:")
        code_of_exit, _, err = await life
        assert code_of_exit == 0, err
        assert any("end UNWOUND (exit 0)" in text for text in services.texts)

    play(scene)
