"""Goal: the plugin offers both legs, says no for other venues, and costs nothing until it is used.
Method: the hooks themselves; a fresh interpreter tells what an import brought in.
"""

import json
import subprocess
import sys

import pytest

from hedge.errors import ConfigError
from hedge.roles import Can, LegKind, VenueContext
from hedge.runtime.clock import RealClock
from hedge_bybit import plugin
from hedge_bybit.config import BybitSettings

HEAVY = {"pybit", "requests", "picows", "asyncio", "pydantic", "Crypto"}
ROLES = (
    plugin.hedge_spot_feed,
    plugin.hedge_futures_feed,
    plugin.hedge_spot_gateway,
    plugin.hedge_futures_gateway,
    plugin.hedge_funding_source,
    plugin.hedge_account_check,
)


def context(**secrets):
    return VenueContext(
        settings=BybitSettings(), clock=RealClock(), account="main", secrets=secrets, shared={}
    )


def test_one_venue_with_both_legs():
    (spec,) = plugin.hedge_venues()
    assert (spec.name, spec.legs) == ("bybit", LegKind.SPOT | LegKind.FUTURES)
    assert Can.SHARED_WALLET in spec.can and Can.USER_STREAM in spec.can
    assert Can.RESULT_ACK not in spec.can, "an answer only says that the order was accepted"


@pytest.mark.parametrize("hook", ROLES)
def test_another_venue_is_not_ours(hook):
    assert hook("binance", context(api_key="k", api_secret="s")) is None


@pytest.mark.parametrize("hook", ROLES)
def test_all_roles_share_one_venue(hook):
    shared = context(api_key="k", api_secret="s")
    first = plugin.hedge_spot_feed("bybit", shared)
    assert hook("bybit", shared).session is first.session


def test_market_data_needs_no_key_and_orders_do():
    assert plugin.hedge_spot_feed("bybit", context()) is not None
    for hook in (plugin.hedge_spot_gateway, plugin.hedge_futures_gateway):
        with pytest.raises(ConfigError, match=r"accounts\.main\.api_key"):
            hook("bybit", context())


def test_the_hooks_bring_nothing_heavy_in():
    code = "import hedge_bybit.plugin, sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(done.stdout))
