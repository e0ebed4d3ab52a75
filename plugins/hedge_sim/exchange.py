"""The venue without its wires: orders, matching, settlements and forced trades, step by step.

Every change is a record: written to the truth, applied to the account, told as news. Nothing here
waits, asks the time or draws a fault; the caller says when.
"""

from collections.abc import Callable
from decimal import Decimal

from hedge.errors import Missing, Refused
from hedge.model import (
    Balance,
    Fill,
    FillKind,
    FundingPayment,
    Leg,
    Order,
    OrderReport,
    Position,
    PositionMode,
    Side,
    TimeInForce,
)
from hedge.model.numbers import MS, ONE, SECOND, ZERO
from hedge.roles import AccountNews, Margin
from hedge_sim.account import Account, Placed
from hedge_sim.book import crosses, part_of, passive_part, traded_to, walk
from hedge_sim.checks import Fee, Rules, check_filters, check_funds, check_time, fee_of
from hedge_sim.config import SimSettings
from hedge_sim.market import Market
from hedge_sim.path import to_units
from hedge_sim.recording import Coin, Settlement
from hedge_sim.records import (
    Accepted,
    Deposited,
    Ended,
    Filled,
    Levered,
    ModeChanged,
    Paid,
    Record,
    leg_of,
)

News = tuple[Leg, str, AccountNews]
ADL_RANK_MAX = 4


