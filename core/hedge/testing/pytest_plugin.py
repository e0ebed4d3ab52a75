"""``pytest --hedge-venue=NAME``: the kit's cards as tests, without a test file of anybody's.

Every pytest of an environment that has hedge loads it, so it imports the kit only when asked.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hedge.testing.cards import Card
    from hedge.testing.run import Stand

KIT = "hedge kit"
SEEN = pytest.StashKey[list[tuple[str, str]]]()
"""(venue, what was seen) of each card that failed."""
SKIPPED = pytest.StashKey[list[tuple[str, str]]]()
"""(venue, card and reason) of each card that was skipped."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the kit."""
    group = parser.getgroup("hedge", "conformance of a venue plugin")
    group.addoption(
        "--hedge-venue", action="append", default=[], metavar="NAME",
        help="run the conformance kit on this venue (may be repeated)",
    )  # fmt: skip
    group.addoption(
        "--hedge-level", default="offline", choices=["offline", "public", "testnet"],
        help="offline: the plugin's testbed; public: the real venue, no key; testnet: with a key",
    )  # fmt: skip
    group.addoption(
        "--hedge-testbed", action="append", default=[], metavar="VENUE=MODULE:FUNCTION",
        help="the testbed of a venue, instead of the one its entry point names",
    )  # fmt: skip
    group.addoption(
        "--hedge-setting", action="append", default=[], metavar="KEY=VALUE",
        help="one more setting of [venues.NAME]",
    )  # fmt: skip
    group.addoption(
        "--hedge-spot", default="BTC/USDT", help="spot symbol where there is no testbed"
    )
    group.addoption(
        "--hedge-futures", default="BTC/USDT:USDT", help="perpetual where there is no testbed"
    )
    group.addoption("--hedge-card", default="", help="only cards whose title contains this")


def pytest_collection(session: pytest.Session) -> None:
    """Look at no test file where a venue is named and no file is."""
    config = session.config
    if config.getoption("--hedge-venue") and config.args_source != config.ArgsSource.ARGS:
        config.args = []


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> Iterator[None]:
    """Add the cards of each venue."""
    for venue in config.getoption("--hedge-venue"):
        items.extend(Venue.from_parent(session, name=f"kit[{venue}]", venue=venue).collect())
    yield


class Venue(pytest.Collector):
    """One venue, and every card of the kit."""

    def __init__(self, *, venue: str, **more: Any) -> None:
        super().__init__(**more)
        self.venue = venue

    def collect(self) -> Sequence["CardItem"]:
        """Return an item for each card."""
        from hedge.testing.cards import all_cards  # noqa: PLC0415 - only where it is asked for

        stand = stand_of(self.config, self.venue)
        wanted = self.config.getoption("--hedge-card")
        return [
            CardItem.from_parent(self, name=card.title, card=card, stand=stand)
            for card in all_cards()
            if wanted in card.title
        ]


def stand_of(config: pytest.Config, venue: str) -> "Stand":
    """Return what the options say of one venue."""
    from hedge.model import Leg  # noqa: PLC0415 - only where it is asked for
    from hedge.testing.cards import Level  # noqa: PLC0415 - only where it is asked for
    from hedge.testing.run import Stand, made_of  # noqa: PLC0415 - only where it is asked for

    testbeds = dict(one.partition("=")[::2] for one in config.getoption("--hedge-testbed"))
    return Stand(
        venue=venue,
        level=Level(config.getoption("--hedge-level")),
        maker=made_of(testbeds[venue]) if venue in testbeds else None,
        settings=dict(one.partition("=")[::2] for one in config.getoption("--hedge-setting")),
        symbols={
            Leg.SPOT: config.getoption("--hedge-spot"),
            Leg.FUTURES: config.getoption("--hedge-futures"),
        },
    )


class CardItem(pytest.Item):
    """One card of one venue."""

    def __init__(self, *, card: "Card", stand: "Stand", **more: Any) -> None:
        super().__init__(**more)
        self.card = card
        self.stand = stand

    def runtest(self) -> None:
        """Play the card, or skip it with the reason."""
        from hedge.testing.run import Lacking, play, why_skipped  # noqa: PLC0415 - only where it is asked for

        reason = why_skipped(self.card, self.stand)
        if not reason:
            try:
                play(self.card, self.stand)
            except Lacking as lacking:
                reason = str(lacking)
        if reason:
            skipped = self.config.stash.setdefault(SKIPPED, [])
            skipped.append((self.stand.venue, f"{self.card.title}: {reason}"))
            raise pytest.skip.Exception(reason, _use_item_location=True)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any, **__: Any) -> str:
        """Say what is missing in a few lines, and where; no traceback of ours."""
        from hedge.errors import HedgeError  # noqa: PLC0415 - only where it is asked for
        from hedge.testing.cards import Failed  # noqa: PLC0415 - only where it is asked for
        from hedge.testing.desk import where  # noqa: PLC0415 - only where it is asked for

        error = excinfo.value
        text = " ".join(str(error).split())
        if not isinstance(error, Failed):
            kind = type(error).__name__
            place = where(error)
            text = f"{kind}: {text}" + (f" ({place})" if place else "")
            if isinstance(error, AssertionError | HedgeError) is False:
                text += "; only errors of hedge.errors may leave a role"
        self.config.stash.setdefault(SEEN, []).append((self.stand.venue, text))
        card = self.card
        lines = (
            card.expected,
            f"  given: {card.prerequisite}",
            f"  when:  {card.action}",
            f"  saw:   {text}",
        )
        return "\n".join(lines)

    def reportinfo(self) -> tuple[str, int, str]:
        """Name the card instead of a file."""
        return KIT, 0, f"{self.stand.venue}: {self.card.title}"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """List each skip with its reason, and once what is missing, with the cards that fail for it."""
    none: list[tuple[str, str]] = []
    failed: list[tuple[str, str]] = config.stash.get(SEEN, none)
    seen = Counter(failed)
    told = [(venue, "skipped", text) for venue, text in config.stash.get(SKIPPED, none)]
    told += [
        (venue, "missing", f"{text} ({count} cards)" if count > 1 else text)
        for (venue, text), count in seen.items()
    ]
    for venue, what in dict.fromkeys((venue, what) for venue, what, _ in told):
        terminalreporter.section(f"{venue}: {what}")
        for of, kind, text in told:
            if (of, kind) == (venue, what):
                terminalreporter.write_line(text)
