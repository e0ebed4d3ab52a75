"""The hooks of the simulated venue ``sim``; whatever is heavy waits until it is asked for."""

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
    from hedge_sim.venue import SimVenue

VENUE = "sim"


def _venue_of(context: "VenueContext") -> "SimVenue":
    from hedge_sim.venue import SimVenue  # noqa: PLC0415 - light until asked for

    known = context.shared.get(VENUE)
    if known is None:
        known = context.shared[VENUE] = SimVenue(context)
    assert isinstance(known, SimVenue)
    return known


@hookimpl
def hedge_venues() -> "list[VenueSpec]":
    """Say that ``sim`` has both legs, in virtual or real time."""
    from hedge.roles import Can, LegKind, VenueSpec  # noqa: PLC0415 - light until asked for
    from hedge_sim.config import SimSettings  # noqa: PLC0415 - light until asked for

    return [
        VenueSpec(
            name=VENUE,
            legs=LegKind.SPOT | LegKind.FUTURES,
            can=Can.VIRTUAL_TIME | Can.SHARED_WALLET | Can.USER_STREAM | Can.RESULT_ACK | Can.DEPTH,
            settings=SimSettings,
            summary="replays recorded markets, with seeded faults",
            secrets=(),
        )
    ]


@hookimpl
def hedge_spot_feed(venue: str, context: "VenueContext") -> "MarketFeed | None":
    """Return the feed of the simulated spot market."""
    if venue != VENUE:
        return None
    from hedge.model import Leg  # noqa: PLC0415 - light until asked for
    from hedge_sim.gateway import SimFeed  # noqa: PLC0415 - light until asked for

    return SimFeed(_venue_of(context), Leg.SPOT)


@hookimpl
def hedge_futures_feed(venue: str, context: "VenueContext") -> "MarketFeed | None":
    """Return the feed of the simulated perpetual, marks included."""
    if venue != VENUE:
        return None
    from hedge.model import Leg  # noqa: PLC0415 - light until asked for
    from hedge_sim.gateway import SimFeed  # noqa: PLC0415 - light until asked for

    return SimFeed(_venue_of(context), Leg.FUTURES)


@hookimpl
def hedge_spot_gateway(venue: str, context: "VenueContext") -> "SpotGateway | None":
    """Return the gateway to the spot side of the simulated account."""
    if venue != VENUE:
        return None
    from hedge_sim.gateway import SimSpotGateway  # noqa: PLC0415 - light until asked for

    return SimSpotGateway(_venue_of(context))


@hookimpl
def hedge_futures_gateway(venue: str, context: "VenueContext") -> "FuturesGateway | None":
    """Return the gateway to the futures side of the simulated account."""
    if venue != VENUE:
        return None
    from hedge_sim.gateway import SimFuturesGateway  # noqa: PLC0415 - light until asked for

    return SimFuturesGateway(_venue_of(context))


@hookimpl
def hedge_funding_source(venue: str, context: "VenueContext") -> "FundingSource | None":
    """Return the recorded funding."""
    if venue != VENUE:
        return None
    from hedge_sim.gateway import SimFundingSource  # noqa: PLC0415 - light until asked for

    return SimFundingSource(_venue_of(context))


@hookimpl
def hedge_account_check(venue: str, context: "VenueContext") -> "AccountCheck | None":
    """Return what the doctor asks."""
    if venue != VENUE:
        return None
    from hedge_sim.gateway import SimAccountCheck  # noqa: PLC0415 - light until asked for

    return SimAccountCheck(_venue_of(context))
