"""Gate: swaps count contracts (quanto_multiplier), our id goes where theirs does, with ``t-``."""

from hedge_ccxt.errors import Codes, words
from hedge_ccxt.order_ids import IdStyle
from hedge_ccxt.profiles.profile import STREAMED, Profile

CODES = Codes(
    refused=words(
        "INVALID_PARAM_VALUE INVALID_ARGUMENT INVALID_REQUEST_BODY MISSING_REQUIRED_PARAM"
        " BAD_REQUEST INVALID_KEY IP_FORBIDDEN READ_ONLY INVALID_SIGNATURE REQUEST_EXPIRED"
        " FORBIDDEN INVALID_CURRENCY INVALID_CURRENCY_PAIR INVALID_PRECISION POC_FILL_IMMEDIATELY"
        " ORDER_POC_IMMEDIATE BALANCE_NOT_ENOUGH QUANTITY_NOT_ENOUGH AMOUNT_TOO_LITTLE"
        " AMOUNT_TOO_MUCH SIZE_TOO_LARGE SIZE_TOO_SMALL PRICE_TOO_DEVIATED CONTRACT_NOT_FOUND"
        " RISK_LIMIT_EXCEEDED INSUFFICIENT_AVAILABLE REDUCE_EXCEEDED INCREASE_POSITION"
        " LIQUIDATE_IMMEDIATELY POSITION_IN_CLOSE USER_NOT_FOUND CONTRACT_IN_DELISTING"
        " POSITION_DUAL_MODE INVALID_CLIENT_ORDER_ID"
    ),
    limited=words("TOO_MANY_REQUESTS TOO_FAST"),
    missing=words(
        "ORDER_NOT_FOUND ORDER_CLOSED ORDER_CANCELLED ORDER_FINISHED CLIENT_ID_NOT_FOUND"
    ),
    unknown=words("INTERNAL SERVER_ERROR TOO_BUSY ORDER_BOOK_NOT_FOUND ORDER_EXISTS"),
    same=words("NO_CHANGE"),
)
GATE = Profile(
    name="gate", title="Gate", can=STREAMED, codes=CODES, ids=IdStyle.GATE, id_param="",
    recv_window_ms=60_000, trades_window_h=7 * 24, page=100, marks="watch_ticker",
    mode_from="positions", leverage_params={"marginMode": "{mode}"}, leverage_from="positions",
)  # fmt: skip
