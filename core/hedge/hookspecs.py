"""The hooks: synchronous, without I/O, each a sentence long.

A hook returns an *unopened* object (see `hedge.roles`) or None for "not mine". The unit is the
role, not the venue: a data vendor may offer a feed and nothing else. ``venue`` is the name after
``--spot`` or ``--futures`` without the account: ``binance``, ``ccxt:okx``.
"""

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from hedge.roles import (
        AccountCheck,
        FundingSource,
        FuturesGateway,
        MarketFeed,
        Notifier,
        NotifierContext,
        SpotGateway,
        VenueContext,
        VenueSpec,
    )

hookspec = pluggy.HookspecMarker("hedge")
hookimpl = pluggy.HookimplMarker("hedge")


@hookspec
def hedge_venues() -> "list[VenueSpec]":  # type: ignore[empty-body]  # pluggy calls the implementations
    """Say which venues this plugin serves, with legs, capabilities and settings type."""


@hookspec(firstresult=True)
def hedge_spot_feed(venue: str, context: "VenueContext") -> "MarketFeed | None":
    """Return the feed of ``venue``'s spot instruments. Stops at the first result."""


@hookspec(firstresult=True)
def hedge_spot_gateway(venue: str, context: "VenueContext") -> "SpotGateway | None":
    """Return the gateway to one spot account on ``venue``. Stops at the first result."""


@hookspec(firstresult=True)
def hedge_futures_feed(venue: str, context: "VenueContext") -> "MarketFeed | None":
    """Return the feed of ``venue``'s perpetuals, marks included. Stops at the first result."""


@hookspec(firstresult=True)
def hedge_futures_gateway(venue: str, context: "VenueContext") -> "FuturesGateway | None":
    """Return the gateway to one futures account on ``venue``. Stops at the first result."""


@hookspec(firstresult=True)
def hedge_funding_source(venue: str, context: "VenueContext") -> "FundingSource | None":
    """Return the funding source of ``venue``'s perpetuals. Stops at the first result."""


@hookspec(firstresult=True)
def hedge_account_check(venue: str, context: "VenueContext") -> "AccountCheck | None":
    """Return what the doctor asks of an account on ``venue``. Stops at the first result."""


@hookspec(firstresult=True)
def hedge_notifier(name: str, context: "NotifierContext") -> "Notifier | None":
    """Return the notifier called ``name``. Stops at the first result."""
