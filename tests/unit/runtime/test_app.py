"""Goal: one hedge of several that breaks or ends is never left unseen behind one that goes on.

Method: the whole program with two hedges on the simulated venue and virtual time; one of them is
broken or ended while the other works.
"""

import asyncio
import gc
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Self

import pytest
from planning import SIMULATED, planned

from hedge.config.dirs import prepare_dir
from hedge.config.plan import RunPlan
from hedge.decide import commands as c
from hedge.decide.events import OperatorAsked, Verb
from hedge.decide.mode import Trip
from hedge.errors import (
    ConfigError,
    HedgeError,
    JournalError,
    LockHeld,
    NotHedged,
    NotRunning,
    Unreachable,
)
from hedge.hookspecs import hookimpl
from hedge.journal.log import JournalLog
from hedge.journal.reader import read_rows
from hedge.model.numbers import SECOND
from hedge.plugins.host import load_plugins
from hedge.roles import Alert
from hedge.runtime import app as app_module
from hedge.runtime import session as session_module
from hedge.runtime.app import INTERRUPTED_TWICE, App
from hedge.runtime.client import Client, entries
from hedge.runtime.clock import RealClock, VirtualClock, VirtualLoop
from hedge.runtime.logs import Redactor
from hedge.runtime.openings import Openings
from hedge.runtime.sdnotify import SdNotify
from hedge.runtime.session import Session
from hedge.runtime.supervise import run_out
from hedge.runtime.tick import Ticker

BESIDE_THE_DEAD = """
[venues.sim]
data = "bundled:btc-8h"
[venues.binance]
environment = "local"
spot_url = "http://127.0.0.1:{port}"
futures_url = "http://127.0.0.1:{port}"
[accounts.nobody-{port}]
venue = "binance"
[hedges.dead]
spot = "binance@nobody-{port}"
futures = "binance@nobody-{port}"
symbol = "BTC/USDT"
usd = "1500"
[hedges.alive]
spot = "sim"
futures = "sim"
symbol = "BTC/USDT"
usd = "1500"
"""
PATIENCE_S = 86_400
"""Of virtual time: a signal is seen within 32 steps of the loop, each of minutes at most."""
HEDGE = """
[hedges.{name}]
spot = "sim@{name}"
futures = "sim@{name}"
symbol = "BTC/USDT"
usd = "1500"
"""
CONFIG = (
    SIMULATED
    + """\
start = "2024-04-18T20:00:00Z"
"""
    + "".join(HEDGE.format(name=name) for name in ("first", "second"))
)


class Phone:
    """A notifier plugin, and the notifier too: it keeps what it is told, once it is reached."""

    def __init__(self, *, unreached: int = 0) -> None:
        self.heard: list[Alert] = []
        self._unreached = unreached

    @hookimpl
    def hedge_notifier(self, name: str) -> "Phone | None":
        return self if name == "phone" else None

    async def __aenter__(self) -> Self:
        self._unreached -= 1
        if self._unreached >= 0:
            raise Unreachable("not at once")
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def send(self, alert: Alert) -> None:
        self.heard.append(alert)


PHONE = """
[notifiers.mine]
plugin = "phone"
"""


def live(
    folder: Path,
    act: Callable[[App], Awaitable[None]],
    config: str = CONFIG,
    count: int = 2,
    phone: Phone | None = None,
) -> int:
    """Run the program, let ``act`` do its deed once ``count`` hedges run; return its exit code."""
    plan = planned(folder, config + PHONE * (phone is not None), ("first", "second"))
    loop = VirtualLoop()

    async def main() -> int:
        clock = VirtualClock(loop)
        host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
        if phone is not None:
            host.register(phone, "phone")
        app = App(plan, host, clock, Redactor())
        running = asyncio.create_task(app.run())
        recovered = asyncio.create_task(_recovered(app, count))
        await asyncio.wait([running, recovered], return_when=asyncio.FIRST_COMPLETED)
        if recovered.done():
            await act(app)
        async with asyncio.timeout(PATIENCE_S):
            return await running

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main())


async def _recovered(app: App, count: int) -> None:
    while not (  # noqa: ASYNC110 - nobody says when a hedge has recovered; the time is virtual
        len(app.sessions) == count
        and all(one.snapshot().phase == "waiting" for one in app.sessions.values())
    ):
        await asyncio.sleep(1)


