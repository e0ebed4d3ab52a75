"""`SpotGateway`: the account's spot side."""

from hedge.model import Leg
from hedge.roles import VenueContext
from hedge_ccxt.gateway import Gateway


class SpotGateway(Gateway):
    """`hedge.roles.SpotGateway`."""

    def __init__(self, name: str, context: VenueContext) -> None:
        super().__init__(name, context, Leg.SPOT)
