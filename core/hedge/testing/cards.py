"""Cards: what a venue must do, each with its prerequisite, action and expected sequence."""

import enum
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from hedge.roles import Can, LegKind, VenueSpec
from hedge.testing.testbed import Switch

if TYPE_CHECKING:
    from hedge.testing.desk import Desk


class Level(enum.StrEnum):
    """Against what the kit runs."""

    OFFLINE = "offline"
    """The plugin's testbed: every card."""
    PUBLIC = "public"
    """The real venue without a key: instruments, prices and rates."""
    TESTNET = "testnet"
    """The venue's testnet with a key: whatever needs no switch, in the smallest orders."""


class Group(enum.StrEnum):
    """The chapters, in their order."""

    INSTRUMENTS = "instruments"
    MARKET = "market"
    ORDERS = "orders"
    AMBIGUITY = "ambiguity"
    FILLS = "fills"
    ACCOUNT = "account"
    STREAM = "stream"
    MONEY = "money"
    ERRORS = "errors"
    HYGIENE = "hygiene"


class Failed(Exception):
    """A card's expectation that was not met: one line for a to-do list."""


def expect(met: object, text: str) -> None:
    """Raise `Failed` with ``text`` unless it is met."""
    if not met:
        raise Failed(text)


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to prove; ``play`` is given an open desk."""

    name: str
    group: Group
    prerequisite: str
    action: str
    expected: str
    play: Callable[["Desk"], Awaitable[None]]
    legs: LegKind = LegKind.NONE
    """The legs without which there is nothing to prove; NONE: any leg will do."""
    can: Can = Can.NONE
    switches: tuple[Switch, ...] = ()
    standing: tuple[Switch, ...] = ()
    trades: bool = True
    """Needs an account; False: runs at level public too."""

    @property
    def title(self) -> str:
        return f"{self.group.value}.{self.name}"

    @property
    def needs(self) -> tuple[Switch, ...]:
        return (*self.switches, *self.standing)

    @property
    def skipped_when(self) -> str:
        """Say when the card is skipped, in words."""
        when = [f"the venue has no {leg.name.lower()} leg" for leg in self.legs if leg.name]
        when += [f"the capability {flag.name} is not claimed" for flag in self.can]
        if self.needs:
            when.append("the testbed excuses " + " or ".join(one.value for one in self.needs))
            when.append("the level is not offline")
        elif self.trades:
            when.append("the level is public")
        return "; ".join(when) or "never"

    def why_not(self, spec: VenueSpec, level: Level) -> str:
        """Return why this card does not apply to a venue at a level, "" where it does."""
        for leg in self.legs:
            if leg not in spec.legs:
                return f"{spec.name} has no {(leg.name or '').lower()} leg"
        for flag in self.can:
            if flag not in spec.can:
                return f"{spec.name} does not claim Can.{flag.name}"
        if self.needs and level is not Level.OFFLINE:
            return f"needs the switches of a testbed; the level is {level.value}"
        if self.trades and level is Level.PUBLIC:
            return "needs an account; the level is public"
        return ""


CARDS: dict[str, Card] = {}
"""Every card by its title, in the order of the chapters."""


def card(
    group: Group, *, given: str, when: str, then: str, **options: Any
) -> Callable[[Callable[["Desk"], Awaitable[None]]], Callable[["Desk"], Awaitable[None]]]:
    """Register an async function of a desk as a card: given, when, then."""

    def register(play: Callable[["Desk"], Awaitable[None]]) -> Callable[["Desk"], Awaitable[None]]:
        assert inspect.iscoroutinefunction(play)
        found = Card(
            name=play.__name__,
            group=group,
            prerequisite=given,
            action=when,
            expected=then,
            play=play,
            **options,
        )
        assert found.title not in CARDS, found.title
        CARDS[found.title] = found
        return play

    return register


def all_cards() -> tuple[Card, ...]:
    """Return every card of every chapter."""
    from hedge.testing import chapters  # noqa: PLC0415 - they register themselves here

    order = list(Group)
    assert chapters.__all__
    return tuple(sorted(CARDS.values(), key=lambda one: order.index(one.group)))
