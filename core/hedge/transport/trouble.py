"""What went wrong on a wire without ending it: told to a sink, and counted."""

import asyncio
import enum
from collections import Counter
from collections.abc import Callable

import msgspec

from hedge.errors import redacted


class TroubleKind(enum.StrEnum):
    """Where it went wrong: what a reader of counters wants to tell apart."""

    CONNECT = "connect"
    """An attempt to connect, to subscribe or to fill the gap failed; it will be repeated."""
    DROP = "drop"
    """A line that was ready is gone."""
    FRAME = "frame"
    """``on_frame`` raised; that message is lost, the reader goes on."""
    REFUSED = "refused"
    """A part of what a connection asks for is refused, and no more asked for."""
    STRAY = "stray"
    """A reply that nobody waits for: late, of an unknown id, or without an id."""
    PROTOCOL = "protocol"
    """The other end broke the protocol, or a bound of ours on it; the line is dropped."""
    READ = "read"
    """An attempt of a REST read got no answer; it may be repeated."""
    BROKEN = "broken"
    """A task of the transport ended that never should: a bug of ours."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that went wrong; ``text`` holds no payload, no query and no key."""

    kind: TroubleKind
    name: str
    """The name that the socket, the calls or the session were given."""
    text: str
    error: BaseException | None = None


TroubleSink = Callable[[Trouble], None]
"""Called on the event loop, on its own: what it raises harms nothing here."""


class Troubles:
    """Counts by kind, and hands each trouble on to the sink."""

    def __init__(self, name: str, sink: TroubleSink) -> None:
        self.name = name
        self.counts: Counter[TroubleKind] = Counter()
        self._sink = sink

    def tell(self, kind: TroubleKind, text: str, error: BaseException | None = None) -> None:
        self.counts[kind] += 1
        trouble = Trouble(kind=kind, name=self.name, text=redacted(text), error=error)
        # Not from here: a sink that raises would end what is telling.
        asyncio.get_running_loop().call_soon(self._sink, trouble)


def described(error: BaseException) -> str:
    """Return the error's class and words on one line."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
