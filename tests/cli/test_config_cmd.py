"""Goal: ``hedge config`` shows each value with its source, and never a secret.

Method: the command in the process, in a directory with real files.
"""

import json
from pathlib import Path

import pytest

from hedge.cli.group import run_line
from hedge.cli.output import coloured, envelope, jsonable

TEXT = """
[accounts.carry]
venue = "sim"
[hedges.btc]
spot = "sim"
futures = "sim@carry"
symbol = "BTC/USDT"
usd = 10000.50
[hedges.eth]
spot = "sim"
futures = "sim"
symbol = "ETH/USDT"
usd = 1
"""
MARK = "s3cr3t-marker"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hedge.toml").write_text(TEXT)
    (tmp_path / "hedge.toml").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/hedge")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/hedge")
    return tmp_path


def test_show_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["config", "show", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "hedge.config/1"
    assert document["at"].endswith("Z")
    rows = {row["name"]: (row["value"], row["source"]) for row in document["data"]}
    assert rows["hedges.btc.usd"] == ("10000.5", str(folder / "hedge.toml"))
    assert rows["hedges.btc.hedge_ratio"] == ("1", "default")
    assert rows["run.tick_ms"] == (1000, "default")


def test_show_one_hedge_with_what_add_would_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder
    assert run_line(["config", "show", "btc", "--add", '{"action": "single"}']) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("hedges.btc.action ")]
    assert line.split() == ["hedges.btc.action", "single", "--add"]
    assert "hedges.eth" not in out


def test_show_masks_secrets(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder
    monkeypatch.setenv("HEDGE__ACCOUNTS__CARRY__API_KEY", MARK)
    monkeypatch.setenv("HEDGE__VENUES__SIM__API_SECRET", MARK)
    for line in (["config", "show"], ["config", "show", "--json"]):
        assert run_line(line) == 0
        captured = capsys.readouterr()
        assert MARK not in captured.out + captured.err
        assert "**********" in captured.out
        assert captured.err.count("warning") == 2


def test_path_and_schema(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["config", "path", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == {
        "config": str(folder / "hedge.toml"), "state": "/var/lib/hedge", "runtime": "/run/hedge",
    }  # fmt: skip
    assert run_line(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "hedge.toml"


def test_the_envelope_holds_no_float() -> None:
    assert envelope("hedge.x/1", {"a": [1, None, True]})["data"] == {"a": [1, None, True]}
    with pytest.raises(TypeError, match="float"):
        jsonable({"a": 1.5})


def test_colour_only_on_a_terminal_that_wants_it(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        assert not coloured(file, {})
