"""Bybit v5 rows of the private side: orders, executions, positions, wallets, log entries.

Field names and their order follow the examples of docs/v5 (order/open-order, order/execution,
position, account/wallet-balance, account/transaction-log, websocket/private). Every number is a
string, every time milliseconds; an absent value is "". Money of the account is exact, as the
exchange has it (the venue rounds to eight places), so that both sides' books can be compared.
"""

import uuid
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

import msgspec

from hedge.model import Fill, FillKind, ReportedStatus, Side
from hedge.model.numbers import MS, ZERO, plain
from hedge_sim.dialects.bybit_errors import LINEAR, SPOT
from hedge_sim.dialects.bybit_params import FOK, IOC, LIMIT, MARKET, Ticket

Row = dict[str, Any]
CENT8: Final = Decimal("0.00000001")
NAMESPACE: Final = uuid.UUID("5b0f8a5e-9a0c-4d6f-8a53-6d1f7f2d3c11")
"""Ids on the wire are UUIDs made of the exchange's own: the same after a restart."""

_SIDES: Final = {Side.BUY: "Buy", Side.SELL: "Sell"}
EXEC_TYPES: Final = {
    FillKind.TRADE: "Trade",
    FillKind.LIQUIDATION: "BustTrade",
    FillKind.AUTO_DELEVERAGING: "AdlTrade",
    FillKind.SETTLEMENT: "Settle",
    FillKind.UNKNOWN: "UNKNOWN",
}
_CREATE_TYPES: Final = {
    FillKind.LIQUIDATION: "CreateByLiq",
    FillKind.AUTO_DELEVERAGING: "CreateByAdl_PassThrough",
}
POST_ONLY_TOOK: Final = "post_only"
_ENDS: Final = {
    "cancel": ("CancelByUser", "EC_PerCancelRequest"),
    "reduce_only": ("CancelByReduceOnly", "EC_NoError"),
    "liquidation": ("CancelByPrepareLiq", "EC_NoError"),
    POST_ONLY_TOOK: ("UNKNOWN", "EC_PostOnlyWillTakeLiquidity"),
    "reject": ("UNKNOWN", "EC_Others"),
}
"""Why an order ended, as the exchange has it: cancelType and rejectReason."""


def uid(account: str, kind: str, number: str) -> str:
    """Return the id on the wire of the exchange's own."""
    return str(uuid.uuid5(NAMESPACE, f"{account}|{kind}|{number}"))


def side_word(side: Side) -> str:
    return _SIDES[side]


