"""The transaction log: one line for each currency that a fill or a settlement moved."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from hedge.model import Fill, FillKind, FundingPayment, Side
from hedge.model.numbers import ZERO, plain
from hedge_sim.dialects.bybit_entries import Entry, fee_rate
from hedge_sim.dialects.bybit_errors import SPOT
from hedge_sim.dialects.bybit_shapes import Row, ms, side_word

_KINDS: Final = {
    FillKind.TRADE: "TRADE",
    FillKind.LIQUIDATION: "LIQUIDATION",
    FillKind.AUTO_DELEVERAGING: "ADL",
    FillKind.SETTLEMENT: "DELIVERY",
    FillKind.UNKNOWN: "TRADE",
}


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry did to one currency: ``flow`` before, ``change`` after the fee; signed."""

    entry: Entry
    currency: str
    flow: Decimal
    fee: Decimal
    cash: Decimal
    """What the account had of it afterwards."""

    @property
    def change(self) -> Decimal:
        return self.flow - self.fee

    @property
    def kind(self) -> str:
        """Return the type (docs/v5/enum "type(uta-translog)")."""
        fill = self.entry.fill
        return "SETTLEMENT" if fill is None else _KINDS[fill.kind]


def log_lines(entries: Sequence[Entry], cash: dict[str, Decimal]) -> Iterator[LogLine]:
    """Return the lines, newest first; ``cash`` is what the account has now, and is counted back."""
    left = dict(cash)
    for entry in reversed(entries):
        for currency, flow, fee in reversed(_flows(entry)):
            after = left.get(currency, ZERO)
            left[currency] = after - flow + fee
            yield LogLine(entry=entry, currency=currency, flow=flow, fee=fee, cash=after)


def _flows(entry: Entry) -> list[tuple[str, Decimal, Decimal]]:
    """Return (currency, flow, fee); a spot trade moves two, a fee coin is a third."""
    if entry.payment is not None:
        return [(entry.payment.asset, entry.payment.cash, ZERO)]
    fill, one = entry.fill, entry.listing.instrument
    assert fill is not None
    if entry.listing.category == SPOT:
        notional = fill.quantity * fill.price * -fill.side.sign
        flows = {one.base: fill.signed_quantity, one.quote: notional}
    else:
        flows = {one.settle: entry.realised}
    flows.setdefault(fill.fee_asset or one.quote, ZERO)
    return [
        (currency, flow, fill.fee if currency == fill.fee_asset else ZERO)
        for currency, flow in flows.items()
    ]


def log_row(line: LogLine) -> Row:
    """Return a line as ``/v5/account/transaction-log`` shows it."""
    entry = line.entry
    row: Row = {
        "id": f"{entry.listing.symbol}_{line.currency}_{entry.seq}",
        "symbol": entry.listing.symbol,
        "category": entry.listing.category,
        "transactionTime": ms(entry.at),
        "type": line.kind,
        "currency": line.currency,
        "change": plain(line.change),
        "cashBalance": plain(line.cash),
        "bonusChange": "",
        "transSubType": "",
        "extraFees": "",
        "tradeId": entry.entry_id,
    }
    if entry.payment is not None:
        return row | _settled(entry, entry.payment)
    assert entry.fill is not None
    return row | _traded(line, entry.fill)


def _traded(line: LogLine, fill: Fill) -> Row:
    entry, known = line.entry, line.entry.known
    spot = entry.listing.category == SPOT
    return {
        "side": side_word(fill.side),
        "qty": plain(line.flow if spot else entry.listing.units(fill.quantity)),
        "size": "0" if spot else plain(entry.position),
        "tradePrice": plain(entry.listing.wire_price(fill.price)),
        "funding": "",
        "fee": plain(line.fee),
        "cashFlow": plain(line.flow),
        "feeRate": plain(fee_rate(fill)) if line.fee else "0",
        "orderId": known.order_id if known else entry.entry_id,
        "orderLinkId": known.ticket.order_link_id if known else "",
    }


def _settled(entry: Entry, payment: FundingPayment) -> Row:
    """``funding`` is positive when received; a short's feeRate is the negative of the market's."""
    side = Side.BUY if payment.quantity > 0 else Side.SELL
    return {
        "side": side_word(side),
        "qty": plain(abs(entry.position)),
        "size": plain(entry.position),
        "tradePrice": plain(entry.mark),
        "funding": plain(payment.cash),
        "fee": "0",
        "cashFlow": "0",
        "feeRate": plain(payment.rate if side is Side.BUY else -payment.rate),
        "orderId": f"{ms(entry.at)}-{entry.listing.symbol}",
        "orderLinkId": "",
    }
