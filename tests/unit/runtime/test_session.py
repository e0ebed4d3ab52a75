"""Goal: an open hedge goes on only where it was opened, and there it does.

Method: a session on the simulated venue adopts coins; a second one opens its journal with another
account in the configuration, or on an account that somebody has set otherwise meanwhile.
"""

import asyncio
import errno
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from planning import SIMULATED, planned

from hedge.config.dirs import prepare_dir
from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Trip
from hedge.decide.rows import Row
from hedge.errors import JournalError, SafetyRefusal
from hedge.journal import REAL, AppendFile, RealDisk, boot_id, read_rows
from hedge.model import PositionMode
from hedge.model.numbers import MS, SECOND
from hedge.plugins.host import load_plugins
from hedge.roles import KeyRights
from hedge.runtime import rights
from hedge.runtime import session as session_module
from hedge.runtime.clock import RealClock, VirtualClock, VirtualLoop
from hedge.runtime.session import Session

CONFIG = (
    SIMULATED
    + """\
[venues.sim.balances]
USDT = "20000"
BTC = "1"
[hedges.one]
spot = "sim{spot}"
futures = "sim{futures}"
symbol = "BTC/USDT"
usd = "1500"
"""
)


def live(
    folder: Path,
    *,
    spot: str = "",
    futures: str = "",
    adopt: str = "",
    enter_now: bool = False,
    dies_with_an_order: bool = False,
    then: Callable[[Session, int], None] = lambda _session, _at: None,
    seconds: int = 10,
    say: Callable[[str], None] = lambda _: None,
    boot: str = "",
) -> Decimal:
    """Open the hedge, let it stop after ``seconds``, and return the coins it held then.

    ``then`` is what somebody does at the venue when it has ended. One that dies begins a build at
    once, and is gone as soon as an order of it rests.
    """
    plan = planned(
        folder,
        CONFIG.format(spot=spot, futures=futures),
        adopt=Decimal(adopt) if adopt else None,
        enter_now=enter_now or dies_with_an_order,
    )
    loop = VirtualLoop()

    async def main() -> Decimal:
        clock = VirtualClock(loop)
        host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
        session = Session("one", plan, host, clock, boot=lambda: boot or boot_id())
        session.say = say
        try:
            await session.open({})
            await session.start()
            while dies_with_an_order:
                await clock.sleep_until(clock.now() + 10 * MS)
                if session.engine.books.spot.open:
                    return session.engine.inventory
            await clock.sleep_until(clock.now() + seconds * SECOND)
            session.ask(
                e.OperatorAsked(at=clock.now(), verb=e.Verb.STOP, request_id=f"stop {clock.now()}")
            )
            await session.ended
            then(session, clock.now())
        finally:
            await session.close()
        return session.engine.inventory

    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


@pytest.mark.parametrize("leg", ["spot", "futures"])
def test_an_open_hedge_is_not_looked_for_on_another_account(tmp_path, leg):
    assert live(tmp_path, adopt="0.1") == Decimal("0.1")
    with pytest.raises(SafetyRefusal, match=r"opened with BTC/USDT.* on the account sim \(local\)"):
        live(tmp_path, **{leg: "@other"})
    assert live(tmp_path) == Decimal("0.1"), "and goes on where it was"


def test_an_open_hedge_is_not_left_alone_by_an_account_set_otherwise(tmp_path):
    def hedge_mode(session: Session, at: int) -> None:
        assert session.engine.position < 0
        session.roles.futures_gateway.venue.exchange.set_mode(PositionMode.HEDGE, at)

    alarms: list[str] = []

    def look(session: Session, _at: int) -> None:
        alarms.extend(session.engine.books.alarms)

    assert live(tmp_path, adopt="0.1", then=hedge_mode) == Decimal("0.1")
    assert live(tmp_path, then=look) == Decimal("0.1"), "and goes on"
    assert "NOT_PREPARED" in alarms


def test_a_quiet_day_of_a_hurried_run_tells_of_nothing_old(tmp_path):
    """What is read each quarter of an hour is not old for that."""
    raised: set[str] = set()

    def look(session: Session, _at: int) -> None:
        rows = read_rows(session.directory / "journal.log")
        raised.update(row.entry.key for row in rows if isinstance(row.entry, c.RaiseAlarm))

    live(tmp_path, adopt="0.1", then=look, seconds=86_400)
    assert raised == {"UNEQUAL"}, "of coins that wait for their entry"


def test_a_key_that_is_given_more_rights_while_the_hedge_runs_is_told(tmp_path, monkeypatch):
    """In real time, with days of a few milliseconds."""
    monkeypatch.setattr(rights, "LOOK_EVERY", 5 * MS)
    plan = planned(tmp_path, CONFIG.format(spot="", futures=""), speed="real")

    async def may_withdraw() -> KeyRights:
        return KeyRights(trade=True, withdraw=True)

    async def main() -> None:
        told = asyncio.Event()

        def look(row: Row) -> None:
            if isinstance(row.entry, c.RaiseAlarm) and row.entry.key == "KEY_RIGHTS":
                told.set()

        host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
        session = Session("one", plan, host, RealClock())
        try:
            await session.open({}, (look,))
            await session.start()
            assert not told.is_set()
            monkeypatch.setattr(session.roles.futures_check, "read_key_rights", may_withdraw)
            watching = asyncio.create_task(session.watch_keys())
            async with asyncio.timeout(20):
                await told.wait()
            watching.cancel()
        finally:
            await session.close()

    asyncio.run(main())


