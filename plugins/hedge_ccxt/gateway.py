"""What both gateways have in common: orders, fills and balances of one leg's account."""

from typing import Any

from hedge.errors import Malformed, Missing, OutcomeUnknown, Refused, Unreachable, VenueError
from hedge.model import (
    Balance,
    Fill,
    Leg,
    Order,
    OrderReport,
    TimeInForce,
)
from hedge.model.numbers import MS
from hedge.roles import AccountSink, VenueContext, VenueLimits
from hedge_ccxt import parse
from hedge_ccxt.listing import Listing
from hedge_ccxt.order_ids import to_place
from hedge_ccxt.venue import Role


class Gateway(Role):
    """`hedge.roles.OrderGateway` of one leg."""

    def __init__(self, name: str, context: VenueContext, leg: Leg) -> None:
        super().__init__(name, context, leg)
        self.session.need_keys()  # said before anything opens
        self._line = self.session.line(leg)
        self._reads = self.session.reads(leg)
        self._own = self.session.own(leg)

    async def entered(self) -> None:
        await self.session.ask_first(self.leg)

    @property
    def limits(self) -> VenueLimits:
        return self.session.limits

    async def _listing(self, symbol: str) -> Listing:
        return await self.session.listing(self.leg, symbol)

    async def listen(self, symbol: str, sink: AccountSink) -> None:
        self.session.account(await self._listing(symbol)).listen(sink)

    async def place_order(self, order: Order) -> OrderReport:
        """Send once by REST: ccxt's orders by WebSocket have no end to their patience."""
        if order.leg is not self.leg:
            raise Missing(f"{self.session.venue}: {order.symbol} is of the other leg")
        listing = await self._listing(order.symbol)
        if listing.instrument.round_quantity(order.quantity) != order.quantity:
            lot = listing.instrument.lot  # ccxt would cut it down to the lot without a word
            raise Refused(
                f"{self.session.venue}: {order.quantity} is off the lot {lot}", code="LOT"
            )
        params = self._order_params(order)
        known = self._own.placed(order)
        try:
            answer = await self._line.order(
                "create_order",
                listing.market,
                "limit",
                order.side.value,
                listing.amount(order.quantity),
                listing.venue_price(order.limit_price),
                urgent=order.reduce_only or order.time_in_force is TimeInForce.IOC,
                stamp_ms=order.signed_at // MS,
                params=params,
            )
            answered = parse.answered(answer, listing, self._reads.style)
        except (Refused, Unreachable):
            known.ended = True
            raise
        except Malformed as error:
            raise OutcomeUnknown(f"{self.session.venue}: {error}") from None
        finally:
            self.session.account(listing).hurry()
        report = _named(answered, order.client_order_id)
        return self._own.reported(order.symbol, report)

    def _order_params(self, order: Order) -> dict[str, Any]:
        style = self.session.profile.ids
        params: dict[str, Any] = {"clientOrderId": to_place(style, order.client_order_id)}
        match order.time_in_force:
            case TimeInForce.POST_ONLY:
                params["postOnly"] = True
            case TimeInForce.IOC:
                params["timeInForce"] = "IOC"
            case TimeInForce.GTC:
                params["timeInForce"] = "GTC"
        if self.leg is Leg.FUTURES:
            params |= self.filled(self.session.profile.order_params)
            if order.reduce_only:
                params["reduceOnly"] = True
        return params

    def filled(self, template: Any) -> dict[str, str]:
        """Return parameters with the margin mode filled in."""
        mode = self.session.settings.margin_mode
        return {
            key: text.format(mode=mode, MODE=mode.upper()) for key, text in template.items()
        }  # fmt: skip

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        listing = await self._listing(symbol)
        await self._reads.cancel(listing, client_order_id)
        self.session.account(listing).hurry()
        try:
            return await self._reads.ended(listing, client_order_id)
        except (VenueError, Malformed) as error:
            raise OutcomeUnknown(
                f"{self.session.venue}: cancelled, and its end is not known: {error}"
            ) from None

    async def read_clock(self) -> int:
        return await self.session.read_clock()

    async def read_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return await self._reads.order(await self._listing(symbol), client_order_id)

    async def read_open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        return await self._reads.open_orders(await self._listing(symbol))

    async def read_fills(self, symbol: str, since: int) -> tuple[Fill, ...]:
        return await self._reads.fills(await self._listing(symbol), since)

    async def read_balances(self) -> tuple[Balance, ...]:
        return await self._reads.balances()


def _named(report: OrderReport, client_order_id: str) -> OrderReport:
    """Return the answer to a placed order; some venues answer with their own id alone."""
    return OrderReport(
        client_order_id=client_order_id,
        venue_order_id=report.venue_order_id,
        status=report.status,
        filled=report.filled,
        reported_at=report.reported_at,
    )
