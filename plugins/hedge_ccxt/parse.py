"""ccxt's unified dicts, parsed once into ours: pure, and `Malformed` for what makes no sense."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from hedge.errors import Malformed
from hedge.model import (
    Balance,
    Fill,
    FillKind,
    FundingPayment,
    FundingRate,
    Leg,
    Mark,
    OrderReport,
    Position,
    Quote,
    RateOrigin,
    ReportedStatus,
    Side,
)
from hedge.model.numbers import MS, ZERO
from hedge_ccxt.listing import Listing, number
from hedge_ccxt.order_ids import IdStyle, from_venue

Row = Mapping[str, Any]


class Profits(msgspec.Struct, frozen=True, kw_only=True):
    """Where a venue's own balance states the unrealised profit that ccxt's totals have in them.

    ``rows`` leads to a row or a list of them, the others to their places in a row.
    """

    rows: str
    profit: str
    asset: str = ""


ENDED = frozenset({"canceled", "cancelled", "expired", "rejected"})
FUNDING = "Funding"
KINDS = {
    "BustTrade": FillKind.LIQUIDATION,
    "AdlTrade": FillKind.AUTO_DELEVERAGING,
    "Settle": FillKind.SETTLEMENT,
    "Delivery": FillKind.SETTLEMENT,
}
"""Bybit's ``execType`` where it is no trade."""
PREFIXES = {
    "autoclose-": FillKind.LIQUIDATION,
    "liquidation": FillKind.LIQUIDATION,
    "adl_autoclose": FillKind.AUTO_DELEVERAGING,
    "settlement_autoclose-": FillKind.SETTLEMENT,
}
"""Of the ids of orders that Binance and Gate place in our name."""
CATEGORIES = frozenset({"spot", "linear", "inverse", "option"})
LEVELS = 5
SECONDS = {"m": 60, "h": 3_600, "d": 86_400}


def as_row(value: Any) -> Row:
    """Return a row of ccxt's; raise `Malformed` for what is none."""
    if not isinstance(value, Mapping):
        raise Malformed(f"ccxt: no row: {type(value).__name__}")
    return value


def as_rows(value: Any) -> list[Row]:
    if not isinstance(value, list):
        raise Malformed(f"ccxt: no rows: {type(value).__name__}")
    return [as_row(one) for one in value]


def moment(value: Any, default: int = 0) -> int:
    """Return ns of ccxt's ms."""
    return default if value is None else int(value) * MS


def side(row: Row) -> Side:
    match row.get("side"):
        case "buy":
            return Side.BUY
        case "sell":
            return Side.SELL
        case other:
            raise Malformed(f"ccxt: no side: {str(other)[:40]!r}")


def belongs(row: Row, listing: Listing) -> bool:
    """Return whether a row is of this instrument, and of this leg.

    Bybit's stream carries both legs under one name (BTCUSDT), and an instance that has loaded one
    kind of market takes everything for that kind: the row's own category decides.
    """
    if row.get("symbol") != listing.market:
        return False
    category = (row.get("info") or {}).get("category")
    wanted = "linear" if listing.leg is Leg.FUTURES else "spot"
    return category not in CATEGORIES or category == wanted


def is_funding(trade: Row) -> bool:
    """Return whether Bybit lists the cash of a settlement as an execution."""
    return bool((trade.get("info") or {}).get("execType") == FUNDING)


def fill(trade: Row, listing: Listing, client_order_id: str) -> Fill:
    """Return one execution; the fee is in the settle asset where a perpetual's says no coin."""
    if not trade.get("id"):
        raise Malformed("ccxt: an execution without an id")
    quantity = listing.quantity(number(trade.get("amount")))
    price = listing.price(number(trade.get("price")))
    if quantity <= 0 or price <= 0:
        raise Malformed(f"ccxt: an execution of {quantity} at {price}")
    instrument = listing.instrument
    fees = [one for one in (trade.get("fee"), *(trade.get("fees") or ())) if one]
    first: Row = next((one for one in fees if one.get("cost") is not None), {})
    info = trade.get("info") or {}
    kind = KINDS.get(str(info.get("execType")), FillKind.TRADE)
    for prefix, meaning in PREFIXES.items():
        kind = meaning if client_order_id.startswith(prefix) else kind
    return Fill(
        leg=listing.leg,
        symbol=listing.symbol,
        fill_id=str(trade["id"]),
        client_order_id=client_order_id,
        venue_order_id=str(trade.get("order") or ""),
        side=side(trade),
        quantity=quantity,
        price=price,
        fee=number(first.get("cost")),
        fee_asset=str(first.get("currency") or instrument.settle or instrument.quote),
        maker=trade.get("takerOrMaker") == "maker",
        kind=kind,
        filled_at=moment(trade.get("timestamp")),
    )


