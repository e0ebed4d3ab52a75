"""Goal: only a listed code is a refusal; whatever proves nothing is said to prove nothing.
Method: the codes that the venue's documentation and peers name, and every number that nobody named.
"""

import random

import pytest

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable
from hedge_bybit import errors

UNKNOWN = (
    10000, 10016, 10019, 429, 10403, 10429, 170001, 170005, 170007, 170032, 170146, 20003, 20006,
    500000,
)  # fmt: skip
DUPLICATES = (10014, 110072, 170141)
REFUSED = (110003, 110007, 110017, 110094, 170131, 170136, 170140, 10002, 10003, 10004, 10005)


@pytest.mark.parametrize("code", UNKNOWN + DUPLICATES)
def test_these_prove_nothing_of_an_order(code):
    assert isinstance(errors.command_error(code, "x"), OutcomeUnknown)
    assert isinstance(errors.read_error(code, "x"), Unreachable)
    assert code in errors.UNKNOWN_CODES


@pytest.mark.parametrize("code", REFUSED)
def test_these_are_definite(code):
    error = errors.command_error(code, "x")
    assert isinstance(error, Refused) and not isinstance(error, Limited)
    assert error.code == str(code)


def test_a_code_stands_in_one_table_only():
    tables = (
        errors.UNKNOWN_CODES, errors.REFUSED_CODES, errors.NOT_OPEN_CODES, errors.LIMITED_CODES,
    )  # fmt: skip
    assert sum(len(table) for table in tables) == len(frozenset().union(*tables))


def test_whatever_is_not_listed_proves_nothing():
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    listed = errors.REFUSED_CODES | errors.NOT_OPEN_CODES | errors.LIMITED_CODES
    for code in (dice.randrange(1, 4_000_000) for _ in range(2_000)):
        if code not in listed:
            assert isinstance(errors.command_error(code, "x"), OutcomeUnknown), code


def test_a_rate_limit_says_when_to_come_back():
    error = errors.command_error(10006, "Too many visits", retry_after_s=3)
    assert isinstance(error, Limited) and error.retry_after_s == 3


@pytest.mark.parametrize("code", [110001, 110008, 170213])
def test_an_order_that_is_not_open_refuses_a_cancel_and_misses_a_read(code):
    error = errors.command_error(code, "gone")
    assert isinstance(error, Refused) and not isinstance(error, Limited)
    assert isinstance(errors.read_error(code, "gone"), Missing)


def test_one_line_says_venue_code_and_mend():
    text = str(errors.command_error(10003, "API key is invalid."))
    assert text.startswith("bybit 10003: API key is invalid.") and "environment" in text
    assert "\n" not in text


@pytest.mark.parametrize("status", [403, 429, 500, 502, 503, 418])
def test_a_status_proves_nothing_of_an_order(status):
    assert isinstance(errors.status_error(status, read=False), OutcomeUnknown)


def test_a_status_of_a_read():
    assert isinstance(errors.status_error(503, read=True), Unreachable)
    limited = errors.status_error(429, read=True)
    assert isinstance(limited, Limited) and limited.retry_after_s >= 1
    banned = errors.status_error(403, read=True)
    assert isinstance(banned, Limited) and banned.retry_after_s >= 600
    for read in (True, False):
        assert isinstance(errors.status_error(401, read=read), Refused)
