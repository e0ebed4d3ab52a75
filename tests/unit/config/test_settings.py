"""Goal: the keys, the core's terms, the schema and the examples say the same.

Method: field by field comparison; the examples are read by the real resolver, once as they are and
once with every commented line made active.
"""

import importlib
import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

import hedge.config
from hedge.cli.init import render
from hedge.config import HedgeSettings, RunPlan, VenueRef, hedge_terms_parts, request_id, resolve
from hedge.config.layers import Flags
from hedge.config.resolver import schema
from hedge.config.settings import ExecutionSettings, FundingSettings, LimitSettings, RunSettings
from hedge.decide.terms import ExecutionTerms, FundingTerms, LimitTerms

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "config").glob("*.toml"))
BASE = {"spot": "sim", "futures": "sim", "symbol": "BTC/USDT", "usd": "1"}
PAIRS = [
    (FundingSettings, FundingTerms),
    (ExecutionSettings, ExecutionTerms),
    (LimitSettings, LimitTerms),
]


@pytest.mark.parametrize(("table", "terms"), PAIRS)
def test_every_term_is_a_key_with_the_same_default(table, terms) -> None:
    for field in msgspec.structs.fields(terms):
        home = RunSettings() if field.name == "stop_timeout_s" else table()
        assert getattr(home, field.name) == field.default, field.name
    assert set(table.model_fields) - {"policy"} == set(terms.__struct_fields__) - {"stop_timeout_s"}


def test_parts_carry_the_values_over() -> None:
    hedge = HedgeSettings.model_validate(
        {**BASE, "funding": {"exit_below": "-1"}, "limits": {"exposure_max": 500}}
    )
    funding, execution, limits = hedge_terms_parts(hedge, RunSettings(stop_timeout_s=5))
    assert funding.exit_below == Decimal(-1)
    assert execution == ExecutionTerms(stop_timeout_s=5)
    assert limits.exposure_max == Decimal(500)
    assert limits.notional_quote_max is None


def test_empty_means_the_rule() -> None:
    limits = {"exposure_max": "", "notional_quote_max": ""}
    hedge = HedgeSettings.model_validate({**BASE, "limits": limits})
    assert hedge.limits.exposure_max is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("binance", ("binance", "", "", "binance", "binance")),
        ("bybit@carry", ("bybit", "", "carry", "bybit", "bybit-carry")),
        ("ccxt:okx", ("ccxt", "okx", "", "ccxt:okx", "ccxt-okx")),
        ("ccxt:okx@a_1", ("ccxt", "okx", "a_1", "ccxt:okx", "ccxt-okx-a_1")),
    ],
)
def test_venue_reference(text: str, parts: tuple[str, ...]) -> None:
    ref = VenueRef.parse(text)
    assert (ref.name, ref.sub, ref.account, ref.venue, ref.slug) == parts
    assert str(ref) == text


@pytest.mark.parametrize(
    "text", ["", "Binance", "a b", "a@", "a:", "@a", "a@b@c", "../x", "a" * 40]
)
def test_no_venue_reference(text: str) -> None:
    with pytest.raises(ValueError, match="is no venue"):
        VenueRef.parse(text)


def test_perpetual_follows_the_symbol() -> None:
    assert HedgeSettings.model_validate(BASE).perpetual == "BTC/USDT:USDT"
    other = {**BASE, "futures_symbol": "1000PEPE/USDT:USDT"}
    assert HedgeSettings.model_validate(other).perpetual == "1000PEPE/USDT:USDT"


def test_schema_knows_every_table() -> None:
    text = str(schema())
    for table in ("run", "metrics", "plugins", "venues", "hedges", "accounts", "notifiers"):
        assert table in schema()["properties"], table
    assert "exit_confirmations" in text
    assert schema()["additionalProperties"] is False


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "hedge.toml"
    copy.write_text(path.read_text())
    copy.chmod(0o600)
    assert resolve(environ={}, cwd=tmp_path).names


def test_there_are_examples() -> None:
    assert {"hedge.example.toml", "sim.toml"} <= {path.name for path in EXAMPLES}


@pytest.mark.parametrize(
    ("spot", "futures"), [("sim", "sim"), ("binance", "bybit@carry"), ("ccxt:okx", "sim@b")]
)
def test_a_rendered_file_states_the_true_defaults(tmp_path: Path, spot: str, futures: str) -> None:
    text = render(spot=spot, futures=futures, symbol="BTC/USDT", usd="10000")
    path = tmp_path / "hedge.toml"
    path.write_text(text)
    path.chmod(0o600)
    plain = resolve(environ={}, cwd=tmp_path).settings
    path.write_text(re.sub(r"(?m)^# (?=[a-z_]+ = )", "", text))
    uncommented = resolve(environ={}, cwd=tmp_path).settings
    assert uncommented.hedges == plain.hedges
    assert (uncommented.run, uncommented.metrics, uncommented.plugins) == (
        plain.run, plain.metrics, plain.plugins,
    )  # fmt: skip
    shown = set(re.findall(r"(?m)^(?:# )?([a-z_]+) = ", text))
    tables = (HedgeSettings, FundingSettings, ExecutionSettings, LimitSettings, RunSettings)
    keys = {key for table in tables for key in table.model_fields}
    assert keys - shown == {"quantity", "futures_symbol", "funding", "execution", "limits"}


def test_the_same_line_is_the_same_request() -> None:
    one = request_id("run", ("btc",), {"usd": "1", "action": "", "testnet": False})
    assert one == request_id("run", ("btc",), {"action": None, "usd": "1"})
    assert one != request_id("run", ("btc",), {"usd": "2"})
    assert one != request_id("run", ("eth",), {"usd": "1"})
    assert one != request_id("scale", ("btc",), {"usd": "1"})
    assert re.fullmatch(r"[0-9a-f]{64}", one)


def test_plan_reads_its_hedges(tmp_path: Path) -> None:
    flags = Flags(spot="sim", futures="sim", symbol="BTC/USDT", usd="1", action="single")
    resolved = resolve(environ={}, cwd=tmp_path, flags=flags)
    plan = RunPlan(
        resolved=resolved, names=resolved.names, request_id="x", state_dir=tmp_path,
        runtime_dir=tmp_path, environments={"sim": "local"},
    )  # fmt: skip
    assert plan.action("btc-usdt-sim-sim") == "single"
    assert plan.sources("btc-usdt-sim-sim")["action"] == "--action"


def test_the_face_gives_functions_in_any_order_of_import() -> None:
    names = ["resolver", "settings", "plan", "dirs", "values", "layers", "files", "add"]
    for name in names:
        importlib.import_module(f"hedge.config.{name}")
    assert not set(names) & set(hedge.config.__all__)
    for name in hedge.config.__all__:
        assert callable(getattr(hedge.config, name)), name
