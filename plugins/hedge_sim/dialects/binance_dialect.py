"""Binance spot or USD-M over a house: its REST paths, WebSocket API, market and user streams."""

import asyncio
from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute, Route

from hedge.model import Leg
from hedge.model.numbers import MS
from hedge_sim.dialects import binance_errors as says
from hedge_sim.dialects.binance_account import KeyRights, SpotAccount
from hedge_sim.dialects.binance_auth import SIGNATURE, Guard, Security
from hedge_sim.dialects.binance_gate import Gate, Operation, decoded
from hedge_sim.dialects.binance_limits import SPOT_LIMITS, USDM_LIMITS, Meter
from hedge_sim.dialects.binance_listing import Listings
from hedge_sim.dialects.binance_market import MarketData
from hedge_sim.dialects.binance_orders import Orders
from hedge_sim.dialects.binance_params import Params
from hedge_sim.dialects.binance_shapes import Row
from hedge_sim.dialects.binance_streams import MarketStreams
from hedge_sim.dialects.binance_usdm import UsdmAccount
from hedge_sim.dialects.binance_user import SpotUser, UsdmUser
from hedge_sim.dialects.faults import Fault
from hedge_sim.dialects.server import Desk
from hedge_sim.dialects.sockets import Socket

KEY, SIGNED, TRADE = Security.KEY, Security.SIGNED, Security.TRADE
Paths = dict[tuple[str, str], Operation]
Methods = dict[str, Operation]
PING_SPOT_S = 20.0
PING_USDM_S = 180.0
SPOT_API, USDM_API = "/ws-api/v3", "/ws-fapi/v1"
COUNTDOWN_MAX_MS = 86_400_000
GONE = 410


