"""The Bybit v5 dialect: a house behind the paths and sockets of a unified trading account.

Spot and USDT perpetuals, one wallet, cross margin, one-way positions (hedge mode is shown, and
whoever orders in it is told that the index does not match). Conditional orders, take profit and
stop loss, borrowing, inverse contracts and options are not there and say so.
"""

from collections.abc import Sequence
from typing import Final

from starlette.routing import BaseRoute

from hedge_sim.dialects.bybit_account import Ledger
from hedge_sim.dialects.bybit_account_reads import AccountReads
from hedge_sim.dialects.bybit_auth import Key
from hedge_sim.dialects.bybit_books import Books
from hedge_sim.dialects.bybit_desk import OrderDesk
from hedge_sim.dialects.bybit_errors import LINEAR, SPOT
from hedge_sim.dialects.bybit_gate import Gate
from hedge_sim.dialects.bybit_limits import Limits
from hedge_sim.dialects.bybit_market import Markets
from hedge_sim.dialects.bybit_market_reads import MarketReads
from hedge_sim.dialects.bybit_orders import Orders
from hedge_sim.dialects.bybit_private import PrivateHub, PrivateSession
from hedge_sim.dialects.bybit_public import PublicHub, PublicSession
from hedge_sim.dialects.bybit_rest import Rest
from hedge_sim.dialects.bybit_settings import Settings
from hedge_sim.dialects.bybit_trade import TradeSession
from hedge_sim.dialects.bybit_ws import INVALID_OP, Line, answer, message_of
from hedge_sim.dialects.faults import Fault
from hedge_sim.dialects.server import Desk
from hedge_sim.dialects.sockets import Socket

PRIVATE: Final = "/v5/private"
TRADE: Final = "/v5/trade"
PUBLIC: Final = {f"/v5/public/{category}": category for category in (SPOT, LINEAR)}


class BybitDialect:
    """`server.Dialect` of Bybit; ``limits.scale`` raises every rate limit at once."""

    ping_every_s = 0.0
    """The venue sends no pings of its own; it answers JSON pings and ping frames."""

    def __init__(self, desk: Desk) -> None:
        house, faults, keys = desk.house, desk.faults, desk.keys
        self._house = house
        self._faults = faults
        self._key = Key(name=keys.api_key, secret=keys.api_secret)
        self.limits = Limits(desk.limit_factor)
        self._gate = Gate(house, faults, keys, self.limits)
        self._markets = Markets(house)
        orders = OrderDesk(house, self._markets)
        books = Books(house, self._markets, orders)
        ledger = Ledger(house, self._markets, keys)
        settings = Settings(house, self._markets)
        self._orders = Orders(orders)
        public = MarketReads(house, self._markets, self._gate.now_ms)
        private = AccountReads(self._markets, orders, books, ledger, self._gate.now_ms)
        self._rest = Rest(
            self._key, self._gate, self._orders, settings,
            public=public.table(), private=private.table(),
        )  # fmt: skip
        self._public = PublicHub(self._markets)
        self._private = PrivateHub(
            house, self._markets, desk=orders, books=books, ledger=ledger, faults=faults
        )
        self._private.on_fill = self._public.own
        settings.on_change = self._private.levered
        self._trade: set[TradeSession] = set()
        house.listen(self._private.hear)
        house.on_pulse(self._pulse)

    def routes(self) -> Sequence[BaseRoute]:
        return self._rest.routes()

    def _pulse(self) -> None:
        self._public.pulse()
        self._private.pulse()
        for session in list(self._trade):
            session.pulse()

    # Sockets

    def accepts(self, path: str) -> bool:
        return path in PUBLIC or path in {PRIVATE, TRADE}

    def joined(self, socket: Socket) -> None:
        line = Line(socket, self._house.wall())
        if socket.path == TRADE:
            trade = TradeSession(line, self._key, self._gate, self._orders, self._house)
            self._trade.add(trade)
            socket.session = trade
        elif socket.path == PRIVATE:
            private = PrivateSession(line, self._key, self._gate, self._faults, self._house)
            self._private.sessions.add(private)
            socket.session = private
        else:
            public = PublicSession(line, self._markets, self._faults, PUBLIC[socket.path])
            self._public.sessions.add(public)
            socket.session = public

    def heard(self, socket: Socket, data: bytes) -> None:
        message = message_of(data)
        if message is None:
            line: Line = socket.session.line
            frame = answer(line, {}, "", success=False, words=INVALID_OP)
            line.send(frame, self._house.wall())
            return
        socket.session.heard(message)

    def left(self, socket: Socket) -> None:
        self._trade.discard(socket.session)
        self._private.sessions.discard(socket.session)
        self._public.sessions.discard(socket.session)

    def act(self, fault: Fault, sockets: set[Socket]) -> None:
        """Say 10019 on the trade sockets from the word of a shutdown on until they close."""
        if fault.name != "server_shutdown":
            return
        for socket in sockets:
            if isinstance(socket.session, TradeSession):
                socket.session.is_restarting = True
