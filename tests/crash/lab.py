"""The laboratory of the crash tests: a venue's process that lives, an engine's that is killed.

The venue is `hedge_served_sim` in a process of its own, over HTTP on the loopback; the engine is
the installed `hedge run`, which finds the plugin on its path as it would find any third party's.
Nothing in the product knows of it. A test waits for conditions only: a row of the journal, an order
at the venue, a file that grew; every wait is bounded.
"""

import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from markers import KEY, SECRET
from running import PATIENCE_S, Running, environment, wait_until

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.rows import Row
from hedge.model import Leg, Side
from hedge.model.numbers import MS
from hedge_sim.records import Accepted
from hedge_sim.truth import VenueTruth, path_of, read_records, read_truth

PACKAGE = Path(__file__).parent / "served_sim"
NAME = "crash"
BASE, SYMBOL, PERP = "BTC", "BTC/USDT", "BTC/USDT:USDT"
LOT = Decimal("0.001")
BAR_S, BARS = 20, 60
PRICE = Decimal(60_000)
SETTLE_S = 3
PAYING_S = 6
UNTRUE = {"EXTERNAL", "LOSS", "MARGIN", "UNKNOWN_EXECUTION", "UNHEDGED_NOTIONAL"}
"""Trips that say something of the account, in a world where nothing of the kind happens."""


@dataclass(frozen=True)
class Pace:
    """How long a life takes to be sure; the fence is window, processing, twice the lag and 1 s."""

    recv_ms: int
    processing_ms: int
    lag_ms: int
    ack_ms: int
    settle_s: int
    stopped_s: tuple[float, ...]
    """How long a process may be stopped: beyond the window, the fence, and thrice the fence."""
    patience_s: float
    life_s: float


SCALED = Pace(2_000, 400, 100, 900, 1, (2.5, 4.0, 11.0), PATIENCE_S, 240.0)
"""The fence is 3.6 s."""
TRUE = Pace(5_000, 10_000, 2_000, 3_000, 60, (60.0,), 300.0, 900.0)
"""What a hedge has that nobody configured: a fence of 20 s, and a minute to settle."""


# -- the third party's package -------------------------------------------------------------------


def install(target: Path) -> Path:
    """Unpack the package and its metadata, which is what installing a wheel comes to.

    Without pip: a build backend is not there in every environment, and the network never.
    """
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    module = name.replace("-", "_")
    shutil.copytree(PACKAGE / module, target / module, ignore=shutil.ignore_patterns("__pycache__"))
    info = target / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.3\nName: {name}\nVersion: {version}\n"
        f"Requires-Python: {project['requires-python']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (info / "INSTALLER").write_text("tests/crash\n")
    return target


# -- the market ----------------------------------------------------------------------------------


def write_market(folder: Path, seed: int, *, paying_s: int) -> None:
    """Write a recording that lives fast: each bar crosses its own range, funding every 3 s.

    Funding pays for ``paying_s``, and then it is the short that pays.
    """
    rng = random.Random(f"market-{seed}")
    folder.mkdir()
    begin_ms = 1_704_067_200_000
    names = ("spot", "perp")
    bars: dict[str, list[str]] = {name: ["ts_ms,open,high,low,close,volume"] for name in names}
    price = PRICE
    for number in range(BARS):
        after = (price * (1 + Decimal(rng.randint(-4, 4)) / 10_000)).quantize(Decimal("0.1"))
        reach = Decimal(rng.randint(6, 14)) / 10_000
        for name, basis in zip(names, (Decimal(1), Decimal("1.0003")), strict=True):
            points = [
                price * basis,
                max(price, after) * basis * (1 + reach),
                min(price, after) * basis * (1 - reach),
                after * basis,
            ]
            shown = ",".join(str(point.quantize(Decimal("0.1"))) for point in points)
            bars[name].append(f"{begin_ms + number * BAR_S * 1000},{shown},40")
        price = after
    for name, lines in bars.items():
        (folder / f"BTC-USDT.{name}.csv").write_text("\n".join(lines) + "\n")
    rows = ["ts_ms,rate,interval_h"]
    interval_h = Decimal("0.001")  # 3.6 s, floored to 3
    for at_s in range(-SETTLE_S, BARS * BAR_S, SETTLE_S):
        rate = "0.0000002" if at_s < paying_s else "-0.0000002"
        rows.append(f"{begin_ms + at_s * 1000},{rate},{interval_h}")
    (folder / "BTC-USDT.funding.csv").write_text("\n".join(rows) + "\n")


# -- the venue -----------------------------------------------------------------------------------


