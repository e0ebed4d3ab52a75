"""WebSocket and REST for plugin authors: what outlives a bad network, and never guesses.

Names are fetched on first use: a plugin's settings may look at an address without the sockets.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hedge.transport.calls import Calls
    from hedge.transport.clock_offset import ClockOffset
    from hedge.transport.line import FrameSink, Line
    from hedge.transport.rate_budget import Bucket, RateBudget
    from hedge.transport.rest import Reply, Rest, RestLimits
    from hedge.transport.signer import Ed25519Signer, HmacSigner, Signer, make_signer
    from hedge.transport.trouble import Trouble, TroubleKind, TroubleSink
    from hedge.transport.websocket import Socket, SocketLimits, StateSink

_MODULES = {
    "Bucket": "rate_budget",
    "Calls": "calls",
    "ClockOffset": "clock_offset",
    "Ed25519Signer": "signer",
    "FrameSink": "line",
    "HmacSigner": "signer",
    "Line": "line",
    "RateBudget": "rate_budget",
    "Reply": "rest",
    "Rest": "rest",
    "RestLimits": "rest",
    "Signer": "signer",
    "Socket": "websocket",
    "SocketLimits": "websocket",
    "StateSink": "websocket",
    "Trouble": "trouble",
    "TroubleKind": "trouble",
    "TroubleSink": "trouble",
    "make_signer": "signer",
}

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


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        module = importlib.import_module(f"hedge.transport.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module 'hedge.transport' has no attribute {name!r}")
