"""What Bybit v5 answers to a request it does not perform: codes and words, by category.

Codes: https://bybit-exchange.github.io/docs/v5/error ; the words are those the venue sends today,
which are not everywhere the words of that page.
"""

from typing import Final

from hedge.errors import Missing, Refused

OK: Final = 0
SPOT: Final = "spot"
LINEAR: Final = "linear"
INVERSE: Final = "inverse"
OPTION: Final = "option"


class Rejection(Refused):
    """A definite no as it goes over the wire: ``ret_code``, its words, and the HTTP status.

    ``retry_after_s`` is said in a header, where it is not 0.
    """

    def __init__(
        self, ret_code: int, message: str, *, status: int = 200, retry_after_s: int = 0
    ) -> None:
        super().__init__(message, code=str(ret_code))
        self.ret_code = ret_code
        self.status = status
        self.retry_after_s = retry_after_s


def bad_param(text: str) -> Rejection:
    """Return 10001, which says what is wrong with a parameter."""
    return Rejection(10001, f"params error: {text}")


def bad_key() -> Rejection:
    return Rejection(10003, "API key is invalid.")


def bad_sign(origin: str) -> Rejection:
    """Return 10004, which echoes what should have been signed."""
    return Rejection(10004, f"error sign! origin_string[{origin}]")


def no_permission() -> Rejection:
    return Rejection(10005, "Permission denied, please check your API key permissions.")


def too_many_visits() -> Rejection:
    return Rejection(10006, "Too many visits. Exceeded the API Rate Limit.")


def internal_error() -> Rejection:
    """Return 10016: performed or not, the words do not say."""
    return Rejection(10016, "Internal System Error.")


def outside_window(requested: int, server: int, recv_window: int) -> Rejection:
    """Return 10002; times in ms."""
    return Rejection(
        10002,
        "invalid request, please check your server timestamp or recv_window param. "
        f"req_timestamp[{requested}],server_timestamp[{server}],recv_window[{recv_window}]",
    )


def unknown_symbol(category: str, symbol: str) -> Rejection:
    if category == SPOT:
        return Rejection(170121, "Invalid symbol.")
    return bad_param(f"symbol invalid {symbol}")


def unknown_order(category: str) -> Rejection:
    """Return "no such open order", which says nothing of what it filled."""
    if category == SPOT:
        return Rejection(170213, "Order does not exist.")
    return Rejection(110001, "order not exists or too late to cancel")


def wrong_position_idx() -> Rejection:
    return Rejection(10001, "position idx not match position mode")


_SPOT: Final[dict[str, tuple[int, str]]] = {
    "DUPLICATE_ID": (170141, "Duplicate clientOrderId."),
    "HALTED": (170151, "This trading pair is not open yet."),
    "LOT_SIZE": (170137, "Order quantity has too many decimals."),
    "QUANTITY_MIN": (170136, "Order quantity exceeded lower limit."),
    "QUANTITY_MAX": (170135, "Order quantity exceeded upper limit."),
    "TICK_SIZE": (170134, "Order price has too many decimals."),
    "MIN_NOTIONAL": (170140, "Order value exceeded lower limit."),
    "PRICE_COLLAR_BUY": (170193, "Buy order price cannot be higher than {limit}USDT."),
    "PRICE_COLLAR_SELL": (170194, "Sell order price cannot be lower than {limit}USDT."),
    "INSUFFICIENT_BALANCE": (170131, "Insufficient balance."),
    "SYSTEM_BUSY": (170210, "New order rejected."),
}
_LINEAR: Final[dict[str, tuple[int, str]]] = {
    "DUPLICATE_ID": (110072, "OrderLinkedID is duplicate"),
    "HALTED": (110074, "This contract is not live"),
    "LOT_SIZE": (10001, "Qty invalid"),
    "QUANTITY_MIN": (10001, "The number of contracts exceeds minimum limit allowed"),
    "QUANTITY_MAX": (10001, "The number of contracts exceeds maximum limit allowed: too large"),
    "TICK_SIZE": (10001, "Price invalid"),
    "MIN_NOTIONAL": (110094, "Order does not meet minimum order value 5USDT"),
    "PRICE_COLLAR": (110003, "Order price exceeds the allowable range."),
    "REDUCE_ONLY": (110017, "current position is zero, cannot fix reduce-only order qty"),
    "POSITION_MODE": (10001, "position idx not match position mode"),
    "INSUFFICIENT_MARGIN": (110007, "ab not enough for new order"),
    "INSUFFICIENT_BALANCE": (110007, "ab not enough for new order"),
    "LEVERAGE": (110013, "cannot set leverage gt maxLeverage by risk limit"),
    "SYSTEM_BUSY": (10000, "Server Timeout"),
}


def refusal(category: str, code: str, *, limit: str = "") -> Rejection:
    """Return the wire's form of a refusal of the simulated exchange (codes of `checks`).

    A code without a form of its own is 10001 with its name: the caller sees which one is missing.
    """
    if code == "UNKNOWN_ORDER":
        return unknown_order(category)
    known = (_SPOT if category == SPOT else _LINEAR).get(code)
    if known is None:
        return bad_param(code.lower())
    return Rejection(known[0], known[1].format(limit=limit))


def rejection_of(category: str, error: Refused | Missing) -> Rejection:
    """Return what the wire says for an error of the exchange."""
    if isinstance(error, Rejection):
        return error
    if isinstance(error, Missing):
        return unknown_order(category)
    return refusal(category, error.code)
