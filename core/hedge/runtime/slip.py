"""What an unwinding of both legs is expected to slip by, from the quotes that stand now."""

from collections.abc import Iterator
from decimal import ROUND_UP, Decimal

from hedge.decide.engine import Engine
from hedge.decide.terms import millis
from hedge.model import Leg, Quote
from hedge.model.numbers import BPS, ZERO, plain

STEP = Decimal("0.001")


def slip_bps(engine: Engine, at: int) -> Decimal | None:
    """Return what crossing half the spread on both legs costs, in bps of the larger leg's notional.

    That and no more: fees, what lies beyond the best prices, and where prices go meanwhile are not
    in it, and the spot leg, which rests before it crosses, may pay less. None where a holding is
    not known, or a quote is missing, old, or from before its stream broke off.
    """
    if not engine.legs_known or any(_stale(engine, leg, at) for leg in Leg):
        return None
    costs, notionals = [ZERO], [ZERO]
    for _, held, quote in _legs(engine):
        costs.append(abs(held) * (quote.ask - quote.bid) / 2)
        notionals.append(abs(held) * quote.mid)
    most = max(notionals)
    return (sum(costs, ZERO) / most / BPS).quantize(STEP, ROUND_UP) if most else ZERO


def beyond_depth(engine: Engine) -> str:
    """Say which leg is more than the five best levels would take, "" where none is known to be."""
    said = []
    for leg, held, quote in _legs(engine):
        depth = quote.bid_depth if held > 0 else quote.ask_depth
        if depth and abs(held) > depth:  # zero where the venue does not say
            said.append(f"{leg.value} {plain(abs(held))}, the five best levels hold {plain(depth)}")
    return "; ".join(said)


def _stale(engine: Engine, leg: Leg, at: int) -> bool:
    market = engine.market
    return (
        market.quotes[leg] is None
        or leg in market.broken_off
        or not market.connected(leg)
        or market.age(leg, at) > millis(engine.terms.limits.feed_stale_ms)
    )


def _legs(engine: Engine) -> Iterator[tuple[Leg, Decimal, Quote]]:
    for leg, held in ((Leg.SPOT, engine.inventory), (Leg.FUTURES, engine.position)):
        quote = engine.market.quotes[leg]
        if quote is not None:
            yield leg, held, quote
