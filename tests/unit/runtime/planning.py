"""The plan of a start, from the text of a configuration, as the command line would make it."""

from pathlib import Path
from typing import Any

from hedge.config.layers import Flags
from hedge.config.plan import RunPlan
from hedge.config.resolver import resolve

SIMULATED = """
[run]
speed = "max"
[venues.sim]
data = "bundled:btc-8h"
"""
"""Begins a configuration; more of ``[venues.sim]`` may follow."""


def planned(folder: Path, config: str, names: tuple[str, ...] = ("one",), **more: Any) -> RunPlan:
    """Write the configuration into ``folder``, where the state lies too; ``more`` is the plan's."""
    path = folder / "hedge.toml"
    path.write_text(config)
    path.chmod(0o600)
    resolved = resolve(environ={}, cwd=folder, config_path=path, flags=Flags(names=names))
    fields: dict[str, Any] = {
        "request_id": "line", "speed": "max", "environments": {"sim": "local"}, "no_view": True,
    }  # fmt: skip
    return RunPlan(
        resolved=resolved, names=names, state_dir=folder, runtime_dir=folder, **fields | more
    )
