"""Goal: the socket shows the truth, obeys its owner only, and refuses what is not plain.

Method: the real server on a real Unix socket, a fake engine by injection, raw HTTP beside it.
"""

import asyncio
import http.client
import os
import socket
import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from api_port import AT, BTC, FakePort, VirtualLoop, get, post, send, serve
from msgspec.structs import replace

from hedge.decide.events import Verb
from hedge.errors import ConfigError, HedgeError, JournalError, SafetyRefusal, UsageError
from hedge.runtime import client
from hedge.runtime.api import Feed, StatusApi
from hedge.runtime.snapshot import HedgeSnapshot

# -- reading -------------------------------------------------------------------------------------


def test_status_is_an_envelope_with_money_as_strings(tmp_path: Path) -> None:
    async def scenario(api: StatusApi) -> dict[str, Any]:
        return await get(api, "/v1/status")

    shown = serve(tmp_path, FakePort(), scenario)
    assert (shown["schema"], shown["at"]) == ("hedge.status/1", "2023-11-14T22:13:20.000000Z")
    assert (shown["data"]["pid"], shown["data"]["started_at"]) == (os.getpid(), AT)
    hedge = shown["data"]["hedges"][0]
    assert (hedge["inventory"], hedge["position"], hedge["delta"]) == ("0.15", "-0.15", "0")
    assert hedge["margin_ratio"] is None


def test_report_health_and_one_hedge_of_two(tmp_path: Path) -> None:
    eth = HedgeSnapshot(name="eth", at=AT, symbol="E", spot_venue="s", futures_venue="f", trip="X")

    async def scenario(api: StatusApi) -> Any:
        with pytest.raises(UsageError, match="name the hedge, one of: btc, eth"):
            await get(api, "/v1/report")
        with pytest.raises(UsageError, match="did you mean 'btc'"):
            await get(api, "/v1/status", hedge="btd")
        return (
            await get(api, "/v1/report", hedge="btc"),
            await get(api, "/v1/status", hedge="eth"),
            await get(api, "/healthz"),
        )

    port = FakePort(BTC, eth)
    port.gone["sol"] = "not started: waits for its venues"
    report, status, health = serve(tmp_path, port, scenario)
    assert (report["data"]["hedge"], report["data"]["unexplained"]) == ("btc", "0")
    assert [hedge["name"] for hedge in status["data"]["hedges"]] == ["eth"]
    assert health["status"] == "degraded"
    assert list(health["worries"]) == ["eth", "sol"]


def test_metrics_are_prometheus_text(tmp_path: Path) -> None:
    async def scenario(api: StatusApi) -> Any:
        before = await send(api, "GET /metrics HTTP/1.1")
        assert "hedge_pnl_unexplained{" not in before[1]["text"], "no report was asked for yet"
        await get(api, "/v1/report", hedge="btc")
        local = await send(api, "GET /metrics HTTP/1.1")

        def scrape() -> tuple[int, str, int]:
            assert api.metrics_port is not None
            page = http.client.HTTPConnection("127.0.0.1", api.metrics_port, timeout=5)
            page.request("GET", "/metrics")
            reply = page.getresponse()
            text = reply.read().decode()
            page.close()
            page.request("POST", "/v1/stop", "{}")
            other = page.getresponse()
            other.read()
            page.close()
            return reply.status, text, other.status

        return local, await asyncio.to_thread(scrape)

    port = FakePort()
    local, (status, text, other) = serve(tmp_path, port, scenario, metrics_listen="127.0.0.1:0")
    assert local[0] == status == 200
    for line in (
        'hedge_unhedged_usd{hedge="btc"} 3.5',
        'hedge_mode{hedge="btc",mode="HALT"} 1.0',
        'hedge_mode{hedge="btc",mode="INVENTORY"} 0.0',
        'hedge_stream_age_seconds{hedge="btc",leg="spot"} 0.25',
        'hedge_order_rejects_total{hedge="btc",leg="spot"} 0.0',
        'hedge_fill_to_hedge_seconds_count{hedge="btc"} 0.0',
        'hedge_clock_offset_seconds{hedge="btc",leg="futures"} -0.01',
        'hedge_pnl_unexplained{hedge="btc"} 0.0',
        'hedge_pnl_measured_timestamp{hedge="btc"} 1.700000000123456e+09',
        'hedge_last_reconcile_timestamp{hedge="btc"} 1.7e+09',
        'hedge_funding_total{hedge="btc"} 0.0',
        'hedge_fees_total{hedge="btc"} 0.0',
    ):
        assert line in text
    assert "hedge_margin_ratio{" not in text
    assert 'hedge_clock_offset_seconds{hedge="btc",leg="spot"}' not in text, "not measured yet"
    assert (other, port.asked) == (404, [])