@pytest.mark.parametrize("broken", ["first", "second"])
def test_a_hedge_that_breaks_ends_the_process_whichever_it_is(tmp_path, broken):
    async def act(app: App) -> None:
        app.sessions[broken].fail(JournalError(f"the disk of {broken} is full"))

    with pytest.raises(JournalError, match=broken):
        live(tmp_path, act)


def test_who_is_told_of_alarms_is_told_of_an_end_that_no_journal_can_hold(tmp_path):
    async def act(app: App) -> None:
        app.sessions["first"].fail(JournalError("the disk of first is full"))

    phone = Phone()
    with pytest.raises(JournalError):
        live(tmp_path, act, phone=phone)
    told = [one for one in phone.heard if "JournalError: the disk of first is full" in one.text]
    assert {(one.hedge, one.level) for one in told} == {("first", "alarm"), ("second", "alarm")}
    assert all("exit 12" in one.text for one in told)


def test_an_engine_that_finds_another_at_work_tells_nobody_that_nobody_is(tmp_path):
    """A line that is typed twice ends in one line on the terminal, and troubles no phone."""
    phone = Phone()

    async def act(app: App) -> None:
        plan = replace(app.plan, runtime_dir=tmp_path / "other")
        host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
        host.register(phone, "phone")
        with pytest.raises(LockHeld):
            await App(plan, host, app._clock, Redactor()).run()
        for session in app.sessions.values():
            session.ask(OperatorAsked(at=app.now(), verb=Verb.STOP, request_id=session.name))

    assert live(tmp_path, act, phone=Phone()) == 0
    assert not [one for one in phone.heard if "nobody looks" in one.text]


def test_a_line_that_never_began_anything_troubles_no_phone(tmp_path):
    phone = Phone()
    with pytest.raises(ConfigError, match="SYMBOL_UNKNOWN"):
        live(tmp_path, never, CONFIG.replace("BTC/USDT", "XYZ/USDT"), phone=phone)
    assert not [one for one in phone.heard if "nobody looks" in one.text]


def test_an_end_without_a_journal_leaves_no_order_of_any_hedge(tmp_path, monkeypatch):
    cancelled = []

    async def act(app: App) -> None:
        sessions = app.sessions
        for name, session in sessions.items():
            gateway = session.roles.spot_gateway
            monkeypatch.setattr(gateway, "cancel_order", noting(name, gateway.cancel_order))
            app.ask(
                name, verb=Verb.SCALE, request_id=f"{name} builds", subject="",
                usd=Decimal(1500), quantity=None, by="",
            )  # fmt: skip
        while not all(  # noqa: ASYNC110 - nobody says when an order rests; the time is virtual
            one.engine.books.spot.open for one in sessions.values()
        ):
            await asyncio.sleep(0.01)
        resting.extend((name, *one.engine.books.spot.open) for name, one in sessions.items())
        sessions["first"].fail(JournalError("the disk is full"))

    def noting(name, cancel):
        async def noted(symbol, order_id):
            cancelled.append((name, order_id))
            return await cancel(symbol, order_id)

        return noted

    resting: list[tuple[str, ...]] = []
    with pytest.raises(JournalError):
        live(tmp_path, act)
    assert sorted(cancelled) == sorted(resting)


def test_a_hedge_that_had_ended_is_not_said_to_be_alone(tmp_path):
    async def act(app: App) -> None:
        first, second = (app.sessions[name] for name in ("first", "second"))
        first.ask(OperatorAsked(at=app.now(), verb=Verb.STOP, request_id="stop"))
        await first.ended
        second.fail(JournalError("the disk is full"))

    phone = Phone()
    with pytest.raises(JournalError):
        live(tmp_path, act, phone=phone)
    assert {one.hedge for one in phone.heard if "nobody looks" in one.text} == {"second"}


def test_a_start_that_is_cancelled_by_nobody_we_know_is_no_end_in_order(tmp_path):
    """A library that gives a request up by its own cancel must not end an open hedge with 0."""
    plan = beside_the_dead(tmp_path, ("dead",), lived=True)
    loop = VirtualLoop()

    async def main() -> None:
        host = load_plugins(["sim", "binance"], venues=plan.resolved.settings.venues)

        async def open_it(_: Session) -> None:
            raise asyncio.CancelledError

        openings = Openings(
            plan.names, virtual=False, open_it=open_it, up=print, down=lambda *_: None,
            make=lambda name: Session(name, plan, host, VirtualClock(loop)),
        )  # fmt: skip
        with pytest.raises(HedgeError, match="cancelled by nobody we know"):
            await openings.begin()
        await openings.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