class Venue:
    """The venue's process: it outlives every engine, and ends by itself."""

    def __init__(
        self, folder: Path, installed: Path, seed: int, *, keys: dict[str, str], pace: Pace = SCALED
    ) -> None:
        self.folder = folder
        folder.mkdir()
        write_market(folder / "data", seed, paying_s=PAYING_S)
        rng = random.Random(f"venue-{seed}")
        faults: dict[str, Any] = {}
        if rng.random() < 0.5:
            faults = {
                "reply_lost": "0.02",
                "slow_processing": "0.1",
                "slow_processing_max_ms": pace.processing_ms,
                "partial_ioc": "0.1",
                "duplicate_message": "0.2",
                "drop_message": "0.1",
                "stale_read": "0.1",
                "stale_read_max_ms": pace.lag_ms,
                "disconnect_every_s": "20",
                "disconnect_down_max_ms": 500,
                "disconnect_silent": "0",
            }
        self.settings: dict[str, Any] = {
            "data": str(folder / "data"),
            "seed": seed,
            "balances": {"USDT": "20000", "BNB": "3"},
            "fees": {"fee_mode": rng.choice(("received", "quote", "coin"))},
            "latency_ms": 1,
            "step_ms": 100,
            "heartbeat_s": 1,
            "quote_linger_s": 300,
            "recv_window_ms": pace.recv_ms,
            "read_lag_ms": pace.lag_ms,
            "ack_timeout_ms": 600,
            "faults": faults,
        }
        plan = {"settings": self.settings, **keys}
        (folder / "venue.json").write_text(json.dumps(plan))
        environ = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        with (folder / "venue.err").open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "hedge_served_sim.server",
                    "--folder", str(folder), "--life-s", str(pace.life_s),
                ],
                env={**environ, "PYTHONPATH": str(installed)},
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            )  # fmt: skip

    def port(self) -> int:
        def look() -> int:
            assert self.process.poll() is None, (self.folder / "venue.err").read_text()
            path = self.folder / "port"
            return int(path.read_text()) if path.exists() else 0

        found: int = wait_until(look, "the venue answers")
        return found

    def ask(self, method: str, path: str, body: Any = None, *, for_s: float = 10.0) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=for_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status == 200, (answer.status, data)
            return json.loads(data)
        finally:
            connection.close()

    def hold(self, leg: str, stage: str, *, after: int, for_s: float) -> None:
        hold = {"leg": leg, "stage": stage, "after": after, "for_s": for_s}
        self.ask("POST", "/test/hold", hold)

    def held(self, for_s: float) -> str:
        return str(self.ask("GET", f"/test/held?for_s={for_s}", for_s=for_s + 10))

    def release(self) -> None:
        self.ask("POST", "/test/release")

    def answered(self, order: str, for_s: float) -> bool:
        query = f"id={order}&for_s={for_s}"
        return bool(self.ask("GET", f"/test/answered?{query}", for_s=for_s + 10))

    @property
    def path(self) -> Path:
        return path_of(self.folder)

    def truth(self) -> VenueTruth:
        return read_truth(self.path)

    def seen(self) -> list[dict[str, Any]]:
        """Return every order that reached the venue, whatever came of it."""
        path = self.folder / "orders.ndjson"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)


# -- what a test tells ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Story:
    """One laboratory's time, from its seed to its verdict; see the fixture `told`."""

    name: str
    seed: int
    tell: "Callable[[Lab], Any]"


def told_by(stories: Iterable[Story]) -> pytest.MarkDecorator:
    """Make a test a test of each story."""
    return pytest.mark.parametrize("story", stories, ids=lambda story: story.name)


# -- one engine, its venue, its directory --------------------------------------------------------


