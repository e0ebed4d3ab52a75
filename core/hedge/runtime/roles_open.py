"""The opened roles of one hedge, and what they said of themselves."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from hedge.config.settings import HedgeSettings, Settings
from hedge.config.values import VenueRef
from hedge.model import Leg
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
from hedge.runtime.supervise import closed
from hedge.runtime.whose import whose

TURN = "hedge.turn"
"""Under what key the roles of one connection keep whose turn it is to open it."""
LOCAL_KEYS = {"api_key": "sim-key", "api_secret": "sim-secret"}
"""No secret: what `hedge sim serve` answers to; used where a loopback venue was given no key."""
DRY_CASH = Decimal(1_000_000)
"""What a dry run of a hedge measured in coins begins with on each leg, in quote, times ten."""


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


def served_by(providers: Iterable[str]) -> list[str]:
    """Return a line for each plugin: which roles it answered."""
    roles: dict[str, list[str]] = {}
    for role, _, provider in (one.partition("=") for one in providers):
        roles.setdefault(provider, []).append(role)
    return [f"{', '.join(names)}: {provider}" for provider, names in roles.items()]


async def open_roles(
    stack: contextlib.AsyncExitStack,
    host: PluginHost,
    hedge: HedgeSettings,
    *,
    settings: Settings,
    clock: Clock,
    directory: Path,
    shared: dict[tuple[str, str], dict[str, Any]],
    dry: bool = False,
) -> Roles:
    """Build every role of the hedge from its plugins, and open it on ``stack``.

    ``shared`` maps (venue, account) to what all roles of one connection share in this process.
    With ``dry`` the feeds and the funding are the venues', and the accounts are ours.
    """
    spot, futures = hedge.spot_ref, hedge.futures_ref
    at_spot, at_futures = (
        _context(host, ref, settings=settings, clock=clock, directory=directory, shared=shared)
        for ref in (spot, futures)
    )
    async with contextlib.AsyncExitStack() as turns:
        # Hedges open side by side; what they share is opened by one of them at a time.
        for key in sorted({(ref.venue, ref.account) for ref in (spot, futures)}):
            await turns.enter_async_context(shared[key].setdefault(TURN, asyncio.Lock()))
        if dry:
            return await _open_dry(stack, host, hedge, at_spot, at_futures, directory)
        return await _open_live(stack, host, hedge, at_spot, at_futures)


async def _open_live(
    stack: contextlib.AsyncExitStack,
    host: PluginHost,
    hedge: HedgeSettings,
    at_spot: VenueContext,
    at_futures: VenueContext,
) -> Roles:
    spot, futures = hedge.spot_ref, hedge.futures_ref
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
    for name, (role, provider) in asked.items():
        with whose(spot if name.startswith("spot") else futures):
            opened[name] = await role.__aenter__()
        stack.push_async_callback(_close, role, f"{name} of {provider}")
    one_pot = (spot.venue, spot.account) == (futures.venue, futures.account)
    return Roles(
        **opened,
        shared_wallet=one_pot and Can.SHARED_WALLET in host.spec(spot.venue).can,
        providers=tuple(f"{name}={provider}" for name, (_, provider) in asked.items()),
    )


async def _open_dry(  # noqa: PLR0917 - the same six things as its only caller
    stack: contextlib.AsyncExitStack,
    host: PluginHost,
    hedge: HedgeSettings,
    at_spot: VenueContext,
    at_futures: VenueContext,
    directory: Path,
) -> Roles:
    """Open the public roles alone, over an account of this process."""
    from hedge.runtime import dry  # noqa: PLC0415 - most runs are not

    clock = at_spot.clock
    cash = (hedge.usd or DRY_CASH) * 10
    account = dry.DryAccount(directory / dry.FILE_NAME, cash=cash, at=clock.now())
    stack.callback(account.close)
    spot_feed, spot_from = host.spot_feed(hedge.spot_ref.venue, at_spot)
    futures_feed, futures_from = host.futures_feed(hedge.futures_ref.venue, at_futures)
    source, source_from = host.funding_source(hedge.futures_ref.venue, at_futures)
    asked: dict[str, Any] = {
        "spot_feed": dry.DryFeed(spot_feed, account, Leg.SPOT, clock),
        "spot_gateway": dry.DryGateway(account, Leg.SPOT, hedge.symbol, clock),
        "spot_check": dry.DryCheck(Leg.SPOT),
        "futures_feed": dry.DryFeed(futures_feed, account, Leg.FUTURES, clock),
        "futures_gateway": dry.DryGateway(account, Leg.FUTURES, hedge.perpetual, clock),
        "futures_check": dry.DryCheck(Leg.FUTURES),
        "funding": dry.DryFunding(source, account, clock),
    }
    for name, role in asked.items():
        await role.__aenter__()
        stack.push_async_callback(_close, role, name)
    providers = (f"spot_feed={spot_from}", f"futures_feed={futures_from}", f"funding={source_from}")
    return Roles(**asked, shared_wallet=False, providers=(*providers, "gateways=dry run"))


async def _close(role: Closable, name: str) -> None:
    async def closing() -> None:
        await role.__aexit__(None, None, None)

    await closed(name, closing())


def _context(
    host: PluginHost,
    ref: VenueRef,
    *,
    settings: Settings,
    clock: Clock,
    directory: Path,
    shared: dict[tuple[str, str], dict[str, Any]],
) -> VenueContext:
    account = settings.accounts.get(ref.account_name)
    secrets: Mapping[str, str] = account.secrets() if account is not None else {}
    if not secrets and host.environment(ref.venue) == "local":
        secrets = LOCAL_KEYS
    return VenueContext(
        settings=host.settings(ref.venue),
        clock=clock,
        environment=host.environment(ref.venue),
        account=ref.account,
        secrets=secrets,
        state_dir=str(directory),
        shared=shared.setdefault((ref.venue, ref.account), {}),
    )
