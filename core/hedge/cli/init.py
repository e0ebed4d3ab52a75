"""``hedge init``: a commented hedge.toml to begin with; it holds no secret and asks for none."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from hedge.cli.output import say
from hedge.errors import PluginError, SafetyRefusal, writing

if TYPE_CHECKING:
    from hedge.plugins.host import PluginHost

TEMPLATE = """\
# hedge.toml: what is hedged, where, and within which bounds.
# `hedge config show` prints every value with its source, `hedge config schema` every key.
# Quantities and money are strings (exact); rates are per 8 h; durations end in _s or _ms.
# A commented line shows the default.
#
# No secret belongs here. Keys lie in files of mode 0600 in `secrets/` beside this file, or in
# systemd credentials, named after the account, as is said at its table below.

[run]
# speed = "real"                # max or a factor: only on simulated venues
# tick_ms = 1000
# stop_timeout_s = 60

[metrics]
# listen = ""                   # "127.0.0.1:9464" lets Prometheus scrape

[plugins]
# allow = []                    # third parties by name and version: ["hedge-acme==1.2.0"]

{venues}
[hedges.{name}]
spot = "{spot}"
futures = "{futures}"
symbol = "{symbol}"
usd = "{usd}"                   # the target; or quantity = "0.15" with limits.notional_quote_max
# inventory = "managed"         # account: the whole balance of the coin is this hedge's
# hedge_ratio = "1"
# enabled = true
# action = "default"            # default, single, scale, liquidation

[hedges.{name}.funding]
# exit_below = "0"
# enter_above = "0.00005"       # must be above exit_below
# exit_confirmations = 3
# settlement_guard_s = 300
# policy = "threshold"
# min_hold_s = 0
# stale_s = 600

[hedges.{name}.execution]
# requote_s = 30
# requote_bps = "2"
# impact = "0.05"               # share of the book's top that one slice may be
# offset_ticks = 0
# patience_s = 300
# cross_bps_max = "5"
# entry_basis_bps_min = "-10"
# settle_s = 60
# build_timeout_s = 86400

[hedges.{name}.limits]
# exposure_max = ""             # empty: the rule, never "no limit"
# notional_quote_max = ""       # empty: 1.05 x usd
# tolerance_bps = "1"
# leverage = 2                  # at most 5
# repair_after_s = 0            # 0: never without a person
# after_external = "alarm"      # rehedge: after an auto-deleveraging short the coins again
# flatten_on_loss = false       # true: close both legs when 3 % are lost within a day
# collar = "0.005"
# collar_max = "0.03"
# spot_orders_per_minute = 30
# spot_orders_per_hour = 300
# hedge_orders_per_second = 5
# feed_stale_ms = 5000
# feed_dead_ms = 30000
# account_stale_ms = 15000
# account_dead_ms = 60000
# audit_active_ms = 10000
# audit_halt_ms = 30000
# retry_ms = 2000
{accounts}"""

SIMULATED_VENUE = "sim"
KEYS = ("api_key", "api_secret")
"""What is named for a venue whose plugin cannot be asked: not installed, or not trusted so far."""
VENUE = """\
[venues.{name}]
# environment = "live"          # live, testnet, demo, local; live also needs `hedge run --live`
"""
SIMULATED = """\
[venues.sim]
# data = "bundled:btc-8h"
# seed = 7
"""
ACCOUNT = """
[accounts.{name}]               # keys: secrets/{keys}
venue = "{venue}"
# allow_withdraw = false        # true: start although the key can withdraw or transfer
# allow_any_ip = false          # true: start live although the key is bound to no address
"""


def init(
    spot: Annotated[str, typer.Option("--spot", help="venue[:sub][@account]")] = "sim",
    futures: Annotated[str, typer.Option("--futures", help="venue[:sub][@account]")] = "sim",
    symbol: Annotated[str, typer.Option("--symbol", help="As in BTC/USDT.")] = "BTC/USDT",
    usd: Annotated[str, typer.Option("--usd", help="The target, in quote.")] = "10000",
    path: Annotated[Path, typer.Option("--path", help="The file to write.")] = Path("hedge.toml"),
) -> None:
    """Write a commented hedge.toml (mode 0600); an existing file is never touched."""
    text = render(spot=spot, futures=futures, symbol=symbol, usd=usd)
    with writing(f"{path}: cannot be written", otherwise=SafetyRefusal):
        try:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            said = f"{path} exists and is not overwritten; --path names another"
            raise SafetyRefusal(said) from None
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(text)
    print(path)
    files = [
        f"accounts__{one.name}__{key}" for one in accounts_of(spot, futures) for key in one.keys
    ]
    if files:
        say(f"keys go into files of mode 0600 in secrets/ beside it: {', '.join(files)}")
    say("next: hedge config show, then hedge run")


class Account(NamedTuple):
    name: str
    venue: str
    keys: tuple[str, ...]
    """Which secrets the venue asks for."""


def accounts_of(spot: str, futures: str) -> list[Account]:
    """Return the accounts of both legs, each once; a venue without keys has none."""
    from hedge.config.values import VenueRef
    from hedge.plugins.host import load_plugins

    host = load_plugins()
    legs = [VenueRef.parse(text) for text in (spot, futures)]
    found = [Account(leg.account_name, leg.venue, keys_of(host, leg.venue)) for leg in legs]
    return [one for one in dict.fromkeys(found) if one.keys]


def keys_of(host: "PluginHost", venue: str) -> tuple[str, ...]:
    """Return the secrets that the venue's plugin says an account there needs."""
    from hedge.config.settings import ACCOUNT_SECRETS

    try:
        named = host.spec(venue).secrets
    except PluginError:
        return KEYS
    return tuple(key for key in ACCOUNT_SECRETS if key in named)


def render(*, spot: str, futures: str, symbol: str, usd: str) -> str:
    """Return the file for one hedge; the values are checked first, as every configuration is."""
    from hedge.config.layers import Flags
    from hedge.config.resolver import resolve
    from hedge.config.values import VenueRef

    flags = Flags(spot=spot, futures=futures, symbol=symbol, usd=usd)
    resolve(environ={}, cwd=Path(os.devnull), flags=flags)
    legs = [VenueRef.parse(text) for text in (spot, futures)]
    venues = "\n".join(
        SIMULATED if name == SIMULATED_VENUE else VENUE.format(name=_key(name))
        for name in dict.fromkeys(leg.venue for leg in legs)
    )
    accounts = "".join(
        ACCOUNT.format(name=one.name, venue=one.venue, keys=_files(one))
        for one in accounts_of(spot, futures)
    )
    return TEMPLATE.format(
        name=symbol.partition("/")[0].lower(),
        spot=spot,
        futures=futures,
        symbol=symbol,
        usd=usd,
        venues=venues,
        accounts=accounts,
    )


def _files(account: Account) -> str:
    first, *others = account.keys
    return ", ".join([f"accounts__{account.name}__{first}", *(f"..._{key}" for key in others)])


def _key(name: str) -> str:
    return f'"{name}"' if ":" in name or "." in name else name
