"""The hooks of the venue ``toy``; what is heavy waits until a role is asked for."""

from typing import TYPE_CHECKING, Any

from hedge.hookspecs import hookimpl
from hedge.roles import Can, LegKind, VenueContext, VenueSpec

if TYPE_CHECKING:
    from hedge_toy import venue as roles

VENUE = "toy"


@hookimpl
def hedge_venues() -> list[VenueSpec]:
    """Say that ``toy`` has both legs, on one wallet."""
    from hedge_toy.settings import ToySettings

    can = Can.USER_STREAM | Can.RESULT_ACK | Can.DEPTH | Can.SHARED_WALLET
    legs = LegKind.SPOT | LegKind.FUTURES
    return [VenueSpec(name=VENUE, legs=legs, can=can, settings=ToySettings, summary="a toy")]


def _role(name: str, venue: str, context: VenueContext, *more: str) -> Any:
    if venue != VENUE:
        return None
    from hedge_toy import venue as roles

    link = context.shared.setdefault(VENUE, None) or roles.Link(context)
    context.shared[VENUE] = link
    return getattr(roles, name)(link, *more)


@hookimpl
def hedge_spot_feed(venue: str, context: VenueContext) -> "roles.Feed | None":
    """Return the feed of the cash market."""
    return _role("Feed", venue, context, "cash")


@hookimpl
def hedge_futures_feed(venue: str, context: VenueContext) -> "roles.Feed | None":
    """Return the feed of the perpetual."""
    return _role("Feed", venue, context, "perp")


@hookimpl
def hedge_spot_gateway(venue: str, context: VenueContext) -> "roles.Gateway | None":
    """Return the gateway to the cash side of the account."""
    return _role("Gateway", venue, context, "cash")


@hookimpl
def hedge_futures_gateway(venue: str, context: VenueContext) -> "roles.Gateway | None":
    """Return the gateway to the perpetual's side of the account."""
    return _role("FuturesGateway", venue, context, "perp")


@hookimpl
def hedge_funding_source(venue: str, context: VenueContext) -> "roles.Funding | None":
    """Return the funding of the perpetual."""
    return _role("Funding", venue, context)


@hookimpl
def hedge_account_check(venue: str, context: VenueContext) -> "roles.Check | None":
    """Return what the doctor asks."""
    return _role("Check", venue, context)
