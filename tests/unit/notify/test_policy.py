"""Goal: a person is told what matters, once, soon, and again until it is acknowledged.

Method: rows and times go into the policy and the queue, messages come out; no loop, no clock.
"""

from decimal import Decimal
from typing import Any

import pytest

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trigger
from hedge.decide.rows import Row
from hedge.model import Fill, FundingPayment, Leg, Side
from hedge.model.numbers import MINUTE, SECOND
from hedge.roles import Alert
from hedge.runtime.notify.outbox import AGE_MAX_S, Outbox
from hedge.runtime.notify.policy import AGAIN_S, TEXT_CHARS_MAX, Policy

ALL = ("fill", "mode", "funding", "warning", "alarm")
T0 = 1_700_000_000 * SECOND


def row(entry: Any, seq: int = 1, at: int = T0) -> Row:
    return Row(seq=seq, at=at, entry=entry)


def fill(quantity: str, price: str, leg: Leg = Leg.SPOT, side: Side = Side.BUY) -> e.FillSeen:
    one = Fill(
        leg=leg, symbol="BTC/USDT", fill_id=f"{quantity}-{price}", side=side,
        quantity=Decimal(quantity), price=Decimal(price), fee=Decimal("0.1"), fee_asset="USDT",
    )  # fmt: skip
    return e.FillSeen(at=T0, fill=one)


def alarm(key: str = "UNHEDGED", level: str = "alarm", text: str = "delta stands") -> c.RaiseAlarm:
    return c.RaiseAlarm(key=key, level=level, text=text)


def ack(subject: str) -> e.OperatorAsked:
    return e.OperatorAsked(at=T0, verb=e.Verb.ACK, request_id="r", subject=subject)


def policy(*on: str, digest_s: int = 60, repeat_s: int = 900) -> Policy:
    return Policy(on or ALL, digest_s=digest_s, repeat_s=repeat_s)


def texts(one: Policy, now: int) -> list[str]:
    return [alert.text for alert in one.due(now)]


# -- what is said, and how loud ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "kind", "level"),
    [
        (c.ChangeMode(mode=Mode.INVENTORY, trigger=Trigger.BUILD), "mode", "event"),
        (c.EndRun(exit_code=0, reason="UNWOUND"), "mode", "event"),
        (c.EndRun(exit_code=5, reason="DATA_ENDED"), "warning", "warning"),
        (c.EndRun(exit_code=7, reason="STOPPED"), "alarm", "alarm"),
        (alarm(level="warning"), "warning", "warning"),
        (alarm(level="alarm"), "alarm", "alarm"),
        (alarm(level="page"), "alarm", "alarm"),
        (c.SetTrip(reason="LOSS", level=3, text="too much"), "warning", "warning"),
        (c.SetTrip(reason="LOSS", level=0), "warning", "event"),
        (c.BookExternal(leg=Leg.SPOT, quantity=Decimal(1), reason="?"), "warning", "warning"),
        (e.OperatorAsked(at=T0, verb=e.Verb.PAUSE, request_id="r"), "mode", "event"),
    ],
)
def test_every_kind_has_its_level_and_is_said_only_where_it_is_wanted(
    entry: Any, kind: str, level: str
) -> None:
    said = policy(kind).take("btc", row(entry), T0)
    assert said is not None
    assert (said.level, said.hedge, said.at) == (level, "btc", T0)
    others = tuple(word for word in ALL if word != kind)
    assert policy(*others).take("btc", row(entry), T0) is None


def test_what_is_no_news_is_not_told() -> None:
    order = c.CancelOrder(leg=Leg.SPOT, client_order_id="H1", why="requote")
    assert policy().take("btc", row(order), T0) is None


def test_funding_is_told_with_its_cash() -> None:
    paid = FundingPayment(
        symbol="BTC/USDT:USDT", payment_id="1", cash=Decimal("1.5"), asset="USDT",
        rate=Decimal("0.0001"), interval_s=28_800, quantity=Decimal("-0.15"), settled_at=T0,
    )  # fmt: skip
    said = policy().take("btc", row(e.FundingPaid(at=T0, payment=paid)), T0)
    assert said is not None
    assert "+1.5 USDT" in said.text


# -- digests and floods --------------------------------------------------------------------------