def test_each_hedge_that_cannot_begin_is_told_by_itself(tmp_path):
    phone = Phone(unreached=1)
    with pytest.raises(ConfigError, match="SYMBOL_UNKNOWN"):
        live(tmp_path, never, CONFIG.replace("BTC/USDT", "XYZ/USDT"), phone=phone)
    told = {one.hedge for one in phone.heard if one.text.startswith("not started")}
    assert told == {"first", "second"}


def test_a_task_that_fails_unseen_ends_the_process_and_an_unasked_answer_does_not(tmp_path):
    async def surprised() -> None:
        raise ConnectionError("surprised")

    async def act(app: App) -> None:
        loop = asyncio.get_running_loop()
        loop.create_future().set_exception(ConnectionError("of a library's, with its connection"))
        gc.collect()
        await asyncio.sleep(60)
        assert not any(session.ended.done() for session in app.sessions.values())
        asyncio.create_task(surprised())  # noqa: RUF006 - that nobody keeps it is what is tested
        await asyncio.sleep(60)
        gc.collect()

    with pytest.raises(ConnectionError, match="surprised"):
        live(tmp_path, act)


def test_a_hedge_that_has_ended_takes_no_command_and_lets_the_others_be_stopped(tmp_path):
    def ask(app: App, name: str, verb: Verb) -> None:
        app.ask(
            name, verb=verb, request_id=f"{name} {verb}", subject="", usd=None, quantity=None, by=""
        )

    async def act(app: App) -> None:
        ask(app, "first", Verb.STOP)
        await app.sessions["first"].ended
        with pytest.raises(NotRunning, match="first has ended here"):
            ask(app, "first", Verb.LIQUIDATE)
        assert not app.sessions["first"].engine.books.asked, "nothing waits for the next start"
        ask(app, "first", Verb.ACK)
        signal.raise_signal(signal.SIGTERM)
        await app.sessions["second"].ended

    assert live(tmp_path, act) == 0


def test_a_full_disk_freezes_every_hedge_on_it(tmp_path):
    async def act(app: App) -> None:
        sessions = app.sessions.values()
        ticker = Ticker(sessions, app._clock, SdNotify.from_env(), print, free=lambda _: (1, 100))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await ticker.run(SECOND)
        for session in sessions:
            assert "DISK" in session.engine.books.trips, session.name
        signal.raise_signal(signal.SIGTERM)

    assert live(tmp_path, act) == 0


def test_a_process_that_has_doubled_says_so_and_goes_on(tmp_path):
    held = [100 << 20]

    async def act(app: App) -> None:
        session = app.sessions["first"]
        ticker = Ticker([session], app._clock, SdNotify.from_env(), print, resident=lambda: held[0])
        for size, standing in ((100, False), (220, False), (240, True)):
            held[0] = size << 20
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(700):
                    await ticker.run(SECOND)
            assert ("MEMORY" in session.engine.books.alarms) is standing, size
        assert session.engine.books.trip == Trip.OK
        signal.raise_signal(signal.SIGTERM)

    assert live(tmp_path, act) == 0


def test_a_kill_file_holds_for_as_long_as_it_is_there(tmp_path):
    async def act(app: App) -> None:
        session = app.sessions["first"]

        async def tick() -> None:
            ticker = Ticker([session], app._clock, SdNotify.from_env(), print)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await ticker.run(SECOND)

        def clear(number: int) -> None:
            app.ask(
                "first", verb=Verb.CLEAR, request_id=f"clear {number}", subject="", usd=None,
                quantity=None, by="",
            )  # fmt: skip

        file = session.directory / "LOCK"
        file.touch()
        ticker = asyncio.create_task(tick())
        await asyncio.sleep(1.5)
        assert session.engine.books.trip == Trip.LOCKED
        clear(1)
        await asyncio.sleep(1)
        assert session.engine.books.trip == Trip.LOCKED, "cleared, and the file is still there"
        file.unlink()
        clear(2)
        await ticker
        assert session.engine.books.trip == Trip.OK
        signal.raise_signal(signal.SIGTERM)

    assert live(tmp_path, act) == 0


