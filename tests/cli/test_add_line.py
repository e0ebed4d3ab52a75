"""Goal: a start line becomes one checked plan, and nothing live starts unasked.

Method: `make_plan` over real files and the installed plugins, and a real third-party package whose
venue is live; the environment and the directory are passed in.
"""

import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hedge.cli.wire import Line, make_plan
from hedge.config import RunPlan
from hedge.decide.terms import Action
from hedge.errors import ConfigError, PluginError, SafetyRefusal, UsageError

SHORT: dict[str, Any] = {"spot": "sim", "futures": "sim", "symbol": "BTC/USDT", "usd": "10000"}
LIVE = """
from hedge.hookspecs import hookimpl
from hedge.roles import LegKind, VenueSpec
from pydantic import BaseModel

class Settings(BaseModel):
    seed: int = 1

@hookimpl
def hedge_venues():
    return [VenueSpec(name="acme", legs=LegKind.SPOT | LegKind.FUTURES, settings=Settings)]
"""


def plan(folder: Path, environ: dict[str, str] | None = None, **line: Any) -> RunPlan:
    given = Line(**{"state_dir": folder / "state", **line})
    return make_plan(given, environ or {}, folder)


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Install a venue that is live by default; return the environment that allows it."""
    site = tmp_path / "site"
    info = site / "hedge_acme-1.2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hedge-acme\nVersion: 1.2.0\n")
    (info / "entry_points.txt").write_text("[hedge]\nacme = hedge_made_acme\n")
    (site / "hedge_made_acme.py").write_text(LIVE)
    monkeypatch.syspath_prepend(str(site))
    yield {"HEDGE__PLUGINS__ALLOW": "hedge-acme==1.2.0"}
    sys.modules.pop("hedge_made_acme", None)


def test_the_short_line(tmp_path: Path) -> None:
    environ = {"HEDGE__RUN__SPEED": "max"}
    made = plan(tmp_path, environ, **SHORT, add=('{"action": "single"}',), log_json=True)
    assert made.names == ("btc-usdt-sim-sim",)
    assert made.action(made.names[0]) is Action.SINGLE
    assert (made.speed, made.log_json, made.live) == ("max", True, False)
    assert made.environments == {"sim": "local"}
    assert made.sources(made.names[0])["action"] == "--add"
    assert made.state_dir == made.runtime_dir == tmp_path / "state"
    assert made.state_dir.stat().st_mode & 0o777 == 0o700


def test_the_same_line_is_the_same_request(tmp_path: Path) -> None:
    one = plan(tmp_path, **SHORT, add=('{"action": "single", "usd": 5}',))
    same = plan(
        tmp_path, **SHORT, add=('{ "usd":5,"action":"single"}',), no_view=True, again=True,
        log_json=True, sim_reset=True,
    )  # fmt: skip
    other = plan(tmp_path, **SHORT, add=('{"action": "scale", "usd": 5}',))
    assert one.request_id == same.request_id != other.request_id
    assert plan(tmp_path, **SHORT, enter_now=True).request_id != plan(tmp_path, **SHORT).request_id
    assert plan(tmp_path, **SHORT, request_id="mine").request_id == "mine"


def test_flags_of_the_plan(tmp_path: Path) -> None:
    made = plan(
        tmp_path, **SHORT, adopt="0.5", enter_now=True, again=True, record=Path("r"), dry_run=True
    )
    assert (made.adopt, made.enter_now, made.again, made.record, made.dry_run) == (
        Decimal("0.5"), True, True, Path("r"), True,
    )  # fmt: skip


def test_a_live_venue_needs_the_flag(tmp_path: Path, acme: dict[str, str]) -> None:
    line = {**SHORT, "spot": "acme"}
    with pytest.raises(SafetyRefusal, match=r"acme is live.*--live") as caught:
        plan(tmp_path, acme, **line)
    assert caught.value.exit_code == 5
    assert plan(tmp_path, acme, **line, live=True).live
    for environment in ("testnet", "demo", "local"):
        quiet = {**acme, "HEDGE__VENUES__ACME__ENVIRONMENT": environment}
        assert not plan(tmp_path, quiet, **line).live
    made = plan(tmp_path, acme, **line, testnet=True)
    assert (made.live, dict(made.environments)) == (False, {"acme": "testnet", "sim": "local"})


@pytest.mark.parametrize(
    ("answer", "live"), [("y\n", True), ("yes\n", True), ("\n", False), ("no\n", False)]
)
def test_a_person_may_confirm_the_preview(
    tmp_path: Path, acme: dict[str, str], monkeypatch: pytest.MonkeyPatch, answer: str, live: bool
) -> None:
    keyboard, terminal = os.openpty()
    os.write(keyboard, answer.encode())
    with (
        os.fdopen(os.dup(terminal)) as typed,
        os.fdopen(terminal, "w") as screen,
        os.fdopen(keyboard, "rb", buffering=0) as seen,
        monkeypatch.context() as patch,
    ):
        patch.setattr(sys, "stdin", typed)
        patch.setattr(sys, "stderr", screen)
        line = {**SHORT, "spot": "acme"}
        if live:
            assert plan(tmp_path, acme, **line).live
        else:
            with pytest.raises(SafetyRefusal, match="not confirmed"):
                plan(tmp_path, acme, **line)
        screen.flush()
        shown = ""
        while "on acme?" not in shown:  # the terminal hands over piece by piece
            shown += seen.read(4096).decode()
    assert "default BTC/USDT for 10000 USD, spot on acme" in shown
    assert "Trade with real money on acme?" in shown


def test_live_on_a_simulated_venue_is_no_license(tmp_path: Path) -> None:
    assert not plan(tmp_path, **SHORT, live=True).live


def test_speed_needs_virtual_time_everywhere(tmp_path: Path, acme: dict[str, str]) -> None:
    hurried = {**acme, "HEDGE__RUN__SPEED": "max"}
    with pytest.raises(ConfigError, match=r"run\.speed: max needs virtual time, and acme has none"):
        plan(tmp_path, hurried, **{**SHORT, "futures": "acme"}, live=True)


def test_simulated_means_only_on_real_venues_is_refused(
    tmp_path: Path, acme: dict[str, str]
) -> None:
    line = {**SHORT, "futures": "acme", "live": True}
    with pytest.raises(UsageError, match="--sim-reset"):
        plan(tmp_path, acme, **line, sim_reset=True)


def test_a_dry_run_moves_no_money_and_keeps_a_journal_apart(
    tmp_path: Path, acme: dict[str, str]
) -> None:
    made = plan(tmp_path, acme, **{**SHORT, "futures": "acme"}, dry_run=True)
    assert made.dry_run and not made.live and made.state_dir.name == "dry"
    simulated = plan(tmp_path, **SHORT, dry_run=True)
    assert simulated.state_dir.name != "dry", "a simulated venue makes up its own fills"


def test_an_account_nobody_declared(tmp_path: Path, acme: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"hedges.*futures: there is no \[accounts.carry\]"):
        plan(tmp_path, acme, **{**SHORT, "futures": "acme@carry"}, live=True)
    assert plan(tmp_path, **{**SHORT, "futures": "sim@second"}).names == (
        "btc-usdt-sim-sim-second",
    )


def test_a_plugin_nobody_allowed(tmp_path: Path, acme: dict[str, str]) -> None:
    assert acme
    with pytest.raises(PluginError, match=r"hedge plugins allow acme"):
        plan(tmp_path, {}, **{**SHORT, "futures": "acme"}, live=True)
    assert "hedge_made_acme" not in sys.modules


def test_add_with_several_hedges_names_one(tmp_path: Path) -> None:
    text = "\n".join(
        f'[hedges.{name}]\nspot = "sim"\nfutures = "sim"\nsymbol = "{name.upper()}/USDT"\nusd = 1'
        for name in ("btc", "eth")
    )
    (tmp_path / "hedge.toml").write_text(text)
    (tmp_path / "hedge.toml").chmod(0o600)
    made = plan(tmp_path, add=('{"eth": {"action": "scale"}}',))
    assert [made.action(name) for name in made.names] == [Action.DEFAULT, Action.SCALE]
    with pytest.raises(UsageError, match="2 hedges, so say which"):
        plan(tmp_path, add=('{"action": "scale"}',))
    with pytest.raises(UsageError, match="--adopt: 2 hedges"):
        plan(tmp_path, adopt="1")
    assert plan(tmp_path, names=("eth",), adopt="1").names == ("eth",)
