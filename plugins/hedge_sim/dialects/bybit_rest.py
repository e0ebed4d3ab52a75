"""Bybit v5 over HTTP: one door for every path, its checks in the venue's order, its envelope.

Every answer is ``{"retCode", "retMsg", "result", "retExtInfo", "time"}`` with HTTP status 200;
other statuses are 401 (no key in the headers), 403 (address banned), 404 (no such path) and the
502 page of a fault. Private answers carry the X-Bapi-Limit headers.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from hedge.errors import Missing, Refused
from hedge_sim.dialects.bybit_auth import RECV_WINDOW_MS, WINDOW, Key, check_request
from hedge_sim.dialects.bybit_errors import Rejection, bad_param, rejection_of, too_many_visits
from hedge_sim.dialects.bybit_gate import Answer, Gate
from hedge_sim.dialects.bybit_limits import Standing
from hedge_sim.dialects.bybit_orders import Orders
from hedge_sim.dialects.bybit_params import Params, text_of
from hedge_sim.dialects.bybit_settings import Settings
from hedge_sim.dialects.bybit_shapes import Row
from hedge_sim.dialects.sockets import reset

Read = Callable[[Params], Row]
JSON: Final = "application/json; charset=utf-8"
ORDER: Final = "/v5/order/"
CANCEL_ALL: Final = "cancel-all"
BAD_GATEWAY: Final = "<html><head><title>502 Bad Gateway</title></head></html>"


class Rest:
    """Answers the paths of ``/v5``."""

    def __init__(
        self, key: Key, gate: Gate, orders: Orders, settings: Settings,
        *, public: dict[str, Read], private: dict[str, Read],
    ) -> None:  # fmt: skip
        self._key = key
        self._gate = gate
        self._orders = orders
        self._settings = settings
        self._public = public
        self._private = private | settings.reads()

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/v5/{rest:path}", self._door, methods=["GET", "POST"])]

    async def _door(self, request: Request) -> Response:
        path, body = request.url.path, await request.body()
        try:
            self._gate.check_address(path)
            if request.method == "GET":
                return self._get(request, path)
            return await self._post(request, path, body)
        except Rejection as rejection:
            if rejection.status == 403:  # noqa: PLR2004 - Forbidden
                headers = {"Retry-After": str(rejection.retry_after_s)}
                return Response(str(rejection), 403, headers=headers, media_type="text/plain")
            return self._say(Answer(rejection=rejection))

    # GET

    def _get(self, request: Request, path: str) -> Response:
        query = str(request.url.query)
        params = dict(parse_qsl(query, keep_blank_values=True))
        read = self._public.get(path)
        if read is not None:
            if self._gate.is_busy(path):
                return HTMLResponse(BAD_GATEWAY, 502)
            return self._say(self._read(read, params))
        read = self._private.get(path)
        if read is None:
            return Response("404 page not found", 404, media_type="text/plain")
        self._check(request, path, query.encode())
        if self._gate.is_busy(path):
            return HTMLResponse(BAD_GATEWAY, 502)
        standing = self._gate.standing(path, "", path)
        if standing.is_over:
            return self._say(Answer(rejection=too_many_visits()), standing)
        return self._say(self._read(read, params), standing)

    @staticmethod
    def _read(read: Read, params: Params) -> Answer:
        try:
            return Answer(result=read(params))
        except Rejection as rejection:
            return Answer(rejection=rejection)
        except (Refused, Missing) as error:
            return Answer(rejection=rejection_of(text_of(params, "category"), error))

    def _check(self, request: Request, path: str, payload: bytes) -> None:
        signed = check_request(self._key, request.headers, payload, self._gate.now_ms())
        window = request.headers.get(WINDOW, "")
        self._gate.check_time(path, signed, int(window) if window else RECV_WINDOW_MS)

    # POST

    async def _post(self, request: Request, path: str, body: bytes) -> Response:
        name = path.removeprefix(ORDER) if path.startswith(ORDER) else ""
        write = self._settings.writes().get(path)
        if not self._orders.knows(name) and name != CANCEL_ALL and write is None:
            return Response("404 page not found", 404, media_type="text/plain")
        self._check(request, path, body)
        params = _params_of(body)
        category = text_of(params, "category")
        self._gate.check_rights(category)
        count = self._orders.count(name, params)
        standing = self._gate.standing(name or path, category, path, count)
        if standing.is_over:
            return self._say(Answer(rejection=too_many_visits()), standing)
        if write is not None:
            return self._say(self._read(write, params), standing)
        if name == CANCEL_ALL:
            answer = self._gate.order(path, lambda _: self._orders.cancel_all(params))
        else:
            answer = self._gate.order(path, lambda s: self._orders.perform(name, params, s))
        if answer.is_cut:
            reset(request)
            return Response(status_code=500)
        if answer.delay_ms:
            await asyncio.sleep(answer.delay_ms / 1_000)
        return self._say(answer, standing)

    # The envelope

    def _say(self, answer: Answer, standing: Standing | None = None) -> Response:
        rejection = answer.rejection
        envelope: dict[str, Any] = {
            "retCode": rejection.ret_code if rejection else 0,
            "retMsg": str(rejection) if rejection else "OK",
            "result": {} if answer.result is None else answer.result,
            "retExtInfo": answer.retExtInfo,
            "time": self._gate.now_ms(),
        }
        headers = {"Traceid": uuid.uuid4().hex, "Timenow": str(envelope["time"])}
        headers["Ret_code"] = str(envelope["retCode"])
        if standing is not None:
            headers |= standing.headers()
        return Response(
            msgspec.json.encode(envelope),
            rejection.status if rejection else 200,
            headers=headers,
            media_type=JSON,
        )


def _params_of(body: bytes) -> Params:
    try:
        found = msgspec.json.decode(body or b"{}")
    except msgspec.DecodeError:
        raise bad_param("body is no JSON") from None
    if not isinstance(found, dict):
        raise bad_param("body is no object")
    return found