def test_a_kill_file_holds_within_a_second_however_seldom_the_process_looks_after_itself(
    tmp_path,
):
    async def act(app: App) -> None:
        session = app.sessions["first"]
        ticker = Ticker([session], app._clock, SdNotify.from_env(), print)
        ticking = asyncio.create_task(ticker.run(60 * SECOND))
        await asyncio.sleep(0)
        (session.directory / "LOCK").touch()
        await asyncio.sleep(1)
        assert session.engine.books.trip == Trip.LOCKED
        ticking.cancel()
        signal.raise_signal(signal.SIGTERM)

    live(tmp_path, act)


def test_the_loop_goes_on_while_a_report_is_made(tmp_path):
    async def act(app: App) -> None:
        making = asyncio.ensure_future(app.report("first"))
        await asyncio.sleep(0)
        assert not making.done(), "the whole journal was read within one turn of the loop"
        data = await making
        assert data["name"] == "first", sorted(data)
        signal.raise_signal(signal.SIGTERM)

    assert live(tmp_path, act) == 0


def test_however_many_ask_for_a_report_one_of_the_loop_s_threads_makes_it(tmp_path):
    """The others are for what a hedge needs: in one of them its venue's name is looked up."""

    async def act(app: App) -> None:
        first, *others = await asyncio.gather(*(app.report("first") for _ in range(64)))
        assert sum(one.name.startswith("asyncio_") for one in threading.enumerate()) == 1
        assert all(one == first for one in others)
        assert (await app.report("second"))["name"] == "second", "and is made anew"
        signal.raise_signal(signal.SIGTERM)

    assert live(tmp_path, act) == 0


def test_a_hedge_that_cannot_begin_leaves_the_others_to_work_and_has_its_code_at_the_end(
    tmp_path, capfd
):
    async def act(app: App) -> None:
        assert list(app.sessions) == ["second"]
        assert app.absent()["first"].startswith("not started: ConfigError: SYMBOL_UNKNOWN")
        signal.raise_signal(signal.SIGTERM)
        assert (await app.sessions["second"].ended).reason == "STOPPED"

    config = CONFIG.replace('symbol = "BTC/USDT"', 'symbol = "XYZ/USDT"', 1)
    assert live(tmp_path, act, config, count=1) == ConfigError.exit_code
    assert "first: not started: ConfigError: SYMBOL_UNKNOWN" in capfd.readouterr().err


@pytest.mark.parametrize("inventory", ["managed", "account"])
def test_two_hedges_share_no_coins_of_one_account(tmp_path, capfd, inventory):
    async def act(app: App) -> None:
        assert list(app.sessions) == ["first"]
        signal.raise_signal(signal.SIGTERM)
        await app.sessions["first"].ended

    config = CONFIG.replace('spot = "sim@second"', f'spot = "sim@first"\ninventory = "{inventory}"')
    assert live(tmp_path, act, config, count=1) == LockHeld.exit_code
    said = capfd.readouterr().err
    assert (
        "second: not started: LockHeld: BTC on the account first of sim is the hedge first's"
        in said
    )


async def never(_app: App) -> None:
    raise AssertionError("no hedge could begin")


def test_hedges_none_of_which_can_begin_end_the_process_with_the_first_ones_error(tmp_path):
    with pytest.raises(ConfigError, match="SYMBOL_UNKNOWN"):
        live(tmp_path, never, CONFIG.replace("BTC/USDT", "XYZ/USDT"))


def beside_the_dead(
    folder: Path, names: tuple[str, ...], *, lived: bool, phone: bool = False
) -> RunPlan:
    """Return the plan of a run in real time; the venue of ``dead`` is an address nobody serves."""
    if lived:
        prepare_dir(folder / "dead")
        log = JournalLog.open(folder / "dead", hedge="dead", at=1)
        log.append(1, [c.Notice(key="BEFORE", text="it was here before")])
        log.close()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    return planned(
        folder, BESIDE_THE_DEAD.format(port=port) + PHONE * phone, names, speed="real",
        environments={"sim": "local", "binance": "local"},
    )  # fmt: skip


def test_a_place_to_listen_that_is_taken_ends_the_start_before_a_hedge_begins(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match="in use"):
            live(tmp_path, never, f'{CONFIG}[metrics]\nlisten = "{listen}"\n')
    assert not list(tmp_path.glob("*/journal.log"))


