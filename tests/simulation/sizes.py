"""How large a create may be, and at what price: the invariants of one order's own figures."""

from decimal import Decimal

from ground import Ground
from world import World

from hedge.decide import exposure
from hedge.decide.engine import Engine
from hedge.decide.mode import Mode
from hedge.model import Leg, Order, Side, TimeInForce
from hedge.model.numbers import ZERO, plain


class Sizes(Ground):
    """Judges an order as it leaves, by the mode and the trips that the commands have made."""

    def __init__(self, world: World, *, thorough: bool = False) -> None:
        super().__init__(world, thorough=thorough)
        self.mode = Mode.HALT
        self.trips: dict[str, int] = {}
        """Mode and trips as the commands made them, whatever the engine says of them later."""

    def _sized(self, order: Order, engine: Engine) -> None:
        """I7: within the clip, and near a price that was true lately."""
        price = self.world.venue.price(order.leg)
        clip = exposure.clip_notional(self.terms, order.limit_price)
        if order.notional > clip * Decimal("1.001"):
            self.broken("I7", f"{plain(order.notional)} above the clip {plain(clip)}")
        reach = self.terms.limits.collar_max + Decimal("0.02")
        outside = (
            order.limit_price > price * (1 + reach)
            if order.side is Side.BUY
            else order.limit_price < price * (1 - reach)
        )
        if outside:
            self.broken("I16", f"limit {plain(order.limit_price)} against a price {plain(price)}")

    def _futures(self, order: Order, engine: Engine) -> None:
        venue = self.world.venue
        gap = abs(engine.delta)
        if self.mode is Mode.LIQUIDATION:
            # Coins too few to be sold keep no hedge at the end.
            gap += self.terms.spot.instrument.smallest_order(venue.price() * Decimal("0.97"))
        if order.quantity > gap + self.lot:
            self.broken("I7", f"a hedge of {plain(order.quantity)} for a gap of {plain(gap)}")
        if self.mode is Mode.LIQUIDATION and not (order.side is Side.BUY and order.reduce_only):
            self.broken("I9", f"{order.side.value}, reduce_only={order.reduce_only}")
        if order.time_in_force is not TimeInForce.IOC:
            self.broken("I7", "a hedge that rests")
        if order.side is Side.SELL:
            lost, outside = self._excuses()
            self.excused[order.client_order_id] = (
                lost - self.taken_out,
                outside - self.sold_by_others,
            )
            short = -venue.position + self.coming(Side.SELL) + order.quantity
            if short > self.short_allowed():
                self.broken(
                    "I3",
                    f"sells {plain(order.quantity)}: short {plain(short)} of"
                    f" {plain(self.short_allowed())} allowed, S={plain(self.inventory)}",
                )

    def _spot(self, order: Order, engine: Engine) -> None:
        venue = self.world.venue
        if order.side is Side.BUY:
            if self.mode is Mode.LIQUIDATION:
                self.broken("I9", "a spot buy in LIQUIDATION")
            if engine.books.paused:
                self.broken("I2", "a spot buy while paused")
        elif order.quantity > self.inventory + max(-self.unnoticed(Leg.SPOT), ZERO):
            self.broken("I8", f"sells {plain(order.quantity)} of {plain(self.inventory)}")
        self._bounded(order, engine, venue.price())

    def _bounded(self, order: Order, engine: Engine, price: Decimal) -> None:
        """I2: what is naked and what rests stay inside the budget, or the order shrinks the gap."""
        venue = self.world.venue
        unnoticed = self.unnoticed(Leg.SPOT) * self.ratio + self.unnoticed(Leg.FUTURES)
        gap = self.inventory * self.ratio + venue.position - unnoticed
        after = gap + order.signed_quantity * self.ratio
        if abs(after) <= abs(gap):
            return
        room = exposure.exposure_max(self.terms, price) * Decimal("1.03")
        fee = self.terms.spot.maker_fee + self.terms.spot.taker_fee
        slack = 2 * self.terms.spot.instrument.lot + order.quantity * fee
        if max(abs(gap), abs(after)) > room / price + slack + self.lot:
            self.broken(
                "I2",
                f"a spot {order.side.value} of {plain(order.quantity)} with {plain(gap)} naked:"
                f" {plain(abs(after) * price)} of {plain(room)}",
            )
        if self.trips and order.side is Side.BUY:
            self.broken("I2", f"a spot buy while tripped: {', '.join(self.trips)}")
