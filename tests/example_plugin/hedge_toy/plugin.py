"""The hooks of the venue ``toy``: what it can do, and where its roles stand."""

from hedge import VenueHooks
from hedge.roles import Can, LegKind

VENUE = "toy"
hooks = VenueHooks(
    VENUE,
    roles="hedge_toy.venue",
    settings="hedge_toy.settings:ToySettings",
    legs=LegKind.SPOT | LegKind.FUTURES,
    can=Can.USER_STREAM | Can.RESULT_ACK | Can.DEPTH | Can.SHARED_WALLET,
    summary="a toy",
)
