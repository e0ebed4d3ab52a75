"""Goal: ``--add`` takes one small JSON object of known keys, and nothing that could deceive.

Method: a table of what must be refused with what word, and Hypothesis over texts and trees.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.config import resolve
from hedge.config.add import parse_add, spread_add
from hedge.config.layers import Flags
from hedge.decide.terms import Action
from hedge.errors import UsageError

NOWHERE = Path("/nonexistent")
NAME = "btc-usdt-sim-sim"


def hedge_with(add: str):
    flags = Flags(spot="sim", futures="sim", symbol="BTC/USDT", usd="10000")
    return resolve(environ={}, cwd=NOWHERE, flags=flags, add=add).settings.hedges[NAME]


@pytest.mark.parametrize("action", ["default", "single", "scale", "liquidation"])
def test_the_four_actions(action: str) -> None:
    assert hedge_with(json.dumps({"action": action})).action is Action(action)


def test_merges_deep_and_leaves_the_rest() -> None:
    hedge = hedge_with('{"funding": {"exit_below": "-0.0001"}, "usd": "20000"}')
    assert str(hedge.funding.exit_below) == "-0.0001"
    assert hedge.funding.exit_confirmations == 3
    assert hedge.symbol == "BTC/USDT"


REFUSED = {
    '{"acton": "single"}': f'unknown key "acton" in hedges.{NAME}; nearest: "action"',
    '{"action": "buy"}': "Input should be 'default', 'single', 'scale' or 'liquidation'",
    '{"usd": NaN}': "NaN is no number",
    '{"usd": -Infinity}': "-Infinity is no number",
    '{"usd": "nan"}': "not a finite number",
    '{"usd": -1}': "greater than 0",
    '{"usd": 1e30}': "out of range",
    '{"usd": "\\uff11"}': "not a finite number",
    '{"usd": 1, "usd": 2}': 'key "usd" stands twice',
    '{"\\u0430ction": "single"}': "is not plain ASCII; nearest",
    '{"action\\u0000": "single"}': "is not plain ASCII",
    '{"a": {"b": {"c": {"d": {}}}}}': "nested deeper than 4",
    '{"a": [[[[1]]]]}': "nested deeper than 4",
    "[]": "must be a JSON object",
    '"action"': "must be a JSON object",
    "": "not JSON",
    "{'action': 'single'}": "not JSON",
    '{"action": "single"} x': "not JSON",
    "{" * 2_000: "nested deeper than 4",
    '{"action": "' + "x" * 4_096 + '"}': "at most 4096",
    '{"usd": ' + "9" * 4_000 + "}": "not a finite number",
    '{"funding": 5}': "valid dictionary",
    '{"btc": {"action": "single"}}': 'unknown key "btc"',
}  # fmt: skip


@pytest.mark.parametrize("add", REFUSED)
def test_refused_with_its_reason(add: str) -> None:
    with pytest.raises(UsageError) as caught:
        hedge_with(add)
    assert REFUSED[add] in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isascii()


def test_several_hedges_must_be_named() -> None:
    names = ("btc", "eth")
    assert spread_add({"btc": {"usd": 1}}, names) == {"btc": {"usd": 1}}
    with pytest.raises(UsageError, match="2 hedges, so say which"):
        spread_add({"usd": 1}, names)
    with pytest.raises(UsageError, match='unknown hedge "bct"; nearest: "btc"'):
        spread_add({"bct": {"usd": 1}}, names)
    with pytest.raises(UsageError, match="btc must be an object"):
        spread_add({"btc": 1}, names)
    with pytest.raises(UsageError, match="no hedge"):
        spread_add({"usd": 1}, ())


@settings(max_examples=1_000, deadline=None)
@given(
    st.text(max_size=80) | st.lists(st.sampled_from('{}[]":,\\ue1naN '), max_size=40).map("".join)
)
def test_any_text_is_an_object_or_a_usage_error(text: str) -> None:
    try:
        value = parse_add(text)
    except UsageError:
        return
    assert isinstance(value, dict)
    assert json.loads(text).keys() == value.keys()


SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from(["action", "usd", "quantity", "funding", "limits", "leverage", "exit_below"])
TREES = st.recursive(
    SCALAR,
    lambda inner: st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(TREES)
def test_any_tree_is_a_hedge_or_a_usage_error(tree: object) -> None:
    try:
        hedge = hedge_with(json.dumps(tree))
    except UsageError:
        return
    assert hedge.limits.leverage <= 5
    assert (hedge.usd is None) != (hedge.quantity is None)


@pytest.mark.parametrize("number", ["1e9999999999999999999", "-1E-9999999999999999999"])
def test_a_number_beyond_every_decimal_is_a_usage_error(number: str) -> None:
    for add in (f'{{"usd": {number}}}', f'{{"usd": "{number}"}}'):
        with pytest.raises(UsageError, match=r"out of range|not a finite number"):
            hedge_with(add)
