"""The control paths of a wire simulator, ``/sim/...``: truth, faults, the clock, and deeds."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hedge.errors import HedgeError, UsageError
from hedge.model import Leg, PositionMode
from hedge.model.numbers import MS, SECOND
from hedge_sim.dialects.clock import milli_of
from hedge_sim.dialects.faults import ACTIONS, Fault, Faults
from hedge_sim.dialects.house import House

JSON = "application/json"


class _World(msgspec.Struct, forbid_unknown_fields=True):
    skip_s: Decimal = Decimal(0)
    speed: Decimal | None = None
    slow: Decimal = Decimal(1)


class _Deed(msgspec.Struct, forbid_unknown_fields=True):
    what: str
    asset: str = "USDT"
    quantity: Decimal | None = None
    symbol: str = ""
    mode: str = "one_way"


class Control:
    """What a test asks of the server itself; ``act`` does an action at once."""

    def __init__(self, house: House, faults: Faults, act: Callable[[Fault], None]) -> None:
        self._house = house
        self._faults = faults
        self._act = act

    def routes(self) -> list[Route]:
        """Return the ``/sim/...`` paths."""
        table: list[tuple[str, str, Callable[[Request], Awaitable[object]]]] = [
            ("GET", "/sim/truth", self._truth),
            ("GET", "/sim/fault", self._switches),
            ("POST", "/sim/fault", self._switch),
            ("DELETE", "/sim/fault", self._clear),
            ("GET", "/sim/world", self._world),
            ("POST", "/sim/world", self._change_world),
            ("POST", "/sim/do", self._do),
        ]
        return [Route(path, _answering(answer), methods=[verb]) for verb, path, answer in table]

    async def _truth(self, _: Request) -> object:
        return truth_of(self._house)

    async def _switches(self, _: Request) -> object:
        return {"on": self._faults.all_on, "struck": self._faults.struck}

    async def _switch(self, request: Request) -> object:
        fault = msgspec.json.decode(await request.body(), type=Fault, strict=False)
        if fault.name in ACTIONS and fault.after == 1 and fault.rate == 1:
            self._faults.struck[fault.name] = self._faults.struck.get(fault.name, 0) + 1
            self._act(fault)
        else:
            self._faults.set(fault)
        return await self._switches(request)

    async def _clear(self, request: Request) -> object:
        self._faults.clear()
        return await self._switches(request)

    async def _world(self, _: Request) -> object:
        house = self._house
        return {
            "wall_ms": house.wall() // MS,
            "recorded_ms": house.recorded_now // MS,
            "speed": house.world.speed_at(house.wall()) / 1_000,
            "is_over": house.is_over,
        }

    async def _change_world(self, request: Request) -> object:
        change = msgspec.json.decode(await request.body(), type=_World, strict=False)
        if change.speed is not None:
            self._house.world.set_pace(milli_of(change.speed), milli_of(change.slow))
        if change.skip_s:
            self._house.skip(int(change.skip_s * SECOND))
        return await self._world(request)

    async def _do(self, request: Request) -> object:
        deed = msgspec.json.decode(await request.body(), type=_Deed, strict=False)
        house = self._house
        match deed.what:
            case "deposit":
                house.deposit(deed.asset, deed.quantity or Decimal(0))
            case "deleverage":
                return {"done": house.deleverage(deed.symbol, deed.quantity)}
            case "liquidate":
                return {"done": house.liquidate(deed.symbol)}
            case "mode":
                house.set_mode(PositionMode(deed.mode))
            case _:
                raise UsageError(f"nothing to do is called {deed.what!r}")
        return {"done": True}


def _answering(
    answer: Callable[[Request], Awaitable[object]],
) -> Callable[..., Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        try:
            found = await answer(request)
        except (HedgeError, msgspec.MsgspecError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return Response(msgspec.json.encode(found), media_type=JSON)

    return respond


def truth_of(house: House) -> dict[str, Any]:
    """Return all that the venue knows of its account, for a test to compare with (``/sim/truth``).

    ``balances`` and ``positions`` (quantity and entry_notional; flat ones left out) by name,
    ``orders`` (`OrderView`), ``fills``, ``payments`` as in `House`, and the sums ``fees``,
    ``funding``, ``realised`` and ``deposits`` by asset. Times are wall ns.
    """
    house.bring_up()
    account = house.account
    return {
        "wall_ns": house.wall(),
        "recorded_ns": house.recorded_now,
        "mode": house.mode,
        "balances": account.balances,
        "positions": {s: h for s, h in account.holdings.items() if h.quantity},
        "orders": [*house.orders(Leg.SPOT), *house.orders(Leg.FUTURES)],
        "fills": [*house.fills(Leg.SPOT), *house.fills(Leg.FUTURES)],
        "payments": house.payments(),
        "fees": account.fees,
        "funding": account.funding,
        "realised": account.realised,
        "deposits": account.deposits,
    }
