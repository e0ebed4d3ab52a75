"""The state of a stream: alive, up after a (re)connect, or down."""

import enum

import msgspec


class StreamKind(enum.StrEnum):
    MARKET = "market"
    ACCOUNT = "account"


class StreamUp(msgspec.Struct, frozen=True, kw_only=True):
    """Subscribed and acknowledged; everything before this moment may have been missed."""

    kind: StreamKind


class StreamDown(msgspec.Struct, frozen=True, kw_only=True):
    kind: StreamKind
    why: str = ""


class StreamAlive(msgspec.Struct, frozen=True, kw_only=True):
    """Proof of life without news."""

    kind: StreamKind
