"""The hooks of the venue ``bybit``; whatever is heavy waits until it is asked for."""

from typing import TYPE_CHECKING

from hedge.hookspecs import hookimpl

if TYPE_CHECKING:
    from hedge.roles import (
        AccountCheck,
        FundingSource,
        FuturesGateway,
        MarketFeed,
        SpotGateway,
        VenueContext,
        VenueSpec,
    )

VENUE = "bybit"


@hookimpl
def hedge_venues() -> "list[VenueSpec]":
    """Say that ``bybit`` has both legs in one unified account."""
    from hedge.roles import Can, LegKind, VenueSpec  # noqa: PLC0415 - light until asked for
    from hedge_bybit.config import BybitSettings  # noqa: PLC0415 - light until asked for

    return [
        VenueSpec(
            name=VENUE,
            legs=LegKind.SPOT | LegKind.FUTURES,
            can=Can.SHARED_WALLET | Can.USER_STREAM | Can.DEPTH,
            settings=BybitSettings,
            summary="Bybit v5: spot and linear perpetuals, unified account",
        )
    ]


@hookimpl
def hedge_spot_feed(venue: str, context: "VenueContext") -> "MarketFeed | None":
    """Return the feed of Bybit's spot instruments."""
    if venue != VENUE:
        return None
    from hedge.model import Leg  # noqa: PLC0415 - light until asked for
    from hedge_bybit.feed import Feed  # noqa: PLC0415 - brings the SDK

    return Feed(context, Leg.SPOT)


@hookimpl
def hedge_futures_feed(venue: str, context: "VenueContext") -> "MarketFeed | None":
    """Return the feed of Bybit's linear perpetuals, marks included."""
    if venue != VENUE:
        return None
    from hedge.model import Leg  # noqa: PLC0415 - light until asked for
    from hedge_bybit.feed import Feed  # noqa: PLC0415 - brings the SDK

    return Feed(context, Leg.FUTURES)


@hookimpl
def hedge_spot_gateway(venue: str, context: "VenueContext") -> "SpotGateway | None":
    """Return the gateway to the account's spot side."""
    if venue != VENUE:
        return None
    from hedge_bybit.spot import SpotGateway  # noqa: PLC0415 - brings the SDK

    return SpotGateway(context)


@hookimpl
def hedge_futures_gateway(venue: str, context: "VenueContext") -> "FuturesGateway | None":
    """Return the gateway to the account's linear perpetuals."""
    if venue != VENUE:
        return None
    from hedge_bybit.futures import FuturesGateway  # noqa: PLC0415 - brings the SDK

    return FuturesGateway(context)


@hookimpl
def hedge_funding_source(venue: str, context: "VenueContext") -> "FundingSource | None":
    """Return the funding of Bybit's linear perpetuals."""
    if venue != VENUE:
        return None
    from hedge_bybit.funding import Funding  # noqa: PLC0415 - brings the SDK

    return Funding(context)


@hookimpl
def hedge_account_check(venue: str, context: "VenueContext") -> "AccountCheck | None":
    """Return what the doctor asks of a Bybit account."""
    if venue != VENUE:
        return None
    from hedge_bybit.check import Check  # noqa: PLC0415 - brings the SDK

    return Check(context)
