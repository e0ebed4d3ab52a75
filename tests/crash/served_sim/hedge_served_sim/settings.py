"""``[venues.served]``: where the venue is, and how patient it is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hedge.roles import VenueLimits

Millis = Annotated[int, Field(ge=1, le=60_000)]


class ServedSettings(BaseModel):
    """Strict: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: Annotated[int, Field(ge=1, le=65_535)]
    recv_window_ms: Millis = 2_000
    processing_max_ms: Millis = 10_000
    read_lag_ms: Millis = 2_000
    ack_timeout_ms: Millis = 3_000
    read_timeout_ms: Millis = 5_000
    silence_ms: Millis = 5_000
    """A stream that says nothing for so long is given up and asked for anew."""
    reconnect_ms: Millis = 200

    @property
    def limits(self) -> VenueLimits:
        return VenueLimits(
            recv_window_ms=self.recv_window_ms,
            processing_max_ms=self.processing_max_ms,
            read_lag_ms=self.read_lag_ms,
            ack_timeout_ms=self.ack_timeout_ms,
        )
