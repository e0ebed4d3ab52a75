"""`hedge sim serve`: the simulated venue behind a real venue's protocol, on this machine only."""

import os
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hedge.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from hedge_sim.config import SimSettings

app = typer.Typer(no_args_is_help=True, help="Serve simulated venues for tests and first steps.")
KEY_VARIABLES = ("HEDGE_SIM_API_KEY", "HEDGE_SIM_API_SECRET")
BEGIN, END = "2024-04-16T04:00", "2024-04-20T04:00"
"""Three days before the funding exit of the recording, and one behind it; then they come again.

Funding is worth an entry on the first and on the last day.
"""
FAST, SLOW = Decimal(3_000), Decimal(60)
"""These days pass in a minute and a half, and while anybody trades a second is a minute.

Two streams are some hundredths of a second apart. A day's loss is 1 % of a hedge, and BTC moves
that far in some 20 minutes of these days: they must last a good deal longer than that.
"""


class Dialect(StrEnum):
    BINANCE_SPOT = "binance-spot"
    BINANCE_USDM = "binance-usdm"
    BYBIT = "bybit"


def _pace(text: str) -> Decimal:
    try:
        pace = Decimal(text)
    except InvalidOperation:
        pace = Decimal(0)
    if not pace.is_finite() or pace <= 0:
        raise typer.BadParameter(f"{text!a} is not above 0")
    return pace


Whose = Annotated[Dialect, typer.Option("--dialect", help="Whose protocol to speak.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65_535, help="0: a free one.")]
Speed = Annotated[
    Decimal | None,
    typer.Option(
        "--speed",
        parser=_pace,
        metavar="N",
        help=f"Recorded seconds a second while nobody trades; without it, a new world waits for"
        f" its first order and then has {FAST}.",
    ),
]
Slow = Annotated[
    Decimal | None,
    typer.Option("--slow", parser=_pace, metavar="N", help=f"While anybody trades; {SLOW}."),
]
From = Annotated[
    str,
    typer.Option("--from", metavar="DATE", help="Where a new world begins, UTC."),
]
Fault = Annotated[
    list[str] | None,
    typer.Option("--fault", metavar="NAME[=RATE|=#N][,KEY=VALUE]", help="May stand repeatedly."),
]
StateDir = Annotated[
    Path | None, typer.Option("--state-dir", help="Where the accounts and the clock live.")
]
Reset = Annotated[bool, typer.Option("--reset", help="Begin the account and the world anew.")]
Balances = Annotated[
    str, typer.Option("--balances", help='What the account begins with: {"USDT": "20000"}.')
]
Padding = Annotated[
    int, typer.Option("--padding", min=0, max=5_000, help="So many more instruments.")
]
LimitFactor = Annotated[
    int, typer.Option("--limit-factor", min=0, help="Rate limits times this; 0 lifts them.")
]
NoTrade = Annotated[bool, typer.Option("--no-trade", help="The key may not trade.")]
Withdraw = Annotated[bool, typer.Option("--withdraw", help="The key can withdraw.")]
PublicKey = Annotated[
    Path | None, typer.Option("--public-key", help="PEM of an Ed25519 key (Binance).")
]
ForS = Annotated[float, typer.Option("--for-s", min=0, help="End by itself; 0: never.")]


@app.callback()
def sim() -> None:
    """Serve simulated venues for tests and first steps."""


@app.command()
def serve(
    dialect: Whose,
    *,
    port: Port = 0,
    speed: Speed = None,
    slow: Slow = None,
    begin: From = BEGIN,
    fault: Fault = None,
    state_dir: StateDir = None,
    reset: Reset = False,
    balances: Balances = "",
    padding: Padding = 0,
    limit_factor: LimitFactor = 1,
    no_trade: NoTrade = False,
    withdraw: Withdraw = False,
    public_key: PublicKey = None,
    for_s: ForS = 0,
) -> None:
    """Serve until SIGTERM; servers with one --state-dir show the same moment of the market.

    The account's keys are sim-key and sim-secret, or what HEDGE_SIM_API_KEY and
    HEDGE_SIM_API_SECRET say.
    """
    from hedge_sim.config import SimSettings  # noqa: PLC0415 - waits until it is asked for
    from hedge_sim.dialects import server  # noqa: PLC0415 - waits until it is asked for
    from hedge_sim.dialects.clock import WORLD_FILE  # noqa: PLC0415 - waits until it is asked for
    from hedge_sim.dialects.faults import parse_fault  # noqa: PLC0415 - waits until it is asked for

    stretch = {"end": END, "repeat_from": BEGIN}
    settings = SimSettings.model_validate(stretch | _balances(balances))
    begin_at = _begin_at(begin, settings)
    state = state_dir or _state_directory()
    account = dialect.value
    if reset:
        _forget(state, account)
    waits = speed is None
    if not (state / WORLD_FILE).exists():
        speed, slow = speed or FAST, slow or SLOW
    key, secret = (os.environ.get(name, "") for name in KEY_VARIABLES)
    server.main(
        server.Options(
            dialect=account,
            port=port,
            state_dir=state,
            world_dir=state,
            account=account,
            speed=speed,
            slow=slow or SLOW,
            begin_at=begin_at,
            waits=waits,
            faults=tuple(parse_fault(text) for text in fault or ()),
            settings=settings,
            padding=padding,
            limit_factor=limit_factor,
            for_s=for_s,
            keys=server.Keys(
                api_key=key or server.SIM_KEY,
                api_secret=secret or server.SIM_SECRET,
                public_key=_text(public_key),
                trade=not no_trade,
                withdraw=withdraw,
            ),
        )
    )


def _begin_at(text: str, settings: "SimSettings") -> int:
    from hedge_sim.recording import load, moment  # noqa: PLC0415 - waits until it is asked for

    recording = load(settings.data, end=END, bridge_max_s=settings.bridge_max_s)
    begin_at = moment(text)
    if not recording.start <= begin_at < recording.end:
        raise UsageError(f"--from {text}: before or after the recording {recording.name}")
    return begin_at


def _state_directory() -> Path:
    if given := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(given) / "sim"
    import platformdirs  # noqa: PLC0415 - waits until it is asked for

    return Path(platformdirs.user_state_path("hedge")) / "sim"


def _forget(state: Path, account: str) -> None:
    from hedge_sim.dialects.clock import forget_world  # noqa: PLC0415 - waits until it is asked for
    from hedge_sim.truth import path_of  # noqa: PLC0415 - waits until it is asked for

    path_of(state, account).unlink(missing_ok=True)
    if not forget_world(state):
        typer.echo("the world goes on: another server runs it", err=True)


def _balances(text: str) -> dict[str, dict[str, Decimal]]:
    import msgspec  # noqa: PLC0415 - waits until it is asked for

    if not text:
        return {}
    try:
        return {"balances": msgspec.json.decode(text, type=dict[str, Decimal])}
    except msgspec.MsgspecError as error:
        raise UsageError(f"--balances: {error}") from None


def _text(path: Path | None) -> str:
    try:
        return path.read_text(encoding="ascii") if path else ""
    except (OSError, ValueError) as error:
        raise ConfigError(f"--public-key: {path}: {error}") from None
