"""Goal: a row's sentence says a thing once. Method: the sentence of a row, by hand."""

import pytest

from hedge.decide import events as e
from hedge.decide.rows import Row
from hedge.model import Leg
from hedge.runtime.words import plain


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        ("-2010", "binance -2010: no funds", "binance -2010: no funds"),
        ("RATE_BUDGET", "bybit: over the rate limit", "RATE_BUDGET bybit: over the rate limit"),
        ("UNREACHABLE", "", "UNREACHABLE"),
    ],
)
def test_a_refusal_names_its_code_once(code: str, text: str, said: str) -> None:
    refused = e.OrderRefused(at=1, leg=Leg.SPOT, client_order_id="H1", code=code, text=text)
    row = Row(seq=1, at=1, entry=refused, spot_mid=None, futures_mid=None)
    assert plain(row) == f"refused spot H1: {said}"
