"""Goal: every value comes from the source that counts, and is known to come from there.

Method: real files in a temporary directory, the environment and the flags passed in; `resolve` is
called with all of them at once and one by one.
"""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.config import Resolved, resolve
from hedge.config.layers import Flags, anonymous_name
from hedge.decide.terms import Action
from hedge.errors import ConfigError, UsageError

HEDGE = """
[hedges.btc]
spot = "sim"
futures = "sim"
symbol = "BTC/USDT"
usd = "10000"
"""
LINE = Flags(spot="sim", futures="sim", symbol="BTC/USDT", usd="10000")


def put(folder: Path, text: str = HEDGE) -> Path:
    path = folder / "hedge.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def at(folder: Path, **more: object) -> Resolved:
    given_ = {"environ": {}, "cwd": folder, **more}
    return resolve(**given_)


def test_precedence_from_default_to_add(tmp_path: Path) -> None:
    def tick() -> tuple[str, str]:
        resolved = at(tmp_path, environ=environ, flags=flags, add=add)
        name = "hedges.btc.usd"
        return str(resolved.settings.hedges["btc"].usd), resolved.source(name)

    environ: dict[str, str] = {}
    flags, add = Flags(), None
    path = put(tmp_path)
    assert tick() == ("10000", str(path))
    (tmp_path / ".env").write_text("HEDGE__HEDGES__BTC__USD=11000  # more\n")
    (tmp_path / ".env").chmod(0o600)
    assert tick() == ("11000", f"{tmp_path / '.env'} HEDGE__HEDGES__BTC__USD")
    environ["HEDGE__HEDGES__BTC__USD"] = "12000"
    assert tick() == ("12000", "environment HEDGE__HEDGES__BTC__USD")
    flags = Flags(usd="13000")
    assert tick() == ("13000", "--usd")
    add = '{"usd": 14000}'
    assert tick() == ("14000", "--add")


def test_what_nobody_set_is_a_default(tmp_path: Path) -> None:
    put(tmp_path)
    resolved = at(tmp_path)
    assert resolved.source("hedges.btc.limits.leverage") == "default"
    rows = {name: (value, source) for name, value, source in resolved.rows()}
    assert rows["hedges.btc.limits.leverage"] == (2, "default")
    assert rows["hedges.btc.usd"] == ("10000", str(tmp_path / "hedge.toml"))
    assert resolved.hedge_sources("btc")["usd"] == str(tmp_path / "hedge.toml")


def test_toml_float_is_exact(tmp_path: Path) -> None:
    put(tmp_path, HEDGE + "[hedges.btc.funding]\nexit_below = 0.00001\nenter_above = 0.1\n")
    funding = at(tmp_path).settings.hedges["btc"].funding
    assert funding.exit_below == Decimal("0.00001")
    assert funding.enter_above == Decimal("0.1")


def test_anonymous_hedge_has_one_name(tmp_path: Path) -> None:
    assert at(tmp_path, flags=LINE).names == ("btc-usdt-sim-sim",)
    assert anonymous_name("binance", "bybit", "BTC/USDT") == "btc-usdt-binance-bybit"
    assert anonymous_name("ccxt:okx", "bybit@carry", "BTC/USDT") == (
        "btc-usdt-ccxt-okx-bybit-carry"
    )
    long = anonymous_name("a" * 32, "b" * 32, "BTC/USDT")
    assert len(long) == 64
    assert long != anonymous_name("a" * 32, "b" * 31 + "c", "BTC/USDT")


def test_a_shell_can_name_a_hedge_with_dashes(tmp_path: Path) -> None:
    environ = {"HEDGE__HEDGES__BTC_USDT_SIM_SIM__LIMITS__LEVERAGE": "3"}
    resolved = at(tmp_path, flags=LINE, environ=environ)
    assert resolved.settings.hedges["btc-usdt-sim-sim"].limits.leverage == 3


def test_environment_reaches_lists_and_raw_tables(tmp_path: Path) -> None:
    environ = {
        "HEDGE__PLUGINS__ALLOW": "a==1, b==2",
        "HEDGE__VENUES__SIM__SEED": "9",
        "HEDGE__VENUES__SIM__BALANCES": '{"USDT": 1.5}',
        "HEDGE_DEBUG": "1",
    }
    settings_ = at(tmp_path, environ=environ).settings
    assert settings_.plugins.allow == ("a==1", "b==2")
    assert settings_.venues == {"sim": {"seed": "9", "balances": {"USDT": Decimal("1.5")}}}


