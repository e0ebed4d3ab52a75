"""`SpotGateway`: the spot side of the unified account."""

from hedge.model import Leg
from hedge_bybit.gateway import Gateway


class SpotGateway(Gateway):
    """`hedge.roles.SpotGateway`."""

    leg = Leg.SPOT
