"""Goal: a third party's venue hedges like a bundled one: entered, paid, and unwound.

Method: the example as a separate distribution on the path, its fake exchange and the installed
``hedge`` as processes of their own; the spot leg is the simulated venue on a flat recording.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench import install

from hedge.journal import read_rows

HEDGE = str(Path(sys.executable).parent / "hedge")
LIFE_S = 90
BEGIN_MS = 1_704_067_200_000


def write_market(folder: Path) -> None:
    """Write a recording of five minutes in which the price stays where it is."""
    folder.mkdir()
    for name in ("spot", "perp"):
        rows = [f"{BEGIN_MS + number * 20_000},60000,60006,59994,60000,40" for number in range(60)]
        text = "\n".join(["ts_ms,open,high,low,close,volume", *rows])
        (folder / f"BTC-USDT.{name}.csv").write_text(text + "\n")
    rates = [f"{BEGIN_MS + at * 3_600_000},0.0001,1" for at in range(-1, 1)]
    (folder / "BTC-USDT.funding.csv").write_text(
        "\n".join(["ts_ms,rate,interval_h", *rates]) + "\n"
    )


def configure(folder: Path, url: str) -> Path:
    path = folder / "hedge.toml"
    path.write_text(f"""
[run]
tick_ms = 200
stop_timeout_s = 10
[plugins]
allow = ["hedge-toy==1.0.0"]
[venues.sim]
data = "{folder / "data"}"
balances = {{ USDT = "20000" }}
step_ms = 100
heartbeat_s = 1
quote_linger_s = 300
[venues.toy]
environment = "local"
url = "{url}"
[accounts.toybox]
venue = "toy"
[hedges.toyed]
spot = "sim"
futures = "toy@toybox"
symbol = "BTC/USDT"
usd = "600"
action = "single"
[hedges.toyed.funding]
exit_confirmations = 2
settlement_guard_s = 0
stale_s = 30
[hedges.toyed.execution]
requote_s = 1
patience_s = 1
settle_s = 1
cross_bps_max = "20"
entry_basis_bps_min = "-40"
""")
    path.chmod(0o600)
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700)
    for name, value in (("api_key", "toy-key-4711"), ("api_secret", "toy-secret-0815")):
        file = secrets / f"accounts__toybox__{name}"
        file.write_text(value)
        file.chmod(0o600)
    return path


@pytest.fixture
def site(tmp_path):
    return install(tmp_path / "site")


@pytest.fixture
def exchange(site):
    process = subprocess.Popen(
        [
            sys.executable, "-m", "hedge_toy.testing.exchange", "--for-s", str(LIFE_S),
            "--every-s", "3", "--rate", "0.0001", "--flips-after-s", "12",
        ],
        env={**os.environ, "PYTHONPATH": str(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def run(words: list[str], site: Path) -> subprocess.CompletedProcess[str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return subprocess.run(
        [HEDGE, *words],
        env={**kept, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=LIFE_S,
        check=False,
    )


def test_a_hedge_on_a_third_party_s_venue(tmp_path, site, exchange):
    write_market(tmp_path / "data")
    config, state = configure(tmp_path, exchange), tmp_path / "s"
    words = [
        "run", "toyed", "--config", str(config), "--state-dir", str(state), "--enter", "now",
        "--no-view",
    ]  # fmt: skip
    done = run(words, site)
    assert done.returncode == 0, done.stdout + done.stderr
    journal = (state / "toyed" / "journal.log").read_text()
    assert journal.count("FundingPayment") or journal.count("FundingPaid"), "it was paid"
    rows = list(read_rows(state / "toyed" / "journal.log"))
    assert len(rows) > 50
    assert "hedge-toy 1.0.0" in journal, "which plugin served which role is journalled"
    assert "toy-secret-0815" not in journal + done.stdout + done.stderr


def test_it_is_not_loaded_unless_it_is_allowed(tmp_path, site):
    words = ["run", "--spot", "sim", "--futures", "toy", "--symbol", "BTC/USDT", "--usd", "600"]
    done = run([*words, "--state-dir", str(tmp_path / "s"), "--no-view"], site)
    assert done.returncode == 9, done.stdout + done.stderr
    assert "plugin toy (hedge-toy 1.0.0) is not allowed" in done.stderr
    assert "to trust it: hedge plugins allow toy" in done.stderr