def test_a_start_that_waits_for_its_venue_can_be_asked_and_tells_who_is_to_know(
    tmp_path, monkeypatch
):
    """An open hedge may be alone for as long as its venue cannot be read."""
    monkeypatch.setattr(session_module, "READ_PAUSES_S", (0, 60))
    monkeypatch.setattr(app_module, "LATE_S", 0)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    plan = beside_the_dead(tmp_path, ("dead",), lived=True, phone=True)
    phone = Phone()
    place = plan.resolved.settings
    said = {}

    async def main() -> int:
        host = load_plugins(["binance"], venues=place.venues)
        host.register(phone, "phone")
        running = asyncio.create_task(App(plan, host, RealClock(), Redactor()).run())
        async with asyncio.timeout(20):
            while not (entries([tmp_path]) and phone.heard):  # noqa: ASYNC110 - nobody says it
                await asyncio.sleep(0.01)
            engine = Client(entries([tmp_path])[0].socket)
            said.update((await asyncio.to_thread(engine.get, "/v1/status"))["data"])
            with pytest.raises(NotRunning, match="dead: not started: waits for its venues"):
                await asyncio.to_thread(engine.post, "pause", {"hedge": "dead"})
            signal.raise_signal(signal.SIGTERM)
            return await running

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        with pytest.raises(NotHedged):
            asyncio.run(main())
        assert b"EXTEND_TIMEOUT_USEC=" in systemd.recv(400), "a waiting start is no failed one"
    assert said["absent"] == {"dead": "not started: waits for its venues"} and not said["hedges"]
    (late,) = [one for one in phone.heard if "not started after" in one.text]
    assert (late.hedge, late.level) == ("dead", "alarm") and "Unreachable" in late.text


@pytest.mark.parametrize(("lived", "code"), [(False, 0), (True, NotHedged.exit_code)])
def test_a_venue_that_is_dead_keeps_no_other_hedge_waiting(
    tmp_path, monkeypatch, capfd, lived, code
):
    """In real time, beside a venue at whose address nobody listens; systemd hears READY.

    Then all are told to stop: what has lived may hold something, and nobody has looked.
    """
    plan = beside_the_dead(tmp_path, ("dead", "alive"), lived=lived)

    async def main(systemd: socket.socket) -> int:
        loop = asyncio.get_running_loop()
        host = load_plugins(["sim", "binance"], venues=plan.resolved.settings.venues)
        app = App(plan, host, RealClock(), Redactor())
        running = asyncio.create_task(app.run())
        async with asyncio.timeout(20):
            word = await loop.sock_recv(systemd, 200)
            assert word.startswith(b"READY=1") and b"waiting for venues: dead" in word
            assert list(app.sessions) == ["alive"]
            assert app.absent() == {"dead": "not started: waits for its venues"}
            signal.raise_signal(signal.SIGTERM)
            return await running

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert asyncio.run(main(systemd)) == code, capfd.readouterr().err


@pytest.mark.parametrize("lived", [False, True])
def test_a_first_signal_ends_a_start_that_waits_for_its_venue_as_a_stop(tmp_path, lived):
    """What has never lived has nothing to confirm; of what has, nobody knows how it stands."""
    plan = beside_the_dead(tmp_path, ("dead",), lived=lived)

    async def main() -> int:
        host = load_plugins(["binance"], venues=plan.resolved.settings.venues)
        running = asyncio.create_task(App(plan, host, RealClock(), Redactor()).run())
        async with asyncio.timeout(5):
            while signal.getsignal(signal.SIGTERM) is before:  # noqa: ASYNC110 - nobody says it
                await asyncio.sleep(0)
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            return await running

    before = signal.getsignal(signal.SIGTERM)
    if not lived:
        assert asyncio.run(main()) == 0
        return
    with pytest.raises(NotHedged, match="its books are not confirmed"):
        asyncio.run(main())


def test_a_stop_between_two_tries_of_a_start_is_a_stop(tmp_path):
    """The first hedge's venue does not answer and is slow to close; the second one's waits."""
    plan = beside_the_dead(tmp_path, ("dead", "alive"), lived=True)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        host = load_plugins(["sim", "binance"], venues=plan.resolved.settings.venues)
        closing, never_ends = asyncio.Event(), loop.create_future()

        async def slow() -> None:
            closing.set()
            await never_ends

        async def open_it(session: Session) -> None:
            if session.name == "dead":
                session._stack.push_async_callback(slow)
                raise Unreachable("nobody there")
            await loop.create_future()

        openings = Openings(
            plan.names, virtual=False, make=lambda name: Session(name, plan, host, RealClock()),
            open_it=open_it, up=lambda _: None, down=lambda *_: None,
        )  # fmt: skip
        beginning = asyncio.create_task(openings.begin())
        async with asyncio.timeout(5):
            await closing.wait()
            openings.stop()
            await openings.through("dead")
            await openings.through("alive")
            await beginning
        assert isinstance(openings.failed["dead"], NotHedged)
        await openings.close()

    asyncio.run(main())


