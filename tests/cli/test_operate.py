"""Goal: what a person types reaches the engine once, and nothing destructive goes unconfirmed.

Method: the real command line against a real status API in a thread, a fake engine behind it.
"""

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from api_port import AT, FakePort, in_a_thread

from hedge.cli.main import main
from hedge.cli.operate import unwind
from hedge.decide.events import Verb
from hedge.errors import SafetyRefusal
from hedge.runtime.client import Client
from hedge.runtime.snapshot import AlarmView, HedgeSnapshot, OrderView

ORDER = OrderView(
    client_order_id="H-1-S-3",
    leg="spot",
    side="buy",
    quantity=Decimal(1),
    limit_price=Decimal(1),
    filled=Decimal(0),
    status="doubtful",
    placed_at=AT,
)


def shot(name: str, **more: Any) -> HedgeSnapshot:
    return HedgeSnapshot(
        name=name, at=AT, symbol="S", spot_venue="a", futures_venue="b",
        unwind_slip_bps=Decimal(3), **more,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("stop", {"verb": Verb.STOP}),
        ("stop btc --request-id r-7", {"verb": Verb.STOP, "request_id": "r-7"}),
        ("pause btc", {"verb": Verb.PAUSE}),
        ("resume", {"verb": Verb.RESUME}),
        ("scale btc --usd 20000", {"verb": Verb.SCALE, "usd": Decimal(20000)}),
        ("scale --usd 20000", {"verb": Verb.SCALE, "usd": Decimal(20000)}),
        ("adopt 0.15", {"verb": Verb.ADOPT, "quantity": Decimal("0.15")}),
        ("adopt btc 0.15", {"verb": Verb.ADOPT, "quantity": Decimal("0.15")}),
        ("clear btc CLOCK_OFFSET", {"verb": Verb.CLEAR, "subject": "CLOCK_OFFSET"}),
        ("ack DELTA", {"verb": Verb.ACK, "subject": "DELTA"}),
        ("ack btc DELTA", {"verb": Verb.ACK, "subject": "DELTA"}),
        ("resolve H-1-S-3 --filled 0", {"verb": Verb.RESOLVE, "quantity": Decimal(0)}),
        ("resolve X --filled 0 --hedge btc", {"verb": Verb.RESOLVE, "subject": "X"}),
        ("liquidate btc --yes", {"verb": Verb.LIQUIDATE}),
        ("liquidate --yes --max-slip-bps 3", {"verb": Verb.LIQUIDATE}),
    ],
)
def test_a_line_becomes_one_command(
    state: Path, capsys: pytest.CaptureFixture[str], line: str, asked: dict[str, Any]
) -> None:
    port = FakePort(shot("btc", orders=(ORDER,)))
    with in_a_thread(state, port):
        assert main(line.split()) == 0
    assert len(port.asked) == 1
    assert {"hedge": "btc", **asked}.items() <= port.asked[0].items()
    assert capsys.readouterr().out == f"btc: {asked['verb'].value} it is\n"


def test_ack_all_acknowledges_each_open_alarm(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alarms = tuple(
        AlarmView(key=key, level="alarm", text="t", raised_at=AT, acknowledged=key == "OLD")
        for key in ("DELTA", "OLD", "CLOCK")
    )
    port = FakePort(shot("btc", alarms=alarms))
    with in_a_thread(state, port):
        assert main(["ack", "btc", "--all", "--request-id", "r"]) == 0
    asked = [(one["subject"], one["request_id"]) for one in port.asked]
    assert asked == [("DELTA", "r-1"), ("CLOCK", "r-2")]
    assert "acknowledged CLOCK" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("scale btc", 2, "--usd"),
        ("scale btc --usd NaN", 2, "finite"),
        ("scale btc --usd -5", 2, "not negative"),
        ("adopt btc zero", 2, "not a number"),
        ("adopt", 2, "Missing argument"),
        ("ack", 2, "KEY"),
        ("ack btc K --all", 2, "not both"),
        ("resolve X", 2, "--filled"),
        ("resolve X --filled 1", 2, "--hedge"),
        ("resolve X --filled 1 --hedge btc", 5, "settled by its fills"),
        ("stop", 2, "btc, eth"),
        ("stop bct", 10, "did you mean 'btc'"),
        ("liquidate btc", 5, "--yes"),
        ("liquidate btc --yes --max-slip-bps 2", 5, "SLIP_ABOVE_MAX"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    state: Path, capsys: pytest.CaptureFixture[str], line: str, code: int, said: str
) -> None:
    port = FakePort(shot("btc"), shot("eth"))
    with in_a_thread(state, port):
        assert main(line.split()) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert port.asked == []


@pytest.mark.parametrize(
    "line", ["stop", "stop btc", "ack --all", "resolve X --filled 1", "liquidate btc --yes"]
)
def test_without_an_engine_it_is_10_with_what_to_do(
    capsys: pytest.CaptureFixture[str], line: str
) -> None:
    assert main(line.split()) == 10
    assert "hedge run" in capsys.readouterr().err


def test_a_person_types_the_code_or_nothing_happens(state: Path) -> None:
    port = FakePort(shot("btc", inventory=Decimal(2), spot_mid=Decimal(10)))
    prompts: list[str] = []

    def right(prompt: str) -> str:
        prompts.append(prompt)
        return prompt.split()[1] + "\n"

    with in_a_thread(state, port) as path:
        shown = io.StringIO()
        options: dict[str, Any] = {"request_id": "r", "max_slip_bps": None, "out": shown}
        for wrong in ("", "y\n", "000\n"):
            with pytest.raises(SafetyRefusal, match="not confirmed"):
                unwind(Client(path), "btc", reader=lambda _, said=wrong: said, **options)
        assert port.asked == []
        unwind(Client(path), "btc", reader=right, **options)
    assert [one["verb"] for one in port.asked] == [Verb.LIQUIDATE]
    assert "   inventory  2" in shown.getvalue()
    assert "    notional  unknown" in shown.getvalue()
    assert "liquidate btc" in prompts[0]
