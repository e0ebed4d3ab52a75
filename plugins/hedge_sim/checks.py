"""What the venue demands of an order, what it charges, and how it computes margin; pure.

The codes of definite refusals: DUPLICATE_ID, STALE_TIMESTAMP, TIMESTAMP_AHEAD, HALTED,
LOT_SIZE, TICK_SIZE, MIN_NOTIONAL, QUANTITY_MAX, PRICE_COLLAR, POST_ONLY_WOULD_TAKE, REDUCE_ONLY,
POSITION_MODE, INSUFFICIENT_BALANCE, INSUFFICIENT_MARGIN, UNKNOWN_ORDER, LEVERAGE, RATE_LIMIT, and
those of the setting ``reject_codes``.
"""

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal

import msgspec

from hedge.errors import Refused
from hedge.model import Instrument, Leg, Order, Side
from hedge.model.numbers import ONE, ZERO, ceil_to
from hedge_sim.account import CENT8, Account, Holding
from hedge_sim.config import Fees
from hedge_sim.records import assets_of, leg_of

DIGITS_MAX = 12
"""A quantity or a price beyond a trillion is none."""


class Fee(msgspec.Struct, frozen=True):
    quantity: Decimal
    asset: str
    rate_quote: Decimal | None = None


def fee_of(
    fees: Fees, account: Account, symbol: str,
    *, side: Side, quantity: Decimal, price: Decimal, maker: bool,
) -> Fee:  # fmt: skip
    """Return what an execution costs, in the asset the mode says (a futures fee is in settle)."""
    base, quote = assets_of(symbol)
    notional = quantity * price
    if leg_of(symbol) is Leg.FUTURES:
        return Fee(notional * (fees.futures_maker if maker else fees.futures_taker), quote)
    rate = fees.spot_maker if maker else fees.spot_taker
    if fees.fee_mode == "coin":
        coins = (notional * rate / fees.coin_price).quantize(CENT8, ROUND_CEILING)
        if account.balance(fees.coin) >= coins:
            return Fee(coins, fees.coin, fees.coin_price)
    if fees.fee_mode == "quote" or side is Side.SELL:
        return Fee(notional * rate, quote)
    return Fee(quantity * rate, base)


def fee_asset_of_buy(fees: Fees, symbol: str) -> str:
    base, quote = assets_of(symbol)
    if leg_of(symbol) is Leg.FUTURES or fees.fee_mode == "quote":
        return quote
    return fees.coin if fees.fee_mode == "coin" else base


def spot_lock(fees: Fees, order: Order, quantity: Decimal) -> tuple[str, Decimal]:
    """Return what a spot order of ``quantity`` takes out of the free balance."""
    base, quote = assets_of(order.symbol)
    if order.side is Side.SELL:
        return base, quantity
    rate = max(fees.spot_maker, fees.spot_taker, ZERO) if fees.fee_mode == "quote" else ZERO
    return quote, quantity * order.limit_price * (ONE + rate)


class MarginState(msgspec.Struct, frozen=True, kw_only=True):
    wallet: Decimal
    initial: Decimal
    """Initial margin of positions and of resting orders."""
    maintenance: Decimal
    profit: Decimal
    free: Decimal

    @property
    def balance(self) -> Decimal:
        return self.wallet + self.profit

    @property
    def ratio(self) -> Decimal | None:
        if not self.maintenance:
            return ZERO
        if self.balance <= 0:
            return ONE
        return (self.maintenance / self.balance).quantize(CENT8, ROUND_HALF_EVEN)

    @property
    def is_liquidated(self) -> bool:
        return self.maintenance > 0 and self.balance <= self.maintenance


