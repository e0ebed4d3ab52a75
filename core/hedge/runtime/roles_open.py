"""The opened roles of one hedge, and what they said of themselves."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hedge.config.settings import HedgeSettings, Settings
from hedge.config.values import VenueRef
from hedge.plugins.host import PluginHost
from hedge.roles import (
    AccountCheck,
    Can,
    Clock,
    Closable,
    FundingSource,
    FuturesGateway,
    MarketFeed,
    SpotGateway,
    VenueContext,
)

CLOSE_S = 5


@dataclass(slots=True, kw_only=True)
class Roles:
    """Everything one hedge talks to."""

    spot_feed: MarketFeed
    spot_gateway: SpotGateway
    spot_check: AccountCheck
    futures_feed: MarketFeed
    futures_gateway: FuturesGateway
    futures_check: AccountCheck
    funding: FundingSource
    shared_wallet: bool
    """Both legs draw on one pot of money: it is counted once."""
    providers: tuple[str, ...] = field(default=())
    """``role=distribution version``, for the journal and the first lines of the log."""


async def open_roles(
    stack: contextlib.AsyncExitStack,
    host: PluginHost,
    hedge: HedgeSettings,
    *,
    settings: Settings,
    clock: Clock,
    directory: Path,
    shared: dict[tuple[str, str], dict[str, Any]],
) -> Roles:
    """Build every role of the hedge from its plugins, and open it on ``stack``.

    ``shared`` maps (venue, account) to what all roles of one connection share in this process.
    """
    spot, futures = hedge.spot_ref, hedge.futures_ref
    at_spot, at_futures = (
        _context(host, ref, settings=settings, clock=clock, directory=directory, shared=shared)
        for ref in (spot, futures)
    )
    asked = {
        "spot_feed": host.spot_feed(spot.venue, at_spot),
        "spot_gateway": host.spot_gateway(spot.venue, at_spot),
        "spot_check": host.account_check(spot.venue, at_spot),
        "futures_feed": host.futures_feed(futures.venue, at_futures),
        "futures_gateway": host.futures_gateway(futures.venue, at_futures),
        "futures_check": host.account_check(futures.venue, at_futures),
        "funding": host.funding_source(futures.venue, at_futures),
    }
    opened: dict[str, Any] = {}
    for name, (role, _) in asked.items():
        opened[name] = await role.__aenter__()
        stack.push_async_callback(_close, role, name)
    one_pot = (spot.venue, spot.account) == (futures.venue, futures.account)
    return Roles(
        **opened,
        shared_wallet=one_pot and Can.SHARED_WALLET in host.spec(spot.venue).can,
        providers=tuple(f"{name}={provider}" for name, (_, provider) in asked.items()),
    )


async def _close(role: Closable, name: str) -> None:
    """Close a role, but wait for no plugin longer than `CLOSE_S`: the locks are let go after it."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await role.__aexit__(None, None, None)
    except TimeoutError:
        print(f"hedge: {name} did not close within {CLOSE_S} s", file=sys.stderr)  # noqa: T201


def _context(
    host: PluginHost,
    ref: VenueRef,
    *,
    settings: Settings,
    clock: Clock,
    directory: Path,
    shared: dict[tuple[str, str], dict[str, Any]],
) -> VenueContext:
    secrets: Mapping[str, str] = {}
    account = settings.accounts.get(ref.account_name)
    if account is not None:
        secrets = account.secrets()
    return VenueContext(
        settings=host.settings(ref.venue),
        clock=clock,
        environment=host.environment(ref.venue),
        account=ref.account,
        secrets=secrets,
        state_dir=str(directory),
        shared=shared.setdefault((ref.venue, ref.account), {}),
    )
