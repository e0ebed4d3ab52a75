"""Whole lives over the wire: venues in processes, the installed `hedge run` in another, a verdict.

A `Life` is one hedge between two venues of `hedge sim serve`, which share a world and so a clock.
It is started, killed and started again with the same line, and judged by what the venues know, not
by what the engine says. Tests wait for conditions only, and every wait is bounded.
"""

import json
import os
import random
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from running import HEDGE, Running, environment

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge_sim.dialects.faults import ACTIONS

NAME = "life"
BASE, SYMBOL, PERP = "BTC", "BTC/USDT", "BTC/USDT:USDT"
LOT = Decimal("0.001")
DUST = Decimal("0.00002")
USD, EXPOSURE = 1_200, 300
PATIENCE_S = 180.0
SERVER_LIFE_S = 400.0
PACE = 60
"""A second is a minute of the market while anything is built, in doubt or dead."""
HURRY = 10_000
"""While the hedge rests, eight hours are three seconds."""
BEGIN, START_DAYS = "2024-03-28", 12
"""The recording has 22 days; a life needs one or two of them."""
PERSON_EVERY_S = 4.0
UNTRUE = {"EXTERNAL", "MARGIN", "UNKNOWN_EXECUTION", "UNHEDGED_NOTIONAL"}
"""Trips that say something of the account, in a world where nothing of the kind happens."""
SPOT, FUTURES = "spot", "futures"


CCXT = "ccxt:"


class Legs(NamedTuple):
    """Which venue has which leg; ``ccxt:binance`` is Binance, through the plugin of ccxt."""

    spot: str
    futures: str

    def __str__(self) -> str:
        return f"{self.spot}-{self.futures}".replace(":", "-")

    @property
    def served(self) -> tuple[str, str]:
        """Return whose protocol each leg speaks."""
        return self.spot.removeprefix(CCXT), self.futures.removeprefix(CCXT)

    @property
    def dialects(self) -> tuple[str, ...]:
        """The servers it needs: Binance has one a leg, Bybit one for both."""
        names = {
            (SPOT, "binance"): "binance-spot",
            (FUTURES, "binance"): "binance-usdm",
        }
        return tuple(
            dict.fromkeys(
                names.get((leg, venue), venue)
                for leg, venue in zip(self._fields, self.served, strict=True)
            )
        )


COMBINATIONS = tuple(
    Legs(spot, futures) for spot in ("binance", "bybit") for futures in ("bybit", "binance")
)

OVER_CCXT = (Legs(f"{CCXT}binance", "bybit"), Legs("binance", f"{CCXT}bybit"))


# -- the venues ----------------------------------------------------------------------------------