class Rules(msgspec.Struct, frozen=True):
    """The account's rules that do not change."""

    fees: Fees
    leverage: int
    maintenance: Decimal

    def leverage_of(self, account: Account, symbol: str) -> int:
        return account.leverage.get(symbol, self.leverage)

    def locked(self, account: Account) -> dict[str, Decimal]:
        """Return what resting spot orders lock, by asset."""
        locks: dict[str, Decimal] = {}
        for placed in account.open.values():
            if placed.order.leg is Leg.SPOT:
                asset, quantity = spot_lock(self.fees, placed.order, placed.remaining)
                locks[asset] = locks.get(asset, ZERO) + quantity
        return locks

    def margin(self, account: Account, settle: str, marks: dict[str, Decimal]) -> MarginState:
        initial = maintenance = profit = ZERO
        for symbol, holding in account.holdings.items():
            if holding.quantity and assets_of(symbol)[1] == settle:
                value = abs(holding.quantity) * marks[symbol]
                initial += value / self.leverage_of(account, symbol)
                maintenance += value * self.maintenance
                profit += holding.profit_at(marks[symbol])
        for placed in account.open.values():
            order = placed.order
            if order.leg is Leg.FUTURES and not order.reduce_only:
                value = placed.remaining * order.limit_price
                initial += value / self.leverage_of(account, order.symbol)
        wallet = account.balance(settle)
        initial = initial.quantize(CENT8, ROUND_CEILING)
        locks = self.locked(account).get(settle, ZERO)
        free = wallet + min(profit, ZERO) - initial - locks
        return MarginState(
            wallet=wallet, initial=initial, maintenance=maintenance, profit=profit, free=free
        )

    def liquidation_price(
        self, account: Account, instrument: Instrument, holding: Holding
    ) -> Decimal | None:
        """Return the mark at which this position alone eats the wallet, None where none does."""
        size = holding.quantity
        if not size:
            return None
        wallet = account.balance(instrument.settle)
        if size < 0:
            price = (wallet - holding.entry_notional) / (-size * (ONE + self.maintenance))
        else:
            price = (holding.entry_notional - wallet) / (size * (ONE - self.maintenance))
        return ceil_to(price, instrument.tick) if price > 0 else None


def check_filters(
    order: Order, instrument: Instrument, reference: Decimal, collar: Decimal
) -> None:
    """Raise `Refused` for what is off the grid, too small, too large or too far away."""
    quantity, price = order.quantity, order.limit_price
    for number, code in ((quantity, "LOT_SIZE"), (price, "TICK_SIZE")):
        if not number.is_finite() or number.adjusted() > DIGITS_MAX:  # what `%` cannot take
            raise Refused(f"{number} is no number of this market", code=code)
    if quantity <= 0 or quantity % instrument.lot:
        raise Refused(f"quantity {quantity} is not on lot {instrument.lot}", code="LOT_SIZE")
    if price <= 0 or price % instrument.tick:
        raise Refused(f"price {price} is not on tick {instrument.tick}", code="TICK_SIZE")
    if instrument.quantity_max and quantity > instrument.quantity_max:
        raise Refused(f"quantity {quantity} > {instrument.quantity_max}", code="QUANTITY_MAX")
    exempt = order.reduce_only and instrument.reduce_only_below_min
    if not exempt:
        if quantity < instrument.quantity_min:
            raise Refused(f"quantity {quantity} < {instrument.quantity_min}", code="LOT_SIZE")
        if order.notional < instrument.notional_min:
            least = instrument.notional_min
            raise Refused(f"notional {order.notional} < {least}", code="MIN_NOTIONAL")
    if abs(price - reference) > reference * collar:
        raise Refused(f"price {price} too far from {reference}", code="PRICE_COLLAR")


def check_funds(
    order: Order, account: Account, rules: Rules, settle: str, marks: dict[str, Decimal]
) -> None:
    """Raise `Refused` for an order the account cannot pay or carry."""
    if order.leg is Leg.SPOT:
        asset, need = spot_lock(rules.fees, order, order.quantity)
        free = account.balance(asset) - rules.locked(account).get(asset, ZERO)
        if asset == settle:
            free = min(free, rules.margin(account, settle, marks).free)
        if need > free:
            raise Refused(f"{asset}: need {need}, free {free}", code="INSUFFICIENT_BALANCE")
        return
    held = account.holding(order.symbol).quantity
    opening = order.quantity
    if held * order.signed_quantity < 0:
        opening = max(order.quantity - abs(held), ZERO)
    if order.reduce_only:
        if held * order.signed_quantity >= 0:
            raise Refused("nothing to reduce", code="REDUCE_ONLY")
        return
    if not opening:
        return
    need = opening * order.limit_price / rules.leverage_of(account, order.symbol)
    need += opening * order.limit_price * max(rules.fees.futures_taker, ZERO)
    free = rules.margin(account, settle, marks).free
    if need > free:
        raise Refused(f"margin: need {need}, free {free}", code="INSUFFICIENT_MARGIN")


def check_time(order: Order, venue_now: int, ms: int = 1_000_000) -> None:
    """Raise `Refused` for a signature that is too old, or more than a second ahead."""
    if venue_now > order.signed_at + order.recv_window_ms * ms:
        late = (venue_now - order.signed_at) // ms
        raise Refused(f"signed {late} ms ago", code="STALE_TIMESTAMP")
    if order.signed_at > venue_now + 1_000 * ms:
        ahead = (order.signed_at - venue_now) // ms
        raise Refused(f"signed {ahead} ms ahead", code="TIMESTAMP_AHEAD")
