"""Goal: `ccxt:NAME` is served with a profile or without, others never; nothing heavy comes early.
Method: the hooks themselves; a fresh interpreter tells what an import brought in.
"""

import decimal
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from hedge.errors import ConfigError, PluginError
from hedge.roles import Can, VenueContext
from hedge.runtime.clock import RealClock
from hedge_ccxt import plugin, sdk
from hedge_ccxt.config import CcxtSettings
from hedge_ccxt.profiles import PROFILES, profile_of

ccxt = pytest.importorskip("ccxt.pro")

LINES_MAX = 40
ROLES = (
    plugin.hedge_spot_feed,
    plugin.hedge_futures_feed,
    plugin.hedge_spot_gateway,
    plugin.hedge_futures_gateway,
    plugin.hedge_funding_source,
    plugin.hedge_account_check,
)


def context(settings=None, **secrets):
    return VenueContext(
        settings=settings or CcxtSettings(), clock=RealClock(), secrets=secrets, shared={}
    )


def test_each_profile_is_a_venue_and_any_other_is_polled():
    specs = {spec.name: spec for spec in plugin.hedge_venues()}
    assert set(specs) == {"ccxt", *(f"ccxt:{name}" for name in PROFILES)}
    assert specs["ccxt"].can is Can.NONE
    assert all(Can.USER_STREAM in specs[f"ccxt:{name}"].can for name in PROFILES)
    assert profile_of("mexc").name == "mexc"


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_names_the_keys_that_ccxt_requires(name):
    ours = {"apiKey": "api_key", "secret": "api_secret", "password": "passphrase"}
    ours["privateKey"] = "private_key"  # a wallet's address is no secret: it is a setting
    required = getattr(ccxt, name)().requiredCredentials
    wanted = {ours[key] for key, needed in required.items() if needed and key in ours}
    assert set(PROFILES[name].secrets) == wanted
    specs = {spec.name: spec for spec in plugin.hedge_venues()}
    assert specs[f"ccxt:{name}"].secrets == PROFILES[name].secrets


@pytest.mark.parametrize("hook", ROLES)
def test_a_venue_that_does_not_say_ccxt_is_not_ours(hook):
    given = context(api_key="k", api_secret="s")
    assert hook("okx", given) is None and hook("binance", given) is None
    assert hook("ccxt:okx", given).session is plugin.hedge_spot_feed("ccxt:okx", given).session


def test_what_ccxt_does_not_know_is_said():
    with pytest.raises(PluginError, match="no such venue"):
        plugin.hedge_spot_feed("ccxt:nosuch", context())
    with pytest.raises(ConfigError, match="no keys"):
        plugin.hedge_spot_gateway("ccxt:okx", context())
    local = CcxtSettings(environment="local", spot_url="http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="no simulator"):
        plugin.hedge_spot_feed("ccxt:okx", context(local))


@pytest.mark.parametrize(
    "wrong",
    [
        {"environment": "local"},
        {"spot_url": "http://127.0.0.1:1"},
        {"environment": "local", "spot_url": "http://10.0.0.1:1"},
        {"multiples": {"1000X": "X"}},
        {"requests_per_second": 2, "requests_reserve": 2},
        {"nosuch": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        CcxtSettings(**wrong)


def test_the_hooks_bring_nothing_heavy_in():
    code = (
        "import sys, json; from hedge_ccxt import plugin; plugin.hedge_venues();"
        "print(json.dumps(sorted({'ccxt', 'aiohttp'} & set(sys.modules))))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert json.loads(said.stdout) == []


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_short_and_names_what_ccxt_has(name):
    folder = Path(plugin.__file__).parent / "profiles"
    assert len((folder / f"{name}.py").read_text().splitlines()) <= LINES_MAX
    venue = plugin.hedge_spot_feed(f"ccxt:{name}", context()).session
    for line in venue._lines.values():
        exchange = line.exchange
        assert exchange.enableRateLimit is False and exchange.number is Decimal
        assert exchange.options["tradesLimit"] == exchange.options["ordersLimit"] == sdk.CACHE
        methods = [lookup.method for lookup in line.profile.lookups]
        methods += [line.profile.marks, *line.profile.silenced]
        methods += [line.profile.rights.method] if line.profile.rights else []
        assert all(callable(getattr(exchange, method)) for method in methods)
        assert line.has("watchOrders") and line.has("watchMyTrades")


def test_ccxt_reads_its_own_decimals_and_leaves_our_arithmetic_alone():
    exchange = plugin.hedge_spot_feed("ccxt:okx", context()).session._lines["spot"].exchange
    row = {"a": Decimal("1E-8"), "b": "x", "c": 2, "d": None}
    assert exchange.safe_string(row, "a") == "0.00000001"
    assert exchange.safe_string_2(row, "d", "c") == "2"
    assert exchange.safe_string_n(row, ["z", "b"]) == "x" and exchange.safe_string(row, "z") is None
    before = (decimal.getcontext().rounding, dict(decimal.getcontext().traps))
    with sdk.exact():
        exchange.decimal_to_precision(Decimal("1.25"), 1, Decimal("0.1"), 4)
    assert (decimal.getcontext().rounding, dict(decimal.getcontext().traps)) == before


def test_a_call_is_stamped_with_its_own_time():
    exchange = plugin.hedge_spot_feed("ccxt:okx", context()).session._lines["spot"].exchange
    with sdk.noting(sdk.Note(stamp_ms=123)):
        assert exchange.milliseconds() == exchange.nonce() == 123
    assert exchange.milliseconds() > 10**12
