"""From the venue's payloads to `hedge.model`: pure, and `Malformed` for what does not fit."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from hedge.errors import Malformed
from hedge.model import (
    Balance,
    Fill,
    FillKind,
    Leg,
    Mark,
    OrderReport,
    Position,
    ReportedStatus,
    Side,
)
from hedge.model.numbers import MS, ZERO
from hedge_binance import wire
from hedge_binance.instruments import Coins, Listing

T = TypeVar("T")
Rates = Mapping[str, Decimal]
"""What one unit of a third coin is worth: by coin and quote in one word (``BNBUSDT``)."""
ADL_MAX = 4
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
"""What a decoder raises: no JSON, another shape, and a text that is no UTF-8."""
LARGEST = Decimal("1e20")
"""No price, quantity or balance of any venue is as large; beyond it arithmetic may overflow."""

_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_STATUS = {
    "NEW": ReportedStatus.WORKING,
    "PENDING_NEW": ReportedStatus.WORKING,
    "PARTIALLY_FILLED": ReportedStatus.WORKING,
    "PENDING_CANCEL": ReportedStatus.WORKING,
    "NEW_INSURANCE": ReportedStatus.WORKING,
    "NEW_ADL": ReportedStatus.WORKING,
    "FILLED": ReportedStatus.FILLED,
    "CANCELED": ReportedStatus.CANCELLED,
    "EXPIRED": ReportedStatus.CANCELLED,
    "EXPIRED_IN_MATCH": ReportedStatus.CANCELLED,
    "REJECTED": ReportedStatus.CANCELLED,
}
_FORCED = (
    ("adl_autoclose", FillKind.AUTO_DELEVERAGING),
    ("settlement_autoclose-", FillKind.SETTLEMENT),
    ("delivery_autoclose-", FillKind.SETTLEMENT),
    ("autoclose-", FillKind.LIQUIDATION),
)
"""Client ids of the venue's own orders (USD-M "Event: Order Update")."""
_FORCED_PREFIXES = tuple(prefix for prefix, _ in _FORCED)


def decoder(kind: type[T]) -> Callable[[bytes | memoryview | msgspec.Raw], T]:
    """Return what reads one payload as ``kind``; it raises `Malformed`, naming no content."""
    decode = msgspec.json.Decoder(kind).decode

    def read(payload: bytes | memoryview | msgspec.Raw) -> T:
        try:
            return decode(payload)
        except UNREADABLE as error:
            raise Malformed(f"binance {_name_of(kind)}: {error}") from None

    return read


def _name_of(kind: object) -> str:
    return getattr(kind, "__name__", str(kind))


_spot_event: Callable[..., wire.SpotEvent] = msgspec.json.Decoder(wire.SpotEvent).decode
_spot_news = msgspec.json.Decoder(wire.SpotNews).decode
_futures_event: Callable[..., wire.FuturesEvent] = msgspec.json.Decoder(wire.FuturesEvent).decode
_named = decoder(wire.Named)
api_frame = decoder(wire.ApiFrame)
stream_frame = decoder(wire.StreamFrame)
book_ticker = decoder(wire.BookTicker)
spot_depth = decoder(wire.SpotDepth)
futures_depth = decoder(wire.FuturesDepth)
mark_price = decoder(wire.MarkPrice)
symbol_row = decoder(wire.SymbolRow)


def spot_event(payload: bytes | memoryview | msgspec.Raw) -> wire.SpotEvent | None:
    """Return a user event of spot; None for one that needs no action, `Malformed` for the rest."""
    try:
        return _spot_event(payload)
    except UNREADABLE as error:
        _must_be_idle(payload, error)
    return None


def spot_news(payload: bytes) -> wire.SpotEvent | None:
    """Return the event of a whole frame, read in one pass; None for any other frame."""
    try:
        return _spot_news(payload).event
    except UNREADABLE:
        return None


def futures_event(payload: bytes | memoryview | msgspec.Raw) -> wire.FuturesEvent | None:
    """Return a user event of USD-M; None for one that needs no action, `Malformed` for the rest."""
    try:
        return _futures_event(payload)
    except UNREADABLE as error:
        _must_be_idle(payload, error)
    return None


def _must_be_idle(payload: bytes | memoryview | msgspec.Raw, error: Exception) -> None:
    name = _named(payload).e
    if name not in wire.HEARD_ONLY:
        raise Malformed(f"binance event {name[:40]!a}: {error}") from None


def finite(*values: Decimal) -> None:
    """Raise `Malformed` for a NaN, an infinity or the absurd: none may enter a type (F36)."""
    for value in values:
        if not value.is_finite() or not -LARGEST < value < LARGEST:
            raise Malformed(f"binance: the number {value}")


