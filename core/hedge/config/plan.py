"""What one ``hedge run`` was asked to do: everything the runtime needs, and nothing it must ask."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from hedge.config.resolver import Resolved
from hedge.config.settings import HedgeSettings
from hedge.decide.terms import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One start of the engine."""

    resolved: Resolved
    names: tuple[str, ...]
    """The hedges to run, in this order; all stand in ``resolved.settings.hedges``."""
    request_id: str
    """``--request-id``, else `request_id` of the start line: the same line is the same request."""
    again: bool = False
    """``--again``: run `scale` or `liquidation` once more after the same request has ended."""
    adopt: Decimal | None = None
    """``--adopt``: base coins already held that the (one) hedge takes over."""
    enter_now: bool = False
    speed: str = "real"
    """``real``, ``max``, or a factor as text; checked against ``Can.VIRTUAL_TIME``."""
    state_dir: Path
    runtime_dir: Path
    environments: Mapping[str, str]
    """Venue -> live, testnet, demo or local; a venue on virtual time is always local."""
    live: bool = False
    """``--live``, or a preview that was confirmed."""
    testnet: bool = False
    dry_run: bool = False
    log_json: bool = False
    no_view: bool = False
    record: Path | None = None
    sim_reset: bool = False

    def hedge(self, name: str) -> HedgeSettings:
        return self.resolved.settings.hedges[name]

    def action(self, name: str) -> Action:
        return self.hedge(name).action

    def sources(self, name: str) -> dict[str, str]:
        """Return where the values of one hedge came from, by their names within it."""
        return self.resolved.hedge_sources(name)


def request_id(command: str, names: tuple[str, ...], meaning: Mapping[str, Any]) -> str:
    """Return the hash of a start line, whatever the order and spacing of its parts.

    ``meaning`` holds the flags that change what is done; what is empty or False is left out. How
    the run is shown, recorded, confirmed or where its files lie does not belong in it.
    """
    given = {key: value for key, value in meaning.items() if value not in (None, "", False, ())}
    line = {"command": command, "hedges": list(names), "flags": given}
    text = json.dumps(line, sort_keys=True, separators=(",", ":"), default=str)
    return sha256(text.encode()).hexdigest()
