"""Bybit's rows turned into facts of `hedge.model`: pure functions, that raise `Malformed`.

Spot fees (docs/v5/enum, "Spot Fee Currency Instruction"): a buyer pays in base and a seller in
quote; where the maker's rate is a rebate it comes in the other asset of the two.
"""

from collections.abc import Iterable
from decimal import Decimal

from hedge.errors import Malformed
from hedge.model import (
    Balance,
    Fill,
    FillKind,
    FundingPayment,
    Leg,
    OrderReport,
    Position,
    ReportedStatus,
    Side,
)
from hedge.model.numbers import MS, ZERO
from hedge_bybit.frames import (
    CoinRow,
    ExecutionRow,
    OrderRow,
    PositionRow,
    Row,
    Text,
    WalletRow,
)
from hedge_bybit.listing import Listing, number

SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}

FUNDING = "Funding"
FILL_KINDS = {
    "Trade": FillKind.TRADE,
    "AdlTrade": FillKind.AUTO_DELEVERAGING,
    "BustTrade": FillKind.LIQUIDATION,
    "Delivery": FillKind.SETTLEMENT,
    "Settle": FillKind.SETTLEMENT,
    # Trades that somebody else arranged on this account.
    "BlockTrade": FillKind.TRADE,
    "MovePosition": FillKind.TRADE,
    "FutureSpread": FillKind.TRADE,
}
"""``execType``; whatever is not here is `FillKind.UNKNOWN`."""

FORCED_KINDS = {
    "CreateByLiq": FillKind.LIQUIDATION,
    "CreateByTakeOver_PassThrough": FillKind.LIQUIDATION,
    "CreateByAdl_PassThrough": FillKind.AUTO_DELEVERAGING,
    "CreateBySettle": FillKind.SETTLEMENT,
}
"""``createType`` of orders that the venue placed: a laddered liquidation executes as a Trade."""

ENDED_WORDS = frozenset({"Cancelled", "PartiallyFilledCanceled", "Rejected", "Deactivated"})
"""``orderStatus`` of what will not trade any more, whatever it traded before."""

HEDGE_MODE_INDEXES = frozenset({1, 2})
ADL_RANKS = 5


class FundingRow(Row, frozen=True, kw_only=True):
    """One settlement of /v5/account/transaction-log with ``type=SETTLEMENT``."""

    symbol: str
    side: str = ""
    funding: Text = ""
    fee_rate: Text = ""
    qty: Text = ""
    currency: Text = ""
    transaction_time: str | int


def moment(text: str | int) -> int:
    """Return ns of the venue's ms."""
    try:
        return int(text) * MS
    except ValueError:
        raise Malformed(f"bybit: no time: {str(text)[:40]!r}") from None


def side_of(word: str) -> Side:
    side = SIDES.get(word)
    if side is None:
        raise Malformed(f"bybit: no side: {word[:40]!r}")
    return side


def fee_asset(row: ExecutionRow, listing: Listing, side: Side) -> str:
    """Return the coin of the fee: the venue's word, or where it says nothing, its rule."""
    instrument = listing.instrument
    if row.fee_currency:
        return row.fee_currency
    if listing.leg is Leg.FUTURES:
        return instrument.settle
    in_base = side is Side.BUY
    if row.is_maker and number(row.fee_rate) < 0:
        in_base = not in_base
    return instrument.base if in_base else instrument.quote


def fill_kind(row: ExecutionRow) -> FillKind:
    kind = FILL_KINDS.get(row.exec_type, FillKind.UNKNOWN)
    return FORCED_KINDS.get(row.create_type, kind) if kind is FillKind.TRADE else kind


def fill(row: ExecutionRow, listing: Listing, client_order_id: str = "") -> Fill:
    """Return the fill; ``client_order_id`` where ours is known and the row does not say it.

    Taxes of some countries (``extraFees``) count as fee where they are in the fee's own coin.
    """
    side = side_of(row.side)
    asset = fee_asset(row, listing, side)
    fee = number(row.exec_fee)
    if row.extra_fees and not isinstance(row.extra_fees, str):
        fee += sum((number(one.fee) for one in row.extra_fees if one.fee_coin == asset), ZERO)
    rate = None
    if fee and asset not in (listing.instrument.base, listing.instrument.quote):
        # A third coin (MNT): what it is worth follows from the rate that was charged.
        charged = number(row.exec_value) * abs(number(row.fee_rate))
        rate = charged / abs(fee) if asset != listing.instrument.settle else None
    return Fill(
        leg=listing.leg,
        symbol=listing.symbol,
        fill_id=row.exec_id,
        client_order_id=row.order_link_id or client_order_id,
        venue_order_id=row.order_id,
        side=side,
        quantity=listing.quantity(number(row.exec_qty)),
        price=listing.price(number(row.exec_price)),
        fee=fee,
        fee_asset=asset,
        fee_rate_quote=rate,
        maker=row.is_maker,
        kind=fill_kind(row),
        filled_at=moment(row.exec_time),
    )


def pays_by_execution(listing: Listing) -> bool:
    """Return whether funding comes as executions, streamed and listed under one ``execId``.

    So it is settled in USDT (docs/v5/websocket/private/execution, ``execType``: "USDT Perpetual
    ... has Funding feed"); the rest is read in the transaction log, whose rows share no id with
    executions, and a time only as far as two clocks agree. One settlement has one source.
    """
    return listing.instrument.settle == "USDT"


