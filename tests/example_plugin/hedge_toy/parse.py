"""The exchange's rows as ours: it counts in whole units, ticks and microseconds."""

from collections.abc import Callable
from typing import Any, NamedTuple

from hedge import model
from hedge.model import FillKind, Leg, RateOrigin, ReportedStatus, Side
from hedge.roles import FeeRates, Margin
from hedge.transport import Row

US = 1_000
STATES = {"open": ReportedStatus.WORKING, "done": ReportedStatus.FILLED}
KINDS = {"deal": FillKind.TRADE, "adl": FillKind.AUTO_DELEVERAGING, "liq": FillKind.LIQUIDATION}


class Market(NamedTuple):
    """An instrument, and what the exchange calls it."""

    id: str
    instrument: model.Instrument


def side(one: Row) -> Side:
    return Side.BUY if one.text("way") == "B" else Side.SELL


def market(one: Row) -> Market:
    coin, money, unit = one.text("coin"), one.text("money"), one.number("unit")
    cash = one.text("kind") == "cash"
    return Market(one.text("id"), model.Instrument(
        venue="toy", base=coin, quote=money, settle="" if cash else money,
        symbol=f"{coin}/{money}" if cash else f"{coin}/{money}:{money}",
        kind=model.InstrumentKind.SPOT if cash else model.InstrumentKind.PERPETUAL,
        tick=one.number("tick"), lot=unit, contract_size=unit / unit if cash else unit,
        quantity_min=one.number("least") * unit, quantity_max=one.number("most") * unit,
        notional_min=one.number("worth"),
        status=model.InstrumentStatus["TRADING" if one.flag("open") else "HALTED"],
    ))  # fmt: skip


def prices(of: model.Instrument, clock: Callable[[], int], row: Row) -> list[Any]:
    if "book" not in row:
        return []
    book, now = row.row("book"), clock()
    quote = model.Quote(
        symbol=of.symbol, bid=book.number("bid") * of.tick, ask=book.number("ask") * of.tick,
        bid_depth=book.number("bids") * of.lot, ask_depth=book.number("asks") * of.lot, seen_at=now,
    )  # fmt: skip
    if "mark" not in book:
        return [quote]
    mark, index = book.number("mark"), book.number("index")
    return [quote, model.Mark(symbol=of.symbol, mark=mark, index=index, seen_at=now)]


def report(of: model.Instrument, one: Row) -> model.OrderReport:
    return model.OrderReport(
        client_order_id=one.text("cid"), venue_order_id=one.text("no"), side=side(one),
        status=STATES.get(one.text("state"), ReportedStatus.CANCELLED),
        filled=one.number("done") * of.lot, quantity=one.number("n") * of.lot,
        limit_price=one.number("p") * of.tick, reduce_only=one.flag("shrink"),
        reported_at=one.whole("at") * US,
    )  # fmt: skip


def fill(of: model.Instrument, one: Row) -> model.Fill:
    return model.Fill(
        leg=Leg.FUTURES if of.settle else Leg.SPOT, symbol=of.symbol, fill_id=one.text("seq"),
        client_order_id=one.text("cid"), venue_order_id=one.text("no"), side=side(one),
        quantity=one.number("n") * of.lot, price=one.number("p") * of.tick,
        fee=one.number("fee"), fee_asset=one.text("coin"), fee_rate_quote=one.maybe("worth"),
        maker=one.flag("maker"), kind=KINDS.get(one.text("why"), FillKind.UNKNOWN),
        filled_at=one.whole("at") * US,
    )  # fmt: skip


def balance(one: Row) -> model.Balance:
    return model.Balance(
        asset=one.text("coin"), free=one.number("free"), locked=one.number("held"),
        rate_quote=one.maybe("worth"),
    )  # fmt: skip


def position(of: model.Instrument, one: Row) -> model.Position:
    return model.Position(
        symbol=of.symbol, quantity=one.number("n") * of.lot, entry_notional=one.number("cost"),
        liquidation_price=one.maybe("liq"),
    )  # fmt: skip


def payment(of: model.Instrument, one: Row) -> model.FundingPayment:
    return model.FundingPayment(
        payment_id=one.text("seq"), symbol=of.symbol, rate=one.number("rate"),
        interval_s=one.whole("every"), quantity=one.number("n") * of.lot,
        cash=one.number("cash"), asset=one.text("coin"), settled_at=one.whole("at") * US,
    )  # fmt: skip


def rate(of: model.Instrument, one: Row) -> model.FundingRate:
    return model.FundingRate(
        symbol=of.symbol, rate=one.number("rate"), interval_s=one.whole("every"),
        next_at=one.whole("next") * US, observed_at=one.whole("at") * US,
        origin=RateOrigin.LIVE if one.flag("live") else RateOrigin.SETTLED,
    )  # fmt: skip


def margin(one: Row) -> Margin:
    return Margin(
        free=one.number("free"), wallet=one.number("wallet"), ratio=one.number("ratio"),
        leverage=one.number("lever"),
    )  # fmt: skip


def fees(one: Row) -> FeeRates:
    maker, taker = one.number("maker"), one.number("taker")
    return FeeRates(maker=maker, taker=taker, buy_asset=one.text("coin"))