def sound(*values: Decimal) -> None:
    """Raise `Malformed` also for what is below zero."""
    for value in values:
        if not (value.is_finite() and ZERO <= value < LARGEST):
            raise Malformed(f"binance: the number {value}")


# -- orders --------------------------------------------------------------------------------------


def side_of(word: str) -> Side:
    side = _SIDES.get(word)
    if side is None:
        raise Malformed(f"binance: side {word[:20]!a}")
    return side


def status_of(word: str) -> ReportedStatus:
    """Return what a status word means; a word nobody knows ends nothing: an audit will tell."""
    return _STATUS.get(word, ReportedStatus.WORKING)


def order_row(row: wire.OrderRow, listing: Listing) -> OrderReport:
    """Return an order as an answer shows it (placed, cancelled, asked for, open)."""
    at = row.update_time or row.transact_time or row.time
    sound(row.executed_qty, row.orig_qty or ZERO, row.price or ZERO)
    return OrderReport(
        # The answer to a spot cancel names itself; what it cancelled is the original.
        client_order_id=row.orig_client_order_id or row.client_order_id,
        venue_order_id=str(row.order_id),
        status=status_of(row.status),
        filled=listing.coins(row.executed_qty),
        reported_at=at * MS,
        side=_SIDES.get(row.side),
        quantity=None if row.orig_qty is None else listing.coins(row.orig_qty),
        limit_price=None if row.price is None else listing.per_coin(row.price),
        reduce_only=row.reduce_only,
    )


def execution_report(report: wire.ExecutionReport, listing: Listing) -> OrderReport:
    """Return the order after this event of spot."""
    sound(report.filled, report.quantity, report.price)
    return OrderReport(
        client_order_id=report.original_id or report.client_id,
        venue_order_id=str(report.order_id),
        status=status_of(report.status),
        filled=listing.coins(report.filled),
        reported_at=report.at * MS,
        side=side_of(report.side),
        quantity=listing.coins(report.quantity),
        limit_price=listing.per_coin(report.price),
    )


def order_news(news: wire.OrderNews, listing: Listing) -> OrderReport:
    """Return the order after this event of USD-M."""
    sound(news.filled, news.quantity, news.price)
    return OrderReport(
        client_order_id=news.client_id,
        venue_order_id=str(news.order_id),
        status=status_of(news.status),
        filled=listing.coins(news.filled),
        reported_at=news.at * MS,
        side=side_of(news.side),
        quantity=listing.coins(news.quantity),
        limit_price=listing.per_coin(news.price),
        reduce_only=news.reduce_only,
    )


# -- fills ---------------------------------------------------------------------------------------


def kind_of(execution: str, status: str, client_id: str) -> FillKind:
    """Return why it was executed: by the venue's own ids first, then by the execution type.

    ``CALCULATED`` is the liquidation's execution; a type that is not known is UNKNOWN (F26).
    """
    if client_id.startswith(_FORCED_PREFIXES):
        return next(kind for prefix, kind in _FORCED if client_id.startswith(prefix))
    if execution == "TRADE":
        return FillKind.TRADE
    if execution == "CALCULATED":
        return FillKind.AUTO_DELEVERAGING if status == "NEW_ADL" else FillKind.LIQUIDATION
    return FillKind.UNKNOWN


def fill_of(
    news: wire.ExecutionReport | wire.OrderNews,
    listing: Listing,
    rates: Rates,
    *,
    leg: Leg,
    client_id: str,
) -> Fill | None:
    """Return the execution in an order's news, None where there is none."""
    quantity, price = news.last_quantity, news.last_price
    sound(quantity, price)
    if quantity == ZERO:
        return None
    fee, fee_asset, rate = _fee(news.fee or ZERO, news.fee_asset or "", listing, rates)
    traded = news.trade_id > 0
    return Fill(
        leg=leg,
        symbol=listing.symbol,
        # A liquidation may come without a trade id: the order and how far it got are unique.
        fill_id=str(news.trade_id) if traded else f"{news.order_id}:{news.filled}",
        client_order_id=client_id,
        venue_order_id=str(news.order_id),
        side=side_of(news.side),
        quantity=listing.coins(quantity),
        price=listing.per_coin(price),
        fee=fee,
        fee_asset=fee_asset,
        fee_rate_quote=rate,
        maker=news.maker,
        kind=kind_of(news.execution, news.status, client_id),
        filled_at=news.at * MS,
    )


def _fee(
    fee: Decimal, asset: str, listing: Listing, rates: Rates
) -> tuple[Decimal, str, Decimal | None]:
    if not (fee.is_finite() and -LARGEST < fee < LARGEST):
        raise Malformed(f"binance: the fee {fee}")
    instrument = listing.instrument
    if asset == listing.native_base:
        return listing.coins(fee), instrument.base, None
    if asset in (instrument.quote, instrument.settle, ""):
        return fee, asset, None
    return fee, asset, rates.get(asset + instrument.quote)


