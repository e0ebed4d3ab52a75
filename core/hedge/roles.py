"""What a venue can be asked to do: the asynchronous Protocols, and what their authors are given.

A plugin's hooks return *unopened* objects that implement these Protocols; the runtime opens them
(``async with``), and closes them. Everything that arrives unasked goes to a *sink*, a plain
function called on the event loop: it returns at once and never raises. Whatever is asked either
returns, or raises one of `hedge.errors`: `Refused`, `Unreachable`, `OutcomeUnknown`, `Missing`.
Anything else that escapes from a placed order counts as `OutcomeUnknown`.
"""

import enum
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import msgspec

from hedge.errors import ConfigError
from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    FundingRate,
    Instrument,
    Mark,
    Order,
    OrderReport,
    Position,
    PositionMode,
    Quote,
    StreamAlive,
    StreamDown,
    StreamUp,
)
from hedge.model.numbers import ZERO

S = TypeVar("S", bound=msgspec.Struct)
MarketNews = Quote | Mark | FundingRate | StreamUp | StreamDown | StreamAlive
AccountNews = (
    OrderReport | Fill | Balance | Position | FundingPayment | StreamUp | StreamDown | StreamAlive
)
MarketSink = Callable[[MarketNews], None]
AccountSink = Callable[[AccountNews], None]


class LegKind(enum.Flag):
    """Which roles a venue offers."""

    NONE = 0
    SPOT = enum.auto()
    FUTURES = enum.auto()


class Can(enum.Flag):
    """What a venue can do beyond the musts; a flag that is absent is never asked for."""

    NONE = 0
    VIRTUAL_TIME = enum.auto()
    """Runs on the host's virtual clock: the only venues that ``[run] speed`` may hurry."""
    USER_STREAM = enum.auto()
    """Pushes fills and order reports; without it the host polls."""
    RESULT_ACK = enum.auto()
    """The answer to a placed IOC order already says what was filled."""
    DEPTH = enum.auto()
    """Quotes carry the depth of the top five levels."""
    SHARED_WALLET = enum.auto()
    """One account's spot and futures legs draw on one pot of money (a unified account)."""
    DEAD_MAN = enum.auto()
    """The venue cancels resting orders when it stops hearing from us."""


class VenueLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The times that decide when an unanswered order can be called dead (safety rule R7)."""

    recv_window_ms: int = 2_000
    processing_max_ms: int = 10_000
    """The longest the venue may sit on a request before it is dropped."""
    read_lag_ms: int = 2_000
    """p99.9 of how far a REST read may lie behind the matching engine."""
    ack_timeout_ms: int = 3_000
    """How long the host waits for an answer before the outcome is unknown."""

    @property
    def fence_ms(self) -> int:
        """Return how long after its signature an order that cannot be found is certainly dead."""
        return self.recv_window_ms + self.processing_max_ms + 2 * self.read_lag_ms + 1_000


class Margin(msgspec.Struct, frozen=True, kw_only=True):
    """The futures account, in settle asset; ``ratio`` = maintenance margin / margin balance."""

    free: Decimal
    wallet: Decimal
    """Cash of the account without unrealised profit."""
    ratio: Decimal | None = None
    leverage: Decimal | None = None


class FeeRates(msgspec.Struct, frozen=True, kw_only=True):
    """Fractions of notional; ``asset`` is base, quote or a coin's name for what a BUY pays."""

    maker: Decimal = ZERO
    taker: Decimal = ZERO
    buy_asset: str = ""


