"""``[venues.ccxt]`` and ``[venues."ccxt:NAME"]``: which environment, how patient, how often."""

import re
from decimal import Decimal
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hedge.transport.address import is_loopback

Environment = Literal["live", "testnet", "demo", "local"]
Millis = Annotated[int, Field(ge=1, le=60_000)]
MULTIPLE = re.compile(r"(\d{1,9}) ([A-Z0-9]{1,20})")


class CcxtSettings(BaseModel):
    """Strict: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: Environment = "live"
    """testnet is ccxt's sandbox, demo its demo trading; local only for what has a simulator."""
    spot_url: str = ""
    futures_url: str = ""
    """Of environment local: ``http://127.0.0.1:PORT`` of a wire simulator."""
    wallet_address: str = ""
    """Hyperliquid: the account's public address; its private key is the account's private_key."""
    margin_mode: Literal["cross", "isolated"] = "cross"
    multiples: dict[str, str] = {}
    """Perpetuals that hold many coins: ``{"1000NEW" = "1000 NEW"}``, over the built-in table."""
    recv_window_ms: Annotated[int, Field(ge=200, le=10_000)] = 2_000
    """Where ccxt lets us choose (Binance, Bybit); elsewhere it is the venue's own."""
    processing_max_ms: Millis = 10_000
    read_lag_ms: Millis = 3_000
    ack_timeout_ms: Millis = 5_000
    read_timeout_ms: Annotated[int, Field(ge=100, le=30_000)] = 8_000
    requests_per_second: Annotated[int, Field(ge=2, le=1_000)] = 10
    requests_reserve: Annotated[int, Field(ge=1, le=500)] = 3
    """Of these, kept for cancels and for orders that take."""
    ping_ms: Annotated[int, Field(ge=500, le=20_000)] = 4_000
    """How often a stream is asked whether it lives."""
    poll_ms: Annotated[int, Field(ge=100, le=60_000)] = 1_000
    """How often is read what the venue does not stream."""
    sweep_ms: Annotated[int, Field(ge=200, le=60_000)] = 5_000
    """How often orders, position and balances are read beside the streams."""

    payments_ms: Annotated[int, Field(ge=200, le=600_000)] = 20_000
    """How often is read what funding was paid."""

    @field_validator("multiples")
    @classmethod
    def _whole_multiples(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not MULTIPLE.fullmatch(text) or not int(text.split()[0]):
                raise ValueError(f'{name}: write "1000 COIN"')
        return value

    @model_validator(mode="after")
    def _lawful(self) -> Self:
        urls = {"spot_url": self.spot_url, "futures_url": self.futures_url}
        for name, url in urls.items():
            parts = urlsplit(url)
            if url and (parts.scheme != "http" or not is_loopback(parts.hostname or "")):
                raise ValueError(f"{name}: http:// to loopback only")
        if (self.environment == "local") != any(urls.values()):
            raise ValueError("environment local and spot_url or futures_url go together")
        if self.requests_reserve >= self.requests_per_second:
            raise ValueError("requests_reserve: nothing would be left for the other requests")
        return self

    @property
    def own_multiples(self) -> dict[str, tuple[str, Decimal]]:
        """Return perpetual's base -> (coin, coins in one)."""
        pairs = {name: text.split() for name, text in self.multiples.items()}
        return {name: (coin, Decimal(count)) for name, (count, coin) in pairs.items()}
