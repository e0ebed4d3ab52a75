"""The settings of the simulated venue: data, account, fees, markets and seeded faults."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Chance = Annotated[Decimal, Field(ge=0, le=1)]
Money = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Amount = Annotated[Decimal, Field(allow_inf_nan=False)]
Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Millis = Annotated[int, Field(ge=0)]
Seconds = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class Table(BaseModel):
    """Strict: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Scheduled(Table):
    """When something happens: seconds after the start of the recording, or the n-th own fill."""

    at_s: Seconds | None = None
    after_fills: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.at_s is None) == (self.after_fills is None):
            raise ValueError("give either at_s or after_fills")
        return self


class Disconnect(Scheduled):
    stream: Literal["market", "account", "both"] = "both"
    down_ms: Millis = 5_000
    silent: bool = False
    """No StreamDown until the end: the socket just says nothing."""
    requests_too: bool = False
    """Requests do not get through either, while it lasts."""


class Deleveraging(Scheduled):
    quantity: Positive | None = None
    """Base coins; None takes the whole position."""
    share: Annotated[Decimal, Field(gt=0, le=1)] | None = None


class Liquidation(Scheduled):
    pass


class ModeFlip(Scheduled):
    mode: Literal["one_way", "hedge"] = "hedge"


class BalanceChange(Scheduled):
    """A deposit (positive) or withdrawal from outside."""

    asset: str
    quantity: Amount


class ClockJump(Table):
    at_s: Seconds
    offset_ms: int


class Halt(Table):
    """A window in which one market trades nothing; with ``quotes`` false its quotes stop too."""

    market: Literal["spot", "futures"]
    at_s: Seconds
    for_s: Seconds
    quotes: bool = True


class Faults(Table):
    """Seeded switches, all off; chances are per request or per message (0 to 1)."""

    from_s: Seconds = Decimal(0)
    until_s: Seconds | None = None
    """Chances apply from ... until, in seconds after the start of the recording."""
    request_lost: Chance = Decimal(0)
    reply_lost: Chance = Decimal(0)
    slow_processing: Chance = Decimal(0)
    slow_processing_max_ms: Millis = 10_000
    error_accepted: Chance = Decimal(0)
    """A 5xx although the request was performed."""
    error_refused: Chance = Decimal(0)
    """A 5xx and the request was not performed."""
    rate_limit: Chance = Decimal(0)
    rate_limit_retry_s: Annotated[int, Field(ge=1)] = 5
    """Everything is refused until then (a ban is a long one)."""
    reject: Chance = Decimal(0)
    reject_codes: tuple[str, ...] = ("SYSTEM_BUSY",)
    partial_ioc: Chance = Decimal(0)
    read_error: Chance = Decimal(0)
    read_error_burst_ms: Millis = 0
    """After one error every read fails for up to this long."""
    stale_read: Chance = Decimal(0)
    stale_read_max_ms: Millis = 2_000
    duplicate_message: Chance = Decimal(0)
    drop_message: Chance = Decimal(0)
    reorder_message: Chance = Decimal(0)
    reorder_max_ms: Millis = 2_000
    snapshot_replay: Chance = Decimal(0)
    """Recent fills are told again after a reconnect."""
    disconnects: tuple[Disconnect, ...] = ()
    disconnect_every_s: Positive | None = None
    """Mean time between seeded disconnects."""
    disconnect_down_max_ms: Millis = 20_000
    disconnect_silent: Chance = Decimal("0.5")
    resubscribe_failure: Chance = Decimal(0)
    """The stream says it is up again, but stays mute until the next attempt."""
    resubscribe_retry_ms: Millis = 10_000
    clock_offset_ms: int = 0
    clock_jumps: tuple[ClockJump, ...] = ()
    mode_flips: tuple[ModeFlip, ...] = ()
    deleveragings: tuple[Deleveraging, ...] = ()
    liquidations: tuple[Liquidation, ...] = ()
    balance_changes: tuple[BalanceChange, ...] = ()
    halts: tuple[Halt, ...] = ()


class Fees(Table):
    spot_maker: Amount = Decimal("0.001")
    spot_taker: Amount = Decimal("0.001")
    futures_maker: Amount = Decimal("0.0002")
    futures_taker: Amount = Decimal("0.0005")
    fee_mode: Literal["received", "quote", "coin"] = "received"
    """Spot fees: of what is received (base on a buy, quote on a sell), quote always, or a coin."""
    coin: str = "BNB"
    coin_price: Positive = Decimal(600)
    """Quote per coin, constant."""


class MarketRules(Table):
    """Overrides of one market's grid; None keeps the default of the recording's coin."""

    tick: Positive | None = None
    lot: Positive | None = None
    quantity_min: Money | None = None
    quantity_max: Money | None = None
    notional_min: Money | None = None
    contract_size: Positive = Decimal(1)
    multiplier: Positive = Decimal(1)
    spread_bps: Money = Decimal("0.2")
    depth_quote: Positive = Decimal(400_000)
    """Mean depth of the top five levels of a side."""
    level_bps: Money = Decimal("0.1")
    """Distance of the levels behind the touch."""
    volume_share: Chance = Decimal("0.1")
    """How much of the recorded volume may fill resting orders of ours."""
    collar: Positive = Decimal("0.05")
    """Orders further than this share from the mark (spot: the mid) are refused."""


class SimSettings(Table):
    """``[venues.sim]``."""

    data: str = "bundled:btc-8h"
    """``bundled:NAME`` or a directory of Parquet or CSV files."""
    start: str = ""
    """ISO time UTC; empty: the start of the data set."""
    end: str = ""
    repeat_from: str = ""
    """ISO time UTC; from there to the end the data comes again and again. Empty: it ends."""
    seed: int = 7
    bridge_max_s: Annotated[int, Field(ge=0)] = 600
    """A hole up to this long is bridged and marked; a longer one is an outage."""
    balances: dict[str, Money] = {"USDT": Decimal(50_000)}
    fees: Fees = Fees()
    spot: MarketRules = MarketRules()
    futures: MarketRules = MarketRules()
    leverage: Annotated[int, Field(ge=1, le=125)] = 5
    maintenance_margin: Positive = Decimal("0.005")
    latency_ms: Millis = 20
    """One way."""
    latency_max_ms: Millis = 0
    """Above latency_ms: each way is drawn between the two."""
    step_ms: Annotated[int, Field(ge=10, le=1_000)] = 1_000
    heartbeat_s: Annotated[int, Field(ge=1, le=3_600)] = 60
    quote_linger_s: Annotated[int, Field(ge=0)] = 30
    recv_window_ms: Millis = 2_000
    read_lag_ms: Millis = 2_000
    ack_timeout_ms: Annotated[int, Field(ge=1)] = 3_000
    faults: Faults = Faults()

    @model_validator(mode="after")
    def _latencies(self) -> Self:
        if self.latency_max_ms and self.latency_max_ms < self.latency_ms:
            raise ValueError("latency_max_ms is below latency_ms")
        return self
