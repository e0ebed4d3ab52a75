"""From a parsed start line to a `RunPlan`: the checks that need the plugins, and the last question.

Nothing is opened and nothing is sent here; every refusal comes before the first connection.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from hedge.cli.output import confirm, say
from hedge.config.add import parse_add
from hedge.config.dirs import prepare_dir, runtime_dir, state_dir
from hedge.config.layers import Flags
from hedge.config.plan import RunPlan, request_id
from hedge.config.resolver import Resolved, resolve
from hedge.config.values import to_decimal
from hedge.errors import ConfigError, UsageError
from hedge.model.numbers import plain
from hedge.plugins.host import PluginHost, load_plugins
from hedge.roles import Can

DRY = "dry"
REQUEST = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The arguments of ``hedge run`` as they were typed."""

    names: tuple[str, ...] = ()
    config: Path | None = None
    state_dir: Path | None = None
    spot: str = ""
    futures: str = ""
    symbol: str = ""
    usd: str = ""
    action: str = ""
    add: tuple[str, ...] = ()
    adopt: str = ""
    enter_now: bool = False
    dry_run: bool = False
    live: bool = False
    testnet: bool = False
    request_id: str = ""
    again: bool = False
    record: Path | None = None
    no_view: bool = False
    log_json: bool = False
    sim_reset: bool = False


def make_plan(
    line: Line, environ: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> RunPlan:
    """Check everything that can be checked without opening anything, and return the plan."""
    if len(line.add) > 1:
        raise UsageError("--add stands twice; put all keys into one object")
    if line.live and line.testnet:
        raise UsageError("--live and --testnet exclude each other")
    if line.request_id and REQUEST.fullmatch(line.request_id) is None:
        raise UsageError("--request-id: at most 128 printable ASCII characters, without spaces")
    adopt = _adopted(line.adopt)
    resolved = resolve(
        environ=environ,
        cwd=cwd or Path.cwd(),
        config_path=line.config,
        flags=Flags(
            names=line.names,
            spot=line.spot,
            futures=line.futures,
            symbol=line.symbol,
            usd=line.usd,
            action=line.action,
            testnet=line.testnet,
        ),
        add=line.add[0] if line.add else None,
    )
    if not resolved.names:
        raise UsageError(
            "nothing to run: name a hedge of hedge.toml (see `hedge init`),"
            " or give --spot, --futures, --symbol and --usd"
        )
    if adopt is not None and len(resolved.names) > 1:
        raise UsageError(f"--adopt: {len(resolved.names)} hedges, so name the one that is meant")
    for warning in resolved.warnings:
        say(f"warning: {warning}")
    environments, host = _environments(resolved, live=line.live)
    virtual = all(Can.VIRTUAL_TIME in host.spec(venue).can for venue in environments)
    _check_pace(line, resolved, host, environments, virtual=virtual)
    dry = line.dry_run and not virtual
    live = not dry and _allow_live(line, resolved, environments)
    if live and not line.live:  # confirmed in person: what --live refuses is refused here too
        _environments(resolved, live=True)
    state = prepare_dir(state_dir(line.state_dir, environ))
    if dry:  # made-up fills never stand in the journal of a hedge that is real
        state = prepare_dir(state / DRY)
        say(f"dry run: live prices, no order leaves; its journal is in {state}")
    return RunPlan(
        resolved=resolved,
        names=resolved.names,
        request_id=line.request_id or request_id("run", resolved.names, meaning(line)),
        again=line.again,
        adopt=adopt,
        enter_now=line.enter_now,
        speed=resolved.settings.run.speed,
        state_dir=state,
        runtime_dir=prepare_dir(runtime_dir(state, environ)),
        environments=environments,
        live=live,
        testnet=line.testnet,
        dry_run=line.dry_run,
        log_json=line.log_json,
        no_view=line.no_view,
        record=line.record,
        sim_reset=line.sim_reset,
    )


def meaning(line: Line) -> dict[str, Any]:
    """Return the flags that change what is done; see `hedge.config.plan.request_id`."""
    flags: dict[str, Any] = {
        name: getattr(line, name)
        for name in ("spot", "futures", "symbol", "usd", "action", "adopt", "enter_now")
    }
    return {
        **flags,
        "testnet": line.testnet,
        "dry_run": line.dry_run,
        "add": parse_add(line.add[0]) if line.add else None,
    }


def _adopted(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        adopted = to_decimal(text)
    except ValueError as error:
        raise UsageError(f"--adopt: {error}") from None
    if adopted <= 0:
        raise UsageError(f"--adopt: {text!a} is not above 0")
    return adopted


def _environments(resolved: Resolved, *, live: bool) -> tuple[dict[str, str], PluginHost]:
    """Load what the legs need, and check the settings of each venue and the accounts."""
    settings = resolved.settings
    legs = [
        (f"hedges.{name}.{leg}", ref)
        for name in resolved.names
        for leg, ref in (
            ("spot", settings.hedges[name].spot_ref),
            ("futures", settings.hedges[name].futures_ref),
        )
    ]
    venues = tuple(dict.fromkeys(ref.venue for _, ref in legs))
    host = load_plugins(
        venues,
        allow=settings.plugins.allow,
        venues=settings.venues,
        live=live,
        lock=resolved.place,
    )
    for note in host.notes:
        say(note)
    for venue in venues:
        host.settings(venue)
    for where, ref in legs:
        needs_keys = Can.VIRTUAL_TIME not in host.spec(ref.venue).can
        if needs_keys and ref.account and ref.account not in settings.accounts:
            raise ConfigError(f"{where}: there is no [accounts.{ref.account}]")
    return {venue: host.environment(venue) for venue in venues}, host


def _check_pace(
    line: Line, resolved: Resolved, host: PluginHost, venues: Mapping[str, str], *, virtual: bool
) -> None:
    speed = resolved.settings.run.speed
    if speed != "real" and not virtual:
        real = [name for name in venues if Can.VIRTUAL_TIME not in host.spec(name).can]
        raise ConfigError(f"run.speed: {speed} needs virtual time, and {', '.join(real)} has none")
    if line.sim_reset and not virtual:
        raise UsageError("--sim-reset: only for hedges whose venues are all simulated")


def _allow_live(line: Line, resolved: Resolved, environments: Mapping[str, str]) -> bool:
    """Return whether real money may move: by ``--live``, or by a person who saw the preview."""
    live = [venue for venue, environment in environments.items() if environment == "live"]
    if not live or line.live:
        return bool(live)
    for name in resolved.names:
        hedge = resolved.settings.hedges[name]
        target = f"{plain(hedge.usd)} USD" if hedge.usd else f"{hedge.quantity} coins"
        say(
            f"{name}: {hedge.action.value} {hedge.symbol} for {target}, spot on {hedge.spot},"
            f" {hedge.perpetual} on {hedge.futures}"
        )
    confirm(
        f"Trade with real money on {', '.join(live)}?",
        flag="--live",
        refusal=f"{', '.join(live)} is live, and nothing said that this is meant",
    )
    return True
