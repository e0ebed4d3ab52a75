"""Goal: each target gets its own keys and no other's, and one that cannot be had stops nobody.

Method: a notifier plugin by injection, the real host and configuration, and the lanes they become.
"""

from typing import Any, Self

import pytest

from hedge.config.settings import Settings
from hedge.decide import commands as c
from hedge.decide.rows import Row
from hedge.errors import ConfigError
from hedge.hookspecs import hookimpl
from hedge.plugins.host import PluginHost
from hedge.roles import Alert, NotifierContext
from hedge.runtime.clock import RealClock
from hedge.runtime.logs import Redactor
from hedge.runtime.notify.notifications import notifier_secrets, open_notifiers, url_secrets
from hedge.runtime.snapshot import AlarmView


class Acme:
    """A whole notifier, as small as one can be."""

    def __init__(self, context: NotifierContext) -> None:
        self.context = context
        self.sent: list[Alert] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def send(self, alert: Alert) -> None:
        self.sent.append(alert)


class Plugin:
    def __init__(self) -> None:
        self.made: dict[str, Acme] = {}

    @hookimpl
    def hedge_notifier(self, name: str, context: NotifierContext) -> Acme | None:
        if name != "acme":
            return None
        if context.settings.get("bad"):
            raise ConfigError("bad = true is bad")
        self.made[context.name] = Acme(context)
        return self.made[context.name]


def opened(tables: dict[str, Any], said: list[str]) -> tuple[Any, Plugin]:
    settings = Settings(notifiers=tables)
    plugin, host = Plugin(), PluginHost(())
    host.register(plugin, "acme")
    redactor = Redactor(notifier_secrets(settings))
    told = open_notifiers(host, settings, RealClock(), say=said.append, strike=redactor.text)
    return told, plugin


ONE = {"plugin": "acme", "on": ["mode"], "token": "token-of-one", "options": {"room": 1}}
TWO = {"plugin": "acme", "on": ["mode", "warning"], "url": "https://h/hook-of-two"}


def test_each_sees_its_own_keys_and_gets_the_rows_it_asked_for() -> None:
    said: list[str] = []
    told, plugin = opened({"one": ONE, "two": TWO}, said)
    one, two = plugin.made["one"], plugin.made["two"]
    assert (one.context.secrets, one.context.settings) == ({"token": "token-of-one"}, {"room": 1})
    assert two.context.secrets == {"url": "https://h/hook-of-two"}
    assert one.context.desk is None
    told.start()
    watch = told.watcher("btc")
    watch(Row(seq=1, at=0, entry=c.EndRun(exit_code=0, reason="UNWOUND")))
    watch(Row(seq=2, at=0, entry=c.RaiseAlarm(key="DATA_AGE", level="warning", text="old")))
    watch(Row(seq=3, at=0, entry=c.CloseRun(run_id=1, reason="no news to anybody")))
    told.found("btc", [AlarmView(key="X", level="page", text="t", raised_at=0)])
    told.close()
    assert [alert.text for alert in one.sent] == ["end UNWOUND (exit 0)"]
    assert {alert.text for alert in two.sent} == {"end UNWOUND (exit 0)", "WARNING DATA_AGE: old"}
    assert said == [f"notifier {name}: acme (hedge-engine (host))" for name in ("one", "two")]


def test_a_plugin_that_is_not_there_stops_nobody_and_is_told_to_the_others() -> None:
    said: list[str] = []
    told, plugin = opened({"gone": {"plugin": "absent"}, "two": TWO}, said)
    told.start()
    told.close()
    assert "notifier gone: broken" in said[0]
    (alert,) = plugin.made["two"].sent
    assert alert.level == "warning"
    assert "the notifier gone does not work" in alert.text


def test_a_wrong_configuration_ends_the_start() -> None:
    with pytest.raises(ConfigError, match="bad = true"):
        opened({"one": {"plugin": "acme", "options": {"bad": True}}}, [])


@pytest.mark.parametrize(
    "table", [{"trade": True}, {"repeat_s": 5}, {"digest_s": -1}, {"on": ["everything"]}]
)
def test_settings_that_cannot_be_meant_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="notifiers"):
        Settings(notifiers={"one": {"plugin": "acme", **table}})


def test_every_secret_of_a_notifier_is_known_to_the_redactor() -> None:
    settings = Settings(
        notifiers={
            "one": {**ONE, "options": {"deep": {"api_key": "key-in-options"}, "chat": 5}},
            "two": {"plugin": "acme", "url": "tgram://123456:bottoken/chat-number?k=querysecret"},
        }
    )
    redactor = Redactor(notifier_secrets(settings))
    for secret in ("token-of-one", "key-in-options", "123456:bottoken", "querysecret"):
        assert secret not in redactor.text(f"it failed at {secret}!")


def test_a_word_of_a_url_is_no_secret() -> None:
    assert "json" not in set(url_secrets("https://example.org/json/T0CANARY0?a=b"))
    assert "T0CANARY0" in set(url_secrets("https://example.org/json/T0CANARY0?a=b"))
