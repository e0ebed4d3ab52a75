"""What is truly so in one world, and what its books may be excused for not knowing."""

from decimal import Decimal
from operator import attrgetter

from clockwork import BEGIN, Broken
from world import World

from hedge.decide import exposure
from hedge.decide.engine import Engine
from hedge.decide.leg_book import ORDERS_KEPT, OrderRecord
from hedge.model import Leg, Side
from hedge.model.numbers import ZERO

CONTRIBUTION = attrgetter("contribution")


class Ground:
    """The truth of the venue beside the books of the last process; what is broken ends it all."""

    def __init__(self, world: World, *, thorough: bool = False) -> None:
        self.world = world
        self.thorough = thorough
        """Whether everything is reckoned anew each time, not only what has changed."""
        self.violations: list[str] = []
        self.engine: Engine | None = None
        """The books as the last process knew them."""
        self.terms = world.plan.terms
        self.lot = self.terms.futures.instrument.lot
        self.ratio = self.terms.hedge_ratio
        self.sold_by_others = ZERO
        self.taken_out = ZERO
        """Coins that left the hedge without an order of ours, in all; and the last look at them."""
        self.outside_before = (ZERO, ZERO)
        self.moved_at = 0
        """When something from outside was last seen to have moved a leg."""
        self.excused: dict[str, tuple[Decimal, Decimal]] = {}
        """The excuses of each order of ours when it left, less all that had happened by then."""
        self.forgotten: dict[Leg, dict[str, Decimal]] = {Leg.SPOT: {}, Leg.FUTURES: {}}
        """What orders contributed that the books may have dropped since."""
        self.gap_since = 0
        self._dust = ZERO
        self._dust_price: Decimal | None = None

    def broken(self, name: str, text: str) -> None:
        world = self.world
        at = (world.now - BEGIN) / 1e9
        self.violations.append(f"{name} at {at:.3f} s: {text}; {world.venue.describe()}")
        world.say(f"!! {self.violations[-1]}")
        raise Broken(self.violations[-1])

    @property
    def inventory(self) -> Decimal:
        """Return S as it truly is."""
        venue = self.world.venue
        return venue.base if venue.is_account else min(venue.ledger, venue.base)

    def unnoticed(self, leg: Leg) -> Decimal:
        """Return what happened from outside and is not in the books yet, signed."""
        truth = self.world.venue.outside[leg]
        if self.engine is None:
            return truth
        book = self.engine.books.leg(leg)
        ours = sum(map(CONTRIBUTION, book.orders.values()), ZERO)
        for oid, contribution in self.forgotten[leg].items():
            if oid not in book.orders:
                ours += contribution
        return truth - (book.held - ours)

    def _remember(self, leg: Leg, orders: dict[str, OrderRecord]) -> None:
        """Keep what orders came to which long books will drop: they hold the last ones only."""
        if len(orders) > ORDERS_KEPT // 2:
            self.forgotten[leg].update((o, one.contribution) for o, one in orders.items())

    def short_allowed(self, oid: str = "") -> Decimal:
        """Return the largest short that is not an over-hedge of our making (I3).

        What the books have not noticed excuses them, but never more than truly happened: books
        that believe in coins or buys that never were have no excuse. An order ``oid`` that has
        left is also excused by what they had not noticed then, and by what happened since.
        """
        lost, outside = self._excuses()
        if oid in self.excused:
            lost_then, outside_then = self.excused[oid]
            lost = max(lost, lost_then + self.taken_out)
            outside = max(outside, outside_then + self.sold_by_others)
        return max(self.inventory + lost, ZERO) * self.ratio + outside + self.lot

    def _excuses(self) -> tuple[Decimal, Decimal]:
        """Return the coins gone and the futures sold by others that the books have not noticed."""
        lost, outside = self.taken_out, self.sold_by_others
        if lost:
            lost = min(max(-self.unnoticed(Leg.SPOT), ZERO), lost)
        if outside:
            outside = min(max(-self.unnoticed(Leg.FUTURES), ZERO), outside)
        return lost, outside

    def look_outside(self) -> None:
        """Add up what was taken out of the spot account, step by step."""
        spot, futures = self.world.venue.outside[Leg.SPOT], self.world.venue.outside[Leg.FUTURES]
        if (spot, futures) != self.outside_before:
            self.taken_out += max(self.outside_before[0] - spot, ZERO)
            self.outside_before = (spot, futures)
            self.moved_at = self.world.now

    def coming(self, side: Side) -> Decimal:
        """Return what is on its way to, or open at, the futures venue on one side."""
        world = self.world
        total = sum(
            (o.quantity for o in world.in_flight.values()
             if o.leg is Leg.FUTURES and o.side is side), ZERO,
        )  # fmt: skip
        return total + sum(
            (p.left for p in world.venue.open.values()
             if p.order.leg is Leg.FUTURES and p.order.side is side), ZERO,
        )  # fmt: skip

    def _measure(self) -> None:
        """Note since when the truth is unhedged."""
        world = self.world
        if self.gap() < self.dust():
            self.gap_since = 0
        else:
            self.gap_since = self.gap_since or world.now

    def gap(self) -> Decimal:
        """Return what is truly unhedged, unsigned."""
        return abs(self.inventory * self.ratio + self.world.venue.position)

    def dust(self) -> Decimal:
        """Return from where on a gap counts, at the price of now."""
        price = self.world.venue.price()
        if price is not self._dust_price or self.thorough:
            self._dust_price = price
            self._dust = max(
                self.terms.futures.instrument.smallest_order(price),
                exposure.slice_min(self.terms, price),
                self.lot,
            )
        return self._dust
