"""The face: what a plugin may import. Names are fetched on first use, so a start pays for none."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hedge import errors, model, roles, transport
    from hedge.hookspecs import hookimpl
    from hedge.venue_hooks import VenueHooks

_NAMES = {"VenueHooks": "hedge.venue_hooks", "hookimpl": "hedge.hookspecs"}

__all__ = ["VenueHooks", "errors", "hookimpl", "model", "roles", "transport"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in __all__:
        return importlib.import_module(f"hedge.{name}")
    raise AttributeError(f"module 'hedge' has no attribute {name!r}")