class Server:
    """One `hedge sim serve` process on a free port."""

    def __init__(self, dialect: str, world: Path, *words: str) -> None:
        self.dialect = dialect
        world.mkdir(exist_ok=True)
        self._errors = world / f"{dialect}.err"
        line = [
            HEDGE, "sim", "serve", "--dialect", dialect, "--port", "0", "--state-dir", str(world),
            "--from", BEGIN, "--speed", str(PACE), "--slow", str(PACE),
            "--for-s", str(SERVER_LIFE_S), *words,
        ]  # fmt: skip
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                line, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=errors, text=True,
            )  # fmt: skip
        self.url = ""

    def ready(self) -> None:
        """Wait until it listens; it ends by itself, so this wait ends too."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.startswith("listening on "), (said, self._errors.read_text())
        self.url = said.removeprefix("listening on ").strip()

    def ask(self, verb: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=verb)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer, parse_float=Decimal)

    def struck(self) -> dict[str, int]:
        """Return how often each fault has struck."""
        found: dict[str, int] = self.ask("GET", "/sim/fault")["struck"]
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()


# -- what may go wrong ---------------------------------------------------------------------------

EARLY = {"subscribe_race": "=1,times=2", "delta_only": "=1,times=1", "busy_server": "=0.05,times=3"}
"""What strikes before an order is sent."""
FENCED = frozenset({"unknown_refused", "drop_before", "late_error", "null_error"})
"""What leaves an order in doubt that never came to be: some 14 s each, until the fence."""
BEYOND_ACK_MS = 2_500


def drawn(name: str, rng: random.Random) -> str:
    """Return a fault as the command line takes it: rates, numbers and sizes from the seed."""
    rate = f"{rng.uniform(0.1, 0.4):.2f}"
    if name in EARLY:
        return name + EARLY[name]
    if name == "clock_offset":
        return f"{name},ms={rng.choice((-200, 200))}"
    if name in ACTIONS:
        return f"{name}={rate},times=2"
    if name in ("ban", "rate_limit"):
        return f"{name}=#{rng.randint(25, 45)},ms=2000"
    if name == "bad_timestamp":
        return f"{name}={rng.uniform(0.05, 0.15):.2f},times=2"
    late = f",ms={BEYOND_ACK_MS}" if name in ("late_answer", "late_error") else ""
    return f"{name}={rate},times={1 if name in FENCED else 3}{late}"


# -- one hedge and its venues --------------------------------------------------------------------


class Life(Running):
    """A hedge on its venues; `start` as often as it is killed, then `finish` and `judge`."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        legs: Legs,
        *,
        faults: Mapping[str, Sequence[str]] | None = None,
        dry: bool = False,
    ) -> None:
        self.state = folder / "s"
        # A dry run's journal lies apart.
        journals = self.state / "dry" if dry else self.state
        super().__init__(folder, journals / NAME, patience_s=PATIENCE_S)
        self.seed = seed
        self.legs = legs
        self.dry = dry
        self.account = f"w{os.getpid()}-{folder.name}"
        self.helped: list[str] = []
        """What a person did for it."""
        self.servers: dict[str, Server] = {}
        self._faults = faults or {}
        self._cleared = 0
        self._hurries = False
        self._looked_at = 0.0

    def __enter__(self) -> Self:
        try:
            for dialect in self.legs.dialects:
                words = [
                    word for text in self._faults.get(dialect, ()) for word in ("--fault", text)
                ]
                self.servers[dialect] = Server(dialect, self.folder / "w", *words)
            for server in self.servers.values():
                server.ready()
            # Each life has another stretch of the market.
            ahead_s = random.Random(f"world-{self.seed}").randrange(START_DAYS * 86_400)
            self._world({"skip_s": str(ahead_s)})
            self._configure()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.end()
        for server in self.servers.values():
            server.end()
        for venue, what in ((self.legs.futures, PERP), (self.legs.spot, BASE)):
            self.unclaim(venue, self._account_of(venue), what)

    @property
    def where(self) -> str:
        helped = f"; helped: {', '.join(self.helped)}" if self.helped else ""
        return f"{self.legs}, seed {self.seed}, {super().where}{helped}"

    def server(self, leg: str) -> Server:
        venue = self.legs.served[leg == FUTURES]
        for dialect, server in self.servers.items():
            if dialect == venue or dialect.endswith("spot" if leg == SPOT else "usdm"):
                return server
        raise LookupError(leg)

    def _account_of(self, venue: str) -> str:
        # One user's claims are on what an account holds: lives side by side need their own.
        return f"{self.account}-{venue}".replace(":", "-")

    def _configure(self) -> None:
        accounts = "\n".join(
            f'[accounts.{self._account_of(venue)}]\nvenue = "{venue}"'
            for venue in dict.fromkeys(self.legs)
        )
        self.config.write_text(f"""[run]
tick_ms = 200
stop_timeout_s = 10
{self._venues()}
{accounts}
[hedges.{NAME}]
spot = "{self.legs.spot}@{self._account_of(self.legs.spot)}"
futures = "{self.legs.futures}@{self._account_of(self.legs.futures)}"
symbol = "{SYMBOL}"
usd = "{USD}"
action = "single"
[hedges.{NAME}.execution]
requote_s = 1
patience_s = 1
settle_s = 1
cross_bps_max = "20"
entry_basis_bps_min = "-50"
[hedges.{NAME}.funding]
enter_above = "0.02"
exit_below = "0.01"
exit_confirmations = 3
settlement_guard_s = 0
stale_s = 60
[hedges.{NAME}.limits]
exposure_max = "{EXPOSURE}"
spot_orders_per_minute = 10000
spot_orders_per_hour = 10000
audit_active_ms = 3000
audit_halt_ms = 3000
feed_stale_ms = 15000
""")
        self.config.chmod(0o600)

    def _venues(self) -> str:
        """Return the venues' tables: where they are served, and times that suit a short life."""
        tables = []
        for venue in dict.fromkeys(self.legs):
            lines = self._bybit() if venue == "bybit" else self._per_leg(venue)
            common = ['environment = "local"', "read_lag_ms = 200", "ack_timeout_ms = 2000"]
            tables += [f'[venues."{venue}"]', *common, *lines]
        return "\n".join(tables)

    def _per_leg(self, venue: str) -> list[str]:
        lines = [
            f'{leg}_url = "{self.server(leg).url}"'
            for leg, name in zip(Legs._fields, self.legs, strict=True)
            if name == venue
        ]
        if venue == "binance":
            return [*lines, "heartbeat_ms = 1000", "silence_ms = 4000"]
        return [*lines, "processing_max_ms = 2000", "ping_ms = 2000", "sweep_ms = 1000"]

    def _bybit(self) -> list[str]:
        url = self.servers["bybit"].url
        return [
            f'rest_url = "{url}"', f'stream_url = "{url.replace("http", "ws", 1)}"',
            "processing_max_ms = 2000", "ping_s = 2",
        ]  # fmt: skip

    # -- the process -----------------------------------------------------------------------------

    def start(self) -> subprocess.Popen[bytes]:
        """Start the engine: always with the same line."""
        return self.begin(self.line(*(["--dry-run"] if self.dry else []), state=self.state))

    def look(self) -> None:
        """Do what is to be done around a hedge that lives; to be called often."""
        self.person()
        self._pass_time()

    def person(self) -> None:
        """Be the one who is paged, looks at both venues, and clears what tripped.

        Most trips stay until a person clears them; this one finds nothing wrong, for all that is
        wrong is the network, and a market that hurries (LOSS).
        """
        trips = [
            line for line in self.tail.look() if '"SetTrip"' in line and '"level":0' not in line
        ]
        if len(trips) == self._cleared or time.monotonic() < self._looked_at + PERSON_EVERY_S:
            return
        self._looked_at = time.monotonic()
        if self.command("clear", NAME, "*").returncode == 0:
            self.helped += [f"cleared {_reason(line)}" for line in trips[self._cleared :]]
            self._cleared = len(trips)

    def _pass_time(self) -> None:
        """Let the market hurry while the hedge is built and rests, and only then."""
        modes = [line for line in self.tail.look() if '"ChangeMode"' in line]
        rests = bool(modes) and '"trigger":"built"' in modes[-1]
        if rests is not self._hurries:
            self._hurries = rests
            pace = {"speed": str(HURRY if rests else PACE), "slow": str(PACE)}
            self._world(pace)

    def _world(self, change: dict[str, str]) -> None:
        next(iter(self.servers.values())).ask("POST", "/sim/world", change)

    # -- the verdict -----------------------------------------------------------------------------

    def truths(self) -> dict[str, Any]:
        """Return what each venue knows of its account."""
        return {
            dialect: server.ask("GET", "/sim/truth") for dialect, server in self.servers.items()
        }

    def judge(self) -> None:
        """Compare the venues' own books with the journal and with what must hold for every life."""
        truths, rows = self.truths(), self.rows()
        placed = Counter(
            row.entry.order.client_order_id for row in rows if isinstance(row.entry, c.PlaceOrder)
        )
        seen = Counter(
            one["client_order_id"] for truth in truths.values() for one in truth["orders"]
        )
        assert placed and max(placed.values()) == 1, f"an id was written twice ({self.where})"
        assert seen and max(seen.values()) == 1, f"an id came twice: {seen} ({self.where})"
        unknown = set(seen) - set(placed)
        assert not unknown, f"the journal does not know {unknown} ({self.where})"
        # A lease's sync may answer behind the end: nothing follows from it.
        ends = [row.entry for row in rows if not isinstance(row.entry, e.IdsLeased)]
        assert isinstance(ends[-1], c.EndRun) and ends[-1].reason == "UNWOUND", (
            self.where,
            ends[-1],
        )
        starts = [row.entry.epoch for row in rows if isinstance(row.entry, e.EngineStarted)]
        assert starts == list(range(1, len(starts) + 1)), self.where
        trips = {row.entry.reason for row in rows if isinstance(row.entry, c.SetTrip)}
        assert not trips & UNTRUE, f"tripped without a cause: {trips} ({self.where})"
        self._never_over_hedged(truths)
        self._flat(truths)
        self._adds_up(truths)

    def report(self) -> dict[str, Any]:
        done = self.command("report", "--json")
        assert done.returncode == 0, (self.where, done.stderr)
        data: dict[str, Any] = json.loads(done.stdout)["data"]
        return data

    def _never_over_hedged(self, truths: dict[str, Any]) -> None:
        """Walk the fills of both venues in time: never more short than coins, nor a slice bare."""
        spot = position = Decimal(0)
        for fill in walk(truths):
            quantity = Decimal(fill["quantity"]) * (1 if fill["side"] == "buy" else -1)
            if fill["leg"] == SPOT:
                spot += quantity - (Decimal(fill["fee"]) if fill["fee_asset"] == BASE else 0)
                assert spot >= 0, f"sold {-spot} that were not there ({self.where})"
            else:
                position += quantity
                assert position <= 0, f"long {position} ({self.where})"
            if fill["leg"] == FUTURES and quantity < 0:
                assert -position <= spot + LOT, f"short {-position}, {spot} coins ({self.where})"
            bare = abs(spot + position)
            bound = EXPOSURE / Decimal(fill["price"]) + LOT
            assert bare <= bound, f"{bare} unhedged, above {bound} ({self.where})"

    def _flat(self, truths: dict[str, Any]) -> None:
        for dialect, truth in truths.items():
            assert not truth["positions"], f"{dialect}: {truth['positions']} ({self.where})"
            held = Decimal(truth["balances"].get(BASE, 0))
            assert 0 <= held < DUST, f"{dialect}: {held} {BASE} were left ({self.where})"
            working = [one for one in truth["orders"] if one["status"] == "working"]
            assert not working, f"{dialect}: {working} ({self.where})"

    def _adds_up(self, truths: dict[str, Any]) -> None:
        """The report explains all; its funding, fees and equity are what the venues counted."""
        data = self.report()
        assert Decimal(data["unexplained"]) == 0, (self.where, data)
        assert Decimal(data["equity_change"]) == Decimal(data["explained"]), (self.where, data)
        paid = sum(Decimal(p["cash"]) for truth in truths.values() for p in truth["payments"])
        assert Decimal(data["funding"]) == paid, (self.where, data["funding"], paid)
        fills = sum(len(truth["fills"]) for truth in truths.values())
        assert data["details"]["fills"] == fills, (self.where, data["details"]["fills"], fills)


def walk(truths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the fills of all venues in the order they happened; one clock stamps them."""
    fills = [fill for truth in truths.values() for fill in truth["fills"]]
    # What a spot fill caused cannot precede it, even where both have one stamp.
    return iter(sorted(fills, key=lambda fill: (int(fill["filled_at"]), fill["leg"] == FUTURES)))


def _reason(line: str) -> str:
    return line.partition('"reason":"')[2].partition('"')[0]
