"""How a card is run: find the plugin and its testbed, open them, play, and bound the time."""

import asyncio
import functools
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hedge.errors import PluginError
from hedge.model import Leg
from hedge.plugins import Found, PluginHost, discover, load_plugins
from hedge.roles import VenueContext
from hedge.testing.cards import Card, Failed, Level
from hedge.testing.clock import KitClock
from hedge.testing.desk import WAIT_S, Desk
from hedge.testing.testbed import Switch, Testbed

TESTBEDS = "hedge.testbeds"
CARD_S = 30.0
"""The longest a card may take."""
SECRETS = "HEDGE_KIT_"
"""Keys for level testnet: HEDGE_KIT_API_KEY is ``api_key``."""
Maker = Callable[[str, frozenset[Switch], KitClock], Testbed]


class Lacking(Exception):
    """A card that this venue's testbed cannot play, with its excuse: a skip."""


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """What one venue is tested with."""

    venue: str
    level: Level = Level.OFFLINE
    maker: Maker | None = None
    """None: looked up among the entry points."""
    settings: Mapping[str, str] = {}
    symbols: Mapping[Leg, str] = {}
    patience_s: float = WAIT_S
    """How long a card waits for what must be told."""

    def host(self, settings: Mapping[str, Any] | None = None) -> PluginHost:
        """Return a host that may load the venue's own plugin: who tests it trusts it."""
        base = self.venue.partition(":")[0]
        found = _installed(tuple(sys.path))
        allow = [one.allow_line for one in found if one.name == base and not one.bundled]
        tables = {self.venue: settings or {}}
        return load_plugins([self.venue], allow=allow, venues=tables, found=found)


@functools.cache
def _installed(path: tuple[str, ...]) -> tuple[Found, ...]:
    """Return what is installed, read once for each path: a card is opened within milliseconds."""
    return discover(path)


def find_maker(venue: str) -> Maker:
    """Return the function that makes the venue's testbed; raise `Failed` where there is none."""
    base = venue.partition(":")[0]
    value = _testbeds(tuple(sys.path)).get(base)
    if value is None:
        raise Failed(
            f'no testbed: add [project.entry-points."{TESTBEDS}"] {base} ='
            ' "PACKAGE.testing:testbed" to pyproject.toml; it is a fake of your venue on this'
            " machine (docs/writing-plugins.md)"
        )
    return made_of(value)


@functools.cache
def _testbeds(path: tuple[str, ...]) -> dict[str, str]:
    """Return venue -> function, read once for each path as `_installed` is."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions(path=list(path)):
        for point in distribution.entry_points:
            if point.group == TESTBEDS:
                found.setdefault(point.name, point.value)
    return found


def made_of(value: str) -> Maker:
    """Import ``module:function``."""
    module, _, name = value.partition(":")
    maker: Maker = getattr(importlib.import_module(module), name)
    return maker


def why_skipped(card: Card, stand: Stand) -> str:
    """Return why the card is not for this venue; `PluginError` where there is no such venue."""
    return card.why_not(stand.host().spec(stand.venue), stand.level)


def play(card: Card, stand: Stand) -> None:
    """Play one card on a loop of its own; raise `Failed`, `Lacking`, or what the plugin raised."""
    asyncio.run(played(card, stand))


async def played(card: Card, stand: Stand) -> None:
    """Play one card on the running loop, as `play` does."""
    try:
        async with asyncio.timeout(CARD_S):
            await _within(card, stand)
    except TimeoutError:
        raise Failed(f"not over within {CARD_S:g} s: a call of the plugin hangs") from None


async def _within(card: Card, stand: Stand) -> None:
    clock = KitClock()
    if stand.level is not Level.OFFLINE:
        await _on(card, stand, clock, None)
        return
    maker = stand.maker or find_maker(stand.venue)
    testbed = maker(stand.venue, frozenset(card.standing), clock)
    excuses = [f"{one.value}: {testbed.lacks[one]}" for one in card.needs if one in testbed.lacks]
    if excuses:
        raise Lacking("; ".join(excuses))
    async with testbed as opened:
        await _on(card, stand, clock, opened)


async def _on(card: Card, stand: Stand, clock: KitClock, testbed: Testbed | None) -> None:
    settings: dict[str, Any] = dict(stand.settings)
    symbols = dict(stand.symbols)
    if testbed is None:
        settings.setdefault("environment", "live" if stand.level is Level.PUBLIC else "testnet")
        secrets = {
            name.removeprefix(SECRETS).lower(): value
            for name, value in os.environ.items()
            if name.startswith(SECRETS)
        }
        shared: dict[str, Any] = {}
    else:
        settings = {**testbed.settings, **settings}
        symbols = {Leg.SPOT: testbed.spot, Leg.FUTURES: testbed.futures}
        secrets, shared = dict(testbed.secrets), testbed.shared
    host = stand.host(settings)
    context = VenueContext(
        settings=host.settings(stand.venue),
        clock=clock,
        environment=host.environment(stand.venue),
        account="kit",
        secrets=secrets,
        shared=shared,
    )
    desk = Desk(
        host,
        context,
        testbed,
        venue=stand.venue,
        clock=clock,
        symbols=symbols,
        trades=stand.level is not Level.PUBLIC,
        patience_s=stand.patience_s,
    )
    async with desk:
        await card.play(desk)


def check_installed(stand: Stand) -> str:
    """Return what stands in the way of any card at all, "" where nothing does."""
    try:
        stand.host()
    except PluginError as error:
        return str(error)
    return ""