def test_fills_become_one_message_that_adds_up() -> None:
    one = policy()
    for number, entry in enumerate(
        (
            fill("0.1", "60000"),
            fill("0.3", "64000"),
            fill("0.4", "63100", Leg.FUTURES, Side.SELL),
        )
    ):
        assert one.take("btc", row(entry, number), T0 + number * SECOND) is None
    assert one.next_at == T0 + 60 * SECOND
    assert texts(one, T0 + 59 * SECOND) == []
    (said,) = texts(one, T0 + 60 * SECOND)
    assert said == ("3 fills: spot buy 0.4 at 63000; futures sell 0.4 at 63100; fees 0.3 USDT")
    assert texts(one, T0 + 120 * SECOND) == []
    assert one.next_at is None


def test_a_fill_that_stayed_alone_keeps_its_own_words() -> None:
    one = policy()
    one.take("btc", row(fill("0.1", "60000")), T0)
    assert texts(one, T0 + 60 * SECOND) == ["fill spot buy 0.1 at 60000, fee 0.1 USDT"]


def test_hedges_have_digests_of_their_own_and_zero_means_none() -> None:
    one = policy()
    one.take("btc", row(fill("0.1", "60000")), T0)
    one.take("eth", row(fill("2", "3000")), T0)
    assert sorted(alert.hedge for alert in one.due(T0 + 60 * SECOND)) == ["btc", "eth"]
    told = policy(digest_s=0).take("btc", row(fill("0.1", "60000")), T0)
    assert told is not None


def test_what_flaps_is_told_once_a_minute_with_its_count() -> None:
    one = policy("warning")
    told = []
    for second in range(50):
        entry = alarm("DATA_AGE", "warning", f"{second} s") if second % 2 == 0 else (
            c.SettleAlarm(key="DATA_AGE")
        )  # fmt: skip
        told.append(one.take("btc", row(entry, second), T0 + second * SECOND))
    loud = [alert for alert in told if alert is not None and alert.level == "warning"]
    assert len(loud) == 1
    later = texts(one, T0 + AGAIN_S * SECOND)
    assert "WARNING DATA_AGE: 48 s (24 times within 60 s)" in later
    (settled,) = texts(one, T0 + 10 * MINUTE)
    assert settled == "settled DATA_AGE; waits for `hedge ack` (24 times within 60 s)"


# -- repeats -------------------------------------------------------------------------------------


def test_an_alarm_is_repeated_until_it_is_acknowledged() -> None:
    one = policy(repeat_s=600)
    first = one.take("btc", row(alarm()), T0)
    assert first is not None
    assert texts(one, T0 + 599 * SECOND) == []
    (again,) = one.due(T0 + 600 * SECOND)
    assert again.key == first.key == "btc:UNHEDGED"
    assert again.level == "alarm"
    assert "message 2" in again.text
    assert "hedge ack btc UNHEDGED" in again.text
    (third,) = texts(one, T0 + 1_200 * SECOND)
    assert "message 3" in third
    one.take("btc", row(ack("UNHEDGED")), T0)
    assert texts(one, T0 + 9_000 * SECOND) == []
    assert one.next_at is None


def test_an_alarm_that_settled_still_wants_to_be_acknowledged() -> None:
    one = policy(repeat_s=600)
    one.take("btc", row(alarm()), T0)
    one.take("btc", row(c.SettleAlarm(key="UNHEDGED")), T0 + SECOND)
    (again,) = texts(one, T0 + 600 * SECOND)
    assert "its cause is gone" in again


def test_a_settled_row_is_of_the_kind_of_what_it_settles() -> None:
    for level, kind in (("page", "alarm"), ("warning", "warning")):
        for on in ("alarm", "warning"):
            one = policy(on)
            one.take("btc", row(alarm(level=level)), T0)
            said = one.take("btc", row(c.SettleAlarm(key="UNHEDGED")), T0 + SECOND)
            assert (said is not None) == (on == kind)


def test_acknowledging_is_of_one_hedge_and_star_is_all_of_it() -> None:
    one = policy(repeat_s=600)
    for hedge in ("btc", "eth"):
        for key in ("UNHEDGED", "MARGIN_SHORT"):
            one.take(hedge, row(alarm(key)), T0)
    one.take("btc", row(ack("*")), T0)
    one.take("eth", row(ack("UNHEDGED")), T0)
    assert [(a.hedge, a.key) for a in one.due(T0 + 600 * SECOND)] == [("eth", "eth:MARGIN_SHORT")]


