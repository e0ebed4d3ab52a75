"""The order operations, as REST and the trade socket share them: parameters in, result out."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from hedge.model.numbers import MS
from hedge_sim.dialects.bybit_desk import Known, OrderDesk
from hedge_sim.dialects.bybit_errors import SPOT, Rejection, bad_param
from hedge_sim.dialects.bybit_gate import Answer
from hedge_sim.dialects.bybit_params import (
    Params,
    change_of,
    text_of,
    ticket_of,
    traded_category_of,
    which_of,
)
from hedge_sim.dialects.bybit_shapes import Row

BATCH_MAX: Final = {SPOT: 10}
BATCH_MAX_LINEAR: Final = 20
One = Callable[[Params, str, Decimal | None], Known]


class Orders:
    """One method an operation; each raises `Rejection` or returns the answer."""

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk
        self._singles: dict[str, One] = {
            "create": self._create,
            "amend": self._amend,
            "cancel": self._cancel,
        }

    def knows(self, name: str) -> bool:
        return name.removesuffix("-batch") in self._singles

    def perform(self, name: str, params: Params, share: Decimal | None) -> Answer:
        """Do ``create``, ``amend``, ``cancel`` or a batch of them."""
        category = traded_category_of(params)
        if name.endswith("-batch"):
            return self._batch(name.removesuffix("-batch"), params, category, share)
        return Answer(result=_ids(self._singles[name](params, category, share)))

    def count(self, name: str, params: Params) -> int:
        """Return how many places of the limit an operation takes: a batch, each of its orders."""
        requests = params.get("request")
        return len(requests) if name.endswith("-batch") and isinstance(requests, list) else 1

    def _create(self, params: Params, category: str, share: Decimal | None) -> Known:
        return self._desk.create(ticket_of(params, category), share=share)

    def _amend(self, params: Params, category: str, share: Decimal | None) -> Known:
        del share
        return self._desk.amend(which_of(params, category), change_of(params))

    def _cancel(self, params: Params, category: str, share: Decimal | None) -> Known:
        del share
        return self._desk.cancel(which_of(params, category))

    def _batch(self, name: str, params: Params, category: str, share: Decimal | None) -> Answer:
        requests = params.get("request")
        if not isinstance(requests, list) or not requests:
            raise bad_param("request is empty")
        if len(requests) > BATCH_MAX.get(category, BATCH_MAX_LINEAR):
            raise Rejection(10001, "The number of orders in a batch exceeds the limit")
        rows: list[Row] = []
        words: list[Row] = []
        for one in requests:
            row, word = self._one_of(name, one, category, share)
            rows.append(row)
            words.append(word)
        return Answer(result={"list": rows}, retExtInfo={"list": words})

    def _one_of(self, name: str, one: Any, category: str, share: Decimal | None) -> tuple[Row, Row]:
        params: Params = one if isinstance(one, dict) else {}
        row: Row = {
            "category": category,
            "symbol": text_of(params, "symbol"),
            "orderId": "",
            "orderLinkId": text_of(params, "orderLinkId"),
        }
        if name == "create":
            row["createAt"] = ""
        try:
            known = self._singles[name](params, category, share)
        except Rejection as rejection:
            return row, {"code": rejection.ret_code, "msg": str(rejection)}
        row |= _ids(known)
        if name == "create":
            row["createAt"] = str(self._desk.wire(known).created_at // MS)
        return row, {"code": 0, "msg": "OK"}

    def cancel_all(self, params: Params) -> Answer:
        """Cancel what works in a category: of a symbol, a base or a settle coin, or all (spot)."""
        category = traded_category_of(params)
        symbol, base, settle = (text_of(params, k) for k in ("symbol", "baseCoin", "settleCoin"))
        if category != SPOT and not (symbol or base or settle):
            raise bad_param("symbol, settleCoin or baseCoin is required")
        done = []
        opened, _ = self._desk.sorted_out(category)
        for known in reversed(opened):
            one = known.listing
            if symbol not in {"", one.symbol} or base not in {"", one.base_coin}:
                continue
            if settle not in {"", one.instrument.settle}:
                continue
            which = {"symbol": one.symbol, "orderId": known.order_id}
            done.append(_ids(self._desk.cancel(which_of(which, category))))
        return Answer(result={"list": done, "success": "1"})


def _ids(known: Known) -> Row:
    return {"orderId": known.order_id, "orderLinkId": known.ticket.order_link_id}