async def deaf(*_: object) -> None:
    """Swallow more cancellations than anybody asks."""
    for _ in range(50):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            continue


def test_a_plugin_that_does_not_end_is_named_and_keeps_no_stop_waiting(
    tmp_path, monkeypatch, caplog
):
    """Its closing and a request to it swallow what is to end them; another one's closing fails."""

    async def fails(*_: object) -> None:
        raise RuntimeError("closed twice")

    async def act(app: App) -> None:
        first, second = (app.sessions[name] for name in ("first", "second"))
        monkeypatch.setattr(first.roles.spot_feed, "__aexit__", deaf, raising=False)
        monkeypatch.setattr(second.roles.funding, "__aexit__", fails, raising=False)
        first._effects._begin(deaf(), lambda _: None, 1_000_000 * SECOND)
        signal.raise_signal(signal.SIGTERM)

    assert live(tmp_path, act) == 0
    assert "spot_feed of sim (hedge-engine" in caplog.text and "did not close within" in caplog.text
    assert "funding of sim (hedge-engine" in caplog.text and "closed twice" in caplog.text
    assert "a request of first (deaf) did not end" in caplog.text


def test_two_signals_end_a_hedge_that_works_with_130(tmp_path):
    async def act(app: App) -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    assert live(tmp_path, act) == INTERRUPTED_TWICE


def test_a_hangup_is_a_stop_however_often_it_is_said(tmp_path):
    """A shell, the kernel and a service manager may all tell of one terminal that is gone."""

    async def act(app: App) -> None:
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)

    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored, where nohup runs the tests
    try:
        assert live(tmp_path, act) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    for name in ("first", "second"):
        asked = [row.entry for row in read_rows(tmp_path / name / "journal.log")]
        stops = [one for one in asked if isinstance(one, OperatorAsked) and one.verb is Verb.STOP]
        assert [one.by for one in stops] == ["hangup"]


@pytest.mark.parametrize("begins", [False, True])
def test_a_start_that_swallows_its_cancel_is_stopped_all_the_same(tmp_path, begins):
    plan = beside_the_dead(tmp_path, ("dead",), lived=True)
    loop = VirtualLoop()

    async def main() -> None:
        host = load_plugins(["sim", "binance"], venues=plan.resolved.settings.venues)
        opening = asyncio.Event()
        up: list[Session] = []

        async def open_it(session: Session) -> None:
            opening.set()
            if not begins:
                await deaf()
            try:
                await loop.create_future()
            except asyncio.CancelledError:
                monkey.setattr(session, "start", begun)

        async def begun() -> None: ...

        openings = Openings(
            plan.names, virtual=False, open_it=open_it, up=up.append, down=lambda *_: None,
            make=lambda name: Session(name, plan, host, VirtualClock(loop)),
        )  # fmt: skip
        beginning = asyncio.create_task(openings.begin())
        await opening.wait()
        openings.stop()
        await openings.through("dead")
        with pytest.raises(NotHedged, match="not confirmed"):
            await beginning
        assert not up
        await openings.close()

    with pytest.MonkeyPatch.context() as monkey:
        run_out(loop, main())


def test_nobody_stops_to_look_at_the_keys_unseen(tmp_path):
    plan = beside_the_dead(tmp_path, ("alive",), lived=False)

    async def main() -> int:
        host = load_plugins(["sim", "binance"], venues=plan.resolved.settings.venues)
        app = App(plan, host, RealClock(), Redactor())
        running = asyncio.create_task(app.run())
        async with asyncio.timeout(20):
            tasks: dict[str, asyncio.Task[object]] = {}
            while "signals" not in tasks:
                await asyncio.sleep(0)
                tasks = {one.get_name(): one for one in asyncio.all_tasks()}
            await asyncio.sleep(0)
            tasks["keys of alive"].cancel()
            return await running

    with pytest.raises(HedgeError, match="cancelled by nobody we know"):
        asyncio.run(main())
