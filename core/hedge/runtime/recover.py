"""Asking the venues how things stand: the one piece of code behind start, reconnect and audit.

What it finds goes to the core as one fact. A part that could not be read makes the whole read a
failure: nothing in here turns "no answer" into an empty list or a zero (R10).
"""

from decimal import Decimal

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.terms import HedgeTerms
from hedge.errors import Missing, Unreachable
from hedge.model import Balance, FundingPayment, InstrumentStatus, Leg, OrderReport
from hedge.model.numbers import SECOND, ZERO
from hedge.roles import Clock, MarketFeed, OrderGateway
from hedge.runtime.customs import sound
from hedge.runtime.roles_open import Roles

STATUS_KEPT = 60 * SECOND
EQUITY_TRIES = 3


class Auditor:
    """Reads legs and equity; keeps only how lately an instrument's status was read."""

    def __init__(self, roles: Roles, terms: HedgeTerms, clock: Clock) -> None:
        self._roles = roles
        self._terms = terms
        self._clock = clock
        self._status: dict[Leg, tuple[int, bool, str]] = {}

    async def audit(self, command: c.AuditLeg) -> e.LegAudited:
        """Read one leg whole; raise whatever part of it failed, or was not sound."""
        read = await self._read(command)
        sound(read, e.LegAudited)
        return read

    async def _read(self, command: c.AuditLeg) -> e.LegAudited:
        spot = command.leg is Leg.SPOT
        roles = self._roles
        gateway: OrderGateway = roles.spot_gateway if spot else roles.futures_gateway
        symbol = (self._terms.spot if spot else self._terms.futures).instrument.symbol
        asked_at = self._clock.now()
        server_at = await gateway.read_clock()
        error = (self._clock.now() - asked_at) // 2
        offset = server_at - asked_at - error
        found: list[OrderReport] = []
        missing: list[str] = []
        for client_order_id in command.ask_ids:
            try:
                found.append(await gateway.read_order(symbol, client_order_id))
            except Missing:
                missing.append(client_order_id)
        open_orders = await gateway.read_open_orders(symbol)
        fills = await gateway.read_fills(symbol, command.fills_since)
        tradable, changed = await self._standing(command.leg, symbol)
        # What is held comes last: it can only be newer than the fills that explain it.
        if spot:
            return e.LegAudited(
                at=0,
                leg=command.leg,
                audit_id=command.audit_id,
                asked_at=asked_at,
                server_at=server_at,
                clock_offset=offset,
                clock_error=error,
                found=tuple(found),
                missing=tuple(missing),
                open_orders=open_orders,
                fills=fills,
                balances=await gateway.read_balances(),
                tradable=tradable,
                changed=changed,
            )
        futures = roles.futures_gateway
        payments: tuple[FundingPayment, ...] = await roles.funding.read_payments(
            symbol, command.payments_since
        )
        margin = await futures.read_margin(symbol)
        return e.LegAudited(
            at=0,
            leg=command.leg,
            audit_id=command.audit_id,
            asked_at=asked_at,
            server_at=server_at,
            clock_offset=offset,
            clock_error=error,
            found=tuple(found),
            missing=tuple(missing),
            open_orders=open_orders,
            fills=fills,
            payments=payments,
            position=await futures.read_position(symbol),
            position_mode=await futures.read_position_mode(),
            margin_free=margin.free,
            margin_ratio=margin.ratio,
            leverage=margin.leverage,
            funding=await roles.funding.read_rate(symbol),
            tradable=tradable,
            changed=changed,
        )

    async def _standing(self, leg: Leg, symbol: str) -> tuple[bool, str]:
        """Return whether the instrument trades, and what of its units has changed (F38)."""
        at, tradable, changed = self._status.get(leg, (0, False, ""))
        if self._clock.now() - at < STATUS_KEPT:
            return tradable, changed
        feed: MarketFeed = self._roles.spot_feed if leg is Leg.SPOT else self._roles.futures_feed
        instrument = await feed.read_instrument(symbol)
        tradable = instrument.status is InstrumentStatus.TRADING
        known = (self._terms.spot if leg is Leg.SPOT else self._terms.futures).instrument
        was, now = known.fingerprint(), instrument.fingerprint()
        changed = "" if now == was else f"{was} -> {now}"
        self._status[leg] = (self._clock.now(), tradable, changed)
        return tradable, changed

    async def equity(self, label: str, spot_mid: Decimal, futures_mid: Decimal) -> e.EquitySeen:
        """Measure both accounts by the venues' own words.

        A settlement or a fill inside the reads would stand in one of them and not in the other:
        read again. A fill changes the position or the coins, whatever else it changes.
        """
        roles, terms = self._roles, self._terms
        symbol = terms.futures.instrument.symbol
        for _ in range(EQUITY_TRIES):
            rate = await roles.funding.read_rate(symbol)
            spot_at = await roles.spot_gateway.read_clock()
            before = await roles.futures_gateway.read_position(symbol)
            spot = await roles.spot_gateway.read_balances()
            futures_at = await roles.futures_gateway.read_clock()
            futures = () if roles.shared_wallet else await roles.futures_gateway.read_balances()
            position = await roles.futures_gateway.read_position(symbol)
            spot_after = await roles.spot_gateway.read_balances()
            after = await roles.futures_gateway.read_clock()
            settled = spot_at < rate.next_at <= after
            traded = before.quantity != position.quantity or _coins(spot, terms) != _coins(
                spot_after, terms
            )
            if not settled and not traded:
                read = e.EquitySeen(
                    at=0,
                    label=label,
                    spot=spot,
                    futures=futures,
                    shared=roles.shared_wallet,
                    position=position,
                    spot_mid=spot_mid,
                    futures_mid=futures_mid,
                    spot_at=spot_at,
                    futures_at=futures_at,
                )
                sound(read, e.EquitySeen)
                return read
        raise Unreachable("equity could not be read between two settlements and two fills")


def _coins(balances: tuple[Balance, ...], terms: HedgeTerms) -> Decimal:
    base = terms.spot.instrument.base
    return sum((one.free + one.locked for one in balances if one.asset == base), ZERO)