def market_rate(text: str | None, sign: int) -> Decimal:
    """Return the rate as longs see it: a short's row carries it with the opposite sign.

    Source: docs/v5/account/transaction-log, ``feeRate``: "For side=Buy, feeRate=market fee rate;
    For side=Sell, feeRate= - market fee rate".
    """
    return number(text) * sign


def executed_payment(row: ExecutionRow, listing: Listing) -> FundingPayment:
    """Return the payment of an execution of type Funding; its fee is positive when paid."""
    sign = side_of(row.side).sign
    return FundingPayment(
        payment_id=f"bybit:{row.exec_id}",
        symbol=listing.symbol,
        rate=market_rate(row.fee_rate, sign),
        interval_s=listing.funding_interval_s,
        quantity=listing.quantity(number(row.exec_qty)) * sign,
        cash=-number(row.exec_fee),
        asset=row.fee_currency or listing.instrument.settle,
        settled_at=moment(row.exec_time),
    )


def logged_payment(row: FundingRow, listing: Listing) -> FundingPayment:
    """Return the payment of a transaction log row; its ``funding`` is positive when received.

    The cash is what counts: a row that does not say its side is taken for a long's.
    """
    sign = SIDES[row.side].sign if row.side in SIDES else 1
    settled_at = moment(row.transaction_time)
    return FundingPayment(
        payment_id=f"bybit:{listing.venue_symbol}:{settled_at // MS}",
        symbol=listing.symbol,
        rate=market_rate(row.fee_rate, sign),
        interval_s=listing.funding_interval_s,
        quantity=listing.quantity(number(row.qty)) * sign,
        cash=number(row.funding),
        asset=row.currency or listing.instrument.settle,
        settled_at=settled_at,
    )


def status_of(word: str, quantity: Decimal, filled: Decimal) -> ReportedStatus:
    """Return how an order stands: filled by its quantity alone, ended by one of four words.

    "Filled" with a quantity left is a contradiction and counts as working until it is resolved;
    so does a word that nobody knows.
    """
    if filled >= quantity > 0:
        return ReportedStatus.FILLED
    return ReportedStatus.CANCELLED if word in ENDED_WORDS else ReportedStatus.WORKING


def order_report(row: OrderRow, listing: Listing) -> OrderReport:
    """Return the venue's view of one order."""
    quantity = listing.quantity(number(row.qty))
    filled = listing.quantity(number(row.cum_exec_qty))
    price = number(row.price)
    return OrderReport(
        client_order_id=row.order_link_id,
        venue_order_id=row.order_id,
        status=status_of(row.order_status, quantity, filled),
        filled=filled,
        reported_at=moment(row.updated_time) if row.updated_time else 0,
        side=side_of(row.side),
        quantity=quantity,
        limit_price=listing.price(price) if price else None,
        reduce_only=row.reduce_only if listing.leg is Leg.FUTURES else None,
    )


def is_hedge_mode(rows: Iterable[PositionRow]) -> bool:
    """Return whether the venue shows one of the two positions of hedge mode."""
    return any(row.position_idx in HEDGE_MODE_INDEXES for row in rows)


def position(
    rows: Iterable[PositionRow], listing: Listing, margin_ratio: Decimal | None = None
) -> Position:
    """Return what is held in one perpetual, the two sides of hedge mode netted.

    ``adlRankIndicator`` is 1 (last in the queue) to 5, and 0 for no position.
    """
    quantity = notional = ZERO
    liquidation: Decimal | None = None
    rank = updated_at = 0
    for row in rows:
        size = number(row.size)
        if row.updated_time:
            updated_at = max(updated_at, moment(row.updated_time))
        if not size:
            continue
        sign = side_of(row.side).sign
        quantity += listing.quantity(size) * sign
        notional += size * number(row.entry_price or row.avg_price) * sign
        price = number(row.liq_price)
        liquidation = listing.price(price) if price > 0 else liquidation
        rank = max(rank, row.adl_rank_indicator)
    return Position(
        symbol=listing.symbol,
        quantity=quantity,
        entry_notional=notional,
        liquidation_price=liquidation,
        margin_ratio=margin_ratio,
        adl_rank=min(rank, ADL_RANKS) - 1 if rank else None,
        updated_at=updated_at,
    )


def balance(row: CoinRow, at: int = 0) -> Balance:
    """Return one coin: what was borrowed is not ours; what backs orders and margin is locked.

    ``walletBalance`` holds what was borrowed too since the account's ``spotBorrow`` exists
    (docs/v5/account/wallet-balance).
    """
    total = number(row.wallet_balance) - number(row.spot_borrow)
    margin = number(row.total_order_im) + number(row.total_position_im)
    locked = min(max(number(row.locked) + margin, ZERO), max(total, ZERO))
    return Balance(asset=row.coin, free=total - locked, locked=locked, updated_at=at)


def margin_ratio(wallet: WalletRow) -> Decimal | None:
    """Return maintenance margin / margin balance; None under isolated margin, where it is empty."""
    return number(wallet.account_mm_rate) if wallet.account_mm_rate else None
