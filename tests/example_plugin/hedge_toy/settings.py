"""``[venues.toy]``: where it is, and how patient we are."""

from pydantic import BaseModel, ConfigDict


class ToySettings(BaseModel):
    """Strict: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    environment: str = "live"
    url: str = "https://toy.example"
    ack_timeout_ms: int = 3_000
    read_timeout_ms: int = 3_000
    silence_ms: int = 5_000
