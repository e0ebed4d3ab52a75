"""WebSocket and REST for plugin authors: what outlives a bad network, and never guesses."""

from hedge.transport.calls import Calls
from hedge.transport.clock_offset import ClockOffset
from hedge.transport.line import FrameSink, Line
from hedge.transport.rate_budget import Bucket, RateBudget
from hedge.transport.rest import Reply, Rest, RestLimits
from hedge.transport.signer import Ed25519Signer, HmacSigner, Signer, make_signer
from hedge.transport.trouble import Trouble, TroubleKind, TroubleSink
from hedge.transport.websocket import Socket, SocketLimits, StateSink

__all__ = [
    "Bucket",
    "Calls",
    "ClockOffset",
    "Ed25519Signer",
    "FrameSink",
    "HmacSigner",
    "Line",
    "RateBudget",
    "Reply",
    "Rest",
    "RestLimits",
    "Signer",
    "Socket",
    "SocketLimits",
    "StateSink",
    "Trouble",
    "TroubleKind",
    "TroubleSink",
    "make_signer",
]
