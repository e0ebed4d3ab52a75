"""Goal: over the venues' own protocols a hedge lives its whole life, and the venues' books agree.

Method: `hedge sim serve` behind the protocols of Binance and Bybit, the installed `hedge run`, each
in processes of their own. Every combination of legs lives undisturbed, and each leg once more over
ccxt; some lives are killed with SIGKILL at moments drawn from a seed and started again with the
same line; some meet every fault that the simulators know. The verdict is read from the venues:
flat, no id twice, at no time more short than held, and the report equal to what the venues counted.
`HEDGE_WIRE_KILLS` asks for more kills, `HEDGE_WIRE_SEED` for other moments; a failure names the
seed and the directory left behind.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from lives import COMBINATIONS, FUTURES, OVER_CCXT, SPOT, Legs, Life, drawn

from hedge_sim.dialects.faults import SWITCHES

KILLS = int(os.environ.get("HEDGE_WIRE_KILLS", "25"))
FIRST_SEED = int(os.environ.get("HEDGE_WIRE_SEED", "1"))
AT_ONCE = int(os.environ.get("HEDGE_WIRE_AT_ONCE", "12"))
"""A life mostly waits: for a market, for a settlement, for a fence, for its killer."""
KILLS_A_LIFE = 3
"""A fourth restart within ten minutes would start locked, and wait for a person."""
LIVES_KILLED = -(-KILLS // KILLS_A_LIFE) + KILLS // 50
"""Some more where it is many: a kill may come too late for a life."""
Process = subprocess.Popen[bytes]


@dataclass(frozen=True, eq=False)
class Story:
    """One life, from its seed to its verdict; what it tells goes to the test of its name."""

    name: str
    seed: int
    legs: Legs
    tell: Callable[[Life], Any]
    faults: dict[str, tuple[str, ...]] | None = None
    is_dry: bool = False


@pytest.fixture(scope="module")
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Story, Future[Any]]]:
    """Every story that a collected test asks for, `AT_ONCE` side by side; each test awaits its own.

    A directory is left behind where a story went wrong.
    """
    folder = tmp_path_factory.mktemp("wire")

    def tell(story: Story) -> Any:
        place = folder / story.name.replace(" ", "-")
        with Life(place, story.seed, story.legs, faults=story.faults, dry=story.is_dry) as life:
            return story.tell(life)

    asked = (
        item.callspec.params.get("story")
        for item in request.session.items
        if hasattr(item, "callspec")
    )
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield {story: pool.submit(tell, story) for story in asked if isinstance(story, Story)}
    finally:
        pool.shutdown(cancel_futures=True)


def told_by(stories: list[Story]) -> pytest.MarkDecorator:
    """Make a test a test of each story."""
    return pytest.mark.parametrize("story", stories, ids=lambda story: story.name)


def undisturbed(life: Life) -> Life:
    life.finish(life.start())
    life.judge()
    return life


# -- under faults --------------------------------------------------------------------------------

FAULTY_LIVES = int(os.environ.get("HEDGE_WIRE_FAULTY", "4"))
"""Among how many every fault is dealt."""
FAULTY_LEGS = (Legs("binance", "bybit"), Legs("bybit", "binance"))
BINANCE_FUTURES_ONLY = "listen_key_expired"


def dealt(first_seed: int) -> list[dict[str, tuple[str, ...]]]:
    """Deal every fault to one of the lives; it holds at both of its venues."""
    rng = random.Random(f"wire-faults-{first_seed}")
    names = list(SWITCHES)
    rng.shuffle(names)
    names.remove(BINANCE_FUTURES_ONLY)
    names.insert(1, BINANCE_FUTURES_ONLY)
    found = []
    for number in range(FAULTY_LIVES):
        legs = FAULTY_LEGS[number % 2]
        mine = names[number::FAULTY_LIVES]
        found.append({d: tuple(drawn(name, rng) for name in mine) for d in legs.dialects})
    return found


def troubled(life: Life) -> dict[str, int]:
    """Live to the end; return how often each fault struck."""
    undisturbed(life)
    struck: dict[str, int] = {}
    for server in life.servers.values():
        for name, times in server.struck().items():
            struck[name] = struck.get(name, 0) + times
    return struck


FAULTY = [
    Story(f"faulty {number}", FIRST_SEED + number, FAULTY_LEGS[number % 2], troubled, faults)
    for number, faults in enumerate(dealt(FIRST_SEED))
]


@told_by(FAULTY)
def test_a_life_under_faults_ends_flat(told: dict[Story, Future[Any]], story: Story) -> None:
    assert told[story].result(), f"nothing struck: {story.faults}"


def test_every_fault_has_struck(told: dict[Story, Future[Any]]) -> None:
    if not FAULTY:
        pytest.skip("HEDGE_WIRE_FAULTY=0: no life has faults")
    lived = [told[story] for story in FAULTY if story in told]
    if len(lived) < len(FAULTY):
        pytest.skip("only some of the lives were asked for")
    struck = {name for one in lived for name in one.result()}
    assert set(SWITCHES) - struck <= {"clock_offset"}, struck  # which stands, and strikes nothing


# -- killed --------------------------------------------------------------------------------------


class Killer:
    """Kills a life at moments that are drawn from its seed."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.rng = random.Random(f"wire-kills-{life.seed}")

    def live(self) -> list[str]:
        """Start, kill, start again with the same line; return how it was killed."""
        life = self.life
        # Each life begins with another death, so that a few lives have seen every one of them.
        deaths = [self.row, self.ordered, self.unanswered, self.starting, self.recovering]
        first = deaths[self.life.seed % len(deaths)]
        for death in (first, *self.rng.choices(deaths, k=KILLS_A_LIFE - 1)):
            process = life.start()
            if not death(process):
                break  # it was quicker than its killer
        else:
            process = life.start()
        life.finish(process)
        life.judge()
        return life.happened

    def _kill(self, process: Process, ready: Callable[[], bool], why: str) -> bool:
        if not self.life.alive_until(process, ready, why):
            return False
        self.life.kill(process, why)
        return True

    def _count(self, word: str) -> int:
        return self.life.tail.count(word)

    def row(self, process: Process) -> bool:
        """At a row of the journal, whichever it is."""
        until = self._count("") + self.rng.randint(1, 90)
        return self._kill(process, lambda: self._count("") >= until, f"row {until}")

    def ordered(self, process: Process) -> bool:
        """Some milliseconds after an order was written: on its way, at work or filled."""
        until = self._count('"PlaceOrder"') + self.rng.randint(1, 8)
        if not self.life.alive_until(
            process, lambda: self._count('"PlaceOrder"') >= until, f"order {until}"
        ):
            return False
        return self._moment(process, 0.3, f"after order {until}")

    def unanswered(self, process: Process) -> bool:
        """With an order that is done at the venue, which has not answered yet."""
        server = self.life.server(self.rng.choice((SPOT, FUTURES)))
        before = server.struck().get("late_answer", 0)
        fault = {"name": "late_answer", "after": self.rng.randint(1, 6), "times": 1, "ms": 5_000}
        server.ask("POST", "/sim/fault", fault)
        return self._kill(
            process,
            lambda: server.struck().get("late_answer", 0) > before,
            f"an order at {server.dialect} was performed and not answered",
        )

    def starting(self, process: Process) -> bool:
        """Wherever the start is by then."""
        return self._moment(process, 2.5, "in the start")

    def recovering(self, process: Process) -> bool:
        """Soon after the engine has read its journal, and asks the venues."""
        until = self._count('"EngineStarted"') + 1
        if not self.life.alive_until(
            process, lambda: self._count('"EngineStarted"') >= until, "a start"
        ):
            return False
        return self._moment(process, 0.3, "in the recovery")

    def _moment(self, process: Process, most_s: float, why: str) -> bool:
        at = time.monotonic() + self.rng.uniform(0, most_s)
        return self._kill(process, lambda: time.monotonic() >= at, why)