# -- commands ------------------------------------------------------------------------------------


def test_a_command_reaches_the_engine_with_who_and_what(tmp_path: Path) -> None:
    port = FakePort()

    async def scenario(api: StatusApi) -> Any:
        await post(api, "stop", hedge="btc", request_id="r-1")
        await post(api, "scale", usd="20000.50")
        await post(api, "resolve", subject="H-1-S-3", quantity="0")
        return await send(api, "POST /v1/adopt HTTP/1.1", b'{"quantity": 0.1}')

    status, said = serve(tmp_path, port, scenario)
    assert (status, said["accepted"], said["text"]) == (200, True, "adopt it is")
    stop, scale, resolve, adopt = port.asked
    assert (stop["hedge"], stop["verb"], stop["request_id"]) == ("btc", Verb.STOP, "r-1")
    assert stop["by"].startswith(f"uid {os.geteuid()} pid ")
    assert scale["usd"] == Decimal("20000.50")
    assert scale["request_id"]
    assert (resolve["subject"], resolve["quantity"]) == ("H-1-S-3", 0)
    assert adopt["quantity"] == Decimal("0.1")


def test_a_refusal_of_the_engine_is_an_error_with_its_words(tmp_path: Path) -> None:
    port = FakePort()
    port.accepted = False

    async def scenario(api: StatusApi) -> None:
        with pytest.raises(SafetyRefusal, match="pause it is"):
            await post(api, "pause")

    serve(tmp_path, port, scenario)


@pytest.mark.parametrize(
    ("verb", "body", "text"),
    [
        ("stop", b'{"hedg": "btc"}', "unknown key 'hedg'; did you mean 'hedge'?"),
        ("stop", b'{"usd": "1"}', "'usd' means nothing to stop"),
        ("stop", b"[]", "one JSON object"),
        ("stop", b"{", "not JSON"),
        ("stop", b"\xff\xfe", "not JSON"),
        ("stop", b"[" * 4000, "not JSON"),
        ("scale", b'{"usd": 1e99999999999999999999}', "not JSON"),
        ("stop", b'{"hedge": {"a": 1}}', "hedge must be one line of text"),
        ("stop", b'{"hedge": "btc", "hedge": "eth"}', "stands twice"),
        ("stop", b'{"request_id": "a b"}', "request_id takes"),
        ("stop", b'{"hedge": "' + b"x" * 300 + b'"}', "at most 200"),
        ("ack", b'{"subject": "a\\nb"}', "one line of text"),
        ("ack", b"{}", "ack needs 'subject'"),
        ("scale", b"{}", "scale needs 'usd'"),
        ("scale", b'{"usd": NaN}', "NaN is not a number"),
        ("scale", b'{"usd": "NaN"}', "finite"),
        ("scale", b'{"usd": "Infinity"}', "finite"),
        ("scale", b'{"usd": "-5"}', "not negative"),
        ("scale", b'{"usd": 0}', "more than zero"),
        ("scale", b'{"usd": "1e999999"}', "sane size"),
        ("scale", b'{"usd": true}', "must be a number"),
        ("scale", b'{"usd": "ten"}', "not a number"),
        ("adopt", b'{"quantity": "0"}', "more than zero"),
    ],
)
def test_a_body_that_is_not_plain_is_refused(
    tmp_path: Path, verb: str, body: bytes, text: str
) -> None:
    port = FakePort()

    async def scenario(api: StatusApi) -> Any:
        return await send(api, f"POST /v1/{verb} HTTP/1.1", body)

    status, said = serve(tmp_path, port, scenario)
    assert (status, said["exit_code"]) == (400, 2)
    assert text in said["error"]
    assert port.asked == []