def ms(at: int) -> str:
    """Return ns as a text of ms."""
    return str(at // MS)


def cents(value: Decimal) -> str:
    """Return an amount of money with at most eight places."""
    return plain(value.quantize(CENT8, ROUND_HALF_EVEN))


class WireOrder(msgspec.Struct, kw_only=True):
    """One order as the wire sees it; quantities in the wire's unit, times in ns."""

    ticket: Ticket
    order_id: str
    created_at: int
    updated_at: int
    quantity: Decimal
    price: Decimal
    status: ReportedStatus = ReportedStatus.WORKING
    why: str = ""
    filled: Decimal = ZERO
    value: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    last_price: Decimal = ZERO
    realised: Decimal = ZERO
    """Profit of the positions it closed."""

    @property
    def is_open(self) -> bool:
        return self.status is ReportedStatus.WORKING

    @property
    def word(self) -> str:
        """Return orderStatus (docs/v5/enum); only spot has a word for a part that was filled."""
        if self.status is ReportedStatus.WORKING:
            return "PartiallyFilled" if self.filled else "New"
        if self.status is ReportedStatus.FILLED:
            return "Filled"
        if self.why == "reject":
            return "Rejected"
        if self.filled and self.ticket.category == SPOT:
            return "PartiallyFilledCanceled"
        return "Cancelled"

    def end_words(self) -> tuple[str, str]:
        """Return cancelType and rejectReason."""
        if self.status is not ReportedStatus.CANCELLED:
            return "UNKNOWN", "EC_NoError"
        if self.why == "ioc" or self.ticket.time_in_force in {IOC, FOK}:
            reason = "EC_CancelForNoFullFill" if self.filled else "EC_NoImmediateQtyToFill"
            return _ENDS.get(self.why, ("UNKNOWN", reason))
        return _ENDS.get(self.why, ("UNKNOWN", "EC_Others"))


def order_row(view: WireOrder) -> Row:
    """Return an order as ``/v5/order/realtime`` and the order topic show it."""
    ticket = view.ticket
    spot = ticket.category == SPOT
    cancel_type, reject_reason = view.end_words()
    leaves = view.quantity - view.filled if view.is_open else ZERO
    row: Row = {
        "category": ticket.category,
        "symbol": ticket.symbol,
        "orderId": view.order_id,
        "orderLinkId": ticket.order_link_id,
        "blockTradeId": "",
        "side": side_word(ticket.side),
        "positionIdx": ticket.position_idx,
        "orderStatus": view.word,
        "cancelType": cancel_type,
        "rejectReason": reject_reason,
        "timeInForce": ticket.time_in_force,
        "isLeverage": "0" if spot else "",
        "price": plain(view.price) if ticket.order_type == LIMIT or not spot else "0",
        "qty": plain(ticket.quantity if ticket.in_quote else view.quantity),
        "avgPrice": cents(view.value / view.filled) if view.filled else "",
        "leavesQty": plain(leaves),
        "leavesValue": cents(leaves * view.price),
        "cumExecQty": plain(view.filled),
        "cumExecValue": plain(view.value),
        "cumExecFee": plain(sum(view.fees.values(), ZERO)),
        "cumFeeDetail": {asset: plain(fee) for asset, fee in view.fees.items()},
        "feeCurrency": next(iter(view.fees), "") if spot else "",
        "orderType": ticket.order_type,
        "stopOrderType": "",
        "orderIv": "",
        "marketUnit": _market_unit(ticket),
        "slippageToleranceType": ticket.slippage[0] if ticket.slippage else "UNKNOWN",
        "slippageTolerance": plain(ticket.slippage[1]) if ticket.slippage else "",
        "triggerPrice": "",
        "takeProfit": "",
        "stopLoss": "",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "triggerDirection": 0,
        "triggerBy": "",
        "lastPriceOnCreated": plain(view.last_price),
        "reduceOnly": ticket.reduce_only,
        "closeOnTrigger": False,
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "closedPnl": plain(view.realised),
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
        "createdTime": ms(view.created_at),
        "updatedTime": ms(view.updated_at),
    }
    if spot:
        row["ocoTriggerBy"] = "OcoTriggerByUnknown"
    else:
        row |= {"createType": "CreateByUser", "tpslMode": ""}
    return row


def _market_unit(ticket: Ticket) -> str:
    if ticket.category != SPOT or ticket.order_type != MARKET:
        return ""
    return "quoteCoin" if ticket.in_quote else "baseCoin"


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One fill with what the rows need beside it; quantities in the wire's unit."""

    fill: Fill
    category: str
    symbol: str
    exec_id: str
    order: WireOrder | None
    """None for what the venue did itself (liquidation, deleveraging)."""
    quantity: Decimal
    price: Decimal
    leaves: Decimal
    mark: Decimal
    seq: int
    fee_rate: Decimal = ZERO
    closed: Decimal = ZERO
    """What of it closed a position."""
    realised: Decimal = ZERO
    """Profit of what it closed, before the fee."""

    @property
    def order_id(self) -> str:
        return self.order.order_id if self.order else self.exec_id


def execution_row(execution: Execution) -> Row:
    """Return a fill as ``/v5/execution/list`` and the execution topic show it."""
    fill, order = execution.fill, execution.order
    value = execution.quantity * execution.price
    ticket = order.ticket if order else None
    row: Row = {
        "category": execution.category,
        "symbol": execution.symbol,
        "orderId": execution.order_id,
        "orderLinkId": ticket.order_link_id if ticket else "",
        "side": side_word(fill.side),
        "orderPrice": plain(order.price) if order else plain(execution.price),
        "orderQty": plain(order.quantity if order else execution.quantity),
        "leavesQty": plain(execution.leaves),
        "orderType": ticket.order_type if ticket else MARKET,
        "stopOrderType": "UNKNOWN",
        "execFee": plain(fill.fee),
        "execId": execution.exec_id,
        "execPrice": plain(execution.price),
        "execQty": plain(execution.quantity),
        "execType": EXEC_TYPES[fill.kind],
        "execValue": plain(value),
        "execTime": ms(fill.filled_at),
        "feeCurrency": fill.fee_asset,
        "isMaker": fill.maker,
        "feeRate": plain(execution.fee_rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": plain(execution.mark) if execution.category == LINEAR else "",
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": plain(execution.closed) if execution.category == LINEAR else "",
        "seq": execution.seq,
        "isLeverage": "0",
        "marketUnit": _market_unit(ticket) if ticket else "",
        "execPnl": plain(execution.realised),
        "extraFees": "",
    }
    if execution.category == LINEAR:
        row["createType"] = _CREATE_TYPES.get(fill.kind, "CreateByUser")
    return row


def fast_row(execution: Execution) -> Row:
    """Return a fill as ``execution.fast`` shows it: without fee, a maker's without its own id."""
    fill = execution.fill
    link_id = execution.order.ticket.order_link_id if execution.order else ""
    return {
        "category": execution.category,
        "symbol": execution.symbol,
        "execId": execution.exec_id,
        "execPrice": plain(execution.price),
        "execQty": plain(execution.quantity),
        "orderId": execution.order_id,
        "isMaker": fill.maker,
        "orderLinkId": "" if fill.maker else link_id,
        "side": side_word(fill.side),
        "execTime": ms(fill.filled_at),
        "seq": execution.seq,
    }