def test_warnings_are_not_repeated_and_neither_is_what_nobody_asked_for() -> None:
    one = policy("warning", repeat_s=60)
    one.take("btc", row(alarm(level="warning")), T0)
    one.take("btc", row(alarm("OTHER")), T0)
    assert texts(one, T0 + 9_000 * SECOND) == []


def test_an_alarm_whose_message_may_be_lost_comes_again_soon() -> None:
    one = policy(repeat_s=900)
    first = one.take("btc", row(alarm()), T0)
    assert first is not None
    one.doubted(first, T0 + SECOND)
    assert texts(one, T0 + 60 * SECOND) == []
    assert len(texts(one, T0 + 61 * SECOND)) == 1


def test_alarms_of_an_earlier_process_are_taken_over_once() -> None:
    one = policy(repeat_s=900)
    one.found("btc", "UNHEDGED", "ALARM UNHEDGED: delta", T0 - MINUTE, T0)
    one.found("btc", "UNHEDGED", "ALARM UNHEDGED: delta", T0 - MINUTE, T0)
    assert len(texts(one, T0 + 60 * SECOND)) == 1
    quiet = policy("fill")
    quiet.found("btc", "UNHEDGED", "ALARM UNHEDGED: delta", T0, T0)
    assert quiet.next_at is None


def test_a_text_is_cut_to_what_a_target_takes() -> None:
    said = policy().take("btc", row(alarm(text="x" * 100_000)), T0)
    assert said is not None
    assert len(said.text) == TEXT_CHARS_MAX


# -- the queue -----------------------------------------------------------------------------------


def message(key: str, level: str = "event", text: str = "t", hedge: str = "btc") -> Alert:
    return Alert(key=key, level=level, hedge=hedge, text=text, at=T0)


def test_alarms_go_first_and_events_of_one_hedge_together() -> None:
    box = Outbox()
    for one in (
        message("1", text="one"),
        message("2", text="two"),
        message("3", text="three", hedge="eth"),
        message("4", "warning", "careful"),
        message("5", "alarm", "fire"),
        message("6", "alarm", "flood"),
    ):
        box.put(one, T0)
    seen = []
    while (first := box.first(T0)) is not None:
        assert box.first(T0) == first, "it leaves only when it is done"
        seen.append(first.text)
        box.done(first)
    assert seen == ["fire", "flood", "careful", "one\ntwo", "three"]


def test_a_full_queue_drops_the_least_and_oldest_and_counts() -> None:
    box = Outbox(alerts_max=4)
    box.put(message("w", "warning"), T0)
    for number in range(5):
        box.put(message(f"e{number}", hedge=f"h{number}"), T0)
    for number in range(3):
        box.put(message(f"a{number}", "alarm"), T0)
    assert len(box) == 4
    assert box.dropped == 5
    left = []
    while (first := box.first(T0)) is not None:
        left.append(first.key)
        box.done(first)
    assert left == ["a0", "a1", "a2", "w"]


def test_a_repeat_takes_the_place_of_what_still_waits() -> None:
    box = Outbox()
    box.put(message("btc:X", "alarm", "first"), T0)
    box.put(message("btc:X", "alarm", "second"), T0)
    first = box.first(T0)
    assert first is not None
    assert first.text == "second"
    box.put(message("btc:X", "alarm", "third"), T0)
    box.done(first)
    left = box.first(T0)
    assert left is not None
    assert left.text == "third", "what came while it was on its way is not lost"


def test_an_old_event_is_history_and_an_old_alarm_is_not() -> None:
    box = Outbox()
    box.put(message("e"), T0)
    box.put(message("a", "alarm"), T0)
    late = T0 + (AGE_MAX_S + 1) * SECOND
    first = box.first(late)
    assert first is not None
    assert first.key == "a"
    box.done(first)
    assert box.first(late) is None
    assert box.dropped == 1


def test_joined_texts_stay_within_the_limit() -> None:
    box = Outbox()
    for number in range(10):
        box.put(message(str(number), text="x" * 700), T0)
    sizes = []
    while (first := box.first(T0)) is not None:
        sizes.append(len(first.text))
        box.done(first)
    assert max(sizes) <= TEXT_CHARS_MAX
    assert len(sizes) == 3