class BinanceDialect:
    """See the module; ``leg`` says which of the two."""

    def __init__(self, desk: Desk, leg: Leg) -> None:
        self._house = house = desk.house
        self._futures = leg is Leg.FUTURES
        self.ping_every_s = PING_USDM_S if self._futures else PING_SPOT_S
        limits = USDM_LIMITS if self._futures else SPOT_LIMITS
        meter = Meter(limits, desk.limit_factor)
        self._guard = Guard(desk.keys, leg)
        self._gate = Gate(house, desk.faults, self._guard, meter, futures=self._futures)
        self._listings = Listings(house, leg)
        self._market = MarketData(house, self._listings, leg, meter)
        self._orders = Orders(house, self._listings, leg, desk.faults)
        self._streams = MarketStreams(self._market, desk.faults, futures=self._futures)
        self._rights = KeyRights(desk.keys)
        self._spot = SpotAccount(house, self._listings, desk.keys)
        self._usdm = UsdmAccount(house, self._listings, desk.keys)
        self._spot_user = SpotUser(house, self._listings, self._orders, desk.faults)
        seed = house.settings.seed
        self._usdm_user = UsdmUser(house, self._listings, self._orders, desk.faults, seed)
        self._faults = desk.faults
        self._trusted: set[Socket] = set()
        self._countdowns: dict[str, asyncio.TimerHandle] = {}
        self._methods = self._usdm_methods() if self._futures else self._spot_methods()
        house.listen(self._usdm_user.heard if self._futures else self._spot_user.heard)
        house.on_pulse(self._pulse)

    # REST

    def routes(self) -> Sequence[BaseRoute]:
        """Return the REST paths."""
        table = self._usdm_paths() if self._futures else self._spot_paths()
        return [
            Route(path, self._gate.endpoint(operation), methods=[verb])
            for (verb, path), operation in table.items()
        ]

    def _spot_paths(self) -> Paths:
        market, orders, account = self._market, self._orders, self._spot
        table: Paths = {
            ("GET", "/ping"): Operation(_nothing),
            ("GET", "/time"): Operation(self._gate.time),
            ("GET", "/exchangeInfo"): Operation(market.exchange_info, weight=20),
            ("GET", "/depth"): Operation(market.depth, weight=5),
            ("GET", "/trades"): Operation(market.trades, weight=25),
            ("GET", "/historicalTrades"): Operation(market.trades, weight=25),
            ("GET", "/aggTrades"): Operation(market.agg_trades, weight=4),
            ("GET", "/klines"): Operation(market.klines, weight=2),
            ("GET", "/avgPrice"): Operation(market.average_price, weight=2),
            ("GET", "/ticker/24hr"): Operation(market.ticker, weight=2),
            ("GET", "/ticker/price"): Operation(market.price, weight=2),
            ("GET", "/ticker/bookTicker"): Operation(market.book_ticker, weight=2),
            ("GET", "/account"): Operation(account.account, SIGNED, 20),
            ("GET", "/account/commission"): Operation(account.commission, SIGNED, 20),
            ("GET", "/myTrades"): Operation(account.trades, SIGNED, 20),
            ("GET", "/rateLimit/order"): Operation(self._order_counts, SIGNED, 40),
            ("POST", "/order"): Operation(orders.place, TRADE, 0, 1, mutates=True),
            ("POST", "/order/test"): Operation(orders.test, TRADE),
            ("GET", "/order"): Operation(orders.status, SIGNED, 4),
            ("DELETE", "/order"): Operation(orders.cancel, TRADE, 0, mutates=True),
            ("GET", "/openOrders"): Operation(orders.open, SIGNED, 6),
            ("DELETE", "/openOrders"): Operation(orders.cancel_all, TRADE, 0, mutates=True),
            ("GET", "/allOrders"): Operation(orders.all, SIGNED, 20),
        }
        for verb in ("POST", "PUT", "DELETE"):
            table[verb, "/userDataStream"] = Operation(_gone)
        found = {(verb, f"/api/v3{path}"): one for (verb, path), one in table.items()}
        return found | self._wallet_paths()

    def _wallet_paths(self) -> Paths:
        """Return the paths of ``/sapi``: the key's rights and what SDKs ask along the way."""
        return {
            ("GET", "/sapi/v1/account/apiRestrictions"): Operation(
                self._rights.restrictions, SIGNED
            ),
            ("GET", "/sapi/v1/asset/tradeFee"): Operation(self._spot.trade_fees, SIGNED),
            ("GET", "/sapi/v1/bnbBurn"): Operation(self._spot.bnb_burn, SIGNED),
        }

    def _usdm_paths(self) -> Paths:
        found: Paths = {
            ("GET", "/sapi/v1/account/apiRestrictions"): Operation(
                self._rights.restrictions, SIGNED
            )
        }
        for version in ("v1", "v2", "v3"):
            for (verb, path), one in self._usdm_versions()[version].items():
                found[verb, f"/fapi/{version}{path}"] = one
        return found

    def _usdm_versions(self) -> dict[str, Paths]:
        account = self._usdm
        newer: Paths = {
            ("GET", "/account"): Operation(account.account_v3, SIGNED, 5),
            ("GET", "/balance"): Operation(account.balance, SIGNED, 5),
            ("GET", "/positionRisk"): Operation(account.position_v3, SIGNED, 5),
        }
        old: Paths = {
            ("GET", "/account"): Operation(account.account_v2, SIGNED, 5),
            ("GET", "/balance"): Operation(account.balance, SIGNED, 5),
            ("GET", "/positionRisk"): Operation(account.position_v2, SIGNED, 5),
            ("GET", "/ticker/price"): Operation(self._market.price),
        }
        return {"v1": self._usdm_market() | self._usdm_account(), "v2": old, "v3": newer}

    def _usdm_market(self) -> Paths:
        market = self._market
        return {
            ("GET", "/ping"): Operation(_nothing),
            ("GET", "/time"): Operation(self._gate.time),
            ("GET", "/exchangeInfo"): Operation(market.exchange_info),
            ("GET", "/depth"): Operation(market.depth, weight=5),
            ("GET", "/trades"): Operation(market.trades, weight=5),
            ("GET", "/aggTrades"): Operation(market.agg_trades, weight=20),
            ("GET", "/klines"): Operation(market.klines, weight=2),
            ("GET", "/ticker/24hr"): Operation(market.ticker),
            ("GET", "/ticker/price"): Operation(market.price),
            ("GET", "/ticker/bookTicker"): Operation(market.book_ticker, weight=2),
            ("GET", "/premiumIndex"): Operation(market.premium_index),
            ("GET", "/fundingInfo"): Operation(market.funding_info, weight=0),
            ("GET", "/fundingRate"): Operation(market.funding_rates),
        }

    def _usdm_account(self) -> Paths:
        orders, account, user = self._orders, self._usdm, self._usdm_user
        leverage = Operation(self._set_leverage, TRADE)
        countdown = Operation(self._countdown, TRADE, 10)
        return {
            ("POST", "/order"): Operation(orders.place, TRADE, 0, 1, mutates=True),
            ("POST", "/order/test"): Operation(orders.test, TRADE),
            ("PUT", "/order"): Operation(orders.modify, TRADE, 1, 1, mutates=True),
            ("GET", "/order"): Operation(orders.status, SIGNED),
            ("DELETE", "/order"): Operation(orders.cancel, TRADE, mutates=True),
            ("GET", "/openOrder"): Operation(orders.open_one, SIGNED),
            ("GET", "/openOrders"): Operation(orders.open, SIGNED),
            ("DELETE", "/allOpenOrders"): Operation(orders.cancel_all, TRADE, mutates=True),
            ("GET", "/allOrders"): Operation(orders.all, SIGNED, 5),
            ("GET", "/userTrades"): Operation(account.trades, SIGNED, 5),
            ("GET", "/income"): Operation(account.income, SIGNED, 30),
            ("GET", "/adlQuantile"): Operation(account.adl_quantile, SIGNED, 5),
            ("GET", "/leverageBracket"): Operation(account.leverage_brackets, SIGNED),
            ("GET", "/commissionRate"): Operation(account.commission, SIGNED, 20),
            ("GET", "/accountConfig"): Operation(account.account_config, SIGNED, 5),
            ("GET", "/symbolConfig"): Operation(account.symbol_config, SIGNED, 5),
            ("GET", "/multiAssetsMargin"): Operation(account.multi_assets, SIGNED, 30),
            ("GET", "/positionSide/dual"): Operation(account.position_mode, SIGNED, 30),
            ("POST", "/positionSide/dual"): Operation(account.set_position_mode, TRADE),
            ("POST", "/leverage"): leverage,
            ("POST", "/marginType"): Operation(account.set_margin_type, TRADE),
            ("POST", "/countdownCancelAll"): countdown,
            ("GET", "/rateLimit/order"): Operation(self._order_counts, SIGNED),
            ("POST", "/listenKey"): Operation(user.start, KEY),
            ("PUT", "/listenKey"): Operation(user.keep, KEY),
            ("DELETE", "/listenKey"): Operation(user.end, KEY),
        }

    def _order_counts(self, _: Params) -> list[Row]:
        return self._gate.meter.rows(self._gate.now_ms(), "ORDERS")

    def _set_leverage(self, params: Params) -> Row:
        found = self._usdm.set_leverage(params)
        self._usdm_user.tell_leverage(found["symbol"], found["leverage"])
        return found

    def _countdown(self, params: Params) -> Row:
        """Set the dead man's switch of one symbol; 0 switches it off."""
        listing = self._listings.of_wire(params.text("symbol"))
        length_ms = min(params.integer("countdownTime"), COUNTDOWN_MAX_MS)
        timer = self._countdowns.pop(listing.wire, None)
        if timer is not None:
            timer.cancel()
        if length_ms > 0:
            self._countdowns[listing.wire] = asyncio.get_running_loop().call_later(
                length_ms / 1_000, self._dead, listing.wire
            )
        return {"symbol": listing.wire, "countdownTime": str(length_ms)}

    def _dead(self, wire: str) -> None:
        del self._countdowns[wire]
        self._orders.cancel_all(Params(symbol=wire))

    # WebSocket API

    def _spot_methods(self) -> Methods:
        market, orders, account = self._market, self._orders, self._spot
        return {
            "ping": Operation(_nothing),
            "time": Operation(self._gate.time),
            "exchangeInfo": Operation(market.exchange_info, weight=20),
            "depth": Operation(market.depth, weight=5),
            "trades.recent": Operation(market.trades, weight=25),
            "trades.aggregate": Operation(market.agg_trades, weight=4),
            "klines": Operation(market.klines, weight=2),
            "avgPrice": Operation(market.average_price, weight=2),
            "ticker.24hr": Operation(market.ticker, weight=2),
            "ticker.price": Operation(market.price, weight=2),
            "ticker.book": Operation(market.book_ticker, weight=2),
            "order.place": Operation(orders.place, TRADE, 0, 1, mutates=True),
            "order.test": Operation(orders.test, TRADE),
            "order.status": Operation(orders.status, SIGNED, 4),
            "order.cancel": Operation(orders.cancel, TRADE, 0, mutates=True),
            "openOrders.status": Operation(orders.open, SIGNED, 6),
            "openOrders.cancelAll": Operation(orders.cancel_all, TRADE, 0, mutates=True),
            "allOrders": Operation(orders.all, SIGNED, 20),
            "myTrades": Operation(account.trades, SIGNED, 20),
            "account.status": Operation(account.account, SIGNED, 20),
            "account.commission": Operation(account.commission, SIGNED, 20),
            "account.rateLimits.orders": Operation(self._order_counts, SIGNED, 40),
            "session.logon": Operation(_nothing, SIGNED, 2),
            "session.status": Operation(_nothing, weight=2),
            "session.logout": Operation(_nothing, weight=2),
            "session.subscriptions": Operation(_nothing, weight=2),
            "userDataStream.subscribe": Operation(_nothing, weight=2),
            "userDataStream.subscribe.signature": Operation(_nothing, SIGNED, 2),
            "userDataStream.unsubscribe": Operation(_nothing, weight=2),
        }

    def _usdm_methods(self) -> Methods:
        market, orders, account, user = self._market, self._orders, self._usdm, self._usdm_user
        return {
            "ping": Operation(_nothing),
            "time": Operation(self._gate.time),
            "depth": Operation(market.depth, weight=5),
            "ticker.price": Operation(market.price),
            "ticker.book": Operation(market.book_ticker, weight=2),
            "order.place": Operation(orders.place, TRADE, 0, 1, mutates=True),
            "order.modify": Operation(orders.modify, TRADE, 1, 1, mutates=True),
            "order.cancel": Operation(orders.cancel, TRADE, mutates=True),
            "order.status": Operation(orders.status, SIGNED),
            "account.balance": Operation(account.balance, SIGNED, 5),
            "v2/account.balance": Operation(account.balance, SIGNED, 5),
            "account.status": Operation(account.account_v2, SIGNED, 5),
            "v2/account.status": Operation(account.account_v3, SIGNED, 5),
            "account.position": Operation(account.position_v2, SIGNED, 5),
            "v2/account.position": Operation(account.position_v3, SIGNED, 5),
            "session.logon": Operation(_nothing, SIGNED, 2),
            "session.status": Operation(_nothing, weight=2),
            "session.logout": Operation(_nothing, weight=2),
            "userDataStream.start": Operation(user.start, KEY, 5),
            "userDataStream.ping": Operation(user.keep, KEY),
            "userDataStream.stop": Operation(user.end, KEY),
        }

    def _asked(self, socket: Socket, data: bytes) -> None:
        message = decoded(data)
        if message is None:
            error = says.BinanceError(
                -1135, "This error code will be returned if a parameter is invalid JSON."
            )
            self._gate.refuse(socket, None, error)
            return
        name = str(message.get("method", ""))
        operation = self._methods.get(name)
        if operation is None:
            error = says.BinanceError(-1100, "Illegal characters found in parameter 'method'.")
            self._gate.refuse(socket, message.get("id"), error)
            return
        own = self._session_methods(socket).get(name)
        if name == "userDataStream.subscribe.signature" and self._races():
            socket.send({"subscriptionId": 0, "event": self._spot_user.account_position()})
        self._gate.ask(socket, operation, message, trusted=socket in self._trusted, run=own)

    def _races(self) -> bool:
        return self._faults.hit("subscribe_race", "userDataStream.subscribe") is not None

    def _session_methods(self, socket: Socket) -> dict[str, Callable[[Params], object]]:
        """Return what needs to know which connection asks."""
        return {
            "session.logon": lambda _: self._logon(socket),
            "session.status": lambda _: self._session(socket),
            "session.logout": lambda _: self._logout(socket),
            "session.subscriptions": lambda _: [
                {"subscriptionId": number} for number in self._spot_user.subscriptions(socket)
            ],
            "userDataStream.subscribe": lambda _: self._subscribe(socket),
            "userDataStream.subscribe.signature": lambda params: self._subscribe(
                socket, params.text(SIGNATURE)
            ),
            "userDataStream.unsubscribe": lambda params: self._unsubscribe(socket, params),
        }

    def _session(self, socket: Socket) -> Row:
        trusted = socket in self._trusted
        now = self._gate.now_ms()
        return {
            "apiKey": self._guard.keys.api_key if trusted else None,
            "authorizedSince": now if trusted else None,
            "connectedSince": now,
            "returnRateLimits": True,
            "serverTime": now,
            "userDataStream": bool(self._spot_user.subscriptions(socket)),
        }

    def _logon(self, socket: Socket) -> Row:
        if not self._guard.has_ed25519:
            # Only Ed25519 keys may log on (web-socket-api.md, Session Authentication).
            raise says.BinanceError(-4056, "HMAC_SHA256 API key is not supported.")
        self._trusted.add(socket)
        return self._session(socket)

    def _logout(self, socket: Socket) -> Row:
        self._trusted.discard(socket)
        return self._session(socket)

    def _subscribe(self, socket: Socket, signature: str = "") -> Row:
        if not signature and socket not in self._trusted:
            raise says.not_logged_on()
        return {"subscriptionId": self._spot_user.subscribe(socket)}

    def _unsubscribe(self, socket: Socket, params: Params) -> Row:
        number = params.integer("subscriptionId") if "subscriptionId" in params else None
        self._spot_user.unsubscribe(socket, number)
        return {}

    # Sockets

    def accepts(self, path: str) -> bool:
        """Return whether a path is a stream; the USD-M root ``/ws`` is retired (2026-04)."""
        head, category, _ = _split(path)
        if self._futures:
            return path == USDM_API or (head in ("ws", "stream") and category != "")
        return path == SPOT_API or (head in ("ws", "stream") and not category)

    def joined(self, socket: Socket) -> None:
        """Take a connection."""
        if socket.path in (SPOT_API, USDM_API):
            return
        head, category, names = _split(socket.path)
        combined = head == "stream"
        if category == "private":
            key = socket.query.get("listenKey") or "/".join(names)
            self._usdm_user.join(socket, key, socket.query.get("events", ""), combined=combined)
            return
        if combined:
            names = [name for name in socket.query.get("streams", "").split("/") if name]
        self._streams.join(socket, names, combined=combined, category=category)

    def heard(self, socket: Socket, data: bytes) -> None:
        """Take a message."""
        if socket.path in (SPOT_API, USDM_API):
            self._asked(socket, data)
            return
        message = decoded(data)
        if message is None:
            socket.send({"error": {"code": 3, "msg": "Invalid JSON"}})
        elif socket in self._streams:
            self._streams.heard(socket, message)
        else:
            socket.send({"result": None, "id": message.get("id")})

    def left(self, socket: Socket) -> None:
        """Forget a connection."""
        self._trusted.discard(socket)
        self._streams.leave(socket)
        self._spot_user.leave(socket)
        self._usdm_user.leave(socket)

    # What happens by itself

    def _pulse(self) -> None:
        self._streams.pulse()
        if self._futures:
            self._usdm_user.pulse()

    def act(self, fault: Fault, sockets: set[Socket]) -> None:
        """Let the listenKey expire; announce a shutdown."""
        if fault.name == "listen_key_expired":
            self._usdm_user.expire()
        if fault.name != "server_shutdown":
            return
        row = {"e": "serverShutdown", "E": self._house.wall() // MS}
        for socket in sockets:
            if socket.path in (SPOT_API, USDM_API):
                socket.send({"event": row})
            elif socket in self._streams and self._streams.is_combined(socket):
                socket.send({"stream": "!serverShutdown", "data": row})
            else:
                socket.send(row)


def _nothing(_: Params) -> Row:
    return {}


def _gone(_: Params) -> Row:
    """Refuse what was removed 2026-02-20 (binance-spot-api-docs CHANGELOG): spot listenKeys."""
    raise says.BinanceError(-1020, "This operation is not supported.", GONE)


def _split(path: str) -> tuple[str, str, list[str]]:
    """Return what a stream's path says: ws or stream, the USD-M category, and stream names."""
    words = [word for word in path.split("/") if word]
    category = words.pop(0) if words and words[0] in ("public", "market", "private") else ""
    head = words.pop(0) if words else ""
    return head, category, words