@pytest.mark.parametrize(
    ("head", "host", "body", "status"),
    [
        ("POST /v1/stop HTTP/1.1", "evil.example", b"{}", 421),
        ("POST /v1/stop HTTP/1.1\r\nOrigin: http://hedge", "hedge", b"{}", 403),
        ("POST /v1/stop HTTP/1.1", "hedge", b" " * 5000, 413),
        ("GET /v1/stop HTTP/1.1", "hedge", b"", 405),
        ("POST /v1/status HTTP/1.1", "hedge", b"{}", 405),
        ("POST /v1/withdraw HTTP/1.1", "hedge", b"{}", 404),
        ("POST /v1/stop HTTP/1.1", "hedge", b'{"hedge": "eth"}', 404),
    ],
)
def test_the_door(tmp_path: Path, head: str, host: str, body: bytes, status: int) -> None:
    port = FakePort()

    async def scenario(api: StatusApi) -> Any:
        return await send(api, head, body, host)

    found, said = serve(tmp_path, port, scenario)
    assert found == status
    assert said["exit_code"] in (2, 5)
    assert port.asked == []


# -- liquidation ---------------------------------------------------------------------------------


def test_liquidation_needs_the_code_of_its_preview(tmp_path: Path) -> None:
    port = FakePort()
    codes = iter(["111111", "222222", "333333"])
    clock = [0]

    async def scenario(api: StatusApi) -> None:
        with pytest.raises(SafetyRefusal, match="preview first"):
            await post(api, "liquidate", confirm="111111")
        with pytest.raises(client.ConfirmationNeeded) as needed:
            await post(api, "liquidate")
        assert needed.value.code == "111111"
        assert needed.value.preview["inventory"] == "0.15"
        assert needed.value.preview["notional"] == "18015"
        with pytest.raises(SafetyRefusal, match="not the code"):
            await post(api, "liquidate", confirm="999999")
        with pytest.raises(SafetyRefusal, match="preview first"):
            await post(api, "liquidate", confirm="111111")
        with pytest.raises(client.ConfirmationNeeded):
            await post(api, "liquidate")
        clock[0] = 61_000_000_000
        with pytest.raises(SafetyRefusal, match="older than 60 s"):
            await post(api, "liquidate", confirm="222222")
        assert port.asked == []
        with pytest.raises(client.ConfirmationNeeded):
            await post(api, "liquidate")
        assert (await post(api, "liquidate", confirm="333333"))["accepted"]

    serve(tmp_path, port, scenario, new_code=lambda: next(codes), monotonic_ns=lambda: clock[0])
    assert [asked["verb"] for asked in port.asked] == [Verb.LIQUIDATE]


def test_a_bound_on_the_slippage_refuses_what_it_cannot_check(tmp_path: Path) -> None:
    async def blind(api: StatusApi) -> None:
        with pytest.raises(SafetyRefusal, match="cannot be estimated"):
            await post(api, "liquidate", max_slip_bps="5")

    async def seeing(api: StatusApi) -> None:
        with pytest.raises(SafetyRefusal, match=r"SLIP_ABOVE_MAX: slip_bps=2.5 max=2"):
            await post(api, "liquidate", max_slip_bps="2")
        with pytest.raises(client.ConfirmationNeeded):
            await post(api, "liquidate", max_slip_bps="3")

    serve(tmp_path, FakePort(), blind)
    serve(tmp_path, FakePort(replace(BTC, unwind_slip_bps=Decimal("2.5"))), seeing)


# -- what breaks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [AssertionError("invariant"), JournalError("disk full")])
def test_a_command_that_breaks_the_engine_ends_it(tmp_path: Path, error: Exception) -> None:
    port = FakePort()
    port.error = error

    async def scenario(api: StatusApi) -> None:
        serving = asyncio.create_task(api.serve())
        with pytest.raises(HedgeError):
            await post(api, "stop")
        with pytest.raises(type(error)):
            await serving

    serve(tmp_path, port, scenario)


def test_a_view_that_breaks_ends_nothing(tmp_path: Path) -> None:
    port = FakePort()
    port.error = AssertionError("report")

    async def scenario(api: StatusApi) -> None:
        serving = asyncio.create_task(api.serve())
        with pytest.raises(HedgeError, match="internal error"):
            await get(api, "/v1/report")
        assert not serving.done()
        await api.close()
        await serving

    serve(tmp_path, port, scenario)


# -- events --------------------------------------------------------------------------------------


