"""WebSocket and REST for plugin authors: what outlives a bad network, and never guesses.

Names are fetched on first use: a plugin's settings may look at an address without the sockets.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hedge.transport.calls import Calls
    from hedge.transport.clock_offset import ClockOffset
    from hedge.transport.json_link import Ask, JsonLink, JsonRole, JsonSettings
    from hedge.transport.line import FrameSink, Line
    from hedge.transport.listings import Listings
    from hedge.transport.once import Once
    from hedge.transport.rate_budget import Bucket, RateBudget
    from hedge.transport.rest import Reply, Rest, RestLimits
    from hedge.transport.rows import Row, read_json
    from hedge.transport.session import Session, SessionRole
    from hedge.transport.signer import Ed25519Signer, HmacSigner, Signer, make_signer
    from hedge.transport.talk import Talk
    from hedge.transport.trouble import Trouble, TroubleKind, TroubleSink
    from hedge.transport.verdicts import Verdicts
    from hedge.transport.websocket import Socket, SocketLimits, StateSink

_MODULES = {
    "Ask": "json_link",
    "Bucket": "rate_budget",
    "Calls": "calls",
    "ClockOffset": "clock_offset",
    "Ed25519Signer": "signer",
    "FrameSink": "line",
    "HmacSigner": "signer",
    "JsonLink": "json_link",
    "JsonRole": "json_link",
    "JsonSettings": "json_link",
    "Line": "line",
    "Listings": "listings",
    "Once": "once",
    "RateBudget": "rate_budget",
    "Reply": "rest",
    "Rest": "rest",
    "RestLimits": "rest",
    "Row": "rows",
    "Session": "session",
    "SessionRole": "session",
    "Signer": "signer",
    "Socket": "websocket",
    "SocketLimits": "websocket",
    "StateSink": "websocket",
    "Talk": "talk",
    "Trouble": "trouble",
    "TroubleKind": "trouble",
    "TroubleSink": "trouble",
    "Verdicts": "verdicts",
    "make_signer": "signer",
    "read_json": "rows",
}

__all__ = [
    "Ask",
    "Bucket",
    "Calls",
    "ClockOffset",
    "Ed25519Signer",
    "FrameSink",
    "HmacSigner",
    "JsonLink",
    "JsonRole",
    "JsonSettings",
    "Line",
    "Listings",
    "Once",
    "RateBudget",
    "Reply",
    "Rest",
    "RestLimits",
    "Row",
    "Session",
    "SessionRole",
    "Signer",
    "Socket",
    "SocketLimits",
    "StateSink",
    "Talk",
    "Trouble",
    "TroubleKind",
    "TroubleSink",
    "Verdicts",
    "make_signer",
    "read_json",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        module = importlib.import_module(f"hedge.transport.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module 'hedge.transport' has no attribute {name!r}")
