"""The hooks of the served venue ``served``."""

from typing import TYPE_CHECKING

from hedge.errors import ConfigError
from hedge.hookspecs import hookimpl
from hedge.model import Leg
from hedge.roles import Can, LegKind, VenueSpec
from hedge_served_sim import roles
from hedge_served_sim.link import Link
from hedge_served_sim.settings import ServedSettings

if TYPE_CHECKING:
    from hedge.roles import VenueContext

VENUE = "served"


def _link(context: "VenueContext") -> Link:
    if context.environment != "local":
        raise ConfigError(f'venues.{VENUE}.environment: only "local" is there')
    known = context.shared.get(VENUE)
    if known is None:
        known = context.shared[VENUE] = Link(context)
    assert isinstance(known, Link)
    return known


@hookimpl
def hedge_venues() -> list[VenueSpec]:
    """Say that ``served`` has both legs, in real time."""
    return [
        VenueSpec(
            name=VENUE,
            legs=LegKind.SPOT | LegKind.FUTURES,
            can=Can.SHARED_WALLET | Can.USER_STREAM | Can.RESULT_ACK | Can.DEPTH,
            settings=ServedSettings,
            summary="the simulated venue in a process of its own",
        )
    ]


@hookimpl
def hedge_spot_feed(venue: str, context: "VenueContext") -> roles.Feed | None:
    """Return the feed of the spot market."""
    return roles.Feed(_link(context), Leg.SPOT) if venue == VENUE else None


@hookimpl
def hedge_futures_feed(venue: str, context: "VenueContext") -> roles.Feed | None:
    """Return the feed of the perpetual."""
    return roles.Feed(_link(context), Leg.FUTURES) if venue == VENUE else None


@hookimpl
def hedge_spot_gateway(venue: str, context: "VenueContext") -> roles.SpotGateway | None:
    """Return the gateway to the account's spot side."""
    return roles.SpotGateway(_link(context)) if venue == VENUE else None


@hookimpl
def hedge_futures_gateway(venue: str, context: "VenueContext") -> roles.FuturesGateway | None:
    """Return the gateway to the account's futures side."""
    return roles.FuturesGateway(_link(context)) if venue == VENUE else None


@hookimpl
def hedge_funding_source(venue: str, context: "VenueContext") -> roles.Funding | None:
    """Return the funding of the perpetual."""
    return roles.Funding(_link(context)) if venue == VENUE else None


@hookimpl
def hedge_account_check(venue: str, context: "VenueContext") -> roles.Check | None:
    """Return what the doctor asks."""
    return roles.Check(_link(context)) if venue == VENUE else None
