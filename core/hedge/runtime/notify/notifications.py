"""All targets of one engine: opened from the configuration, fed with rows, closed at the end."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hedge.config.dirs import claims_directory
from hedge.config.files import is_secret, leaves
from hedge.config.settings import NotifierSettings, Settings
from hedge.decide.rows import Row
from hedge.errors import PluginError
from hedge.plugins.host import PluginHost
from hedge.roles import Alert, Clock, CommandDesk, Notifier, NotifierContext
from hedge.runtime.notify.lane import Lane, ThreadLane, down_alert
from hedge.runtime.notify.policy import Policy
from hedge.runtime.notify.said import LOUD
from hedge.runtime.notify.target import Target
from hedge.runtime.snapshot import AlarmView

PART_CHARS_MIN = 8
"""A part of a secret URL that is shorter than this is a word, not a key."""

DeskOf = Callable[[str, NotifierSettings], CommandDesk | None]


class Notifications:
    """The lanes of an engine's targets; with none of them everything here does nothing."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = tuple(lanes)

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    def watcher(self, hedge: str) -> Callable[[Row], None]:
        """Return what a pump calls with every row of ``hedge``."""
        lanes = self._lanes

        def watch(row: Row) -> None:
            for lane in lanes:
                lane.row(hedge, row)

        return watch

    def found(self, hedge: str, alarms: Iterable[AlarmView]) -> None:
        """Go on with the alarms that stood unacknowledged when the engine started."""
        for alarm in alarms:
            if alarm.level in LOUD and not alarm.acknowledged:
                text = f"{alarm.level.upper()} {alarm.key}: {alarm.text}"
                for lane in self._lanes:
                    lane.do(_found(hedge, alarm, text))

    def tell(self, alert: Alert) -> None:
        """Tell every target what no row says."""
        for lane in self._lanes:
            lane.do(_put(alert))

    def close(self) -> None:
        """Let every target send what waits, side by side; bounded, whatever a notifier does."""
        for lane in self._lanes:
            lane.stop()
        for lane in self._lanes:
            lane.join()


def _found(hedge: str, alarm: AlarmView, text: str) -> Callable[[Target], None]:
    return lambda target: target.found(hedge, alarm.key, text, alarm.raised_at)


def _put(alert: Alert) -> Callable[[Target], None]:
    return lambda target: target.put(alert)


def open_notifiers(
    host: PluginHost,
    settings: Settings,
    clock: Clock,
    *,
    say: Callable[[str], None],
    strike: Callable[[str], str],
    desk_of: DeskOf = lambda _name, _settings: None,
) -> Notifications:
    """Ask the plugins for every ``[notifiers.NAME]``.

    A wrong configuration ends the start (`ConfigError`). A plugin that is missing or broken does
    not: an open hedge is not left alone because nobody can be told of it; the others are told.
    """
    lanes: list[ThreadLane] = []
    broken: dict[str, str] = {}

    def ended(name: str, why: str) -> None:
        for other in lanes:
            if other.name != name:
                other.do(_put(down_alert(name, why, clock.now())))

    for name, one in settings.notifiers.items():
        try:
            notifier, provider = make_notifier(host, name, one, clock, desk_of(name, one))
        except PluginError as error:
            broken[name] = strike(str(error))
            say(f"notifier {name}: broken, nothing is sent to it: {broken[name]}")
            continue
        say(f"notifier {name}: {provider}")
        make = _maker(name, notifier, one, clock, say=say, strike=strike)
        lanes.append(ThreadLane(name, make, say=say, ended=ended))
    for name, why in broken.items():
        ended(name, why)
    return Notifications(lanes)


def make_notifier(
    host: PluginHost,
    name: str,
    settings: NotifierSettings,
    clock: Clock,
    desk: CommandDesk | None = None,
) -> tuple[Notifier, str]:
    """Return the unopened notifier of ``[notifiers.NAME]``, and which plugin answered.

    It sees its own keys alone.
    """
    given = {"token": settings.token, "url": settings.url}
    context = NotifierContext(
        name=name,
        settings=settings.options,
        clock=clock,
        secrets={key: value.get_secret_value() for key, value in given.items() if value},
        desk=desk,
        claims_dir=str(claims_directory()),
    )
    return host.notifier(settings.plugin, context)


def _maker(
    name: str,
    notifier: Notifier,
    settings: NotifierSettings,
    clock: Clock,
    *,
    say: Callable[[str], None],
    strike: Callable[[str], str],
) -> Callable[[], Target]:
    policy = Policy(settings.on, digest_s=settings.digest_s, repeat_s=settings.repeat_s)
    return lambda: Target(name, notifier, policy, clock, say=say, strike=strike)


def notifier_secrets(settings: Settings) -> Iterator[str]:
    """Yield every secret of every notifier, and the parts of a URL that are keys by themselves."""
    for one in settings.notifiers.values():
        if one.token is not None:
            yield one.token.get_secret_value()
        if one.url is not None:
            yield from url_secrets(one.url.get_secret_value())
        for path, value in leaves(one.options):
            if value and is_secret(("notifiers", "", "options", *path)):
                yield str(value)


def url_secrets(url: str) -> Iterator[str]:
    """Yield a URL whose parts are secret, and those of its parts that are long enough to be one."""
    yield url
    parts: Any = urlsplit(url)
    yield from (part for part in (parts.path, parts.netloc) if len(part) >= PART_CHARS_MIN)
    words = [parts.password or "", *parts.path.split("/"), *parts.netloc.split("@")]
    words += [value for _, value in parse_qsl(parts.query)]
    for word in words:
        if len(word) >= PART_CHARS_MIN:
            yield word
            yield unquote(word)