class Lab(Running):
    """A hedge on a venue; `start` as often as it is killed, then `finish` and `judge`."""

    def __init__(
        self,
        folder: Path,
        installed: Path,
        seed: int,
        *,
        pace: Pace = SCALED,
    ) -> None:
        self.state = folder / "s"
        super().__init__(folder, self.state / NAME, patience_s=pace.patience_s)
        self.seed = seed
        self.pace = pace
        self.account = f"c{os.getpid()}-{seed}"
        self.environ: dict[str, str] = {}
        self.keys = {"api_key": KEY, "api_secret": SECRET}
        self.more = ""
        """Further lines of the configuration, at its top."""
        self._installed = installed
        self._cleared = 0
        self.venue = Venue(folder / "v", installed, seed, keys=self.keys, pace=pace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        self.venue.end()
        self.unclaim("served", self.account, PERP, BASE)

    @property
    def where(self) -> str:
        return f"seed {self.seed}, {super().where}"

    # -- the configuration -----------------------------------------------------------------------

    def configure(self) -> Path:
        """Write the file and the keys as a user would; the same for every start."""
        path = self.config
        if path.exists():
            return path
        # Patient lives rest and requote, and so get less done in their time.
        patience_s, usd = random.Random(f"life-{self.seed}").choice(((0, 1_800), (1, 600)))
        path.write_text(f"""{self.more}
[run]
tick_ms = 200
stop_timeout_s = 10
[plugins]
allow = ["hedge-served-sim==1.0.0"]
[venues.served]
environment = "local"
port = {self.venue.port()}
recv_window_ms = {self.pace.recv_ms}
processing_max_ms = {self.pace.processing_ms}
read_lag_ms = {self.pace.lag_ms}
ack_timeout_ms = {self.pace.ack_ms}
silence_ms = 4000
[accounts.{self.account}]
venue = "served"
[hedges.{NAME}]
spot = "served@{self.account}"
futures = "served@{self.account}"
symbol = "{SYMBOL}"
usd = "{usd}"
action = "single"
[hedges.{NAME}.funding]
exit_confirmations = 2
settlement_guard_s = 0
stale_s = 30
[hedges.{NAME}.execution]
requote_s = 1
patience_s = {patience_s}
settle_s = {self.pace.settle_s}
cross_bps_max = "20"
entry_basis_bps_min = "-40"
[hedges.{NAME}.limits]
spot_orders_per_minute = 10000
spot_orders_per_hour = 10000
audit_active_ms = 1000
audit_halt_ms = 1000
retry_ms = 200
feed_stale_ms = 10000
""")
        path.chmod(0o600)
        secrets = self.folder / "secrets"
        secrets.mkdir(mode=0o700)
        for name, value in self.keys.items():
            file = secrets / f"accounts__{self.account}__{name}"
            file.write_text(value)
            file.chmod(0o600)
        return path

    def environment(self) -> dict[str, str]:
        path = [str(self._installed), *filter(None, [os.environ.get("PYTHONPATH")])]
        return environment(PYTHONPATH=os.pathsep.join(path)) | self.environ

    def line(self, *more: str, state: Path | None = None) -> list[str]:
        self.configure()
        return super().line(*more, state=state)

    # -- the process -----------------------------------------------------------------------------

    def start(
        self, *more: str, state: Path | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        return self.begin(self.line(*more, state=state), **options)

    def look(self) -> None:
        self.person()

    def person(self) -> None:
        """Be the one who looks, and clears what tripped: a stall of the machine trips a limit."""
        trips = self.tail.count('"SetTrip"', without='"level":0')
        if trips > self._cleared and self.command("clear", NAME, "*").returncode == 0:
            self._cleared = trips

    # -- the verdict -----------------------------------------------------------------------------

    def last_end(self, rows: list[Row]) -> str:
        """Return how the last process ended by itself, "" where it did not.

        What is heard between that and the last breath is still written; nothing is done about it.
        """
        for row in reversed(rows):
            match row.entry:
                case c.EndRun(reason=reason):
                    return reason
                case e.EngineStarted() | c.PlaceOrder() | c.CancelOrder():
                    break
        return ""

    def judge(self) -> None:
        """Compare the venue's own record with the journal."""
        truth, rows = self.venue.truth(), self.rows()
        placed = Counter(
            row.entry.order.client_order_id for row in rows if isinstance(row.entry, c.PlaceOrder)
        )
        seen = Counter(one["id"] for one in self.venue.seen())
        assert placed and max(placed.values()) == 1, f"an id was written twice ({self.where})"
        assert max(seen.values()) == 1, f"an order came twice: {seen.most_common(2)} ({self.where})"
        unknown = set(seen) - set(placed)
        assert not unknown, f"the journal does not know {unknown} ({self.where})"
        assert set(truth.orders) <= set(seen)
        assert self.last_end(rows) == "UNWOUND", (self.where, rows[-1].entry)
        starts = [row.entry for row in rows if isinstance(row.entry, e.EngineStarted)]
        assert [one.epoch for one in starts] == list(range(1, len(starts) + 1)), self.where
        trips = {row.entry.reason for row in rows if isinstance(row.entry, c.SetTrip)}
        assert not trips & UNTRUE, f"tripped without a cause: {trips} ({self.where})"
        self._never_over_hedged(truth)
        self._never_late()
        held = truth.balances.get(BASE, Decimal(0))
        assert 0 <= held < Decimal("0.00002"), f"{held} {BASE} were left ({self.where})"
        left = {name: one.quantity for name, one in truth.positions.items() if one.quantity}
        assert not left, f"a position was left: {left} ({self.where})"
        checked = self.command("journal", "check")
        assert checked.returncode == 0, (self.where, checked.stderr)
        report = self.command("report", "--json")
        assert report.returncode == 0, (self.where, report.stderr)
        data = json.loads(report.stdout)["data"]
        assert Decimal(data["unexplained"]) == 0, (self.where, data)
        assert Decimal(data["equity_change"]) == Decimal(data["explained"]), (self.where, data)

    def _never_over_hedged(self, truth: VenueTruth) -> None:
        """The venue's own sequence: at no fill more short than coins and a lot, nor the reverse."""
        spot = position = Decimal(0)
        for fill in truth.fills:
            if fill.leg is Leg.SPOT:
                spot += fill.signed_quantity - (fill.fee if fill.fee_asset == BASE else 0)
                assert spot >= 0, f"sold {-spot} that were not there ({self.where})"
                continue
            position += fill.signed_quantity
            assert position <= 0, f"long {position} ({self.where})"
            if fill.side is Side.SELL:
                assert -position <= spot + LOT, f"short {-position}, {spot} coins ({self.where})"

    def _never_late(self) -> None:
        """Nothing was accepted after its receive window and what the venue may take on top."""
        for record in read_records(self.venue.path):
            if isinstance(record, Accepted):
                late_ms = (record.at - record.order.signed_at) // MS
                assert late_ms <= self.pace.recv_ms + self.pace.processing_ms + 50, (
                    self.where,
                    late_ms,
                    record,
                )