def client_id(row: Row, style: IdStyle) -> str:
    """Return our id of an order, or of a trade where the venue says it there."""
    info = row.get("info") or {}
    found = row.get("clientOrderId")
    if not found and isinstance(info, Mapping):
        names = ("orderLinkId", "clientOrderId", "clOrdId", "clientOid", "text", "cloid", "c")
        found = next((info[name] for name in names if isinstance(info.get(name), str)), "")
    return from_venue(style, str(found or ""))


def order_report(order: Row, listing: Listing, style: IdStyle) -> OrderReport:
    """Return the venue's view. A word that ends it counts only together with a quantity."""
    stated = as_row(order).get("filled")
    filled = listing.quantity(number(stated))
    asked = order.get("amount")
    quantity = listing.quantity(number(asked)) if asked is not None else None
    status = ReportedStatus.WORKING
    word = str(order.get("status") or "")
    if quantity and filled >= quantity:
        status = ReportedStatus.FILLED
    elif stated is not None and (word in ENDED or word == "closed"):
        status = ReportedStatus.CANCELLED
    price = order.get("price")
    reduce_only = order.get("reduceOnly")
    return OrderReport(
        client_order_id=client_id(order, style),
        venue_order_id=str(order.get("id") or ""),
        status=status,
        filled=filled,
        reported_at=moment(order.get("lastUpdateTimestamp") or order.get("timestamp")),
        side=side(order) if order.get("side") else None,
        quantity=quantity,
        limit_price=listing.price(number(price)) if price else None,
        reduce_only=bool(reduce_only) if reduce_only is not None else None,
    )


def answered(order: Any, listing: Listing, style: IdStyle) -> OrderReport:
    """Return the answer to a placed order; without the venue's id of it, it is none."""
    report = order_report(as_row(order), listing, style)
    if not report.venue_order_id:
        raise Malformed("ccxt: an answer without the order's id")
    return report


def quote(ticker: Row, listing: Listing, at: int) -> Quote | None:
    """Return best bid and ask; None where the row has none. One level says nothing of depth."""
    bid, ask = ticker.get("bid"), ticker.get("ask")
    if bid is None or ask is None:
        return None
    return Quote(
        symbol=listing.symbol,
        bid=listing.price(number(bid)),
        ask=listing.price(number(ask)),
        seen_at=at,
    )


def book(levels: Row, listing: Listing, at: int) -> Quote | None:
    """Return the best of a book with its depth, whatever order the rows are in."""
    bids = sorted(_levels(levels.get("bids")), reverse=True)[:LEVELS]
    asks = sorted(_levels(levels.get("asks")))[:LEVELS]
    if not bids or not asks:
        return None
    return Quote(
        symbol=listing.symbol,
        bid=listing.price(bids[0][0]),
        ask=listing.price(asks[0][0]),
        bid_depth=listing.quantity(sum((row[1] for row in bids), ZERO)),
        ask_depth=listing.quantity(sum((row[1] for row in asks), ZERO)),
        seen_at=at,
    )


def _levels(rows: Iterable[Any] | None) -> list[tuple[Decimal, Decimal]]:
    return [(number(row[0]), number(row[1])) for row in rows or ()]


def mark(row: Row, listing: Listing, at: int) -> Mark | None:
    """Return the mark; where a venue states no index beside it, the mark stands for both."""
    value = row.get("markPrice")
    if value is None:
        return None
    price = listing.price(number(value))
    index = row.get("indexPrice")
    return Mark(
        symbol=listing.symbol,
        mark=price,
        index=listing.price(number(index)) if index is not None else price,
        seen_at=at,
    )


def balances(answer: Row, at: int, profits: Profits | None) -> tuple[Balance, ...]:
    """Return every coin of the account that has a total, as cash: without unrealised profit."""
    totals: Mapping[str, Any] = answer.get("total") or {}
    unrealised = _unrealised(answer, profits) if profits is not None else {}
    found = []
    for asset, stated in totals.items():
        total = number(stated) - unrealised.get(asset, unrealised.get("", ZERO))
        free = min(number((answer.get(asset) or {}).get("free"), total), total)
        locked = total - free
        found.append(Balance(asset=asset, free=free, locked=locked, updated_at=at))
    return tuple(found)


