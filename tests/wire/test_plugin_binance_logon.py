"""The log-on of the Binance plugin's order connections.

Goal: an Ed25519 key logs each connection on once and signs nothing behind it, any other key signs
everything; nothing is sent unsigned where nobody has logged on, and neither a log-on that fails nor
a session that ends loses an order, leaves one in doubt, or is said to have failed twice. Method:
the wire simulators behind a relay that keeps what was sent and answers some of it in their place.
"""

import asyncio
import contextlib

import pytest
from between import Relay, serving
from binance_desk import desk, ed25519, legs, run
from desks import SYMBOLS

from hedge.errors import OutcomeUnknown, Refused
from hedge.model import Fill, Leg, ReportedStatus, StreamDown, StreamUp
from hedge_sim.dialects.faults import Fault

PATHS = {Leg.SPOT: "/ws-api/v3", Leg.FUTURES: "/ws-fapi/v1"}
LOG_ON = "session.logon"
ACTS = ("order.place", "order.cancel", "userDataStream.subscribe")
"""What needs a key and a signature, or a session; the last by the beginning of its name."""
REVOKED = {
    "id": None,
    "status": 401,
    "error": {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
}
"""Word for word, web-socket-api.md, "Session Authentication"."""


@contextlib.asynccontextmanager
async def relayed(leg, meddle=None, **options):
    """Open a desk whose order connections go through a relay."""
    relay = Relay(meddle)
    async with (
        serving(relay.handle) as where,
        desk(leg, **options | {f"{leg.value}_ws_url": f"ws://{where}"}) as it,
    ):
        relay.url = it.server(leg).ws_url + PATHS[leg]
        yield it, relay


def methods(line):
    return [message["method"] for message in line]


def acts(line):
    return [message for message in line if message["method"].startswith(ACTS)]


def signs(message):
    params = message.get("params", {})
    assert ("apiKey" in params) == ("signature" in params)
    return "signature" in params


def once(answers, *names):
    """Return a `Relay`'s meddler: the first request of each name is answered so."""
    left = list(names)

    def meddle(message):
        if message["method"] not in left:
            return None
        left.remove(message["method"])
        return answers(message)

    return meddle


def refusing(code):
    def answers(message):
        return [{"id": message["id"], "status": 400, "error": {"code": code, "msg": "no"}}]

    return answers


async def trade(it, leg):
    """Fill one order; rest and cancel another."""
    gateway = it.gateway(leg)
    assert (await gateway.place_order(await it.order(leg))).status is ReportedStatus.FILLED
    resting = await it.order(leg, away="0.01")
    assert (await gateway.place_order(resting)).status is ReportedStatus.WORKING
    report = await gateway.cancel_order(SYMBOLS[leg], resting.client_order_id)
    assert report.status is ReportedStatus.CANCELLED


async def next_line(it, leg, relay, lines):
    socket = (await it.gateway(leg).stream()).entry.socket
    await it.until(lambda: len(relay.heard) == lines and socket.ready)
    await it.until(lambda: socket.line.number == lines)


@legs()
def test_each_connection_logs_on_once_and_signs_nothing_behind_it(leg):
    async def work():
        async with relayed(leg, **ed25519()) as (it, relay):
            await it.listen(leg)
            await trade(it, leg)
            it.server(leg).act(Fault(name="cut"))
            await next_line(it, leg, relay, 2)
            await trade(it, leg)
            it.server(leg).act(Fault(name="server_shutdown", ms=5_000))
            await next_line(it, leg, relay, 3)
            await trade(it, leg)
            await it.until(lambda: len({fill.fill_id for fill in it.told(leg, Fill)}) == 3)
            for line in relay.heard:
                assert methods(line)[0] == LOG_ON and methods(line).count(LOG_ON) == 1
                assert signs(line[0])
                assert len(acts(line)) == (4 if leg is Leg.SPOT else 3)
                assert not any(map(signs, line[1:]))
                stamps = [
                    one["params"]["timestamp"] for one in acts(line) if "order" in one["method"]
                ]
                assert all(stamps), "the time of an order counts without its signature"

    run(work)


@legs()
def test_an_hmac_key_never_logs_on(leg):
    async def work():
        async with relayed(leg) as (it, relay):
            await it.listen(leg)
            await trade(it, leg)
            (line,) = relay.heard
            assert LOG_ON not in methods(line)
            assert acts(line) and all(map(signs, acts(line)))

    run(work)


@legs()
@pytest.mark.parametrize("answers", [refusing(-4056), refusing(-1021), lambda _: []])
def test_a_log_on_that_is_refused_or_not_answered_leaves_a_line_that_signs(leg, answers):
    async def work():
        async with relayed(leg, once(answers, LOG_ON), **ed25519()) as (it, relay):
            await it.listen(leg)
            await trade(it, leg)
            (line,) = relay.heard
            assert methods(line).count(LOG_ON) == 1
            assert acts(line) and all(map(signs, acts(line)))
            (said,) = it.link.troubles
            assert "line 1 is not logged on, its requests are signed" in said.text
            it.server(leg).act(Fault(name="cut"))
            await next_line(it, leg, relay, 2)
            await trade(it, leg)
            assert not any(map(signs, acts(relay.heard[1]))), "the next one is asked again"

    run(work)


@legs()
def test_a_revoked_session_leaves_its_order_in_doubt_and_ends_its_line(leg):
    meddle = once(lambda _: [REVOKED], "order.place")

    async def work():
        async with relayed(leg, meddle, **ed25519()) as (it, relay):
            await it.listen(leg)
            with pytest.raises(OutcomeUnknown, match="revoked"):
                await it.gateway(leg).place_order(await it.order(leg))
            await next_line(it, leg, relay, 2)
            await trade(it, leg)
            assert len(it.server(leg).house.fills(leg)) == 1
            if leg is Leg.SPOT:  # what the session had subscribed to is not said to live
                await it.until(lambda: len(it.told(leg, StreamUp)) == 2)
                assert len(it.told(leg, StreamDown)) == 1

    run(work)


@legs()
def test_of_two_orders_a_revocation_refuses_neither(leg):
    """It does not say which of them met it: either may have been taken."""
    places = iter(([], [REVOKED]))
    meddle = once(lambda _: next(places), "order.place", "order.place")

    async def work():
        async with relayed(leg, meddle, ack_timeout_ms=5_000, **ed25519()) as (it, relay):
            await it.listen(leg)
            orders = [await it.order(leg), await it.order(leg)]
            older, newer = await asyncio.gather(
                *map(it.gateway(leg).place_order, orders), return_exceptions=True
            )
            for order in (older, newer):
                assert isinstance(order, OutcomeUnknown) and "revoked" in str(order)
            await next_line(it, leg, relay, 2)

    run(work)


@legs()
@pytest.mark.parametrize("code", [-1102, -1103, -2015])
def test_a_line_that_is_logged_on_no_more_signs(leg, code):
    meddle = once(refusing(code), "order.place")

    async def work():
        async with relayed(leg, meddle, **ed25519()) as (it, relay):
            await it.listen(leg)
            with pytest.raises(Refused, match=f"binance {code}"):
                await it.gateway(leg).place_order(await it.order(leg))
            await trade(it, leg)
            (line,) = relay.heard
            first, *others = [one for one in acts(line) if one["method"].startswith("order")]
            assert not signs(first) and all(map(signs, others))
            (said,) = it.link.troubles
            assert "line 1 is logged on no more: its requests are signed" in said.text

    run(work)


def test_a_subscription_that_the_session_does_not_carry_is_signed():
    meddle = once(refusing(-1193), "userDataStream.subscribe")

    async def work():
        async with relayed(Leg.SPOT, meddle, **ed25519()) as (it, relay):
            await it.listen(Leg.SPOT)
            await trade(it, Leg.SPOT)
            await it.until(lambda: it.told(Leg.SPOT, Fill))
            (line,) = relay.heard
            assert methods(line)[:3] == [
                LOG_ON, "userDataStream.subscribe", "userDataStream.subscribe.signature"
            ]  # fmt: skip
            assert all(map(signs, acts(line)[1:]))

    run(work)
