"""Goal: for each order the reason, the sight and the outcome, from the journal and nothing else.

Method: the short life of conftest, asked by time and by id; then both commands over a real log.
"""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hedge.decide.rows import Row
from hedge.errors import UsageError
from hedge.journal.log import JournalLog
from hedge.model import Leg, Side
from hedge.report.explain import as_data, explain, text
from hedge.report.find import journal_of

FIRST = """\
2024-03-01 08:00:01  BUY 10 on the spot leg at 100.5 or better, ioc: to build (HB0001S000002)
  because   funding settled 0.0002 per 28800 s (row 4)
  in        mode INVENTORY; spot target none
  books     inventory 0, position 0, together 0
  saw       spot 99.5 / 100.5, 120 ms old; futures 100.5 / 101.5, 0 ms old
  +1.000 s  the spot leg bought 10 at 99.9, taker, fee 0.01 BNB
  outcome   filled 10 of 10 at 99.9 on average
"""


def test_an_order_in_plain_sentences(life: list[Row]) -> None:
    assert text(explain(life, "HB0001S000002")) == FIRST


def test_by_time(life: list[Row]) -> None:
    names = [story.client_order_id for story in explain(life, "2024-03-01 08:00:30")]
    assert names == ["HB0001S000002", "HB0001F000004"]
    near = [story.leg for story in explain(life, "2024-03-01 12:00")]
    assert near == ["futures", "spot"]


def test_an_order_led_to_by_a_quote_says_so(journal, life: list[Row]) -> None:
    (story,) = explain(life, "HB0001F00000C")
    assert story.cause.startswith("the spot leg sold")
    journal.go(9)
    name = journal.order(Leg.SPOT, Side.BUY, "1", "9")
    assert explain(journal.rows, name)[0].cause == "a price or a timer"


def test_data_has_no_floats(life: list[Row]) -> None:
    data = as_data(explain(life, "HB0001S000002")[0])
    assert data["quantity"] == "10"
    assert data["mean_price"] == "99.9"
    assert data["steps"][0]["at"] == "2024-03-01T08:00:02Z"


def test_neither_a_time_nor_an_order(life: list[Row]) -> None:
    with pytest.raises(UsageError, match="no time"):
        explain(life, "HB9999")


# -- the commands --------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path, life: list[Row]) -> Path:
    opened = JournalLog.open(tmp_path / "btc", hedge="btc", at=life[0].at)
    for row in life:
        opened.append(row.at, [row.entry], row.spot_mid, row.futures_mid)
    opened.close()
    return tmp_path


def app() -> typer.Typer:
    from hedge.cli.explain import explain as explain_command
    from hedge.cli.report import report as report_command

    made = typer.Typer()
    made.command("report")(report_command)
    made.command("explain")(explain_command)
    return made


def test_report_command(state: Path) -> None:
    run = CliRunner().invoke(app(), ["report", "--state-dir", str(state), "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["data"]["unexplained"] == "0"
    page = state / "page.html"
    run = CliRunner().invoke(
        app(), ["report", "btc", "--by", "day", "--html", str(page), "--state-dir", str(state)]
    )
    assert "unexplained            0.00" in run.stdout
    assert page.read_text().startswith("<!doctype html>")


def test_explain_command(state: Path) -> None:
    words = ["explain", "btc", "HB0001S000002", "--state-dir", str(state)]
    assert CliRunner().invoke(app(), words).stdout == FIRST
    document = json.loads(CliRunner().invoke(app(), [*words, "--json"]).stdout)
    assert document["schema"] == "hedge.explain/1"


def test_an_unknown_name_names_the_nearest(state: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nearest is 'btc'"):
        journal_of(state, "bct")
    with pytest.raises(UsageError, match="no hedge has run"):
        journal_of(tmp_path / "none", None)
    (state / "eth").mkdir()
    (state / "eth" / "journal.log").touch()
    with pytest.raises(UsageError, match="btc, eth"):
        journal_of(state, None)
