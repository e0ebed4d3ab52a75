"""The face of the configuration; names are fetched on first use, so that a view pays for none."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hedge.config.dirs import prepare_dir, runtime_dir, state_dir
    from hedge.config.plan import RunPlan, request_id
    from hedge.config.resolver import Resolved, resolve
    from hedge.config.settings import HedgeSettings, Settings, hedge_terms_parts
    from hedge.config.values import VenueRef

_HOME = {
    "HedgeSettings": "settings",
    "Resolved": "resolver",
    "RunPlan": "plan",
    "Settings": "settings",
    "VenueRef": "values",
    "hedge_terms_parts": "settings",
    "prepare_dir": "dirs",
    "request_id": "plan",
    "resolve": "resolver",
    "runtime_dir": "dirs",
    "state_dir": "dirs",
}

__all__ = [
    "HedgeSettings",
    "Resolved",
    "RunPlan",
    "Settings",
    "VenueRef",
    "hedge_terms_parts",
    "prepare_dir",
    "request_id",
    "resolve",
    "runtime_dir",
    "state_dir",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hedge.config' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"hedge.config.{_HOME[name]}"), name)
    globals()[name] = value
    return value