def spot_trade(row: wire.SpotTrade, listing: Listing, rates: Rates, client_id: str) -> Fill:
    """Return a row of ``myTrades``, which names no client id: ``client_id`` is "" where unknown."""
    side = Side.BUY if row.is_buyer else Side.SELL
    return _trade(row, listing, rates, leg=Leg.SPOT, side=side, maker=row.is_maker, ours=client_id)


def futures_trade(row: wire.FuturesTrade, listing: Listing, rates: Rates, client_id: str) -> Fill:
    """Return a row of ``userTrades``, which names no client id either."""
    side = side_of(row.side)
    return _trade(row, listing, rates, leg=Leg.FUTURES, side=side, maker=row.maker, ours=client_id)


def _trade(
    row: wire.SpotTrade | wire.FuturesTrade,
    listing: Listing,
    rates: Rates,
    *,
    leg: Leg,
    side: Side,
    maker: bool,
    ours: str,
) -> Fill:
    sound(row.qty, row.price)
    fee, fee_asset, rate = _fee(row.commission, row.commission_asset, listing, rates)
    return Fill(
        leg=leg,
        symbol=listing.symbol,
        fill_id=str(row.id),
        client_order_id=ours,
        venue_order_id=str(row.order_id),
        side=side,
        quantity=listing.coins(row.qty),
        price=listing.per_coin(row.price),
        fee=fee,
        fee_asset=fee_asset,
        fee_rate_quote=rate,
        maker=maker,
        kind=kind_of("TRADE", "", ours),
        filled_at=row.time * MS,
    )


# -- what is held --------------------------------------------------------------------------------


def balance(
    asset: str, free: Decimal, locked: Decimal, coins: Coins, *, at: int, rate: Decimal | None
) -> Balance:
    """Return one asset, in coins; ``at`` in ms, ``rate`` the value of one in quote or None."""
    sound(free, locked)
    coin, units = coins.of(asset)
    return Balance(
        asset=coin,
        free=free * units,
        locked=locked * units,
        rate_quote=rate,
        updated_at=at * MS,
    )


def position_row(row: wire.PositionRow, listing: Listing, at: int) -> Position | None:
    """Return the position after an ``ACCOUNT_UPDATE`` (``at`` in ms); None in hedge mode.

    There an event tells one of the two sides only, and half a position is none.
    """
    if row.side != "BOTH":
        return None
    finite(row.quantity, row.entry_price)
    return Position(
        symbol=listing.symbol,
        quantity=listing.coins(row.quantity),
        entry_notional=row.quantity * row.entry_price,
        updated_at=at * MS,
    )


def position_risk(rows: list[wire.PositionRisk], listing: Listing, at: int) -> Position:
    """Return the whole position out of an answer (``at`` ns): no row of the symbol is flat.

    ``positionRisk`` v3 lists only symbols that have a position or an open order.
    """
    mine = [row for row in rows if row.symbol == listing.native]
    for row in mine:
        finite(row.position_amt, row.entry_price, row.liquidation_price)
    held = [row for row in mine if row.position_amt]
    quantity = sum((row.position_amt for row in held), ZERO)
    limits = [row.liquidation_price for row in held if row.liquidation_price > 0]
    ranks = [row.adl for row in held if row.adl is not None]
    return Position(
        symbol=listing.symbol,
        quantity=listing.coins(quantity),
        entry_notional=sum((row.position_amt * row.entry_price for row in held), ZERO),
        liquidation_price=listing.per_coin(limits[0]) if len(limits) == 1 else None,
        adl_rank=min(max(ranks), ADL_MAX) if ranks else None,
        updated_at=max((row.update_time * MS for row in mine), default=at),
    )


def number(text: str) -> Decimal | None:
    """Return a number that may be missing: the venue writes "" for none."""
    if not text:
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise Malformed(f"binance: no number {text[:20]!a}") from None
    return found if found.is_finite() else None


# -- the market ----------------------------------------------------------------------------------


def depth(levels: list[wire.Level], listing: Listing) -> Decimal:
    """Return the coins on the top five levels of one side."""
    quantities = [quantity for _, quantity in levels[:5]]
    sound(*quantities)
    return listing.coins(sum(quantities, ZERO))


def mark(news: wire.MarkPrice, listing: Listing) -> Mark:
    sound(news.mark, news.index)
    return Mark(
        symbol=listing.symbol,
        mark=listing.per_coin(news.mark),
        index=listing.per_coin(news.index),
        seen_at=news.at * MS,
    )
