"""The hooks of ``ccxt:NAME``, asked last; whatever is heavy waits until it is asked for."""

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

PREFIX = "ccxt:"


def _name(venue: str) -> str:
    """Return ccxt's own name of the venue, "" where it is not ours."""
    return venue.removeprefix(PREFIX) if venue.startswith(PREFIX) else ""


@hookimpl
def hedge_venues() -> "list[VenueSpec]":
    """Say which profiles there are, and that ``ccxt:NAME`` may be any other venue of ccxt's."""
    from hedge.roles import Can, LegKind, VenueSpec  # noqa: PLC0415 - light until asked for
    from hedge_ccxt.config import CcxtSettings  # noqa: PLC0415 - light until asked for
    from hedge_ccxt.profiles import PROFILES  # noqa: PLC0415 - light until asked for

    both = LegKind.SPOT | LegKind.FUTURES
    return [
        VenueSpec(
            name="ccxt",
            legs=both,
            can=Can.NONE,
            settings=CcxtSettings,
            summary="any venue of ccxt as ccxt:NAME, polled, without a profile",
        ),
        *(
            VenueSpec(
                name=PREFIX + profile.name,
                legs=both,
                can=profile.can,
                settings=CcxtSettings,
                summary=f"{profile.title} over ccxt",
                secrets=profile.secrets,
            )
            for profile in PROFILES.values()
        ),
    ]


@hookimpl(trylast=True)
def hedge_spot_feed(venue: str, context: "VenueContext") -> "MarketFeed | None":
    """Return the feed of the venue's spot instruments."""
    if not (name := _name(venue)):
        return None
    from hedge.model import Leg  # noqa: PLC0415 - light until asked for
    from hedge_ccxt.feed import Feed  # noqa: PLC0415 - brings the SDK

    return Feed(name, context, Leg.SPOT)


@hookimpl(trylast=True)
def hedge_futures_feed(venue: str, context: "VenueContext") -> "MarketFeed | None":
    """Return the feed of the venue's linear perpetuals, marks included."""
    if not (name := _name(venue)):
        return None
    from hedge.model import Leg  # noqa: PLC0415 - light until asked for
    from hedge_ccxt.feed import Feed  # noqa: PLC0415 - brings the SDK

    return Feed(name, context, Leg.FUTURES)


@hookimpl(trylast=True)
def hedge_spot_gateway(venue: str, context: "VenueContext") -> "SpotGateway | None":
    """Return the gateway to the account's spot side."""
    if not (name := _name(venue)):
        return None
    from hedge_ccxt.spot import SpotGateway  # noqa: PLC0415 - brings the SDK

    return SpotGateway(name, context)


@hookimpl(trylast=True)
def hedge_futures_gateway(venue: str, context: "VenueContext") -> "FuturesGateway | None":
    """Return the gateway to the account's linear perpetuals."""
    if not (name := _name(venue)):
        return None
    from hedge_ccxt.futures import FuturesGateway  # noqa: PLC0415 - brings the SDK

    return FuturesGateway(name, context)


@hookimpl(trylast=True)
def hedge_funding_source(venue: str, context: "VenueContext") -> "FundingSource | None":
    """Return the funding of the venue's linear perpetuals."""
    if not (name := _name(venue)):
        return None
    from hedge_ccxt.funding import Funding  # noqa: PLC0415 - brings the SDK

    return Funding(name, context)


@hookimpl(trylast=True)
def hedge_account_check(venue: str, context: "VenueContext") -> "AccountCheck | None":
    """Return what the doctor asks of the account."""
    if not (name := _name(venue)):
        return None
    from hedge_ccxt.check import Check  # noqa: PLC0415 - brings the SDK

    return Check(name, context)
