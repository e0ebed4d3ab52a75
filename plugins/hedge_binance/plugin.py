"""The hooks of the venue ``binance``; neither SDK nor socket is loaded before it is needed."""

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

VENUE = "binance"


@hookimpl
def hedge_venues() -> "list[VenueSpec]":
    """Say that ``binance`` has both legs; its spot and futures wallets are two pots."""
    from hedge.roles import Can, LegKind, VenueSpec  # noqa: PLC0415 - light until asked for
    from hedge_binance.config import BinanceSettings  # noqa: PLC0415 - light until asked for

    return [
        VenueSpec(
            name=VENUE,
            legs=LegKind.SPOT | LegKind.FUTURES,
            can=Can.USER_STREAM | Can.RESULT_ACK | Can.DEPTH,
            settings=BinanceSettings,
            summary="Binance spot and USD-M perpetuals",
        )
    ]


@hookimpl
def hedge_spot_feed(venue: str, context: "VenueContext") -> "MarketFeed | None":
    """Return the feed of the spot market."""
    if venue != VENUE:
        return None
    from hedge_binance.market import SpotFeed  # noqa: PLC0415 - light until asked for

    return SpotFeed(context)


@hookimpl
def hedge_futures_feed(venue: str, context: "VenueContext") -> "MarketFeed | None":
    """Return the feed of the USD-M perpetuals, marks included."""
    if venue != VENUE:
        return None
    from hedge_binance.market import FuturesFeed  # noqa: PLC0415 - light until asked for

    return FuturesFeed(context)


@hookimpl
def hedge_spot_gateway(venue: str, context: "VenueContext") -> "SpotGateway | None":
    """Return the gateway to the spot account."""
    if venue != VENUE:
        return None
    from hedge_binance.spot import BinanceSpotGateway  # noqa: PLC0415 - light until asked for

    return BinanceSpotGateway(context)


@hookimpl
def hedge_futures_gateway(venue: str, context: "VenueContext") -> "FuturesGateway | None":
    """Return the gateway to the USD-M account."""
    if venue != VENUE:
        return None
    from hedge_binance.futures import BinanceFuturesGateway  # noqa: PLC0415 - light until asked for

    return BinanceFuturesGateway(context)


@hookimpl
def hedge_funding_source(venue: str, context: "VenueContext") -> "FundingSource | None":
    """Return the funding of the USD-M perpetuals."""
    if venue != VENUE:
        return None
    from hedge_binance.funding import BinanceFundingSource  # noqa: PLC0415 - light until asked for

    return BinanceFundingSource(context)


@hookimpl
def hedge_account_check(venue: str, context: "VenueContext") -> "AccountCheck | None":
    """Return what the doctor asks."""
    if venue != VENUE:
        return None
    from hedge_binance.check import BinanceAccountCheck  # noqa: PLC0415 - light until asked for

    return BinanceAccountCheck(context)
