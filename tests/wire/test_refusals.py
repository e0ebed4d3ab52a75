"""Goal: what cannot be traded is refused in one line that names the venue and the mend, unsent.

Method: the installed `hedge run` against simulators of this process, each with one thing wrong: the
key, its rights, the symbol, the state of a market, the money. Every refusal ends with the code of
docs/exit-codes.md, prints one line, shows no secret, and leaves no order at either venue. What may
be mended by the engine itself (hedge mode, a read that fails), or be allowed by its owner, trades.
"""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lives import NAME, PERP, Legs
from running import HEDGE, environment
from servers import in_process

from hedge.config.dirs import claims_directory
from hedge.journal.lock import claim_name
from hedge.model import Leg, Order, PositionMode, Side, TimeInForce
from hedge_sim.dialects.house import House
from hedge_sim.dialects.server import SIM_KEY, Keys, WireServer

AT_ONCE = 4
PATIENCE_S = 90
SECRETS = ("kq7Z-no-key-of-this-venue", "Vx3-no-secret-of-this-key")
BINANCE_BYBIT, BYBIT_BINANCE = Legs("binance", "bybit"), Legs("bybit", "binance")
CONFIG, VENUE, SAFETY = 3, 4, 5
HALTED = {"faults": {"halts": [{"market": "futures", "at_s": 0, "for_s": 10_000_000}]}}
SPOT_HALTED = {"faults": {"halts": [{"market": "spot", "at_s": 0, "for_s": 10_000_000}]}}
PADDED = "PAD0000/USDT"
"""What a server lists that was told of one instrument more."""
POOR = {"balances": {"USDT": "5"}}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One wrong thing, and what has to be said of it; no exit code: it trades."""

    name: str
    legs: Legs
    venue: str
    code: int | None = None
    words: tuple[str, ...] = ()
    wrong: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Options of the servers, by dialect."""
    secrets: tuple[str, str] | None = None
    """Key and secret of the account at ``venue``."""
    account: str = ""
    symbol: str = "BTC/USDT"
    hedge_mode: bool = False
    is_short: bool = False
    """The futures account has a position, which nobody can take out of hedge mode."""


SAID = {
    "binance": (("-2015", "the key is wrong"), ("-1022", "is the secret the key's own?")),
    "bybit": (("10003", "check the key"), ("10004", "the API secret does not fit the key")),
}
"""The venue's code and the mend: of a key it does not know, of a secret that is another's."""


def _keys(name: str, legs: Legs, venue: str, dialect: str) -> list[Case]:
    """Return what may be wrong with the key at one leg."""
    stranger, unfit = SAID[venue]
    other = Leg.FUTURES if name.endswith("spot") else Leg.SPOT
    return [
        Case(name=f"{name} key", legs=legs, venue=venue, code=VENUE, words=stranger,
             secrets=SECRETS),
        Case(name=f"{name} secret", legs=legs, venue=venue, code=VENUE, words=unfit,
             secrets=(SIM_KEY, SECRETS[1])),
        Case(name=f"{name} without trade right", legs=legs, venue=venue, code=SAFETY,
             words=("key may not trade", "give it the right"),
             wrong={dialect: {"keys": Keys(trade=False)}}),
        Case(name=f"{name} with right to the other leg", legs=legs, venue=venue, code=SAFETY,
             words=("key may not trade", "give it the right"),
             wrong={dialect: {"keys": Keys(only=other)}}),
        Case(name=f"{name} with withdrawal right", legs=legs, venue=venue, code=SAFETY,
             words=("can withdraw", "take that right away", "allow_withdraw"),
             wrong={dialect: {"keys": Keys(withdraw=True)}}),
    ]  # fmt: skip


def _market(
    name: str, legs: Legs, dialect: str, sim: dict[str, Any], words: tuple[str, ...]
) -> Case:
    return Case(name=name, legs=legs, venue=dialect.partition("-")[0], code=SAFETY, words=words,
                wrong={dialect: {"sim": sim}})  # fmt: skip