KILLED = [
    Story(f"killed {seed}", seed, legs, lambda life: Killer(life).live())
    for seed in range(FIRST_SEED, FIRST_SEED + LIVES_KILLED)
    for legs in (COMBINATIONS[seed % len(COMBINATIONS)],)
]


@told_by(KILLED)
def test_a_life_that_is_killed_ends_flat(told: dict[Story, Future[Any]], story: Story) -> None:
    assert told[story].result(), "nobody killed it"


def test_the_lives_were_killed_often_enough(told: dict[Story, Future[Any]]) -> None:
    lived = [told[story] for story in KILLED if story in told]
    if len(lived) < len(KILLED):
        pytest.skip("only some of the lives were asked for")
    kills = [kill for one in lived for kill in one.result()]
    assert len(kills) >= KILLS, kills


# -- undisturbed ---------------------------------------------------------------------------------

WHOLE = [
    Story(f"whole {legs}", FIRST_SEED + number, legs, undisturbed)
    for number, legs in enumerate((*COMBINATIONS, *OVER_CCXT))
]


@told_by(WHOLE)
def test_a_whole_life(told: dict[Story, Future[Life]], story: Story) -> None:
    life = told[story].result()
    assert not life.happened and not life.helped, f"nobody had to come by: {life.where}"
    unanswered = life.tail.count('"OrderUnanswered"')
    assert unanswered <= life.tail.count('"PlaceOrder"') // 10, f"{unanswered} ({life.where})"


def test_whole_lives_are_paid_funding(told: dict[Story, Future[Life]]) -> None:
    """How many settlements one life meets is the machine's pace; each is judged by itself."""
    lives = [told[story].result() for story in WHOLE if story in told]
    assert any(life.tail.count('"FundingPaid"') for life in lives)


# -- dry -----------------------------------------------------------------------------------------


def dry(life: Life) -> dict[str, Any]:
    """Live on the venues' prices with made-up fills, unseen by them; return the report."""
    life.finish(life.start())
    truths = life.truths()
    assert not any(truth["orders"] or truth["fills"] for truth in truths.values()), life.where
    return life.report()


DRY = [Story("dry", FIRST_SEED, COMBINATIONS[0], dry, is_dry=True)]


@told_by(DRY)
def test_a_dry_run_trades_nothing_and_adds_up(
    told: dict[Story, Future[dict[str, Any]]], story: Story
) -> None:
    report = told[story].result()
    assert report["details"]["fills"] > 0
    assert Decimal(report["unexplained"]) == 0, report
    assert Decimal(report["equity_change"]) == Decimal(report["explained"]), report
