"""One fill or one settlement of the account, with what it did, and a settlement as an execution."""

from decimal import Decimal

import msgspec

from hedge.model import Fill, FundingPayment, Side
from hedge.model.numbers import ZERO, plain
from hedge_sim.dialects.bybit_desk import Known
from hedge_sim.dialects.bybit_errors import LINEAR
from hedge_sim.dialects.bybit_listing import Listing
from hedge_sim.dialects.bybit_shapes import (
    EXEC_TYPES,
    Execution,
    Row,
    WireOrder,
    cents,
    ms,
    side_word,
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One fill or one settlement, with what it did; quantities in the wire's unit."""

    listing: Listing
    entry_id: str
    at: int
    seq: int
    fill: Fill | None = None
    payment: FundingPayment | None = None
    known: Known | None = None
    closed: Decimal = ZERO
    position: Decimal = ZERO
    """What is held afterwards, signed."""
    realised: Decimal = ZERO
    mark: Decimal = ZERO

    @property
    def kind(self) -> str:
        """Return execType."""
        return "Funding" if self.fill is None else EXEC_TYPES[self.fill.kind]

    def execution(self, order: WireOrder | None) -> Execution:
        """Return the fill beside a view of its order."""
        fill, listing = self.fill, self.listing
        assert fill is not None
        return Execution(
            fill=fill,
            category=listing.category,
            symbol=listing.symbol,
            exec_id=self.entry_id,
            order=order,
            quantity=listing.units(fill.quantity),
            price=listing.wire_price(fill.price),
            leaves=order.quantity - order.filled if order is not None and order.is_open else ZERO,
            mark=self.mark,
            seq=self.seq,
            fee_rate=fee_rate(fill),
            closed=self.closed,
            realised=self.realised,
        )


def fee_rate(fill: Fill) -> Decimal:
    """Return the fee as a fraction of what was traded, in the fee's own asset where it can be."""
    base = fill.symbol.partition("/")[0]
    traded = fill.quantity if fill.fee_asset == base else fill.quantity * fill.price
    value = fill.fee * (fill.fee_rate_quote or 1)
    return (value / traded).quantize(Decimal("0.0000001")).normalize() if traded else ZERO


def funding_row(entry: Entry, payment: FundingPayment) -> Row:
    """Return a settlement as an execution of type Funding; ``execFee`` is positive when paid.

    ``feeRate`` has the sign of the payer: of a short it is the negative of the market's rate.
    """
    side = Side.BUY if payment.quantity > 0 else Side.SELL
    size = abs(entry.position)
    return {
        "category": LINEAR,
        "symbol": entry.listing.symbol,
        "orderId": f"{ms(entry.at)}-{entry.listing.symbol}",
        "orderLinkId": "",
        "side": side_word(side),
        "orderPrice": "0",
        "orderQty": "0",
        "leavesQty": "0",
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "createType": "",
        "execFee": plain(-payment.cash),
        "execId": entry.entry_id,
        "execPrice": plain(entry.mark),
        "execQty": plain(size),
        "execType": "Funding",
        "execValue": cents(size * entry.mark),
        "execTime": ms(entry.at),
        "feeCurrency": payment.asset,
        "isMaker": False,
        "feeRate": plain(payment.rate if side is Side.BUY else -payment.rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": plain(entry.mark),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "0",
        "execPnl": "0",
        "seq": entry.seq,
        "isLeverage": "0",
        "marketUnit": "",
        "extraFees": "",
    }
