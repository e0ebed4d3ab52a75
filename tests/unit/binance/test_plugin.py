"""The hooks: light to load, silent for other venues, and unopened roles for ours.

Goal: no SDK and no socket before a role is asked for. Method: a fresh interpreter, and a context.
"""

import subprocess
import sys

import pytest

from hedge import roles
from hedge.errors import ConfigError
from hedge.runtime.clock import RealClock
from hedge_binance import plugin
from hedge_binance.config import BinanceSettings

HOOKS = (
    ("hedge_spot_feed", roles.MarketFeed),
    ("hedge_futures_feed", roles.MarketFeed),
    ("hedge_spot_gateway", roles.SpotGateway),
    ("hedge_futures_gateway", roles.FuturesGateway),
    ("hedge_funding_source", roles.FundingSource),
    ("hedge_account_check", roles.AccountCheck),
)


def context():
    return roles.VenueContext(settings=BinanceSettings(), clock=RealClock(), shared={})


def test_naming_the_venue_loads_neither_sdk_nor_sockets():
    code = (
        "import sys, hedge_binance.plugin as p; p.hedge_venues();"
        "p.hedge_spot_feed('sim', None);"
        "print([m for m in ('binance', 'aiohttp', 'picows', 'cryptography') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_venue():
    (spec,) = plugin.hedge_venues()
    assert spec.name == "binance"
    assert spec.legs == roles.LegKind.SPOT | roles.LegKind.FUTURES
    assert roles.Can.SHARED_WALLET not in spec.can, "spot and futures are two wallets"
    assert roles.Can.VIRTUAL_TIME not in spec.can


@pytest.mark.parametrize(("hook", "protocol"), HOOKS)
def test_roles_are_complete_and_share_one_link(hook, protocol):
    shared = context()
    role = getattr(plugin, hook)("binance", shared)
    members = [name for name in vars(protocol) if not name.startswith("_")]
    members += [name for base in protocol.__mro__ for name in vars(base) if name[:5] == "read_"]
    assert not [name for name in members if not hasattr(role, name)]
    again = getattr(plugin, hook)("binance", shared)
    assert role.session is again.session
    assert getattr(plugin, hook)("binance.us", shared) is None


async def _place_without_a_key():
    async with plugin.hedge_spot_gateway("binance", context()) as gateway:
        with pytest.raises(ConfigError, match="api_key"):
            await gateway.stream()


def test_an_account_without_a_key_is_said_so():
    import asyncio

    asyncio.run(_place_without_a_key())
