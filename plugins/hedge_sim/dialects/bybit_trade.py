"""The trade socket ``/v5/trade``: orders without a signature each, on a connection that signed in.

An acknowledgement means accepted, never executed; what became of the order is on the private
stream. Every answer carries the limits of its operation in its header.
"""

import asyncio
import uuid
from collections import deque
from typing import Final

from hedge.model.numbers import MS
from hedge_sim.dialects.bybit_auth import Key, check_auth, check_trade_header
from hedge_sim.dialects.bybit_errors import Rejection, bad_param, too_many_visits
from hedge_sim.dialects.bybit_gate import Answer, Gate
from hedge_sim.dialects.bybit_limits import Standing
from hedge_sim.dialects.bybit_orders import Orders
from hedge_sim.dialects.bybit_params import CATEGORIES, Params, text_of
from hedge_sim.dialects.bybit_shapes import Row
from hedge_sim.dialects.bybit_ws import Line, args_of
from hedge_sim.dialects.house import House

REQUEST_IDS_KEPT: Final = 10_000
REQUEST_ID_MAX: Final = 36
RESTARTING: Final = "Service is restarting"


class TradeSession:
    """One connection that places orders."""

    def __init__(self, line: Line, key: Key, gate: Gate, orders: Orders, house: House) -> None:
        self.line = line
        self.is_restarting = False
        self._key = key
        self._gate = gate
        self._orders = orders
        self._house = house
        self._is_authed = False
        self._seen: set[str] = set()
        self._order_of_seen: deque[str] = deque()

    def heard(self, message: Row) -> None:
        now = self._house.wall()
        self.line.alive_at = now
        op = text_of(message, "op")
        if op == "ping":
            stamp = [str(now // MS)]
            self._say(message, Answer(), "pong", data=stamp, bare=True)
        elif op == "auth":
            self._auth(message)
        else:
            self._order(message, op)

    def _auth(self, message: Row) -> None:
        if self._is_authed:
            self._say(message, Answer(rejection=Rejection(20001, "Repeat auth")), "auth", bare=True)
            return
        try:
            check_auth(self._key, message.get("args"), self._gate.now_ms())
        except Rejection as rejection:
            self._say(message, Answer(rejection=rejection), "auth", bare=True)
            return
        self._is_authed = True
        self._say(message, Answer(), "auth", bare=True)

    def _order(self, message: Row, op: str) -> None:
        name = op.removeprefix("order.")
        standing: Standing | None = None
        try:
            self._check(message, op, name)
            params = args_of(message)[0]
            category = _category(params)
            self._gate.check_rights(category)
            count = self._orders.count(name, params)
            standing = self._gate.standing(name, category, op, count)
            if standing.is_over:
                raise too_many_visits()
        except Rejection as rejection:
            self._say(message, Answer(rejection=rejection), op, standing)
            return
        answer = self._gate.order(
            op, lambda share: self._orders.perform(name, params, share), nameless=True
        )
        if answer.is_cut:
            self.line.socket.abort()
        elif answer.delay_ms:
            loop = asyncio.get_running_loop()
            loop.call_later(answer.delay_ms / 1_000, self._say, message, answer, op, standing)
        else:
            self._say(message, answer, op, standing)

    def _check(self, message: Row, op: str, name: str) -> None:
        if not self._is_authed:
            raise Rejection(10003, "Request not authorized")
        if self.is_restarting:
            raise Rejection(10019, RESTARTING)
        if not op.startswith("order.") or not self._orders.knows(name):
            raise Rejection(10404, "op type is not found")
        self._check_id(message)
        signed, window = check_trade_header(message, self._gate.now_ms())
        self._gate.check_time(op, signed, window)
        args = args_of(message)
        if len(args) != 1 or not isinstance(args[0], dict):
            raise bad_param("args must hold one object")

    def _check_id(self, message: Row) -> None:
        request_id = text_of(message, "reqId")
        if not request_id:
            return
        if len(request_id) > REQUEST_ID_MAX:
            raise bad_param(f"reqId is longer than {REQUEST_ID_MAX}")
        if request_id in self._seen:
            raise Rejection(20006, "reqId is duplicated")
        self._seen.add(request_id)
        self._order_of_seen.append(request_id)
        if len(self._order_of_seen) > REQUEST_IDS_KEPT:
            self._seen.discard(self._order_of_seen.popleft())

    def _say(
        self, message: Row, answer: Answer, op: str, standing: Standing | None = None,
        *, data: list[str] | None = None, bare: bool = False,
    ) -> None:  # fmt: skip
        rejection = answer.rejection
        frame: Row = {}
        if "reqId" in message and not answer.is_nameless:
            frame["reqId"] = str(message["reqId"])
        frame |= {
            "retCode": rejection.ret_code if rejection else 0,
            "retMsg": str(rejection) if rejection else "OK",
            "op": op,
        }
        if data is not None:
            frame["data"] = data
        if not bare:
            header = {"Timenow": str(self._gate.now_ms()), "Traceid": uuid.uuid4().hex}
            frame["data"] = answer.result or {}
            frame["retExtInfo"] = answer.retExtInfo
            frame["header"] = header | (standing.headers() if standing else {})
        frame["connId"] = self.line.conn_id
        self.line.send(frame, self._house.wall())

    def pulse(self) -> None:
        if self.line.is_idle(self._house.wall()):
            self.line.socket.close(1000, "no ping")


def _category(params: Params) -> str:
    category = text_of(params, "category")
    if category not in CATEGORIES:
        raise Rejection(10404, "category is not correct/supported")
    return category