class Exchange:
    """Times named ``at`` are the recording's; ``stamp`` is what the venue's own clock says."""

    def __init__(
        self,
        settings: SimSettings,
        coins: tuple[Coin, ...],
        markets: dict[str, Market],
        write: Callable[[Record], None],
        shift: int = 0,
    ) -> None:
        self.account = Account()
        self.markets = markets
        self.settings = settings
        self.rules = Rules(settings.fees, settings.leverage, settings.maintenance_margin)
        self.news: list[News] = []
        self.halted: Callable[[str, int], bool] = lambda _symbol, _at: False
        self.clock_offset = 0
        self.shift = shift
        self._coins = {coin.perp_symbol: coin for coin in coins}
        self._write = write
        self._taken: dict[tuple[str, bool, int], Decimal] = {}

    def record(self, record: Record) -> None:
        """Write, then apply: what the file knows, the account knows."""
        self._write(record)
        self.account.apply(record)

    def stamp(self, at: int) -> int:
        return at + self.shift + self.clock_offset

    def market(self, symbol: str) -> Market:
        market = self.markets.get(symbol)
        if market is None:
            raise Missing(f"sim does not trade {symbol}")
        return market

    def marks(self, at: int) -> dict[str, Decimal]:
        return {symbol: self.markets[symbol].last_price(at) for symbol in self._coins}

    def equity(self, at: int, quote: str) -> Decimal:
        """Return what the account is worth: coins at the spot mid, positions at the mark."""
        prices = {
            market.instrument.base: market.last_price(at)
            for symbol, market in self.markets.items()
            if leg_of(symbol) is Leg.SPOT
        }
        fees = self.settings.fees
        prices.setdefault(fees.coin, fees.coin_price)
        return self.account.equity(quote, prices, self.marks(at))

    # Orders

    def place(
        self, order: Order, at: int, venue_now: int, ioc_share: Decimal | None = None
    ) -> OrderReport:
        """Accept or raise `Refused`; ``ioc_share`` cuts what a taking order gets."""
        market = self.market(order.symbol)
        if order.client_order_id in self.account.orders:
            raise Refused(f"{order.client_order_id} was used before", code="DUPLICATE_ID")
        check_time(order, venue_now)
        quote = market.quote(at)
        if quote is None or self.halted(order.symbol, at):
            raise Refused(f"{order.symbol} does not trade now", code="HALTED")
        spot = order.leg is Leg.SPOT
        if not spot and self.account.mode is not PositionMode.ONE_WAY:
            raise Refused("the account is in hedge mode", code="POSITION_MODE")
        check_filters(order, market.instrument, quote.mid, market.rules.collar)
        taking = crosses(order.side, order.limit_price, quote.bid, quote.ask)
        if taking and order.time_in_force is TimeInForce.POST_ONLY:
            raise Refused("would take", code="POST_ONLY_WOULD_TAKE")
        check_funds(order, self.account, self.rules, market.instrument.quote, self.marks(at))
        number = len(self.account.orders) + 1
        self.record(Accepted(at=at + self.shift, order=order, venue_order_id=f"sim-{number}"))
        placed = self.account.orders[order.client_order_id]
        placed.limit_units = to_units(order.limit_price)
        placed.at = at
        if taking:
            self._take(placed, at, ioc_share)
        if order.time_in_force is TimeInForce.IOC:
            self._end(placed, at, "ioc")
        self._tell_order(placed, at)
        self._tell_funds(order.leg, order.symbol, at)
        return self.view(placed, at)

    def cancel(self, symbol: str, client_order_id: str, at: int) -> OrderReport:
        placed = self.account.open.get(client_order_id)
        if placed is None or placed.order.symbol != symbol:
            raise Refused(f"{client_order_id} is not open", code="UNKNOWN_ORDER")
        self._end(placed, at, "cancel")
        self._tell_order(placed, at)
        self._tell_funds(placed.order.leg, symbol, at)
        return self.view(placed, at)

    def view(self, placed: Placed, at: int) -> OrderReport:
        report = placed.report(self.stamp(at))
        assert report is not None
        return report

    def _end(self, placed: Placed, at: int, why: str) -> None:
        client_order_id = placed.order.client_order_id
        if client_order_id in self.account.open:
            self.record(Ended(at=at + self.shift, client_order_id=client_order_id, why=why))

    def _room(self, placed: Placed) -> Decimal:
        """Return how much an order may still do: a reducing one no more than the position."""
        order = placed.order
        if not order.reduce_only:
            return placed.remaining
        held = self.account.holding(order.symbol).quantity
        if held * order.signed_quantity >= 0:
            return ZERO
        return min(placed.remaining, abs(held))

    def _take(self, placed: Placed, at: int, ioc_share: Decimal | None) -> None:
        order = placed.order
        market = self.markets[order.symbol]
        buying = order.side is Side.BUY
        key = (order.symbol, buying, at // SECOND)
        if key not in self._taken:
            self._taken = {k: v for k, v in self._taken.items() if k[2] == key[2]}
        quantity = self._room(placed)
        if ioc_share is not None:
            quantity = part_of(quantity, ioc_share, market.instrument.lot)
        taken = self._taken.get(key, ZERO)
        levels = market.levels(at, asks=buying)
        for price, part in walk(levels, order.side, quantity, order.limit_price, taken):
            self._fill(placed, part, price, at, maker=False)
            taken += part
        self._taken[key] = taken

    def _fill(
        self, placed: Placed, quantity: Decimal, price: Decimal, at: int, *, maker: bool
    ) -> None:
        order = placed.order
        fees = self.settings.fees
        fee = fee_of(
            fees, self.account, order.symbol,
            side=order.side, quantity=quantity, price=price, maker=maker,
        )  # fmt: skip
        self._execute(
            order.symbol, order.side, at, fee,
            quantity=quantity, price=price, maker=maker, kind=FillKind.TRADE,
            client_order_id=order.client_order_id, venue_order_id=placed.venue_order_id,
        )  # fmt: skip

    def _execute(
        self, symbol: str, side: Side, at: int, fee: Fee,
        *, quantity: Decimal, price: Decimal, maker: bool, kind: FillKind,
        client_order_id: str, venue_order_id: str,
    ) -> None:  # fmt: skip
        fill = Fill(
            leg=leg_of(symbol),
            symbol=symbol,
            fill_id=str(len(self.account.fills) + 1),
            client_order_id=client_order_id,
            venue_order_id=venue_order_id,
            side=side,
            quantity=quantity,
            price=price,
            fee=fee.quantity,
            fee_asset=fee.asset,
            fee_rate_quote=fee.rate_quote,
            maker=maker,
            kind=kind,
            filled_at=self.stamp(at),
        )
        self.record(Filled(at=at + self.shift, fill=fill))
        self.news.append((fill.leg, symbol, fill))

    # Time

    def match(self, after: int, until: int) -> None:
        """Fill resting orders from what the recorded market traded in (after, until]."""
        budgets: dict[str, Decimal | None] = {}
        ranges: dict[str, tuple[int, int] | None] = {}
        for placed in self.account.resting():
            order = placed.order
            symbol = order.symbol
            if placed.at >= until or self.halted(symbol, until):
                continue
            market = self.markets[symbol]
            start = max(after, placed.at)
            if start > after:
                traded = market.range_between(start, until)
            else:
                if symbol not in ranges:
                    ranges[symbol] = market.range_between(after, until)
                traded = ranges[symbol]
            if traded is None or not traded_to(order.side, placed.limit_units, *traded):
                continue
            if symbol not in budgets:
                budgets[symbol] = self._budget(market, after, until)
            self._fill_resting(placed, market, budgets, until)

    def _fill_resting(
        self, placed: Placed, market: Market, budgets: dict[str, Decimal | None], at: int
    ) -> None:
        order = placed.order
        room = self._room(placed)
        if not room:
            self._end(placed, at, "reduce_only")
            self._tell_order(placed, at)
            return
        budget = budgets[order.symbol]
        if budget is not None and budget <= 0:
            return
        part = passive_part(room, budget, market.instrument.lot)
        if budget is not None:
            budgets[order.symbol] = budget - part
        self._fill(placed, part, order.limit_price, at, maker=True)
        if placed.remaining > 0 and not self._room(placed):
            self._end(placed, at, "reduce_only")
        self._tell_order(placed, at)
        self._tell_funds(order.leg, order.symbol, at)

    def _budget(self, market: Market, after: int, until: int) -> Decimal | None:
        volume = market.volume_between(after, until)
        if volume is not None:
            return volume * market.rules.volume_share
        levels = market.levels(until, asks=False)
        return levels[0].quantity if levels else None

    def settle(self, symbol: str, settlement: Settlement) -> None:
        """Pay one settlement on the position that stands at its time, once."""
        held = self.account.holding(symbol).quantity
        settled_at = settlement.at + self.shift
        if not held or (symbol, settled_at) in self.account.paid:
            return
        market = self.markets[symbol]
        mark = market.last_price(settlement.at)
        payment = FundingPayment(
            payment_id=f"{symbol}-{settled_at // MS}",
            symbol=symbol,
            rate=settlement.rate,
            interval_s=settlement.interval_s,
            quantity=held,
            cash=-held * mark * settlement.rate,
            asset=market.instrument.settle,
            settled_at=settled_at,
        )
        self.record(Paid(at=settled_at, payment=payment))
        self.news.append((Leg.FUTURES, symbol, payment))
        self._tell_funds(Leg.FUTURES, symbol, settlement.at)

    def check_liquidation(self, at: int) -> None:
        """Liquidate whatever the margin no longer carries."""
        for symbol in self._coins:
            holding = self.account.holdings.get(symbol)
            if holding is None or not holding.quantity:
                continue
            settle = self.markets[symbol].instrument.settle
            if self.rules.margin(self.account, settle, self.marks(at)).is_liquidated:
                self.force_liquidation(symbol, at)

    # Forced trades and what comes from outside

    def force_liquidation(self, symbol: str, at: int) -> bool:
        """Close the position at the mark with the taker's fee; a debt is paid by the insurance."""
        self._cancel_all(symbol, at, "liquidation")
        done = self._force(symbol, None, at, FillKind.LIQUIDATION, "autoclose-")
        asset = self.markets[symbol].instrument.settle
        debt = self.account.balance(asset)
        if debt < 0:
            self.deposit(asset, -debt, "insurance", at)
        return done

    def force_adl(self, symbol: str, quantity: Decimal | None, at: int) -> bool:
        """Close a part of the position (None: all) at the mark, without a fee."""
        return self._force(symbol, quantity, at, FillKind.AUTO_DELEVERAGING, "adl_autoclose")

    def _force(
        self, symbol: str, quantity: Decimal | None, at: int, kind: FillKind, word: str
    ) -> bool:
        held = self.account.holding(symbol).quantity
        if not held:
            return False
        market = self.markets[symbol]
        part = abs(held) if quantity is None else min(abs(held), quantity)
        part = market.instrument.round_quantity(part) or abs(held)
        price = market.last_price(at)
        rate = self.settings.fees.futures_taker if kind is FillKind.LIQUIDATION else ZERO
        number = len(self.account.fills) + 1
        self._execute(
            symbol, Side.BUY if held < 0 else Side.SELL, at,
            Fee(part * price * rate, market.instrument.settle),
            quantity=part, price=price, maker=False, kind=kind,
            client_order_id=f"{word}{number}", venue_order_id="",
        )  # fmt: skip
        self._tell_funds(Leg.FUTURES, symbol, at)
        return True

    def _cancel_all(self, symbol: str, at: int, why: str) -> None:
        for placed in [p for p in self.account.open.values() if p.order.symbol == symbol]:
            self._end(placed, at, why)
            self._tell_order(placed, at)

    def deposit(self, asset: str, quantity: Decimal, why: str, at: int) -> None:
        self.record(Deposited(at=at + self.shift, asset=asset, quantity=quantity, why=why))
        for symbol in self.markets:
            self._tell_balances(leg_of(symbol), symbol, at)

    def set_mode(self, mode: PositionMode, at: int) -> None:
        self.record(ModeChanged(at=at + self.shift, mode=mode))

    def set_leverage(self, symbol: str, leverage: int, at: int) -> None:
        if leverage < 1 or leverage > 125:  # noqa: PLR2004 - the venue's own range
            raise Refused(f"leverage {leverage}", code="LEVERAGE")
        if self.rules.leverage_of(self.account, symbol) != leverage:
            self.record(Levered(at=at + self.shift, symbol=symbol, leverage=leverage))

    # Views

    def balances(self, at: int) -> tuple[Balance, ...]:
        """Return every asset the account has or ever had; free + locked is the whole balance."""
        locks = self.rules.locked(self.account)
        fees = self.settings.fees
        settles = {m.instrument.settle: None for m in self.markets.values() if m.instrument.settle}
        marks = self.marks(at)
        for settle in settles:
            margin = self.rules.margin(self.account, settle, marks)
            locks[settle] = locks.get(settle, ZERO) + margin.initial
        found = []
        known = dict.fromkeys(
            [*self.account.balances, *(m.instrument.base for m in self.markets.values()), *settles]
        )
        for asset in known:
            total = self.account.balance(asset)
            locked = max(min(locks.get(asset, ZERO), total), ZERO)
            rate = fees.coin_price if asset == fees.coin else None
            found.append(
                Balance(
                    asset=asset,
                    free=total - locked,
                    locked=locked,
                    rate_quote=rate,
                    updated_at=self.stamp(at),
                )
            )
        return tuple(found)

    def position(self, symbol: str, at: int) -> Position:
        instrument = self.market(symbol).instrument
        holding = self.account.holding(symbol)
        margin = self.rules.margin(self.account, instrument.settle, self.marks(at))
        return Position(
            symbol=symbol,
            quantity=holding.quantity,
            entry_notional=holding.entry_notional,
            liquidation_price=self.rules.liquidation_price(self.account, instrument, holding),
            margin_ratio=margin.ratio,
            adl_rank=self._adl_rank(symbol, at),
            updated_at=self.stamp(at),
        )

    def margin(self, symbol: str, at: int) -> Margin:
        settle = self.market(symbol).instrument.settle
        margin = self.rules.margin(self.account, settle, self.marks(at))
        return Margin(
            free=max(margin.free, ZERO),
            wallet=margin.wallet,
            ratio=margin.ratio,
            leverage=Decimal(self.rules.leverage_of(self.account, symbol)),
        )

    def _adl_rank(self, symbol: str, at: int) -> int:
        holding = self.account.holding(symbol)
        if not holding.quantity:
            return 0
        profit = holding.profit_at(self.markets[symbol].last_price(at))
        share = profit / abs(holding.entry_notional) if holding.entry_notional else ZERO
        rank = int((share * 10).quantize(ONE)) if share > 0 else 0
        return min(rank, ADL_RANK_MAX)

    # News

    def _tell_order(self, placed: Placed, at: int) -> None:
        order = placed.order
        self.news.append((order.leg, order.symbol, self.view(placed, at)))

    def _tell_balances(self, leg: Leg, symbol: str, at: int) -> None:
        for balance in self.balances(at):
            self.news.append((leg, symbol, balance))

    def _tell_funds(self, leg: Leg, symbol: str, at: int) -> None:
        self._tell_balances(leg, symbol, at)
        if leg is Leg.FUTURES:
            self.news.append((leg, symbol, self.position(symbol, at)))
