"""Goal: status says what is, and where it knows it from. Method: a real API, real journals."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from api_port import AT, FakePort, in_a_thread

from hedge.cli import status as command
from hedge.cli import view
from hedge.cli.main import main
from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trigger
from hedge.decide.terms import Action, HedgeTerms, LegTerms
from hedge.journal.log import JournalLog
from hedge.model import Fill, FillKind, FundingPayment, Instrument, InstrumentKind, Leg, Side
from hedge.runtime import client
from hedge.runtime.snapshot import AlarmView, HedgeSnapshot

ALARM = AlarmView(key="DELTA", level="alarm", text="open", raised_at=AT)


def shot(name: str, **more: Any) -> HedgeSnapshot:
    books = {"inventory": Decimal("0.15"), "position": Decimal("-0.15"), "delta": Decimal(0)}
    return HedgeSnapshot(
        name=name, at=AT, symbol="BTC/USDT", spot_venue="a", futures_venue="b", **books | more
    )


@contextmanager
def engine(state: Path, *shots: HedgeSnapshot, gone: str = "") -> Iterator[None]:
    """Run an engine that is only looked at; ``gone`` could not begin beside the others."""
    port = FakePort(*shots)
    if gone:
        port.gone[gone] = "not started: waits for its venues"
    with in_a_thread(state, port):
        yield
    assert port.asked == []


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return tmp_path


def leg(kind: InstrumentKind, symbol: str) -> LegTerms:
    one = Decimal("0.01")
    return LegTerms(
        instrument=Instrument(
            venue="sim", symbol=symbol, kind=kind, base="BTC", quote="USDT", tick=one, lot=one
        )
    )


def fill(which: Leg, side: Side, number: int, fee_asset: str) -> e.FillSeen:
    return e.FillSeen(
        at=AT,
        fill=Fill(
            leg=which,
            symbol="BTC",
            fill_id=str(number),
            client_order_id=f"H0001{which.value[0].upper()}{number:06}",
            side=side,
            quantity=Decimal("0.15"),
            price=Decimal(60000),
            fee=Decimal("0.001"),
            fee_asset=fee_asset,
        ),
    )


def journal(state: Path, name: str, *more: Any) -> None:
    terms = HedgeTerms(
        name=name,
        prefix="H",
        spot=leg(InstrumentKind.SPOT, "BTC/USDT"),
        futures=leg(InstrumentKind.PERPETUAL, "BTC/USDT:USDT"),
        usd=Decimal(10000),
    )
    paid = FundingPayment(
        payment_id="1",
        symbol="S",
        rate=Decimal("0.0001"),
        interval_s=28800,
        quantity=Decimal("-0.15"),
        cash=Decimal("0.96"),
        asset="USDT",
        settled_at=AT,
    )
    log = JournalLog.open(state / name, hedge=name, at=AT)
    log.append(
        AT,
        [
            e.EngineStarted(at=AT, boot_id="b", epoch=1, terms=terms),
            c.OpenRun(run_id=1, action=Action.DEFAULT, request_id="r"),
            c.ChangeMode(mode=Mode.INVENTORY, trigger=Trigger.BUILD),
            fill(Leg.SPOT, Side.BUY, 1, "BTC"),
            fill(Leg.SPOT, Side.BUY, 1, "BTC"),
            fill(Leg.FUTURES, Side.SELL, 2, "USDT"),
            e.FundingPaid(at=AT, payment=paid),
            c.SetTrip(reason="CLOCK_OFFSET", level=1, text="3 s"),
            c.RaiseAlarm(key="DELTA", level="alarm", text="open"),
            *more,
        ],
    )
    log.close()


def ask(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, str, str]:
    code = main(["status", *line])
    said = capsys.readouterr()
    return code, said.out, said.err


# -- an engine runs ------------------------------------------------------------------------------


def test_a_healthy_engine_is_0_and_its_own_picture(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(state, shot("btc"), shot("eth")):
        code, out, _ = ask(capsys, "--json")
        one = json.loads(ask(capsys, "eth", "--json")[1])
        text = ask(capsys)[1]
        quiet = ask(capsys, "--quiet")
    shown = json.loads(out)
    assert (code, shown["schema"]) == (0, "hedge.status/1")
    data = shown["data"]
    assert (data["source"], data["pid"], data["started_at"]) == ("engine", os.getpid(), AT)
    assert [hedge["name"] for hedge in data["hedges"]] == ["btc", "eth"]
    assert data["hedges"][0]["inventory"] == "0.15"
    assert data["hedges"][0]["degraded"] == []
    assert [hedge["name"] for hedge in one["data"]["hedges"]] == ["eth"]
    assert "spot 0.15  futures -0.15  delta 0" in text
    assert quiet == (0, "", "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"alarms": (ALARM,)},
        {"trip": "FREEZE_SPOT"},
        {"delta": Decimal("0.1"), "tolerance": Decimal("0.01")},
        {"futures_stream_age_ms": 90_000},
        {"position": None},
    ],
)
def test_a_degraded_engine_is_11_and_says_why(
    state: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any]
) -> None:
    with engine(state, shot("btc", **wrong)):
        code, out, _ = ask(capsys)
        assert ask(capsys, "--quiet")[0] == 11
    assert code == 11
    assert "  ! " in out


def test_a_hedge_that_does_not_run_beside_one_that_does(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal(state, "eth")
    with engine(state, shot("btc")):
        code, out, err = ask(capsys)
        idle = ask(capsys, "eth")
    assert (code, "not running: eth" in err, "eth" in out) == (0, True, False)
    assert idle[0] == 10
    assert "source journal" in idle[1]


def test_an_engine_that_does_not_answer_is_degraded_and_the_journal_speaks(
    state: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    journal(state, "btc")
    # a live pid, and a directory where the socket should be: connecting fails, not "refused"
    client.write_index(state, client.Entry("btc", os.getpid(), "x" * 200, AT))
    code, out, _ = ask(capsys, "--json")
    hedge = json.loads(out)["data"]["hedges"][0]
    assert code == 11
    assert (hedge["source"], hedge["inventory"]) == ("journal", "0.149")
    assert "gives no usable answer" in hedge["degraded"][0]


# -- none runs -----------------------------------------------------------------------------------


def test_without_an_engine_it_is_the_journal_and_10(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal(state, "btc", c.SetPaused(paused=True))
    code, out, err = ask(capsys, "--json")
    hedge = json.loads(out)["data"]["hedges"][0]
    assert (code, err) == (10, "")
    assert hedge["source"] == "journal"
    assert hedge["age_s"] > 0
    assert (hedge["inventory"], hedge["position"]) == ("0.149", "-0.15")
    assert (hedge["mode"], hedge["action"], hedge["paused"]) == ("INVENTORY", "default", True)
    assert (hedge["trip"], hedge["funding_received"]) == ("FREEZE_SPOT", "0.96")
    assert [alarm["key"] for alarm in hedge["alarms"]] == ["DELTA"]
    assert hedge["phase"] == "not running"


def test_the_journal_counts_only_what_is_the_hedges(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = fill(Leg.SPOT, Side.BUY, 3, "USDT")
    strangers = msgspec.structs.replace(mine.fill, client_order_id="by-hand", venue_order_id="9")
    odd = msgspec.structs.replace(fill(Leg.SPOT, Side.BUY, 4, "USDT").fill, kind=FillKind.UNKNOWN)
    journal(state, "btc", *(e.FillSeen(at=AT, fill=one) for one in (strangers, odd)))
    _, out, _ = ask(capsys, "--json")
    hedge = json.loads(out)["data"]["hedges"][0]
    assert (hedge["inventory"], hedge["position"]) == ("0.149", "-0.15")


def test_the_journal_for_a_person(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal(state, "btc", c.EndRun(exit_code=7, reason="STOPPED"))
    code, out, err = ask(capsys, "btc")
    assert code == 10
    assert "no engine runs 'btc'; this is the journal's picture" in err
    assert "btc: source journal, last row" in out
    assert "ended: STOPPED (exit 7)" in out
    assert "! alarm DELTA: open" in out
    assert "end STOPPED (exit 7)" in out


@pytest.mark.parametrize("line", [(), ("btc",), ("--json",), ("btc", "--quiet")])
def test_nothing_at_all_is_10_too(
    capsys: pytest.CaptureFixture[str], line: tuple[str, ...]
) -> None:
    assert ask(capsys, *line)[0] == 10


def test_a_corrupt_journal_is_said_and_the_others_are_shown(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal(state, "btc")
    journal(state, "eth")
    (state / "eth" / "journal.log").write_bytes(b"nonsense\n" * 9)
    code, out, _ = ask(capsys, "--json")
    btc, eth = json.loads(out)["data"]["hedges"]
    assert code == 10
    assert btc["inventory"] == "0.149"
    assert "journal" in eth["degraded"][0]


def test_a_name_that_the_configuration_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hedge.toml"
    file.write_text("[hedges.btc]\n")
    code, _, err = ask(capsys, "btx", "--config", str(file))
    assert (code, "did you mean 'btc'" in err) == (3, True)
    assert ask(capsys, "btc", "--config", str(file))[0] == 10
    assert ask(capsys, "btc", "--config", str(tmp_path / "none"))[0] == 3


# -- watching, width, colour, speed --------------------------------------------------------------


def test_watching_is_ndjson_and_ends_with_the_engine(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = []
    with engine(state, shot("btc")):
        pictures += [command.look(None, state)] * 2
    pictures.append(command.look(None, state))
    coming = iter(pictures)
    pauses: list[int] = []
    code = command._watch(lambda: next(coming), as_json=True, pause=pauses.append)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["data"]["source"] for line in lines] == ["engine", "engine", "journal"]
    assert (code, pauses) == (10, [2, 2])


def test_an_interrupted_watch_is_no_error(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_seconds: int) -> None:
        raise KeyboardInterrupt

    with engine(state, shot("btc")):
        picture = command.look(None, state)
    assert command._watch(lambda: picture, as_json=False, pause=interrupt) == 0
    assert "btc  HALT" in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_red_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hedge = {"name": "btc", "trip": "LOCKED", "inventory": "1", "position": "-1"}
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    red, grey, pipe = Terminal(), Terminal(), io.StringIO()
    view.show([hedge], red)
    monkeypatch.setenv("NO_COLOR", "1")
    view.show([hedge], grey)
    view.show([hedge], pipe)
    assert "\x1b[1;31m  ! trip level LOCKED" in red.getvalue()
    assert "\x1b" not in grey.getvalue() + pipe.getvalue()


def test_status_of_a_running_engine_imports_nothing_heavy(state: Path) -> None:
    code = (
        "import sys; from hedge.cli.main import main; code = main(['status', '--json']);"
        "print(' '.join(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    with engine(state, shot("btc")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert done.returncode == 0
    heavy = {"pydantic", "rich", "msgspec", "starlette", "structlog", "sqlite3", "platformdirs"}
    assert heavy & set(done.stderr.split()) == set()


def test_a_hedge_that_could_not_begin_beside_others_is_not_healthy(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(state, shot("btc"), gone="eth"):
        assert main(["status"]) == command.DEGRADED
        assert "not started: waits for its venues" in capsys.readouterr().out
        assert main(["status", "btc"]) == 0
        capsys.readouterr()
        assert main(["status", "eth"]) == command.DEGRADED
        assert "not started: waits for its venues" in capsys.readouterr().out
