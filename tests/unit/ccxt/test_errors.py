"""Goal: our own table stands above ccxt's classes, and what is not listed is not known.
Method: bodies of the venues go through ccxt's own ``handle_errors``; what it raises is judged.
"""

import json

import pytest

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable
from hedge_ccxt.errors import answer_of, code_of, order_error, read_error, unchanged
from hedge_ccxt.profiles import PROFILES, profile_of

ccxt = pytest.importorskip("ccxt.pro")

URLS = {"binance": "http://127.0.0.1/fapi/v1/order"}
OKX = {"code": "1", "msg": "All operations failed"}


def raised(venue, body, status=200):
    """Return what ccxt raises for a body; for none, that is its own business."""
    exchange = getattr(ccxt, profile_of(venue).futures or venue)()
    text = json.dumps(body)
    url = URLS.get(venue, "http://127.0.0.1/order")
    try:
        exchange.handle_errors(status, "", url, "POST", {}, text, body, {}, "")
        exchange.handle_http_status_code(status, "", url, "POST", text)
    except ccxt.BaseError as error:
        return error
    return pytest.fail("ccxt takes it for an answer")


def judge(venue, body, status=200, *, sent=True):
    error = raised(venue, body, status)
    answer = answer_of(error, sent=sent, status=status)
    return order_error(answer, profile_of(venue).codes, venue)


UNKNOWN = [
    ("bybit", {"retCode": 10016, "retMsg": "internal"}, 200),
    ("bybit", {"retCode": 170146, "retMsg": "order creation timeout"}, 200),
    ("bybit", {"retCode": 170141, "retMsg": "Duplicate clientOrderId"}, 200),
    ("bybit", {"retCode": 110099, "retMsg": "nobody has heard of this one"}, 200),
    ("binance", {"code": -1007, "msg": "Timeout waiting for response"}, 408),
    ("binance", {"code": -4116, "msg": "ClientOrderId is duplicated."}, 400),
    ("binance", {"code": -9999, "msg": "new"}, 400),
    ("okx", OKX | {"data": [{"sCode": "51016", "sMsg": "duplicated clOrdId"}]}, 200),
    ("okx", {"code": "50004", "msg": "Endpoint request timeout"}, 400),
    ("gate", {"label": "SERVER_ERROR", "message": "x"}, 500),
    ("bitget", {"code": "40725", "msg": "service return an error"}, 400),
    ("kucoin", {"code": "126044", "msg": "Duplicated clientOid"}, 200),
]
REFUSED = [
    ("bybit", {"retCode": 110007, "retMsg": "ab not enough"}, 200, "110007"),
    ("bybit", {"retCode": 110017, "retMsg": "nothing to reduce"}, 200, "110017"),
    ("binance", {"code": -2022, "msg": "ReduceOnly Order is rejected."}, 400, "-2022"),
    ("binance", {"code": -1021, "msg": "outside of the recvWindow."}, 400, "-1021"),
    ("okx", OKX | {"data": [{"sCode": "51008", "sMsg": "Insufficient balance"}]}, 200, "51008"),
    ("gate", {"label": "BALANCE_NOT_ENOUGH", "message": "x"}, 400, "BALANCE_NOT_ENOUGH"),
    ("bitget", {"code": "43012", "msg": "Insufficient balance"}, 400, "43012"),
    ("kucoin", {"code": "200004", "msg": "Balance insufficient!"}, 200, "200004"),
]


@pytest.mark.parametrize(("venue", "body", "status"), UNKNOWN)
def test_what_proves_nothing_is_unknown(venue, body, status):
    assert isinstance(judge(venue, body, status), OutcomeUnknown)


@pytest.mark.parametrize(("venue", "body", "status", "code"), REFUSED)
def test_what_is_listed_is_refused_with_the_venues_code(venue, body, status, code):
    error = judge(venue, body, status)
    assert type(error) is Refused and error.code == code


@pytest.mark.parametrize("name", ["RequestTimeout", "ExchangeNotAvailable", "BadResponse",
                                  "RateLimitExceeded", "DDoSProtection", "InvalidNonce",
                                  "OperationFailed", "NetworkError", "InvalidOrder",
                                  "ExchangeError", "DuplicateOrderId"])  # fmt: skip
def test_of_ccxts_classes_only_the_certain_are_refusals(name):
    answer = answer_of(getattr(ccxt, name)("x says something"), sent=True, status=0)
    assert isinstance(order_error(answer, profile_of("any").codes, "any"), OutcomeUnknown)
    for certain in ("InsufficientFunds", "OrderImmediatelyFillable", "PermissionDenied"):
        answer = answer_of(getattr(ccxt, certain)("x"), sent=True, status=0)
        assert type(order_error(answer, profile_of("any").codes, "any")) is Refused


def test_a_server_error_is_unknown_whatever_its_body_says():
    assert isinstance(judge("bybit", {"retCode": 110007, "retMsg": "no"}, 503), OutcomeUnknown)


def test_a_limit_is_one_only_by_its_code():
    limited = judge("bybit", {"retCode": 10006, "retMsg": "Too many visits!"})
    assert isinstance(limited, Limited) and limited.retry_after_s >= 1


def test_what_never_left_is_certain():
    codes = profile_of("okx").codes
    local = answer_of(ccxt.InvalidOrder("okx amount must be greater"), sent=False, status=0)
    error = order_error(local, codes, "okx")
    assert type(error) is Refused and "amount must be greater" in str(error)
    down = ccxt.ExchangeNotAvailable("okx POST https://host/?signature=secret")
    down.__cause__ = ConnectionRefusedError()
    found = order_error(answer_of(down, sent=True, status=0), codes, "okx")
    assert isinstance(found, Unreachable) and "secret" not in str(found)


def test_a_cancel_of_what_is_not_open_is_a_no_and_a_read_of_it_is_missing():
    body = {"retCode": 170213, "retMsg": "Order does not exist."}
    assert type(judge("bybit", body)) is Refused
    answer = answer_of(raised("bybit", body), sent=True, status=200)
    assert isinstance(read_error(answer, profile_of("bybit").codes, "bybit"), Missing)


def test_a_setting_that_is_so_already_is_no_error():
    answer = answer_of(raised("bybit", {"retCode": 110043, "retMsg": "x"}), sent=True, status=200)
    assert unchanged(answer, profile_of("bybit").codes)
    answer = answer_of(raised("binance", {"code": -4046, "msg": "x"}, 400), sent=True, status=400)
    assert unchanged(answer, profile_of("binance").codes)


def test_a_code_has_one_meaning_in_each_profile():
    for profile in PROFILES.values():
        codes = profile.codes
        sets = (codes.refused, codes.limited, codes.missing, codes.unknown, codes.same)
        assert sum(map(len, sets)) == len(frozenset().union(*sets)), profile.name


@pytest.mark.parametrize("text", ["", "okx", "okx {", "okx [1]", 'okx {"data": []}', "okx {}"])
def test_no_code_is_found_where_there_is_none(text):
    assert code_of(text) == ""