class Disk(RealDisk):
    """The real disk, on which something else happens where the row of an end is to be synced."""

    def __init__(self, instead: Callable[[], None]) -> None:
        self._instead = instead

    def open_append(self, path: Path) -> AppendFile:
        file = REAL.open_append(path)
        sync = file.sync

        def synced() -> None:
            if b'"EndRun"' in path.read_bytes():
                self._instead()
            sync()

        file.sync = synced
        return file


@pytest.mark.parametrize(("speed", "slow"), [("max", False), ("real", False), ("real", True)])
def test_an_end_that_is_not_on_the_disk_is_an_end_of_the_journal(
    tmp_path, monkeypatch, speed, slow
):
    """The row is written, and cannot be synced, or is not in time: 12, where it was 0."""
    monkeypatch.setattr(session_module, "SYNC_S", 1)
    plan = planned(tmp_path, CONFIG.format(spot="", futures=""), speed=speed)
    loop = VirtualLoop() if speed == "max" else asyncio.new_event_loop()
    never = threading.Event()

    def broken() -> None:
        if slow:
            never.wait(5)
        raise OSError(errno.EIO, "I/O error")

    async def main() -> None:
        clock = VirtualClock(loop) if isinstance(loop, VirtualLoop) else RealClock()
        host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
        session = Session("one", plan, host, clock, disk=Disk(broken))
        recovered = loop.create_future()

        def look(row: Row) -> None:
            if isinstance(row.entry, c.OpenRun) and not recovered.done():
                recovered.set_result(None)

        try:
            await session.open({}, (look,))
            await session.start()
            await recovered
            session.ask(e.OperatorAsked(at=clock.now(), verb=e.Verb.STOP, request_id="stop"))
            async with asyncio.timeout(100):
                with pytest.raises(JournalError, match="disk" if slow else "sync the journal"):
                    await session.ended
            assert session.over
        finally:
            never.set()
            await session.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
    rows = list(read_rows(tmp_path / "one" / "journal.log"))
    assert any(isinstance(row.entry, c.EndRun) and not row.entry.exit_code for row in rows)


def test_a_last_write_that_was_cut_off_is_said(tmp_path, monkeypatch):
    said: list[str] = []
    live(tmp_path)
    path = tmp_path / "one" / "journal.log"
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"torn")
    live(tmp_path, say=said.append)
    (line,) = said
    assert f"4 bytes behind {whole} were cut off" in line and "journal.torn-1" in line
    live(tmp_path, say=said.append)
    assert said == [line], "once"


def test_an_order_that_may_still_fill_is_not_looked_for_on_another_account(tmp_path):
    assert live(tmp_path, dies_with_an_order=True) == 0
    with pytest.raises(SafetyRefusal, match=r"on the account sim \(local\)"):
        live(tmp_path, spot="@other")
    assert live(tmp_path) == 0, "and settles it where it was"


def test_an_order_whose_row_died_with_its_machine_is_not_looked_for_on_another_account(tmp_path):
    """What is left of it is the lease of its id; by that it may be out, and it may fill."""
    assert live(tmp_path, dies_with_an_order=True) == 0
    path = tmp_path / "one" / "journal.log"
    lines = path.read_bytes().splitlines(keepends=True)
    placed = next(n for n, line in enumerate(lines) if b'"PlaceOrder"' in line)
    path.write_bytes(b"".join(lines[:placed]))
    with pytest.raises(SafetyRefusal, match=r"on the account sim \(local\)"):
        live(tmp_path, spot="@other", boot="another")
    assert live(tmp_path, boot="another") == 0, "and settles it where it was"
    live(tmp_path, spot="@other", boot="a third: behind the end of a run nothing was sent")


@pytest.mark.parametrize(("file", "trip"), [("LOCK", Trip.LOCKED), ("FREEZE", Trip.FREEZE_SPOT)])
def test_a_kill_file_that_lies_there_before_a_start_holds_from_its_first_moment(
    tmp_path, file, trip
):
    directory = prepare_dir(tmp_path / "one")
    (directory / file).touch()
    sent: list[str] = []

    def look(session: Session, _at: int) -> None:
        assert session.engine.books.trip == trip
        session.heed_kill_files()
        asked = [row.entry for row in session.log.rows() if type(row.entry) is e.OperatorAsked]
        assert [one.by for one in asked if "file" in one.by] == [f"the file {file}"], "once"
        sent.extend(str(row.entry) for row in session.log.rows() if type(row.entry) is c.PlaceOrder)

    live(tmp_path, enter_now=True, then=look)
    assert not sent
