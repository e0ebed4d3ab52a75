"""The settings of ``[venues.binance]``: environment, hosts, times, and the coins in thousands."""

from decimal import Decimal
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hedge.transport.address import is_loopback

Environment = Literal["live", "testnet", "demo", "local"]
Units = Annotated[Decimal, Field(gt=1, allow_inf_nan=False)]


class Hosts(NamedTuple):
    """Where one environment lives; no URL ends in a slash."""

    spot_url: str
    """REST, before ``/api/v3`` and ``/sapi/v1``."""
    spot_ws_url: str
    """The WebSocket API: orders and user events."""
    spot_stream_url: str
    """Market streams, before ``/stream``."""
    futures_url: str
    """REST, before ``/fapi/v1``."""
    futures_ws_url: str
    futures_stream_url: str
    """Before ``/public``, ``/market`` and ``/private``."""


HOSTS: dict[str, Hosts] = {
    "live": Hosts(
        "https://api.binance.com",
        "wss://ws-api.binance.com:443/ws-api/v3",
        "wss://stream.binance.com:9443",
        "https://fapi.binance.com",
        "wss://ws-fapi.binance.com/ws-fapi/v1",
        "wss://fstream.binance.com",
    ),
    "testnet": Hosts(
        "https://testnet.binance.vision",
        "wss://ws-api.testnet.binance.vision/ws-api/v3",
        "wss://stream.testnet.binance.vision",
        "https://testnet.binancefuture.com",
        "wss://testnet.binancefuture.com/ws-fapi/v1",
        "wss://fstream.binancefuture.com",
    ),
    "demo": Hosts(
        "https://demo-api.binance.com",
        "wss://demo-ws-api.binance.com/ws-api/v3",
        "wss://demo-stream.binance.com",
        "https://demo-fapi.binance.com",
        "wss://testnet.binancefuture.com/ws-fapi/v1",
        "wss://fstream.binancefuture.com",
    ),
}
"""As python-binance 1.0.37 (``base_client.py``, ``ws/streams.py``) and the official pages say."""


class BinanceSettings(BaseModel):
    """``[venues.binance]``; an empty URL is the environment's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: Environment = "live"
    spot_url: str = ""
    spot_ws_url: str = ""
    spot_stream_url: str = ""
    futures_url: str = ""
    futures_ws_url: str = ""
    futures_stream_url: str = ""
    recv_window_ms: Annotated[int, Field(ge=100, le=60_000)] = 2_000
    """How long after its signature an order is still taken."""
    read_window_ms: Annotated[int, Field(ge=1_000, le=60_000)] = 5_000
    """The same for reads."""
    ack_timeout_ms: Annotated[int, Field(ge=100)] = 3_000
    read_timeout_ms: Annotated[int, Field(ge=500)] = 10_000
    read_lag_ms: Annotated[int, Field(ge=0)] = 2_000
    """p99.9 of how far a REST read may lie behind the matching engine."""
    heartbeat_ms: Annotated[int, Field(ge=250, le=10_000)] = 3_000
    """How often a quiet stream is asked for a sign of life."""
    silence_ms: Annotated[int, Field(ge=1_000)] = 10_000
    """A stream without any sign of life for so long is dropped and dialled anew."""
    listen_key_renew_s: Annotated[int, Field(ge=5, le=3_000)] = 1_500
    """The venue drops a listen key after 3,600 s."""
    spot_orders_10s: Annotated[int, Field(ge=5)] = 100
    """The account's orders in 10 s (``rateLimits`` of ``exchangeInfo``)."""
    futures_orders_10s: Annotated[int, Field(ge=5)] = 300
    margin_type: Literal["crossed", "isolated", "keep"] = "crossed"
    fee_coin: str = "BNB"
    """The third coin that fees may be paid in; its price is followed while it is."""
    multipliers: dict[str, Units] = {}
    """More coins traded in bundles: the venue's base -> how many coins one of it is."""

    @model_validator(mode="after")
    def _hosts_fit(self) -> Self:
        local = self.environment == "local"
        given = [(name, getattr(self, name)) for name in Hosts._fields]
        if local and not (self.spot_url or self.futures_url):
            raise ValueError('environment "local" needs spot_url or futures_url')
        for name, url in given:
            if url and urlsplit(url).scheme not in ("http", "https", "ws", "wss"):
                raise ValueError(f"{name}: {url!a} is no http or ws URL")
            if url and local and not is_loopback(urlsplit(url).hostname or ""):
                raise ValueError(f'{name}: environment "local" takes loopback hosts only')
        return self

    @model_validator(mode="after")
    def _bundles_are_named_so(self) -> Self:
        for name, units in self.multipliers.items():
            if coin_of(name, units) == name:
                raise ValueError(f"multipliers: {name!a} does not begin with {units:f}")
        return self

    @property
    def hosts(self) -> Hosts:
        """The URLs in force; a local server speaks REST and WebSocket on one port."""
        if self.environment == "local":
            spot, futures = self.spot_url.rstrip("/"), self.futures_url.rstrip("/")
            known = Hosts(
                spot,
                _ws(spot, "/ws-api/v3"),
                _ws(spot, ""),
                futures,
                _ws(futures, "/ws-fapi/v1"),
                _ws(futures, ""),
            )
        else:
            known = HOSTS[self.environment]
        return Hosts(
            *(
                (getattr(self, n) or own).rstrip("/")
                for n, own in zip(known._fields, known, strict=True)
            )
        )


def coin_of(bundle: str, units: Decimal) -> str:
    """Return the coin in a bundle's name: ``1000X`` and ``1MX`` are X; others are their own."""
    written = f"{units:f}"
    for prefix in (written, written.replace("000000", "M")):
        if bundle.startswith(prefix) and len(bundle) > len(prefix):
            return bundle[len(prefix) :]
    return bundle


def _ws(url: str, path: str) -> str:
    return f"ws{url.removeprefix('http')}{path}" if url else ""