REFUSED = [
    *_keys("binance spot", BINANCE_BYBIT, "binance", "binance-spot"),
    *_keys("bybit futures", BINANCE_BYBIT, "bybit", "bybit"),
    *_keys("bybit spot", BYBIT_BINANCE, "bybit", "bybit"),
    *_keys("binance futures", BYBIT_BINANCE, "binance", "binance-usdm"),
    Case(name="symbol unknown at binance", legs=BINANCE_BYBIT, venue="binance", code=CONFIG,
         words=("DOGE/USDT",), symbol="DOGE/USDT"),
    Case(name="symbol unknown at bybit", legs=BYBIT_BINANCE, venue="bybit", code=CONFIG,
         words=("DOGE/USDT",), symbol="DOGE/USDT"),
    Case(name="perpetual unknown at bybit", legs=BINANCE_BYBIT, venue="bybit", code=CONFIG,
         words=(f"{PADDED}:USDT", "choose a symbol"), symbol=PADDED,
         wrong={"binance-spot": {"padding": 1}}),
    Case(name="perpetual unknown at binance", legs=BYBIT_BINANCE, venue="binance", code=CONFIG,
         words=(f"{PADDED}:USDT", "choose a symbol"), symbol=PADDED,
         wrong={"bybit": {"padding": 1}}),
    _market("bybit futures not trading", BINANCE_BYBIT, "bybit", HALTED, ("trad", PERP)),
    _market("binance futures not trading", BYBIT_BINANCE, "binance-usdm", HALTED, ("trad", PERP)),
    _market("binance spot not trading", BINANCE_BYBIT, "binance-spot", SPOT_HALTED,
            ("trad", "BTC/USDT")),
    _market("bybit spot not trading", BYBIT_BINANCE, "bybit", SPOT_HALTED, ("trad", "BTC/USDT")),
    Case(name="bybit short in hedge mode", legs=BINANCE_BYBIT, venue="bybit", code=VENUE,
         words=("POSITION_MODE", "hedge mode with a position", "close it"), hedge_mode=True,
         is_short=True),
    Case(name="binance short in hedge mode", legs=BYBIT_BINANCE, venue="binance", code=VENUE,
         words=("-4068", "close"), hedge_mode=True, is_short=True),
    _market("bybit futures without margin", BINANCE_BYBIT, "bybit", POOR, ("USDT", "transfer")),
    _market("binance futures without margin", BYBIT_BINANCE, "binance-usdm", POOR,
            ("USDT", "transfer")),
    _market("binance spot without cash", BINANCE_BYBIT, "binance-spot", POOR, ("USDT", "transfer")),
    _market("bybit spot without cash", BYBIT_BINANCE, "bybit", POOR, ("USDT", "transfer")),
]  # fmt: skip
ALLOWED = [
    Case(name="bybit withdrawal allowed", legs=BINANCE_BYBIT, venue="bybit",
         wrong={"bybit": {"keys": Keys(withdraw=True)}}, account="allow_withdraw = true"),
    Case(name="binance withdrawal allowed", legs=BINANCE_BYBIT, venue="binance",
         wrong={"binance-spot": {"keys": Keys(withdraw=True)}}, account="allow_withdraw = true"),
    Case(name="bybit spot with right to it alone", legs=BYBIT_BINANCE, venue="bybit",
         wrong={"bybit": {"keys": Keys(only=Leg.SPOT)}}),
    Case(name="bybit futures with right to them alone", legs=BINANCE_BYBIT, venue="bybit",
         wrong={"bybit": {"keys": Keys(only=Leg.FUTURES)}}),
    Case(name="binance that stutters", legs=BYBIT_BINANCE, venue="binance",
         wrong={"binance-usdm": {"faults": ("busy_server=1,times=2,match=fundingRate",)}}),
    Case(name="bybit that stutters", legs=BINANCE_BYBIT, venue="bybit",
         wrong={"bybit": {"faults": ("busy_server=1,times=2,match=funding/history",)}}),
    Case(name="bybit in hedge mode", legs=BINANCE_BYBIT, venue="bybit", hedge_mode=True),
    Case(name="binance in hedge mode", legs=BYBIT_BINANCE, venue="binance", hedge_mode=True),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a case."""

    code: int | None
    out: str
    err: str
    orders: int
    mode: PositionMode
    """Of the futures leg's account, after."""


def account_of(case: Case, venue: str) -> str:
    return f"x{os.getpid()}-{case.name.replace(' ', '-')}-{venue}"


def configured(case: Case, folder: Path, servers: dict[str, WireServer]) -> list[str]:
    """Write the configuration and the keys of a case; return the line that runs it."""
    lines = []
    if binance := [name for name in servers if name.startswith("binance")]:
        lines += ["[venues.binance]", 'environment = "local"']
        keys = {"binance-spot": "spot_url", "binance-usdm": "futures_url"}
        lines += [f'{keys[name]} = "{servers[name].url}"' for name in binance]
    if bybit := servers.get("bybit"):
        lines += ["[venues.bybit]", 'environment = "local"']
        lines += [f'rest_url = "{bybit.url}"', f'stream_url = "{bybit.ws_url}"']
    for venue in case.legs:
        lines += [f"[accounts.{account_of(case, venue)}]", f'venue = "{venue}"']
        lines += [case.account] if venue == case.venue else []
    spot, futures = case.legs
    lines += [
        f"[hedges.{NAME}]", f'spot = "{spot}@{account_of(case, spot)}"',
        f'futures = "{futures}@{account_of(case, futures)}"', f'symbol = "{case.symbol}"',
        'usd = "1000"', 'action = "single"',
        'execution = { entry_basis_bps_min = "-50" }',
    ]  # fmt: skip
    path = folder / "hedge.toml"
    path.write_text("\n".join(lines))
    path.chmod(0o600)
    if case.secrets is not None:
        kept = folder / "secrets"
        kept.mkdir(mode=0o700)
        for name, value in zip(("api_key", "api_secret"), case.secrets, strict=True):
            file = kept / f"accounts__{account_of(case, case.venue)}__{name}"
            file.write_text(value)
            file.chmod(0o600)
    return [
        HEDGE, "run", NAME, "--config", str(path), "--state-dir", str(folder / "s"),
        "--enter", "now", "--no-view",
    ]  # fmt: skip


def short_of(house: House) -> Order:
    """Return a stranger's order that takes."""
    quote = house.quote(PERP)
    assert quote is not None
    return Order(
        client_order_id="STRANGER", leg=Leg.FUTURES, symbol=PERP, side=Side.SELL,
        quantity=house.instrument(PERP).lot * 10, limit_price=quote.bid - quote.bid % 1 - 500,
        time_in_force=TimeInForce.IOC, signed_at=0, recv_window_ms=0,
    )  # fmt: skip


def orders_at(servers: dict[str, WireServer]) -> int:
    return sum(len(one.house.orders(leg)) for one in servers.values() for leg in Leg)


async def meet(case: Case, folder: Path) -> Outcome:
    """Run a case: to its end where it is to be refused, else to its first order."""
    async with contextlib.AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(in_process(name, **case.wrong.get(name, {})))
            for name in case.legs.dialects
        }
        at_futures = servers[case.legs.dialects[-1]].house
        if case.is_short:
            at_futures.place(short_of(at_futures))
        if case.hedge_mode:
            at_futures.set_mode(PositionMode.HEDGE)
        line = configured(case, folder, servers)
        out, err = folder / "out.txt", folder / "err.txt"
        with out.open("wb") as to, err.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *line, env=environment(), stdin=asyncio.subprocess.DEVNULL, stdout=to, stderr=errors
            )
        ended = asyncio.create_task(process.wait())
        until = asyncio.get_running_loop().time() + PATIENCE_S
        while not ended.done() and asyncio.get_running_loop().time() < until:
            if case.code is None and orders_at(servers):
                break
            if case.code is not None and "mode INVENTORY" in out.read_text():
                break  # it goes on, although it should have refused
            await asyncio.wait({ended}, timeout=0.1)
        mode, orders = at_futures.mode, orders_at(servers) - case.is_short
        if not ended.done():
            process.send_signal(signal.SIGTERM)
            await ended
        code = process.returncode
        for venue, what in ((case.legs.futures, PERP), (case.legs.spot, PERP.partition("/")[0])):
            claim = claim_name(venue, account_of(case, venue), what)
            (claims_directory() / claim).unlink(missing_ok=True)
        return Outcome(
            code=code, out=out.read_text(), err=err.read_text(), orders=orders, mode=mode
        )


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """Meet every case that a collected test asks for, `AT_ONCE` side by side."""
    asked = [
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(getattr(item, "callspec", None) and item.callspec.params.get("case"), Case)
    ]

    async def all_of_them() -> dict[str, Outcome]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case) -> Outcome:
            async with room:
                return await meet(case, tmp_path_factory.mktemp("refused"))

        found = await asyncio.gather(*(one(case) for case in asked))
        return {case.name: outcome for case, outcome in zip(asked, found, strict=True)}

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_it_is_refused_in_one_line_and_nothing_is_sent(
    outcomes: dict[str, Outcome], case: Case
) -> None:
    found = outcomes[case.name]
    assert found.orders == 0, found
    # Before it stands at most whose plugins the hedge runs, where it had begun.
    said = [line for line in found.err.splitlines() if "(hedge-engine " not in line]
    assert (found.code, len(said)) == (case.code, 1), found
    assert case.venue in said[0], found
    for word in case.words:
        assert word in said[0], found
    if case.code == VENUE:  # of two accounts at one venue, which?
        assert f"(account {account_of(case, case.venue)})" in said[0], found
    assert not any(secret in found.out + found.err for secret in SECRETS)


@pytest.mark.parametrize("case", ALLOWED, ids=lambda case: case.name)
def test_what_is_allowed_or_set_right_trades(outcomes: dict[str, Outcome], case: Case) -> None:
    found = outcomes[case.name]
    assert found.orders > 0, found
    assert found.mode is PositionMode.ONE_WAY, "hedge mode was left on"
    assert found.code in (0, 7), found
