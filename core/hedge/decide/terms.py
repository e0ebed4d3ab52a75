"""What was agreed before the start: one hedge's target, limits, policies and instruments."""

import enum
import functools
from decimal import Decimal

import msgspec

from hedge.model import Instrument
from hedge.model.numbers import MS, ONE, SECOND, ZERO, common_step


class Action(enum.StrEnum):
    DEFAULT = "default"
    SINGLE = "single"
    SCALE = "scale"
    LIQUIDATION = "liquidation"


class InventoryRule(enum.StrEnum):
    MANAGED = "managed"
    ACCOUNT = "account"


class LegTerms(msgspec.Struct, frozen=True, kw_only=True):
    """One leg: the instrument, its fees, and the times after which its silence means something."""

    instrument: Instrument
    account: str = ""
    """Whose keys, in which environment; "" where an older program has not said so."""
    maker_fee: Decimal = ZERO
    taker_fee: Decimal = ZERO
    fee_in_base: bool = False
    """A BUY is charged in the coin bought, so less arrives than was filled."""
    recv_window_ms: int = 2_000
    fence_ms: int = 17_000
    read_lag_ms: int = 2_000


class FundingTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Rates are per 8 h."""

    exit_below: Decimal = ZERO
    enter_above: Decimal = Decimal("0.00005")
    exit_confirmations: int = 3
    settlement_guard_s: int = 300
    stale_s: int = 600
    min_hold_s: int = 0


class ExecutionTerms(msgspec.Struct, frozen=True, kw_only=True):
    requote_s: int = 30
    requote_bps: Decimal = Decimal(2)
    impact: Decimal = Decimal("0.05")
    offset_ticks: int = 0
    patience_s: int = 300
    cross_bps_max: Decimal = Decimal(5)
    entry_basis_bps_min: Decimal = Decimal(-10)
    settle_s: int = 60
    build_timeout_s: int = 86_400
    stop_timeout_s: int = 60


class AfterExternal(enum.StrEnum):
    """What the futures leg does when it was shrunk without an order of ours (B10)."""

    ALARM = "alarm"
    REHEDGE = "rehedge"


class LimitTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of safety part 5; None means the rule stated there, never "no limit"."""

    exposure_max: Decimal | None = None
    notional_quote_max: Decimal | None = None
    tolerance_bps: Decimal = ONE
    leverage: int = 2
    repair_after_s: int = 0
    after_external: AfterExternal = AfterExternal.ALARM
    flatten_on_loss: bool = False
    """Close both legs when 3 % of the target notional were lost within a day."""
    collar: Decimal = Decimal("0.005")
    collar_max: Decimal = Decimal("0.03")
    spot_orders_per_minute: int = 30
    spot_orders_per_hour: int = 300
    hedge_orders_per_second: int = 5
    """Sizes the id lease; not a throttle, hedges are exempt."""
    feed_stale_ms: int = 5_000
    feed_dead_ms: int = 30_000
    account_stale_ms: int = 15_000
    account_dead_ms: int = 60_000
    audit_active_ms: int = 10_000
    audit_halt_ms: int = 30_000
    retry_ms: int = 2_000


class HedgeTerms(msgspec.Struct, frozen=True, kw_only=True, dict=True, cache_hash=True):
    """Everything the core is told once; ``usd`` or ``quantity`` is the target, exactly one."""

    name: str
    prefix: str
    """First part of every client order id: upper-case letters and digits, not beginning with T."""
    spot: LegTerms
    futures: LegTerms
    usd: Decimal | None = None
    quantity: Decimal | None = None
    inventory: InventoryRule = InventoryRule.MANAGED
    hedge_ratio: Decimal = ONE
    funding: FundingTerms = FundingTerms()
    execution: ExecutionTerms = ExecutionTerms()
    limits: LimitTerms = LimitTerms()

    @functools.cached_property
    def pair_step(self) -> Decimal:
        """The step that both legs can hold: their common lot (at ratio 1), else the spot lot."""
        spot, futures = self.spot.instrument.lot, self.futures.instrument.lot
        return common_step(spot, futures) if self.hedge_ratio == 1 else spot

    def target_notional(self, price: Decimal) -> Decimal:
        """Return N of safety part 5, in quote."""
        if self.usd is not None:
            return self.usd
        assert self.quantity is not None
        return self.quantity * price


def seconds(value: int) -> int:
    """Return seconds as nanoseconds."""
    return value * SECOND


def millis(value: int) -> int:
    """Return milliseconds as nanoseconds."""
    return value * MS
