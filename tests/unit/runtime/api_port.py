"""A fake engine behind the real API, and ways to run and ask it: the client, and raw bytes."""

import asyncio
import http.client
import json
import selectors
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from hedge.runtime import client
from hedge.runtime.api import Feed, StatusApi
from hedge.runtime.snapshot import HedgeSnapshot

AT = 1_700_000_000_000_000_000

BTC = HedgeSnapshot(
    name="btc",
    at=AT,
    symbol="BTC/USDT",
    spot_venue="sim",
    futures_venue="sim",
    inventory=Decimal("0.1500"),
    position=Decimal("-0.15"),
    delta=Decimal("0E-8"),
    delta_quote=Decimal("-3.5"),
    spot_mid=Decimal(60000),
    futures_mid=Decimal(60100),
    spot_stream_age_ms=250,
    futures_clock_offset=-10_000_000,
    reconciled_at=AT,
)


class FakePort:
    """What the API reaches of an engine: it shows its ``shots``, and keeps what it is asked."""

    def __init__(self, *shots: HedgeSnapshot) -> None:
        self.shots = list(shots or (BTC,))
        self.asked: list[dict[str, Any]] = []
        self.books: dict[str, object] = {
            "unexplained": Decimal("0.00"),
            "ends_at": "2023-11-14T22:13:20.123456789Z",
        }
        self.feed = Feed()
        self.error: Exception | None = None
        self.accepted = True
        self.gone: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """Of all that it was told to run."""
        return [*(shot.name for shot in self.shots), *self.gone]

    def snapshots(self) -> list[HedgeSnapshot]:
        return self.shots

    def absent(self) -> dict[str, str]:
        return self.gone

    def ask(self, hedge: str, **fields: Any) -> Mapping[str, object]:
        if self.error is not None:
            raise self.error
        self.asked.append({"hedge": hedge, **fields})
        return {"accepted": self.accepted, "text": f"{fields['verb'].value} it is"}

    def subscribe(self) -> AsyncIterator[dict[str, Any]]:
        return self.feed.subscribe()

    def report(self, hedge: str) -> dict[str, object]:
        if self.error is not None:
            raise self.error
        return {"hedge": hedge, **self.books}

    def now(self) -> int:
        return AT


class VirtualSelector(selectors.DefaultSelector):
    """Never waits for a timer: the time it was asked to wait has passed at once."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout > 0:
            self.passed += timeout
            timeout = 0
        return super().select(timeout)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.virtual = VirtualSelector()
        super().__init__(self.virtual)
        # a resolution below the clock's own steps would leave a due timer waiting for ever
        self._clock_resolution = 0.001

    def time(self) -> float:
        return self.virtual.passed


Scenario = Callable[[StatusApi], Awaitable[Any]]


def serve(
    tmp_path: Path,
    port: FakePort,
    scenario: Scenario,
    *,
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    **options: Any,
) -> Any:
    async def main() -> Any:
        api = StatusApi(
            port, hedges=port.names, runtime_dir=tmp_path, index_dirs=(tmp_path,), **options
        )
        await api.start()
        try:
            return await scenario(api)
        finally:
            await api.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


@contextmanager
def in_a_thread(state: Path, port: FakePort, **options: Any) -> Iterator[str]:
    """Run the API in a thread of its own, for who blocks; yield its socket."""
    up, paths, over = threading.Event(), [], []

    async def run() -> None:
        api = StatusApi(port, hedges=port.names, runtime_dir=state, index_dirs=(state,), **options)
        await api.start()
        paths.append(str(api.socket_path))
        stop = asyncio.Event()
        over.append((asyncio.get_running_loop(), stop))
        up.set()
        await stop.wait()
        await api.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert up.wait(10)
    try:
        yield paths[0]
    finally:
        loop, stop = over[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def raw(path: Path, text: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes as they are; return the status and the JSON of the reply."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(path))
        sock.sendall(text)
        reply = http.client.HTTPResponse(sock)
        reply.begin()
        body = reply.read()
        reply.close()
    return reply.status, json.loads(body) if body.startswith(b"{") else {"text": body.decode()}


async def post(api: StatusApi, verb: str, **body: object) -> dict[str, Any]:
    return await asyncio.to_thread(client.Client(str(api.socket_path)).post, verb, body)


async def get(api: StatusApi, route: str, **query: str) -> dict[str, Any]:
    engine = client.Client(str(api.socket_path))
    return await asyncio.to_thread(lambda: engine.get(route, **query))


async def send(api: StatusApi, head: str, body: bytes = b"", host: str = "hedge") -> Any:
    lines = f"{head}\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    assert api.socket_path is not None
    return await asyncio.to_thread(raw, api.socket_path, lines + body)
