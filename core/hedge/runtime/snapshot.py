"""What every view shows of one hedge: one frozen picture, made by the engine's shell."""

from decimal import Decimal

import msgspec


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    client_order_id: str
    leg: str
    side: str
    quantity: Decimal
    limit_price: Decimal
    filled: Decimal
    status: str
    placed_at: int


class AlarmView(msgspec.Struct, frozen=True, kw_only=True):
    """``settled``: the cause is gone; the row waits for `hedge ack` all the same."""

    key: str
    level: str
    text: str
    raised_at: int
    settled: bool = False
    acknowledged: bool = False


class HedgeSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One hedge at one moment; quantities in base, money in quote, times ns UTC."""

    name: str
    at: int
    symbol: str
    spot_venue: str
    futures_venue: str
    action: str = ""
    mode: str = "HALT"
    phase: str = "recovering"
    """recovering, waiting, building, watching, unwinding, stopping or ended"""
    reason: str = ""
    """Why nothing is being sent: a reason code with its numbers; "" when nothing waits."""
    trip: str = "OK"
    trip_reasons: dict[str, str] = {}
    paused: bool = False
    inventory: Decimal | None = None
    position: Decimal | None = None
    """None while unknown: a read that failed is never zero."""
    spot_target: Decimal | None = None
    delta: Decimal | None = None
    delta_bps: Decimal | None = None
    delta_quote: Decimal | None = None
    tolerance: Decimal | None = None
    equal: bool = False
    exit_armed: bool = False
    exit_reason: str = ""
    funding_rate: Decimal | None = None
    funding_interval_s: int | None = None
    funding_apr: Decimal | None = None
    funding_next_at: int | None = None
    funding_received: Decimal = Decimal(0)
    fees_paid: Decimal = Decimal(0)
    liquidation_price: Decimal | None = None
    liquidation_distance: Decimal | None = None
    margin_ratio: Decimal | None = None
    """All three None until ``position`` was read as it is now: each fill changes them."""
    spot_mid: Decimal | None = None
    futures_mid: Decimal | None = None
    basis_bps: Decimal | None = None
    unwind_slip_bps: Decimal | None = None
    """What crossing half the spread on both legs would cost now, in bps of the larger leg."""
    unwind_beyond_depth: str = ""
    """Which leg is more than the books' five best levels hold, where that is known; "": none."""
    spot_stream_age_ms: int | None = None
    futures_stream_age_ms: int | None = None
    spot_clock_offset: int | None = None
    futures_clock_offset: int | None = None
    """The venue's time less ours, ns, as the leg's last audit measured it."""
    reconciled_at: int | None = None
    """When both legs had been read whole: the older of their last audits."""
    exposure_max: Decimal | None = None
    unhedged_max: Decimal = Decimal(0)
    """The largest abs(delta) x price seen in this run, in quote."""
    orders: tuple[OrderView, ...] = ()
    alarms: tuple[AlarmView, ...] = ()
