"""Starts wire simulators for tests: in this process on the running loop, or as a process."""

import asyncio
import contextlib
import functools
import json
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from hedge_sim.config import SimSettings
from hedge_sim.dialects.faults import Fault, parse_fault
from hedge_sim.dialects.server import Options, WireServer

READY_S = 20
LIFE_S = 90
DATA = "bundled:btc-8h-binance"
BALANCES = '{"USDT": "100000", "BTC": "1", "BNB": "10"}'
BEGIN = "2024-03-28"
HEDGE = str(Path(sys.executable).parent / "hedge")


def settings_of(**changes: Any) -> SimSettings:
    """Return `SimSettings` with plenty of USDT and a coin, unless told otherwise."""
    found: dict[str, Any] = {
        "data": DATA,
        "balances": {name: Decimal(held) for name, held in json.loads(BALANCES).items()},
    }
    return SimSettings.model_validate(found | changes)


@contextlib.asynccontextmanager
async def in_process(
    dialect: str, *, faults: tuple[str, ...] = (), sim: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[WireServer]:
    """Serve on the running loop, for clients that are asynchronous; gone with the block."""
    given = Options(
        dialect=dialect,
        settings=settings_of(**(sim or {})),
        faults=tuple(parse_fault(text) for text in faults),
        pulse_ms=options.pop("pulse_ms", 50),
        **options,
    )
    async with asyncio.timeout(LIFE_S), WireServer(given) as server:
        yield server


def awaited(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an asynchronous test on a loop of its own, for at most `LIFE_S`."""

    @functools.wraps(test)
    def run(*given: Any, **named: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(LIFE_S):
                await test(*given, **named)

        asyncio.run(bounded())

    return run


async def until(holds: Callable[[], bool], for_s: float = 5.0) -> None:
    """Wait until something holds; fail when it does not within the time."""
    async with asyncio.timeout(for_s):
        while not holds():  # noqa: ASYNC110 - what holds belongs to others, who set no event
            await asyncio.sleep(0.01)


class Process:
    """A server in a process of its own, for clients that block."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process = process
        self.url = url
        self.ws_url = url.replace("http://", "ws://")

    def ask(self, verb: str, path: str, body: object = None) -> Any:
        """Ask one of the ``/sim/...`` paths."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=verb)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def truth(self) -> Any:
        return self.ask("GET", "/sim/truth")

    def fault(self, name: str, **fields: Any) -> Any:
        """Switch a fault on (``rate="0"``: off), or do an action."""
        return self.ask("POST", "/sim/fault", {"name": name} | fields)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@contextlib.contextmanager
def as_process(
    dialect: str,
    *words: str,
    state: Path | None = None,
    port: int = 0,
    pace: tuple[str, ...] = ("--speed", "1", "--slow", "1"),
) -> Iterator[Process]:
    """Run `hedge sim serve` until the block ends, or by itself until `LIFE_S` have passed.

    ``words`` are further words of its line, such as ``"--fault", "cut=#3"``; recorded time passes
    like ours unless they, or ``pace``, say otherwise. The account's directory is ``state``, or is
    forgotten.
    """
    with tempfile.TemporaryDirectory() as folder:
        line = [
            HEDGE, "sim", "serve", "--dialect", dialect, "--port", str(port),
            "--for-s", str(LIFE_S), "--state-dir", str(state or folder), "--balances", BALANCES,
            "--from", BEGIN, *pace, *words,
        ]  # fmt: skip
        with _started(line) as process:
            yield process


@contextlib.contextmanager
def _started(line: list[str]) -> Iterator[Process]:
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stderr is not None
        ready = process.stdout.readline()
        if not ready.startswith("listening on "):
            raise RuntimeError(f"no server: {ready!r} {process.stderr.read()}")
        yield Process(process, ready.removeprefix("listening on ").strip())
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


__all__ = ["Fault", "Process", "as_process", "awaited", "in_process", "settings_of", "until"]
