"""Goal: the page a person reads is the report, in the agreed style, to the last digit.

Method: one golden text, and the other forms read back by the standard library.
"""

import csv
import io
import json
from decimal import Decimal

import pytest

from hedge.decide.rows import Row
from hedge.errors import UsageError
from hedge.model.numbers import DAY, HOUR, SECOND
from hedge.report import render
from hedge.report.attribution import attribute
from hedge.report.page import html
from hedge.report.when import parse_when, stamp, when

D = Decimal

GOLDEN = """\
btc: BTC/USDT, spot sim, futures sim; 2024-03-01 08:00:00 to 2024-03-02 00:00:06 UTC, in USDT

funding received      +0.10      2 payments, 1 negative
basis (perp - spot)  -12.00      entry +79.8 bp, exit +181.8 bp
slippage vs mid       -3.00      4 fills, 7.1 bp mean
fees                  -6.01      of which BNB 0.01 (valued at fill time)
unhedged drift        +2.00      delta x price move, worst 2.0 s
rest of the account  +79.91      own coins and fee coins
explained            +61.00
venue equity change  +61.00      as both venues state it
unexplained            0.00      ok (limit 0.50)

funding: predicted at entry +0.44, at settled rates +0.10, received +0.10
"""


def test_the_text(life: list[Row]) -> None:
    assert render.text(attribute(life)) == GOLDEN


def test_days_are_a_table_of_its_own(life: list[Row]) -> None:
    shown = render.text(attribute(life), by_day=True)
    head, first, second = shown.splitlines()[-3:]
    assert head.split() == list(render.DAY_HEADS)
    assert first.startswith("2024-03-01")
    assert second.startswith("2024-03-02")


def test_digits_are_never_cut(life: list[Row]) -> None:
    made = attribute(life)
    big = D("123456789012345678901234567890123.45")
    object_ = {name: getattr(made, name) for name in made.__struct_fields__}
    shown = render.text(type(made)(**{**object_, "funding": big}))
    assert "+123456789012345678901234567890123.45" in shown


@pytest.mark.parametrize(
    "values",
    [
        ["0.004", "0.004", "0.004"],
        ["-0.005", "0.005", "1.005"],
        ["0.006", "0.006", "-0.0049", "0.006"],
        ["0", "0"],
    ],
)
def test_shown_lines_add_up_to_the_shown_sum(values: list[str]) -> None:
    exact = [D(one) for one in values]
    shown = render.rounded(exact, 2)
    assert sum(shown) == sum(exact, D(0)).quantize(D("0.01"))
    assert all(abs(one - was) < D("0.01") for one, was in zip(shown, exact, strict=True))


def test_a_tiny_rest_is_still_said(life: list[Row]) -> None:
    made = attribute(life)
    parts = {name: getattr(made, name) for name in made.__struct_fields__}
    shown = render.text(type(made)(**{**parts, "unexplained": D("0.0000001")}))
    assert "ok (limit 0.50), exactly 0.0000001" in shown


def test_unmeasured_says_why(life: list[Row]) -> None:
    shown = render.text(attribute(life[:-1]))
    assert "venue equity change       -      not measured: 1 measurement of both" in shown


def test_json_has_money_as_strings(life: list[Row]) -> None:
    made = attribute(life)
    document = json.loads(render.envelope(render.SCHEMA, 5 * SECOND, render.as_data(made)))
    assert document["schema"] == "hedge.report/1"
    assert document["at"] == "1970-01-01T00:00:05Z"
    data = document["data"]
    assert (data["unexplained"], data["explained"], data["limit"]) == ("0", "61", "0.5")
    assert data["begins_at"] == "2024-03-01T08:00:00Z"
    assert data["details"]["fee_coins"] == [{"asset": "BNB", "amount": "0.01", "value": "4.01"}]

    def no_numbers(value: object) -> None:
        assert not isinstance(value, float)
        if isinstance(value, dict | list):
            for one in value.values() if isinstance(value, dict) else value:
                no_numbers(one)

    no_numbers(document)


def test_csv(life: list[Row]) -> None:
    made = attribute(life)
    table = list(csv.DictReader(io.StringIO(render.csv_text(made))))
    found = {row["line"]: row["value"] for row in table}
    assert found["fees"] == "-6.01"
    assert found["unexplained"] == "0"
    days = list(csv.DictReader(io.StringIO(render.csv_text(made, by_day=True))))
    assert [row["day"] for row in days] == ["2024-03-01", "2024-03-02"]


def test_the_page_needs_nothing_else(life: list[Row]) -> None:
    page = html(attribute(life))
    assert page.startswith("<!doctype html>")
    assert "http" not in page
    assert "<script" not in page
    assert "+61.00" in page


NOW = 1_709_280_000 * SECOND


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2024-03-01", NOW - 8 * HOUR),
        ("2024-03-01T08:00:00Z", NOW),
        ("2024-03-01 09:00+01:00", NOW),
        ("08:00", NOW),
        ("8:00", NOW),
        ("7d", NOW - 7 * DAY),
    ],
)
def test_times(text: str, at: int) -> None:
    assert parse_when(text, NOW) == at


def test_no_time_is_refused() -> None:
    with pytest.raises(UsageError, match="yesterday"):
        parse_when("yesterday", NOW)
    assert when(NOW + 1_500_000) == "2024-03-01 08:00:00.001"
    assert stamp(NOW + 1_500_000) == "2024-03-01T08:00:00.0015Z"
