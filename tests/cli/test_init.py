"""Goal: ``hedge init`` writes a private, valid, commented file, and never over another one.

Method: the command in the process, in an empty directory; what it wrote is resolved again.
"""

import stat
from pathlib import Path

import pytest

from hedge.cli.group import run_line
from hedge.cli.init import render
from hedge.config import resolve
from hedge.errors import SafetyRefusal, UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_writes_a_private_file_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["init", "--spot", "binance", "--futures", "bybit@carry", "--symbol", "ETH/USDT"]
    assert run_line(line) == 0
    captured = capsys.readouterr()
    assert captured.out == "hedge.toml\n"
    assert "0600" in captured.err and "NAME" not in captured.err
    for name in ("binance", "carry"):
        assert f"accounts__{name}__api_key, accounts__{name}__api_secret" in captured.err
    path = tmp_path / "hedge.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    resolved = resolve(environ={}, cwd=tmp_path)
    assert resolved.names == ("eth",)
    accounts = {name: one.venue for name, one in resolved.settings.accounts.items()}
    assert accounts == {"binance": "binance", "carry": "bybit"}


def test_the_simulated_venue_is_not_asked_for_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["init"]) == 0
    assert "secrets" not in capsys.readouterr().err
    assert "[accounts" not in Path("hedge.toml").read_text()


@pytest.mark.parametrize(
    ("venue", "account", "keys"),
    [
        ("ccxt:okx", "okx", "api_key api_secret passphrase"),
        ("ccxt:kucoin@carry", "carry", "api_key api_secret passphrase"),
        ("ccxt:gate", "gate", "api_key api_secret"),
        ("ccxt:hyperliquid", "hyperliquid", "private_key"),
        ("acme", "acme", "api_key api_secret"),
    ],
)
def test_the_keys_are_those_that_the_venue_asks_for(
    capsys: pytest.CaptureFixture[str], venue: str, account: str, keys: str
) -> None:
    """As its plugin says it; of one that is not there nobody knows better than the usual two."""
    assert run_line(["init", "--spot", venue]) == 0
    files = [f"accounts__{account}__{key}" for key in keys.split()]
    assert f"beside it: {', '.join(files)}\n" in capsys.readouterr().err
    head = Path("hedge.toml").read_text().partition(f"[accounts.{account}]")[2].splitlines()[0]
    assert files[0] in head and all(f"_{key}" in head for key in keys.split())


def test_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "hedge.toml").write_text("mine")
    with pytest.raises(SafetyRefusal, match="is not overwritten"):
        run_line(["init"])
    assert (tmp_path / "hedge.toml").read_text() == "mine"
    (tmp_path / "link.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SafetyRefusal, match="is not overwritten"):
        run_line(["init", "--path", "link.toml"])
    with pytest.raises(SafetyRefusal, match="cannot be written"):
        run_line(["init", "--path", "none/hedge.toml"])


@pytest.mark.parametrize("flag", ["--spot", "--futures", "--symbol", "--usd"])
def test_what_could_break_out_of_the_file_is_refused(tmp_path: Path, flag: str) -> None:
    with pytest.raises(UsageError):
        run_line(["init", flag, 'x"\n[plugins]'])
    assert not (tmp_path / "hedge.toml").exists()


def test_there_is_no_way_to_give_a_secret() -> None:
    with pytest.raises(UsageError, match="No such option: --api-key"):
        run_line(["init", "--api-key", "x"])


def test_the_example_is_what_init_writes() -> None:
    text = render(spot="binance", futures="bybit@carry", symbol="BTC/USDT", usd="10000")
    assert (ROOT / "config" / "hedge.example.toml").read_text() == text