def _unrealised(answer: Row, profits: Profits) -> dict[str, Decimal]:
    """Return the profit in the total of each asset, under "" where the venue has one asset only."""
    rows = at_path(answer.get("info"), profits.rows)
    found: dict[str, Decimal] = {}
    for row in rows if isinstance(rows, list) else [rows]:
        asset = str(at_path(row, profits.asset)) if profits.asset else ""
        found[asset] = found.get(asset, ZERO) + number(at_path(row, profits.profit))
    return found


def position(rows: Iterable[Row], listing: Listing, at: int) -> Position:
    """Return the whole position of one perpetual: both sides of hedge mode, added up."""
    quantity, cost = ZERO, ZERO
    liquidation: Decimal | None = None
    ratio: Decimal | None = None
    for row in rows:
        if row.get("symbol") != listing.market or not row.get("contracts"):
            continue
        size = listing.quantity(number(row["contracts"]))
        if row.get("side") not in ("long", "short"):
            raise Malformed(f"ccxt: a position on side {str(row.get('side'))[:20]!r}")
        signed = size if row["side"] == "long" else -size
        quantity += signed
        cost += signed * listing.price(number(row.get("entryPrice")))
        if row.get("liquidationPrice"):
            liquidation = listing.price(number(row["liquidationPrice"]))
        if row.get("marginRatio") is not None:
            ratio = number(row["marginRatio"])
    return Position(
        symbol=listing.symbol,
        quantity=quantity,
        entry_notional=cost,
        liquidation_price=liquidation if liquidation and liquidation > 0 else None,
        margin_ratio=ratio,
        updated_at=at,
    )


def interval_s(text: Any) -> int:
    """Return seconds of ccxt's ``8h``; 0 for none."""
    word = str(text or "")
    if not word[:-1].isdigit() or word[-1] not in SECONDS:
        return 0
    return int(word[:-1]) * SECONDS[word[-1]]


def live_rate(row: Row, listing: Listing, seconds: int, at: int) -> FundingRate | None:
    """Return the running rate; its settlement is the one that ccxt calls funding, else the next."""
    rate = row.get("fundingRate")
    due = row.get("fundingTimestamp") or row.get("nextFundingTimestamp")
    if rate is None or due is None or not seconds:
        return None
    return FundingRate(
        symbol=listing.symbol,
        rate=number(rate),
        interval_s=seconds,
        next_at=moment(due),
        observed_at=at,
        origin=RateOrigin.LIVE,
    )


def payment_id(row: Row) -> str:
    """Return what tells one settlement's cash from another's; Hyperliquid's ids are all alike."""
    return f"{row.get('id') or row.get('symbol')}@{row.get('timestamp')}"


def payment(row: Row, listing: Listing, near: FundingRate | None, sign: int) -> FundingPayment:
    """Return the cash of one settlement, positive = received; ``sign`` makes it so.

    Rate and interval are those of ``near``, the settlement of that moment: what ccxt calls the
    rate of a payment is a fee's for Bybit (negative is received), and nowhere for most. The
    position it was paid on is not known yet.
    """
    return FundingPayment(
        payment_id=payment_id(row),
        symbol=listing.symbol,
        rate=near.rate if near else ZERO,
        interval_s=near.interval_s if near else 0,
        quantity=ZERO,
        cash=number(row.get("amount")) * sign,
        asset=str(row.get("code") or listing.instrument.settle),
        settled_at=moment(row.get("timestamp")),
    )


def settled_mark(row: Row, listing: Listing) -> Decimal:
    """Return the mark that a settlement was reckoned with, where the venue says it (Binance)."""
    return listing.price(number((row.get("info") or {}).get("markPrice")))


def paid_on(row: Row, listing: Listing, path: str, paid: FundingPayment, mark: Decimal) -> Decimal:
    """Return the position of a settlement, signed, base coins; 0 where nothing says it.

    Its size stands at ``path`` of the venue's own row, or is what cash, rate and mark leave: cash
    = -position x mark x rate. A short is paid by a positive rate, which gives the sign.
    """
    size = abs(listing.quantity(number(at_path(row.get("info"), path)))) if path else ZERO
    if not size and paid.rate and mark:
        lot = listing.instrument.lot
        size = abs(paid.cash / (paid.rate * mark) / lot).to_integral_value() * lot
    return -size if (paid.cash > 0) == (paid.rate > 0) else size


def at_path(answer: Any, path: str) -> Any:
    """Return what stands at ``a.0.b`` of a venue's own row, None where nothing does."""
    for word in path.split(".") if path else ():
        if isinstance(answer, list):
            answer = answer[int(word)] if int(word) < len(answer) else None
        else:
            answer = answer.get(word) if isinstance(answer, Mapping) else None
    return answer
