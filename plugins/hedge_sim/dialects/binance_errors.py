"""What Binance says when it says no: its codes and texts, for spot and for USD-M.

Sources: binance-spot-api-docs ``errors.md``; USD-M "Error Code" page of the derivatives docs.
"""

from hedge.errors import Refused
from hedge.model import Instrument, Order, Side

HTTP_BAD = 400
HTTP_UNAUTHORIZED = 401
HTTP_TOO_MANY = 429
HTTP_BANNED = 418
HTTP_UNAVAILABLE = 503


class BinanceError(Exception):
    """One refusal on its way to the wire; ``retry_after_s`` stands in a header of 429 and 418."""

    def __init__(
        self, code: int, message: str, status: int = HTTP_BAD, retry_after_s: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, object]:
        return {"code": self.code, "msg": self.message}


def bad_symbol() -> BinanceError:
    return BinanceError(-1121, "Invalid symbol.")


def bad_key() -> BinanceError:
    text = "Invalid API-key, IP, or permissions for action."
    return BinanceError(-2015, text, HTTP_UNAUTHORIZED)


def bad_key_format() -> BinanceError:
    return BinanceError(-2014, "API-key format invalid.", HTTP_UNAUTHORIZED)


def bad_signature() -> BinanceError:
    return BinanceError(-1022, "Signature for this request is not valid.")


def late_timestamp() -> BinanceError:
    return BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")


def early_timestamp() -> BinanceError:
    text = "Timestamp for this request was 1000ms ahead of the server's time."
    return BinanceError(-1021, text)


def missing_parameter(name: str) -> BinanceError:
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return BinanceError(-1102, text)


def no_api_key(*, futures: bool) -> BinanceError:
    """Return what a request without a key is told on a connection that has not logged on."""
    if futures:
        return BinanceError(-1103, "param apikey not found.")
    return missing_parameter("apiKey")


def not_logged_on() -> BinanceError:
    text = "WebSocket session not authenticated. Recommendation: use `session.logon`"
    return BinanceError(-1193, text)


def illegal(name: str, legal: str) -> BinanceError:
    text = f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    return BinanceError(-1100, text)


def no_such_order() -> BinanceError:
    return BinanceError(-2013, "Order does not exist.")


def not_open() -> BinanceError:
    return BinanceError(-2011, "Unknown order sent.")


def status_unknown(*, futures: bool) -> BinanceError:
    """Return the answer after which nobody knows whether the order lives (venues.md 3.5)."""
    if futures:
        text = "Unknown error, please check your request or try again later."
        return BinanceError(-1000, text, HTTP_UNAVAILABLE)
    text = (
        "Timeout waiting for response from backend server. "
        "Send status unknown; execution status unknown."
    )
    return BinanceError(-1007, text, HTTP_UNAVAILABLE)


def limited(retry_after_s: int) -> BinanceError:
    text = "Too much request weight used; current limit is too low for this request rate."
    return BinanceError(-1003, text, HTTP_TOO_MANY, retry_after_s)


def banned(retry_after_s: int, until_ms: int) -> BinanceError:
    text = f"Way too many requests; IP banned until {until_ms}."
    return BinanceError(-1003, text, HTTP_BANNED, retry_after_s)


def too_many_orders() -> BinanceError:
    return BinanceError(-1015, "Too many new orders; please retry later.", HTTP_TOO_MANY, 10)


_SPOT: dict[str, tuple[int, str]] = {
    "DUPLICATE_ID": (-2010, "Duplicate order sent."),
    "HALTED": (-1013, "Market is closed."),
    "LOT_SIZE": (-1013, "Filter failure: LOT_SIZE"),
    "QUANTITY_MAX": (-1013, "Filter failure: LOT_SIZE"),
    "TICK_SIZE": (-1013, "Filter failure: PRICE_FILTER"),
    "MIN_NOTIONAL": (-1013, "Filter failure: NOTIONAL"),
    "PRICE_COLLAR": (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    "POST_ONLY_WOULD_TAKE": (-2010, "Order would immediately match and take."),
    "INSUFFICIENT_BALANCE": (-2010, "Account has insufficient balance for requested action."),
    "UNKNOWN_ORDER": (-2011, "Unknown order sent."),
}
_USDM: dict[str, tuple[int, str]] = {
    "DUPLICATE_ID": (-4116, "ClientOrderId is duplicated."),
    "HALTED": (-4140, "Invalid symbol status for opening position."),
    "LOT_SIZE": (-4004, "Quantity less than min quantity."),
    "QUANTITY_MAX": (-4005, "Quantity greater than max quantity."),
    "TICK_SIZE": (-4014, "Price not increased by tick size."),
    "PRICE_COLLAR": (-4024, "Limit price can't be lower than the PERCENT_PRICE filter allows."),
    "POST_ONLY_WOULD_TAKE": (
        -5022,
        (
            "Due to the order could not be executed as maker, the Post Only order will be "
            "rejected. The order will not be recorded in the order history"
        ),
    ),
    "REDUCE_ONLY": (-2022, "ReduceOnly Order is rejected."),
    "POSITION_MODE": (-4061, "Order's position side does not match user's setting."),
    "INSUFFICIENT_MARGIN": (-2019, "Margin is insufficient."),
    "LEVERAGE": (-4028, "Leverage is not valid."),
    "UNKNOWN_ORDER": (-2011, "Unknown order sent."),
}


def from_refused(error: Refused, *, futures: bool) -> BinanceError:
    """Translate what the exchange refused."""
    known = (_USDM if futures else _SPOT).get(error.code)
    return BinanceError(-1000, str(error)) if known is None else BinanceError(*known)


def from_refused_order(
    error: Refused, order: Order, instrument: Instrument, *, futures: bool
) -> BinanceError:
    """Translate a refused order: some codes depend on what was wrong with it."""
    if not futures:
        return from_refused(error, futures=False)
    if error.code == "LOT_SIZE" and order.quantity % instrument.lot:
        return BinanceError(-1111, "Precision is over the maximum defined for this asset.")
    if error.code == "MIN_NOTIONAL":
        text = f"Order's notional must be no smaller than {instrument.notional_min}"
        return BinanceError(-4164, f"{text} (unless you choose reduce only).")
    if error.code == "PRICE_COLLAR" and order.side is Side.BUY:
        return BinanceError(-4016, "Limit price can't be higher than PERCENT_PRICE allows.")
    return from_refused(error, futures=True)