def test_events_are_streamed_to_who_asks_for_them(tmp_path: Path) -> None:
    port = FakePort()

    async def scenario(api: StatusApi) -> list[bytes]:
        reader, writer = await asyncio.open_unix_connection(str(api.socket_path))
        writer.write(b"GET /v1/events?hedge=btc HTTP/1.1\r\nHost: hedge\r\n\r\n")
        await reader.readuntil(b": from here on\n\n")
        port.feed.publish({"hedge": "eth", "event": "fill"})
        port.feed.publish({"hedge": "btc", "event": "fill", "quantity": Decimal("1E+2")})
        line = await reader.readuntil(b"}\n\n")
        writer.close()
        return line.split(b"\r\n")

    lines = serve(tmp_path, port, scenario)
    assert b'data: {"hedge": "btc", "event": "fill", "quantity": "100"}\n\n' in lines


def test_a_slow_client_is_dropped_and_nobody_waits(tmp_path: Path) -> None:
    port = FakePort()

    async def scenario(api: StatusApi) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(api.socket_path), limit=2**10)
        writer.write(b"GET /v1/events HTTP/1.1\r\nHost: hedge\r\n\r\n")
        await reader.readuntil(b": from here on\n\n")
        for _ in range(400):
            port.feed.publish({"event": "x" * 10_000})
            await asyncio.sleep(0)
        got = b""
        while chunk := await reader.read(65536):
            got += chunk
        writer.close()
        return got

    got = serve(tmp_path, port, scenario, events_max=4)
    assert not got.endswith(b"0\r\n\r\n")


def test_a_feed_ends_the_subscriber_that_falls_behind() -> None:
    async def main() -> list[Any]:
        feed = Feed(events_max=2)
        items = feed.subscribe()
        for number in range(5):
            feed.publish({"n": number})
        return [item async for item in items]

    assert asyncio.run(main()) == [{"n": 0}, {"n": 1}]


# -- sockets, index, loops -----------------------------------------------------------------------


def test_only_we_can_reach_the_socket_and_the_index(tmp_path: Path) -> None:
    async def scenario(api: StatusApi) -> None:
        assert api.socket_path is not None
        for path, mode in (
            (api.socket_path, 0o600),
            (api.socket_path.parent, 0o700),
            (tmp_path / ".engines", 0o700),
            (tmp_path / ".engines" / "btc.json", 0o600),
        ):
            assert stat.S_IMODE(path.stat().st_mode) == mode
        entry = client.find("btc", [tmp_path])
        assert (entry.pid, entry.socket) == (os.getpid(), str(api.socket_path))

    serve(tmp_path, FakePort(), scenario)
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_a_long_directory_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    where: list[Path] = []

    async def scenario(api: StatusApi) -> dict[str, Any]:
        assert api.socket_path is not None
        where.append(api.socket_path)
        assert len(str(api.socket_path)) < 108
        assert stat.S_IMODE(api.socket_path.parent.stat().st_mode) == 0o700
        assert client.find("btc", [deep]).socket == str(api.socket_path)
        return await get(api, "/v1/status")

    assert serve(deep, FakePort(), scenario)["data"]["pid"] == os.getpid()
    assert not where[0].parent.exists()


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:9464", "localhost:1", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"]
)
def test_metrics_are_served_on_loopback_or_not_at_all(tmp_path: Path, listen: str) -> None:
    with pytest.raises(ConfigError, match=r"\[metrics\] listen"):
        serve(tmp_path, FakePort(), lambda api: get(api, "/healthz"), metrics_listen=listen)


def test_a_port_in_use_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match="in use"):
            serve(tmp_path, FakePort(), lambda api: get(api, "/healthz"), metrics_listen=listen)
    assert list(tmp_path.iterdir()) == []


def test_it_works_on_virtual_time_and_leaves_no_timer_behind(tmp_path: Path) -> None:
    port = FakePort()
    loops: list[VirtualLoop] = []

    def loop() -> VirtualLoop:
        loops.append(VirtualLoop())
        return loops[0]

    async def scenario(api: StatusApi) -> int:
        asking = asyncio.create_task(post(api, "stop"))
        hours = 0
        while not asking.done():
            await asyncio.sleep(3_600)
            hours += 1
        assert (await asking)["accepted"]
        passed = loops[0].time()
        await get(api, "/v1/status")
        assert loops[0].time() == passed
        return hours

    assert serve(tmp_path, port, scenario, loop=loop) > 0
    assert len(port.asked) == 1
