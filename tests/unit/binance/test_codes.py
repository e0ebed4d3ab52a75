"""What an error of the venue is taken for.

Goal: certain refusals, limits and doubts are told apart, and doubt is the default (R4). Method:
each class by its codes, and the whole tables for contradictions.
"""

import pytest

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable
from hedge_binance import codes
from hedge_binance.codes import order_error, read_error


@pytest.mark.parametrize("futures", [False, True])
@pytest.mark.parametrize("code", [-1013, -1021, -1111, -1121, -2015, -1022])
def test_refused_for_certain(code, futures):
    error = order_error(code, "no", futures=futures, status=400)
    assert type(error) is Refused
    assert error.code == str(code)


@pytest.mark.parametrize(
    ("code", "futures"),
    [(-2010, False), (-2019, True), (-2022, True), (-5022, True), (-4164, True)],
)
def test_refused_by_one_market(code, futures):
    assert type(order_error(code, "no", futures=futures, status=400)) is Refused
    assert type(order_error(code, "no", futures=not futures, status=400)) is OutcomeUnknown


@pytest.mark.parametrize("futures", [False, True])
@pytest.mark.parametrize("code", [-1000, -1001, -1006, -1007, -987_654, 0])
def test_unknown_by_default(code, futures):
    assert type(order_error(code, "?", futures=futures, status=400)) is OutcomeUnknown
    assert type(read_error(code, "?", futures=futures, status=400)) is Unreachable


@pytest.mark.parametrize("futures", [False, True])
def test_a_5xx_is_unknown_whatever_code_it_carries(futures):
    assert type(order_error(-1013, "filter", futures=futures, status=503)) is OutcomeUnknown
    assert type(order_error(0, "<html>", futures=futures, status=502)) is OutcomeUnknown


def test_the_three_503_of_usdm():
    unknown = "Unknown error, please check your request or try again later."
    assert type(order_error(0, unknown, futures=True, status=503)) is OutcomeUnknown
    assert type(order_error(0, "Service Unavailable.", futures=True, status=503)) is Unreachable
    throttled = order_error(-1008, "throttled", futures=True, status=503)
    assert type(throttled) is Limited


@pytest.mark.parametrize("status", [429, 418])
def test_limits_say_when_to_come_again(status):
    error = order_error(-1003, "slow", futures=False, status=status, retry_after_s=17)
    assert isinstance(error, Limited) and error.retry_after_s == 17
    assert isinstance(order_error(0, "", futures=True, status=status), Limited)


@pytest.mark.parametrize(("code", "futures"), [(-2010, False), (-4116, True)])
def test_a_duplicate_id_is_an_order_that_lives(code, futures):
    """Sent once, ours can only have been doubled on the way: look, do not call it refused."""
    error = order_error(code, "Duplicate order sent.", futures=futures, status=400)
    assert type(error) is OutcomeUnknown


def test_only_one_code_says_that_an_order_is_not_there():
    assert type(read_error(-2013, "Order does not exist.", futures=False, status=400)) is Missing
    assert type(read_error(-2013, "?", futures=False, status=503)) is not Missing
    assert type(read_error(-2015, "key", futures=False, status=401)) is Refused


def test_no_code_stands_in_two_tables():
    doubted = set(codes.UNKNOWN) | set(codes.LIMITED)
    assert not doubted & (set(codes.SPOT_REFUSED) | set(codes.FUTURES_REFUSED))
    assert codes.NO_SUCH_ORDER not in codes.SPOT_REFUSED


def test_words_of_the_venue_are_one_line():
    assert "\n" not in str(order_error(-1, "a\nb" * 500, futures=False, status=400))
