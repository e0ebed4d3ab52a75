"""``[venues.bybit]``: which Bybit, how patient, and how much of its rate limit."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hedge.roles import VenueLimits
from hedge.transport.address import is_loopback

Environment = Literal["live", "testnet", "demo", "local"]
Millis = Annotated[int, Field(ge=1, le=60_000)]
Seconds = Annotated[int, Field(ge=1, le=600)]
PerSecond = Annotated[int, Field(ge=2, le=400)]
PROBE_TIMEOUT_MAX_MS = 3_000
PACE_MAX_MS = 1_500
"""The venue's second slides: an order that must wait much longer for it is refused here."""
SCHEMES = {"rest_url": ("https", "http"), "stream_url": ("wss", "ws"), "public_url": ("wss", "ws")}


class Hosts(msgspec.Struct, frozen=True, kw_only=True):
    """Where one environment lives; each is scheme, host and port, without a path."""

    rest: str
    private: str
    public: str
    trade: str
    """Empty where there is no WebSocket order entry: orders go by REST."""


class BybitSettings(BaseModel):
    """Strict: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: Environment = "live"
    domain: Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z]+)+$")] = "bybit.com"
    """The site the account is registered with: bybit.com, bybit.nl, bybit-tr.com, bybit.kz, ..."""
    rest_url: str = ""
    """Instead of the environment's own host: ``https://host[:port]``, or ``http`` to loopback."""
    stream_url: str = ""
    """The same for the WebSockets: ``wss://host[:port]``, or ``ws`` to loopback."""
    public_url: str = ""
    """The same for public market data alone; empty: as ``stream_url``."""
    recv_window_ms: Annotated[int, Field(ge=200, le=10_000)] = 2_000
    processing_max_ms: Millis = 10_000
    read_lag_ms: Millis = 2_000
    ack_timeout_ms: Millis = 3_000
    read_timeout_ms: Annotated[int, Field(ge=100, le=15_000)] = 5_000
    spot_orders_per_second: PerSecond = 20
    futures_orders_per_second: PerSecond = 10
    """What the account's level allows; Bybit's default is 20 and 10 (order/create, per UID)."""
    orders_reserve: Annotated[int, Field(ge=0, le=100)] = 2
    """Of each of the two, kept for orders that take: hedges and unwinding."""
    fast_executions: bool = True
    """Listen to ``execution.fast`` too: quantities some ms earlier, fees follow."""
    ping_s: Seconds = 5
    """A stream that says nothing for so long is asked whether it lives."""
    use_websocket_orders: bool = True
    """False sends orders by REST; demo has nothing else."""

    @model_validator(mode="after")
    def _lawful_urls(self) -> Self:
        for name, (safe, loopback) in SCHEMES.items():
            url = getattr(self, name)
            if not url:
                continue
            parts = urlsplit(url)
            local = is_loopback(parts.hostname or "")
            if parts.scheme not in ((safe, loopback) if local else (safe,)) or not parts.hostname:
                raise ValueError(
                    f"{name}: {safe}://host[:port] wanted, {loopback} only to loopback"
                )
            if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
                raise ValueError(f"{name}: nothing may follow the host and the port")
            if self.environment == "local" and not local:
                raise ValueError(f"{name}: environment local is loopback only")
        if self.environment == "local" and not (self.rest_url and self.stream_url):
            raise ValueError("environment local needs rest_url and stream_url")
        if self.orders_reserve >= min(self.spot_orders_per_second, self.futures_orders_per_second):
            raise ValueError("orders_reserve: nothing would be left for the other orders")
        return self

    @property
    def hosts(self) -> Hosts:
        """Return where to connect (docs/v5/ws/connect, docs/v5/demo of Bybit's documentation)."""
        infix = {"testnet": "-testnet", "demo": "-demo"}.get(self.environment, "")
        rest = self.rest_url or f"https://api{infix}.{self.domain}"
        private = self.stream_url or f"wss://stream{infix}.{self.domain}"
        # Demo has private streams only: its prices are the live market's.
        shown = "" if self.environment == "demo" else infix
        public = self.public_url or self.stream_url or f"wss://stream{shown}.{self.domain}"
        by_socket = self.use_websocket_orders and self.environment != "demo"
        return Hosts(
            rest=rest.rstrip("/"),
            private=private.rstrip("/"),
            public=public.rstrip("/"),
            trade=private.rstrip("/") if by_socket else "",
        )

    @property
    def silence_max_ms(self) -> int:
        return self.ping_s * 1_000

    @property
    def probe_timeout_ms(self) -> int:
        """Return how long the answer to such a question may take: as long again, at most 3 s."""
        return min(self.silence_max_ms, PROBE_TIMEOUT_MAX_MS)

    @property
    def pace_max_ms(self) -> int:
        """Return how long an order may wait for the rate: it still has to arrive in its window."""
        return min(PACE_MAX_MS, self.recv_window_ms * 3 // 4)

    @property
    def limits(self) -> VenueLimits:
        """Return the venue's times; an answer's begins when the order leaves, after that wait."""
        return VenueLimits(
            recv_window_ms=self.recv_window_ms,
            processing_max_ms=self.processing_max_ms,
            read_lag_ms=self.read_lag_ms,
            ack_timeout_ms=self.pace_max_ms + self.ack_timeout_ms,
        )