def test_a_target_in_one_unit_replaces_one_in_the_other(tmp_path: Path) -> None:
    put(
        tmp_path,
        HEDGE.replace('usd = "10000"', 'quantity = "0.1"')
        + "[hedges.btc.limits]\nnotional_quote_max = 9000\n",
    )
    assert at(tmp_path).settings.hedges["btc"].quantity == Decimal("0.1")
    hedge = at(tmp_path, flags=Flags(usd="5000")).settings.hedges["btc"]
    assert (hedge.usd, hedge.quantity) == (Decimal(5000), None)


def test_which_hedges_are_meant(tmp_path: Path) -> None:
    put(
        tmp_path,
        HEDGE + HEDGE.replace("btc", "eth") + HEDGE.replace("btc", "off") + "enabled = false\n",
    )
    assert at(tmp_path).names == ("btc", "eth")
    assert at(tmp_path, flags=Flags(names=("off",))).names == ("off",)
    assert at(tmp_path, flags=LINE).names == ("btc-usdt-sim-sim",)
    with pytest.raises(UsageError, match=r"no hedge 'bct' .*nearest: \"btc\""):
        at(tmp_path, flags=Flags(names=("bct",)))
    with pytest.raises(UsageError, match="--usd: 2 hedges, so name"):
        at(tmp_path, flags=Flags(usd="1"))
    both = at(tmp_path, flags=Flags(action="liquidation"))
    assert {both.settings.hedges[name].action for name in both.names} == {Action.LIQUIDATION}


def test_testnet_sets_the_environment_of_the_legs_only(tmp_path: Path) -> None:
    put(
        tmp_path,
        HEDGE.replace('futures = "sim"', 'futures = "bybit@carry"') + "[venues.okx]\na = 1\n",
    )
    venues = at(tmp_path, flags=Flags(testnet=True)).settings.venues
    assert venues["bybit"] == {"environment": "testnet"}
    assert venues["okx"] == {"a": 1}


