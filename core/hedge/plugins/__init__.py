"""Plugins: found by metadata, loaded only when allowed and needed, and asked through typed calls.

What is wrong with a plugin is said by name, and is exit 9 only for who needs that plugin: all
others go on. A venue whose own plugin is broken is never served by another one in silence.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hedge.plugins.found import Found, discover
    from hedge.plugins.host import PluginHost, load_plugins

__all__ = ["Found", "PluginHost", "discover", "load_plugins"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hedge.plugins' has no attribute {name!r}")
    home = "found" if name in ("Found", "discover") else "host"
    return getattr(importlib.import_module(f"hedge.plugins.{home}"), name)
