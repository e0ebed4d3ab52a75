"""What one book-ticker message costs from the socket to the core's state, in CPU time.

A process of its own floods a Binance book ticker; the plugin's own stream, pump and engine take it,
beside an order that rests. Prints one JSON object.
"""

import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "core"), str(ROOT / "plugins")]

from picows import (  # noqa: E402 - the paths above come first, so that no install is needed
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from bench import stream  # noqa: E402 - as said
from hedge.decide.mode import Mode  # noqa: E402 - as said
from hedge.journal import JournalLog  # noqa: E402 - as said
from hedge.journal.committer import InlineCommitter  # noqa: E402 - as said
from hedge.model import Instrument, InstrumentKind, Leg  # noqa: E402 - as said
from hedge.roles import VenueContext  # noqa: E402 - as said
from hedge.runtime.clock import RealClock, new_loop  # noqa: E402 - as said
from hedge.runtime.pump import Pump  # noqa: E402 - as said
from hedge.runtime.sinks import market_sink  # noqa: E402 - as said
from hedge_binance.config import BinanceSettings  # noqa: E402 - as said
from hedge_binance.instruments import Listing  # noqa: E402 - as said
from hedge_binance.link import Link  # noqa: E402 - as said
from hedge_binance.market import Market  # noqa: E402 - as said

ROUND = 10_000
ROUNDS = 10
BATCH = 20
"""So many messages go out in one write: what a busy second of fifty instruments looks like."""
SYMBOL = "BTC/USDT"


def ticker(number: int) -> bytes:
    """Return a combined-stream frame; the price wiggles within what leaves a decision standing."""
    bid = Decimal(60_000) + Decimal(number % 3) / 10
    return (
        f'{{"stream":"btcusdt@bookTicker","data":{{"u":{number},"s":"BTCUSDT","b":"{bid:.8f}",'
        f'"B":"25.00000000","a":"{bid + Decimal("0.1"):.8f}","A":"25.00000000"}}}}'
    ).encode()


class Flood(WSListener):
    """The venue: acknowledges the subscription, and then speaks as fast as it is heard."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        call = json.loads(frame.get_payload_as_bytes())
        transport.send(WSMsgType.TEXT, json.dumps({"result": None, "id": call["id"]}).encode())
        if call["method"] == "SUBSCRIBE":
            self.speaking = asyncio.create_task(self.speak(transport))

    async def speak(self, transport: WSTransport) -> None:
        frames = [ticker(number) for number in range(BATCH)]
        await asyncio.sleep(0.2)
        for _ in range(ROUND * (ROUNDS + 1) // BATCH + 1):
            for one in frames:
                transport.send(WSMsgType.TEXT, one)
            await asyncio.sleep(0.000_5)


async def serve() -> None:
    def hear(_: WSUpgradeRequest) -> WSListener:
        return Flood()

    server = await ws_create_server(hear, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - a starter waits for it
    await server.serve_forever()


async def measure(port: int, folder: Path) -> dict[str, Any]:
    """Return the CPU time of a message, and how much of a core 5,000 a second take."""
    recorder = stream.Recorder()
    recorder.record(20_000)
    engine = recorder.engine
    assert engine.books.mode is Mode.INVENTORY, engine.books.mode
    clock = RealClock()
    log = JournalLog.open(folder, hedge="bench", at=clock.now())

    def failed(error: BaseException) -> None:
        raise error

    pump = Pump(engine, log, InlineCommitter(log, on_error=failed), fail=failed)
    context = VenueContext(
        settings=BinanceSettings(
            environment="local", spot_url=f"http://127.0.0.1:{port}",
            spot_stream_url=f"ws://127.0.0.1:{port}", heartbeat_ms=10_000, silence_ms=30_000,
        ),
        clock=clock, environment="local", shared={},
    )  # fmt: skip
    listing = Listing(
        "BTCUSDT", "BTC",
        Instrument(
            venue="binance", symbol=SYMBOL, kind=InstrumentKind.SPOT, base="BTC", quote="USDT",
            tick=Decimal("0.1"), lot=Decimal("0.00001"),
        ),
    )  # fmt: skip
    link = Link(context)
    heard = 0
    looked: list[int] = []
    done = asyncio.get_running_loop().create_future()
    inner = market_sink(Leg.SPOT, SYMBOL, clock, pump.feed)

    def sink(news: Any) -> None:
        nonlocal heard
        inner(news)
        heard += 1
        if heard % ROUND == 0:
            looked.append(time.process_time_ns())
            if len(looked) == ROUNDS + 1:
                done.set_result(None)

    await link.open()
    await Market(link, Leg.SPOT).listen(listing, sink)
    await asyncio.wait_for(done, 60)
    await link.close()
    log.close()
    took = [after - before for before, after in itertools.pairwise(looked)]
    each = min(took) / ROUND / 1_000
    return {
        "us": each,
        "n": ROUND,
        "median_us": statistics.median(took) / ROUND / 1_000,
        "core_at_5000_per_s": each * 5_000 / 1e6,
    }


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve())
        return
    with tempfile.TemporaryDirectory(prefix="hedge-bench-") as folder:
        venue = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True
        )
        try:
            assert venue.stdout is not None
            port = int(venue.stdout.readline())
            with asyncio.Runner(loop_factory=lambda: new_loop(virtual=False, factor=1)) as runner:
                found = runner.run(measure(port, Path(folder)))
        finally:
            venue.kill()
            venue.wait(10)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