CONFIG_ERRORS = {
    "[runn]\nspeed = 1": 'unknown key "runn"; nearest: "run"',
    HEDGE + 'acton = "single"': 'unknown key "acton" in hedges.btc; nearest: "action"',
    HEDGE + "[hedges.btc.funding]\nexit_belw = 0": (
        'unknown key "exit_belw" in hedges.btc.funding; nearest: "exit_below"'
    ),
    HEDGE + 'quantity = "1"': "hedges.btc: usd and quantity exclude each other: give one",
    HEDGE.replace('usd = "10000"', ""): "hedges.btc: no target: give usd or quantity",
    HEDGE.replace('usd = "10000"', "quantity = 1"): (
        "hedges.btc: a quantity target needs limits.notional_quote_max"
    ),
    HEDGE.replace('"10000"', "nan"): "hedges.btc.usd: not a finite number: 'NaN'",
    HEDGE.replace('"10000"', "inf"): "hedges.btc.usd: not a finite number: 'Infinity'",
    HEDGE.replace('"10000"', '"-5"'): "hedges.btc.usd: Input should be greater than 0",
    HEDGE.replace('"10000"', '"1_000"'): "hedges.btc.usd: not a finite number: '1_000'",
    HEDGE.replace('"10000"', "true"): "hedges.btc.usd: not a number: True",
    HEDGE.replace("BTC/USDT", "btc/usdt"): (
        "hedges.btc.symbol: 'btc/usdt' is no symbol; write it as BTC/USDT, in capitals"
    ),
    HEDGE.replace('spot = "sim"', 'spot = "Sim!"'): (
        "hedges.btc.spot: 'Sim!' is no venue; write venue[:sub][@account]"
    ),
    HEDGE.replace('spot = "sim"', ""): "hedges.btc.spot: missing",
    HEDGE + "[hedges.btc.funding]\nexit_below = 1\nenter_above = 1": (
        "hedges.btc.funding: enter_above (1) must be above exit_below (1)"
    ),
    HEDGE + "[hedges.btc.limits]\nleverage = 6": (
        "hedges.btc.limits.leverage: Input should be less than or equal to 5"
    ),
    HEDGE + "[hedges.btc.limits]\ncollar = 0": (
        "hedges.btc.limits.collar: Input should be greater than 0"
    ),
    HEDGE + "[hedges.btc.limits]\nrepair_after_s = 1.5": (
        "hedges.btc.limits.repair_after_s: not a whole number: Decimal('1.5')"
    ),
    HEDGE + '[accounts.carry]\nvenue = "bybit"\n[hedges.eth]\nspot = "sim@carry"\nfutures = "sim"\n'
    'symbol = "ETH/USDT"\nusd = 1': (
        "hedges.eth.spot: account carry is of bybit, not of sim"
    ),
    HEDGE.replace("hedges.btc", "hedges.funding"): (
        "hedges.funding: the name of a key cannot name a hedge"
    ),
    '[venues.sim]\nenvironment = "prod"': (
        "venues.sim.environment is none of live, testnet, demo, local"
    ),
    '[metrics]\nlisten = "0.0.0.0:9464"': (
        "metrics.listen: '0.0.0.0:9464' is no loopback address; write 127.0.0.1:9464"
    ),
    '[run]\nspeed = "fast"': (
        "run.speed: 'fast' is no speed: real, max, or a factor above 0"
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", CONFIG_ERRORS)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, text: str) -> None:
    put(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        at(tmp_path)
    assert str(caught.value) == CONFIG_ERRORS[text]


def test_malformed_toml_names_the_line(tmp_path: Path) -> None:
    put(tmp_path, HEDGE + "oops")
    with pytest.raises(ConfigError, match=r"malformed TOML: .*line 7"):
        at(tmp_path)


def test_each_problem_has_its_line(tmp_path: Path) -> None:
    put(tmp_path, HEDGE + "a = 1\nb = 2\nenabled = 'x'\n")
    with pytest.raises(ConfigError) as caught:
        at(tmp_path)
    assert len(str(caught.value).splitlines()) == 3


def test_the_blame_decides_the_exit_code(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a finite number"):
        at(tmp_path, flags=Flags(spot="sim", futures="sim", symbol="BTC/USDT", usd="NaN"))
    with pytest.raises(UsageError, match="--symbol missing"):
        at(tmp_path, flags=Flags(spot="sim", futures="sim"))
    with pytest.raises(UsageError, match="no target"):
        at(tmp_path, flags=Flags(spot="sim", futures="sim", symbol="BTC/USDT"))
    with pytest.raises(ConfigError, match="usd"):
        at(tmp_path, flags=LINE, environ={"HEDGE__HEDGES__X__USD": "nan"})
    with pytest.raises(ConfigError, match='unknown key "runn"; nearest: "run"'):
        at(tmp_path, environ={"HEDGE__RUNN__SPEED": "max"})
    with pytest.raises(ConfigError, match="names no key"):
        at(tmp_path, environ={"HEDGE____X": "1"})


def test_the_file_is_searched_where_it_says(tmp_path: Path) -> None:
    home = tmp_path / "home" / "hedge"
    home.mkdir(parents=True)
    put(home)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    assert at(tmp_path, environ=environ).config_path == home / "hedge.toml"
    put(tmp_path)
    assert at(tmp_path, environ=environ).config_path == tmp_path / "hedge.toml"
    with pytest.raises(ConfigError, match="cannot be read"):
        at(tmp_path, config_path=Path("none.toml"))


TEXT = st.text(max_size=60) | st.sampled_from(
    ["[hedges.btc]", "usd = ", '"1"', "nan", "\n", "[[", "a.b = 1", HEDGE, "= inf", "'''", "1e999"]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(TEXT, max_size=8))
def test_any_file_is_a_configuration_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes("".join(parts).encode("utf-8", "surrogatepass"))
    path.chmod(0o600)
    try:
        resolved = resolve(environ={}, cwd=path.parent / "none", config_path=path)
    except ConfigError as error:  # another kind of error fails the test
        said = str(error)
    else:
        said = "fine"
        for hedge in resolved.settings.hedges.values():
            assert (hedge.usd is None) != (hedge.quantity is None)
            assert hedge.limits.leverage <= 5
    assert all(line.strip() for line in said.splitlines())


def test_a_number_beyond_every_decimal_is_one_clear_error(tmp_path: Path) -> None:
    huge = "1e9999999999999999999"
    for value in (huge, f'"{huge}"'):
        put(tmp_path, HEDGE.replace('"10000"', value))
        with pytest.raises(ConfigError, match=r"out of range|not a finite number"):
            at(tmp_path)
    put(tmp_path)
    with pytest.raises(ConfigError):
        at(tmp_path, environ={"HEDGE__HEDGES__BTC__FUNDING": f'{{"exit_below": {huge}}}'})