class KeyRights(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may do; ``None`` where the venue does not say."""

    trade: bool
    """For every leg that it is used for here."""
    withdraw: bool
    """Or transfer to another account of its owner; True where nobody can tell."""
    ip_bound: bool | None = None
    expires_at: int | None = None
    """Unix ns."""


class Closable(Protocol):
    """Opened and closed by the runtime, once."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class MarketFeed(Closable, Protocol):
    """Instruments and prices of one kind of market on one venue."""

    async def read_instruments(self) -> tuple[Instrument, ...]: ...

    async def read_instrument(self, symbol: str) -> Instrument:
        """Return the instrument; raise `Missing` when the venue does not trade it."""
        ...

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        """Subscribe: `Quote`s (a perpetual's feed also `Mark`s), and the stream's own state."""
        ...


class OrderGateway(Closable, Protocol):
    """Orders of one account; what both legs have in common."""

    @property
    def limits(self) -> VenueLimits: ...

    async def listen(self, symbol: str, sink: AccountSink) -> None:
        """Subscribe to the account's own orders, fills, balances, position and payments."""
        ...

    async def place_order(self, order: Order) -> OrderReport:
        """Send once, signed with ``order.signed_at``; never retried by anybody.

        Raise `Refused` only for a code in the plugin's table of definite refusals.
        """
        ...

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        """Ask to cancel; raise `Refused` when it is not open (which says nothing of its fills)."""
        ...

    async def read_clock(self) -> int:
        """Return the venue's time, ns UTC."""
        ...

    async def read_order(self, symbol: str, client_order_id: str) -> OrderReport:
        """Return the venue's view; raise `Missing` only on its authoritative "no such order"."""
        ...

    async def read_open_orders(self, symbol: str) -> tuple[OrderReport, ...]: ...

    async def read_fills(self, symbol: str, since: int) -> tuple[Fill, ...]:
        """Return every fill of the account in ``symbol`` with ``filled_at >= since``, all pages."""
        ...

    async def read_balances(self) -> tuple[Balance, ...]: ...


class SpotGateway(OrderGateway, Protocol):
    """Orders, fills and balances of the spot leg."""


class FuturesGateway(OrderGateway, Protocol):
    """Orders, fills, position and margin of the futures leg."""

    async def prepare(self, symbol: str, leverage: int) -> None:
        """Set one-way mode and leverage, READ THEM BACK, raise `Refused` where they differ."""
        ...

    async def read_position(self, symbol: str) -> Position:
        """Return the position; flat is a quantity of zero, a failed read is an error (R10)."""
        ...

    async def read_position_mode(self) -> PositionMode: ...

    async def read_margin(self, symbol: str) -> Margin: ...


class FundingSource(Closable, Protocol):
    """Funding of one venue's perpetuals, always with the interval."""

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        """Push a `FundingRate` at each settlement and, live, at most each 60 s."""
        ...

    async def read_rate(self, symbol: str) -> FundingRate: ...

    async def read_rates(self) -> tuple[FundingRate, ...]: ...

    async def read_history(self, symbol: str, since: int, until: int) -> tuple[FundingRate, ...]:
        """Return settled rates with ``since <= observed_at < until``, oldest first."""
        ...

    async def read_payments(self, symbol: str, since: int) -> tuple[FundingPayment, ...]:
        """Return the cash of every settlement with ``settled_at >= since``, oldest first."""
        ...


class AccountCheck(Closable, Protocol):
    """What the doctor asks."""

    async def read_key_rights(self) -> KeyRights: ...

    async def read_clock_offset_ms(self) -> int: ...

    async def read_fees(self, symbol: str) -> FeeRates: ...


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One message for a person; ``key`` makes a repeat recognisable."""

    key: str
    level: str
    """event, warning or alarm"""
    hedge: str
    text: str
    at: int


class Notifier(Closable, Protocol):
    """The way to one target. The host keeps the queue, decides what is said, and tries again."""

    async def send(self, alert: Alert) -> None:
        """Send one message once; retry nothing.

        Raise `Limited` or `Unreachable` when it certainly did not arrive: it is sent again.
        `Refused`: it never will. `OutcomeUnknown`: nobody knows, and it is not sent twice.
        """
        ...


class CommandDesk(Protocol):
    """Where a notifier that hears people puts what they write; the host judges and performs it."""

    async def answer(self, line: str, *, by: str, request_id: str) -> str:
        """Perform one line (``/status btc``) and return what to send back; raises nothing of ours.

        ``by`` names the person and the place, always in the same words: the code of a command is
        good only for who asked for it. A line that is delivered twice has the same ``request_id``.
        """
        ...


class Clock(Protocol):
    """The host's time; virtual in simulation, and then the only time there is."""

    @property
    def virtual(self) -> bool: ...

    def now(self) -> int:
        """Return ns UTC; never goes back within a process."""
        ...

    def begin_at(self, at: int) -> None:
        """Move a virtual clock forward to ``at`` before anything runs; a real one refuses."""
        ...

    def call_at(self, at: int, callback: Callable[[], None]) -> "TimerHandle": ...

    async def sleep_until(self, at: int) -> None: ...


class TimerHandle(Protocol):
    def cancel(self) -> None: ...


class VenueSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin says of one venue before anything is opened."""

    name: str
    legs: LegKind
    can: Can = Can.NONE
    settings: type[Any]
    """A pydantic model; the host validates ``[venues.NAME]`` against it, unknown keys refused."""
    summary: str = ""
    secrets: tuple[str, ...] = ("api_key", "api_secret")
    """What an account needs there: also ``private_key``, ``passphrase``; empty: no account."""


class VenueContext(msgspec.Struct, kw_only=True):
    """All that a role may know: its own settings and keys, and the host's ports."""

    settings: Any
    clock: Clock
    environment: str = "live"
    account: str = ""
    secrets: Mapping[str, str] = {}
    state_dir: str = ""
    """A directory (0700) of this hedge that the venue may keep files in; "" where there is none."""
    shared: dict[str, Any] = {}
    """The same dict for all roles of one venue and account in this process: one connection."""


class NotifierContext(msgspec.Struct, kw_only=True):
    """All that a notifier may know: ``[notifiers.NAME.options]``, its own keys, and the ports."""

    name: str = ""
    settings: Any
    clock: Clock
    secrets: Mapping[str, str] = {}
    """``token`` and ``url``, as far as they are given."""
    desk: CommandDesk | None = None
    """None: commands are off, and nothing is to be listened to."""
    claims_dir: str = ""
    """A directory (0700) that all engines of this user share, for a lock on a token."""

    def options(self, kind: type[S]) -> S:
        """Return the options as the plugin's own ``msgspec.Struct``, or raise `ConfigError`.

        Numbers may stand as text, as the environment gives them. The error names the known keys.
        """
        try:
            return msgspec.convert(self.settings, kind, strict=False)
        except msgspec.ValidationError as error:
            known = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
            text = f"notifiers.{self.name}.options: {error}; known: {known or 'none'}"
            raise ConfigError(text) from None
