"""Goal: a field is read exactly and of its kind, or named; a code proves what the table says.
Method: JSON of each shape, lawful or not, through `read_json`, `Row` and `Verdicts`.
"""

from decimal import Decimal

import pytest

from hedge.errors import Limited, Malformed, Missing, OutcomeUnknown, Refused, Unreachable
from hedge.transport import Reply, Row, Verdicts, read_json

D = Decimal
TEXT = (
    b'{"id": 7, "s": "x", "n": "0.10", "f": 0.1, "big": 12345678901234567890.12345678, "yes": true,'
    b' "null": null, "one": {"a": 1}, "many": [{"a": 1}, {"a": 2}], "words": ["r", "w"], "e":"NaN"}'
)


@pytest.fixture
def row():
    return read_json(TEXT)


def test_numbers_are_exact_whether_they_are_written_as_text_or_not(row):
    assert (row.number("n"), row.number("f"), row.number("id")) == (D("0.10"), D("0.1"), D(7))
    assert row.number("big") == D("12345678901234567890.12345678")
    assert (row.whole("id"), row.text("id"), row.text("s")) == (7, "7", "x")
    assert row.maybe("n") == D("0.1") and row.maybe("null") is None and row.maybe("no") is None
    assert row.flag("yes") and row.texts("words") == ["r", "w"]
    assert "s" in row and "null" not in row and "no" not in row


def test_what_is_inside_is_read_alike(row):
    assert row.row("one").whole("a") == 1
    assert [one.whole("a") for one in row.rows("many")] == [1, 2]
    assert row.rows("no") == row.rows("null") == []
    assert [type(one) for one in read_json(b'[{"a": 1}]')] == [Row]
    assert read_json(b"[1]") == [1] and read_json(b"17") == 17 and read_json(b"[]") == []


@pytest.mark.parametrize(
    ("how", "name"),
    [("number", "s"), ("number", "no"), ("number", "yes"), ("number", "e"), ("number", "many"),
     ("whole", "n"), ("whole", "yes"), ("text", "yes"), ("text", "null"), ("text", "one"),
     ("flag", "id"), ("flag", "no"), ("texts", "many"), ("row", "s"), ("row", "no"),
     ("rows", "s"), ("rows", "words"), ("maybe", "s")],
)  # fmt: skip
def test_what_is_not_there_or_of_another_kind_is_named(row, how, name):
    with pytest.raises(Malformed, match=f"^{name} is "):
        getattr(row, how)(name)


def test_what_is_no_json_is_malformed():
    for data in (b"", b"{", b"<html>", b"\xff"):
        with pytest.raises(Malformed, match="no JSON"):
            read_json(data)


VERDICTS = Verdicts(
    name="acme", code="no", text="why", wait="wait", refused=frozenset({"FUNDS"}),
    missing=frozenset({"WHAT"}), limited=frozenset({"SLOWLY"}),
)  # fmt: skip


def judged(status, body, unsure=OutcomeUnknown, take=lambda answer: answer):
    reply = Reply(status=status, headers={}, body=body, sent=0, received=0)
    return VERDICTS.judge(reply, take, unsure)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(400, b'{"no": "FUNDS", "why": "none left"}', Refused),
     (400, b'{"no": "FUNDS"}', Refused),
     (404, b'{"no": "WHAT"}', Missing),
     (429, b'{"no": "SLOWLY", "wait": 7}', Limited),
     (400, b'{"no": "NEW"}', OutcomeUnknown),
     (503, b'{"no": "FUNDS"}', OutcomeUnknown),
     (400, b'{"msg": "x"}', OutcomeUnknown),
     (400, b"[]", OutcomeUnknown),
     (502, b"<html>", OutcomeUnknown),
     (200, b"{", OutcomeUnknown)],
)  # fmt: skip
def test_a_code_proves_what_the_table_says_and_nothing_else_does(status, body, error):
    with pytest.raises(error) as raised:
        judged(status, body)
    assert type(raised.value) is error and str(raised.value).startswith("acme")
    if isinstance(raised.value, Refused):
        assert raised.value.code == read_json(body).text("no")
    if isinstance(raised.value, Limited):
        assert raised.value.retry_after_s == 7


def test_an_answer_is_what_is_made_of_it_or_proves_nothing():
    assert judged(200, b"17", take=int) == 17
    assert judged(201, b'{"a": "1.5"}', take=lambda row: row.number("a")) == D("1.5")
    for body in (b'{"b": 1}', b"[]", b"17"):
        with pytest.raises(Unreachable):
            judged(200, body, Unreachable, lambda row: row.number("a"))
